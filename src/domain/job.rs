//! A job: one row of a manifest, as the ledger knows it.

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use super::{
    AccountName, Artifact, BatchId, ClientRef, Digest, Effect, Handle, JobId, OutputKey, Price, RowKey, State, TaskId,
};

/// What we want, and how far it is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Job {
    /// Its number in the ledger.
    pub id: JobId,
    /// The batch that it belongs to.
    pub batch: BatchId,
    /// What it is known by within its batch.
    pub key: RowKey,
    /// What people call it: the row's `id`, or a name made from its image and content.
    pub label: String,
    /// What is asked for.
    pub effect: Effect,
    /// The digest of `effect`.
    pub content: Digest,
    /// Where the video goes.
    pub output: OutputKey,
    /// The manifest's own columns, as a JSON object of texts.
    pub columns: String,
    /// The only account that may send it, where its row names one.
    pub account: Option<AccountName>,
    /// How far it is.
    pub state: State,
    /// The present or last attempt; `None` before the first.
    pub attempt: Option<Attempt>,
    /// Requests that may have been paid, over all attempts.
    pub submissions: u32,
    /// How often its state was changed; guards every commit.
    pub version: u64,
    /// When it came to its present end, for jobs that are done or failed.
    pub finished_at: Option<Timestamp>,
}

/// What we may have paid for.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Attempt {
    /// Counted from 1. A request that certainly made nothing is repeated under the same number.
    pub number: u32,
    /// What we sent as `external_task_id`.
    pub client_ref: ClientRef,
    /// Who sent it.
    pub account: AccountName,
    /// When its intent became durable.
    pub started_at: Timestamp,
    /// What it will probably cost, by the account's price table when it was sent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub price: Option<Price>,
    /// What the remote calls it, once known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub task: Option<TaskId>,
    /// What the remote calls the request that it accepted, where it said so.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub request_id: Option<String>,
    /// Where the task is to be asked for, where the remote said so.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub handle: Option<Handle>,
    /// What the remote says that it charged, in its units.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub units: Option<String>,
    /// How long the generation took, in milliseconds, where that was learned.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub took_ms: Option<u64>,
    /// How often in a row the remote put it off without making anything.
    #[serde(default)]
    pub put_offs: u32,
    /// It was sent again after doubt: only its account may have it already, and goes on with it.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub tied: bool,
    /// How often it was sent again where that may have been paid twice.
    #[serde(default)]
    pub risks: u32,
    /// How often in a row a link to its video was dead.
    #[serde(default)]
    pub dead_links: u32,
}

impl Attempt {
    /// An attempt of which no more is known than that the remote has it.
    pub(super) fn adopted(
        number: u32,
        client_ref: &ClientRef,
        account: &AccountName,
        task: &TaskId,
        at: Timestamp,
    ) -> Self {
        Self { task: Some(task.clone()), ..Self::new(number, client_ref.clone(), account.clone(), at) }
    }

    /// An attempt whose intent is recorded at `started_at`.
    pub(super) const fn new(number: u32, client_ref: ClientRef, account: AccountName, started_at: Timestamp) -> Self {
        Self {
            number,
            client_ref,
            account,
            started_at,
            price: None,
            task: None,
            request_id: None,
            handle: None,
            units: None,
            took_ms: None,
            put_offs: 0,
            tied: false,
            risks: 0,
            dead_links: 0,
        }
    }
}

impl Job {
    /// The number of the present or last attempt; 0 before the first.
    #[must_use]
    pub fn last_attempt(&self) -> u32 {
        self.attempt.as_ref().map_or(0, |attempt| attempt.number)
    }

    /// The task of the present attempt, once known.
    #[must_use]
    pub fn task(&self) -> Option<&TaskId> {
        self.attempt.as_ref().and_then(|attempt| attempt.task.as_ref())
    }

    /// The video that it came to, once it is done.
    #[must_use]
    pub const fn artifact(&self) -> Option<&Artifact> {
        if let State::Done { artifact } = &self.state { Some(artifact) } else { None }
    }

    /// The only account that may send it: the one that may have it already, else the one that its row names.
    #[must_use]
    pub fn sender(&self) -> Option<&AccountName> {
        match &self.state {
            State::Planned { with: Some(account), .. } => Some(account),
            _ => self.account.as_ref(),
        }
    }

    /// The number that the next new attempt takes.
    #[must_use]
    pub fn next_attempt(&self) -> u32 {
        match (&self.attempt, &self.state) {
            (None, _) => 1,
            // A planned job whose attempt made nothing sends it again under the same number.
            (Some(attempt), State::Planned { resend: true, .. }) => attempt.number,
            (Some(attempt), _) => attempt.number + 1,
        }
    }
}
