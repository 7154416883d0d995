//! The output tree as a part of a bucket: S3, Google Cloud Storage, Azure, or what speaks like them.
//!
//! An object is there whole or not at all, so that no drafts are needed in the bucket; what is not whole yet lies in the
//! spool, a folder beside the ledger, where it is checked before it is put. What lies at a name is looked at before
//! anything is put there. A small video is put by one conditional request, which fails where somebody was faster. A large one
//! goes in parts; completing them cannot be made conditional through `object_store`, so that its name is looked at once more
//! just before. Each video carries its SHA-256 as metadata. Pictures are lent from a bucket, too (`lend.rs`).

mod begun;
mod bucket;
mod connect;
mod failed;
mod lend;
mod put;
#[cfg(test)]
mod tests;

use std::io::{self, BufWriter, Write};
use std::ops::Range;
use std::path::PathBuf;
use std::sync::Arc;

use bytes::Bytes;
use futures::future::BoxFuture;
use tempfile::tempfile;

pub use self::lend::ObjectLender;

use self::bucket::{Bucket, Seen};
use self::put::Video;
use super::local::Spooled;
use super::spot::is_listed;
use super::{Address, Fill, Found, OpenError, Partial, Pieces, Sink, SinkError};
use crate::domain::{Artifact, OutputKey};

/// A part of a bucket.
#[derive(Debug)]
pub struct ObjectSink {
    bucket: Arc<Bucket>,
    spool: PathBuf,
}

impl ObjectSink {
    /// A sink that puts everything below an address, with credentials from the environment or the machine. Asks nobody yet.
    pub fn open(address: &Address, spool: PathBuf) -> Result<Self, OpenError> {
        Ok(Self { bucket: Arc::new(connect::connect(address)?.0), spool })
    }
}

impl Sink for ObjectSink {
    fn begin<'a>(&'a self, key: &'a OutputKey, owner: &'a str) -> BoxFuture<'a, Result<Box<dyn Partial>, SinkError>> {
        Box::pin(async move {
            let place = format!("{}/{key}", self.bucket.place());
            let spooled = Spooled::begin(self.spool.clone(), &place, owner).await.map_err(spool_failed)?;
            let bucket = Arc::clone(&self.bucket);
            Ok(Box::new(ObjectPartial { bucket, key: key.clone(), spooled }) as Box<dyn Partial>)
        })
    }

    fn look<'a>(&'a self, key: &'a OutputKey) -> BoxFuture<'a, Result<Found, SinkError>> {
        Box::pin(async move {
            match self.bucket.see(key.as_str()).await? {
                None => Ok(Found::Missing),
                Some(Seen { bytes, sha256: Some(sha256) }) => Ok(Found::File { sha256, bytes }),
                Some(Seen { bytes, sha256: None }) => Ok(match self.bucket.hash(key.as_str()).await? {
                    Some(sha256) => Found::File { sha256, bytes },
                    None => Found::Missing,
                }),
            }
        })
    }

    fn read<'a>(
        &'a self,
        artifact: &'a Artifact,
        part: Range<u64>,
    ) -> BoxFuture<'a, Result<Option<Pieces>, SinkError>> {
        Box::pin(self.bucket.read(artifact, part))
    }

    fn walk<'a>(&'a self, each: &'a mut (dyn FnMut(String) + Send)) -> BoxFuture<'a, Result<(), SinkError>> {
        Box::pin(self.bucket.walk(move |path| {
            if is_listed(&path) {
                each(path);
            }
        }))
    }

    fn document<'a>(&'a self, name: &'a str, write: &'a mut Fill<'_>) -> BoxFuture<'a, Result<(), SinkError>> {
        Box::pin(async move {
            let mut written = || {
                let mut file = BufWriter::new(tempfile()?);
                write(&mut file)?;
                file.flush()?;
                file.into_inner().map_err(io::IntoInnerError::into_error)
            };
            let file = written().map_err(|source| match source.kind() {
                io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded => SinkError::Full,
                _ => SinkError::Unwritable { place: std::env::temp_dir().display().to_string(), source },
            })?;
            self.bucket.put_document(name, file).await
        })
    }

    fn peek<'a>(&'a self, name: &'a str) -> BoxFuture<'a, Result<Option<Vec<u8>>, SinkError>> {
        Box::pin(self.bucket.peek(name))
    }

    fn forget<'a>(&'a self, name: &'a str) -> BoxFuture<'a, Result<(), SinkError>> {
        Box::pin(self.bucket.forget(name))
    }

    fn ready(&self) -> BoxFuture<'_, Result<(), SinkError>> {
        Box::pin(self.bucket.ready())
    }

    fn place(&self) -> String {
        self.bucket.place().to_owned()
    }
}

/// A video on its way: in the spool until it is whole, then in the bucket.
#[derive(Debug)]
struct ObjectPartial {
    bucket: Arc<Bucket>,
    key: OutputKey,
    spooled: Spooled,
}

impl Partial for ObjectPartial {
    fn held(&self) -> u64 {
        self.spooled.held()
    }

    fn validator(&self) -> Option<&str> {
        self.spooled.validator()
    }

    fn restart(&mut self, validator: Option<String>) -> BoxFuture<'_, Result<(), SinkError>> {
        Box::pin(async move { self.spooled.restart(validator).await.map_err(spool_failed) })
    }

    fn append(&mut self, bytes: Bytes) -> BoxFuture<'_, Result<(), SinkError>> {
        Box::pin(async move { self.spooled.append(bytes).await.map_err(spool_failed) })
    }

    /// The spooled file goes only when the object is confirmed: whatever fails, the next try has the bytes.
    fn finish(self: Box<Self>, expected: Option<u64>) -> BoxFuture<'static, Result<Artifact, SinkError>> {
        Box::pin(async move {
            let Self { bucket, key, mut spooled } = *self;
            let whole = spooled.whole(expected).await.map_err(spool_failed)?;
            let (bytes, sha256) = (whole.bytes, whole.sha256);
            let key = Video { bucket: &bucket, spooled: &spooled, whole }.put(&key).await?;
            spooled.remove().await.map_err(spool_failed)?;
            Ok(Artifact { key, bytes, sha256 })
        })
    }
}

/// It is not the output tree that is full.
fn spool_failed(error: SinkError) -> SinkError {
    match error {
        SinkError::Full => SinkError::Unwritable {
            place: "the spool beside the ledger".to_owned(),
            source: io::ErrorKind::StorageFull.into(),
        },
        other => other,
    }
}
