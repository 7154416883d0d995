//! The ledger's store as a process has it: SQLite's, called in one breath (virtual time stands still meanwhile), which can be
//! told to fall after so many commits. From then on nothing is written, and nobody is answered.

use std::collections::HashMap;
use std::path::PathBuf;
use std::pin::pin;
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::task::{Context, Poll, Wake, Waker};
use std::time::Duration;

use futures::future::{BoxFuture, join_all, pending};
use tokio::sync::{Notify, oneshot};

use super::witness::Witness;
use super::*;
use crate::domain::{Attempt, Digest, Job, JobId, OutputKey, RowKey, StateCode};
use crate::store::{
    Account, Batch, Change, Due, Ended, Filter, Group, Known, Left, NewJob, OutputOwner, Pruned, Recorded, RunEnd,
    Spent, StoreError, Wanted,
};

/// More changes than any case has: a run that makes more goes round in a circle, while virtual time stands still.
const MOST_COMMITS: u32 = 20_000;

type Answer = oneshot::Sender<Result<(), StoreError>>;

/// A process's store.
#[derive(Debug)]
pub(super) struct Watched {
    inner: SqliteStore,
    witness: Arc<Witness>,
    /// Changes that are asked for in the same breath are given to the store together.
    waiting: Mutex<Vec<(Change, Answer)>>,
    /// Callers who will never be answered.
    unanswered: Mutex<Vec<Answer>>,
    /// Commits until it falls; 0 for never.
    falls_after: AtomicU32,
    fallen: AtomicBool,
    /// Changes that were committed.
    commits: AtomicU32,
    fell: Notify,
    /// What was counted since the last write: asked for twice a second.
    counted: Mutex<Counted>,
}

#[derive(Debug, Default)]
struct Counted {
    tallies: HashMap<Option<BatchId>, Tally>,
    left: Option<(Vec<AccountName>, Option<BatchId>, Left)>,
    spent: HashMap<Option<BatchId>, Vec<Spent>>,
}

/// Waits without giving the thread back: the ledger's own thread answers.
pub(super) fn at_once<T>(work: impl Future<Output = T>) -> T {
    struct Unpark(std::thread::Thread);
    impl Wake for Unpark {
        fn wake(self: Arc<Self>) {
            self.0.unpark();
        }
    }
    let waker = Waker::from(Arc::new(Unpark(std::thread::current())));
    let mut work = pin!(tokio::task::unconstrained(work));
    loop {
        match work.as_mut().poll(&mut Context::from_waker(&waker)) {
            Poll::Ready(done) => return done,
            Poll::Pending => std::thread::park(),
        }
    }
}

impl Watched {
    pub(super) fn new(inner: SqliteStore, witness: Arc<Witness>) -> Self {
        Self {
            inner,
            witness,
            waiting: Mutex::default(),
            unanswered: Mutex::default(),
            falls_after: AtomicU32::new(0),
            fallen: AtomicBool::new(false),
            commits: AtomicU32::new(0),
            fell: Notify::new(),
            counted: Mutex::default(),
        }
    }

    /// The store itself, for whoever judges.
    pub(super) const fn inner(&self) -> &SqliteStore {
        &self.inner
    }

    /// The process dies after so many commits more.
    pub(super) fn fall_after(&self, commits: u32) {
        self.falls_after.store(commits, Ordering::SeqCst);
    }

    /// The process is dead.
    pub(super) fn fall(&self) {
        self.fallen.store(true, Ordering::SeqCst);
        self.fell.notify_one();
    }

    /// Waits for its death.
    pub(super) async fn fell(&self) {
        self.fell.notified().await;
    }

    fn is_fallen(&self) -> bool {
        self.fallen.load(Ordering::SeqCst)
    }

    fn forget(&self) {
        *self.counted.lock().unwrap() = Counted::default();
    }

    fn pass<'a, T: Send + 'a>(
        &'a self,
        writes: bool,
        ask: impl FnOnce(&'a SqliteStore) -> BoxFuture<'a, Result<T, StoreError>> + Send + 'a,
    ) -> BoxFuture<'a, Result<T, StoreError>> {
        Box::pin(async move {
            if self.is_fallen() {
                return pending().await;
            }
            if writes {
                self.forget();
            }
            at_once(ask(&self.inner))
        })
    }

    /// Commits what waits; one by one where a fall is near.
    fn commit_waiting(&self) {
        let mut waiting = std::mem::take(&mut *self.waiting.lock().unwrap());
        // Whoever was cut off before is as if it had never asked.
        waiting.retain(|(_, answer)| !answer.is_closed());
        self.forget();
        let together = if self.falls_after.load(Ordering::SeqCst) == 0 { waiting.len().max(1) } else { 1 };
        while !waiting.is_empty() {
            let group: Vec<_> = waiting.drain(..together.min(waiting.len())).collect();
            if self.is_fallen() {
                self.unanswered.lock().unwrap().extend(group.into_iter().map(|(_, answer)| answer));
                continue;
            }
            let commits = group.iter().map(|(change, _)| self.inner.commit(change.clone()));
            let done = at_once(join_all(commits));
            for ((change, answer), done) in group.into_iter().zip(done) {
                if done.is_ok() {
                    let before = self.commits.fetch_add(1, Ordering::SeqCst);
                    assert!(before < MOST_COMMITS, "no end of changes: {:?} of {}", change.event, change.job.label);
                    self.witness.committed(&change);
                    let left = self.falls_after.load(Ordering::SeqCst);
                    self.falls_after.store(left.saturating_sub(1), Ordering::SeqCst);
                    if left == 1 {
                        self.fall();
                    }
                }
                if self.is_fallen() {
                    self.unanswered.lock().unwrap().push(answer);
                } else {
                    drop(answer.send(done));
                }
            }
        }
    }
}

