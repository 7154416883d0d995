//! The ledger in one SQLite file: WAL, `synchronous=FULL`, one thread, group commit, one process at a time.
//!
//! Instants are kept to the millisecond.

mod bulk;
mod copy;
mod counts;
mod engine;
mod failure;
mod network;
mod open;
mod place;
mod planned;
mod prune;
mod read;
mod rows;
mod sql;
mod write;

use std::path::{Path, PathBuf};
use std::time::Duration;

use futures::FutureExt;
use futures::future::BoxFuture;
use jiff::Timestamp;

use crate::domain::{
    AccountName, Attempt, BatchId, BatchName, Digest, Job, JobId, OutputKey, RowKey, StateCode, Tally,
};

pub use super::lock::Holder;
use super::lock::{self, LockError, RunLock};
use super::{
    Account, Batch, Change, Due, Ended, Filter, Group, Known, Left, NewJob, OutputOwner, Pruned, Recorded, RunEnd,
    Spent, Store, StoreError, Wanted,
};
pub use copy::{Copied, CopyError, Moves};
use engine::{Access, Mailbox};
pub use network::is_on_network;
pub use open::OpenError;
use place::Place;

/// A ledger in an SQLite file, or in memory.
#[derive(Debug)]
pub struct SqliteStore {
    mailbox: Mailbox,
    /// Held until the store is dropped, after the thread has ended.
    _lock: Option<RunLock>,
}

impl SqliteStore {
    /// Opens the ledger to work on it: makes folder and file where they are missing, brings an older format up to date.
    /// No other process can, until the store is dropped. `now` is what the lock says of when the run began.
    pub fn open(path: &Path, now: Timestamp) -> Result<Self, OpenError> {
        let path = open::create(path)?;
        let lock = RunLock::take(&path, now).map_err(|failed| open::locked(&path, failed))?;
        let conn = open::to_write(&path)?;
        let place = Place::of(&path).map_err(|source| OpenError::Unusable { path: path.clone(), source })?;
        let mailbox = Mailbox::start(conn, Access::Writes(Some(place)));
        let mailbox = mailbox.map_err(|source| OpenError::Unusable { path, source })?;
        Ok(Self { mailbox, _lock: Some(lock) })
    }

    /// Opens the ledger to read it, also beside a run; `None` when there is none. Whatever would change it is refused.
    pub fn open_to_read(path: &Path) -> Result<Option<Self>, OpenError> {
        if path.metadata().is_ok_and(|found| found.len() == 0) || !path.exists() {
            return Ok(None);
        }
        let conn = open::to_read(path)?;
        let started = Mailbox::start(conn, Access::Reads);
        let mailbox = started.map_err(|source| OpenError::Unusable { path: path.to_path_buf(), source })?;
        Ok(Some(Self { mailbox, _lock: None }))
    }

    /// Who works on the ledger, as far as that can be told without getting in anybody's way.
    #[must_use]
    pub fn held_by(path: &Path) -> Option<Holder> {
        lock::held(path)
    }

    /// A ledger that is gone when it is dropped, for tests.
    pub fn open_in_memory() -> Result<Self, OpenError> {
        let conn = open::in_memory()?;
        let unusable = |source| OpenError::Unusable { path: ":memory:".into(), source };
        Ok(Self { mailbox: Mailbox::start(conn, Access::Writes(None)).map_err(unusable)?, _lock: None })
    }
}

