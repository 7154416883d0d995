//! A video on its way: `.{file}.{owner}.part` beside its target, and `.{file}.{owner}.part.of` with the version that its
//! bytes are of, which counts only where its line is whole; without it, what came is fetched again. A file that is new can
//! be of no other version: its own is written down only once that much came that it is worth going on with, or when the
//! download stops. Where another version was there, the file is durably empty before the version changes, and the version
//! durable before the first byte. No crash joins the bytes of two versions.

use std::fs::File;
use std::io::{self, Read, Seek, Write};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use bytes::Bytes;
use futures::future::BoxFuture;
use rustix::fs::FlockOperation;
use rustix::io::Errno;
use sha2::{Digest as _, Sha256};

use super::folder::{Folder, Named, failed};
use super::off_thread;
use crate::domain::{Artifact, Digest, OutputKey};
use crate::sink::mp4::{self, Flaw};
use crate::sink::spot::{self, split};
use crate::sink::{Partial, SinkError};

/// Bytes are gathered up to this size before they are written.
const WRITE_AT_ONCE: usize = 256 * 1024;

/// From this size on a video that is cut off is gone on with, even by a kill; making and removing one more file for each
/// small one costs more than fetching it again.
const WORTH_KEEPING: u64 = 4 << 20;

/// The longest validator that is kept; hosts that exceed it get no resume.
const LONGEST_VALIDATOR: u64 = 1024;

#[derive(Debug)]
pub(super) struct LocalPartial {
    pub(super) file: Arc<Mutex<PartFile>>,
    waiting: Vec<u8>,
    held: u64,
    validator: Option<String>,
}

/// What the blocking side works on. The file is made with the first restart or byte: beginning leaves no trace.
#[derive(Debug)]
pub(super) struct PartFile {
    pub(super) folder: Folder,
    key: OutputKey,
    part: String,
    of: String,
    pub(super) file: Option<File>,
    hasher: Sha256,
    pub(super) stored: u64,
    /// The version that is not written down yet.
    unnamed: Option<String>,
}

impl LocalPartial {
    pub(super) fn begin(folder: Folder, key: OutputKey, owner: &str) -> Result<Self, SinkError> {
        let part = part_name(split(&key).1, owner);
        let of = format!("{part}.of");
        let mut this = PartFile { folder, key, part, of, file: None, hasher: Sha256::new(), stored: 0, unnamed: None };
        let mut validator = None;
        if let Some(mut file) = this.folder.reopen(&this.part)? {
            this.lock(&file)?;
            (this.hasher, this.stored) = hash(&mut file).map_err(|error| this.failed(error))?;
            this.file = Some(file);
            if this.stored > 0 {
                validator = this.read_validator()?;
            }
        }
        let held = this.stored;
        Ok(Self { file: Arc::new(Mutex::new(this)), waiting: Vec::new(), held, validator })
    }

    /// Writes what was gathered. The write goes on where the future is dropped; the lock keeps the order.
    pub(super) async fn flush(&mut self) -> Result<(), SinkError> {
        let mut bytes = std::mem::take(&mut self.waiting);
        let file = Arc::clone(&self.file);
        let (result, stored, bytes) = off_thread(move || {
            let mut file = locked(&file);
            let result = file.write(&bytes);
            bytes.clear();
            (result, file.stored, bytes)
        })
        .await?;
        self.waiting = bytes;
        self.held = stored;
        result
    }
}

impl Partial for LocalPartial {
    fn held(&self) -> u64 {
        self.held
    }

    fn validator(&self) -> Option<&str> {
        self.validator.as_deref()
    }

    fn restart(&mut self, validator: Option<String>) -> BoxFuture<'_, Result<(), SinkError>> {
        Box::pin(async move {
            self.waiting.clear();
            self.held = 0;
            self.validator = validator.filter(|text| text.len() as u64 <= LONGEST_VALIDATOR);
            let (file, validator) = (Arc::clone(&self.file), self.validator.clone());
            off_thread(move || locked(&file).restart(validator.as_deref())).await?
        })
    }

    fn append(&mut self, bytes: Bytes) -> BoxFuture<'_, Result<(), SinkError>> {
        Box::pin(async move {
            self.held += bytes.len() as u64;
            self.waiting.extend_from_slice(&bytes);
            if self.waiting.len() >= WRITE_AT_ONCE { self.flush().await } else { Ok(()) }
        })
    }

    fn finish(mut self: Box<Self>, expected: Option<u64>) -> BoxFuture<'static, Result<Artifact, SinkError>> {
        Box::pin(async move {
            let (file, rest) = (Arc::clone(&self.file), std::mem::take(&mut self.waiting));
            let finish = move || {
                let mut file = locked(&file);
                file.write(&rest)?;
                file.finish(expected)
            };
            off_thread(finish).await?
        })
    }
}

