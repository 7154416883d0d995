//! What can happen to a job. Events are appended to the ledger and never changed; their names are part of its format.

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use super::{AccountName, Artifact, ClientRef, Digest, Doubt, Effect, FailureCause, Handle, OutputKey, Price, TaskId};

/// One thing that happened to a job.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "event", rename_all = "snake_case")]
pub enum JobEvent {
    /// The intent to submit. Durable before the request leaves.
    SubmitStarted {
        /// The attempt's number.
        attempt: u32,
        /// What is sent as `external_task_id`.
        client_ref: ClientRef,
        /// Who sends it.
        account: AccountName,
        /// What it will probably cost; `None` in ledgers of before prices were kept.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        price: Option<Price>,
    },
    /// The remote took the task.
    Accepted {
        /// What it calls it.
        task: TaskId,
        /// What it calls the request, for complaints; where it said so.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        request_id: Option<String>,
        /// Where it said that the task is to be asked for, where that cannot be made from the id.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        handle: Option<Handle>,
    },
    /// The remote refused for good, or the row could not be sent: nothing was made.
    Refused {
        /// Why.
        cause: FailureCause,
    },
    /// Nothing was made this time; to be sent again.
    PutOff {
        /// When.
        due_at: Timestamp,
        /// Why, in the remote's words or the transport's.
        words: String,
    },
    /// Nobody knows whether a task was made.
    Doubted {
        /// Why.
        doubt: Doubt,
        /// When to look first.
        due_at: Timestamp,
    },
    /// The remote was asked and does not know the attempt; it is looked for again.
    LookedAbsent {
        /// When.
        due_at: Timestamp,
    },
    /// The remote cannot be asked, or not yet; nothing was learned.
    LookPutOff {
        /// When to look again.
        due_at: Timestamp,
    },
    /// The remote has the attempt: it is ours.
    Found {
        /// What it calls it.
        task: TaskId,
    },
    /// Absent after the quiet period: to be sent again under the same reference.
    ResendAllowed {
        /// The first request may have been paid all the same: nothing would refuse the second one, and the user chose it.
        #[serde(default, skip_serializing_if = "std::ops::Not::not")]
        perhaps_paid: bool,
    },
    /// Only a person can settle it.
    HeldForPerson,
    /// The video is made.
    Succeeded {
        /// Where it is, for some days.
        link: String,
        /// How long the generation took, in milliseconds, where that was learned.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        took_ms: Option<u64>,
        /// What the remote says that it charged, in its units, where it says so.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        units: Option<String>,
    },
    /// The remote could not make it.
    TaskFailed {
        /// Its words; may be empty.
        words: String,
        /// What the remote says that it charged all the same, in its units, where it says so.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        units: Option<String>,
    },
    /// The deadline passed, or the video could not be fetched however often it was tried.
    GaveUp {
        /// What was waited for.
        words: String,
    },
    /// A stuck task is asked for again.
    Revived,
    /// Fetching failed; to be tried again.
    FetchFailed {
        /// When.
        due_at: Timestamp,
        /// What went wrong.
        words: String,
    },
    /// The link is dead: the task is asked for a fresh one.
    LinkExpired,
    /// The video is in the output tree.
    Stored {
        /// The file.
        artifact: Artifact,
    },
    /// The file is gone from the output tree, or is another: to be fetched again, never paid again.
    ArtifactLost {
        /// What was found.
        words: String,
    },
    /// A person settled a job that was held, stuck or in doubt.
    Resolved {
        /// How.
        verdict: Verdict,
    },
    /// A person asked for another attempt at a failed job.
    RetryAsked,
    /// The row asks for something else now, and may be sent again.
    Changed {
        /// What it asks for.
        effect: Box<Effect>,
        /// Its digest.
        content: Digest,
    },
    /// The row's video goes elsewhere from now on.
    Moved {
        /// Where.
        output: OutputKey,
    },
    /// The row is for another account from now on.
    Routed {
        /// The only account that may send it; `None` for any.
        account: Option<AccountName>,
    },
    /// The remote's list showed an attempt of this row that the ledger knew nothing of: it is ours, and was paid for.
    Adopted {
        /// The attempt's number.
        attempt: u32,
        /// What was sent as `external_task_id`.
        client_ref: ClientRef,
        /// Whose list showed it.
        account: AccountName,
        /// What the remote calls it.
        task: TaskId,
    },
}

/// What a person says of an attempt in doubt.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Verdict {
    /// It was made: this task.
    Made(TaskId),
    /// It was not made: send it.
    NotMade,
    /// Give the row up.
    Drop,
}

impl JobEvent {
    /// The event's name in the ledger and in logs.
    #[must_use]
    pub const fn name(&self) -> &'static str {
        match self {
            Self::SubmitStarted { .. } => "submit_started",
            Self::Accepted { .. } => "accepted",
            Self::Refused { .. } => "refused",
            Self::PutOff { .. } => "put_off",
            Self::Doubted { .. } => "doubted",
            Self::LookedAbsent { .. } => "looked_absent",
            Self::LookPutOff { .. } => "look_put_off",
            Self::Found { .. } => "found",
            Self::ResendAllowed { .. } => "resend_allowed",
            Self::HeldForPerson => "held_for_person",
            Self::Succeeded { .. } => "succeeded",
            Self::TaskFailed { .. } => "task_failed",
            Self::GaveUp { .. } => "gave_up",
            Self::Revived => "revived",
            Self::FetchFailed { .. } => "fetch_failed",
            Self::LinkExpired => "link_expired",
            Self::Stored { .. } => "stored",
            Self::ArtifactLost { .. } => "artifact_lost",
            Self::Resolved { .. } => "resolved",
            Self::RetryAsked => "retry_asked",
            Self::Changed { .. } => "changed",
            Self::Moved { .. } => "moved",
            Self::Routed { .. } => "routed",
            Self::Adopted { .. } => "adopted",
        }
    }
}
