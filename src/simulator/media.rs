//! The videos: real MP4 files that play, one of three clips, made distinct by a box that names the task and, where a size
//! is wanted, filled up by another.

use std::io::Read;
use std::sync::LazyLock;

use bytes::Bytes;
use sha2::{Digest, Sha256};

const CLIPS: [&[u8]; 3] =
    [include_bytes!("media/clip1.mp4"), include_bytes!("media/clip2.mp4"), include_bytes!("media/clip3.mp4")];
/// How much of a video is given at a time.
const PIECE: usize = 64 * 1024;
/// After how many bytes what fills a video up comes again: a prime, so that what is put together wrongly shows.
const PERIOD: usize = 65_521;
/// What videos are filled up with: made once, for a host that costs little beside whom it serves.
static FILLING: LazyLock<Bytes> = LazyLock::new(|| {
    let byte = |at: usize| (at % PERIOD).wrapping_mul(0x9E37_79B9).to_le_bytes()[2];
    (0..PERIOD + PIECE).map(byte).collect::<Vec<u8>>().into()
});

/// One task's video.
#[derive(Debug, Clone)]
pub(super) struct Video {
    head: Bytes,
    len: u64,
}

impl Video {
    /// The video of a task, at least as long as its clip.
    pub(super) fn of(task: &str, wanted: Option<u64>) -> Self {
        let which = Sha256::digest(task)[0] as usize % CLIPS.len();
        let mut head = CLIPS[which].to_vec();
        free_box(&mut head, format!("nightreel:{task}").as_bytes());
        let least = head.len() as u64 + 16;
        let Some(wanted) = wanted.filter(|wanted| *wanted >= least) else {
            return Self { len: head.len() as u64, head: head.into() };
        };
        // A box with a 64-bit size, whose content is the same in all videos.
        let fill = wanted - head.len() as u64;
        head.extend(1_u32.to_be_bytes());
        head.extend(b"free");
        head.extend(fill.to_be_bytes());
        Self { head: head.into(), len: wanted }
    }

    pub(super) const fn len(&self) -> u64 {
        self.len
    }

    /// At most [`PIECE`] bytes from `at`.
    pub(super) fn piece(&self, at: u64, most: u64) -> Bytes {
        let head = self.head.len() as u64;
        let wanted = usize::try_from(most.min(self.len.saturating_sub(at))).unwrap_or(usize::MAX).min(PIECE);
        if at < head {
            let at = usize::try_from(at).unwrap_or(usize::MAX);
            return self.head.slice(at..(at + wanted).min(self.head.len()));
        }
        let from = usize::try_from(at % PERIOD as u64).unwrap_or(0);
        FILLING.slice(from..from + wanted)
    }

    /// The digest of the whole, in hexadecimal digits.
    pub(super) fn sha256(&self) -> String {
        let mut hasher = Sha256::new();
        let mut at = 0;
        while at < self.len {
            let piece = self.piece(at, self.len - at);
            hasher.update(&piece);
            at += piece.len() as u64;
        }
        hex(&hasher.finalize())
    }
}

/// Hexadecimal digits of a digest.
pub(super) fn hex(mut bytes: &[u8]) -> String {
    let mut text = String::with_capacity(bytes.len() * 2);
    let mut byte = [0];
    while bytes.read_exact(&mut byte).is_ok() {
        text.push(char::from_digit(u32::from(byte[0] >> 4), 16).unwrap_or('0'));
        text.push(char::from_digit(u32::from(byte[0] & 15), 16).unwrap_or('0'));
    }
    text
}

fn free_box(into: &mut Vec<u8>, content: &[u8]) {
    let len = u32::try_from(content.len() + 8).unwrap_or(u32::MAX);
    into.extend(len.to_be_bytes());
    into.extend(b"free");
    into.extend(content);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_task_has_a_video_of_its_own_and_of_the_wanted_size() {
        let (a, b) = (Video::of("1", None), Video::of("2", None));
        assert_ne!(a.sha256(), b.sha256());
        let large = Video::of("1", Some(200_000));
        assert_eq!(large.len(), 200_000);
        let mut whole = Vec::new();
        while (whole.len() as u64) < large.len() {
            whole.extend(large.piece(whole.len() as u64, u64::MAX));
        }
        assert_eq!(hex(&Sha256::digest(&whole)), large.sha256());
        assert_eq!(large.piece(199_990, 100).len(), 10);
    }
}
