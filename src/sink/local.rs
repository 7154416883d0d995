//! The output tree as a folder of the local file system. Names are given without overwriting, folders and files are synced
//! before anybody is told that a video is there, and no symbolic link below the root is followed.

mod folder;
mod partial;
#[cfg(feature = "object-store")]
mod spool;
#[cfg(test)]
mod tests;

use std::fs;
use std::io::{self, BufWriter, Read, Write};
use std::ops::Range;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};

use bytes::Bytes;
use futures::future::BoxFuture;
use futures::{StreamExt, stream};
use tokio::io::{AsyncReadExt, AsyncSeekExt};
use tokio::sync::mpsc;

use self::folder::{Folder, failed};
use self::partial::{LocalPartial, hash};
use super::spot::{DOCUMENTS, split};
use super::{Fill, Found, PEEK, Partial, Pieces, Sink, SinkError};
use crate::domain::{Artifact, Digest, OutputKey};

#[cfg(feature = "object-store")]
pub(super) use self::spool::{Spooled, Whole};

/// Bytes of a video that are read at a time.
const PIECE: u64 = 64 * 1024;

/// How far a walk may run ahead of whoever listens to it.
const WALK_AHEAD: usize = 256;

/// A folder of the local file system.
#[derive(Debug)]
pub struct LocalSink {
    root: PathBuf,
    /// Held while a document is written: two writers in one process would share its temporary file.
    documents: Mutex<()>,
}

impl LocalSink {
    /// A sink that puts everything below `root`, which is made when it is first needed.
    #[must_use]
    pub fn new(root: PathBuf) -> Self {
        Self { root, documents: Mutex::new(()) }
    }
}

impl Sink for LocalSink {
    fn begin<'a>(&'a self, key: &'a OutputKey, owner: &'a str) -> BoxFuture<'a, Result<Box<dyn Partial>, SinkError>> {
        Box::pin(async move {
            let (root, key, owner) = (self.root.clone(), key.clone(), owner.to_owned());
            let partial = off_thread(move || {
                if !is_owner(&owner) {
                    let words = format!("{owner:?} cannot be part of a file name");
                    return Err(failed(&root, io::Error::new(io::ErrorKind::InvalidInput, words)));
                }
                LocalPartial::begin(Folder::make(&root, &key)?, key, &owner)
            });
            Ok(Box::new(partial.await??) as Box<dyn Partial>)
        })
    }

    /// A symbolic link or a folder at `key` counts as missing: nightreel puts neither there.
    fn look<'a>(&'a self, key: &'a OutputKey) -> BoxFuture<'a, Result<Found, SinkError>> {
        Box::pin(async move {
            let (root, key) = (self.root.clone(), key.clone());
            off_thread(move || {
                let Some(folder) = Folder::find(&root, &key)? else {
                    return Ok(Found::Missing);
                };
                let name = split(&key).1;
                let Some(mut file) = folder.read(name)? else {
                    return Ok(Found::Missing);
                };
                let (hasher, bytes) = hash(&mut file).map_err(|error| failed(&folder.place(name), error))?;
                Ok(Found::File { sha256: Digest::from_hasher(hasher), bytes })
            })
            .await?
        })
    }

    fn walk<'a>(&'a self, each: &'a mut (dyn FnMut(String) + Send)) -> BoxFuture<'a, Result<(), SinkError>> {
        Box::pin(async move {
            let (sender, mut paths) = mpsc::channel(WALK_AHEAD);
            let root = self.root.clone();
            let walker = off_thread(move || list(&root, &sender));
            let listener = async {
                while let Some(path) = paths.recv().await {
                    each(path);
                }
            };
            futures::future::join(walker, listener).await.0?
        })
    }

    fn read<'a>(
        &'a self,
        artifact: &'a Artifact,
        part: Range<u64>,
    ) -> BoxFuture<'a, Result<Option<Pieces>, SinkError>> {
        Box::pin(async move {
            let (root, key, bytes) = (self.root.clone(), artifact.key.clone(), artifact.bytes);
            let file = off_thread(move || {
                let Some(folder) = Folder::find(&root, &key)? else { return Ok(None) };
                let Some(file) = folder.read(split(&key).1)? else { return Ok::<_, SinkError>(None) };
                Ok(file.metadata().is_ok_and(|about| about.len() == bytes).then_some(file))
            });
            Ok(file.await??.map(|file| pieces(file.into(), part)))
        })
    }

    fn document<'a>(&'a self, name: &'a str, write: &'a mut Fill<'_>) -> BoxFuture<'a, Result<(), SinkError>> {
        Box::pin(async move { self.write_document(name, write) })
    }

    fn peek<'a>(&'a self, name: &'a str) -> BoxFuture<'a, Result<Option<Vec<u8>>, SinkError>> {
        Box::pin(async move {
            let key = self.document_key(name)?;
            let Some(folder) = Folder::find(&self.root, &key)? else { return Ok(None) };
            let Some(file) = folder.read(split(&key).1)? else { return Ok(None) };
            let mut text = Vec::new();
            let read = file.take(PEEK).read_to_end(&mut text);
            read.map_err(|error| failed(&folder.place(split(&key).1), error))?;
            Ok(Some(text))
        })
    }

    fn forget<'a>(&'a self, name: &'a str) -> BoxFuture<'a, Result<(), SinkError>> {
        Box::pin(async move {
            let key = self.document_key(name)?;
            match Folder::find(&self.root, &key)? {
                Some(folder) => folder.remove(split(&key).1),
                None => Ok(()),
            }
        })
    }

    fn place(&self) -> String {
        self.root.display().to_string()
    }
}

