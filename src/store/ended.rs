//! Old batches: one that has ended, and what was taken out with it.

use jiff::Timestamp;

use crate::domain::BatchId;

/// A batch all of whose rows are done or failed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Ended {
    /// Which.
    pub batch: BatchId,
    /// Its rows.
    pub rows: u64,
    /// When the last of them came to its end; `None` for a batch without rows.
    pub last_end: Option<Timestamp>,
}

/// What was taken out of a ledger.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Pruned {
    /// Rows.
    pub rows: u64,
    /// Events of theirs.
    pub events: u64,
}
