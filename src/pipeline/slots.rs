//! The account's parallel generations. A slot is taken before the intent to submit and given back when the task has
//! ended or certainly does not exist; jobs that were running when the run began hold theirs from the start.

use std::sync::{Mutex, PoisonError};

use tokio::sync::Notify;

/// Counts the parallel generations of one account.
#[derive(Debug)]
pub(super) struct Slots {
    limit: usize,
    used: Mutex<usize>,
    freed: Notify,
}

impl Slots {
    /// All of `limit` slots are free.
    pub(super) fn new(limit: usize) -> Self {
        Self { limit, used: Mutex::new(0), freed: Notify::new() }
    }

    /// Counts `jobs` that run already; that may be more than the limit, when it was lowered.
    pub(super) fn occupy(&self, jobs: usize) {
        *self.used.lock().unwrap_or_else(PoisonError::into_inner) += jobs;
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
        let mut used = self.used.lock().unwrap_or_else(PoisonError::into_inner);
        *used = used.saturating_sub(1);
        self.freed.notify_one();
    }

    fn try_take(&self) -> bool {
        let mut used = self.used.lock().unwrap_or_else(PoisonError::into_inner);
        let free = *used < self.limit;
        if free {
            *used += 1;
        }
        free
    }
}

#[cfg(test)]
mod tests {
    use super::*;

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
}
