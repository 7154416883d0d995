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

    /// After this long, a task that exists has ended, as far as we know: half as long again as the longest seen.
    #[must_use]
    pub fn surely_ended_after(&self) -> Duration {
        self.sorted.last().map_or(UNKNOWN, |longest| longest.mul_f64(1.5))
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

    /// How long to wait before asking (again) about a task that is `age` old, not less than `min_poll`.
    #[must_use]
    pub fn wait_for(&self, age: Duration, min_poll: Duration) -> Duration {
        let wait = if self.sorted.len() < ENOUGH {
            age / 3
        } else {
            let (early, late) = (self.quantile(2).mul_f64(0.97), self.quantile(95));
            let step = late.saturating_sub(early) / 8;
            if age < early {
                // One look halfway: a task that fails at once should not keep its slot.
                return early.saturating_sub(age).min((early / 2).max(LONGEST)).max(min_poll);
            } else if age <= late {
                step
            } else {
                step + age.saturating_sub(late) / 2
            }
        };
        wait.clamp(min_poll, LONGEST.max(min_poll).max(age / 10))
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
            age += expectation.wait_for(age, MIN_POLL);
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
    fn a_few_tasks_shorten_no_guess_and_many_do() {
        let within = |tasks: Vec<u64>| {
            let seen = tasks.into_iter().map(Duration::from_secs).collect();
            Expectation::from_recent(seen).usually_within(Duration::from_secs(320)).as_secs()
        };
        assert_eq!((within(vec![]), within(vec![100, 100]), within(vec![400])), (320, 320, 400));
        assert_eq!((within(vec![100, 100, 100, 200]), within((1..=101).collect())), (200, 91));
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
            assert!(expectation.wait_for(Duration::from_millis(age * 10), MIN_POLL) >= MIN_POLL);
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
