//! The one thread that owns the connection, and group commit: what waits in the mailbox is done in one transaction, and
//! each caller is answered after its commit. With hundreds of jobs in flight a sync to the disk is shared by all of them.

use std::collections::HashSet;
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::JoinHandle;

use rusqlite::Connection;
use rustix::process::{Signal, getpid, kill_process};
use tokio::sync::{mpsc, oneshot};

use crate::domain::JobId;
use crate::store::StoreError;

use super::sql;

/// Requests that may wait before callers are held back: more than the jobs that are ever in flight at once.
const MAILBOX: usize = 1024;
/// Requests committed together. Larger groups gain nothing and make the first wait.
const GROUP: usize = 512;

/// For crash tests of the real binary: with `NIGHTREEL_KILL_AFTER_EVENT=n` in the environment the process kills itself
/// (SIGKILL) right after the commit of the n-th event, before anybody learns of it.
const KILL_AFTER_EVENT: &str = "NIGHTREEL_KILL_AFTER_EVENT";

type Answer = Box<dyn FnOnce(Result<(), StoreError>) + Send>;
type Request = Box<dyn FnOnce(&mut Engine) -> Answer + Send>;

/// What the thread works with.
#[derive(Debug)]
pub(super) struct Engine {
    pub(super) conn: Connection,
    /// Jobs that were given out and not changed or released since.
    pub(super) taken: HashSet<i64>,
    /// Jobs that are free again once the present transaction is committed.
    pub(super) freed: Vec<i64>,
    pub(super) read_only: bool,
    events: u64,
    kill_after: Option<u64>,
    released: Arc<Mutex<Vec<JobId>>>,
}

/// The callers' end.
#[derive(Debug)]
pub(super) struct Mailbox {
    sender: Mutex<Option<mpsc::Sender<Request>>>,
    released: Arc<Mutex<Vec<JobId>>>,
    thread: Mutex<Option<JoinHandle<()>>>,
}

impl Mailbox {
    /// Starts the thread.
    pub(super) fn start(conn: Connection, read_only: bool) -> std::io::Result<Self> {
        let (sender, receiver) = mpsc::channel(MAILBOX);
        let released = Arc::new(Mutex::new(Vec::new()));
        let kill_after = std::env::var(KILL_AFTER_EVENT).ok().and_then(|text| text.parse().ok());
        let mut engine = Engine {
            conn,
            taken: HashSet::new(),
            freed: Vec::new(),
            read_only,
            events: 0,
            kill_after,
            released: Arc::clone(&released),
        };
        let serve = move || engine.serve(receiver);
        let thread = std::thread::Builder::new().name("ledger".into()).spawn(serve)?;
        Ok(Self { sender: Mutex::new(Some(sender)), released, thread: Mutex::new(Some(thread)) })
    }

    /// Has `work` done in the thread; the answer comes after the commit.
    pub(super) async fn ask<T: Send + 'static>(
        &self,
        work: impl FnOnce(&mut Engine) -> Result<T, StoreError> + Send + 'static,
    ) -> Result<T, StoreError> {
        let (sender, answer) = oneshot::channel();
        let request: Request = Box::new(move |engine| {
            let done = engine.step(work);
            // A caller that is gone needs no answer.
            Box::new(move |committed| drop(sender.send(committed.and(done))))
        });
        let mailbox = self.sender.lock().unwrap_or_else(PoisonError::into_inner).clone();
        mailbox.ok_or(StoreError::Closed)?.send(request).await.map_err(|_| StoreError::Closed)?;
        answer.await.map_err(|_| StoreError::Closed)?
    }

    /// Gives a job back; noted at once, acted on before the next request.
    pub(super) fn release(&self, job: JobId) {
        self.released.lock().unwrap_or_else(PoisonError::into_inner).push(job);
    }

    /// Ends the thread after all that was asked of it is done.
    pub(super) fn close(&self) {
        drop(self.sender.lock().unwrap_or_else(PoisonError::into_inner).take());
        let thread = self.thread.lock().unwrap_or_else(PoisonError::into_inner).take();
        if let Some(thread) = thread {
            // A thread that panicked has told of it already, and there is nothing left to end.
            drop(thread.join());
        }
    }
}

impl Drop for Mailbox {
    fn drop(&mut self) {
        self.close();
    }
}

