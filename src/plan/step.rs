//! What would be done with one row.

use crate::domain::{AccountName, Digest, Effect, JobId, OutputKey};
use crate::store::NewJob;

/// What would be done with one row.
#[derive(Debug, Clone)]
pub enum Step {
    /// It is new.
    Add(NewJob),
    /// It asks for something else than the ledger has for it.
    Change {
        /// The job.
        job: JobId,
        /// What it asks for now.
        effect: Effect,
        /// The digest of that.
        content: Digest,
        /// Whether something may have been paid for it.
        paid: Paid,
    },
    /// It is for another account.
    Route {
        /// The job.
        job: JobId,
        /// The only account that may send it; `None` for any.
        account: Option<AccountName>,
    },
    /// Its video goes elsewhere, and is not there yet.
    Move {
        /// The job.
        job: JobId,
        /// Where.
        output: OutputKey,
    },
}

/// Whether something may have been paid for a row.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Paid {
    /// Certainly nothing.
    Never,
    /// Perhaps.
    Perhaps,
}
