//! The only module that runs things: the stages of a job's life, each a loop that takes jobs from the ledger, performs
//! one effect and records one event.
//!
//! Stages meet only in the ledger, so a fresh start, a resume after a kill and a retry next morning are the same code.
//! The order inside submitting is: due, slot, pictures, pace, intent, request, outcome. Watching and collecting can
//! never lead to a submission: no event of theirs makes a job `planned`.

mod collect;
mod control;
pub mod download;
mod fleet;
mod guard;
mod lane;
mod meter;
mod notice;
mod reconcile;
mod run;
mod shared;
mod slots;
mod standing;
mod submit;
mod trees;
mod turns;
mod unseen;
mod watch;

use std::sync::Arc;
use std::time::Duration;

use crate::domain::{AccountName, BatchId, Price};
use crate::gateway::Pause;
use crate::pace::Shift;

pub use control::{Control, ResolveError, Submitting};
pub use guard::Caution;
pub use lane::LaneSettings;
pub use meter::Counts;
pub use notice::Notice;
pub use run::Pipeline;
pub use standing::{LaneView, SlotsView, Standing, requests, slots, time_left};
pub use trees::{Tree, Trees};

/// What a run is told.
#[derive(Debug, Clone)]
pub struct Settings {
    /// Who pays: the accounts at work, at least one.
    pub lanes: Vec<LaneSettings>,
    /// How long a row in doubt must be quiet before its absence counts. Default 60 s.
    pub settle_after: Duration,
    /// How long a task may take before it is given up for now. Default 24 h.
    pub deadline: Duration,
    /// Parallel downloads. Default 4.
    pub downloads: usize,
    /// When scenes and accounts are paused.
    pub caution: Caution,
    /// When something may be sent, and when the run ends. Default: without limits.
    pub shift: Shift,
    /// The most that may be paid in all runs of the batch; in the currency of all accounts. Default: no such limit.
    pub budget: Option<Price>,
    /// What of the work it does. Default: all.
    pub stages: Stages,
    /// When it ends by itself. Default: when nothing is left to do.
    pub ends: Ends,
}

/// What of the work a run does; others do the rest.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Stages {
    /// All of it.
    #[default]
    All,
    /// It sends, settles what is in doubt, and watches; it fetches nothing.
    SubmitAndWatch,
    /// It only fetches what is ready.
    Collect,
}

/// When a run ends by itself.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Ends {
    /// When nothing is left that could be done.
    #[default]
    WhenIdle,
    /// Never: it waits for more.
    Never,
}

/// What becomes of a row in doubt where sending it again might be paid twice.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum InDoubt {
    /// A person settles it.
    #[default]
    Hold,
    /// It is sent again after the quiet period: the user's own choice, which may pay twice.
    Resend,
}

/// Which jobs a run may submit.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Gate {
    /// None yet: whether any is decided elsewhere (the manifest is being checked). The run does not end.
    Undecided,
    /// Those of one batch, or of all.
    Open(Option<BatchId>),
    /// None; the run ends when all that was paid has ended and is collected.
    Closed,
    /// None; the run ends when all that was paid has been asked for once, and what is ready is collected.
    OneLook,
}

/// Why a run ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Ended {
    /// Nothing was left that could be done.
    Finished,
    /// It was told to stop; the ledger goes on from here.
    Interrupted,
    /// Its hours were over; the ledger goes on from here.
    TimeUp,
    /// It was told to submit no more, and rows are left; what was paid is collected.
    Drained,
    /// Videos cannot be stored until a person acts.
    SinkStopped(String),
}

/// How a run ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Outcome {
    /// Why.
    pub ended: Ended,
    /// Accounts that cannot go on until a person acts; what they were paid for was collected as far as possible.
    pub pauses: Vec<(AccountName, Pause)>,
    /// Rows that were left planned, by what kept them; those of no scene that was paused count as kept by the budget where
    /// it kept any, else by the run's hours where they kept an account, else by the accounts.
    pub left: Vec<LeftBehind>,
    /// The longest that the rest of a scene waited for its first rows, and of how many scenes the rest did.
    pub waited: Option<(Duration, usize)>,
}

/// Rows that a run left planned.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LeftBehind {
    /// Their scene.
    pub scene: String,
    /// What kept them.
    pub kept_by: KeptBy,
    /// How many.
    pub rows: u64,
    /// What they would probably have cost, by the first account's prices.
    pub worth: Price,
}

/// What keeps planned rows from being sent.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum KeptBy {
    /// Too many rows of their scene failed.
    Scene(String),
    /// The budget.
    Budget,
    /// Their tasks would hardly have ended within the run's hours.
    Hours,
    /// No account could send them.
    Accounts,
}

/// What a pipeline works with, beside its settings.
#[derive(Debug, Clone)]
pub struct Parts {
    /// The ledger.
    pub ledger: crate::ledger::Ledger,
    /// The output trees.
    pub trees: Arc<Trees>,
    /// What fetches videos.
    pub downloader: Arc<download::Downloader>,
}

#[cfg(test)]
mod tests;
