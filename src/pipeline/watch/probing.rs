//! When to ask while slots are filled by probes. That a slot has come free is then known without a question: a task is asked
//! about when it has more likely ended than not, and all of them, where one question can tell of all, when several have.

use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;

use super::{Stage, Watched};
use crate::domain::{JobId, State};
use crate::pace::soonest;
use crate::pipeline::unseen::{Running, Suspicion, apart, more_ended};

/// How likely a task must have ended for a question about it alone.
const LIKELY: f64 = 0.5;
/// The share of the slots whose tasks must have ended for a question about all of them, and so many at least.
const SHARE: f64 = 0.1;
const LEAST: f64 = 2.0;
/// No task is left alone longer, but for one that is far over its time: videos are collected, and failures noticed.
const LONGEST: Duration = Duration::from_secs(300);
/// How likely a task must have ended to be asked about when slots are filled by probes no more.
const LEFT: f64 = 0.2;
/// How long it is left alone then at the most.
const LEFT_LONGEST: Duration = Duration::from_secs(60);

impl Stage {
    /// Thinks over whom to ask while slots are filled by probes; `false` where they are not.
    pub(super) fn plan_by_probes(&mut self) -> bool {
        if !self.lane().may_probe() {
            return false;
        }
        let now = self.shared.now();
        if self.unplanned {
            self.lane().set_running(self.watched.values().filter_map(running).collect());
        }
        if !self.lane().is_probing() {
            if self.beat_at.take().is_some() {
                self.unplanned = true;
                self.come_back();
            }
            return false;
        }
        if std::mem::take(&mut self.unplanned) || self.beat_at.is_none_or(|at| now >= at) {
            self.choose(now);
            let expectation = self.lane().expectation().clone();
            let beat = apart(&expectation, &self.lane().slots).max(self.lane().settings.min_poll);
            self.beat_at = Some(self.shared.after(beat));
        }
        true
    }

    /// Makes those due who have probably ended, and leaves the others alone for long.
    fn choose(&mut self, now: Timestamp) {
        let slots = Arc::clone(&self.lane().slots);
        let (known, all) = (slots.known(), self.shared.running(&slots));
        let expectation = self.lane().expectation().clone();
        let ended = known.ended as f64 + more_ended(&all, &expectation, known, now);
        let for_all = self.asks_for_all();
        let all_due = for_all && ended >= (slots.limit() as f64 * SHARE).max(LEAST);
        let suspicion = Suspicion::new(&all, &expectation, ended, now);
        let own: Vec<(JobId, Running, f64)> = self
            .watched
            .values()
            .filter(|watched| watched.is_ordinary())
            .filter_map(|watched| running(watched).map(|task| (watched.job.id, task, suspicion.of(task))))
            .collect();
        // Where no probe is sent before an end is seen, the likeliest is asked about, however unlikely.
        let most = own.iter().map(|(_, _, chance)| *chance).fold(0.0, f64::max);
        let enough = if slots.is_blind() { most.min(LIKELY) } else { LIKELY };
        let (min_poll, deadline) = (self.lane().settings.min_poll, self.shared.settings.deadline);
        let late =
            |task: &Running| task.seen.checked_add(LONGEST.max(task.age(task.seen) / 10)).unwrap_or(Timestamp::MAX);
        let latest = own.iter().map(|(_, task, _)| late(task)).min().unwrap_or(Timestamp::MAX);
        for (id, task, chance) in own {
            let due = if for_all { all_due } else { chance >= enough };
            let Some(watched) = self.watched.get_mut(&id) else { continue };
            let State::Waiting { since } = watched.job.state else { continue };
            let soon = watched.soonest_question(min_poll, self.first_at, now);
            let later = if for_all { latest } else { late(&task) };
            let at = if due { soon } else { later.max(soon) };
            watched.next_at = at.min(since.checked_add(deadline).unwrap_or(Timestamp::MAX).max(soon));
        }
    }

    /// Slots are filled by probes no more: tasks are asked about as ever, those first that may have ended meanwhile.
    fn come_back(&mut self) {
        let (now, min_poll, first_at) = (self.shared.now(), self.lane().settings.min_poll, self.first_at);
        let expectation = self.lane().expectation().clone();
        for watched in self.watched.values_mut().filter(|watched| watched.is_ordinary()) {
            let Some(task) = running(watched) else { continue };
            let (seen, old) = (task.age(task.seen), task.age(now));
            let soon = watched.soonest_question(min_poll, first_at, now);
            let least = Duration::try_from(soon.duration_since(now)).unwrap_or_default();
            let likely = |wait: Duration| expectation.chance(seen, old + wait) >= LEFT;
            let wait = soonest(least, LEFT_LONGEST.max(old / 10).max(least), likely);
            watched.next_at = watched.next_at.min(now.checked_add(wait).unwrap_or(Timestamp::MAX));
        }
    }
}

fn running(watched: &Watched) -> Option<Running> {
    let started = watched.job.attempt.as_ref()?.started_at;
    Some(Running { started, seen: watched.asked_at.unwrap_or(started).max(started) })
}