macro_rules! passed_on {
    ($writes:literal: $($name:ident($($argument:ident: $kind:ty),*) -> $out:ty;)*) => {
        $(fn $name(&self, $($argument: $kind),*) -> BoxFuture<'_, Result<$out, StoreError>> {
            self.pass($writes, move |inner| inner.$name($($argument),*))
        })*
    };
}

impl Store for Watched {
    passed_on! { false:
        batches() -> Vec<Batch>;
        accounts() -> Vec<Account>;
        known(batch: BatchId, keys: Vec<RowKey>) -> Vec<Option<Known>>;
        output_owners(out: PathBuf, asks: Vec<(Option<BatchId>, RowKey, OutputKey)>) -> Vec<Option<OutputOwner>>;
        paid_elsewhere(contents: Vec<Digest>) -> Vec<Option<crate::domain::BatchName>>;
        take_planned(wanted: Wanted, now: Timestamp, limit: usize) -> Due;
        take_due(state: StateCode, account: AccountName, now: Timestamp, limit: usize) -> Due;
        take_ready(now: Timestamp, limit: usize) -> Due;
        job(id: JobId) -> Option<Job>;
        jobs(filter: Filter, after: JobId, limit: usize) -> Vec<Job>;
        newest(limit: usize) -> Vec<Job>;
        open_of(account: AccountName) -> Tally;
        groups(batch: Option<BatchId>) -> Vec<Group>;
        open_groups(account: AccountName) -> Vec<Group>;
        open_before(account: AccountName, before: Timestamp, limit: usize) -> Vec<Job>;
        history(job: JobId) -> Vec<Recorded>;
        once_called(name: String, limit: usize) -> Vec<JobId>;
        ended() -> Vec<Ended>;
        recent_durations(account: AccountName, limit: usize) -> Vec<Duration>;
        last_run(batch: Option<BatchId>) -> Option<RunEnd>;
        recent_task(account: AccountName, since: Timestamp, before: Timestamp) -> Option<Attempt>;
    }

    passed_on! { true:
        open_batch(name: crate::domain::BatchName, out: PathBuf, columns: Vec<String>, manifest: PathBuf) -> Batch;
        open_account(account: Account) -> Account;
        admit(batch: BatchId, jobs: Vec<NewJob>, at: Timestamp) -> u64;
        expect_rows(batch: BatchId, rows: u64) -> ();
        all_admitted() -> ();
        withdraw(batch: BatchId, jobs: Vec<JobId>) -> u64;
        prune(batch: BatchId, before: Timestamp) -> Option<Pruned>;
        note_run(ended: RunEnd) -> ();
        close() -> ();
    }

    fn commit(&self, change: Change) -> BoxFuture<'_, Result<(), StoreError>> {
        Box::pin(async move {
            if self.is_fallen() {
                return pending().await;
            }
            let (answer, answered) = oneshot::channel();
            self.waiting.lock().unwrap().push((change, answer));
            // Whatever else is ready now may ask as well.
            tokio::task::yield_now().await;
            self.commit_waiting();
            answered.await.unwrap_or(Err(StoreError::Closed))
        })
    }

    fn release(&self, job: JobId) {
        if !self.is_fallen() {
            self.inner.release(job);
        }
    }

    fn tally(&self, batch: Option<BatchId>) -> BoxFuture<'_, Result<Tally, StoreError>> {
        Box::pin(async move {
            if let Some(known) = self.counted.lock().unwrap().tallies.get(&batch) {
                return Ok(*known);
            }
            let tally = self.pass(false, move |inner| inner.tally(batch)).await?;
            self.counted.lock().unwrap().tallies.insert(batch, tally);
            Ok(tally)
        })
    }

    fn left(&self, accounts: Vec<AccountName>, batch: Option<BatchId>) -> BoxFuture<'_, Result<Left, StoreError>> {
        Box::pin(async move {
            match &self.counted.lock().unwrap().left {
                Some((of, within, left)) if *of == accounts && *within == batch => return Ok(left.clone()),
                _ => {}
            }
            let asked = accounts.clone();
            let left = self.pass(false, move |inner| inner.left(asked, batch)).await?;
            self.counted.lock().unwrap().left = Some((accounts, batch, left.clone()));
            Ok(left)
        })
    }

    fn spent(&self, batch: Option<BatchId>) -> BoxFuture<'_, Result<Vec<Spent>, StoreError>> {
        Box::pin(async move {
            if let Some(known) = self.counted.lock().unwrap().spent.get(&batch) {
                return Ok(known.clone());
            }
            let spent = self.pass(false, move |inner| inner.spent(batch)).await?;
            self.counted.lock().unwrap().spent.insert(batch, spent.clone());
            Ok(spent)
        })
    }
}
