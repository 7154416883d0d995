//! Finished videos: where they are put, and under which names. A sink never overwrites a file that is not its own, and
//! never shows a partial file under its final name. And pictures that are lent to a remote, where an object store is there for
//! that.

mod address;
#[cfg(test)]
pub(crate) mod contract;
mod lend;
mod local;
mod mp4;
mod name;
#[cfg(feature = "object-store")]
mod object;
mod spot;
mod unusable;

use std::fmt;
use std::io;
use std::ops::Range;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use bytes::Bytes;
use futures::future::BoxFuture;
use futures::stream::BoxStream;

use crate::domain::{Artifact, Digest, OutputKey};

pub use address::{Address, BadAddress, Scheme, is_address};
pub use lend::{LendError, Lender, Ready, UnusableLender, lender};
pub use local::LocalSink;
pub use name::{BadTemplate, NameTemplate};
#[cfg(feature = "object-store")]
pub use object::{ObjectLender, ObjectSink};
pub use unusable::UnusableSink;

/// What fills a document.
pub type Fill<'w> = dyn FnMut(&mut dyn io::Write) -> io::Result<()> + Send + 'w;

/// A video, or a part of it, piece by piece.
pub type Pieces = BoxStream<'static, io::Result<Bytes>>;

/// An output tree cannot be gone to.
#[derive(Debug, Clone, thiserror::Error)]
pub enum OpenError {
    /// Its address leads nowhere.
    #[error(transparent)]
    Address(#[from] BadAddress),
    /// This nightreel was built without the means.
    #[error("this nightreel was built without object stores, and cannot put anything into {0}")]
    NotBuilt(String),
    /// What the environment says of the store makes no sense.
    #[error("{place} cannot be used: {words}")]
    Settings {
        /// Where.
        place: String,
        /// What is wrong, without any credentials.
        words: String,
        /// What to do about it.
        hint: &'static str,
    },
}

impl OpenError {
    /// What to do about it.
    #[must_use]
    pub const fn hint(&self) -> &'static str {
        match self {
            Self::Address(_) => BadAddress::HINT,
            Self::NotBuilt(_) => "where its source is: cargo install --path . --locked --features object-store",
            Self::Settings { hint, .. } => hint,
        }
    }
}

/// Whether a file passes for a whole video.
#[cfg(any(test, fuzzing))]
pub(crate) fn is_video(file: &mut (impl io::Read + io::Seek)) -> bool {
    mp4::check(file).is_ok()
}

/// Where the partial files of an object store's videos lie: the one folder beside the ledger.
#[must_use]
pub fn spool(ledger: &Path) -> PathBuf {
    ledger.with_extension("spool")
}

/// The sink of an output tree: a folder, or an address in an object store, whose partial files lie in the folder `spool`.
pub fn open(tree: &Path, spool: &Path) -> Result<Arc<dyn Sink>, OpenError> {
    match Address::of(tree)? {
        None => Ok(Arc::new(LocalSink::new(tree.to_path_buf()))),
        #[cfg(feature = "object-store")]
        Some(address) => Ok(Arc::new(ObjectSink::open(&address, spool.to_path_buf())?)),
        #[cfg(not(feature = "object-store"))]
        Some(address) => {
            let _ = spool;
            Err(OpenError::NotBuilt(address.to_string()))
        }
    }
}

/// A sink could not do what it was asked.
#[derive(Debug, thiserror::Error)]
pub enum SinkError {
    /// The disk is full, or a quota is used up: nothing can be stored until a person acts.
    #[error("no space is left in the output tree")]
    Full,
    /// The output tree cannot be written: permissions, read-only, a file in the way of a folder.
    #[error("the output tree cannot be written at {place}")]
    Unwritable {
        /// Where.
        place: String,
        /// What the system said.
        #[source]
        source: std::io::Error,
    },
    /// An object store does not let us: no such bucket, credentials, rights. Nothing can be stored until a person acts.
    #[error("{place} does not take anything: {words}")]
    Refused {
        /// Where.
        place: String,
        /// What it said, without any credentials.
        words: String,
        /// What to do about it.
        hint: &'static str,
    },
    /// An object store does not answer, or fails; later it may work.
    #[error("{place} cannot be reached for now: {words}")]
    Unreachable {
        /// Where.
        place: String,
        /// What it said, without any credentials.
        words: String,
    },
    /// What was fetched is no whole video: HTML, too short, garbage after the end.
    #[error("what was fetched is not a whole MP4 file: {why}")]
    NotAVideo {
        /// What is wrong with it.
        why: String,
    },
}

