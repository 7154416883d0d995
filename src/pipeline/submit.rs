//! The submit stage: planned jobs become requests. The only place from which a request that may be paid leaves.
//!
//! It never repeats a request by itself: what certainly made nothing goes back to the ledger with a due time, and what
//! is in doubt is the reconcile stage's. What would hardly end within the run's hours is not sent. Each account has a stage of its own; a slot is never held while there is nothing
//! to send.

mod ahead;
mod probe;
mod send;

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;
use tokio::sync::watch;
use tokio::task::JoinSet;

use crate::domain::{BatchId, ClientRef, FailureCause, Job, JobEvent, Money, Price};
use crate::gateway::{Limit, Pause, PauseReason};
use crate::ledger::RecordError;
use crate::pace::{Backoff, Limiter, Throttle};
use crate::sink::LendError;
use crate::store::{Account, Wanted};

use super::fleet::{LEAD as INTENT, Places};
use super::guard::Afford;
use super::lane::Lane;
use super::shared::{Shared, UNREACHABLE, joined};
use super::slots::OnTheWay;
use super::{Gate, Notice};

use self::ahead::slot;
use self::send::{Pace, pictures, send, tell_of_slots};

/// Waits after the remote's limits were met. Kling asks for at least a second at first.
const LIMITED: Backoff = Backoff { first: Duration::from_secs(1), most: Duration::from_secs(30) };
/// How long before the pace allows the next request its job is taken and its pictures are read.
const LEAD: Duration = Duration::from_millis(250);

/// Runs until the run stops; then waits for the requests that have left.
pub(super) async fn run(shared: Arc<Shared>, place: usize, account: Account) -> Result<(), RecordError> {
    let interval = shared.lanes[place].settings.interval;
    let mut stage = Stage {
        limiter: Limiter::new(interval, account.last_submit_at, &shared.clock),
        door: Arc::new(Limiter::new(interval, account.last_submit_at, &shared.clock)),
        places: shared.fleet().is_some().then(|| Arc::new(Places::new(&shared.lanes[place], &shared.clock))),
        ahead: VecDeque::new(),
        throttle: Throttle::default(),
        requests: JoinSet::new(),
        limited: 0,
        unlent: 0,
        not_before: Timestamp::MIN,
        gate: shared.gate.clone(),
        planned: shared.planned.subscribe(),
        reckoning: shared.lanes[place].slots.reckoning(),
        rows: false,
        shared,
        place,
    };
    stage.tell_of_probes();
    let outcome = stage.send_until_stopped().await;
    stage.put_back();
    while let Some(ended) = stage.requests.join_next().await {
        joined(ended).map_or(Ok(()), |sent| sent.outcome)?;
    }
    outcome
}

/// One submission, ended.
struct Sent {
    outcome: Result<(), RecordError>,
    limited: Option<Limited>,
}

/// The remote's limits, or nothing at all, stood in the way.
struct Limited {
    retry_after: Option<Duration>,
    words: String,
    limit: Limit,
}

/// What an account found to send.
enum Next {
    /// This, with its price.
    Job(Box<Job>, Money),
    /// Nothing before this instant, unless something happens.
    Nothing(Timestamp),
}

struct Stage {
    shared: Arc<Shared>,
    place: usize,
    limiter: Limiter,
    /// The same pace once more, past the intent: those that the disk made durable together do not leave together.
    door: Arc<Limiter>,
    /// Its places in the pace, where others keep the same.
    places: Option<Arc<Places>>,
    /// Jobs that were claimed together with the last one, each with its slot.
    ahead: VecDeque<Job>,
    throttle: Throttle,
    requests: JoinSet<Sent>,
    /// How often in a row the account's limits were met.
    limited: u32,
    /// How often in a row pictures could not be lent.
    unlent: u32,
    /// No request leaves sooner: the account's limits were met, or its pictures could not be lent.
    not_before: Timestamp,
    gate: watch::Receiver<Gate>,
    planned: watch::Receiver<u64>,
    reckoning: watch::Receiver<u64>,
    /// There was a row to send when that was last looked at.
    rows: bool,
}

