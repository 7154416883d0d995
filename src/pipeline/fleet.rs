//! What a run does that is one of several on its ledger: it looks again by itself for what others did, keeps pace with them, and
//! gives up what is not its own any more. A run that has its ledger to itself does none of this.

use std::collections::VecDeque;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use jiff::{SignedDuration, Timestamp};

use crate::domain::{AccountName, Job, JobEvent, State, TaskId};
use crate::ledger::RecordError;
use crate::pace::Clock;
use crate::store::{Fleet, Group, Left, Reserved, Room, StoreError};

use super::Notice;
use super::lane::Lane;
use super::shared::Shared;

/// How long what others did may go unnoticed.
pub(super) const LOOK: Duration = Duration::from_millis(500);
/// Between two looks at how all scenes stand: that walks more of the ledger.
const SCENES: Duration = Duration::from_secs(1);
/// Jobs that are claimed together, and places in the pace that are reserved together, are sent within this.
const AHEAD: Duration = Duration::from_millis(200);
/// And are no more than this.
const MOST_TOGETHER: u32 = 16;
/// How late a request may leave: later, it would come too close to the next one, whoever sends that.
const LATE: Duration = Duration::from_millis(20);
/// How much slower than allowed the common pace is, in hundredths: what is late by as much as may be is made up for in any
/// second.
const MARGIN_PERCENT: u32 = 3;
/// How much faster one clock may go than another: a second in so many.
const DRIFT: i32 = 10_000;
/// How long before its place in the pace a request's intent is recorded.
pub(super) const LEAD: Duration = Duration::from_millis(30);
/// How often, and after what wait, a task is brought to the ledger whose row others took for one in doubt meanwhile.
const BRINGS: u32 = 40;
const BRING_AGAIN: Duration = Duration::from_millis(500);

/// How far our clock is ahead of that of whoever keeps the pace, as far as answers tell: between these two, at that
/// instant.
#[derive(Debug, Default)]
struct Apart(Option<((SignedDuration, SignedDuration), Timestamp)>);

impl Apart {
    /// What a place that was asked for and told of at these instants of ours is by our clock.
    fn ours(&mut self, reserved: Reserved, asked: Timestamp, answered: Timestamp) -> Timestamp {
        let told = (asked.duration_since(reserved.now), answered.duration_since(reserved.now));
        let known = self.0.map_or(told, |((least, most), at)| {
            let drift = answered.duration_since(at).abs() / DRIFT;
            (told.0.max(least - drift), told.1.min(most + drift))
        });
        // One of the clocks was put forward or back: what was known is of no use.
        let known = if known.0 > known.1 { told } else { known };
        self.0 = Some((known, answered));
        let apart = known.0 + (known.1 - known.0) / 2;
        reserved.first.checked_add(apart).unwrap_or(Timestamp::MAX)
    }
}

/// Places that were reserved, and not used yet.
#[derive(Debug, Default)]
struct Ahead {
    places: VecDeque<Timestamp>,
    apart: Apart,
}

/// An account's places in the pace that all processes keep together.
#[derive(Debug)]
pub(super) struct Places {
    account: AccountName,
    interval: Duration,
    clock: Clock,
    ahead: tokio::sync::Mutex<Ahead>,
    /// How many requests wait for one.
    wanted: AtomicU32,
}

impl Places {
    pub(super) fn new(lane: &Lane, clock: &Clock) -> Self {
        let interval = lane.settings.interval + lane.settings.interval * MARGIN_PERCENT / 100;
        Self {
            account: lane.name().clone(),
            interval,
            clock: clock.clone(),
            ahead: tokio::sync::Mutex::default(),
            wanted: AtomicU32::new(0),
        }
    }

    /// How many requests are prepared together: one, unless they follow each other closely.
    pub(super) fn together(&self) -> u32 {
        let fit = AHEAD.as_nanos() / self.interval.as_nanos().max(1);
        u32::try_from(fit).unwrap_or(MOST_TOGETHER).clamp(1, MOST_TOGETHER)
    }

    /// The next place that has not passed; `more` will be wanted at once. No more are reserved than are: others go without
    /// those that are not used.
    pub(super) async fn next(&self, fleet: &dyn Fleet, more: usize) -> Result<Timestamp, StoreError> {
        self.wanted.fetch_add(1, Ordering::Relaxed);
        let place = self.first_of(fleet, u32::try_from(more).unwrap_or(u32::MAX)).await;
        self.wanted.fetch_sub(1, Ordering::Relaxed);
        place
    }

