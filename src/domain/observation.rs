//! What the remote says of a task.

use std::time::Duration;

use jiff::Timestamp;

use super::{ClientRef, TaskId};

/// One task as the remote shows it, from a look-up, a query or a list.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Observation {
    /// The task.
    pub task: TaskId,
    /// Our reference, where the remote echoes it.
    pub client_ref: Option<ClientRef>,
    /// How far it is.
    pub progress: Progress,
    /// How long the generation took by the remote's own clock, when it has ended and both instants were told.
    pub took: Option<Duration>,
    /// What the remote says that it charged, in its units (Kling: `final_unit_deduction`, a decimal, documented), once the
    /// task has ended.
    pub units: Option<String>,
    /// When the remote began with it, by its own clock, where it says so.
    pub created_at: Option<Timestamp>,
}

/// How far a task is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Progress {
    /// Not ended; also any status that we do not know, and a success whose link is not there yet.
    Pending {
        /// The status as the remote spelled it.
        status: String,
    },
    /// Ended well.
    Succeeded {
        /// Where the video is, for some days.
        link: String,
    },
    /// Ended badly.
    Failed {
        /// The remote's words; may be empty.
        words: String,
    },
}
