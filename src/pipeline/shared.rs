//! What the stages of one run share: the ledger behind one door that keeps the slots in step, the signals to stop, and
//! the notices.

use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use jiff::Timestamp;
use tokio::sync::{Notify, broadcast, watch};
use tokio::task::JoinError;
use tokio_util::sync::CancellationToken;

use crate::domain::{Job, JobEvent, State};
use crate::gateway::Pause;
use crate::ledger::RecordError;
use crate::pace::{Backoff, Clock, Expectation};

use super::slots::Slots;
use super::{Gate, Notice, Parts, Settings};

/// Waits between attempts at whatever cannot be reached.
pub(super) const UNREACHABLE: Backoff = Backoff { first: Duration::from_secs(1), most: Duration::from_secs(60) };

/// A remote that refuses this many questions in a row, and answers none, is asked no more in this run.
const ENOUGH_DENIALS: u32 = 5;

/// What a task of a `JoinSet` came to; `None` when it was cut off. A panic goes on in whoever waits, so that a run whose
/// parts broke ends instead of waiting for them.
pub(super) fn joined<T>(ended: Result<T, JoinError>) -> Option<T> {
    match ended {
        Ok(value) => Some(value),
        Err(broken) => match broken.try_into_panic() {
            Ok(panic) => std::panic::resume_unwind(panic),
            Err(_cut_off) => None,
        },
    }
}

/// One run's common ground.
#[derive(Debug)]
pub(super) struct Shared {
    pub(super) parts: Parts,
    pub(super) settings: Settings,
    pub(super) clock: Clock,
    pub(super) slots: Slots,
    pub(super) expectation: Mutex<Expectation>,
    /// No new submissions, downloads stop at a chunk, paid requests in flight are still recorded.
    pub(super) stop: CancellationToken,
    pub(super) gate: watch::Receiver<Gate>,
    pub(super) pause: watch::Sender<Option<Pause>>,
    pub(super) sink_stopped: watch::Sender<Option<String>>,
    /// How many questions in a row the remote refused to answer for this account.
    pub(super) denials: AtomicU32,
    /// Every task that waits at the remote has been asked for at least once.
    pub(super) looked_once: watch::Sender<bool>,
    /// Each stage is woken when a job comes into its state.
    pub(super) planned: Notify,
    pub(super) doubted: Notify,
    pub(super) waiting: Notify,
    pub(super) ready: Notify,
    /// Anything happened that may have been the last thing to do.
    pub(super) progress: Notify,
    pub(super) notices: broadcast::Sender<Notice>,
}

impl Shared {
    /// Records an event, keeps the slots in step, wakes the stage whose turn it is, and tells.
    ///
    /// The slot that a submission needs was taken by the submit stage; here it is only given back.
    pub(super) async fn record(&self, job: &Job, event: JobEvent) -> Result<Job, RecordError> {
        let next = self.parts.ledger.record(job, event).await?;
        match (job.state.code().runs(), next.state.code().runs()) {
            (true, false) => self.slots.give_back(),
            // A submission took its slot before its intent; whatever else comes to run takes one here.
            (false, true) if next.state != State::Submitting => self.slots.occupy(1),
            (false, _) | (true, true) => {}
        }
        match &next.state {
            State::Planned { .. } => self.planned.notify_one(),
            State::InDoubt { .. } => self.doubted.notify_one(),
            State::Waiting { .. } => self.waiting.notify_one(),
            State::Ready { .. } => self.ready.notify_one(),
            State::Submitting
            | State::Done { .. }
            | State::Failed { .. }
            | State::Held { .. }
            | State::Stuck { .. } => {}
        }
        self.progress.notify_one();
        self.tell_of(job, &next);
        Ok(next)
    }

    /// The present instant.
    pub(super) fn now(&self) -> Timestamp {
        self.clock.now()
    }

    /// The instant after `span` from now.
    pub(super) fn after(&self, span: Duration) -> Timestamp {
        self.now().checked_add(span).unwrap_or(Timestamp::MAX)
    }

    /// What is known of how long tasks take.
    pub(super) fn expectation(&self) -> MutexGuard<'_, Expectation> {
        self.expectation.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Stops submitting for the rest of the run. The first reason stands.
    pub(super) fn pause(&self, pause: &Pause) {
        let first = self.pause.send_if_modified(|standing| {
            let first = standing.is_none();
            if first {
                *standing = Some(pause.clone());
            }
            first
        });
        if first {
            self.tell(Notice::Paused { words: format!("{}: {}", pause.reason, pause.words) });
        }
        self.planned.notify_one();
        self.progress.notify_one();
    }

    /// Stops collecting, and with it submitting: what cannot be stored should not be paid for.
    pub(super) fn stop_sink(&self, words: String) {
        let first = self.sink_stopped.send_if_modified(|standing| {
            let first = standing.is_none();
            if first {
                *standing = Some(words.clone());
            }
            first
        });
        if first {
            self.tell(Notice::SinkStopped { words });
        }
        self.stop.cancel();
        self.progress.notify_one();
    }

    /// The remote refused a question: the account is paused, and after some refusals in a row asked no more.
    pub(super) fn deny(&self, pause: &Pause) {
        self.denials.fetch_add(1, Ordering::Relaxed);
        self.pause(pause);
    }

    /// The remote answered a question.
    pub(super) fn answered(&self) {
        self.denials.store(0, Ordering::Relaxed);
    }

    /// Whether the remote answers no more: what waits there is left for the next run.
    pub(super) fn is_denied(&self) -> bool {
        self.denials.load(Ordering::Relaxed) >= ENOUGH_DENIALS
    }

    /// Whether new submissions are over for this run.
    pub(super) fn is_paused(&self) -> bool {
        self.pause.borrow().is_some()
    }

    /// Tells whoever listens.
    pub(super) fn tell(&self, notice: Notice) {
        // Nobody listening is no failure: nothing depends on notices.
        drop(self.notices.send(notice));
    }

    fn tell_of(&self, before: &Job, job: &Job) {
        let label = job.label.clone();
        let notice = match (&before.state, &job.state) {
            (State::Submitting, State::Waiting { .. }) => Notice::Submitted { label },
            (State::InDoubt { .. } | State::Held { .. }, State::Waiting { .. }) => Notice::Adopted { label },
            (State::Submitting, State::InDoubt { doubt, .. }) => Notice::Doubted { label, words: doubt.to_string() },
            (_, State::Held { doubt }) => Notice::Held { label, words: doubt.to_string() },
            (_, State::Failed { cause }) => Notice::Failed { label, words: cause.to_string() },
            (_, State::Stuck { words, .. }) => Notice::Stuck { label, words: words.clone() },
            (_, State::Done { artifact }) => {
                Notice::Stored { label, file: artifact.key.to_string(), bytes: artifact.bytes }
            }
            _ => return,
        };
        self.tell(notice);
    }
}
