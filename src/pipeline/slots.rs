//! The parallel generations of an account, or of several that share them. A slot is taken before the intent to submit and
//! given back when the task has ended or certainly does not exist; jobs that were running when the run began hold theirs
//! from the start.
//!
//! The number that is set is an upper bound: where the remote refuses sooner (others use the account, or it allows less),
//! fewer are used, and one more is tried from time to time.
//!
//! Where it is the account's own number, a request beyond it is a *probe*: taken, it tells that a task has ended which
//! nobody saw end yet; refused, that all of them run. What is known so is kept here.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use jiff::Timestamp;
use tokio::sync::{Notify, watch};

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
    /// Counts up whenever it may have become another question when the next probe is due.
    reckoned: watch::Sender<u64>,
}

#[derive(Debug)]
struct Count {
    used: usize,
    /// How many of those have ended, as probes told, and were not seen to.
    ended: usize,
    /// How many the remote is thought to allow, at most the limit.
    allowed: usize,
    /// When one more is tried.
    trial_at: Timestamp,
    trial_after: Duration,
    /// The last change was a trial.
    trying: bool,
    /// Requests on their way that have a slot.
    on_the_way: usize,
    known: Known,
    /// When the last probe was sent.
    probed_at: Timestamp,
    /// No probe is sent sooner: the remote asked for a pause.
    no_probe_before: Timestamp,
}

/// What the last probe that was answered told of the remote.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Known {
    /// When it was sent.
    pub(super) at: Timestamp,
    /// How many tasks had ended then that were not seen to, certainly.
    pub(super) ended: usize,
    /// How many more had ended, probably.
    pub(super) more: f64,
}

/// What a probe came to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Probed {
    /// The remote took it: a task had ended.
    Taken,
    /// All run. The remote may have asked for a pause.
    Refused(Option<Duration>),
}

/// A request with a slot, until it is answered or given up. The slot itself is given back elsewhere.
#[derive(Debug)]
pub(super) struct OnTheWay {
    slots: Arc<Slots>,
    /// Whether it goes beyond the slots that are counted.
    pub(super) is_probe: bool,
}

impl Drop for OnTheWay {
    fn drop(&mut self) {
        self.slots.count().on_the_way -= 1;
        self.slots.reckon();
    }
}

impl Slots {
    /// All of `limit` slots are free.
    pub(super) fn new(limit: usize) -> Self {
        let count = Count {
            used: 0,
            ended: 0,
            allowed: limit,
            trial_at: Timestamp::MAX,
            trial_after: FIRST_TRIAL,
            trying: false,
            on_the_way: 0,
            known: Known { at: Timestamp::MIN, ended: 0, more: 0.0 },
            probed_at: Timestamp::MIN,
            no_probe_before: Timestamp::MIN,
        };
        Self { limit, count: Mutex::new(count), freed: Notify::new(), reckoned: watch::Sender::new(0) }
    }

    /// Counts `jobs` that run already; that may be more than the limit, when it was lowered.
    pub(super) fn occupy(&self, jobs: usize) {
        self.count().used += jobs;
    }

    /// Several processes share the slots, and so many are in use, by all of them: what was counted here is put right.
    pub(super) fn recount(&self, used: usize) {
        let mut count = self.count();
        let freed = count.used > used;
        count.used = used;
        drop(count);
        if freed {
            self.freed.notify_one();
        }
    }

    /// Waits for a slot and takes it.
    pub(super) async fn take(self: &Arc<Self>) -> OnTheWay {
        loop {
            let freed = self.freed.notified();
            if self.try_take() {
                return OnTheWay { slots: Arc::clone(self), is_probe: false };
            }
            freed.await;
        }
    }

    /// A request whose slot is counted already.
    pub(super) fn on_the_way(self: &Arc<Self>) -> OnTheWay {
        self.count().on_the_way += 1;
        OnTheWay { slots: Arc::clone(self), is_probe: false }
    }

    /// Takes a slot beyond those that are counted, where a probe may be sent.
    pub(super) fn try_probe(self: &Arc<Self>, now: Timestamp) -> Option<OnTheWay> {
        let mut count = self.count();
        if !count.may_be_probed(self.limit) {
            return None;
        }
        count.used += 1;
        count.on_the_way += 1;
        count.probed_at = now;
        drop(count);
        Some(OnTheWay { slots: Arc::clone(self), is_probe: true })
    }

