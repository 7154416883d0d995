//! What the stages of one run share: the ledger behind one door that keeps slots and caution in step, the accounts at
//! work, the signals to stop, and the notices.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use jiff::Timestamp;
use tokio::sync::{Notify, broadcast, watch};
use tokio::task::JoinError;
use tokio_util::sync::CancellationToken;

use crate::domain::{Job, JobEvent, State};
use crate::gateway::{Pause, PauseReason};
use crate::ledger::RecordError;
use crate::pace::{Backoff, Clock};

use super::control::Submitting;
use super::guard::{Alarm, Budget, Guard};
use super::lane::Lane;
use super::slots::Slots;
use super::turns::Turns;
use super::unseen::Running;
use super::{Gate, Notice, Parts, Settings};

/// Waits between attempts at whatever cannot be reached.
pub(super) const UNREACHABLE: Backoff = Backoff { first: Duration::from_secs(1), most: Duration::from_secs(60) };

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
    /// The accounts at work.
    pub(super) lanes: Vec<Lane>,
    pub(super) guard: Guard,
    pub(super) budget: Budget,
    pub(super) turns: Turns,
    /// No new submissions, downloads stop at a chunk, paid requests in flight are still recorded.
    pub(super) stop: CancellationToken,
    pub(super) gate: watch::Receiver<Gate>,
    /// Whether rows are sent, as whoever watches wants it.
    pub(super) submitting: watch::Sender<Submitting>,
    pub(super) sink_stopped: watch::Sender<Option<String>>,
    /// Jobs that were taken to be sent, and whose intent is not in the ledger yet.
    pub(super) in_hand: AtomicUsize,
    /// Counts up whenever a job may have become one that can be sent.
    pub(super) planned: watch::Sender<u64>,
    /// Woken when a job comes to be ready.
    pub(super) ready: Notify,
    /// Anything happened that may have been the last thing to do.
    pub(super) progress: Notify,
    pub(super) notices: broadcast::Sender<Notice>,
}

impl Shared {
    /// Records an event, keeps slots and caution in step, wakes the stage whose turn it is, and tells.
    ///
    /// The slot that a submission needs was taken by the submit stage; here it is only given back.
    pub(super) async fn record(&self, job: &Job, event: JobEvent) -> Result<Job, RecordError> {
        let next = self.parts.ledger.record(job, event.clone()).await?;
        let lane = self.lane_of(&next);
        lane.inspect(|lane| lane.meter.count(&event, &next, self.now()));
        match (job.state.code().runs(), next.state.code().runs()) {
            (true, false) if matches!(job.state, State::Waiting { .. }) => lane.inspect(|lane| lane.slots.saw_end()),
            (true, false) => lane.inspect(|lane| lane.slots.give_back()),
            // A submission took its slot before its intent; whatever else comes to run takes one here, or goes on in the one
            // that was kept for it.
            (false, true) if next.state != State::Submitting => lane.inspect(|lane| {
                if !lane.lets_go(next.id) {
                    lane.slots.occupy(1);
                }
            }),
            // A person said that there is no task.
            (false, false) if matches!(next.state, State::Planned { .. }) => lane.inspect(|lane| {
                if lane.lets_go(next.id) {
                    lane.slots.give_back();
                }
            }),
            (false, _) | (true, true) => lane,
        };
        let alarm = self.guard.learn(job, &next, self.now());
        if next.submissions < job.submissions {
            self.guard.came_back();
        }
        match &next.state {
            State::InDoubt { .. } => lane.into_iter().for_each(|lane| lane.doubted.notify_one()),
            State::Waiting { .. } => lane.into_iter().for_each(|lane| lane.waiting.notify_one()),
            State::Ready { .. } => self.ready.notify_one(),
            State::Planned { .. }
            | State::Submitting
            | State::Done { .. }
            | State::Failed { .. }
            | State::Held { .. }
            | State::Stuck { .. } => {}
        }
        self.look_again();
        self.tell_of(job, &next);
        if let Some(alarm) = alarm {
            self.heed(alarm);
        }
        Ok(next)
    }

