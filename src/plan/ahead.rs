//! The rows of a manifest, read and prepared ahead of who asks for them, in their order. Two threads take turns at the file, and
//! each prepares what it read while the other reads on.

use std::sync::{Arc, Mutex};

use tokio::sync::{mpsc, oneshot};

use crate::manifest::Manifest;

use super::SurveyError;
use super::prepare::{Chunk, Preparer, Read};

/// Rows that are read at a time.
const CHUNK: usize = 1000;
/// Chunks that wait to be asked for, besides those that are being prepared.
const WAITING: usize = 2;
/// Threads that read.
const READERS: usize = 2;

/// A chunk that is being prepared; `None` is the end.
type Coming = Option<oneshot::Receiver<Chunk>>;

/// Rows to come.
#[derive(Debug)]
pub(super) struct Ahead {
    chunks: mpsc::Receiver<Coming>,
}

impl Ahead {
    /// Begins to read; of no manifest there are no rows. Dropped, it ends.
    pub(super) fn begin(manifest: Option<Box<Manifest>>, preparer: Preparer) -> Self {
        let (sender, chunks) = mpsc::channel(WAITING);
        let Some(manifest) = manifest else {
            // There is room for it.
            drop(sender.try_send(None));
            return Self { chunks };
        };
        let (file, preparer) = (Arc::new(Mutex::new(manifest)), Arc::new(preparer));
        for _ in 0..READERS {
            let (file, preparer, sender) = (Arc::clone(&file), Arc::clone(&preparer), sender.clone());
            tokio::task::spawn_blocking(move || {
                while let Some((read, prepared)) = turn(&file, &sender) {
                    // Nobody may wait for it any more.
                    drop(prepared.send(preparer.chunk(read)));
                }
            });
        }
        Self { chunks }
    }

    /// The next rows; `None` at the end.
    pub(super) async fn next(&mut self) -> Result<Option<Chunk>, SurveyError> {
        // Where a thread broke, its rows do not come, and neither does the end.
        match self.chunks.recv().await {
            Some(Some(chunk)) => chunk.await.map(Some).map_err(|_| SurveyError::Broken),
            Some(None) => {
                self.chunks.close();
                Ok(None)
            }
            None => Err(SurveyError::Broken),
        }
    }
}

/// Reads the next rows, and says in their turn that they come; `None` at the end, or where nobody waits for more.
fn turn(file: &Mutex<Box<Manifest>>, sender: &mpsc::Sender<Coming>) -> Option<(Read, oneshot::Sender<Chunk>)> {
    // One that broke while it read has left the file anywhere.
    let mut manifest = file.lock().ok()?;
    let Some(read) = Read::next(&mut manifest, CHUNK) else {
        drop(sender.blocking_send(None));
        return None;
    };
    let (prepared, coming) = oneshot::channel();
    sender.blocking_send(Some(coming)).ok()?;
    Some((read, prepared))
}
