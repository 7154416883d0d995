//! A whole video on its way into the bucket: under the first name that is free, or that this very video has already.

use object_store::{Error, PutMode, PutOptions};

use super::super::local::{Spooled, Whole};
use super::super::{SinkError, spot};
use super::begun::Begun;
use super::bucket::{Bucket, Seen, attributes, piece, unread};
use crate::domain::{Digest, OutputKey};

/// A video that is whole in the spool.
pub(super) struct Video<'a> {
    pub(super) bucket: &'a Bucket,
    pub(super) spooled: &'a Spooled,
    pub(super) whole: Whole,
}

/// What became of an attempt to put it under a name.
#[derive(Debug, PartialEq, Eq)]
enum Put {
    Done,
    /// Something lies there that was not there before.
    Taken,
}

/// What lies at a name.
#[derive(Debug, PartialEq, Eq)]
enum There {
    Nothing,
    /// This very video: a crash may have come between the putting and its record.
    Same,
    Other,
}

impl Video<'_> {
    /// Puts it, and says under which name.
    pub(super) async fn put(self, key: &OutputKey) -> Result<OutputKey, SinkError> {
        self.clear_away().await?;
        for key in spot::names(key) {
            match self.there(&key).await? {
                There::Same => return Ok(key),
                There::Other => continue,
                There::Nothing => {}
            }
            let put = if self.whole.bytes <= self.bucket.part as u64 {
                self.put_at_once(&key).await?
            } else {
                self.put_in_parts(&key).await?
            };
            if put == Put::Done || self.there(&key).await? == There::Same {
                return Ok(key);
            }
        }
        Err(SinkError::Unwritable {
            place: format!("{}/{key}", self.bucket.place()),
            source: std::io::Error::new(std::io::ErrorKind::AlreadyExists, spot::TOO_MANY),
        })
    }

    async fn there(&self, key: &OutputKey) -> Result<There, SinkError> {
        let name = key.as_str();
        let digest = match self.bucket.see(name).await? {
            None => return Ok(There::Nothing),
            Some(Seen { bytes, .. }) if bytes != self.whole.bytes => return Ok(There::Other),
            Some(Seen { sha256: Some(sha256), .. }) => Some(sha256),
            Some(Seen { sha256: None, .. }) => self.bucket.hash(name).await?,
        };
        Ok(if digest == Some(self.whole.sha256) { There::Same } else { There::Other })
    }

    async fn put_at_once(&self, key: &OutputKey) -> Result<Put, SinkError> {
        let (bucket, whole) = (self.bucket, &self.whole);
        let (path, bytes) = (bucket.path(key.as_str())?, piece(&whole.file, 0, bucket.part).await?);
        self.must_be_the_same(&Digest::of(&bytes))?;
        let options = |mode| {
            let attributes = attributes(key.as_str(), Some(&whole.sha256));
            PutOptions { mode, attributes, ..PutOptions::default() }
        };
        let put = bucket.store.put_opts(&path, bytes.clone().into(), options(PutMode::Create)).await;
        let put = match put {
            // The store knows no conditions: that the name was just seen to be free has to do.
            Err(Error::NotImplemented { .. }) => {
                bucket.store.put_opts(&path, bytes.into(), options(PutMode::Overwrite)).await
            }
            other => other,
        };
        match put {
            Ok(_) => Ok(Put::Done),
            Err(Error::AlreadyExists { .. } | Error::Precondition { .. }) => Ok(Put::Taken),
            Err(error) => Err(bucket.failed(&error)),
        }
    }

    async fn put_in_parts(&self, key: &OutputKey) -> Result<Put, SinkError> {
        let (bucket, whole) = (self.bucket, &self.whole);
        let path = bucket.path(key.as_str())?;
        let attributes = attributes(key.as_str(), Some(&whole.sha256));
        let mut begun = Begun::begin(bucket, path, attributes).await?;
        if let Some(note) = begun.note() {
            self.spooled.note(note).await.map_err(super::spool_failed)?;
        }
        let sha256 = begun.fill(&whole.file, whole.bytes).await?;
        self.must_be_the_same(&sha256)?;
        let put = if self.there(key).await? == There::Nothing {
            if let Err(why) = begun.complete().await
                && self.there(key).await? != There::Same
            {
                return Err(why);
            }
            Put::Done
        } else {
            begun.abort().await?;
            Put::Taken
        };
        self.spooled.forget_note().await.map_err(super::spool_failed)?;
        Ok(put)
    }

    /// What an earlier process began to put, and did not complete, is given up.
    async fn clear_away(&self) -> Result<(), SinkError> {
        let Some(note) = self.spooled.noted().await.map_err(super::spool_failed)? else { return Ok(()) };
        let mut lines = note.lines();
        // A note that a crash cut off tells of nothing: it was on the disk whole before the first part was put.
        if let (Some(path), Some(id), true) = (lines.next(), lines.next(), note.ends_with('\n')) {
            let path = object_store::path::Path::parse(path).map_err(|error| self.bucket.failed(&error.into()))?;
            let begun = Begun::earlier(self.bucket, path, id);
            // A store that has forgotten it says so in many ways; those that can be reached again are asked again.
            if let Err(error @ SinkError::Unreachable { .. }) = begun.abort().await {
                return Err(error);
            }
        }
        self.spooled.forget_note().await.map_err(super::spool_failed)
    }

    /// What was read of the spool must be what was checked.
    fn must_be_the_same(&self, sha256: &Digest) -> Result<(), SinkError> {
        if *sha256 == self.whole.sha256 {
            return Ok(());
        }
        Err(unread(std::io::Error::new(std::io::ErrorKind::InvalidData, "the file changed while it was put")))
    }
}