impl Stage {
    async fn send_until_stopped(&mut self) -> Result<(), RecordError> {
        let shared = Arc::clone(&self.shared);
        let lane = &shared.lanes[self.place];
        loop {
            if let Some(allowed) = lane.slots.try_more(shared.now()) {
                tell_of_slots(&shared, lane, allowed, "one more is tried");
            }
            let mut until = self.not_before();
            let probe_at = self.next_probe(until);
            if until > shared.now() {
                self.put_back();
            } else {
                let has_slot = !self.ahead.is_empty();
                let way = tokio::select! {
                    biased;
                    () = shared.stop.cancelled() => return Ok(()),
                    Some(ended) = self.requests.join_next() => {
                        self.learn(ended)?;
                        continue;
                    }
                    changed = self.gate.changed() => if changed.is_err() { return Ok(()) } else { continue },
                    () = shared.clock.sleep_until(lane.slots.trial_at()) => continue,
                    way = slot(lane, has_slot) => way,
                    changed = self.reckoning.changed() => if changed.is_err() { return Ok(()) } else { continue },
                    () = shared.clock.sleep_until(probe_at) => {
                        let Some(way) = lane.slots.try_probe(shared.now()) else { continue };
                        way
                    }
                };
                let next = self.next_job().await?;
                self.rows = matches!(next, Next::Job(..));
                match next {
                    Next::Nothing(next_at) => {
                        lane.slots.give_back();
                        drop(way);
                        lane.set_probing(false);
                        until = next_at;
                    }
                    Next::Job(job, price) => {
                        let sent = tokio::select! {
                            biased;
                            () = shared.stop.cancelled() => false,
                            sent = self.prepare(&job, price, way) => sent?,
                        };
                        if !sent {
                            self.put_down(&job, price);
                        }
                        continue;
                    }
                }
            }
            tokio::select! {
                biased;
                () = shared.stop.cancelled() => return Ok(()),
                Some(ended) = self.requests.join_next() => self.learn(ended)?,
                changed = self.gate.changed() => if changed.is_err() { return Ok(()) },
                changed = self.planned.changed() => if changed.is_err() { return Ok(()) },
                () = shared.clock.sleep_until(until) => {}
            }
        }
    }

    fn lane(&self) -> &Lane {
        &self.shared.lanes[self.place]
    }

    /// When the account may send something, unless something happens: not before the run's hours, and never while the gate
    /// is closed or it is paused. A slot and a job are not held while the pace is waited for, but for a moment in which
    /// pictures are read.
    fn not_before(&self) -> Timestamp {
        let open = matches!(*self.gate.borrow(), Gate::Open(_)) && self.shared.is_submitting();
        let pace = self.limiter.next_at().checked_sub(LEAD).unwrap_or(Timestamp::MIN);
        let opens = self.shared.settings.shift.opens;
        if open && !self.lane().is_paused() { self.not_before.max(pace).max(opens) } else { Timestamp::MAX }
    }

    /// With a slot in hand: the next job that may be sent now, and its price, which is reserved.
    async fn next_job(&mut self) -> Result<Next, RecordError> {
        let next = self.find_job().await?;
        if matches!(next, Next::Nothing(_)) {
            self.put_back();
        }
        Ok(next)
    }

    async fn find_job(&mut self) -> Result<Next, RecordError> {
        let shared = Arc::clone(&self.shared);
        let lane = &shared.lanes[self.place];
        shared.turns.wait(self.place).await;
        loop {
            self.planned.mark_unchanged();
            let Gate::Open(batch) = *self.gate.borrow_and_update() else { return Ok(Next::Nothing(Timestamp::MAX)) };
            if lane.is_paused() || !shared.is_submitting() {
                return Ok(Next::Nothing(Timestamp::MAX));
            }
            let wanted = Wanted { account: lane.name().clone(), batch, closed: shared.guard.closed(self.place) };
            let store = shared.parts.ledger.store();
            let due = self.take(wanted).await?;
            let Some(job) = due.jobs.into_iter().next() else {
                return Ok(Next::Nothing(shared.look_by(due.next_at.unwrap_or(Timestamp::MAX))));
            };
            if !shared.is_in_time(lane) {
                store.release(job.id);
                self.tell_too_late();
                // Whatever ends sooner than expected makes itself heard.
                return Ok(Next::Nothing(Timestamp::MAX));
            }
            if !shared.guard.admit(lane.name(), &job, shared.now()) {
                store.release(job.id);
                self.put_back();
                continue;
            }
            shared.take_in_hand();
            let price = lane.settings.prices.price(&job.effect).amount;
            match self.afford(&job, batch, price).await? {
                Afford::Yes => {
                    shared.turns.used(self.place);
                    return Ok(Next::Job(Box::new(job), price));
                }
                Afford::NotNow => {
                    self.drop_from_hand(&job);
                    // Whatever is in hand makes itself heard.
                    return Ok(Next::Nothing(shared.look_by(Timestamp::MAX)));
                }
                Afford::No => {
                    self.drop_from_hand(&job);
                    self.put_back();
                    shared.guard.too_dear(self.place, &job);
                }
            }
        }
    }

    fn tell_too_late(&self) {
        let (shared, lane) = (&self.shared, self.lane());
        if lane.first_too_late() {
            let ends = shared.settings.shift.ends;
            shared.tell(Notice::TooLate { account: shared.called(lane), ends });
        }
    }

