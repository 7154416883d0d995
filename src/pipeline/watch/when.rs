//! When to ask. A task alone is asked about when it has probably ended; where one question can tell of all, it is asked when a
//! few of the slots have probably come free, whichever they are.

use std::time::Duration;

use jiff::Timestamp;

use super::{Stage, UNCLEAR, Watched};
use crate::domain::{Job, State};
use crate::pace::{Part, soonest};

/// The share of the slots that may have come free unnoticed before all tasks are asked about: half of it is what is lost
/// by asking only now and then.
const UNNOTICED: f64 = 0.05;
/// So many slots at least, however few there are, and at most, however many: about a question for each task where there
/// are many.
const LEAST_UNNOTICED: f64 = 0.22;
const MOST_UNNOTICED: f64 = 1.5;
/// The longest wait: a task that fails at once should not keep its slot.
const LONGEST: Duration = Duration::from_secs(60);

impl Watched {
    /// Whether it waits for a question as tasks usually do.
    pub(super) fn is_ordinary(&self) -> bool {
        let dead_links = self.job.attempt.as_ref().map_or(0, |attempt| attempt.dead_links);
        !self.asking && !self.called && self.unclear == 0 && dead_links == 0
    }

    /// When it may be asked about again at the soonest: the shortest span is kept from the last question, and none is asked
    /// before `first_at`.
    pub(super) fn soonest_question(&self, min_poll: Duration, first_at: Timestamp, now: Timestamp) -> Timestamp {
        let asked_at = self.asked_at.and_then(|at| at.checked_add(min_poll).ok());
        asked_at.unwrap_or(now).max(first_at).max(now)
    }
}

impl Stage {
    /// Whether one question can tell of several tasks.
    pub(super) fn asks_for_all(&self) -> bool {
        let can = self.lane().gateway().capabilities();
        can.list || can.many.is_some() && !self.one_by_one
    }

    /// Thinks over when to ask for all tasks, where that can be, and something changed.
    pub(super) fn plan(&mut self) {
        if self.plan_by_probes()
            || !std::mem::take(&mut self.unplanned)
            || !self.asks_for_all()
            || !self.lane().expectation().is_learned()
        {
            return;
        }
        // How old each was when it was last seen not to have ended, and how old it is now.
        let now = self.shared.now();
        let ages: Vec<(Duration, Duration)> = self
            .watched
            .values()
            .filter(|watched| watched.is_ordinary())
            .map(|watched| {
                let age = self.age(&watched.job);
                let since = watched.asked_at.and_then(|at| Duration::try_from(now.duration_since(at)).ok());
                (since.map_or(Duration::ZERO, |since| age.saturating_sub(since)), age)
            })
            .collect();
        let asked_at =
            self.watched.values().filter(|watched| watched.is_ordinary()).filter_map(|watched| watched.asked_at).max();
        let min_poll = self.lane().settings.min_poll;
        let soon = asked_at.and_then(|at| at.checked_add(min_poll).ok()).unwrap_or(now).max(self.first_at);
        let least = Duration::try_from(soon.duration_since(now)).unwrap_or_default();
        let enough = (ages.len() as f64 * UNNOTICED).clamp(LEAST_UNNOTICED, MOST_UNNOTICED);
        let wait = {
            let expectation = self.lane().expectation();
            let unnoticed =
                |wait: Duration| -> f64 { ages.iter().map(|(seen, age)| expectation.chance(*seen, *age + wait)).sum() };
            soonest(least, LONGEST.max(least), |wait| unnoticed(wait) >= enough)
        };
        let next_at = self.shared.after(self.calls.stretched(wait).max(least));
        let deadline = self.shared.settings.deadline;
        for watched in self.watched.values_mut().filter(|watched| watched.is_ordinary()) {
            let State::Waiting { since } = watched.job.state else { continue };
            watched.next_at = next_at.min(since.checked_add(deadline).unwrap_or(Timestamp::MAX).max(soon));
        }
    }

    /// How long to wait before the next question about a task by itself that is `age` old.
    pub(super) fn wait_for(&self, age: Duration) -> Duration {
        let part = if self.asks_for_all() { Part::Third } else { Part::Sixth };
        self.lane().expectation().wait_for(age, self.lane().settings.min_poll, part)
    }

    /// When to ask first about a task. An earlier run, or the question that brought a dead link, may have asked just now:
    /// the shortest span is kept from there as well.
    pub(super) fn first_question(&self, job: &Job) -> Timestamp {
        let min_poll = self.lane().settings.min_poll;
        let dead_links = job.attempt.as_ref().map_or(0, |attempt| attempt.dead_links);
        if dead_links > 0 {
            return self.shared.after(UNCLEAR.after(dead_links).max(min_poll));
        }
        let age = self.age(job);
        // What an earlier run left behind may have ended while nobody looked.
        let left_behind = age > min_poll * 4;
        let wait = if left_behind { min_poll } else { self.wait_for(age) };
        self.together(self.shared.after(wait).max(self.first_at))
    }

    /// The instant at or soon after `at` at which others are asked about, too, where one request can ask for several.
    pub(super) fn together(&self, at: Timestamp) -> Timestamp {
        let beat = i64::try_from(self.lane().settings.min_poll.as_millis() / 4).unwrap_or(0);
        if beat == 0 || !self.asks_for_all() {
            return at;
        }
        let late = at.as_millisecond().rem_euclid(beat);
        // The rest of a millisecond is no reason to ask too soon.
        at.checked_add(Duration::from_millis((beat - late).unsigned_abs())).unwrap_or(at)
    }

    pub(super) fn age(&self, job: &Job) -> Duration {
        let started = job.attempt.as_ref().map_or(Timestamp::MAX, |attempt| attempt.started_at);
        Duration::try_from(self.shared.now().duration_since(started)).unwrap_or(Duration::ZERO)
    }
}
