//! The ledger in PostgreSQL: any number of processes on any number of machines work on it. The database does the locking, the
//! durability and the time; what a process has taken is leased to it (`lease`), and every write of it is guarded by that.
//!
//! Each statement is a transaction of its own, so that any connection may break at any time: it is asked again, and finds out
//! what had been done. The statements that look before they change are functions of the first migration.

mod address;
mod commit;
mod fleet;
mod lease;
mod link;
mod open;
mod read;
mod rows;
mod sql;
mod write;

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::Duration;

use futures::FutureExt;
use futures::future::BoxFuture;
use jiff::Timestamp;
use secrecy::SecretString;
use tokio::sync::watch;
use tokio::task::JoinSet;
use tokio_postgres::Row;

use crate::domain::{
    AccountName, Attempt, BatchId, BatchName, Digest, Job, JobId, OutputKey, RowKey, StateCode, Tally,
};
use crate::pace::Clock;

use super::{
    Account, Batch, Change, Due, Ended, Filter, Fleet, Group, Known, Left, NewJob, OutputOwner, Pruned, Recorded,
    RunEnd, Spent, Store, StoreError, Wanted,
};
use address::Address;
use commit::Committer;
use lease::Lease;
use link::{Link, Target, Values};
pub use open::OpenError;

/// Connections for what is neither a commit nor a lease.
const CONNECTIONS: usize = 2;

/// A ledger in PostgreSQL.
#[derive(Debug)]
pub struct PostgresStore {
    links: Vec<Link>,
    next: AtomicUsize,
    /// What a process has that works on the ledger; none where it only reads.
    work: Option<Work>,
    news: watch::Sender<u64>,
    closed: AtomicBool,
    /// Ends with the store.
    tasks: std::sync::Mutex<JoinSet<()>>,
}

#[derive(Debug)]
struct Work {
    lease: Arc<Lease>,
    /// For the lease alone, and to hear from the others.
    own: Arc<Link>,
    committer: Committer,
}

impl PostgresStore {
    /// Opens the ledger to work on it: makes it where there is none, brings an older format up to date. `state` has no
    /// password in it; where none is given, it is looked for where PostgreSQL's own programs do.
    pub async fn open(state: &Path, password: Option<&SecretString>, clock: Clock) -> Result<Self, OpenError> {
        let target = target(state, password, clock, false)?;
        open::prepare(&target).await?;
        let begun = Self::begin(&target).await;
        begun.map_err(|why| OpenError::Refused { place: target.address.shown.clone(), words: address::chain(&why) })
    }

    async fn begin(target: &Arc<Target>) -> Result<Self, StoreError> {
        let own = Arc::new(Link::listening(target));
        let lease = Arc::new(Lease::begin(&own, &target.clock).await?);
        let (committer, desk) = Committer::new(&Arc::new(Link::new(target)), &lease);
        let mut tasks = JoinSet::new();
        tasks.spawn(desk.serve());
        tasks.spawn(lease::keep(Arc::clone(&lease), Arc::clone(&own)));
        tasks.spawn(lease::keep_giving_back(Arc::clone(&lease), Arc::new(Link::new(target))));
        let mut store = Self::over(target);
        store.tasks = std::sync::Mutex::new(tasks);
        store.work = Some(Work { lease, own, committer });
        Ok(store)
    }

    /// Opens the ledger to read it; `None` when there is none. Whatever would change it is refused.
    pub async fn open_to_read(
        state: &Path,
        password: Option<&SecretString>,
        clock: Clock,
    ) -> Result<Option<Self>, OpenError> {
        let target = target(state, password, clock, true)?;
        Ok(open::prepare(&target).await?.then(|| Self::over(&target)))
    }

    fn over(target: &Arc<Target>) -> Self {
        Self {
            links: (0..CONNECTIONS).map(|_| Link::new(target)).collect(),
            next: AtomicUsize::new(0),
            work: None,
            news: target.news.clone(),
            closed: AtomicBool::new(false),
            tasks: std::sync::Mutex::default(),
        }
    }

