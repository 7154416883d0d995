//! Where the ledger's bytes live. A store keeps what it is given, whole and durable; what it means is the `ledger`'s.
//!
//! A store never makes a state up: it commits a [`Change`] that [`Job::apply`](crate::domain::Job::apply) computed,
//! guarded by the job's version, together with the event that caused it, in one transaction.

mod change;
mod columns;
#[cfg(test)]
pub(crate) mod contract;
mod ended;
mod fleet;
mod kill;
mod lock;
mod pages;
mod place;
#[cfg(feature = "postgres")]
pub mod postgres;
pub mod sqlite;

use std::fmt;
use std::path::PathBuf;

use futures::future::BoxFuture;
use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use crate::domain::{
    AccountName, Attempt, BatchId, BatchName, Digest, Effect, Job, JobEvent, JobId, OutputKey, Price, RowKey,
    StateCode, Tally,
};

pub use change::{Change, Standing};
pub use ended::{Ended, Pruned};
pub use fleet::{Claim, Fleet, Reserved, Room, Weighed, Weight};
pub use pages::Pages;
pub use place::{beside, is_shared, without_password};

/// A store could not do what it was asked.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// Another change came first: the job's version is not the expected one.
    #[error("job {job} was changed meanwhile")]
    Conflict {
        /// The job.
        job: JobId,
    },
    /// The disk is full.
    #[error("no space is left for the ledger")]
    Full,
    /// The stored data cannot be read: damaged, or not ours.
    #[error("the ledger is damaged: {0}")]
    Damaged(String),
    /// The engine failed.
    #[error("the ledger's engine failed")]
    Engine(#[source] Box<dyn std::error::Error + Send + Sync>),
    /// The ledger is only being read, or its file may not be written.
    #[error("the ledger may not be written")]
    ReadOnly,
    /// The store was closed.
    #[error("the ledger was closed")]
    Closed,
    /// Its file was taken away from under it. Nothing was written since.
    #[error("the ledger's file was deleted, moved or replaced while it was being worked on")]
    Gone,
}

/// One manifest under one name.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Batch {
    /// Its number in the ledger.
    pub id: BatchId,
    /// Its name.
    pub name: BatchName,
    /// Absolute path of its output tree.
    pub out: PathBuf,
    /// The manifest's own columns, in order.
    pub columns: Vec<String>,
    /// The manifest's absolute path, when it was last admitted.
    pub manifest: PathBuf,
}

/// An account as the ledger remembers it: enough to go on without being told again, never a key.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Account {
    /// Its name.
    pub name: AccountName,
    /// The gateway's preset.
    pub gateway: String,
    /// The base URL; empty for the embedded simulator.
    pub base_url: String,
    /// When its last intent to submit was recorded: a restart goes on with the rate from there. `None` where the store keeps the
    /// pace itself ([`Fleet::reserve`]).
    pub last_submit_at: Option<Timestamp>,
}

/// A row to be admitted as a new, planned job.
#[derive(Debug, Clone)]
pub struct NewJob {
    /// What it is known by within its batch.
    pub key: RowKey,
    /// What people call it.
    pub label: String,
    /// What it asks for.
    pub effect: Effect,
    /// The digest of `effect`.
    pub content: Digest,
    /// Where the video goes.
    pub output: OutputKey,
    /// The manifest's own columns, as a JSON object of texts.
    pub columns: String,
    /// The only account that may send it, where the row names one.
    pub account: Option<AccountName>,
}

/// What a ledger knows of a row: enough to say what would be done with it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Known {
    /// The job.
    pub job: JobId,
    /// Its state.
    pub state: StateCode,
    /// The content that it has there.
    pub content: Digest,
    /// Its output name.
    pub output: OutputKey,
    /// Requests that may have been paid.
    pub submissions: u32,
    /// The only account that its row named.
    pub account: Option<AccountName>,
}

/// What stands in the way of an output name: another job of the ledger that writes to the same output tree.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OutputOwner {
    /// The other job's batch.
    pub batch: BatchName,
    /// What people call the other job.
    pub label: String,
}

/// Jobs that are due, and when to look again.
#[derive(Debug, Clone, Default)]
pub struct Due {
    /// Jobs, taken: they are not given out again before they are changed or released.
    pub jobs: Vec<Job>,
    /// The earliest instant at which a further job in that state, not taken, is due.
    pub next_at: Option<Timestamp>,
}

/// Which planned jobs an account may send.
#[derive(Debug, Clone)]
pub struct Wanted {
    /// The account: jobs that only another may send are left.
    pub account: AccountName,
    /// Only this batch.
    pub batch: Option<BatchId>,
    /// Scenes of which nothing is sent now.
    pub closed: Vec<(BatchId, String)>,
}

/// Jobs of one scene in one state.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Group {
    /// Their batch.
    pub batch: BatchId,
    /// Their scene.
    pub scene: String,
    /// The only account that may send them, where only one may.
    pub sender: Option<AccountName>,
    /// Their state.
    pub state: StateCode,
    /// How many they are.
    pub jobs: u64,
    /// Requests for them that may have been paid.
    pub submissions: u64,
}