    async fn first_of(&self, fleet: &dyn Fleet, more: u32) -> Result<Timestamp, StoreError> {
        let mut ahead = self.ahead.lock().await;
        let mut least = 1;
        loop {
            while let Some(place) = ahead.places.pop_front() {
                if !self.has_passed(place) {
                    return Ok(place);
                }
            }
            let wanted = self.wanted.load(Ordering::Relaxed).saturating_add(more).clamp(1, self.together()).max(least);
            let asked = self.clock.now();
            let reserved = fleet.reserve(self.account.clone(), self.interval, wanted).await?;
            let first = ahead.apart.ours(reserved, asked, self.clock.now());
            ahead.places.extend((0..wanted).map(|n| first.checked_add(self.interval * n).unwrap_or(Timestamp::MAX)));
            // Where all of them have passed before they are told of, more reach further.
            least = wanted.saturating_mul(2);
        }
    }

    /// Waits for a place, and for a later one where it was missed.
    pub(super) async fn wait(&self, fleet: &dyn Fleet, mut place: Timestamp) -> Result<(), StoreError> {
        loop {
            self.clock.sleep_until(place).await;
            if !self.has_passed(place) {
                return Ok(());
            }
            place = self.next(fleet, 0).await?;
        }
    }

    fn has_passed(&self, place: Timestamp) -> bool {
        self.clock.now() > place.checked_add(LATE).unwrap_or(Timestamp::MAX)
    }
}

/// When the scenes were last looked at.
#[derive(Debug)]
pub(super) struct Looked(Timestamp);

impl Default for Looked {
    fn default() -> Self {
        Self(Timestamp::MIN)
    }
}

impl Shared {
    /// What is kept together with other processes, where there may be any.
    pub(super) fn fleet(&self) -> Option<&dyn Fleet> {
        self.parts.ledger.store().fleet()
    }

    /// When a stage that would look again at `next_at` does: others do not wake it.
    pub(super) fn look_by(&self, next_at: Timestamp) -> Timestamp {
        if self.fleet().is_some() { next_at.min(self.after(LOOK)) } else { next_at }
    }

    /// The slots that an account may use, and with whom it shares them.
    pub(super) fn room(&self, lane: &Lane) -> Room {
        let of_pool = self.lanes.iter().filter(|other| Arc::ptr_eq(&other.slots, &lane.slots));
        Room { accounts: of_pool.map(|other| other.name().clone()).collect(), most: lane.slots.standing().1 }
    }

    /// Records an event of a job that this process had taken; `None` where the job is not its own any more, and whatever is
    /// done with it is done by others.
    pub(super) async fn record_own(&self, job: &Job, event: JobEvent) -> Result<Option<Job>, RecordError> {
        match self.record(job, event).await {
            Ok(next) => Ok(Some(next)),
            Err(RecordError::Store(StoreError::Conflict { .. })) if self.fleet().is_some() => {
                tracing::info!(row = %job.label, "another process has the row now");
                self.parts.ledger.store().release(job.id);
                self.look_again();
                Ok(None)
            }
            Err(failed) => Err(failed),
        }
    }

    /// A request was answered with a task, and others had taken its row for one in doubt: what is known of it is not lost.
    pub(super) async fn bring(&self, sent: &Job, task: TaskId) -> Result<(), RecordError> {
        let of_attempt = |job: &Job| job.attempt.as_ref().map(|attempt| attempt.client_ref.clone());
        for _ in 0..BRINGS {
            let Some(job) = self.parts.ledger.store().job(sent.id).await? else { return Ok(()) };
            let is_open = matches!(job.state, State::Submitting | State::InDoubt { .. } | State::Held { .. });
            if !is_open || of_attempt(&job) != of_attempt(sent) {
                return Ok(());
            }
            if job.state != State::Submitting
                && self.record_own(&job, JobEvent::Found { task: task.clone() }).await?.is_some()
            {
                return Ok(());
            }
            self.clock.sleep(BRING_AGAIN).await;
        }
        let words = format!("{}: the remote made task {task}, and others are settling the row", sent.label);
        self.tell(Notice::Odd { words });
        Ok(())
    }

    /// Takes note of what others did: which slots are in use, which scenes are made and under way. Gives how many rows are in
    /// hand anywhere, and not sent yet: what becomes of them may leave something to do.
    pub(super) async fn keep_up(&self, left: &Left, looked: &mut Looked) -> Result<u64, RecordError> {
        let Some(fleet) = self.fleet() else { return Ok(0) };
        let store = self.parts.ledger.store();
        let names: Vec<AccountName> = self.lanes.iter().map(|lane| lane.name().clone()).collect();
        let claimed = fleet.claimed(names).await?;
        let of = |lane: &Lane| -> Vec<Group> {
            claimed.iter().filter(|group| group.sender.as_ref() == Some(lane.name())).cloned().collect()
        };
        for lane in &self.lanes {
            let in_pool = self.lanes.iter().zip(&left.at_remote);
            let in_pool = in_pool.filter(|(other, _)| Arc::ptr_eq(&other.slots, &lane.slots));
            let used: u64 =
                in_pool.map(|(lane, open)| open + of(lane).iter().map(|group| group.jobs).sum::<u64>()).sum();
            lane.slots.recount(usize::try_from(used).unwrap_or(usize::MAX));
        }
        let in_hand = claimed.iter().map(|group| group.jobs).sum();
        if self.now() < looked.0 {
            return Ok(in_hand);
        }
        looked.0 = self.after(SCENES);
        let made = store.groups(None).await?;
        let mut running: Vec<(AccountName, Vec<Group>)> = Vec::new();
        for lane in &self.lanes {
            let mut groups = store.open_groups(lane.name().clone()).await?;
            groups.extend(of(lane));
            running.push((lane.name().clone(), groups));
        }
        if self.guard.recount(&made, &running) {
            self.look_again();
        }
        Ok(in_hand)
    }
}

