//! Why a row failed, and why an attempt is in doubt: data that is kept and reported, not errors of the program.

use std::fmt;

use serde::{Deserialize, Serialize};

/// Why a row failed for good.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "snake_case")]
pub enum FailureCause {
    /// The remote refused the request: nothing was made, nothing is owed.
    Refused {
        /// The remote's words.
        words: String,
        /// The remote's code, where it gave one.
        code: Option<String>,
        /// The HTTP status.
        status: u16,
    },
    /// The remote took the task and could not make it.
    TaskFailed {
        /// The remote's words; may be empty.
        words: String,
    },
    /// A local image could not be sent: missing, unreadable, changed since it was admitted, or unfit.
    Input {
        /// What is wrong, naming the file.
        words: String,
    },
    /// A person said to drop the row.
    Dropped,
}

impl FailureCause {
    /// The remote's code, where it gave one.
    #[must_use]
    pub fn code(&self) -> Option<&str> {
        match self {
            Self::Refused { code, .. } => code.as_deref(),
            Self::TaskFailed { .. } | Self::Input { .. } | Self::Dropped => None,
        }
    }
}

impl fmt::Display for FailureCause {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Refused { words, code: Some(code), .. } => write!(f, "refused ({code}): {words}"),
            Self::Refused { words, code: None, status } => write!(f, "refused (HTTP {status}): {words}"),
            Self::TaskFailed { words } if words.is_empty() => f.write_str("the task failed, without a reason"),
            Self::TaskFailed { words } => write!(f, "the task failed: {words}"),
            Self::Input { words } => write!(f, "not sent: {words}"),
            Self::Dropped => f.write_str("dropped by hand"),
        }
    }
}

/// Why nobody can say whether an attempt made a task.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "snake_case")]
pub enum Doubt {
    /// The connection broke after the request was (perhaps partly) sent.
    LostAnswer {
        /// What the transport said.
        words: String,
    },
    /// No answer within the request time-out.
    TimedOut,
    /// A 5xx, from the remote or something in front of it.
    ServerError {
        /// The HTTP status.
        status: u16,
        /// What was said, shortened.
        words: String,
    },
    /// An answer that says neither yes nor no: HTML, an empty body, no task id.
    NotUnderstood {
        /// The HTTP status.
        status: u16,
        /// What was said, shortened.
        words: String,
    },
    /// The remote says that it has this reference already, from an attempt of which we know nothing.
    AlreadyThere,
    /// nightreel was stopped between the intent and the outcome.
    Interrupted,
}

impl fmt::Display for Doubt {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::LostAnswer { words } => write!(f, "the answer was lost ({words})"),
            Self::TimedOut => f.write_str("no answer came in time"),
            Self::ServerError { status, words } => {
                write!(f, "the answer was HTTP {status} ({words})")
            }
            Self::NotUnderstood { status, words } => {
                write!(f, "the answer made no sense (HTTP {status}: {words})")
            }
            Self::AlreadyThere => f.write_str("the remote has this row already"),
            Self::Interrupted => f.write_str("nightreel was stopped before the answer"),
        }
    }
}
