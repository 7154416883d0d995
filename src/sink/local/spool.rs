//! Partial files of videos that go elsewhere: kept, checked and gone on with like those beside their target, and removed once
//! the video is where it belongs. All lie in one folder, under names made of where they go. Beside one, a note (`.note`) says
//! what was begun elsewhere and has to be cleared away, should this process die.

use std::fs::File;
use std::io::{Read, Write};
use std::path::PathBuf;
use std::sync::Arc;

use bytes::Bytes;

use super::folder::{Folder, failed};
use super::partial::{LocalPartial, locked};
use super::{is_owner, off_thread};
use crate::domain::{Digest, OutputKey};
use crate::sink::{Partial as _, SinkError};

/// The longest note that is read.
const LONGEST_NOTE: u64 = 16 * 1024;

/// A video on its way, in the spool.
#[derive(Debug)]
pub(in crate::sink) struct Spooled {
    partial: LocalPartial,
}

/// A whole video in the spool.
#[derive(Debug, Clone)]
pub(in crate::sink) struct Whole {
    pub(in crate::sink) file: Arc<File>,
    pub(in crate::sink) bytes: u64,
    pub(in crate::sink) sha256: Digest,
}

impl Spooled {
    /// Begins or resumes what goes to `place`, which is told apart from all other places by this text.
    pub(in crate::sink) async fn begin(folder: PathBuf, place: &str, owner: &str) -> Result<Self, SinkError> {
        let (name, owner) = (Digest::of(place.as_bytes()).short(32), owner.to_owned());
        let partial = off_thread(move || {
            let invalid = |words: String| failed(&folder, std::io::Error::new(std::io::ErrorKind::InvalidInput, words));
            if !is_owner(&owner) {
                return Err(invalid(format!("{owner:?} cannot be part of a file name")));
            }
            let key = OutputKey::new(name).map_err(|error| invalid(error.to_string()))?;
            LocalPartial::begin(Folder::make(&folder, &key)?, key, &owner)
        });
        Ok(Self { partial: partial.await?? })
    }

    pub(in crate::sink) fn held(&self) -> u64 {
        self.partial.held()
    }

    pub(in crate::sink) fn validator(&self) -> Option<&str> {
        self.partial.validator()
    }

    pub(in crate::sink) async fn restart(&mut self, validator: Option<String>) -> Result<(), SinkError> {
        self.partial.restart(validator).await
    }

    pub(in crate::sink) async fn append(&mut self, bytes: Bytes) -> Result<(), SinkError> {
        self.partial.append(bytes).await
    }

    /// The whole video. What is none is gone.
    pub(in crate::sink) async fn whole(&mut self, expected: Option<u64>) -> Result<Whole, SinkError> {
        self.partial.flush().await?;
        let file = Arc::clone(&self.partial.file);
        off_thread(move || {
            let mut file = locked(&file);
            let sha256 = file.whole(expected)?;
            let copy = file.file.as_ref().map(File::try_clone).transpose().map_err(|error| file.failed(error))?;
            let copy = copy.ok_or_else(|| file.failed(std::io::ErrorKind::NotFound.into()))?;
            Ok(Whole { file: Arc::new(copy), bytes: file.stored, sha256 })
        })
        .await?
    }

    /// What was noted.
    pub(in crate::sink) async fn noted(&self) -> Result<Option<String>, SinkError> {
        let file = Arc::clone(&self.partial.file);
        off_thread(move || {
            let file = locked(&file);
            let Some(note) = file.folder.read(&file.note())? else { return Ok(None) };
            let mut text = String::new();
            note.take(LONGEST_NOTE).read_to_string(&mut text).map_err(|error| file.failed(error))?;
            Ok(Some(text))
        })
        .await?
    }

    /// Notes something, durably: nothing is begun elsewhere that no note tells of.
    pub(in crate::sink) async fn note(&self, text: String) -> Result<(), SinkError> {
        let file = Arc::clone(&self.partial.file);
        off_thread(move || {
            let file = locked(&file);
            let mut note = file.folder.create(&file.note())?;
            note.write_all(text.as_bytes()).and_then(|()| note.sync_all()).map_err(|error| file.failed(error))?;
            file.folder.sync()
        })
        .await?
    }

    /// Forgets the note.
    pub(in crate::sink) async fn forget_note(&self) -> Result<(), SinkError> {
        let file = Arc::clone(&self.partial.file);
        off_thread(move || {
            let file = locked(&file);
            file.folder.remove(&file.note())
        })
        .await?
    }

    /// Removes it with all that belongs to it: the video is where it belongs.
    pub(in crate::sink) async fn remove(self) -> Result<(), SinkError> {
        let file = Arc::clone(&self.partial.file);
        off_thread(move || locked(&file).remove_all()).await?
    }
}
