//! What happens during a run, for whoever watches: terminal, log. Notices may lag and may be dropped; nothing depends on
//! them.

use jiff::Timestamp;

use crate::gateway::PauseReason;

use super::control::Submitting;
use super::standing::Standing;

/// One thing worth telling.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Notice {
    /// How the run stands, now and then.
    Counted(Box<Standing>),
    /// The remote took a row.
    Submitted {
        /// What people call the row.
        label: String,
    },
    /// Submitting waits: the remote's limits, or it cannot be reached.
    PutOff {
        /// Its words.
        words: String,
        /// Until when.
        until: Timestamp,
    },
    /// Nobody knows whether a row was made.
    Doubted {
        /// What people call the row.
        label: String,
        /// Why.
        words: String,
    },
    /// A row in doubt was found at the remote: nothing is paid again.
    Adopted {
        /// What people call the row.
        label: String,
    },
    /// A row in doubt waits for a person.
    Held {
        /// What people call the row.
        label: String,
        /// Why.
        words: String,
    },
    /// A video is in the output tree.
    Stored {
        /// What people call the row.
        label: String,
        /// Where within the tree.
        file: String,
        /// Its size.
        bytes: u64,
    },
    /// A row ended without a video.
    Failed {
        /// What people call the row.
        label: String,
        /// Why.
        words: String,
    },
    /// A task was given up for now.
    Stuck {
        /// What people call the row.
        label: String,
        /// Why.
        words: String,
    },
    /// A download failed and is tried again.
    FetchFailed {
        /// What people call the row.
        label: String,
        /// Why.
        words: String,
    },
    /// An account stopped: no new submissions, what is paid is still collected.
    Paused {
        /// Which, where there are several.
        account: Option<String>,
        /// What kind of reason.
        reason: PauseReason,
        /// Why, and what to do.
        words: String,
    },
    /// An account goes by other limits than it was set to, as its remote's answers taught.
    Adapted {
        /// Which, where there are several.
        account: Option<String>,
        /// How.
        words: String,
    },
    /// The first rows of a scene were made: the rest of it is sent.
    ScenePassed {
        /// Which.
        scene: String,
    },
    /// Nothing more of a scene is sent in this run.
    ScenePaused {
        /// Which.
        scene: String,
        /// Why.
        words: String,
    },
    /// Collecting stopped: the output tree cannot be written.
    SinkStopped {
        /// Why.
        words: String,
    },
    /// Rows wait for the hours in which something may be sent.
    NotYet {
        /// Until when.
        until: Timestamp,
    },
    /// An account sends nothing more in this run: a task would hardly end in time. What was sent is still collected.
    TooLate {
        /// Which, where there are several.
        account: Option<String>,
        /// When the run ends.
        ends: Timestamp,
    },
    /// The run's hours are over.
    TimeUp,
    /// Whoever watches the run wants rows to be sent, or not.
    Submitting(Submitting),
    /// The run was told to stop.
    Stopping,
    /// Something odd that is told once.
    Odd {
        /// What.
        words: String,
    },
}
