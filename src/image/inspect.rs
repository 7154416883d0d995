//! Looks at an image file: its digest, format and size, and whether the remote will take it. A file that many rows name is
//! read once.

use std::collections::HashMap;
use std::fs::File;
use std::io::{ErrorKind, Read};
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};

use sha2::{Digest as _, Sha256};

use crate::domain::Digest;

use super::{LEAST_PIXELS, MOST_ASPECT, MOST_BYTES, Unfit};

/// What every JPEG file begins with.
const JPEG: &[u8] = &[0xFF, 0xD8, 0xFF];
/// What every PNG file begins with.
const PNG: &[u8] = b"\x89PNG\r\n\x1a\n";
/// How many files are remembered.
const REMEMBERED: usize = 4096;
/// How much of a file is held at a time. A JPEG's size stands behind its metadata, so its start is read on in steps.
const PIECE: usize = 64 * 1024;
/// How far into a file its header may reach.
const HEADER: usize = 4 * 1024 * 1024;

/// An image that the remote will take, as far as can be told from here.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Inspected {
    /// SHA-256 of the file's bytes.
    pub digest: Digest,
    /// Size in bytes.
    pub bytes: u64,
    /// Width in pixels.
    pub width: usize,
    /// Height in pixels.
    pub height: usize,
}

/// Looks at files, and remembers the last some thousand of them.
#[derive(Debug, Default)]
pub struct Inspector {
    seen: Mutex<HashMap<PathBuf, Result<Inspected, Unfit>>>,
}

impl Inspector {
    /// An inspector that has seen nothing.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Whether a file was looked at, and is remembered.
    #[must_use]
    pub fn knows(&self, path: &Path) -> bool {
        self.seen.lock().unwrap_or_else(PoisonError::into_inner).contains_key(path)
    }

    /// Looks at a file, unless it was looked at before. Blocks.
    pub fn inspect(&self, path: &Path) -> Result<Inspected, Unfit> {
        if let Some(seen) = self.seen.lock().unwrap_or_else(PoisonError::into_inner).get(path) {
            return seen.clone();
        }
        let found = inspect(path);
        let mut seen = self.seen.lock().unwrap_or_else(PoisonError::into_inner);
        if seen.len() >= REMEMBERED {
            // Rows that share a file mostly stand together: forgetting all at once is rare and cheap.
            seen.clear();
        }
        seen.insert(path.to_path_buf(), found.clone());
        found
    }
}

fn inspect(path: &Path) -> Result<Inspected, Unfit> {
    let unreadable = |error: std::io::Error| match error.kind() {
        ErrorKind::NotFound | ErrorKind::NotADirectory => Unfit::Missing,
        _ => Unfit::Unreadable(error.to_string()),
    };
    let about = std::fs::metadata(path).map_err(unreadable)?;
    if !about.is_file() {
        return Err(Unfit::NotAFile);
    }
    if about.len() == 0 {
        return Err(Unfit::Empty);
    }
    let mut file = File::open(path).map_err(unreadable)?;
    let mut start = Vec::with_capacity(PIECE);
    (&mut file).take(PIECE as u64).read_to_end(&mut start).map_err(unreadable)?;
    if !start.starts_with(JPEG) && !start.starts_with(PNG) {
        return Err(Unfit::OtherFormat(looks_like(&start)));
    }
    if about.len() > MOST_BYTES {
        return Err(Unfit::TooLarge(about.len()));
    }
    while imagesize::blob_size(&start).is_err() && start.len() < HEADER {
        let before = start.len();
        (&mut file).take(PIECE as u64).read_to_end(&mut start).map_err(unreadable)?;
        if start.len() == before {
            break;
        }
    }
    let size = imagesize::blob_size(&start).map_err(|_| Unfit::Broken)?;
    fits(size.width, size.height)?;
    let (digest, bytes) = digest(start, file).map_err(unreadable)?;
    Ok(Inspected { digest, bytes, width: size.width, height: size.height })
}

fn fits(width: usize, height: usize) -> Result<(), Unfit> {
    let (short, long) = (width.min(height), width.max(height));
    if short < LEAST_PIXELS {
        return Err(Unfit::TooSmall(width, height));
    }
    if long as f64 > short as f64 * MOST_ASPECT {
        return Err(Unfit::TooLong(width, height));
    }
    Ok(())
}

