//! The only module that runs things: the stages of a job's life, each a loop that takes jobs from the ledger, performs
//! one effect and records one event.
//!
//! Stages meet only in the ledger, so a fresh start, a resume after a kill and a retry next morning are the same code.
//! The order inside submitting is: due, slot, pictures, pace, intent, request, outcome. Watching and collecting can
//! never lead to a submission: no event of theirs makes a job `planned`.

mod collect;
pub mod download;
mod notice;
mod reconcile;
mod run;
mod shared;
mod slots;
mod submit;
mod trees;
mod watch;

use std::sync::Arc;
use std::time::Duration;

use crate::domain::{AccountName, BatchId};
use crate::gateway::{Gateway, Pause};

pub use notice::Notice;
pub use run::{Control, Pipeline};
pub use trees::{MakeSink, Tree, Trees};

/// What a run is told.
#[derive(Debug, Clone)]
pub struct Settings {
    /// Who pays.
    pub account: AccountName,
    /// The shortest span between two requests that may be paid.
    pub interval: Duration,
    /// Parallel generations.
    pub in_flight: usize,
    /// How long a row in doubt must be quiet before its absence counts. Default 60 s.
    pub settle_after: Duration,
    /// The shortest span between two questions about one task. Default 2 s.
    pub min_poll: Duration,
    /// How long a task may take before it is given up for now. Default 24 h.
    pub deadline: Duration,
    /// Parallel downloads. Default 4.
    pub downloads: usize,
    /// What becomes of a row in doubt that cannot be looked up, or is absent where a second request could be paid.
    pub in_doubt: InDoubt,
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
    /// Nothing was left to do.
    Finished,
    /// It was told to stop; the ledger goes on from here.
    Interrupted,
    /// The account cannot go on until a person acts; what was paid was collected as far as possible.
    Paused(Pause),
    /// Videos cannot be stored until a person acts.
    SinkStopped(String),
}

/// What a pipeline works with, beside its settings.
#[derive(Debug, Clone)]
pub struct Parts {
    /// The ledger.
    pub ledger: crate::ledger::Ledger,
    /// The remote.
    pub gateway: Arc<dyn Gateway>,
    /// The output trees.
    pub trees: Arc<Trees>,
    /// What fetches videos.
    pub downloader: Arc<download::Downloader>,
}

#[cfg(test)]
mod tests;