    /// The account at work that a job's attempt belongs to, where it is at work in this run.
    pub(super) fn lane_of(&self, job: &Job) -> Option<&Lane> {
        let account = &job.attempt.as_ref()?.account;
        self.lanes.iter().find(|lane| lane.name() == account)
    }

    /// The tasks that wait at the remote in the slots of an account, those of its pool's others too.
    pub(super) fn running(&self, slots: &Arc<Slots>) -> Vec<Running> {
        self.lanes.iter().filter(|lane| Arc::ptr_eq(&lane.slots, slots)).flat_map(Lane::running).collect()
    }

    /// Whether a task that an account sends now, or as soon as it may, will probably be made and fetched before the run ends.
    pub(super) fn is_in_time(&self, lane: &Lane) -> bool {
        let shift = &self.settings.shift;
        self.now().max(shift.opens) <= lane.sends_until(shift)
    }

    /// Whether a person wants rows to be sent now.
    pub(super) fn is_submitting(&self) -> bool {
        *self.submitting.borrow() == Submitting::On
    }

    /// The present instant.
    pub(super) fn now(&self) -> Timestamp {
        self.clock.now()
    }

    /// The instant after `span` from now.
    pub(super) fn after(&self, span: Duration) -> Timestamp {
        self.now().checked_add(span).unwrap_or(Timestamp::MAX)
    }

    /// Has every account look whether it can send something, and the run whether it is done.
    pub(super) fn look_again(&self) {
        self.planned.send_modify(|count| *count += 1);
        self.progress.notify_one();
    }

    /// A job was taken to be sent.
    pub(super) fn take_in_hand(&self) {
        self.in_hand.fetch_add(1, Ordering::SeqCst);
    }

    /// Its intent is in the ledger, or it was put down.
    pub(super) fn out_of_hand(&self) {
        self.in_hand.fetch_sub(1, Ordering::SeqCst);
        self.progress.notify_one();
    }

    /// Stops an account from submitting for the rest of the run. The first reason stands.
    pub(super) fn pause(&self, lane: &Lane, pause: &Pause) {
        let first = lane.pause.send_if_modified(|standing| {
            let first = standing.is_none();
            if first {
                *standing = Some(pause.clone());
            }
            first
        });
        if first {
            let (reason, words) = (pause.reason, pause.to_string());
            self.tell(Notice::Paused { account: self.called(lane), reason, words });
        }
        self.look_again();
    }

    /// The remote refused a question: the account is paused, and after some refusals in a row asked no more.
    pub(super) fn deny(&self, lane: &Lane, pause: &Pause) {
        lane.denied();
        if lane.is_denied() {
            // What waits there is not waited for by the other accounts.
            self.guard.leave_out(lane.name());
        }
        self.pause(lane, pause);
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

    /// What an account is called in notices: nothing where there is only one.
    pub(super) fn called(&self, lane: &Lane) -> Option<String> {
        (self.lanes.len() > 1).then(|| lane.name().to_string())
    }

    /// Tells whoever listens.
    pub(super) fn tell(&self, notice: Notice) {
        // Nobody listening is no failure: nothing depends on notices.
        drop(self.notices.send(notice));
    }

    fn heed(&self, alarm: Alarm) {
        match alarm {
            Alarm::Proven((_, scene)) => self.tell(Notice::ScenePassed { scene }),
            Alarm::Scene((_, scene), words) => self.tell(Notice::ScenePaused { scene, words }),
            Alarm::Account(account, words) => {
                if let Some(lane) = self.lanes.iter().find(|lane| *lane.name() == account) {
                    self.pause(lane, &Pause { reason: PauseReason::Failures, words });
                }
            }
        }
        self.look_again();
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
