//! Finished videos: where they are put, and under which names. A sink never overwrites a file that is not its own, and
//! never shows a partial file under its final name.

#[cfg(test)]
pub(crate) mod contract;
mod local;
mod mp4;
mod name;

use std::fmt;

use bytes::Bytes;
use futures::future::BoxFuture;

use crate::domain::{Artifact, Digest, OutputKey};

pub use local::LocalSink;
pub use name::{BadTemplate, NameTemplate};

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

    /// Calls `each` with every file in the tree but partial files and those that nightreel writes itself (`results.csv`, the report), as a path
    /// relative to the tree with `/` between its parts.
    fn walk<'a>(&'a self, each: &'a mut (dyn FnMut(String) + Send)) -> BoxFuture<'a, Result<(), SinkError>>;

    /// Writes a document of nightreel's own (`results.csv`, a file of the report) atomically: `write` fills it. Runs on the calling thread.
    fn document(
        &self,
        name: &str,
        write: &mut dyn FnMut(&mut dyn std::io::Write) -> std::io::Result<()>,
    ) -> Result<(), SinkError>;

    /// Where the tree is, for people.
    fn place(&self) -> String;
}
