//! How long an account's tasks take, learned from those that ended, and when to ask about one that has not.
//!
//! Few questions early, close ones around the expected end, fewer and fewer for stragglers.

use std::collections::VecDeque;
use std::time::Duration;

/// How many ended tasks are remembered.
const MEMORY: usize = 256;
/// How many ended tasks make an expectation.
const ENOUGH: usize = 4;
/// The longest wait between two questions about a task, unless it is far over its time.
const LONGEST: Duration = Duration::from_secs(60);
/// What a task is taken to need as long as none has ended. Published figures for effects are 2 to 6 minutes.
const UNKNOWN: Duration = Duration::from_secs(360);

/// How likely a task must have ended for a question about it alone: five or six are enough for most. Fewer would leave
/// slots idle.
const LIKELY: f64 = 0.2;

/// The shortest span from `least` to `most` for which `enough` holds, which then holds for all longer ones; else `most`.
#[must_use]
pub fn soonest(least: Duration, most: Duration, enough: impl Fn(Duration) -> bool) -> Duration {
    let (mut low, mut high) = (least, most.max(least));
    if enough(low) {
        return low;
    }
    while high.saturating_sub(low) > Duration::from_millis(1) {
        let middle = low + high.saturating_sub(low) / 2;
        if enough(middle) { high = middle } else { low = middle }
    }
    high
}

/// How much of a task's age is waited for before the next question, as long as nothing is known. The first ends teach all that is
/// needed for few questions: they are worth some more.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Part {
    /// Where one question tells of several tasks.
    Third = 3,
    /// Where it tells of one.
    Sixth = 6,
}

/// What is known of how long tasks take.
#[derive(Debug, Clone, Default)]
pub struct Expectation {
    recent: VecDeque<Duration>,
    sorted: Vec<Duration>,
}

impl Expectation {
    /// An expectation from tasks that ended earlier, newest first.
    #[must_use]
    pub fn from_recent(durations: Vec<Duration>) -> Self {
        let mut expectation = Self::default();
        for took in durations.into_iter().take(MEMORY).rev() {
            expectation.learn(took);
        }
        expectation
    }

    /// One more task ended, after `took`.
    pub fn learn(&mut self, took: Duration) {
        if self.recent.len() == MEMORY
            && let Some(oldest) = self.recent.pop_front()
            && let Ok(at) = self.sorted.binary_search(&oldest)
        {
            self.sorted.remove(at);
        }
        self.recent.push_back(took);
        let at = self.sorted.binary_search(&took).unwrap_or_else(|at| at);
        self.sorted.insert(at, took);
    }

    /// After this long, a task that exists has ended, as far as we know: half as long again as the longest seen, and no less than
    /// is usual while few were.
    #[must_use]
    pub fn surely_ended_after(&self) -> Duration {
        let seen = self.sorted.last().map_or(UNKNOWN, |longest| longest.mul_f64(1.5));
        if self.is_learned() { seen } else { seen.max(UNKNOWN) }
    }

    /// Within this long nine of ten tasks ended, of those seen; `guess` while none was, and at least that while they are few.
    #[must_use]
    pub fn usually_within(&self, guess: Duration) -> Duration {
        let at = (self.sorted.len().saturating_sub(1) * 90).div_ceil(100);
        let seen = self.sorted.get(at).copied().unwrap_or(guess);
        if self.sorted.len() < ENOUGH { seen.max(guess) } else { seen }
    }

    /// How long a task usually takes: the median; `None` while none has ended.
    #[must_use]
    pub fn usual(&self) -> Option<Duration> {
        self.sorted.get(self.sorted.len() / 2).copied()
    }

    /// Whether enough tasks have ended to tell what is likely.
    #[must_use]
    pub fn is_learned(&self) -> bool {
        self.sorted.len() >= ENOUGH
    }

    /// How likely it is that a task has ended at the age of `to` which had not at `from`: by those that were seen, and for
    /// one that takes longer than any of them, less and less with each second.
    #[must_use]
    pub fn chance(&self, from: Duration, to: Duration) -> f64 {
        let by = |age: Duration| self.sorted.partition_point(|took| *took <= age);
        let (before, until) = (by(from), by(to.max(from)));
        let longest = self.sorted.last().copied().unwrap_or(UNKNOWN);
        let late = if to > longest { 1.0 - from.max(longest).as_secs_f64() / to.as_secs_f64() } else { 0.0 };
        ((until - before) as f64 + late) / ((self.sorted.len() - before) as f64 + 1.0)
    }

    /// How long to wait before asking (again) about a task by itself that is `age` old, not less than `min_poll`: until it
    /// has ended with some likelihood; as long as nothing is known of that, a `part` of its age.
    #[must_use]
    pub fn wait_for(&self, age: Duration, min_poll: Duration, part: Part) -> Duration {
        let longest = LONGEST.max(min_poll).max(age / 10);
        if !self.is_learned() {
            return (age / part as u32).clamp(min_poll, longest);
        }
        let likely = |wait: Duration| self.chance(age, age + wait) >= LIKELY;
        // A task that fails at once should not keep its slot: nothing is waited for longer than that.
        let longest = longest.max(self.quantile(2).saturating_sub(age).min(self.quantile(2) / 2));
        soonest(min_poll, longest, likely)
    }

