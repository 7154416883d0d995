//! What a run can be told while it runs, and what it tells.

use std::sync::Weak;

use tokio::sync::{broadcast, watch};
use tokio_util::sync::CancellationToken;

use crate::domain::{AccountName, Job, JobEvent, State, TaskId, Verdict};
use crate::ledger::RecordError;

use super::shared::Shared;
use super::standing::{self, LaneView};
use super::{Gate, Notice};

/// Whether rows are sent, as whoever watches the run wants it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Submitting {
    /// As the gate says.
    #[default]
    On,
    /// Not now; the run waits, and goes on collecting.
    Held,
    /// No more in this run, which ends once all that was paid is collected.
    Drained,
}

/// A row could not be settled.
#[derive(Debug, thiserror::Error)]
pub enum ResolveError {
    /// It is neither held nor stuck.
    #[error("the row is not held or stuck any more")]
    NotHeld,
    /// The run has ended.
    #[error("the run has ended")]
    Ended,
    /// It could not be recorded.
    #[error(transparent)]
    Record(#[from] RecordError),
}

/// What a run can be told while it runs, and what it tells.
#[derive(Debug, Clone)]
pub struct Control {
    pub(super) gate: watch::Sender<Gate>,
    pub(super) submitting: watch::Sender<Submitting>,
    pub(super) stop: CancellationToken,
    pub(super) notices: broadcast::Sender<Notice>,
    pub(super) shared: Weak<Shared>,
}

impl Control {
    /// Says which jobs may be submitted from now on.
    pub fn open(&self, gate: Gate) {
        self.gate.send_replace(gate);
    }

    /// No new submissions; what is paid and in flight is recorded; downloads stop at a chunk.
    pub fn stop(&self) {
        // Nobody listening is no failure.
        drop(self.notices.send(Notice::Stopping));
        self.stop.cancel();
    }

    /// Nothing is submitted until [`Control::resume`]; what is paid is collected meanwhile, and the run does not end.
    pub fn hold_submitting(&self) {
        self.set(Submitting::Held);
    }

    /// Rows are sent again, unless the run was told to submit no more.
    pub fn resume(&self) {
        self.set(Submitting::On);
    }

    /// Nothing more is submitted in this run, which ends once all that was paid is collected. There is no way back.
    pub fn drain(&self) {
        self.set(Submitting::Drained);
    }

    /// Which jobs may be submitted.
    #[must_use]
    pub fn gate(&self) -> Gate {
        *self.gate.borrow()
    }

    /// Whether rows are sent.
    #[must_use]
    pub fn submitting(&self) -> Submitting {
        *self.submitting.borrow()
    }

    /// Listens to what happens from now on.
    #[must_use]
    pub fn listen(&self) -> broadcast::Receiver<Notice> {
        self.notices.subscribe()
    }

    /// Somebody says that a task of an account moved: it is asked for now, as far as the span between two questions
    /// allows, and nothing else is believed. Never waits; an unknown task is no news, and a flood is cut short.
    pub fn task_moved(&self, account: &AccountName, task: TaskId) {
        let Some(shared) = self.shared.upgrade() else { return };
        if let Some(lane) = shared.lanes.iter().find(|lane| lane.name() == account) {
            lane.called(task);
        }
    }

    /// A person settles a row that is held or stuck.
    pub async fn resolve(&self, job: &Job, verdict: Verdict) -> Result<Job, ResolveError> {
        if !matches!(job.state, State::Held { .. } | State::Stuck { .. }) {
            return Err(ResolveError::NotHeld);
        }
        let shared = self.shared.upgrade().ok_or(ResolveError::Ended)?;
        Ok(shared.record(job, JobEvent::Resolved { verdict }).await?)
    }

    /// The accounts at work; none once the run has ended.
    #[must_use]
    pub fn lanes(&self) -> Vec<LaneView> {
        self.shared.upgrade().map(|shared| standing::views(&shared)).unwrap_or_default()
    }

    /// Scenes of which nothing more is sent in this run, and why.
    #[must_use]
    pub fn paused_scenes(&self) -> Vec<(String, String)> {
        let closed = self.shared.upgrade().map(|shared| shared.guard.paused()).unwrap_or_default();
        closed.into_iter().map(|closed| (closed.scene.1, closed.words)).collect()
    }

    fn set(&self, wanted: Submitting) {
        let changed = self.submitting.send_if_modified(|standing| {
            let changes = *standing != wanted && *standing != Submitting::Drained;
            if changes {
                *standing = wanted;
            }
            changes
        });
        if changed {
            drop(self.notices.send(Notice::Submitting(wanted)));
            if let Some(shared) = self.shared.upgrade() {
                shared.look_again();
            }
        }
    }
}
