//! A part of a bucket, and what can be asked of it. Names are used as they are: nothing in them is encoded for the store.

use std::fmt;
use std::fs::File;
use std::io;
use std::ops::Range;
use std::os::unix::fs::FileExt;
use std::sync::Arc;

use bytes::Bytes;
use futures::{StreamExt, TryStreamExt};
use object_store::multipart::MultipartStore;
use object_store::path::Path;
use object_store::{Attribute, Attributes, Error, GetOptions, GetResult, ObjectStore, ObjectStoreExt, PutOptions};
use sha2::{Digest as _, Sha256};

use super::super::local::off_thread;
use super::super::{Address, PEEK, Pieces, Scheme, SinkError};
use super::begun::Begun;
use super::failed::{Failing, words_of};
use crate::domain::{Artifact, Digest};

/// What the digest is called among an object's metadata: a name that all stores take.
pub(super) const SHA256: &str = "sha256";

/// A part of a large object, and the most that is put by one request: a video holds so much memory while it is put. A store
/// takes 10,000 parts, which is more than the largest video has; S3 takes none below 5 MiB.
pub(super) const PART: usize = 8 << 20;

/// Under this name it is tried whether a bucket can be written; nothing ever has it.
const TRIAL: &str = ".nightreel-trial";

/// What lies at a name.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Seen {
    pub(super) bytes: u64,
    /// As its metadata have it.
    pub(super) sha256: Option<Digest>,
}

/// A part of a bucket. Does not show the client, which holds the credentials.
#[derive(Clone)]
pub(super) struct Bucket {
    pub(super) store: Arc<dyn ObjectStore>,
    pub(super) parts: Arc<dyn MultipartStore>,
    pub(super) failing: Failing,
    pub(super) prefix: String,
    pub(super) part: usize,
}

impl fmt::Debug for Bucket {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Bucket").field(&self.place()).finish()
    }
}

impl Bucket {
    pub(super) fn new<S: ObjectStore + MultipartStore>(store: Arc<S>, address: &Address) -> Self {
        let failing = Failing::at(address);
        Self { store: Arc::clone(&store) as _, parts: store, failing, prefix: address.prefix.clone(), part: PART }
    }

    pub(super) fn place(&self) -> &str {
        self.failing.place()
    }

    pub(super) fn path(&self, name: &str) -> Result<Path, SinkError> {
        let path =
            if self.prefix.is_empty() { Path::parse(name) } else { Path::parse(format!("{}/{name}", self.prefix)) };
        path.map_err(|error| self.failed(&error.into()))
    }

    pub(super) fn failed(&self, error: &Error) -> SinkError {
        self.failing.sink_error(error)
    }

    async fn get(&self, name: &str, options: GetOptions) -> Result<Option<GetResult>, SinkError> {
        match self.store.get_opts(&self.path(name)?, options).await {
            Ok(found) => Ok(Some(found)),
            Err(Error::NotFound { .. }) => Ok(None),
            Err(error) => Err(self.failed(&error)),
        }
    }

    /// What lies at a name.
    pub(super) async fn see(&self, name: &str) -> Result<Option<Seen>, SinkError> {
        let found = self.get(name, GetOptions { head: true, ..GetOptions::default() }).await?;
        Ok(found.map(|found| {
            let told = found.attributes.get(&Attribute::Metadata(SHA256.into()));
            Seen { bytes: found.meta.size, sha256: told.and_then(|told| told.parse().ok()) }
        }))
    }

    /// The digest of what lies at a name, which is read for it.
    pub(super) async fn hash(&self, name: &str) -> Result<Option<Digest>, SinkError> {
        let Some(found) = self.get(name, GetOptions::default()).await? else { return Ok(None) };
        let mut pieces = found.into_stream();
        let mut hasher = Sha256::new();
        while let Some(piece) = pieces.next().await {
            hasher.update(piece.map_err(|error| self.failed(&error))?);
        }
        Ok(Some(Digest::from_hasher(hasher)))
    }

    /// A part of a video, where it is as long as it was.
    pub(super) async fn read(&self, artifact: &Artifact, part: Range<u64>) -> Result<Option<Pieces>, SinkError> {
        let options = GetOptions { range: Some(part.into()), ..GetOptions::default() };
        let found = self.get(artifact.key.as_str(), options).await?;
        Ok(found.filter(|found| found.meta.size == artifact.bytes).map(|found| {
            let pieces = found.into_stream().map_err(|error| io::Error::other(words_of(&error)));
            pieces.boxed()
        }))
    }