impl Drop for LocalPartial {
    fn drop(&mut self) {
        let mut file = locked(&self.file);
        // What cannot be kept is fetched again.
        let _ = file.write(&self.waiting).and_then(|()| file.name_version());
    }
}

pub(super) fn locked(file: &Mutex<PartFile>) -> MutexGuard<'_, PartFile> {
    file.lock().unwrap_or_else(PoisonError::into_inner)
}

impl PartFile {
    pub(super) fn failed(&self, error: io::Error) -> SinkError {
        failed(&self.folder.place(&self.part), error)
    }

    /// Keeps other processes away from the partial file for as long as it is open.
    fn lock(&self, file: &File) -> Result<(), SinkError> {
        // Where there are no locks, the ledger's own lock has to do.
        let busy = rustix::fs::flock(file, FlockOperation::NonBlockingLockExclusive) == Err(Errno::WOULDBLOCK);
        // Its last writer may have finished between our opening and our locking: then this is the video by now.
        if busy || !self.folder.has(&self.part, file) {
            let words = "another nightreel is fetching this very video";
            return Err(self.failed(io::Error::new(io::ErrorKind::ResourceBusy, words)));
        }
        Ok(())
    }

    fn read_validator(&self) -> Result<Option<String>, SinkError> {
        let Some(file) = self.folder.read(&self.of)? else {
            return Ok(None);
        };
        let mut text = Vec::new();
        file.take(LONGEST_VALIDATOR + 1).read_to_end(&mut text).map_err(|error| self.failed(error))?;
        // A line that was cut off by a crash says nothing.
        let line = String::from_utf8(text).ok();
        Ok(line.as_deref().and_then(|line| line.strip_suffix('\n')).filter(|line| !line.is_empty()).map(str::to_owned))
    }

    /// Begins anew with bytes of this version.
    fn restart(&mut self, validator: Option<&str>) -> Result<(), SinkError> {
        self.hasher = Sha256::new();
        self.stored = 0;
        self.unnamed = None;
        if let Some(file) = &mut self.file {
            let emptied = file.set_len(0).and_then(|()| file.rewind()).and_then(|()| file.sync_all());
            emptied.map_err(|error| self.failed(error))?;
        } else {
            let file = self.folder.create_new(&self.part)?;
            self.lock(&file)?;
            self.file = Some(file);
            if !self.folder.exists(&self.of)? {
                self.unnamed = validator.map(str::to_owned);
                return Ok(());
            }
        }
        match validator {
            Some(text) => self.write_version(text)?.sync_all().map_err(|error| self.failed(error))?,
            None => self.folder.remove(&self.of)?,
        }
        self.folder.sync()
    }

    fn write_version(&self, text: &str) -> Result<File, SinkError> {
        let mut of = self.folder.create(&self.of)?;
        of.write_all(format!("{text}\n").as_bytes()).map_err(|error| self.failed(error))?;
        Ok(of)
    }

    /// Writes down the version of what came, where that was left for later.
    fn name_version(&mut self) -> Result<(), SinkError> {
        match self.unnamed.take().filter(|_| self.file.is_some() && self.stored > 0) {
            Some(text) => self.write_version(&text).map(drop),
            None => Ok(()),
        }
    }

    fn write(&mut self, mut bytes: &[u8]) -> Result<(), SinkError> {
        if self.file.is_none() && !bytes.is_empty() {
            self.restart(None)?;
        }
        while let Some(file) = self.file.as_mut().filter(|_| !bytes.is_empty()) {
            match file.write(bytes) {
                Ok(0) => return Err(self.failed(io::ErrorKind::WriteZero.into())),
                Ok(count) => {
                    let (written, rest) = bytes.split_at(count);
                    self.hasher.update(written);
                    self.stored += count as u64;
                    bytes = rest;
                }
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(self.failed(error)),
            }
        }
        if self.stored >= WORTH_KEEPING { self.name_version() } else { Ok(()) }
    }