/// The digest of what was read already and of the rest of the file, a piece at a time.
fn digest(start: Vec<u8>, mut rest: File) -> std::io::Result<(Digest, u64)> {
    let mut hasher = Sha256::new();
    hasher.update(&start);
    let mut bytes = start.len() as u64;
    let mut piece = start;
    piece.resize(PIECE, 0);
    loop {
        let read = rest.read(&mut piece[..PIECE])?;
        if read == 0 {
            return Ok((Digest::from_hasher(hasher), bytes));
        }
        hasher.update(&piece[..read]);
        bytes += read as u64;
    }
}

/// What a file looks like that is neither JPEG nor PNG.
fn looks_like(start: &[u8]) -> Option<&'static str> {
    let text = start.trim_ascii_start();
    match start {
        [b'R', b'I', b'F', b'F', _, _, _, _, b'W', b'E', b'B', b'P', ..] => Some("a WebP image"),
        [b'G', b'I', b'F', b'8', ..] => Some("a GIF image"),
        [b'B', b'M', ..] => Some("a BMP image"),
        [b'I', b'I', 42, 0, ..] | [b'M', b'M', 0, 42, ..] => Some("a TIFF image"),
        [_, _, _, _, b'f', b't', b'y', b'p', b'a', b'v', b'i', b'f', ..] => Some("an AVIF image"),
        [_, _, _, _, b'f', b't', b'y', b'p', b'h' | b'm', ..] => Some("a HEIC image or a video"),
        [_, _, _, _, b'f', b't', b'y', b'p', ..] => Some("a video"),
        [b'%', b'P', b'D', b'F', ..] => Some("a PDF document"),
        _ if text.starts_with(b"<svg") => Some("an SVG drawing"),
        _ if text.starts_with(b"<") => Some("a web page"),
        _ if std::str::from_utf8(&start[..start.len().min(256)]).is_ok() => Some("a text"),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A PNG's signature and header, enough to say its size.
    fn png(width: u32, height: u32) -> Vec<u8> {
        let mut bytes = b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR".to_vec();
        bytes.extend(width.to_be_bytes());
        bytes.extend(height.to_be_bytes());
        bytes.extend([8, 2, 0, 0, 0, 0, 0, 0, 0]);
        bytes
    }

    fn look(bytes: &[u8]) -> Result<Inspected, Unfit> {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a.jpg");
        std::fs::write(&path, bytes).unwrap();
        Inspector::new().inspect(&path)
    }

    #[test]
    fn an_image_is_known_by_its_content_and_measured() {
        let bytes = png(300, 750);
        let seen = look(&bytes).unwrap();
        assert_eq!((seen.width, seen.height, seen.bytes), (300, 750, bytes.len() as u64));
        assert_eq!(seen.digest, Digest::of(&bytes));
    }

    #[test]
    fn what_the_remote_would_refuse_is_refused_here() {
        assert_eq!(look(&png(299, 400)), Err(Unfit::TooSmall(299, 400)));
        assert_eq!(look(&png(300, 751)), Err(Unfit::TooLong(300, 751)));
        assert_eq!(look(b""), Err(Unfit::Empty));
        assert_eq!(look(b"RIFF\0\0\0\0WEBPVP8 "), Err(Unfit::OtherFormat(Some("a WebP image"))));
        assert_eq!(look(b"<!doctype html>"), Err(Unfit::OtherFormat(Some("a web page"))));
        assert_eq!(look(b"\x89PNG\r\n\x1a\n\0\0"), Err(Unfit::Broken));
        assert_eq!(look(&[0xFF, 0xD8, 0xFF, 0xE0, 0, 4, 0, 0]), Err(Unfit::Broken));
        let mut large = png(400, 400);
        large.resize(10_000_001, 0);
        assert_eq!(look(&large), Err(Unfit::TooLarge(10_000_001)));
        assert_eq!(Inspector::new().inspect(Path::new("/nowhere/a.jpg")), Err(Unfit::Missing));
        assert_eq!(Inspector::new().inspect(&std::env::temp_dir()), Err(Unfit::NotAFile));
    }

    #[test]
    fn a_file_that_changed_is_not_sent() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a.png");
        std::fs::write(&path, png(400, 400)).unwrap();
        let digest = Inspector::new().inspect(&path).unwrap().digest;
        let source = crate::domain::ImageSource::File { path: path.clone(), digest };
        assert!(super::super::load(&source).is_ok());
        std::fs::write(&path, png(400, 401)).unwrap();
        assert!(matches!(super::super::load(&source), Err(super::super::LoadError::Changed { .. })));
    }
}