    /// Gives one slot back: nothing ran in it.
    pub(super) fn give_back(&self) {
        let mut count = self.count();
        count.used = count.used.saturating_sub(1);
        self.freed.notify_one();
    }

    /// Gives one slot back: its task was seen to have ended. While others are known to have, it is taken for one of them.
    pub(super) fn saw_end(&self) {
        self.count().ended_is_seen();
        self.give_back();
    }

    /// The remote refused a request because too many run; its own slot is still counted. Gives the number that is used
    /// from now on, when that is news.
    pub(super) fn refused(&self, now: Timestamp) -> Option<usize> {
        let mut count = self.count();
        let running = count.running().saturating_sub(1).max(1);
        let lower = running < count.allowed;
        if count.trying {
            count.trial_after = (count.trial_after * 2).min(LAST_TRIAL);
        }
        count.trying = false;
        count.allowed = count.allowed.min(running);
        count.trial_at = now.checked_add(count.trial_after).unwrap_or(Timestamp::MAX);
        lower.then_some(count.allowed)
    }

    /// Takes the lesson of a probe that was sent at `sent_at`, when `more` tasks had probably ended unseen; its own slot
    /// is still counted.
    pub(super) fn probed(&self, probed: Probed, sent_at: Timestamp, more: f64) {
        let mut count = self.count();
        let more = match probed {
            Probed::Taken => {
                // Where a slot was seen to come free meanwhile, that is the one.
                if count.running() > count.allowed {
                    count.ended += 1;
                }
                // Of a Poisson number that is at least one, what is left.
                if more > 1e-3 { more / (1.0 - (-more).exp()) - 1.0 } else { more / 2.0 }
            }
            Probed::Refused(pause) => {
                let until = sent_at.checked_add(pause.unwrap_or_default()).unwrap_or(Timestamp::MAX);
                count.no_probe_before = count.no_probe_before.max(until);
                0.0
            }
        };
        count.known = Known { at: sent_at, ended: count.ended, more };
        drop(count);
        self.reckon();
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
        (count.running(), count.allowed)
    }

    /// The most that may run, as it was set.
    pub(super) const fn limit(&self) -> usize {
        self.limit
    }

    /// Whether all that are set are in use, as far as is known, and the remote is not known to allow fewer.
    pub(super) fn are_all_used(&self) -> bool {
        let count = self.count();
        count.allowed == self.limit && count.running() >= count.allowed
    }

    /// Whether the remote is thought to allow fewer than are set.
    pub(super) fn are_fewer(&self) -> bool {
        self.count().allowed < self.limit
    }

    /// When the next probe may be sent at the soonest, two being `apart` at least; `None` where none may be now.
    pub(super) fn probe_from(&self, apart: Duration) -> Option<Timestamp> {
        let count = self.count();
        let from = count.probed_at.checked_add(apart).unwrap_or(Timestamp::MAX).max(count.no_probe_before);
        count.may_be_probed(self.limit).then_some(from)
    }

    /// What is known by the last probe, with what has been seen since.
    pub(super) fn known(&self) -> Known {
        let count = self.count();
        Known { ended: count.ended, ..count.known }
    }

    /// Whether so many tasks have ended unseen that no probe is sent before one of them is seen.
    pub(super) fn is_blind(&self) -> bool {
        self.count().ended >= self.limit
    }

    /// Tells when it may have become another question when the next probe is due.
    pub(super) fn reckoning(&self) -> watch::Receiver<u64> {
        self.reckoned.subscribe()
    }

    /// It may have become another question when the next probe is due.
    pub(super) fn reckon(&self) {
        self.reckoned.send_modify(|count| *count = count.wrapping_add(1));
    }

    fn try_take(&self) -> bool {
        let mut count = self.count();
        let free = count.running() < count.allowed;
        if free {
            count.used += 1;
            count.on_the_way += 1;
        }
        free
    }

