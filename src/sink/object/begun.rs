//! A large object while it is put, part by part.

use std::fs::File;
use std::io;
use std::sync::Arc;

use object_store::multipart::PartId;
use object_store::path::Path;
use object_store::{Attributes, Error, MultipartUpload, PutMultipartOptions};
use sha2::{Digest as _, Sha256};

use super::super::SinkError;
use super::bucket::{Bucket, piece, unread};
use crate::domain::Digest;

/// A large object that was begun. Dropped before it is complete, it is given up, so that its parts cost nothing.
pub(super) struct Begun {
    bucket: Bucket,
    path: Path,
    way: Way,
}

/// How its parts are put.
enum Way {
    /// Under the id that the store gave it, by which any process can give it up.
    ById(String, Vec<PartId>),
    /// Azure has no ids. It is told what an object says of itself when all parts are there, and forgets parts by itself.
    Held(Box<dyn MultipartUpload>),
    /// It is complete, or given up.
    Over,
}

impl Begun {
    /// Begins an object that will say this of itself.
    pub(super) async fn begin(bucket: &Bucket, path: Path, attributes: Attributes) -> Result<Self, SinkError> {
        let options = PutMultipartOptions { attributes, ..PutMultipartOptions::default() };
        let way = match bucket.parts.create_multipart_opts(&path, options.clone()).await {
            Ok(id) => Ok(Way::ById(id, Vec::new())),
            Err(Error::NotSupported { .. }) => bucket.store.put_multipart_opts(&path, options).await.map(Way::Held),
            Err(error) => Err(error),
        };
        Ok(Self { bucket: bucket.clone(), way: way.map_err(|error| bucket.failed(&error))?, path })
    }

    /// One that an earlier process began.
    pub(super) fn earlier(bucket: &Bucket, path: Path, id: &str) -> Self {
        Self { bucket: bucket.clone(), path, way: Way::ById(id.to_owned(), Vec::new()) }
    }

    /// What a later process needs to give it up, where that can be done.
    pub(super) fn note(&self) -> Option<String> {
        match &self.way {
            Way::ById(id, _) => Some(format!("{}\n{id}\n", self.path)),
            Way::Held(_) | Way::Over => None,
        }
    }

    /// Puts all parts, one after the other, and gives their digest.
    pub(super) async fn fill(&mut self, file: &Arc<File>, length: u64) -> Result<Digest, SinkError> {
        let (mut hasher, mut at) = (Sha256::new(), 0);
        while at < length {
            let bytes = piece(file, at, self.bucket.part).await?;
            if bytes.is_empty() {
                return Err(unread(io::ErrorKind::UnexpectedEof.into()));
            }
            at += bytes.len() as u64;
            hasher.update(&bytes);
            let put = match &mut self.way {
                Way::ById(id, parts) => {
                    let put = self.bucket.parts.put_part(&self.path, id, parts.len(), bytes.into()).await;
                    put.map(|part| parts.push(part))
                }
                Way::Held(upload) => upload.put_part(bytes.into()).await,
                Way::Over => Ok(()),
            };
            put.map_err(|error| self.bucket.failed(&error))?;
        }
        Ok(Digest::from_hasher(hasher))
    }

    /// An error may be the answer to a request that was made again, because the answer to the first was lost: what it was to come
    /// to is looked for.
    pub(super) async fn complete(mut self) -> Result<(), SinkError> {
        let completed = match &mut self.way {
            Way::ById(id, parts) => {
                self.bucket.parts.complete_multipart(&self.path, id, std::mem::take(parts)).await.map(drop)
            }
            Way::Held(upload) => upload.complete().await.map(drop),
            Way::Over => Ok(()),
        };
        match completed {
            Ok(()) => {
                self.way = Way::Over;
                Ok(())
            }
            // The bucket was there when it was begun.
            Err(Error::NotFound { .. }) => {
                let (place, words) = (self.bucket.place().to_owned(), "what was put in parts is gone".to_owned());
                Err(SinkError::Unreachable { place, words })
            }
            Err(error) => Err(self.bucket.failed(&error)),
        }
    }

    /// Gives it up, and waits for that.
    pub(super) async fn abort(mut self) -> Result<(), SinkError> {
        let given_up = match std::mem::replace(&mut self.way, Way::Over) {
            Way::ById(id, _) => self.bucket.parts.abort_multipart(&self.path, &id).await,
            Way::Held(mut upload) => upload.abort().await,
            Way::Over => Ok(()),
        };
        match given_up {
            Ok(()) | Err(Error::NotFound { .. }) => Ok(()),
            Err(error) => Err(self.bucket.failed(&error)),
        }
    }
}

impl Drop for Begun {
    fn drop(&mut self) {
        // What has no id is forgotten by the store itself.
        let Way::ById(id, _) = std::mem::replace(&mut self.way, Way::Over) else { return };
        let Ok(runtime) = tokio::runtime::Handle::try_current() else { return };
        let (bucket, path) = (self.bucket.clone(), self.path.clone());
        runtime.spawn(async move {
            // What is left of it where this fails is cleared by the note in the spool, or by the bucket's own rules.
            drop(bucket.parts.abort_multipart(&path, &id).await);
        });
    }
}
