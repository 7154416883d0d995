//! What happened when, and how long tasks took: counted as rows go by, in bounded memory however many there are.

use std::collections::BTreeMap;

use jiff::Timestamp;
use serde::Serialize;

use crate::domain::{Job, State};

/// Milliseconds of the shortest step: of a rehearsal, which lasts seconds.
const FINEST: i64 = 50;
/// Instants that are told apart at the most.
const MOST_STEPS: usize = 480;
/// Scenes whose times are told.
const MOST_SCENES: usize = 40;
/// Scenes that are counted.
const COUNTED_SCENES: usize = 2000;
/// Binary digits of a duration that are kept: it is off by at most a thirty-second.
const DIGITS: u32 = 6;

/// How many tasks began and ended when. Every row counts with its latest attempt.
#[derive(Debug)]
pub(super) struct Night {
    /// Milliseconds that one step is long.
    width: i64,
    /// Began, were made, failed; by the number of the step since 1970.
    steps: BTreeMap<i64, [u64; 3]>,
}

/// A night as the page draws it.
#[derive(Debug, PartialEq, Eq, Serialize)]
pub(super) struct Hours {
    /// Milliseconds that one step is long.
    width: i64,
    /// When the step begins (milliseconds since 1970), and how many tasks began, were made, and failed in it.
    steps: Vec<(i64, [u64; 3])>,
}

impl Default for Night {
    fn default() -> Self {
        Self { width: FINEST, steps: BTreeMap::new() }
    }
}

impl Night {
    /// Counts a row.
    pub(super) fn count(&mut self, job: &Job) {
        let end = match &job.state {
            State::Done { .. } => Some(1),
            State::Failed { .. } => Some(2),
            // Of an earlier attempt.
            State::Planned { .. } => return,
            State::Submitting
            | State::InDoubt { .. }
            | State::Waiting { .. }
            | State::Ready { .. }
            | State::Held { .. }
            | State::Stuck { .. } => None,
        };
        let ended = end.and_then(|end| Some((end, job.finished_at?)));
        // One that was never sent begins and ends at once.
        let began = job.attempt.as_ref().map(|attempt| attempt.started_at).or_else(|| ended.map(|(_, at)| at));
        for (what, at) in began.map(|at| (0, at)).into_iter().chain(ended) {
            self.add(what, at);
        }
    }

    fn add(&mut self, what: usize, at: Timestamp) {
        self.steps.entry(at.as_millisecond().div_euclid(self.width)).or_default()[what] += 1;
        while self.steps.len() > MOST_STEPS {
            self.width *= 2;
            for (step, counts) in std::mem::take(&mut self.steps) {
                let into = self.steps.entry(step.div_euclid(2)).or_default();
                into.iter_mut().zip(counts).for_each(|(into, count)| *into += count);
            }
        }
    }

    pub(super) fn hours(&self) -> Hours {
        let steps = self.steps.iter().map(|(step, counts)| (step * self.width, *counts));
        Hours { width: self.width, steps: steps.collect() }
    }
}

/// How long the tasks of each scene took.
#[derive(Debug, Default)]
pub(super) struct Times {
    /// How many took so long, in milliseconds, rounded.
    scenes: BTreeMap<String, BTreeMap<u64, u64>>,
}

/// How long the tasks of one scene took, in milliseconds.
#[derive(Debug, PartialEq, Eq, Serialize)]
pub(super) struct SceneTimes {
    scene: String,
    /// Of so many tasks it is known.
    tasks: u64,
    /// A tenth was faster.
    low: u64,
    middle: u64,
    /// A tenth was slower.
    high: u64,
}

impl Times {
    /// Counts a row, where it is known how long its task took.
    pub(super) fn count(&mut self, job: &Job) {
        let Some(took) = job.attempt.as_ref().and_then(|attempt| attempt.took_ms) else { return };
        let scene = &job.effect.scene;
        if !self.scenes.contains_key(scene) && self.scenes.len() >= COUNTED_SCENES {
            return;
        }
        *self.scenes.entry(scene.clone()).or_default().entry(rounded(took)).or_default() += 1;
    }

    /// The scenes with the most tasks; the slowest first.
    pub(super) fn scenes(&self) -> Vec<SceneTimes> {
        let mut told: Vec<SceneTimes> = self.scenes.iter().map(|(scene, counts)| told(scene, counts)).collect();
        told.sort_by_key(|scene| std::cmp::Reverse(scene.tasks));
        told.truncate(MOST_SCENES);
        told.sort_by_key(|scene| std::cmp::Reverse(scene.middle));
        told
    }
}

fn told(scene: &str, counts: &BTreeMap<u64, u64>) -> SceneTimes {
    let tasks: u64 = counts.values().sum();
    let at = |tenths: u64| {
        let rank = (tasks - 1) * tenths / 10;
        let mut passed = 0;
        counts.iter().find(|(_, count)| (passed += *count, passed > rank).1).map_or(0, |(took, _)| *took)
    };
    SceneTimes { scene: scene.to_owned(), tasks, low: at(1), middle: at(5), high: at(9) }
}

/// A number with its first [`DIGITS`] binary digits.
const fn rounded(number: u64) -> u64 {
    let shift = (u64::BITS - number.leading_zeros()).saturating_sub(DIGITS);
    number >> shift << shift
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_night_of_any_length_keeps_every_count_in_few_steps() {
        let mut night = Night::default();
        for second in 0..100_000_i64 {
            night.add(usize::try_from(second % 3).unwrap(), Timestamp::from_second(1_700_000_000 + second).unwrap());
        }
        let hours = night.hours();
        assert!(hours.steps.len() <= MOST_STEPS && hours.steps.len() > MOST_STEPS / 3, "{}", hours.steps.len());
        let sums =
            hours.steps.iter().fold([0; 3], |sums: [u64; 3], (_, counts)| [0, 1, 2].map(|i| sums[i] + counts[i]));
        assert_eq!(sums, [33_334, 33_333, 33_333]);
        assert_eq!(hours.steps[0].0.div_euclid(hours.width), 1_700_000_000_000_i64.div_euclid(hours.width));
    }

    #[test]
    fn durations_are_told_to_a_few_hundredths() {
        let counts =
            (1..=1000_u64).map(|ms| (rounded(ms * 100), 1)).fold(BTreeMap::new(), |mut counts, (took, one)| {
                *counts.entry(took).or_insert(0) += one;
                counts
            });
        let told = told("squish", &counts);
        for (found, expected) in [(told.low, 10_000), (told.middle, 50_000), (told.high, 90_000)] {
            assert!(found <= expected && found * 32 >= expected * 31 - 3_200, "{found} for {expected}");
        }
        assert_eq!((told.tasks, rounded(0), rounded(63), rounded(u64::MAX)), (1000, 0, 63, 0b11_1111 << 58));
    }
}