impl Engine {
    fn serve(&mut self, mut mailbox: mpsc::Receiver<Request>) {
        let most = if self.kill_after.is_some() { 1 } else { GROUP };
        while let Some(first) = mailbox.blocking_recv() {
            for job in self.released.lock().unwrap_or_else(PoisonError::into_inner).drain(..) {
                self.taken.remove(&job.0);
            }
            let waiting = std::iter::from_fn(|| mailbox.try_recv().ok());
            self.group(std::iter::once(first).chain(waiting).take(most));
        }
        if !self.read_only {
            // The ledger is whole without either; they only leave a smaller, faster file.
            drop(self.conn.execute_batch(sql::OPTIMIZE));
            drop(self.conn.query_row(sql::CHECKPOINT, [], |_| Ok(())));
        }
    }

    /// Does some requests in one transaction and answers them after its commit.
    fn group(&mut self, requests: impl Iterator<Item = Request>) {
        let mut begun = self.conn.execute_batch(sql::BEGIN).map_err(failed);
        let mut answers: Vec<Answer> = Vec::new();
        for request in requests {
            if begun.is_ok() && self.conn.is_autocommit() {
                // The engine gave the whole transaction up (a full disk): nothing of this group happened.
                begun = Err(StoreError::Full);
            }
            answers.push(request(self));
        }
        let committed = match begun {
            Ok(()) if self.conn.is_autocommit() => Err(StoreError::Full),
            Ok(()) => self.conn.execute_batch(sql::COMMIT).map_err(failed),
            Err(failure) => Err(failure),
        };
        if committed.is_err() && !self.conn.is_autocommit() {
            // Nothing of the group is kept; a failure here leaves the connection as it was.
            drop(self.conn.execute_batch(sql::ROLLBACK));
        }
        match &committed {
            Ok(()) => {
                for job in self.freed.drain(..) {
                    self.taken.remove(&job);
                }
                if self.kill_after.is_some_and(|after| self.events >= after) {
                    kill_process(getpid(), Signal::KILL).unwrap_or(());
                }
            }
            Err(_) => self.freed.clear(),
        }
        for answer in answers {
            answer(committed.as_ref().copied().map_err(again));
        }
    }

    /// One request within the group: what it did is undone when it fails, and the others are spared.
    fn step<T>(&mut self, work: impl FnOnce(&mut Self) -> Result<T, StoreError>) -> Result<T, StoreError> {
        if self.conn.is_autocommit() {
            return Err(StoreError::Full);
        }
        if self.read_only {
            return work(self);
        }
        self.conn.prepare_cached(sql::STEP).and_then(|mut step| step.execute([])).map_err(failed)?;
        let (events, freed) = (self.events, self.freed.len());
        let done = work(self);
        if done.is_ok() {
            self.conn.prepare_cached(sql::STEP_DONE).and_then(|mut step| step.execute([])).map_err(failed)?;
        } else {
            self.events = events;
            self.freed.truncate(freed);
            if !self.conn.is_autocommit() {
                self.conn.execute_batch(sql::STEP_UNDONE).map_err(failed)?;
            }
        }
        done
    }

    /// Counts an event, for the kill point.
    pub(super) const fn count_event(&mut self) {
        self.events += 1;
    }
}

/// What the engine's failure means to callers.
pub(super) fn failed(error: rusqlite::Error) -> StoreError {
    use rusqlite::ErrorCode as Code;
    match error.sqlite_error_code() {
        Some(Code::DiskFull) => StoreError::Full,
        Some(Code::DatabaseCorrupt | Code::NotADatabase) => StoreError::Damaged(error.to_string()),
        Some(Code::ReadOnly) => StoreError::ReadOnly,
        _ => StoreError::Engine(Box::new(error)),
    }
}

/// The same failure for one more caller.
fn again(failure: &StoreError) -> StoreError {
    match failure {
        StoreError::Full => StoreError::Full,
        StoreError::ReadOnly => StoreError::ReadOnly,
        StoreError::Closed => StoreError::Closed,
        StoreError::Damaged(words) => StoreError::Damaged(words.clone()),
        StoreError::Conflict { job } => StoreError::Conflict { job: *job },
        StoreError::Engine(source) => StoreError::Engine(source.to_string().into()),
    }
}