    fn count(&self) -> MutexGuard<'_, Count> {
        self.count.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Count {
    /// How many run, as far as is known.
    const fn running(&self) -> usize {
        self.used.saturating_sub(self.ended)
    }

    const fn ended_is_seen(&mut self) {
        self.ended = self.ended.saturating_sub(1);
    }

    /// Whether a refusal would say that all run, and nothing else: as many as are set, and nothing on its way. Of what is
    /// known to have ended, at most as many as are set are left unseen.
    const fn may_be_probed(&self, limit: usize) -> bool {
        self.on_the_way == 0 && self.allowed == limit && self.running() == limit && self.ended < limit
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(seconds: i64) -> Timestamp {
        Timestamp::from_second(seconds).unwrap()
    }

    /// Slots of which `used` run.
    fn used(limit: usize, used: usize) -> Arc<Slots> {
        let slots = Arc::new(Slots::new(limit));
        slots.occupy(used);
        slots
    }

    #[test]
    fn jobs_that_still_run_keep_their_slots_after_a_restart() {
        let slots = used(2, 3);
        assert!(!slots.try_take());
        slots.give_back();
        assert!(!slots.try_take(), "two still run");
        slots.give_back();
        assert!(slots.try_take());
        assert!(!slots.try_take());
    }

    #[test]
    fn a_refusal_steps_down_and_time_steps_up_again() {
        let slots = used(5, 5);
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

    #[test]
    fn a_probe_goes_beyond_the_limit_alone_and_only_where_all_are_used() {
        let slots = used(3, 2);
        assert!(slots.try_probe(at(0)).is_none(), "a slot is free");
        slots.occupy(1);
        let probe = slots.try_probe(at(1)).unwrap();
        assert!(probe.is_probe && slots.try_probe(at(2)).is_none() && !slots.try_take(), "one at a time");
        slots.probed(Probed::Refused(None), at(1), 0.4);
        slots.give_back();
        drop(probe);
        assert_eq!(slots.known(), Known { at: at(1), ended: 0, more: 0.0 });
        assert_eq!(slots.standing(), (3, 3), "a refusal that was expected takes no slot away");
        assert!(!slots.try_take() && !slots.are_fewer());
        assert_eq!(slots.probe_from(Duration::from_secs(5)), Some(at(6)));
        // Asked for a pause, it keeps it.
        let probe = slots.try_probe(at(6)).unwrap();
        slots.probed(Probed::Refused(Some(Duration::from_secs(60))), at(6), 0.4);
        slots.give_back();
        drop(probe);
        assert_eq!(slots.probe_from(Duration::from_secs(5)), Some(at(66)));
    }

    #[test]
    fn what_probes_told_of_is_counted_until_it_is_seen() {
        let slots = used(2, 2);
        for ended in 1..=2 {
            let probe = slots.try_probe(at(ended)).unwrap();
            slots.probed(Probed::Taken, at(ended), 0.5);
            drop(probe);
        }
        let known = slots.known();
        assert_eq!((known.ended, slots.standing(), slots.is_blind()), (2, (2, 2), true));
        assert!(known.more > 0.25 && known.more < 0.3, "{known:?}");
        assert!(slots.try_probe(at(9)).is_none(), "as many as are set are not seen: one must be, first");
        slots.saw_end();
        assert!(!slots.try_take(), "that one was replaced already");
        assert!(slots.try_probe(at(10)).is_some_and(|probe| probe.is_probe));
    }

    #[test]
    fn an_end_that_is_seen_while_a_probe_is_out_is_the_one_that_it_told_of() {
        let slots = used(2, 2);
        let probe = slots.try_probe(at(1)).unwrap();
        slots.saw_end();
        slots.probed(Probed::Taken, at(1), 0.5);
        drop(probe);
        assert_eq!((slots.known().ended, slots.standing()), (0, (2, 2)));
        // A probe in doubt holds a slot like any other, and no further one is sent until an end is seen.
        drop(slots.try_probe(at(5)).unwrap());
        assert!(slots.standing() == (3, 2) && slots.try_probe(at(9)).is_none());
        slots.saw_end();
        assert!(slots.try_probe(at(9)).is_some());
    }

    #[test]
    fn nothing_is_probed_where_fewer_are_allowed_than_are_set_or_a_request_is_on_its_way() {
        let slots = used(3, 3);
        slots.refused(at(0));
        slots.give_back();
        assert!(slots.are_fewer() && slots.try_probe(at(1)).is_none());
        let slots = used(3, 2);
        assert!(slots.try_take());
        let request = OnTheWay { slots: Arc::clone(&slots), is_probe: false };
        assert!(slots.try_probe(at(1)).is_none(), "the remote could take the probe and refuse the request");
        drop(request);
        assert!(slots.try_probe(at(1)).is_some());
    }
}
