//! The one thread that owns the connection, and group commit: what waits in the mailbox is done in one transaction, and
//! each caller is answered after its commit. With hundreds of jobs in flight a sync to the disk is shared by all of them.

use std::collections::HashSet;
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::JoinHandle;

use rusqlite::Connection;
use tokio::sync::{mpsc, oneshot};

use crate::domain::JobId;
use crate::store::{StoreError, kill};

use super::bulk::{self, Bulk};
use super::counts::{self, Counts};
use super::failure::{again, failed};
use super::place::Place;
use super::sql;
use super::write::{self, Written};

/// Requests that may wait before callers are held back: more than the jobs that are ever in flight at once.
const MAILBOX: usize = 1024;
/// Requests committed together. Larger groups gain nothing and make the first wait.
const GROUP: usize = 512;

type Answer = Box<dyn FnOnce(Result<(), StoreError>) + Send>;
type Work = Box<dyn FnOnce(&mut Engine) -> Answer + Send>;
/// What became of a change; it goes back to its caller, for whom it is less of a delay to take it apart.
type Committed = oneshot::Sender<(Result<(), StoreError>, Box<Written>)>;

/// What waits in the mailbox.
enum Request {
    /// Anything, by itself.
    Work(How, Work),
    /// A change of one job. Those of a group are made together.
    Change(Box<Written>, Committed),
}

/// How the thread goes about some work.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum How {
    /// In a step of its own, which is undone where it fails; with the counts as they are.
    Step,
    /// The same, and it only admits rows.
    Admit,
    /// It only looks at what there is, with the counts as they are.
    Count,
    /// It only looks at jobs: there is nothing to undo, and what was counted may wait.
    Look,
}

/// What a connection is for.
#[derive(Debug)]
pub(super) enum Access {
    /// To read beside a run.
    Reads,
    /// To work on the ledger, in the file that is there; `None` in memory.
    Writes(Option<Place>),
}

/// What the thread works with.
#[derive(Debug)]
pub(super) struct Engine {
    pub(super) conn: Connection,
    /// Jobs that were given out and not changed or released since.
    pub(super) taken: HashSet<i64>,
    /// Jobs that are free again once the present transaction is committed.
    pub(super) freed: Vec<i64>,
    /// What was counted in the present transaction and is not written yet.
    pub(super) counts: Counts,
    /// What was counted could not be written: the present transaction must not be kept.
    pub(super) miscounted: bool,
    pub(super) read_only: bool,
    /// Many rows that are admitted in one transaction of their own.
    pub(super) bulk: Bulk,
    place: Option<Place>,
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
    pub(super) fn start(conn: Connection, access: Access) -> std::io::Result<Self> {
        let (read_only, place) = match access {
            Access::Reads => (true, None),
            Access::Writes(place) => (false, place),
        };
        let (sender, receiver) = mpsc::channel(MAILBOX);
        let released = Arc::new(Mutex::new(Vec::new()));
        let kill_after = kill::after_event();
        let mut engine = Engine {
            conn,
            taken: HashSet::new(),
            freed: Vec::new(),
            counts: Counts::default(),
            miscounted: false,
            read_only,
            bulk: Bulk::default(),
            place,
            events: 0,
            kill_after,
            released: Arc::clone(&released),
        };
        let serve = move || {
            engine.serve(receiver);
            engine.leave();
        };
        let thread = std::thread::Builder::new().name("ledger".into()).spawn(serve)?;
        Ok(Self { sender: Mutex::new(Some(sender)), released, thread: Mutex::new(Some(thread)) })
    }

