//! One wire protocol each behind one trait: what it takes to ask a remote for videos.
//!
//! Every remote answer and every transport error is classified here, once, into what nightreel does about it. Nobody
//! else looks at a status code. A gateway never retries (but for a request that was refused for its short-lived token
//! alone), never waits and never decides: it says what happened.

mod breakdown;
#[cfg(test)]
pub mod contract;
pub mod fal;
pub mod http;
mod json;
pub mod kling;
pub mod place;
mod preset;
pub mod published;
mod rest;
#[cfg(test)]
pub mod scripted;
mod spec;
mod streamed;
#[cfg(test)]
mod tests;
pub mod wavespeed;
pub mod webhook;
mod words;

use std::fmt;
use std::time::Duration;

use futures::future::{BoxFuture, ready};
use jiff::Timestamp;

use crate::domain::{ClientRef, Doubt, Effect, FailureCause, Handle, Observation, Picture, TaskId};

pub use kling::{Advice, advice, advice_on, all_advice, known_words};
pub use preset::{Preset, Region, UnknownPreset, UnknownRegion};
pub use spec::{BuildError, Built, Credentials, Overrides, Parameters, Spec, build};

/// How long a request may take unless set otherwise: two images of 10 MB over a slow line, and a slow answer.
pub const REQUEST_TIMEOUT: Duration = Duration::from_mins(2);
/// How long a question may take unless set otherwise.
pub const QUERY_TIMEOUT: Duration = Duration::from_secs(30);

/// What a remote can do beyond making tasks and telling of them by their id.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
#[expect(clippy::struct_excessive_bools, reason = "each is there or not, whatever the others are")]
pub struct Capabilities {
    /// A task can be found by its `external_task_id`.
    pub find: bool,
    /// An `external_task_id` is accepted once per account: sending it again makes nothing.
    pub unique: bool,
    /// Tasks can be listed, and the list tells their `external_task_id`.
    pub list: bool,
    /// How many tasks can be asked for by their ids in one request, where more than one can.
    pub many: Option<usize>,
    /// A request beyond the account's parallel generations is refused with a code of its own, and certainly makes nothing.
    pub refuses: bool,
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
    /// Where the remote is asked to tell of the task's end, where it can be asked so (documented for Kling, fal and
    /// `WaveSpeed`; gateways may leave it out). What it tells there is a hint.
    pub callback_url: Option<&'a str>,
}

/// What became of a request for a task.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Submitted {
    /// The remote took it.
    Accepted(Accepted),
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

/// A request for a task that the remote took.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Accepted {
    /// What the remote calls the task.
    pub task: TaskId,
    /// What it calls the request, where it said so.
    pub request_id: Option<String>,
    /// Where the task is to be asked for, where the remote said so and it cannot be made from the id.
    pub handle: Option<Handle>,
}

impl Accepted {
    /// A task of which no more than its id was told.
    #[must_use]
    pub const fn plain(task: TaskId) -> Self {
        Self { task, request_id: None, handle: None }
    }
}

/// A task to be asked about.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Asked<'a> {
    /// What the remote calls it.
    pub task: &'a TaskId,
    /// Where it is to be asked for, where the remote said so when it took it.
    pub handle: Option<&'a Handle>,
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

impl fmt::Display for Pause {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.reason, self.words)
    }
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
    /// Too many of its tasks failed one after the other.
    Failures,
    /// Its local pictures cannot be lent: the object store does not take them.
    Pictures,
}

impl fmt::Display for PauseReason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Key => "the key was not accepted",
            Self::Balance => "the balance is used up",
            Self::Account => "the account is blocked",
            Self::Route => "this gateway has no such route",
            Self::Failures => "too many of its tasks failed",
            Self::Pictures => "its pictures cannot be lent",
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

/// What a question about the account brought.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Told<T> {
    /// This.
    Answer(T),
    /// No usable answer.
    Unclear {
        /// What came instead.
        words: String,
    },
    /// The account may not ask.
    Paused(Pause),
    /// This gateway has no such question.
    NotOffered,
}

