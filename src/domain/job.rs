//! A job: one row of a manifest, as the ledger knows it.

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use super::{AccountName, BatchId, ClientRef, Digest, Effect, Handle, JobId, OutputKey, RowKey, State, TaskId};

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
    /// How often in a row a link to its video was dead.
    #[serde(default)]
    pub dead_links: u32,
}

impl Job {
    /// The task of the present attempt, once known.
    #[must_use]
    pub fn task(&self) -> Option<&TaskId> {
        self.attempt.as_ref().and_then(|attempt| attempt.task.as_ref())
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