    /// Has `work` done in the thread, in a step of its own; the answer comes after the commit.
    pub(super) async fn ask<T: Send + 'static>(
        &self,
        work: impl FnOnce(&mut Engine) -> Result<T, StoreError> + Send + 'static,
    ) -> Result<T, StoreError> {
        self.work(How::Step, work).await
    }

    /// The same for what only admits rows: where many are expected, they are committed with the last of them.
    pub(super) async fn admit<T: Send + 'static>(
        &self,
        work: impl FnOnce(&mut Engine) -> Result<T, StoreError> + Send + 'static,
    ) -> Result<T, StoreError> {
        self.work(How::Admit, work).await
    }

    /// The same for what only looks, and wants the counts as they are.
    pub(super) async fn count<T: Send + 'static>(
        &self,
        work: impl FnOnce(&mut Engine) -> Result<T, StoreError> + Send + 'static,
    ) -> Result<T, StoreError> {
        self.work(How::Count, work).await
    }

    /// The same for what only looks at jobs and is counted nowhere.
    pub(super) async fn look<T: Send + 'static>(
        &self,
        work: impl FnOnce(&mut Engine) -> Result<T, StoreError> + Send + 'static,
    ) -> Result<T, StoreError> {
        self.work(How::Look, work).await
    }

    /// Has a change made; the answer comes after the commit.
    pub(super) async fn commit(&self, written: Written) -> Result<(), StoreError> {
        let (sender, answer) = oneshot::channel();
        self.send(Request::Change(Box::new(written), sender)).await?;
        answer.await.map_err(|_| StoreError::Closed)?.0
    }

    async fn work<T: Send + 'static>(
        &self,
        how: How,
        work: impl FnOnce(&mut Engine) -> Result<T, StoreError> + Send + 'static,
    ) -> Result<T, StoreError> {
        let (sender, answer) = oneshot::channel();
        let work: Work = Box::new(move |engine| {
            let done = match how {
                How::Look => engine.look(work),
                How::Step | How::Count => engine.settled_step(work),
                How::Admit => engine.step(work),
            };
            // A caller that is gone needs no answer.
            Box::new(move |committed| drop(sender.send(committed.and(done))))
        });
        self.send(Request::Work(how, work)).await?;
        answer.await.map_err(|_| StoreError::Closed)?
    }

    async fn send(&self, request: Request) -> Result<(), StoreError> {
        let mailbox = self.sender.lock().unwrap_or_else(PoisonError::into_inner).clone();
        mailbox.ok_or(StoreError::Closed)?.send(request).await.map_err(|_| StoreError::Closed)
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
        bulk::end(self);
        if !self.read_only && self.is_in_place() {
            // The ledger is whole without either; they only leave a smaller, faster file.
            drop(self.conn.execute_batch(sql::OPTIMIZE));
            drop(self.conn.query_row(sql::CHECKPOINT, [], |_| Ok(())));
        }
    }

    pub(super) fn is_in_place(&self) -> bool {
        self.place.as_ref().is_none_or(Place::is_kept)
    }

    /// Closes the connection. Where the file was taken away from under it, what it held is put back.
    fn leave(self) {
        let Self { conn, place, .. } = self;
        let saved = place.filter(|place| !place.is_kept()).and_then(|place| Some((place.save(&conn)?, place)));
        drop(conn);
        if let Some((kept, place)) = saved {
            place.put_back(&kept);
        }
    }

    /// Does some requests in one transaction and answers them after its commit: changes first, whose callers wait for
    /// nothing else of it.
    fn group(&mut self, requests: impl Iterator<Item = Request>) {
        let (mut changes, mut answers, mut works) = (Vec::new(), Vec::new(), Vec::new());
        let mut admits = true;
        for request in requests {
            match request {
                Request::Change(written, committed) => {
                    changes.push(written);
                    answers.push(committed);
                }
                Request::Work(how, work) => {
                    admits &= how != How::Step;
                    works.push(work);
                }
            }
        }
        if let Bulk::On(_) = self.bulk {
            if admits && changes.is_empty() {
                for answer in works.into_iter().map(|work| work(self)).collect::<Vec<_>>() {
                    answer(Ok(()));
                }
                return;
            }
            bulk::end(self);
        }
        let mut begun = self.begin();
        let done = self.change(&changes, &mut begun);
        let told: Vec<Answer> = works.into_iter().map(|work| work(self)).collect();
        let committed = begun.and_then(|()| self.commit());
        if committed.is_err() {
            self.roll_back();
        }
        if committed.is_ok() {
            for job in self.freed.drain(..) {
                self.taken.remove(&job);
            }
            if self.kill_after.is_some_and(|after| self.events >= after) {
                kill::this_process();
            }
            bulk::begin(self);
        }
        self.freed.clear();
        self.counts = Counts::default();
        self.miscounted = false;
        for ((written, answer), done) in changes.into_iter().zip(answers).zip(done) {
            // A caller that is gone needs no answer.
            drop(answer.send((committed.as_ref().copied().map_err(again).and(done), written)));
        }
        for answer in told {
            answer(committed.as_ref().copied().map_err(again));
        }
    }

    fn begin(&self) -> Result<(), StoreError> {
        if !self.is_in_place() {
            return Err(StoreError::Gone);
        }
        self.conn.prepare_cached(sql::BEGIN).and_then(|mut begin| begin.execute([])).map(drop).map_err(failed)
    }

    /// Nothing of the transaction is kept; a failure here leaves the connection as it was.
    pub(super) fn roll_back(&self) {
        if !self.conn.is_autocommit() {
            drop(self.conn.execute_batch(sql::ROLLBACK));
        }
    }

    fn commit(&mut self) -> Result<(), StoreError> {
        if self.conn.is_autocommit() {
            // The engine gave the whole transaction up (a full disk): nothing of this group happened.
            return Err(StoreError::Full);
        }
        counts::settle(self)?;
        if self.miscounted {
            return Err(StoreError::Engine("what was counted could not be written".into()));
        }
        self.conn.prepare_cached(sql::COMMIT).and_then(|mut commit| commit.execute([])).map(drop).map_err(failed)
    }

    /// Makes the changes of a group, before anything else of it. They are in no step of their own, which would keep a copy of
    /// every page that they write to: where the engine fails at one of them, the transaction is begun anew and they are
    /// made one by one, so that it fails alone.
    fn change(&mut self, changes: &[Box<Written>], begun: &mut Result<(), StoreError>) -> Vec<Result<(), StoreError>> {
        if changes.is_empty() {
            return Vec::new();
        }
        if self.conn.is_autocommit() {
            return changes.iter().map(|_| Err(StoreError::Full)).collect();
        }
        let events = self.events;
        if let Ok(each) = write::commit(self, changes.iter().map(AsRef::as_ref)) {
            return each;
        }
        self.roll_back();
        (self.events, self.counts) = (events, Counts::default());
        self.freed.clear();
        *begun = self.begin();
        let alone = |engine: &mut Self, written: &Written| {
            engine.step(|engine| write::commit(engine, std::iter::once(written))).and_then(|mut done| done.remove(0))
        };
        changes.iter().map(|written| alone(self, written)).collect()
    }

    /// Work that only looks.
    fn look<T>(&mut self, work: impl FnOnce(&mut Self) -> Result<T, StoreError>) -> Result<T, StoreError> {
        if self.conn.is_autocommit() { Err(StoreError::Full) } else { work(self) }
    }

    /// One request within the group, with the counts as they are.
    fn settled_step<T>(&mut self, work: impl FnOnce(&mut Self) -> Result<T, StoreError>) -> Result<T, StoreError> {
        if !self.conn.is_autocommit() {
            counts::settle(self)?;
        }
        self.step(work)
    }

    /// One step within the group: what it did is undone when it fails, and the others are spared.
    fn step<T>(&mut self, work: impl FnOnce(&mut Self) -> Result<T, StoreError>) -> Result<T, StoreError> {
        if self.conn.is_autocommit() {
            return Err(StoreError::Full);
        }
        if self.read_only {
            return work(self);
        }
        self.conn.prepare_cached(sql::STEP).and_then(|mut step| step.execute([])).map_err(failed)?;
        let (events, freed, counted) = (self.events, self.freed.len(), self.counts.clone());
        let done = work(self);
        if done.is_ok() {
            self.conn.prepare_cached(sql::STEP_DONE).and_then(|mut step| step.execute([])).map_err(failed)?;
        } else {
            self.events = events;
            self.freed.truncate(freed);
            self.counts = counted;
            if !self.conn.is_autocommit() {
                self.conn.execute_batch(sql::STEP_UNDONE).map_err(failed)?;
            }
        }
        done
    }

    /// Counts events, for the kill point.
    pub(super) const fn count_events(&mut self, events: usize) {
        self.events += events as u64;
    }
}