/// What a file in the output tree is, beside what the ledger says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Found {
    /// There, with this digest and size.
    File {
        /// SHA-256 of its bytes.
        sha256: Digest,
        /// Its size.
        bytes: u64,
    },
    /// Not there.
    Missing,
}

/// A video that is being fetched: bytes are appended to a partial file beside the target. Dropping it keeps what is
/// there, for a later [`Sink::begin`] to go on with.
pub trait Partial: fmt::Debug + Send {
    /// How many bytes are there already.
    fn held(&self) -> u64;

    /// What the file host called the version that these bytes are of (a strong `ETag`, or `Last-Modified`), where it said so:
    /// a download goes on only with the same version.
    fn validator(&self) -> Option<&str>;

    /// Throws away what is there and starts again, with bytes of this version.
    fn restart(&mut self, validator: Option<String>) -> BoxFuture<'_, Result<(), SinkError>>;

    /// Appends bytes.
    fn append(&mut self, bytes: Bytes) -> BoxFuture<'_, Result<(), SinkError>>;

    /// Checks that it is a whole video (and `expected` bytes long, where known), syncs it, and gives it its final name.
    /// A file of other content that stands there already is left alone: the video takes the next free name beside it.
    /// On [`SinkError::NotAVideo`] the partial file is gone.
    fn finish(self: Box<Self>, expected: Option<u64>) -> BoxFuture<'static, Result<Artifact, SinkError>>;
}

/// Where finished videos go.
pub trait Sink: fmt::Debug + Send + Sync {
    /// Begins or resumes a video that goes to `key`. `owner` (letters, digits, `-`) keeps the partial files of different attempts
    /// apart, so that bytes of one task are never continued with those of another.
    fn begin<'a>(&'a self, key: &'a OutputKey, owner: &'a str) -> BoxFuture<'a, Result<Box<dyn Partial>, SinkError>>;

    /// What lies at `key`.
    fn look<'a>(&'a self, key: &'a OutputKey) -> BoxFuture<'a, Result<Found, SinkError>>;

    /// A part of a video, or all of it: `None` where it is gone, or is not as long as it was.
    fn read<'a>(&'a self, artifact: &'a Artifact, part: Range<u64>)
    -> BoxFuture<'a, Result<Option<Pieces>, SinkError>>;

    /// Calls `each` with every file in the tree but partial files and those that nightreel writes itself (`results.csv`, the report), as a path
    /// relative to the tree with `/` between its parts.
    fn walk<'a>(&'a self, each: &'a mut (dyn FnMut(String) + Send)) -> BoxFuture<'a, Result<(), SinkError>>;

    /// Writes a document of nightreel's own (`results.csv`, a file of the report) atomically: `write` fills it, on the calling
    /// thread.
    fn document<'a>(&'a self, name: &'a str, write: &'a mut Fill<'_>) -> BoxFuture<'a, Result<(), SinkError>>;

    /// How a document begins, its first [`PEEK`] bytes; `None` where there is none.
    fn peek<'a>(&'a self, name: &'a str) -> BoxFuture<'a, Result<Option<Vec<u8>>, SinkError>>;

    /// Removes a document, if it is there.
    fn forget<'a>(&'a self, name: &'a str) -> BoxFuture<'a, Result<(), SinkError>>;

    /// Whether something could be put here now, as far as can be told without leaving a trace. A folder is made when it is
    /// needed, and only then shows whether it can be.
    fn ready(&self) -> BoxFuture<'_, Result<(), SinkError>> {
        Box::pin(std::future::ready(Ok(())))
    }

    /// Where the tree is, for people.
    fn place(&self) -> String;
}

/// How much of a document [`Sink::peek`] gives.
pub const PEEK: u64 = 64 * 1024;
