//! Local images: what they are, whether the remote will take them, and their bytes for a request. Looks at the header only,
//! never decodes, and never changes an image.

mod inspect;
mod unfit;

use std::fs::File;
use std::io::Read;
use std::path::{Path, PathBuf};

use bytes::Bytes;

use crate::domain::{Digest, ImageSource, Picture};

pub use inspect::{Inspected, Inspector};
pub use unfit::Unfit;

/// The largest file, in bytes: "10MB" (documented; read as 10 MiB or 10 MB is not stated, the smaller is taken).
pub const MOST_BYTES: u64 = 10_000_000;
/// The smallest width and height, in pixels (documented).
pub const LEAST_PIXELS: usize = 300;
/// The longest side over the shortest: 1:2.5 to 2.5:1 (documented).
pub const MOST_ASPECT: f64 = 2.5;

/// An image could not be made ready for a request.
#[derive(Debug, thiserror::Error)]
pub enum LoadError {
    /// It cannot be read.
    #[error("{path} cannot be read: {words}")]
    Unreadable {
        /// The file.
        path: PathBuf,
        /// What the system said.
        words: String,
    },
    /// It is not the image that was admitted.
    #[error("{path} changed since its row was admitted")]
    Changed {
        /// The file.
        path: PathBuf,
    },
}

/// An image as a request carries it. A file must still be the one that was admitted. Blocks.
pub fn load(source: &ImageSource) -> Result<Picture, LoadError> {
    let (path, digest) = match source {
        ImageSource::Url(url) => return Ok(Picture::Url(url.clone())),
        ImageSource::File { path, digest } => (path, digest),
    };
    let bytes = read(path).map_err(|error| LoadError::Unreadable { path: path.clone(), words: error.to_string() })?;
    if Digest::of(&bytes) != *digest {
        return Err(LoadError::Changed { path: path.clone() });
    }
    Ok(Picture::Raw(Bytes::from(bytes)))
}

/// A whole file, but never more than an image may have.
fn read(path: &Path) -> std::io::Result<Vec<u8>> {
    let file = File::open(path)?;
    let size = usize::try_from(file.metadata()?.len().min(MOST_BYTES)).unwrap_or(0);
    let mut bytes = Vec::with_capacity(size + 1);
    file.take(MOST_BYTES + 1).read_to_end(&mut bytes)?;
    Ok(bytes)
}
