//! Whose turn it is when several accounts could send a row at the same moment: each gets its share by weight. An account
//! that cannot send is never waited for.

use std::sync::{Mutex, MutexGuard, PoisonError};

use tokio::sync::Notify;

/// The turns of a run's accounts, by their place.
#[derive(Debug)]
pub(super) struct Turns {
    queue: Mutex<Vec<Place>>,
    /// What whoever had the last turn had had before it: who comes back after a pause begins here.
    now: Mutex<f64>,
    moved: Notify,
}

#[derive(Debug, Clone, Copy)]
struct Place {
    weight: u32,
    /// What it has had, in shares of its weight.
    had: f64,
    waiting: bool,
}

impl Turns {
    /// Nobody has had a turn; `weights` are at least 1.
    pub(super) fn new(weights: impl IntoIterator<Item = u32>) -> Self {
        let place = |weight: u32| Place { weight: weight.max(1), had: 0.0, waiting: false };
        let queue = Mutex::new(weights.into_iter().map(place).collect());
        Self { queue, now: Mutex::new(0.0), moved: Notify::new() }
    }

    /// Waits for the turn of the account at `place` among those that wait now.
    pub(super) async fn wait(&self, place: usize) {
        let waiting = Waiting::at(self, place);
        // Others that could send at this moment come to wait, too.
        tokio::task::yield_now().await;
        loop {
            let moved = self.moved.notified();
            if self.is_next(place) {
                drop(waiting);
                return;
            }
            moved.await;
        }
    }

    /// The account at `place` used its turn.
    pub(super) fn used(&self, place: usize) {
        let mut queue = self.queue();
        let mut now = self.now.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(used) = queue.get_mut(place) {
            // Who comes back after a pause does not get all that it missed.
            *now = now.max(used.had);
            used.had = *now + 1.0 / f64::from(used.weight);
        }
    }

    fn is_next(&self, place: usize) -> bool {
        let queue = self.queue();
        let next =
            queue.iter().enumerate().filter(|(_, place)| place.waiting).min_by(|a, b| a.1.had.total_cmp(&b.1.had));
        next.is_none_or(|(next, _)| next == place)
    }

    fn queue(&self) -> MutexGuard<'_, Vec<Place>> {
        self.queue.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// An account that waits, until this is dropped.
struct Waiting<'a> {
    turns: &'a Turns,
    place: usize,
}

impl<'a> Waiting<'a> {
    fn at(turns: &'a Turns, place: usize) -> Self {
        turns.set_waiting(place, true);
        Self { turns, place }
    }
}

impl Turns {
    fn set_waiting(&self, place: usize, waiting: bool) {
        if let Some(place) = self.queue().get_mut(place) {
            place.waiting = waiting;
        }
    }
}

impl Drop for Waiting<'_> {
    fn drop(&mut self) {
        self.turns.set_waiting(self.place, false);
        self.turns.moved.notify_waiters();
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;

    #[tokio::test]
    async fn accounts_that_could_both_send_get_their_shares() {
        let turns = Arc::new(Turns::new([3, 1]));
        let mut had = [0, 0];
        for _ in 0..40 {
            let first = tokio::select! {
                biased;
                () = turns.wait(1) => 1,
                () = turns.wait(0) => 0,
            };
            turns.used(first);
            had[first] += 1;
        }
        assert_eq!(had, [30, 10]);
    }

    #[tokio::test]
    async fn who_comes_back_after_a_pause_does_not_get_all_that_it_missed() {
        let turns = Turns::new([1, 1]);
        for _ in 0..100 {
            turns.wait(0).await;
            turns.used(0);
        }
        let mut had = [0, 0];
        for _ in 0..20 {
            let first = tokio::select! {
                biased;
                () = turns.wait(1) => 1,
                () = turns.wait(0) => 0,
            };
            turns.used(first);
            had[first] += 1;
        }
        assert!(had[0] >= 9, "{had:?}");
    }

    #[tokio::test]
    async fn an_account_that_cannot_send_is_not_waited_for() {
        let turns = Turns::new([1, 1000]);
        for _ in 0..5 {
            turns.wait(0).await;
            turns.used(0);
        }
        drop(turns.queue());
    }
}
