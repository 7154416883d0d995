//! One wire protocol each behind one trait: what it takes to ask a remote for videos.
//!
//! Every remote answer and every transport error is classified here, once, into what nightreel does about it. Nobody
//! else looks at a status code. A gateway never retries, never waits and never decides: it says what happened.

#[cfg(test)]
pub mod contract;
pub mod http;
pub mod kling;
mod preset;
#[cfg(test)]
pub mod scripted;

use std::fmt;
use std::time::Duration;

use futures::future::BoxFuture;

use crate::domain::{ClientRef, Doubt, Effect, FailureCause, Observation, Picture, TaskId};

pub use preset::{Preset, UnknownPreset};

/// What a remote can do beyond making tasks and telling of them by their id.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Capabilities {
    /// A task can be found by its `external_task_id`.
    pub find: bool,
    /// An `external_task_id` is accepted once per account: sending it again makes nothing.
    pub unique: bool,
    /// Tasks can be listed, and the list tells their `external_task_id`.
    pub list: bool,
}

impl Capabilities {
    /// Whether a request that may have been lost can be sent again without paying twice: its reference can be looked up
    /// *and* would be refused the second time.
    #[must_use]
    pub const fn resend_is_safe(self) -> bool {
        self.find && self.unique
    }
}

/// One request for a task.
#[derive(Debug, Clone, Copy)]
pub struct Order<'a> {
    /// What is asked for.
    pub effect: &'a Effect,
    /// The images, in the effect's order.
    pub pictures: &'a [Picture],
    /// What is sent as `external_task_id`.
    pub client_ref: &'a ClientRef,
}

/// What became of a request for a task.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Submitted {
    /// The remote took it.
    Accepted(TaskId),
    /// The remote says that it has this reference already: it was made, by an attempt whose answer was lost.
    AlreadyThere,
    /// Refused for good: nothing was made, and the same request will be refused again.
    Refused(FailureCause),
    /// Nothing was made; the same request may be sent again.
    NotMade(NotMade),
    /// Nobody knows.
    InDoubt(Doubt),
    /// Nothing was made, and nothing will be until a person acts.
    Paused(Pause),
}

/// Why nothing was made this time.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NotMade {
    /// The remote's words or the transport's.
    pub words: String,
    /// How long the remote asks to wait, where it says so.
    pub retry_after: Option<Duration>,
    /// What refused it.
    pub limit: Limit,
}

/// What stood in the way of a request that made nothing.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Limit {
    /// The rate of requests (Kling: 1302, or any other 429).
    Rate,
    /// The account's parallel generations (Kling: 1303).
    Parallel,
    /// The remote was not reached: connection refused, no such host, TLS.
    Unreachable,
}

/// Why an account cannot go on.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Pause {
    /// What kind of reason.
    pub reason: PauseReason,
    /// The remote's words.
    pub words: String,
}

/// What a person has to see to before an account can go on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum PauseReason {
    /// The key is missing, wrong, expired or has no permission.
    Key,
    /// The balance is used up, or the account is in arrears.
    Balance,
    /// The account is blocked: abnormal, or not allowed from this address.
    Account,
    /// The base URL leads to something that is no such API (a 200 with HTML, for example).
    Route,
}

impl fmt::Display for PauseReason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Key => "the key was not accepted",
            Self::Balance => "the balance is used up",
            Self::Account => "the account is blocked",
            Self::Route => "the base URL leads to no such API",
        })
    }
}

/// What a question for one task brought.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Observed {
    /// The remote knows it.
    Seen(Observation),
    /// The remote says that it knows no such task. Not a failure: some say so for a while after submission.
    NotVisible,
    /// No usable answer: garbage, HTML, 5xx, a broken connection, 429. Ask again later.
    Unclear {
        /// What came instead.
        words: String,
        /// How long the remote asks to wait, where it says so.
        retry_after: Option<Duration>,
    },
    /// The account may not ask (401, 403). Pauses the account, fails nothing.
    Paused(Pause),
}

/// What a question for a page of tasks brought.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Listed {
    /// One page, in the remote's order. Records that could not be read are left out.
    Page(Vec<Observation>),
    /// No usable answer.
    Unclear {
        /// What came instead.
        words: String,
        /// How long the remote asks to wait, where it says so.
        retry_after: Option<Duration>,
    },
    /// The account may not ask (401, 403).
    Paused(Pause),
}

/// A remote that makes videos.
pub trait Gateway: fmt::Debug + Send + Sync {
    /// What it can do. The same for as long as the value lives.
    fn capabilities(&self) -> Capabilities;

    /// Asks for one task, by exactly one request, and says what became of it. Bounded by the request time-out.
    ///
    /// Dropping the future before it ends leaves the request in doubt.
    fn submit<'a>(&'a self, order: Order<'a>) -> BoxFuture<'a, Submitted>;

    /// Looks a task up by our reference. Only where [`Capabilities::find`]; else `Unclear`.
    fn find<'a>(&'a self, client_ref: &'a ClientRef) -> BoxFuture<'a, Observed>;

    /// Asks for one task by its id.
    fn observe<'a>(&'a self, task: &'a TaskId) -> BoxFuture<'a, Observed>;

    /// Asks for one page of tasks, `page` counted from 1, of at most `size` (1 to 500). Only where
    /// [`Capabilities::list`]; else `Unclear`. The order is the remote's and undocumented at Kling.
    fn list(&self, page: u32, size: u32) -> BoxFuture<'_, Listed>;
}
