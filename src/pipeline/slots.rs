//! The parallel generations of an account, or of several that share them. A slot is taken before the intent to submit and
//! given back when the task has ended or certainly does not exist; jobs that were running when the run began hold theirs
//! from the start.
//!
//! The number that is set is an upper bound: where the remote refuses sooner (others use the account, or it allows less),
//! fewer are used, and one more is tried from time to time.

use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use jiff::Timestamp;
use tokio::sync::Notify;

/// How soon one more slot is tried after the remote refused, at first; doubled with each trial that is refused.
const FIRST_TRIAL: Duration = Duration::from_secs(60);
/// How soon at the latest.
const LAST_TRIAL: Duration = Duration::from_secs(30 * 60);

/// Counts parallel generations.
#[derive(Debug)]
pub(super) struct Slots {
    limit: usize,
    count: Mutex<Count>,
    freed: Notify,
}

#[derive(Debug)]
struct Count {
    used: usize,
    /// How many the remote is thought to allow, at most the limit.
    allowed: usize,
    /// When one more is tried.
    trial_at: Timestamp,
    trial_after: Duration,
    /// The last change was a trial.
    trying: bool,
}

impl Slots {
    /// All of `limit` slots are free.
    pub(super) fn new(limit: usize) -> Self {
        let count =
            Count { used: 0, allowed: limit, trial_at: Timestamp::MAX, trial_after: FIRST_TRIAL, trying: false };
        Self { limit, count: Mutex::new(count), freed: Notify::new() }
    }

    /// Counts `jobs` that run already; that may be more than the limit, when it was lowered.
    pub(super) fn occupy(&self, jobs: usize) {
        self.count().used += jobs;
    }

    /// Waits for a slot and takes it.
    pub(super) async fn take(&self) {
        loop {
            let freed = self.freed.notified();
            if self.try_take() {
                return;
            }
            freed.await;
        }
    }

    /// Gives one slot back.
    pub(super) fn give_back(&self) {
        let mut count = self.count();
        count.used = count.used.saturating_sub(1);
        self.freed.notify_one();
    }

    /// The remote refused a request because too many run; its own slot is still counted. Gives the number that is used
    /// from now on, when that is news.
    pub(super) fn refused(&self, now: Timestamp) -> Option<usize> {
        let mut count = self.count();
        let running = count.used.saturating_sub(1).max(1);
        let lower = running < count.allowed;
        if count.trying {
            count.trial_after = (count.trial_after * 2).min(LAST_TRIAL);
        }
        count.trying = false;
        count.allowed = count.allowed.min(running);
        count.trial_at = now.checked_add(count.trial_after).unwrap_or(Timestamp::MAX);
        lower.then_some(count.allowed)
    }

    /// Tries one more slot, when it is time to. Gives the number that is used from now on, when that is news.
    pub(super) fn try_more(&self, now: Timestamp) -> Option<usize> {
        let mut count = self.count();
        if count.allowed >= self.limit || now < count.trial_at {
            return None;
        }
        if count.trying {
            // The trial before was not refused.
            count.trial_after = FIRST_TRIAL;
        }
        count.trying = true;
        count.allowed += 1;
        count.trial_at = now.checked_add(count.trial_after).unwrap_or(Timestamp::MAX);
        self.freed.notify_one();
        Some(count.allowed)
    }

    /// When one more slot is to be tried.
    pub(super) fn trial_at(&self) -> Timestamp {
        let count = self.count();
        if count.allowed < self.limit { count.trial_at } else { Timestamp::MAX }
    }

    /// How many run, and how many the remote is thought to allow.
    pub(super) fn standing(&self) -> (usize, usize) {
        let count = self.count();
        (count.used, count.allowed)
    }

    /// The most that may run, as it was set.
    pub(super) const fn limit(&self) -> usize {
        self.limit
    }

    fn try_take(&self) -> bool {
        let mut count = self.count();
        let free = count.used < count.allowed;
        if free {
            count.used += 1;
        }
        free
    }

    fn count(&self) -> MutexGuard<'_, Count> {
        self.count.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(seconds: i64) -> Timestamp {
        Timestamp::from_second(seconds).unwrap()
    }

    #[test]
    fn jobs_that_still_run_keep_their_slots_after_a_restart() {
        let slots = Slots::new(2);
        slots.occupy(3);
        assert!(!slots.try_take());
        slots.give_back();
        assert!(!slots.try_take(), "two still run");
        slots.give_back();
        assert!(slots.try_take());
        assert!(!slots.try_take());
    }

    #[test]
    fn a_refusal_steps_down_and_time_steps_up_again() {
        let slots = Slots::new(5);
        slots.occupy(5);
        // Five at once, of which the remote takes three.
        assert_eq!(slots.refused(at(0)), Some(4));
        slots.give_back();
        assert_eq!(slots.refused(at(0)), Some(3));
        slots.give_back();
        assert!(!slots.try_take(), "three run, and no more are allowed");
        assert_eq!(slots.try_more(at(59)), None);
        assert_eq!((slots.trial_at(), slots.try_more(at(60))), (at(60), Some(4)));
        assert!(slots.try_take());
        // The trial is refused: the next one comes later.
        assert_eq!(slots.refused(at(61)), Some(3));
        slots.give_back();
        assert_eq!((slots.try_more(at(180)), slots.try_more(at(181))), (None, Some(4)));
        assert_eq!(slots.try_more(at(302)), Some(5));
        assert_eq!((slots.try_more(at(9_999)), slots.trial_at()), (None, Timestamp::MAX));
    }

    #[test]
    fn at_least_one_slot_is_always_allowed() {
        let slots = Slots::new(2);
        for second in 0..5 {
            assert!(slots.try_take());
            slots.refused(at(second));
            slots.give_back();
        }
        assert!(slots.try_take());
    }
}