/// What is left to do.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Left {
    /// How many jobs of each of the accounts that were asked for are being submitted, in doubt, or at the remote.
    pub at_remote: Vec<u64>,
    /// Videos that are made and not fetched, of any account.
    pub ready: u64,
    /// What is planned.
    pub planned: Vec<Group>,
}

/// How a run ended.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct RunEnd {
    /// The batch that it was for; `None` for all.
    #[serde(skip)]
    pub batch: Option<BatchId>,
    /// When.
    pub at: Timestamp,
    /// With which exit code.
    pub exit_code: u8,
    /// How many requests it sent.
    pub submitted: u64,
    /// What it learned, line by line.
    pub notes: Vec<String>,
}

/// What an account may have been paid.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Spent {
    /// Whose requests.
    pub account: AccountName,
    /// By the price table of when they were sent; `None` for requests whose price is not known.
    pub price: Option<Price>,
    /// How many requests.
    pub requests: u64,
}

/// Which jobs a listing is for.
#[derive(Debug, Clone, Default)]
pub struct Filter {
    /// Only this batch.
    pub batch: Option<BatchId>,
    /// Only these states; empty for all.
    pub states: Vec<StateCode>,
    /// Only this label, key or task id, as people would write it.
    pub named: Option<String>,
}

/// One line of a job's history.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Recorded {
    /// Its place in the ledger's whole history.
    pub seq: i64,
    /// When.
    pub at: Timestamp,
    /// What.
    pub event: JobEvent,
}

/// Where the ledger's bytes live.
///
/// Every method that changes something is durable (on the disk, synced) once its future is ready.
pub trait Store: fmt::Debug + Send + Sync {
    /// What several processes that work on it keep through it; `None` where one process has it to itself, and keeps that in
    /// memory.
    fn fleet(&self) -> Option<&dyn Fleet> {
        None
    }

    /// Makes the batch of this name or brings it up to date (output tree, columns, manifest), and gives it back.
    fn open_batch(
        &self,
        name: BatchName,
        out: PathBuf,
        columns: Vec<String>,
        manifest: PathBuf,
    ) -> BoxFuture<'_, Result<Batch, StoreError>>;

    /// All batches, oldest first.
    fn batches(&self) -> BoxFuture<'_, Result<Vec<Batch>, StoreError>>;

    /// Remembers an account, without touching its `last_submit_at`.
    fn open_account(&self, account: Account) -> BoxFuture<'_, Result<Account, StoreError>>;

    /// All accounts.
    fn accounts(&self) -> BoxFuture<'_, Result<Vec<Account>, StoreError>>;

    /// Which of `keys` the batch has, in their order. A batch that does not exist knows none.
    fn known(&self, batch: BatchId, keys: Vec<RowKey>) -> BoxFuture<'_, Result<Vec<Option<Known>>, StoreError>>;

    /// For each of `keys` (with their output tree), who else owns that output name there: a job of another key.
    /// Compared without case. `own` is the batch and row that asks.
    fn output_owners(
        &self,
        out: PathBuf,
        asks: Vec<(Option<BatchId>, RowKey, OutputKey)>,
    ) -> BoxFuture<'_, Result<Vec<Option<OutputOwner>>, StoreError>>;

    /// For each content, the name of a batch that has a job of that content with a request that may have been paid.
    fn paid_elsewhere(&self, contents: Vec<Digest>) -> BoxFuture<'_, Result<Vec<Option<BatchName>>, StoreError>>;

    /// Adds jobs, planned and due at `at`; a row whose key the batch has already is left as it is. Gives the number
    /// added.
    fn admit(&self, batch: BatchId, jobs: Vec<NewJob>, at: Timestamp) -> BoxFuture<'_, Result<u64, StoreError>>;

    /// Says that about so many rows are about to be admitted to a batch. Until [`Store::all_admitted`], a store may keep them to
    /// itself: they are durable, and others see them, once that is ready or anything else was changed; and none of them is
    /// there where the process ends before.
    fn expect_rows(&self, batch: BatchId, rows: u64) -> BoxFuture<'_, Result<(), StoreError>>;

    /// No more rows are about to be admitted. Where it fails, none of those that were expected is there.
    fn all_admitted(&self) -> BoxFuture<'_, Result<(), StoreError>>;

    /// Commits one change: the event and the job as it is now. Releases the job if it was taken.
    fn commit(&self, change: Change) -> BoxFuture<'_, Result<(), StoreError>>;

    /// Takes up to `limit` planned jobs that are due at `now` and not taken, earliest first, of those that are wanted.
    /// Does not walk the jobs of scenes that are closed.
    fn take_planned(&self, wanted: Wanted, now: Timestamp, limit: usize) -> BoxFuture<'_, Result<Due, StoreError>>;

    /// Takes up to `limit` jobs of `account` in `state` that are due at `now`, earliest first, and not taken. Only for the
    /// states in which a job has an attempt and has not ended.
    fn take_due(
        &self,
        state: StateCode,
        account: AccountName,
        now: Timestamp,
        limit: usize,
    ) -> BoxFuture<'_, Result<Due, StoreError>>;