    fn quantile(&self, percent: usize) -> Duration {
        let at = (self.sorted.len() - 1) * percent / 100;
        self.sorted.get(at).copied().unwrap_or(UNKNOWN)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MIN_POLL: Duration = Duration::from_secs(2);

    fn questions(expectation: &Expectation, took: Duration) -> (u32, Duration) {
        let (mut age, mut asked) = (Duration::ZERO, 0);
        loop {
            age += expectation.wait_for(age, MIN_POLL, Part::Sixth);
            asked += 1;
            if age >= took {
                return (asked, age.checked_sub(took).unwrap());
            }
        }
    }

    #[test]
    fn a_learned_task_is_asked_about_rarely_and_found_soon() {
        let expectation = Expectation::from_recent((0..40).map(|i| Duration::from_secs(280 + i)).collect());
        for took in [285, 300, 318] {
            let (asked, late) = questions(&expectation, Duration::from_secs(took));
            assert!(asked <= 12 && late <= Duration::from_secs(8), "{took}: asked {asked}, {late:?} late");
        }
    }

    #[test]
    fn the_first_tasks_are_found_soon_by_a_few_more_questions() {
        for took in [20, 75, 150, 290] {
            let (asked, late) = questions(&Expectation::default(), Duration::from_secs(took));
            assert!(asked <= 30 && late <= Duration::from_secs(took / 6 + 2), "{took}: asked {asked}, {late:?} late");
        }
    }

    #[test]
    fn a_few_questions_are_enough_for_tasks_of_any_length() {
        let expectation = Expectation::from_recent((0..240).map(|i| Duration::from_secs(60 + i)).collect());
        let asked: u32 = (60..300).map(|took| questions(&expectation, Duration::from_secs(took)).0).sum();
        assert!(asked <= 240 * 6, "{} questions a task", f64::from(asked) / 240.0);
    }

    #[test]
    fn the_chance_that_a_task_has_ended_is_what_was_seen_and_never_certain() {
        let seconds = Duration::from_secs;
        let expectation = Expectation::from_recent((1..=99).map(seconds).collect());
        assert!(expectation.chance(seconds(0), seconds(0)) < 1e-9);
        assert!((expectation.chance(seconds(0), seconds(50)) - 0.5).abs() < 1e-9);
        // Of the fifty that take longer, as far as it is known.
        assert!((expectation.chance(seconds(50), seconds(75)) - 0.5).abs() < 1e-9);
        let (late, later) =
            (expectation.chance(seconds(99), seconds(110)), expectation.chance(seconds(99), seconds(198)));
        assert!(late > 0.0 && late < later && later < 1.0, "{late} {later}");
        assert!(expectation.chance(seconds(1000), seconds(1100)) < late);
        assert!(Expectation::default().chance(seconds(0), seconds(60)) < 1e-9);
    }

    #[test]
    fn the_soonest_is_found_to_the_millisecond() {
        let found =
            |at: u64| soonest(Duration::from_secs(2), Duration::from_secs(60), |wait| wait.as_millis() >= at.into());
        assert_eq!(found(0), Duration::from_secs(2));
        assert_eq!(found(2_345).as_millis().abs_diff(2_345), 0);
        assert_eq!(found(1_000_000), Duration::from_secs(60));
    }

    #[test]
    fn a_task_usually_takes_what_the_one_in_the_middle_took() {
        let usual = |tasks: &[u64]| {
            let seen = tasks.iter().copied().map(Duration::from_secs).collect();
            Expectation::from_recent(seen).usual().map(|usual| usual.as_secs())
        };
        assert_eq!((usual(&[]), usual(&[7]), usual(&[90, 10, 40, 20, 30])), (None, Some(7), Some(30)));
    }

    #[test]
    fn a_task_is_waited_for_no_longer_than_half_of_what_the_quickest_take_or_a_tenth_of_its_age() {
        let expectation = Expectation::from_recent((600..800).map(Duration::from_secs).collect());
        let wait =
            |age| expectation.wait_for(Duration::from_secs(age), Duration::from_secs(1), Part::Sixth).as_millis();
        // Of two hundred, four take as long as the fourth or less: 603 s.
        assert_eq!((wait(0), wait(6000)), (301_500, 600_000));
    }

    #[test]
    fn a_few_tasks_shorten_no_guess_and_many_do() {
        let within = |tasks: Vec<u64>| {
            let seen = tasks.into_iter().map(Duration::from_secs).collect();
            Expectation::from_recent(seen).usually_within(Duration::from_secs(320)).as_secs()
        };
        assert_eq!((within(vec![]), within(vec![100, 100]), within(vec![400])), (320, 320, 400));
        assert_eq!((within(vec![100, 100, 100, 200]), within((1..=101).collect())), (200, 91));
    }

    #[test]
    fn a_few_quick_tasks_make_no_slow_one_end() {
        let after = |tasks: Vec<u64>| {
            Expectation::from_recent(tasks.into_iter().map(Duration::from_secs).collect())
                .surely_ended_after()
                .as_secs()
        };
        assert_eq!((after(vec![]), after(vec![5, 6]), after(vec![400])), (360, 360, 600));
        assert_eq!(after(vec![10, 20, 40, 30]), 60);
    }

    #[test]
    fn a_straggler_is_asked_about_less_and_less() {
        let expectation = Expectation::from_recent(vec![Duration::from_secs(10); 10]);
        let (asked, _) = questions(&expectation, Duration::from_secs(24 * 3600));
        assert!(asked < 100, "{asked}");
    }

    #[test]
    fn no_two_questions_are_closer_than_allowed() {
        let expectation = Expectation::from_recent(vec![Duration::from_millis(50); 10]);
        for age in 0..100 {
            assert!(expectation.wait_for(Duration::from_millis(age * 10), MIN_POLL, Part::Third) >= MIN_POLL);
        }
    }

    #[test]
    fn what_is_remembered_is_bounded() {
        let mut expectation = Expectation::default();
        for i in 0..10_000 {
            expectation.learn(Duration::from_millis(i % 977));
        }
        assert_eq!((expectation.recent.len(), expectation.sorted.len()), (MEMORY, MEMORY));
        assert!(expectation.sorted.is_sorted());
    }
}
