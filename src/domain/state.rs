//! The states of a job. Each carries exactly what is true only in it.

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use super::{AccountName, Artifact, Doubt, FailureCause};

/// How far a job is.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "state", rename_all = "snake_case")]
pub enum State {
    /// To be submitted, not before `due_at`.
    Planned {
        /// When it may be sent.
        due_at: Timestamp,
        /// The last attempt certainly made nothing: the next request carries its number and reference again.
        resend: bool,
        /// The only account that may send it: the one that may have it already, and would refuse to make it twice.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        with: Option<AccountName>,
    },
    /// The intent to submit is durable; the outcome is not known yet.
    Submitting,
    /// Nobody knows whether the attempt made a task; it counts as running.
    InDoubt {
        /// Why.
        doubt: Doubt,
        /// Since when it is quiet: the remote cannot have begun on it later.
        since: Timestamp,
        /// When to look again.
        due_at: Timestamp,
        /// How often the remote said that it knows no such task.
        looks: u32,
    },
    /// The remote has the task.
    Waiting {
        /// Since when.
        since: Timestamp,
    },
    /// The video is made and can be fetched.
    Ready {
        /// Where it is, for some days.
        link: String,
        /// When to fetch it.
        due_at: Timestamp,
        /// How often fetching failed.
        tries: u32,
    },
    /// The video is in the output tree.
    Done {
        /// The file.
        artifact: Artifact,
    },
    /// Ended without a video, for good unless a person asks for another attempt.
    Failed {
        /// Why.
        cause: FailureCause,
    },
    /// In doubt, and only a person can settle it.
    Held {
        /// Why.
        doubt: Doubt,
    },
    /// The task did not end before its deadline, or its video cannot be fetched: kept and reported, asked for again by
    /// the next run, never paid again by itself.
    Stuck {
        /// Since when the remote has it.
        since: Timestamp,
        /// What was waited for in vain.
        words: String,
    },
}

/// A state without its data, as the ledger stores it. The numbers are part of the ledger's format.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[repr(u8)]
pub enum StateCode {
    /// See [`State::Planned`].
    Planned = 1,
    /// See [`State::Submitting`].
    Submitting = 2,
    /// See [`State::InDoubt`].
    InDoubt = 3,
    /// See [`State::Waiting`].
    Waiting = 4,
    /// See [`State::Ready`].
    Ready = 5,
    /// See [`State::Done`].
    Done = 6,
    /// See [`State::Failed`].
    Failed = 7,
    /// See [`State::Held`].
    Held = 8,
    /// See [`State::Stuck`].
    Stuck = 9,
}

impl StateCode {
    /// All of them, in the order of a job's life.
    pub const ALL: [Self; 9] = [
        Self::Planned,
        Self::Submitting,
        Self::InDoubt,
        Self::Waiting,
        Self::Ready,
        Self::Done,
        Self::Failed,
        Self::Held,
        Self::Stuck,
    ];

    /// The number that the ledger stores.
    #[must_use]
    pub const fn number(self) -> u8 {
        self as u8
    }

    /// The state with this number.
    #[must_use]
    pub fn from_number(number: i64) -> Option<Self> {
        Self::ALL.into_iter().find(|code| i64::from(code.number()) == number)
    }

    /// The word that people read.
    #[must_use]
    pub const fn word(self) -> &'static str {
        match self {
            Self::Planned => "planned",
            Self::Submitting => "submitting",
            Self::InDoubt => "in doubt",
            Self::Waiting => "waiting",
            Self::Ready => "ready",
            Self::Done => "done",
            Self::Failed => "failed",
            Self::Held => "held",
            Self::Stuck => "stuck",
        }
    }

    /// Whether a job in this state takes one of the account's parallel generations.
    #[must_use]
    pub const fn runs(self) -> bool {
        matches!(self, Self::Submitting | Self::InDoubt | Self::Waiting)
    }
}

impl State {
    /// The state without its data.
    #[must_use]
    pub const fn code(&self) -> StateCode {
        match self {
            Self::Planned { .. } => StateCode::Planned,
            Self::Submitting => StateCode::Submitting,
            Self::InDoubt { .. } => StateCode::InDoubt,
            Self::Waiting { .. } => StateCode::Waiting,
            Self::Ready { .. } => StateCode::Ready,
            Self::Done { .. } => StateCode::Done,
            Self::Failed { .. } => StateCode::Failed,
            Self::Held { .. } => StateCode::Held,
            Self::Stuck { .. } => StateCode::Stuck,
        }
    }

    /// When the job is to be worked on next, in the states that wait for an instant.
    #[must_use]
    pub const fn due_at(&self) -> Option<Timestamp> {
        match self {
            Self::Planned { due_at, .. } | Self::InDoubt { due_at, .. } | Self::Ready { due_at, .. } => Some(*due_at),
            Self::Submitting
            | Self::Waiting { .. }
            | Self::Done { .. }
            | Self::Failed { .. }
            | Self::Held { .. }
            | Self::Stuck { .. } => None,
        }
    }
}