impl LocalSink {
    fn document_key(&self, name: &str) -> Result<OutputKey, SinkError> {
        OutputKey::new(name).map_err(|error| failed(&self.root, io::Error::new(io::ErrorKind::InvalidInput, error)))
    }

    fn write_document(&self, name: &str, write: &mut Fill<'_>) -> Result<(), SinkError> {
        let _one_at_a_time = self.documents.lock().unwrap_or_else(PoisonError::into_inner);
        let key = self.document_key(name)?;
        let folder = Folder::make(&self.root, &key)?;
        let name = split(&key).1;
        // Another process may write the same document at the same moment.
        let draft = format!(".{name}.{}.part", std::process::id());
        let mut file = BufWriter::new(folder.create(&draft)?);
        let written = write(&mut file).and_then(|()| file.flush()).and_then(|()| file.get_ref().sync_all());
        let named =
            written.map_err(|error| failed(&folder.place(name), error)).and_then(|()| folder.replace(&draft, name));
        if let Err(error) = named {
            folder.remove(&draft)?;
            return Err(error);
        }
        folder.sync()
    }
}

/// A part of a file, piece by piece.
fn pieces(file: tokio::fs::File, part: Range<u64>) -> Pieces {
    let start = (file, part.start, part.end.saturating_sub(part.start), false);
    let read = |(mut file, from, left, is_there): (tokio::fs::File, u64, u64, bool)| async move {
        if left == 0 {
            return Ok(None);
        }
        if !is_there {
            file.seek(io::SeekFrom::Start(from)).await?;
        }
        let mut piece = Vec::new();
        let read = (&mut file).take(left.min(PIECE)).read_to_end(&mut piece).await?;
        if read == 0 {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        Ok(Some((Bytes::from(piece), (file, from, left - read as u64, true))))
    };
    stream::try_unfold(start, read).boxed()
}

/// Runs blocking work beside the async threads. It goes on where the future is dropped.
pub(super) async fn off_thread<T: Send + 'static>(work: impl FnOnce() -> T + Send + 'static) -> Result<T, SinkError> {
    tokio::task::spawn_blocking(work).await.map_err(|error| failed(Path::new("."), io::Error::other(error)))
}

pub(super) fn is_owner(text: &str) -> bool {
    (1..=64).contains(&text.len()) && text.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-')
}

fn list(root: &Path, paths: &mpsc::Sender<String>) -> Result<(), SinkError> {
    let mut folders = vec![String::new()];
    while let Some(folder) = folders.pop() {
        let place = root.join(&folder);
        let entries = match fs::read_dir(&place) {
            Ok(entries) => entries,
            // Not there yet, or removed meanwhile.
            Err(error) if error.kind() == io::ErrorKind::NotFound => continue,
            Err(error) => return Err(failed(&place, error)),
        };
        for entry in entries {
            let entry = entry.map_err(|error| failed(&place, error))?;
            let name = entry.file_name();
            let name = name.to_string_lossy();
            if name.starts_with('.') {
                continue;
            }
            let path = if folder.is_empty() { name.into_owned() } else { format!("{folder}/{name}") };
            if DOCUMENTS.contains(&path.as_str()) {
                continue;
            }
            if entry.file_type().is_ok_and(|kind| kind.is_dir()) {
                folders.push(path);
            } else if paths.blocking_send(path).is_err() {
                return Ok(());
            }
        }
    }
    Ok(())
}