    /// Names everything below the prefix.
    pub(super) async fn walk(&self, mut each: impl FnMut(String)) -> Result<(), SinkError> {
        let mut listed = self.store.list(self.below()?.as_ref());
        while let Some(object) = listed.next().await {
            let object = object.map_err(|error| self.failed(&error))?;
            let path = object.location.as_ref();
            let path = path.strip_prefix(&self.prefix).unwrap_or(path);
            each(path.trim_start_matches('/').to_owned());
        }
        Ok(())
    }

    fn below(&self) -> Result<Option<Path>, SinkError> {
        if self.prefix.is_empty() { Ok(None) } else { self.path("").map(Some) }
    }

    /// The beginning of an object.
    pub(super) async fn peek(&self, name: &str) -> Result<Option<Vec<u8>>, SinkError> {
        let Some(seen) = self.see(name).await? else { return Ok(None) };
        if seen.bytes == 0 {
            return Ok(Some(Vec::new()));
        }
        let options = GetOptions { range: Some((0..seen.bytes.min(PEEK)).into()), ..GetOptions::default() };
        let Some(found) = self.get(name, options).await? else { return Ok(None) };
        found.bytes().await.map(|bytes| Some(bytes.to_vec())).map_err(|error| self.failed(&error))
    }

    pub(super) async fn forget(&self, name: &str) -> Result<(), SinkError> {
        match self.store.delete(&self.path(name)?).await {
            Ok(()) | Err(Error::NotFound { .. }) => Ok(()),
            Err(error) => Err(self.failed(&error)),
        }
    }

    /// Whether the bucket is there, and can be read and written. A refusal is believed when it is told twice: it may be of what was
    /// asked for again, because the answer was lost, and was done already.
    pub(super) async fn ready(&self) -> Result<(), SinkError> {
        let tried = match self.tried().await {
            Err(SinkError::Refused { .. }) => self.tried().await,
            other => other,
        };
        tried.map_err(|error| self.failing.without_credentials(error))
    }

    /// Lists something, and begins an object that is given up at once. At Azure nothing is begun before it has content: it gets
    /// some, which nobody sees, and which Azure forgets after a week.
    async fn tried(&self) -> Result<(), SinkError> {
        if let Some(first) = self.store.list(self.below()?.as_ref()).next().await {
            first.map_err(|error| self.failed(&error))?;
        }
        let path = self.path(TRIAL)?;
        let begun = self.parts.create_multipart(&path).await.map_err(|error| self.failed(&error))?;
        if self.failing.scheme() == Scheme::Az {
            let content = Bytes::from_static(b"trial").into();
            self.parts.put_part(&path, &begun, 0, content).await.map_err(|error| self.failed(&error))?;
        }
        Begun::earlier(self, path, &begun).abort().await
    }

    /// Puts a document of nightreel's own in the place of what has its name.
    pub(super) async fn put_document(&self, name: &str, file: File) -> Result<(), SinkError> {
        let length = file.metadata().map_err(unread)?.len();
        let (file, path) = (Arc::new(file), self.path(name)?);
        let attributes = attributes(name, None);
        if length <= self.part as u64 {
            let bytes = piece(&file, 0, self.part).await?;
            let options = PutOptions { attributes, ..PutOptions::default() };
            return self
                .store
                .put_opts(&path, bytes.into(), options)
                .await
                .map(drop)
                .map_err(|error| self.failed(&error));
        }
        let mut begun = Begun::begin(self, path, attributes).await?;
        begun.fill(&file, length).await?;
        begun.complete().await
    }
}

/// What an object is told about itself.
pub(super) fn attributes(name: &str, sha256: Option<&Digest>) -> Attributes {
    let kind = match name.rsplit('.').next().unwrap_or_default() {
        "mp4" => "video/mp4",
        "html" => "text/html; charset=utf-8",
        "js" => "text/javascript; charset=utf-8",
        "csv" => "text/csv; charset=utf-8",
        "json" => "application/json",
        _ => "application/octet-stream",
    };
    let mut attributes = Attributes::from_iter([(Attribute::ContentType, kind)]);
    if let Some(sha256) = sha256 {
        attributes.insert(Attribute::Metadata(SHA256.into()), sha256.to_string().into());
    }
    attributes
}

/// A piece of a file from `at` on: up to `most` bytes.
pub(super) async fn piece(file: &Arc<File>, at: u64, most: usize) -> Result<Bytes, SinkError> {
    let file = Arc::clone(file);
    let read = off_thread(move || {
        let mut bytes = vec![0; most];
        let mut held = 0;
        while held < most {
            match file.read_at(&mut bytes[held..], at + held as u64) {
                Ok(0) => break,
                Ok(count) => held += count,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
        }
        bytes.truncate(held);
        Ok(Bytes::from(bytes))
    });
    read.await?.map_err(unread)
}

/// The local file failed while it was put.
pub(super) fn unread(source: io::Error) -> SinkError {
    SinkError::Unwritable { place: "the spool beside the ledger".to_owned(), source }
}
