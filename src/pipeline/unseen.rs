//! What is probable of tasks that run: how many have ended that nobody saw end, and which, by how long tasks took before and
//! by what probes told.

use std::time::Duration;

use jiff::Timestamp;

use super::slots::{Known, Slots};
use crate::pace::Expectation;

/// How many slots have probably come free before a probe is sent: this share of them, half of which is what stands idle.
const SHARE: f64 = 0.03;
/// At least so much of a slot, for each refusal costs a request and two events; and at most so much.
const LEAST_FREE: f64 = 0.15;
const MOST_FREE: f64 = 0.75;
/// Between two probes, at least this part of the span in which one slot usually comes free.
const PART: u32 = 8;
/// How likely it is that a task has ended by the age that tasks usually reach, whatever was learned.
const SURPRISE: f64 = 0.02;

/// A task that waits at the remote, as it was last seen.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Running {
    /// When its request was sent.
    pub(super) started: Timestamp,
    /// When it was last known to run.
    pub(super) seen: Timestamp,
}

impl Running {
    /// How long it has run, or had run, at an instant.
    pub(super) fn age(self, at: Timestamp) -> Duration {
        Duration::try_from(at.duration_since(self.started)).unwrap_or(Duration::ZERO)
    }

    fn chance(self, expectation: &Expectation, at: Timestamp) -> f64 {
        expectation.chance(self.age(self.seen), self.age(at))
    }
}

/// How many slots must probably have come free before a probe is sent.
pub(super) fn enough(limit: usize) -> f64 {
    (limit as f64 * SHARE).clamp(LEAST_FREE, MOST_FREE)
}

/// How far apart two probes are at least.
pub(super) fn apart(expectation: &Expectation, slots: &Slots) -> Duration {
    let limit = u32::try_from(slots.limit()).unwrap_or(u32::MAX).max(1);
    expectation.usual().unwrap_or_default() / limit / PART
}

/// How many tasks have probably ended by `at` that were neither seen to nor told of by a probe.
pub(super) fn more_ended(tasks: &[Running], expectation: &Expectation, known: Known, at: Timestamp) -> f64 {
    let (mut since, mut ran) = (0.0, 0.0);
    for task in tasks {
        let before = task.chance(expectation, known.at.max(task.seen));
        since += task.chance(expectation, at) - before;
        ran += 1.0 - before;
    }
    // So many are known to have run then, whatever their ages say.
    let running = tasks.len().saturating_sub(known.ended) as f64;
    let since = if ran > 0.0 { since * running / ran } else { 0.0 };
    known.more + since.max(0.0)
}

/// What is thought of every task, where it is known about how many have ended.
#[derive(Debug, Clone, Copy)]
pub(super) struct Suspicion<'a> {
    expectation: &'a Expectation,
    at: Timestamp,
    /// By how much the odds of all are raised or lowered, so that their sum is what is known.
    tilt: f64,
}

impl<'a> Suspicion<'a> {
    /// Of `tasks`, about `ended` of which have ended by `at`.
    pub(super) fn new(tasks: &[Running], expectation: &'a Expectation, ended: f64, at: Timestamp) -> Self {
        let ended = ended.min(tasks.len() as f64 - 0.01);
        let odds: Vec<f64> = tasks.iter().map(|task| odds(*task, expectation, at)).collect();
        let sum = |tilt: f64| -> f64 { odds.iter().map(|odds| tilted(*odds, tilt)).sum() };
        // By powers of two: all that the odds of any can need.
        let (mut low, mut high) = (-30.0_f64, 30.0_f64);
        for _ in 0..40 {
            let middle = f64::midpoint(low, high);
            if sum(middle.exp2()) >= ended { high = middle } else { low = middle }
        }
        Self { expectation, at, tilt: high.exp2() }
    }

    /// How likely `task` has ended.
    pub(super) fn of(&self, task: Running) -> f64 {
        tilted(odds(task, self.expectation, self.at), self.tilt)
    }
}

fn odds(task: Running, expectation: &Expectation, at: Timestamp) -> f64 {
    let usual = expectation.usual().unwrap_or_default().max(Duration::from_millis(1));
    let unseen = at.duration_since(task.seen).as_secs_f64() / usual.as_secs_f64();
    let chance = task.chance(expectation, at).max(SURPRISE * unseen.clamp(0.0, 1.0)).min(0.999);
    chance / (1.0 - chance)
}

fn tilted(odds: f64, tilt: f64) -> f64 {
    tilt * odds / (1.0 + tilt * odds)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(seconds: i64) -> Timestamp {
        Timestamp::from_second(seconds).unwrap()
    }

    /// Tasks take 60 to 300 s, all lengths alike.
    fn even() -> Expectation {
        Expectation::from_recent((0..240).map(|second| Duration::from_secs(60 + second)).collect())
    }

    fn running(started: i64, seen: i64) -> Running {
        Running { started: at(started), seen: at(seen) }
    }

    const NOTHING: Known = Known { at: Timestamp::MIN, ended: 0, more: 0.0 };

    #[test]
    fn slots_come_free_with_time_and_a_refusal_takes_that_back() {
        let tasks: Vec<Running> = (0..5).map(|task| running(task * 48, task * 48)).collect();
        let free = |known, second| more_ended(&tasks, &even(), known, at(second));
        assert!(free(NOTHING, 59) < 1e-9 && free(NOTHING, 200) > 0.5, "{}", free(NOTHING, 200));
        let refused = Known { at: at(200), ended: 0, more: 0.0 };
        assert!(free(refused, 200) < 1e-9);
        // All five run on: the oldest are likelier to end than if they might have ended before.
        assert!(free(refused, 230) > free(NOTHING, 230) - free(NOTHING, 200), "{}", free(refused, 230));
        let taken = Known { at: at(200), ended: 1, more: 0.1 };
        assert!(free(taken, 200) > 0.09 && free(taken, 230) > free(taken, 200));
        assert!(more_ended(&[], &even(), refused, at(300)) < 1e-9);
    }

    #[test]
    fn what_is_known_to_have_ended_is_looked_for_among_the_likeliest() {
        let tasks = [running(0, 0), running(0, 190), running(150, 150), running(199, 199)];
        let chances = |tasks: &[Running], ended: f64, second: i64| -> Vec<f64> {
            let expectation = even();
            let suspicion = Suspicion::new(tasks, &expectation, ended, at(second));
            tasks.iter().map(|task| suspicion.of(*task)).collect()
        };
        let likely = chances(&tasks, 1.0, 200);
        assert!((likely.iter().sum::<f64>() - 1.0).abs() < 0.01, "{likely:?}");
        assert!(likely[0] > 0.7 && likely[1] < likely[0] && likely[3] < 0.01, "{likely:?}");
        assert!(chances(&tasks, 0.0, 200).iter().all(|chance| *chance < 0.01));
        // More have ended than any experience says: whichever they are, they are found.
        let sudden = [running(0, 0), running(5, 5), running(10, 10)];
        let likely = chances(&sudden, 2.9, 30);
        assert!(likely.iter().all(|chance| *chance > 0.5), "{likely:?}");
        assert!(chances(&[], 1.0, 30).is_empty());
    }
}
