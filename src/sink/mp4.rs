//! Whether a file is a whole MP4: its top-level boxes (ISO/IEC 14496-12, section 4.2) must fill it from the first byte
//! to the last. Only headers are read, whatever the size. It never decodes, so it does not know whether the pictures
//! are any good.

use std::io::{self, Read, Seek, SeekFrom};

/// More top-level boxes than any sane video has; a fragmented hour has some thousands.
const MOST_BOXES: u32 = 100_000;

/// Why a file was not accepted.
#[derive(Debug)]
pub(super) enum Flaw {
    /// It could not be read.
    Unread(io::Error),
    /// It is no whole MP4, in words for people.
    Wrong(String),
}

impl From<io::Error> for Flaw {
    fn from(error: io::Error) -> Self {
        Self::Unread(error)
    }
}

/// Checks the box structure of the whole file.
pub(super) fn check(file: &mut (impl Read + Seek)) -> Result<(), Flaw> {
    let end = file.seek(SeekFrom::End(0))?;
    check_beginning(file, end)?;
    let (mut at, mut boxes) = (0_u64, 0_u32);
    let (mut has_index, mut has_media) = (false, false);
    while at < end {
        boxes += 1;
        if boxes > MOST_BOXES {
            return wrong(format!("it has more than {MOST_BOXES} parts"));
        }
        let found = read_header(file, at, end)?;
        match &found.kind {
            b"moov" => has_index = true,
            b"mdat" | b"moof" => has_media = true,
            _ => {}
        }
        at = found.end;
    }
    if !has_index {
        return wrong("it has no `moov` part, so that nothing can play it".to_owned());
    }
    if !has_media {
        return wrong("it has no `mdat` part: there are no pictures in it".to_owned());
    }
    Ok(())
}

struct Header {
    kind: [u8; 4],
    end: u64,
}

fn read_header(file: &mut (impl Read + Seek), at: u64, end: u64) -> Result<Header, Flaw> {
    let left = end - at;
    if left < 8 {
        return wrong(format!("{left} bytes of garbage follow its last part"));
    }
    file.seek(SeekFrom::Start(at))?;
    let [a, b, c, d, kind @ ..] = read_array::<8>(file)?;
    if !kind.iter().all(|byte| (0x20..0x7f).contains(byte)) {
        return wrong(format!("there is garbage at byte {at}, where a part should begin"));
    }
    let name = String::from_utf8_lossy(&kind).into_owned();
    let (size, least) = match u32::from_be_bytes([a, b, c, d]) {
        0 => (left, 8),
        1 if left < 16 => return wrong(format!("it ends within the header of its `{name}` part")),
        1 => (u64::from_be_bytes(read_array(file)?), 16),
        size => (u64::from(size), 8),
    };
    if size < least {
        return wrong(format!("its `{name}` part at byte {at} has an impossible size"));
    }
    match at.checked_add(size) {
        Some(reach) if reach <= end => Ok(Header { kind, end: reach }),
        Some(reach) => {
            wrong(format!("it is cut off: its `{name}` part should reach byte {reach}, and it ends at {end}"))
        }
        None => wrong(format!("its `{name}` part at byte {at} has an impossible size")),
    }
}

/// Says what a file is that does not begin with `ftyp`.
fn check_beginning(file: &mut (impl Read + Seek), end: u64) -> Result<(), Flaw> {
    let mut start = Vec::new();
    file.seek(SeekFrom::Start(0))?;
    file.by_ref().take(64).read_to_end(&mut start)?;
    if start.get(4..8) == Some(b"ftyp") {
        return Ok(());
    }
    let text = start.trim_ascii_start();
    let what = if start.is_empty() {
        "it is empty"
    } else if text.starts_with(b"<") || text.starts_with(b"\xef\xbb\xbf<") {
        "it is a web page or XML"
    } else if text.starts_with(b"{") || text.starts_with(b"[") {
        "it is a JSON text"
    } else if start.starts_with(&[0xff, 0xd8, 0xff]) {
        "it is a JPEG image"
    } else if start.starts_with(b"\x89PNG") {
        "it is a PNG image"
    } else if start.starts_with(&[0x1a, 0x45, 0xdf, 0xa3]) {
        "it is a WebM or Matroska video"
    } else if end < 8 {
        "it is too short"
    } else {
        "it does not begin as an MP4 file does"
    };
    wrong(what.to_owned())
}

fn read_array<const N: usize>(file: &mut impl Read) -> io::Result<[u8; N]> {
    let mut bytes = [0; N];
    file.read_exact(&mut bytes)?;
    Ok(bytes)
}

fn wrong<T>(why: String) -> Result<T, Flaw> {
    Err(Flaw::Wrong(why))
}

#[cfg(test)]
mod tests {
    use std::io::Cursor;

    use super::*;

    fn part(kind: &str, body: &[u8]) -> Vec<u8> {
        let size = u32::try_from(8 + body.len()).unwrap();
        [&size.to_be_bytes()[..], kind.as_bytes(), body].concat()
    }

    fn whole() -> Vec<u8> {
        [part("ftyp", b"isom\0\0\0\0"), part("moov", b"12345678"), part("mdat", b"pictures")].concat()
    }

    fn verdict(bytes: &[u8]) -> Result<(), String> {
        check(&mut Cursor::new(bytes)).map_err(|flaw| match flaw {
            Flaw::Wrong(why) => why,
            Flaw::Unread(error) => panic!("{error}"),
        })
    }

    #[test]
    fn whole_videos_pass() {
        assert_eq!(verdict(&whole()), Ok(()));
        let long = [&[0, 0, 0, 1][..], b"mdat", &24_u64.to_be_bytes(), b"pictures"].concat();
        let open = [&[0, 0, 0, 0][..], b"mdat", b"pictures"].concat();
        for last in [long, open] {
            let video = [part("ftyp", b"isom"), part("moov", b""), last].concat();
            assert_eq!(verdict(&video), Ok(()));
        }
    }

    #[test]
    fn no_beginning_of_a_video_passes_for_a_whole_one() {
        let video = whole();
        for length in 0..video.len() {
            assert!(verdict(&video[..length]).is_err(), "{length} bytes of {} passed", video.len());
        }
    }

    #[test]
    fn what_is_no_video_is_called_what_it_is() {
        let garbage = [whole(), vec![0; 12]].concat();
        let endless = [part("ftyp", b""), [&[0, 0, 0, 1][..], b"moov", &[0xff; 8]].concat()].concat();
        for (bytes, word) in [
            (&b""[..], "empty"),
            (b"\n<!DOCTYPE html><html>not found</html>", "web page"),
            (b"{\"code\": 1000}", "JSON"),
            (&[0xff, 0xd8, 0xff, 0xe0, 0, 16, 0x4a, 0x46], "JPEG"),
            (&whole()[..44], "cut off"),
            (&[whole(), b"abc".to_vec()].concat(), "3 bytes of garbage"),
            (&garbage, "garbage at byte"),
            (&endless, "impossible size"),
            (&part("ftyp", b""), "no `moov`"),
            (&[part("ftyp", b""), part("moov", b"")].concat(), "no `mdat`"),
            (&[part("styp", b""), whole()].concat(), "does not begin"),
        ] {
            let why = verdict(bytes).unwrap_err();
            assert!(why.contains(word), "{word:?} is not in {why:?}");
        }
    }

    #[test]
    fn a_file_of_endless_tiny_parts_is_given_up() {
        let many = part("free", b"").repeat(MOST_BOXES as usize + 1);
        assert!(verdict(&[whole(), many].concat()).unwrap_err().contains("more than"));
    }
}
