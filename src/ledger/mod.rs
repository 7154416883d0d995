//! What the stored bytes mean: the one way in which a job changes. Loads nothing twice, keeps no state of its own.

use std::sync::Arc;

use jiff::Timestamp;

use crate::domain::{IllegalTransition, Job, JobEvent};
use crate::pace::Clock;
use crate::store::{Change, Store, StoreError};

/// An event could not be recorded.
#[derive(Debug, thiserror::Error)]
pub enum RecordError {
    /// It may not happen to the job.
    #[error("{label}: the event does not fit")]
    Illegal {
        /// What people call the job.
        label: String,
        /// Why.
        #[source]
        source: IllegalTransition,
    },
    /// It could not be stored.
    #[error("the event could not be stored")]
    Store(#[from] StoreError),
}

/// The ledger: events go in, jobs come out changed.
#[derive(Debug, Clone)]
pub struct Ledger {
    store: Arc<dyn Store>,
    clock: Clock,
}

impl Ledger {
    /// A ledger over a store, on a clock.
    #[must_use]
    pub fn new(store: Arc<dyn Store>, clock: Clock) -> Self {
        Self { store, clock }
    }

    /// Where its bytes are.
    #[must_use]
    pub fn store(&self) -> &dyn Store {
        self.store.as_ref()
    }

    /// The clock that its events are dated by.
    #[must_use]
    pub const fn clock(&self) -> &Clock {
        &self.clock
    }

    /// Records that `event` happened to `job` now, and gives the job as it is from then on. Durable once it returns.
    pub async fn record(&self, job: &Job, event: JobEvent) -> Result<Job, RecordError> {
        // As precise as the ledger keeps it, so that a replay gives the very same job.
        let now = self.clock.now();
        let at = Timestamp::from_millisecond(now.as_millisecond()).unwrap_or(now);
        let name = event.name();
        let change =
            Change::of(job, event, at).map_err(|source| RecordError::Illegal { label: job.label.clone(), source })?;
        let next = change.job.clone();
        self.store.commit(change).await?;
        tracing::debug!(job = job.id.0, row = %job.label, event = name, state = next.state.code().word(), "recorded");
        Ok(next)
    }
}
