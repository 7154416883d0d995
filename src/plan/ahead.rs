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
    ended: bool,
}

impl Ahead {
    /// Begins to read; of no manifest there are no rows. Dropped, it ends.
    pub(super) fn begin(manifest: Option<Box<Manifest>>, preparer: Preparer) -> Self {
        let (sender, chunks) = mpsc::channel(WAITING);
        let Some(manifest) = manifest else {
            // There is room for it.
            drop(sender.try_send(None));
            return Self { chunks, ended: false };
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
        Self { chunks, ended: false }
    }

    /// The next rows; `None` at the end, however often it is asked for more.
    pub(super) async fn next(&mut self) -> Result<Option<Chunk>, SurveyError> {
        if self.ended {
            return Ok(None);
        }
        // Where a thread broke, its rows do not come, and neither does the end.
        match self.chunks.recv().await {
            Some(Some(chunk)) => chunk.await.map(Some).map_err(|_| SurveyError::Broken),
            Some(None) => {
                self.ended = true;
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

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;
    use crate::domain::BatchName;
    use crate::manifest::Opened;
    use crate::sink::NameTemplate;

    /// What reads a manifest of so many rows.
    fn ahead(folder: &Path, rows: usize) -> Ahead {
        let path = folder.join("m.csv");
        let rows: String = (0..rows).map(|row| format!("r{row},hug,https://example.com/{row}.jpg,5\n")).collect();
        std::fs::write(&path, format!("id,scene,images,duration\n{rows}")).unwrap();
        let Opened::Manifest(manifest) = Manifest::open(&path).unwrap() else { panic!("no manifest") };
        let template = NameTemplate::parse("{scene}/{id}", &[]).unwrap();
        Ahead::begin(Some(manifest), Preparer::new(&path, BatchName::new("m").unwrap(), template, Vec::new()))
    }

    #[tokio::test]
    async fn rows_come_in_their_order_and_the_end_is_the_end() {
        let folder = tempfile::tempdir().unwrap();
        for rows in [1, 999, 1000, 1001, 3000, 12_345] {
            let mut ahead = ahead(folder.path(), rows);
            let mut labels = Vec::new();
            while let Some(chunk) = ahead.next().await.unwrap() {
                labels.extend(chunk.candidates.into_iter().map(|candidate| candidate.job.label));
            }
            assert_eq!(labels, (0..rows).map(|row| format!("r{row}")).collect::<Vec<_>>());
            for _ in 0..3 {
                assert!(ahead.next().await.unwrap().is_none());
            }
        }
    }

    #[tokio::test]
    async fn without_a_manifest_there_is_nothing_and_nobody_needs_to_read_on() {
        let folder = tempfile::tempdir().unwrap();
        let template = NameTemplate::parse("{scene}/{id}", &[]).unwrap();
        let preparer = Preparer::new(folder.path(), BatchName::new("m").unwrap(), template, Vec::new());
        let mut none = Ahead::begin(None, preparer);
        assert!(none.next().await.unwrap().is_none() && none.next().await.unwrap().is_none());
        let mut left = ahead(folder.path(), 50_000);
        assert!(left.next().await.unwrap().is_some());
    }

    #[tokio::test]
    async fn rows_that_do_not_come_are_not_taken_for_the_end() {
        let (sender, chunks) = mpsc::channel(WAITING);
        let mut broken = Ahead { chunks, ended: false };
        drop(sender);
        assert!(matches!(broken.next().await, Err(SurveyError::Broken)));
        let (sender, chunks) = mpsc::channel(WAITING);
        let mut broken = Ahead { chunks, ended: false };
        let (prepared, coming) = oneshot::channel();
        sender.send(Some(coming)).await.unwrap();
        drop(prepared);
        assert!(matches!(broken.next().await, Err(SurveyError::Broken)));
    }
}
