//! What processes that work on one ledger together keep through it: the slots, the pace and the budget of an account, and
//! whose each job is. A store that one process has to itself has none of this: that process keeps them in memory.

use std::fmt;
use std::time::Duration;

use futures::future::BoxFuture;
use jiff::Timestamp;
use tokio::sync::watch;

use crate::domain::{AccountName, BatchId, Job, JobId, Money};

use super::{Group, StoreError, Wanted};

/// The parallel generations that an account may have, and with whom it shares them.
#[derive(Debug, Clone)]
pub struct Room {
    /// The accounts of its pool, itself among them.
    pub accounts: Vec<AccountName>,
    /// How many of theirs may run at once.
    pub most: usize,
}

/// What came of asking for planned jobs.
#[derive(Debug, Clone)]
pub enum Claim {
    /// These, at least one, each with a slot: it is counted as one that runs until it is changed or released.
    Jobs(Vec<Job>),
    /// As many run as may.
    Full,
    /// Nothing is due; when to look again, as far as that is known.
    Nothing(Option<Timestamp>),
}

/// A price that is held against a budget.
#[derive(Debug, Clone, Copy)]
pub struct Weighed {
    /// What the request would cost.
    pub price: Money,
    /// The batch that the budget is for; `None` for all.
    pub batch: Option<BatchId>,
    /// The most that may be paid.
    pub most: Money,
    /// What a request counts whose price is not known.
    pub typical: Money,
}

/// What came of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Weight {
    /// It can be afforded, and is reserved until the job is changed or released.
    Affordable,
    /// Not while what is in hand, anywhere, may be paid.
    NotNow,
    /// Not with what was paid.
    TooDear,
}

/// Places in a pace, by the clock of whoever keeps it: that is not ours, and what is late in telling of a place does not make the
/// place later.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Reserved {
    /// When the first request may leave.
    pub first: Timestamp,
    /// What time it was when that was told.
    pub now: Timestamp,
}

/// The part of a store that only processes which share it need. All of it holds whoever dies: what a process had reserved comes
/// back with its jobs.
pub trait Fleet: fmt::Debug + Send + Sync {
    /// Takes up to `limit` planned jobs that are due at `now`, as many as their account has room for. What runs is counted
    /// together with the taking. A job that this process holds already is not given to it once more.
    fn claim(
        &self,
        wanted: Wanted,
        room: Room,
        now: Timestamp,
        limit: usize,
    ) -> BoxFuture<'_, Result<Claim, StoreError>>;

    /// Weighs the price of a job that was claimed, and reserves it where it can be afforded.
    fn afford(&self, job: JobId, weighed: Weighed) -> BoxFuture<'_, Result<Weight, StoreError>>;

    /// Reserves the next `requests` places in an account's pace, one each `interval`. One that is not used is lost.
    fn reserve(
        &self,
        account: AccountName,
        interval: Duration,
        requests: u32,
    ) -> BoxFuture<'_, Result<Reserved, StoreError>>;

    /// The jobs of these accounts that are claimed and not sent yet, anywhere, by batch, scene and account (as the sender).
    fn claimed(&self, accounts: Vec<AccountName>) -> BoxFuture<'_, Result<Vec<Group>, StoreError>>;

    /// Whether what this process has taken is certainly still its own. Where that cannot be said, nothing may be sent.
    fn is_ours(&self) -> bool;

    /// Changes when another process says that there may be something to do. A hint: nothing depends on it.
    fn news(&self) -> watch::Receiver<u64>;
}
