//! What a request is refused for, whoever's words the answer is in.

use super::token::Flaw;

/// Why a request is refused.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Refusal {
    /// The key is wrong, and how a remote that reads signed tokens says so.
    BadKey(&'static str),
    /// A signed token does not count yet.
    TooEarly,
    /// A signed token counts no longer.
    Expired,
    /// Too many requests.
    Rate,
    /// As many tasks run as may.
    Busy,
    /// Nothing is left to pay with.
    NoBalance,
    /// The remote broke.
    Internal,
    /// What is asked for is not wanted there.
    Policy,
    /// The external id belongs to another task.
    Duplicate(String),
    /// No task has this id.
    NoTask(String),
    /// What is asked for is not there: a model, a resource.
    NoResource,
    /// The path cannot be asked that.
    NoMethod,
    /// A parameter is wrong.
    Invalid(String),
    /// The body cannot be read.
    Malformed,
}

impl Refusal {
    /// A parameter is wrong, in these words.
    pub(super) fn invalid(words: &str) -> Self {
        Self::Invalid(words.to_owned())
    }
}

impl From<Flaw> for Refusal {
    fn from(flaw: Flaw) -> Self {
        match flaw {
            Flaw::Invalid => Self::BadKey("Authorization is invalid"),
            Flaw::TooEarly => Self::TooEarly,
            Flaw::Expired => Self::Expired,
        }
    }
}
