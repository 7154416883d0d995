//! What callbacks change: the task that one names is asked for at once. Nothing that a callback claims is believed, and one
//! that is lost costs no more than the wait until the next question.
//!
//! While every task's end is told of by a callback, questions are fewer, but never further apart than the ordinary ones
//! may be; the first end that no callback told of puts an end to that.

use std::collections::{HashMap, VecDeque};
use std::time::Duration;

use jiff::Timestamp;

use super::Stage;
use crate::domain::{JobId, TaskId};

/// So many ends in a row that a callback told of make callbacks something to go by.
const ENOUGH: u32 = 3;
/// How much further apart questions are then.
const STRETCH: u32 = 4;
/// How far apart at the most: as far as the ordinary ones may be.
const LONGEST: Duration = Duration::from_secs(60);
/// Callbacks that are remembered for tasks that are not known yet: one may come before the answer to its request.
const EARLY: usize = 64;

/// What callbacks did so far.
#[derive(Debug, Default)]
pub(super) struct Calls {
    /// Of tasks that are not known, or not known yet.
    early: VecDeque<TaskId>,
    /// Of tasks that were just being asked for.
    postponed: Vec<TaskId>,
    /// Ends in a row that a callback told of.
    in_a_row: u32,
}

impl Calls {
    fn are_to_be_trusted(&self) -> bool {
        self.in_a_row >= ENOUGH
    }

    /// A task has ended; whether a callback told of it. Gives whether callbacks are nothing to go by any more.
    fn note(&mut self, called: bool) -> bool {
        let lost = self.are_to_be_trusted() && !called;
        self.in_a_row = if called { self.in_a_row.saturating_add(1) } else { 0 };
        lost
    }

    /// How long to wait where the ordinary wait would be `wait`.
    pub(super) fn stretched(&self, wait: Duration) -> Duration {
        if self.are_to_be_trusted() { (wait * STRETCH).min(LONGEST).max(wait) } else { wait }
    }
}

impl Stage {
    /// Makes tasks due that a callback named.
    pub(super) fn heed_calls(&mut self) {
        let mut named = self.lane().take_calls();
        named.append(&mut self.calls.postponed);
        if named.is_empty() {
            return;
        }
        let by_task: HashMap<TaskId, JobId> =
            self.watched.values().filter_map(|watched| Some((watched.job.task()?.clone(), watched.job.id))).collect();
        for task in named {
            let Some(id) = by_task.get(&task) else {
                self.calls.early.truncate(EARLY - 1);
                self.calls.early.push_front(task);
                continue;
            };
            if self.listing || self.watched.get(id).is_some_and(|watched| watched.asking) {
                // What is being answered may be older than the call.
                self.calls.postponed.push(task);
            } else {
                self.make_due(*id);
            }
        }
    }

    /// Makes a new task due that a callback named already.
    pub(super) fn heed_early_call(&mut self, id: JobId) {
        let Some(task) = self.watched.get(&id).and_then(|watched| watched.job.task()) else { return };
        if let Some(place) = self.calls.early.iter().position(|early| early == task) {
            self.calls.early.remove(place);
            self.make_due(id);
        }
    }

    /// A task has ended; whether a callback told of it.
    pub(super) fn ended(&mut self, called: bool) {
        if self.calls.note(called) {
            let waits: Vec<(JobId, Timestamp)> = self
                .watched
                .values()
                .map(|watched| {
                    let wait = self.wait_for(self.age(&watched.job));
                    (watched.job.id, self.shared.after(wait))
                })
                .collect();
            for (id, ordinary) in waits {
                if let Some(watched) = self.watched.get_mut(&id) {
                    watched.next_at = watched.next_at.min(ordinary);
                }
            }
        }
    }

    /// Due now; but no two questions about a task are closer than allowed, over a restart too.
    fn make_due(&mut self, id: JobId) {
        let min_poll = self.lane().settings.min_poll;
        let (now, first_at) = (self.shared.now(), self.first_at);
        let Some(watched) = self.watched.get_mut(&id) else { return };
        watched.called = true;
        let sent = watched.job.attempt.as_ref().map_or(Timestamp::MIN, |attempt| attempt.started_at);
        let of_this_run = sent.checked_add(min_poll).is_ok_and(|at| at >= first_at);
        let mut soon = if of_this_run { now } else { now.max(first_at) };
        if let Some(asked_at) = watched.asked_at {
            soon = soon.max(asked_at.checked_add(min_poll).unwrap_or(soon));
        }
        watched.next_at = watched.next_at.min(soon);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn questions_are_fewer_while_callbacks_come_and_as_before_once_one_is_lost() {
        let mut calls = Calls::default();
        let second = Duration::from_secs(1);
        for _ in 0..ENOUGH {
            assert_eq!(calls.stretched(second), second);
            assert!(!calls.note(true));
        }
        assert_eq!(calls.stretched(second), second * STRETCH);
        // Never further apart than the ordinary questions may be.
        assert_eq!(calls.stretched(second * 30), LONGEST);
        assert_eq!(calls.stretched(LONGEST * 3), LONGEST * 3);
        assert!(calls.note(false), "what was put off comes forward");
        assert_eq!(calls.stretched(second), second);
        assert!(!calls.note(false));
    }
}