impl Store for SqliteStore {
    fn open_batch(
        &self,
        name: BatchName,
        out: PathBuf,
        columns: Vec<String>,
        manifest: PathBuf,
    ) -> BoxFuture<'_, Result<Batch, StoreError>> {
        self.mailbox.ask(move |engine| write::open_batch(engine, &name, &out, &columns, &manifest)).boxed()
    }

    fn batches(&self) -> BoxFuture<'_, Result<Vec<Batch>, StoreError>> {
        self.mailbox.count(read::batches).boxed()
    }

    fn open_account(&self, account: Account) -> BoxFuture<'_, Result<Account, StoreError>> {
        self.mailbox.ask(move |engine| write::open_account(engine, &account)).boxed()
    }

    fn accounts(&self) -> BoxFuture<'_, Result<Vec<Account>, StoreError>> {
        self.mailbox.count(read::accounts).boxed()
    }

    fn known(&self, batch: BatchId, keys: Vec<RowKey>) -> BoxFuture<'_, Result<Vec<Option<Known>>, StoreError>> {
        self.mailbox.look(move |engine| read::known(engine, batch, &keys)).boxed()
    }

    fn output_owners(
        &self,
        out: PathBuf,
        asks: Vec<(Option<BatchId>, RowKey, OutputKey)>,
    ) -> BoxFuture<'_, Result<Vec<Option<OutputOwner>>, StoreError>> {
        self.mailbox.look(move |engine| read::output_owners(engine, &out, &asks)).boxed()
    }

    fn paid_elsewhere(&self, contents: Vec<Digest>) -> BoxFuture<'_, Result<Vec<Option<BatchName>>, StoreError>> {
        self.mailbox.look(move |engine| read::paid_elsewhere(engine, &contents)).boxed()
    }

    fn admit(&self, batch: BatchId, jobs: Vec<NewJob>, at: Timestamp) -> BoxFuture<'_, Result<u64, StoreError>> {
        async move {
            let rows = jobs.into_iter().map(write::Row::new).collect::<Result<Vec<_>, _>>()?;
            self.mailbox.admit(move |engine| write::admit(engine, batch, &rows, at)).await
        }
        .boxed()
    }

    fn expect_rows(&self, batch: BatchId, rows: u64) -> BoxFuture<'_, Result<(), StoreError>> {
        self.mailbox.ask(move |engine| bulk::want(engine, batch, rows)).boxed()
    }

    fn all_admitted(&self) -> BoxFuture<'_, Result<(), StoreError>> {
        self.mailbox.ask(bulk::outcome).boxed()
    }

    fn commit(&self, change: Change) -> BoxFuture<'_, Result<(), StoreError>> {
        async move { self.mailbox.commit(write::Written::new(change)?).await }.boxed()
    }

    fn take_planned(&self, wanted: Wanted, now: Timestamp, limit: usize) -> BoxFuture<'_, Result<Due, StoreError>> {
        self.mailbox.look(move |engine| planned::take(engine, &wanted, now, limit)).boxed()
    }

    fn take_due(
        &self,
        state: StateCode,
        account: AccountName,
        now: Timestamp,
        limit: usize,
    ) -> BoxFuture<'_, Result<Due, StoreError>> {
        self.mailbox.look(move |engine| read::take_due(engine, state, &account, now, limit)).boxed()
    }

    fn take_ready(&self, now: Timestamp, limit: usize) -> BoxFuture<'_, Result<Due, StoreError>> {
        self.mailbox.look(move |engine| read::take_ready(engine, now, limit)).boxed()
    }

    fn release(&self, job: JobId) {
        self.mailbox.release(job);
    }

    fn job(&self, id: JobId) -> BoxFuture<'_, Result<Option<Job>, StoreError>> {
        self.mailbox.look(move |engine| read::job(engine, id)).boxed()
    }

    fn jobs(&self, filter: Filter, after: JobId, limit: usize) -> BoxFuture<'_, Result<Vec<Job>, StoreError>> {
        self.mailbox.look(move |engine| read::jobs(engine, &filter, after, limit)).boxed()
    }

    fn newest(&self, limit: usize) -> BoxFuture<'_, Result<Vec<Job>, StoreError>> {
        self.mailbox.count(move |engine| read::newest(engine, limit)).boxed()
    }

    fn tally(&self, batch: Option<BatchId>) -> BoxFuture<'_, Result<Tally, StoreError>> {
        self.mailbox.count(move |engine| read::tally(engine, batch)).boxed()
    }

    fn open_of(&self, account: AccountName) -> BoxFuture<'_, Result<Tally, StoreError>> {
        self.mailbox.count(move |engine| read::open_of(engine, &account)).boxed()
    }

    fn left(&self, accounts: Vec<AccountName>, batch: Option<BatchId>) -> BoxFuture<'_, Result<Left, StoreError>> {
        self.mailbox.count(move |engine| read::left(engine, &accounts, batch)).boxed()
    }

    fn groups(&self, batch: Option<BatchId>) -> BoxFuture<'_, Result<Vec<Group>, StoreError>> {
        self.mailbox.count(move |engine| read::groups(engine, batch)).boxed()
    }

    fn open_groups(&self, account: AccountName) -> BoxFuture<'_, Result<Vec<Group>, StoreError>> {
        self.mailbox.count(move |engine| read::open_groups(engine, &account)).boxed()
    }

    fn spent(&self, batch: Option<BatchId>) -> BoxFuture<'_, Result<Vec<Spent>, StoreError>> {
        self.mailbox.count(move |engine| read::spent(engine, batch)).boxed()
    }

    fn open_before(
        &self,
        account: AccountName,
        before: Timestamp,
        limit: usize,
    ) -> BoxFuture<'_, Result<Vec<Job>, StoreError>> {
        self.mailbox.look(move |engine| read::open_before(engine, &account, before, limit)).boxed()
    }

    fn withdraw(&self, batch: BatchId, jobs: Vec<JobId>) -> BoxFuture<'_, Result<u64, StoreError>> {
        self.mailbox.ask(move |engine| write::withdraw(engine, batch, &jobs)).boxed()
    }

    fn history(&self, job: JobId) -> BoxFuture<'_, Result<Vec<Recorded>, StoreError>> {
        self.mailbox.look(move |engine| read::history(engine, job)).boxed()
    }

    fn once_called(&self, name: String, limit: usize) -> BoxFuture<'_, Result<Vec<JobId>, StoreError>> {
        self.mailbox.count(move |engine| read::once_called(engine, &name, limit)).boxed()
    }

    fn ended(&self) -> BoxFuture<'_, Result<Vec<Ended>, StoreError>> {
        self.mailbox.ask(prune::ended).boxed()
    }

    fn prune(&self, batch: BatchId, before: Timestamp) -> BoxFuture<'_, Result<Option<Pruned>, StoreError>> {
        self.mailbox.ask(move |engine| prune::prune(engine, batch, before)).boxed()
    }

    fn recent_durations(&self, account: AccountName, limit: usize) -> BoxFuture<'_, Result<Vec<Duration>, StoreError>> {
        self.mailbox.count(move |engine| read::recent_durations(engine, &account, limit)).boxed()
    }

    fn note_run(&self, ended: RunEnd) -> BoxFuture<'_, Result<(), StoreError>> {
        self.mailbox.ask(move |engine| write::note_run(engine, &ended)).boxed()
    }

    fn last_run(&self, batch: Option<BatchId>) -> BoxFuture<'_, Result<Option<RunEnd>, StoreError>> {
        self.mailbox.count(move |engine| read::last_run(engine, batch)).boxed()
    }

    fn recent_task(
        &self,
        account: AccountName,
        since: Timestamp,
        before: Timestamp,
    ) -> BoxFuture<'_, Result<Option<Attempt>, StoreError>> {
        self.mailbox.count(move |engine| read::recent_task(engine, &account, since, before)).boxed()
    }

    fn close(&self) -> BoxFuture<'_, Result<(), StoreError>> {
        async {
            // What was asked before is answered first: the mailbox is served in order.
            let asked = self.mailbox.ask(|_| Ok(())).await;
            self.mailbox.close();
            asked
        }
        .boxed()
    }
}

#[cfg(test)]
mod tests;