    /// Any connection.
    fn link(&self) -> Result<&Link, StoreError> {
        if self.closed.load(Ordering::SeqCst) {
            return Err(StoreError::Closed);
        }
        let place = self.next.fetch_add(1, Ordering::Relaxed) % self.links.len();
        self.links.get(place).ok_or(StoreError::Closed)
    }

    fn work(&self) -> Result<&Work, StoreError> {
        self.work.as_ref().ok_or(StoreError::ReadOnly)
    }

    /// Asks for something; sees all that was committed before.
    async fn look(&self, statement: &'static str, values: Values<'_>) -> Result<Vec<Row>, StoreError> {
        if let Some(work) = &self.work {
            work.committer.settled().await;
        }
        self.link()?.rows(statement, values).await
    }
}

fn target(
    state: &Path,
    password: Option<&SecretString>,
    clock: Clock,
    read_only: bool,
) -> Result<Arc<Target>, OpenError> {
    let address = Address::of(&state.to_string_lossy(), password)?;
    Ok(Arc::new(Target { address, clock, read_only, news: watch::Sender::new(0) }))
}

impl Store for PostgresStore {
    fn fleet(&self) -> Option<&dyn Fleet> {
        self.work.is_some().then_some(self)
    }

    fn open_batch(
        &self,
        name: BatchName,
        out: PathBuf,
        columns: Vec<String>,
        manifest: PathBuf,
    ) -> BoxFuture<'_, Result<Batch, StoreError>> {
        async move { self.write_batch(&name, &out, &columns, &manifest).await }.boxed()
    }

    fn batches(&self) -> BoxFuture<'_, Result<Vec<Batch>, StoreError>> {
        self.read_batches().boxed()
    }

    fn open_account(&self, account: Account) -> BoxFuture<'_, Result<Account, StoreError>> {
        async move { self.write_account(&account).await }.boxed()
    }

    fn accounts(&self) -> BoxFuture<'_, Result<Vec<Account>, StoreError>> {
        self.read_accounts().boxed()
    }

    fn known(&self, batch: BatchId, keys: Vec<RowKey>) -> BoxFuture<'_, Result<Vec<Option<Known>>, StoreError>> {
        self.read_known(batch, keys).boxed()
    }

    fn output_owners(
        &self,
        out: PathBuf,
        asks: Vec<(Option<BatchId>, RowKey, OutputKey)>,
    ) -> BoxFuture<'_, Result<Vec<Option<OutputOwner>>, StoreError>> {
        async move { self.read_output_owners(&out, &asks).await }.boxed()
    }

    fn paid_elsewhere(&self, contents: Vec<Digest>) -> BoxFuture<'_, Result<Vec<Option<BatchName>>, StoreError>> {
        async move { self.read_paid_elsewhere(&contents).await }.boxed()
    }

    fn admit(&self, batch: BatchId, jobs: Vec<NewJob>, at: Timestamp) -> BoxFuture<'_, Result<u64, StoreError>> {
        async move { self.write_rows(batch, &jobs, at).await }.boxed()
    }

    fn expect_rows(&self, _batch: BatchId, _rows: u64) -> BoxFuture<'_, Result<(), StoreError>> {
        async move { self.work().map(drop) }.boxed()
    }

    fn all_admitted(&self) -> BoxFuture<'_, Result<(), StoreError>> {
        self.tell_the_others().boxed()
    }

    fn commit(&self, change: Change) -> BoxFuture<'_, Result<(), StoreError>> {
        async move {
            self.link()?;
            self.work()?.committer.commit(&change).await
        }
        .boxed()
    }

    fn take_planned(&self, wanted: Wanted, now: Timestamp, limit: usize) -> BoxFuture<'_, Result<Due, StoreError>> {
        async move { Ok(self.take_wanted(&wanted, None, now, limit).await?.0) }.boxed()
    }

    fn take_due(
        &self,
        state: StateCode,
        account: AccountName,
        now: Timestamp,
        limit: usize,
    ) -> BoxFuture<'_, Result<Due, StoreError>> {
        async move { self.take(state, Some(&account), now, limit).await }.boxed()
    }

    fn take_ready(&self, now: Timestamp, limit: usize) -> BoxFuture<'_, Result<Due, StoreError>> {
        self.take(StateCode::Ready, None, now, limit).boxed()
    }

    fn release(&self, job: JobId) {
        if let Some(work) = &self.work {
            work.lease.release(job.0);
        }
    }

    fn job(&self, id: JobId) -> BoxFuture<'_, Result<Option<Job>, StoreError>> {
        self.read_job(id).boxed()
    }

    fn jobs(&self, filter: Filter, after: JobId, limit: usize) -> BoxFuture<'_, Result<Vec<Job>, StoreError>> {
        self.read_jobs(filter, after, limit).boxed()
    }

    fn newest(&self, limit: usize) -> BoxFuture<'_, Result<Vec<Job>, StoreError>> {
        self.read_newest(limit).boxed()
    }

    fn tally(&self, batch: Option<BatchId>) -> BoxFuture<'_, Result<Tally, StoreError>> {
        self.read_tally(batch).boxed()
    }

    fn open_of(&self, account: AccountName) -> BoxFuture<'_, Result<Tally, StoreError>> {
        async move { self.read_open_of(&account).await }.boxed()
    }

    fn left(&self, accounts: Vec<AccountName>, batch: Option<BatchId>) -> BoxFuture<'_, Result<Left, StoreError>> {
        self.read_left(accounts, batch).boxed()
    }

    fn groups(&self, batch: Option<BatchId>) -> BoxFuture<'_, Result<Vec<Group>, StoreError>> {
        self.read_groups(batch).boxed()
    }

    fn open_groups(&self, account: AccountName) -> BoxFuture<'_, Result<Vec<Group>, StoreError>> {
        async move { self.read_open_groups(&account).await }.boxed()
    }

    fn spent(&self, batch: Option<BatchId>) -> BoxFuture<'_, Result<Vec<Spent>, StoreError>> {
        self.read_spent(batch).boxed()
    }

    fn open_before(
        &self,
        account: AccountName,
        before: Timestamp,
        limit: usize,
    ) -> BoxFuture<'_, Result<Vec<Job>, StoreError>> {
        async move { self.read_open_before(&account, before, limit).await }.boxed()
    }

    fn withdraw(&self, batch: BatchId, jobs: Vec<JobId>) -> BoxFuture<'_, Result<u64, StoreError>> {
        async move { self.write_withdrawal(batch, &jobs).await }.boxed()
    }

    fn history(&self, job: JobId) -> BoxFuture<'_, Result<Vec<Recorded>, StoreError>> {
        self.read_history(job).boxed()
    }

    fn once_called(&self, name: String, limit: usize) -> BoxFuture<'_, Result<Vec<JobId>, StoreError>> {
        async move { self.read_once_called(&name, limit).await }.boxed()
    }

    fn ended(&self) -> BoxFuture<'_, Result<Vec<Ended>, StoreError>> {
        self.read_ended().boxed()
    }

    fn prune(&self, batch: BatchId, before: Timestamp) -> BoxFuture<'_, Result<Option<Pruned>, StoreError>> {
        self.write_pruned(batch, before).boxed()
    }

    fn recent_durations(&self, account: AccountName, limit: usize) -> BoxFuture<'_, Result<Vec<Duration>, StoreError>> {
        async move { self.read_recent_durations(&account, limit).await }.boxed()
    }

    fn note_run(&self, ended: RunEnd) -> BoxFuture<'_, Result<(), StoreError>> {
        async move { self.write_run(&ended).await }.boxed()
    }

    fn last_run(&self, batch: Option<BatchId>) -> BoxFuture<'_, Result<Option<RunEnd>, StoreError>> {
        self.read_last_run(batch).boxed()
    }

    fn recent_task(
        &self,
        account: AccountName,
        since: Timestamp,
        before: Timestamp,
    ) -> BoxFuture<'_, Result<Option<Attempt>, StoreError>> {
        async move { self.read_recent_task(&account, since, before).await }.boxed()
    }

    fn close(&self) -> BoxFuture<'_, Result<(), StoreError>> {
        self.leave().boxed()
    }
}

#[cfg(test)]
mod tests;