/// What is left in an account.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Balance {
    /// How much, as a decimal text; `None` where the account has no limit.
    pub left: Option<String>,
    /// Of what: `units`, `USD`.
    pub of: String,
    /// More that people want to know: the pack's name, its end.
    pub words: String,
}

/// What an account was charged for one task.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Charge {
    /// The task.
    pub task: TaskId,
    /// How much, as a decimal text, in the remote's units.
    pub units: String,
    /// When, by the remote's clock, where it says so.
    pub at: Option<Timestamp>,
}

/// A page of charges, and where the next one begins.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Charges {
    /// The charges, in the remote's order.
    pub charges: Vec<Charge>,
    /// What to ask for the next page with; `None` at the end.
    pub next: Option<String>,
}

/// What a harmless question showed of an account: whether it is reached, let in, and on time.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Probe {
    /// How long the answer took.
    pub took: Duration,
    /// How far the remote's clock is ahead of ours (behind, when negative), in seconds, by its `Date`.
    pub ahead: Option<i64>,
    /// Whether it let us in: what a question for a task that does not exist came to.
    pub observed: Observed,
}

/// A remote that makes videos.
pub trait Gateway: fmt::Debug + Send + Sync {
    /// What it can do. The same for as long as the value lives.
    fn capabilities(&self) -> Capabilities;

    /// Asks for one task, by one request, and says what became of it. Bounded by the request time-out. Only where the
    /// first request was refused for nothing but its short-lived token, which makes nothing, a second one follows.
    ///
    /// Dropping the future before it ends leaves the request in doubt.
    fn submit<'a>(&'a self, order: Order<'a>) -> BoxFuture<'a, Submitted>;

    /// Looks a task up by our reference. Only where [`Capabilities::find`]; else `Unclear`.
    fn find<'a>(&'a self, client_ref: &'a ClientRef) -> BoxFuture<'a, Observed>;

    /// Asks for one task.
    fn observe<'a>(&'a self, asked: Asked<'a>) -> BoxFuture<'a, Observed>;

    /// Asks for several tasks by their ids in one request, at most [`Capabilities::many`] of them. A task that is not
    /// among those that come back is asked for by itself. Only where [`Capabilities::many`]; else `Unclear`.
    ///
    /// A fast way that may turn out not to be there, or to know none of the tasks: from then on it is `Unclear` at once, though the capability, which
    /// never changes, says that it is worth trying. Whoever asks then asks for each task by itself.
    fn observe_many<'a>(&'a self, _tasks: &'a [TaskId]) -> BoxFuture<'a, Listed> {
        let words = "this gateway cannot be asked for several tasks at once".to_owned();
        Box::pin(ready(Listed::Unclear { words, retry_after: None }))
    }

    /// Asks for one page of tasks, `page` counted from 1, of at most `size` (1 to 500). Only where
    /// [`Capabilities::list`]; else `Unclear`. The order is the remote's and undocumented at Kling.
    fn list(&self, page: u32, size: u32) -> BoxFuture<'_, Listed>;

    /// Asks for one page of the account's tasks, `page` counted from 1, of at most `size`, the latest ones first where the
    /// remote has an order at all: for a person who looks for tasks that the ledger lost. Unlike [`Gateway::list`] it may
    /// tell no references. Costs nothing.
    fn recent(&self, _page: u32, _size: u32) -> BoxFuture<'_, Told<Vec<Observation>>> {
        Box::pin(ready(Told::NotOffered))
    }

    /// Asks what is left in the account. Costs nothing.
    fn balance(&self) -> BoxFuture<'_, Told<Balance>> {
        Box::pin(ready(Told::NotOffered))
    }

    /// Asks for a page of what the account was charged in a span of time: the first one, or the one that `next` of the
    /// page before names. Costs nothing.
    fn charges<'a>(&'a self, _span: (Timestamp, Timestamp), _next: Option<&'a str>) -> BoxFuture<'a, Told<Charges>> {
        Box::pin(ready(Told::NotOffered))
    }

    /// Asks for a task that does not exist, to learn whether the account is reached and let in. Costs nothing.
    /// `Err` says in words why nothing came back at all.
    fn probe(&self) -> BoxFuture<'_, Result<Probe, String>>;
}