    async fn afford(&self, job: &Job, batch: Option<BatchId>, price: Money) -> Result<Afford, RecordError> {
        let typical = self.lane().settings.prices.typical();
        let store = self.shared.parts.ledger.store();
        Ok(self.shared.budget.afford(store, job.id, batch, price, typical).await?)
    }

    /// Gives up what was in hand for a job that was not sent.
    fn put_down(&self, job: &Job, price: Money) {
        self.shared.budget.settle(price);
        self.lane().slots.give_back();
        self.drop_from_hand(job);
        self.shared.look_again();
    }

    fn drop_from_hand(&self, job: &Job) {
        self.shared.guard.put_down(self.lane().name(), job);
        self.shared.parts.ledger.store().release(job.id);
        self.shared.out_of_hand();
    }

    /// Reads the pictures, lends them where they are lent, waits for the pace, and sends. `false` when the job was not sent.
    async fn prepare(&mut self, job: &Job, price: Money, way: OnTheWay) -> Result<bool, RecordError> {
        let shared = Arc::clone(&self.shared);
        let lane = &shared.lanes[self.place];
        let pictures = match pictures(job, lane.settings.lender.as_ref()).await {
            Ok(pictures) => pictures,
            Err(error) => {
                self.not_lent(job, error).await?;
                return Ok(false);
            }
        };
        self.unlent = 0;
        // What was learned meanwhile is heeded.
        let scene = (job.batch, job.effect.scene.clone());
        if lane.is_paused() || shared.guard.is_paused(&scene) || shared.now() < self.not_before {
            return Ok(false);
        }
        self.limiter.ready().await;
        let turn = match (&self.places, shared.fleet()) {
            (Some(places), Some(fleet)) => {
                let place = places.next(fleet, self.ahead.len()).await.map_err(RecordError::from)?;
                shared.clock.sleep_until(place.checked_sub(INTENT).unwrap_or(place)).await;
                Some((Arc::clone(places), place))
            }
            _ => None,
        };
        let stopped = !shared.is_submitting() || !shared.is_in_time(lane);
        if stopped || lane.is_paused() || shared.guard.is_paused(&scene) {
            return Ok(false);
        }
        let now = shared.now();
        let extra = self.throttle.extra(lane.settings.interval, now);
        if !extra.is_zero() {
            self.not_before = self.not_before.max(shared.after(extra));
        }
        let batch = shared.parts.trees.batch(job.batch).await?;
        let attempt = job.next_attempt();
        let started = JobEvent::SubmitStarted {
            attempt,
            client_ref: ClientRef::of_attempt(&batch.name, &job.key, &job.content, attempt),
            account: lane.name().clone(),
            price: Some(Price { amount: price, currency: lane.settings.prices.currency.clone() }),
        };
        let pace = Pace { door: Arc::clone(&self.door), turn };
        self.requests.spawn(send(Arc::clone(&shared), self.place, pace, way, (job.clone(), started), pictures));
        Ok(true)
    }

    /// A row's pictures could not be had, or not be lent: nothing was sent.
    async fn not_lent(&mut self, job: &Job, error: LendError) -> Result<(), RecordError> {
        match error {
            LendError::Picture(words) => {
                self.shared.record_own(job, JobEvent::Refused { cause: FailureCause::Input { words } }).await?;
            }
            LendError::Later(words) => {
                self.unlent = self.unlent.saturating_add(1);
                self.not_before = self.not_before.max(self.shared.after(UNREACHABLE.after(self.unlent)));
                self.shared.tell(Notice::PutOff { words, until: self.not_before });
            }
            LendError::Refused(words) => {
                self.shared.pause(self.lane(), &Pause { reason: PauseReason::Pictures, words });
            }
        }
        Ok(())
    }

    /// Takes the lesson of a request that ended.
    fn learn(&mut self, ended: Result<Sent, tokio::task::JoinError>) -> Result<(), RecordError> {
        let Some(sent) = joined(ended) else { return Ok(()) };
        sent.outcome?;
        match sent.limited {
            None => self.limited = 0,
            Some(limited) => self.hold_back(limited),
        }
        Ok(())
    }

    fn hold_back(&mut self, limited: Limited) {
        self.limited = self.limited.saturating_add(1);
        let wait = limited.retry_after.unwrap_or_default().max(LIMITED.after(self.limited));
        self.not_before = self.not_before.max(self.shared.after(wait));
        self.shared.tell(Notice::PutOff { words: limited.words, until: self.not_before });
        if limited.limit == Limit::Rate {
            let factor = self.throttle.refused(self.shared.now());
            let words = format!("requests came too fast for the remote: {factor:.1} times slower for a while");
            self.shared.tell(Notice::Adapted { account: self.shared.called(self.lane()), words });
        }
    }
}
