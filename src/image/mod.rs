//! Local images: what they are, whether the remote will take them, and their bytes for a request. Looks at the header only,
//! never decodes, and never changes an image.

mod inspect;
mod open;
mod unfit;

use std::fs::File;
use std::io::Read as _;
use std::path::PathBuf;
use std::sync::Arc;

use bytes::Bytes;

use crate::domain::{Digest, ImageSource, Picture};

use self::open::OpenImage;

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

/// Larger files are not held in memory until their request has left, but read a second time while it leaves.
const MOST_HELD: u64 = 256 * 1024;

/// An image as a request carries it. A file must still be the one that was admitted. Blocks.
pub fn load(source: &ImageSource) -> Result<Picture, LoadError> {
    let (path, digest) = match source {
        ImageSource::Url(url) => return Ok(Picture::Url(url.clone())),
        ImageSource::File { path, digest } => (path, digest),
    };
    let unreadable = |error: std::io::Error| LoadError::Unreadable { path: path.clone(), words: error.to_string() };
    let changed = || LoadError::Changed { path: path.clone() };
    let mut file = File::open(path).map_err(unreadable)?;
    let bytes = file.metadata().map_err(unreadable)?.len();
    if bytes > MOST_BYTES {
        return Err(changed());
    }
    if bytes > MOST_HELD {
        let open = OpenImage::of(file, *digest).map_err(unreadable)?;
        return open.map(|open| Picture::File(Arc::new(open))).ok_or_else(changed);
    }
    let mut held = Vec::with_capacity(usize::try_from(bytes + 1).unwrap_or(0));
    file.by_ref().take(MOST_HELD + 1).read_to_end(&mut held).map_err(unreadable)?;
    if Digest::of(&held) != *digest {
        return Err(changed());
    }
    Ok(Picture::Raw(Bytes::from(held)))
}
