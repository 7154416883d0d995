//! An image file that is held open and read while its request leaves, so that many large images on their way take little
//! memory. Whatever is written to it meanwhile is not sent to its end: its digest is looked at before its last bytes go.

use std::fs::File;
use std::io::{self, Read};
use std::os::unix::fs::FileExt;
use std::sync::Arc;

use sha2::{Digest as _, Sha256};

use crate::domain::{Digest, PictureFile};

/// How much is read at a time to look at the digest.
const PIECE: usize = 64 * 1024;
/// How much of its start is remembered.
const START: usize = 8;

/// An image file that is held open.
#[derive(Debug)]
pub(super) struct OpenImage {
    file: Arc<File>,
    start: [u8; START],
    bytes: u64,
    digest: Digest,
}

impl OpenImage {
    /// This file, if its digest is that one. Blocks.
    pub(super) fn of(file: File, digest: Digest) -> io::Result<Option<Self>> {
        let bytes = file.metadata()?.len();
        let mut start = [0; START];
        file.read_exact_at(&mut start, 0)?;
        let open = Self { file: Arc::new(file), start, bytes, digest };
        let mut reader = open.reader();
        let mut piece = vec![0; PIECE];
        loop {
            match reader.read(&mut piece) {
                Ok(0) => return Ok(Some(open)),
                Ok(_) => {}
                Err(error) if error.kind() == io::ErrorKind::InvalidData => return Ok(None),
                Err(error) => return Err(error),
            }
        }
    }
}

impl PictureFile for OpenImage {
    fn bytes(&self) -> u64 {
        self.bytes
    }

    fn begins_with(&self, start: &[u8]) -> bool {
        self.start.starts_with(start)
    }

    fn reader(&self) -> Box<dyn Read + Send> {
        let (file, bytes, digest) = (Arc::clone(&self.file), self.bytes, self.digest);
        Box::new(Reader { file, at: 0, bytes, digest, hasher: Sha256::new() })
    }
}

/// Reads the file, and gives its last bytes only where all of them are those of the digest.
struct Reader {
    file: Arc<File>,
    at: u64,
    bytes: u64,
    digest: Digest,
    hasher: Sha256,
}

impl Read for Reader {
    fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        let changed = || io::Error::new(io::ErrorKind::InvalidData, "the image changed while it was sent");
        let most = usize::try_from(self.bytes - self.at).unwrap_or(usize::MAX).min(into.len());
        if most == 0 {
            return Ok(0);
        }
        let read = self.file.read_at(&mut into[..most], self.at)?;
        if read == 0 {
            return Err(changed());
        }
        self.hasher.update(&into[..read]);
        self.at += read as u64;
        if self.at == self.bytes && Digest::from_hasher(self.hasher.clone()) != self.digest {
            return Err(changed());
        }
        Ok(read)
    }
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;

    fn open(path: &Path, content: &[u8]) -> OpenImage {
        std::fs::write(path, content).unwrap();
        OpenImage::of(File::open(path).unwrap(), Digest::of(content)).unwrap().unwrap()
    }

    fn read(open: &OpenImage) -> io::Result<Vec<u8>> {
        let mut bytes = Vec::new();
        open.reader().read_to_end(&mut bytes).map(|_| bytes)
    }

    #[test]
    fn a_file_is_read_as_often_as_it_is_sent() {
        let folder = tempfile::tempdir().unwrap();
        let content: Vec<u8> = (0..300_000_u32).flat_map(u32::to_le_bytes).collect();
        let open = open(&folder.path().join("a"), &content);
        assert_eq!(open.bytes(), content.len() as u64);
        assert!(open.begins_with(&content[..4]) && !open.begins_with(b"\x89PNG"));
        for _ in 0..2 {
            assert_eq!(read(&open).unwrap(), content);
        }
    }

    #[test]
    fn a_file_that_changes_never_comes_to_its_end() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a");
        let content = vec![7; 300_000];
        assert!(OpenImage::of(File::open("/proc/self/exe").unwrap(), Digest::of(&content)).unwrap().is_none());
        let other = [vec![7; 299_999], vec![8]].concat();
        for changed in [&other[..], &content[..200_000], b""] {
            let open = open(&path, &content);
            std::fs::write(&path, changed).unwrap();
            assert_eq!(read(&open).unwrap_err().kind(), io::ErrorKind::InvalidData, "{}", changed.len());
        }
        let open = open(&path, &content);
        std::fs::write(&path, [content.clone(), vec![7; 5]].concat()).unwrap();
        assert_eq!(read(&open).unwrap(), content, "what was added is not sent");
    }
}