    /// Takes up to `limit` jobs of any account that are ready, due at `now` and not taken, those first that were sent
    /// first: their links die first.
    fn take_ready(&self, now: Timestamp, limit: usize) -> BoxFuture<'_, Result<Due, StoreError>>;

    /// Gives a taken job back unchanged. Never waits: what cannot be given back now is given back with the next call.
    fn release(&self, job: JobId);

    /// One job.
    fn job(&self, id: JobId) -> BoxFuture<'_, Result<Option<Job>, StoreError>>;

    /// Jobs by number, after `after`, at most `limit`: one page of a listing.
    fn jobs(&self, filter: Filter, after: JobId, limit: usize) -> BoxFuture<'_, Result<Vec<Job>, StoreError>>;

    /// The jobs whose videos were stored last and are still there, the newest first, at most `limit`; looked for among the
    /// latest few thousand events only.
    fn newest(&self, limit: usize) -> BoxFuture<'_, Result<Vec<Job>, StoreError>>;

    /// How many jobs are in which state, in one batch or in all. Does not walk the jobs.
    fn tally(&self, batch: Option<BatchId>) -> BoxFuture<'_, Result<Tally, StoreError>>;

    /// How many of an account's jobs are in doubt or being submitted, waiting, ready, held and stuck: the states in which
    /// a job belongs to the account of its attempt and is not ended. Does not walk the jobs that ended.
    fn open_of(&self, account: AccountName) -> BoxFuture<'_, Result<Tally, StoreError>>;

    /// What is left to do for `accounts`, and the planned jobs of one batch or of all, at one instant: a job that moves
    /// from one state to the other meanwhile is seen in one of them.
    fn left(&self, accounts: Vec<AccountName>, batch: Option<BatchId>) -> BoxFuture<'_, Result<Left, StoreError>>;

    /// How many jobs of each scene are in which state, in one batch or in all. Does not walk the jobs.
    fn groups(&self, batch: Option<BatchId>) -> BoxFuture<'_, Result<Vec<Group>, StoreError>>;

    /// How many jobs of an account, of each scene, have an attempt and are not ended. Does not walk the jobs that ended.
    fn open_groups(&self, account: AccountName) -> BoxFuture<'_, Result<Vec<Group>, StoreError>>;

    /// What may have been paid, in one batch or in all, by account and currency. Does not walk the jobs.
    fn spent(&self, batch: Option<BatchId>) -> BoxFuture<'_, Result<Vec<Spent>, StoreError>>;

    /// Jobs of an account that have not ended and were sent before an instant, the oldest first, at most `limit`.
    fn open_before(
        &self,
        account: AccountName,
        before: Timestamp,
        limit: usize,
    ) -> BoxFuture<'_, Result<Vec<Job>, StoreError>>;

    /// Removes planned jobs of a batch for which certainly nothing was paid. Their history stays. Others are left. Gives
    /// the number removed.
    fn withdraw(&self, batch: BatchId, jobs: Vec<JobId>) -> BoxFuture<'_, Result<u64, StoreError>>;

    /// A job's history, oldest first.
    fn history(&self, job: JobId) -> BoxFuture<'_, Result<Vec<Recorded>, StoreError>>;

    /// The jobs, at most `limit`, that some event of their history calls so: by task, external id or request. Walks the whole
    /// history.
    fn once_called(&self, name: String, limit: usize) -> BoxFuture<'_, Result<Vec<JobId>, StoreError>>;

    /// The batches all of whose rows are done or failed, oldest first. Walks the jobs.
    fn ended(&self) -> BoxFuture<'_, Result<Vec<Ended>, StoreError>>;

    /// Takes a batch out of the ledger, with its jobs, their history and what was spent for them: all or nothing, and only
    /// where all of its rows are done or failed and came to their end before `before`; `None` where that is not so. What it
    /// paid for is not known any more: the same rows would be paid for again.
    fn prune(&self, batch: BatchId, before: Timestamp) -> BoxFuture<'_, Result<Option<Pruned>, StoreError>>;

    /// How long the account's most recently finished tasks took, newest first, at most `limit`; of those for which the
    /// event that found them made says so.
    fn recent_durations(
        &self,
        account: AccountName,
        limit: usize,
    ) -> BoxFuture<'_, Result<Vec<std::time::Duration>, StoreError>>;

    /// Remembers how a run ended.
    fn note_run(&self, ended: RunEnd) -> BoxFuture<'_, Result<(), StoreError>>;

    /// How the last run ended that had to do with a batch, or the last one of all.
    fn last_run(&self, batch: Option<BatchId>) -> BoxFuture<'_, Result<Option<RunEnd>, StoreError>>;

    /// A task of an account that the remote has, or made, and that was sent between two instants; of the latest such row.
    fn recent_task(
        &self,
        account: AccountName,
        since: Timestamp,
        before: Timestamp,
    ) -> BoxFuture<'_, Result<Option<Attempt>, StoreError>>;

    /// Ends the store after all that was asked of it is done.
    fn close(&self) -> BoxFuture<'_, Result<(), StoreError>>;
}