    /// Whether it is a whole video, and which. What is none is gone.
    pub(super) fn whole(&mut self, expected: Option<u64>) -> Result<Digest, SinkError> {
        if let Some(expected) = expected.filter(|&expected| expected != self.stored) {
            return self.discard(format!("it is {} bytes long where {expected} were announced", self.stored));
        }
        let Some(file) = &mut self.file else {
            return self.discard("it is empty".to_owned());
        };
        match mp4::check(file) {
            Ok(()) => Ok(Digest::from_hasher(self.hasher.clone())),
            Err(Flaw::Wrong(why)) => self.discard(why),
            Err(Flaw::Unread(error)) => Err(self.failed(error)),
        }
    }

    fn finish(&mut self, expected: Option<u64>) -> Result<Artifact, SinkError> {
        let sha256 = self.whole(expected)?;
        let synced = self.file.as_ref().map_or(Ok(()), File::sync_all);
        synced.map_err(|error| self.failed(error))?;
        let key = self.place(&sha256)?;
        if self.unnamed.take().is_none() {
            self.folder.remove(&self.of)?;
        }
        self.folder.sync()?;
        Ok(Artifact { key, bytes: self.stored, sha256 })
    }

    /// Gives the file the first name that is free, or that this very video has already: a crash may have come between
    /// the naming and its record.
    fn place(&self, sha256: &Digest) -> Result<OutputKey, SinkError> {
        for key in spot::names(&self.key) {
            let name = split(&key).1;
            if self.folder.give_name(&self.part, name)? == Named::Given {
                return Ok(key);
            }
            if self.is_same(name, sha256)? {
                self.folder.remove(&self.part)?;
                return Ok(key);
            }
        }
        Err(self.failed(io::Error::new(io::ErrorKind::AlreadyExists, spot::TOO_MANY)))
    }

    fn is_same(&self, name: &str, sha256: &Digest) -> Result<bool, SinkError> {
        let read_failed = |error| failed(&self.folder.place(name), error);
        let Some(mut file) = self.folder.read(name)? else {
            return Ok(false);
        };
        if file.metadata().map_err(read_failed)?.len() != self.stored {
            return Ok(false);
        }
        let (hasher, _) = hash(&mut file).map_err(read_failed)?;
        if Digest::from_hasher(hasher) != *sha256 {
            return Ok(false);
        }
        file.sync_all().map_err(read_failed)?;
        Ok(true)
    }

    /// The name of a note about it.
    #[cfg(feature = "object-store")]
    pub(super) fn note(&self) -> String {
        format!("{}.note", self.part)
    }

    /// Removes it with all that belongs to it.
    #[cfg(feature = "object-store")]
    pub(super) fn remove_all(&mut self) -> Result<(), SinkError> {
        self.file = None;
        self.unnamed = None;
        // What cannot be gone on with goes last: whatever is left of it, nothing is made of it twice.
        self.folder.remove(&self.note())?;
        self.folder.remove(&self.part)?;
        self.folder.remove(&self.of)
    }

    fn discard<T>(&mut self, why: String) -> Result<T, SinkError> {
        self.file = None;
        self.folder.remove(&self.part)?;
        self.folder.remove(&self.of)?;
        Err(SinkError::NotAVideo { why })
    }
}

/// The digest and the length of what follows in a file; leaves it at its end.
pub(super) fn hash(file: &mut File) -> io::Result<(Sha256, u64)> {
    let mut hasher = Sha256::new();
    let mut buffer = vec![0; WRITE_AT_ONCE];
    let mut length = 0;
    loop {
        match file.read(&mut buffer) {
            Ok(0) => return Ok((hasher, length)),
            Ok(count) => {
                hasher.update(&buffer[..count]);
                length += count as u64;
            }
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
}

/// The name of a partial file. A long file name is cut and told apart by its digest: names end at 255 bytes.
fn part_name(file: &str, owner: &str) -> String {
    if file.len() <= 140 {
        return format!(".{file}.{owner}.part");
    }
    let cut = &file[..file.floor_char_boundary(120)];
    format!(".{cut}-{}.{owner}.part", Digest::of(file.as_bytes()).short(16))
}