#[cfg(test)]
mod tests {
    use futures::FutureExt;
    use futures::future::BoxFuture;
    use tokio::sync::watch;

    use super::*;
    use crate::domain::JobId;
    use crate::store::{Claim, Wanted, Weighed, Weight};

    /// Keeps a pace, on a clock that is an hour behind, and is asked over a line of which nobody knows how long it takes.
    #[derive(Debug)]
    struct Far {
        clock: Clock,
        next: std::sync::Mutex<Timestamp>,
        random: std::sync::Mutex<fastrand::Rng>,
        slow: Duration,
    }

    impl Far {
        fn line(&self) -> Duration {
            self.slow.mul_f64(self.random.lock().unwrap().f64())
        }
    }

    impl Fleet for Far {
        fn claim(&self, _: Wanted, _: Room, _: Timestamp, _: usize) -> BoxFuture<'_, Result<Claim, StoreError>> {
            unreachable!("only places are asked for")
        }

        fn afford(&self, _: JobId, _: Weighed) -> BoxFuture<'_, Result<Weight, StoreError>> {
            unreachable!("only places are asked for")
        }

        fn reserve(&self, _: AccountName, each: Duration, n: u32) -> BoxFuture<'_, Result<Reserved, StoreError>> {
            async move {
                self.clock.sleep(self.line()).await;
                let reserved = {
                    let now = self.clock.now() - Duration::from_secs(3600);
                    let mut next = self.next.lock().unwrap();
                    let first = now.max(*next);
                    *next = first + each * n;
                    Reserved { first, now }
                };
                self.clock.sleep(self.line()).await;
                Ok(reserved)
            }
            .boxed()
        }

        fn claimed(&self, _: Vec<AccountName>) -> BoxFuture<'_, Result<Vec<Group>, StoreError>> {
            unreachable!("only places are asked for")
        }

        fn is_ours(&self) -> bool {
            true
        }

        fn news(&self) -> watch::Receiver<u64> {
            unreachable!("only places are asked for")
        }
    }

    /// What leaves, by four processes, over lines that take up to `slow`.
    async fn leaves(allowed: u32, slow: Duration) -> Vec<Timestamp> {
        let clock = Clock::starting_at(Timestamp::UNIX_EPOCH);
        let (next, random) = (Timestamp::MIN, fastrand::Rng::with_seed(3));
        let far = Arc::new(Far { clock: clock.clone(), next: next.into(), random: random.into(), slow });
        let interval = Duration::from_secs(1) / allowed;
        let left: Arc<std::sync::Mutex<Vec<Timestamp>>> = Arc::default();
        let processes = (0..4).map(|seed| {
            let (far, left, clock) = (Arc::clone(&far), Arc::clone(&left), clock.clone());
            let places = Places {
                account: AccountName::new("main").unwrap(),
                interval: interval + interval * MARGIN_PERCENT / 100,
                clock: clock.clone(),
                ahead: tokio::sync::Mutex::default(),
                wanted: AtomicU32::new(0),
            };
            tokio::spawn(async move {
                let mut random = fastrand::Rng::with_seed(seed);
                for _ in 0..300 {
                    clock.sleep(Duration::from_millis(random.u64(0..40))).await;
                    let place = places.next(&*far, 2).await.unwrap();
                    places.wait(&*far, place).await.unwrap();
                    left.lock().unwrap().push(clock.now());
                }
            })
        });
        for process in processes.collect::<Vec<_>>() {
            process.await.unwrap();
        }
        Arc::into_inner(left).unwrap().into_inner().unwrap()
    }

    #[tokio::test(start_paused = true)]
    async fn no_second_sees_more_than_its_rate_though_places_are_told_of_late() {
        for (allowed, slow) in [(16, 1), (16, 60), (100, 1), (100, 60)] {
            let left = leaves(allowed, Duration::from_millis(slow)).await;
            assert_eq!(left.len(), 1200);
            for (i, first) in left.iter().enumerate() {
                let within = left[i..].iter().filter(|at| at.duration_since(*first).as_secs_f64() < 1.0).count();
                assert!(within <= allowed as usize, "{within} in one second of {allowed}, lines of {slow} ms");
            }
        }
    }
}
