//! One run: starts the stages, decides when nothing is left to do, and ends them in order.

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use tokio::sync::{Notify, broadcast, watch};
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

use crate::domain::{Doubt, Effect, ImageSource, Images, JobEvent, Price, State, StateCode};
use crate::ledger::RecordError;
use crate::pace::Expectation;
use crate::store::{Account, Fleet, Group, Left};

use super::control::Submitting;
use super::fleet::{LOOK as TOGETHER, Looked};
use super::guard::{Budget, Guard};
use super::lane::{Lane, LaneSettings};
use super::shared::{Shared, joined};
use super::slots::Slots;
use super::standing::Standing;
use super::turns::Turns;
use super::{Control, Ended, Ends, Gate, KeptBy, LeftBehind, Notice, Outcome, Parts, Settings, Stages};
use super::{collect, reconcile, submit, watch as watching};

/// How many notices a slow listener may lag behind before it loses the oldest.
const NOTICES: usize = 1024;
/// Ended tasks that the expectation starts with.
const REMEMBERED: usize = 256;
/// How long paid requests in flight may still take after the signal to stop. A run ends within ten seconds of it.
const GRACE: Duration = Duration::from_secs(8);
/// How often the counts are told, and whether all is done is looked at, when nothing happens.
const LOOK: Duration = Duration::from_millis(500);
/// The shortest span between two looks at whether all is done.
const BREATH: Duration = Duration::from_millis(20);

/// A run, ready to start.
#[derive(Debug)]
pub struct Pipeline {
    shared: Arc<Shared>,
    accounts: Vec<Account>,
    looked: watch::Receiver<Gate>,
}

impl Pipeline {
    /// Prepares a run: remembers the accounts, counts what still runs, settles what an earlier run left open.
    pub async fn prepare(parts: Parts, settings: Settings, gate: Gate) -> Result<(Self, Control), RecordError> {
        let store = parts.ledger.store();
        let mut accounts = Vec::new();
        let mut lanes = Vec::new();
        let mut pools = pools(&settings.lanes);
        for wanted in &settings.lanes {
            accounts.push(store.open_account(wanted.account.clone()).await?);
            let name = wanted.account.name.clone();
            let recent = store.recent_durations(name.clone(), REMEMBERED).await?;
            let pool = wanted.pool.as_ref().and_then(|pool| pools.get_mut(pool.as_str()));
            let slots = pool.map_or_else(|| Arc::new(Slots::new(wanted.in_flight)), |slots| Arc::clone(slots));
            let open = store.open_of(name).await?;
            slots.occupy(usize::try_from(open.submitting + open.waiting).unwrap_or(usize::MAX));
            lanes.push(Lane::new(wanted.clone(), slots, Expectation::from_recent(recent), store.fleet().is_some()));
        }
        let guard = Guard::new(settings.caution);
        guard.count_made(&store.groups(None).await?);
        for lane in &lanes {
            guard.count_running(lane.name(), &store.open_groups(lane.name().clone()).await?);
        }
        let (gate_sender, gate) = watch::channel(gate);
        let (notices, _) = broadcast::channel(NOTICES);
        let stop = CancellationToken::new();
        let submitting = watch::Sender::new(Submitting::On);
        let shared = Arc::new(Shared {
            clock: parts.ledger.clock().clone(),
            guard,
            budget: Budget::new(settings.budget.clone()),
            turns: Turns::new(settings.lanes.iter().map(|lane| lane.weight)),
            lanes,
            stop: stop.clone(),
            gate: gate.clone(),
            submitting: submitting.clone(),
            sink_stopped: watch::Sender::new(None),
            in_hand: AtomicUsize::new(0),
            planned: watch::Sender::new(0),
            ready: Notify::new(),
            progress: Notify::new(),
            notices: notices.clone(),
            parts,
            settings,
        });
        for lane in &shared.lanes {
            recover(&shared, lane).await?;
            revive(&shared, lane).await?;
            reconcile::keep_slots(&shared, lane).await?;
        }
        let control = Control { gate: gate_sender, submitting, stop, notices, shared: Arc::downgrade(&shared) };
        Ok((Self { shared, accounts, looked: gate }, control))
    }

    /// Runs until nothing is left that could be done, or until it is told to stop.
    pub async fn run(self) -> Result<Outcome, RecordError> {
        let Self { shared, accounts, looked } = self;
        let mut stages = JoinSet::new();
        let wanted = shared.settings.stages;
        if wanted != Stages::Collect {
            for (place, account) in accounts.into_iter().enumerate() {
                stages.spawn(submit::run(Arc::clone(&shared), place, account));
                stages.spawn(reconcile::run(Arc::clone(&shared), place));
                stages.spawn(watching::run(Arc::clone(&shared), place));
            }
        }
        if wanted != Stages::SubmitAndWatch {
            stages.spawn(collect::run(Arc::clone(&shared)));
        }
        // A stage ends by itself only when the ledger failed it.
        let outcome = tokio::select! {
            idle = until_idle(&shared, looked.clone()) => idle,
            Some(ended) = stages.join_next() => joined(ended).unwrap_or(Ok(())),
        };
        let told_to_stop = shared.stop.is_cancelled();
        let time_up = shared.now() >= shared.settings.shift.ends;
        shared.stop.cancel();
        let drained = shared.clock.within(GRACE, async {
            let mut first = Ok(());
            while let Some(ended) = stages.join_next().await {
                first = first.and(joined(ended).unwrap_or(Ok(())));
            }
            first
        });
        // What has not ended by then is cut off: its intent is in the ledger, and the next run asks for it.
        let drained = drained.await.unwrap_or(Ok(()));
        stages.shutdown().await;
        outcome.and(drained)?;
        let stopped = shared.sink_stopped.borrow().clone();
        let ended = match stopped {
            Some(words) => Ended::SinkStopped(words),
            None if told_to_stop => Ended::Interrupted,
            None if time_up => Ended::TimeUp,
            None => Ended::Finished,
        };
        let gate = *looked.borrow();
        let mut outcome = outcome_of(&shared, ended, gate).await?;
        let drained = *shared.submitting.borrow() == Submitting::Drained;
        if outcome.ended == Ended::Finished && drained && !outcome.left.is_empty() {
            outcome.ended = Ended::Drained;
        }
        Ok(outcome)
    }
}

/// The slots of each pool: as many as the account of it that is set to the fewest.
fn pools(lanes: &[LaneSettings]) -> HashMap<&str, Arc<Slots>> {
    let mut fewest: HashMap<&str, usize> = HashMap::new();
    for lane in lanes {
        if let Some(pool) = &lane.pool {
            let limit = fewest.entry(pool).or_insert(lane.in_flight);
            *limit = (*limit).min(lane.in_flight);
        }
    }
    fewest.into_iter().map(|(pool, limit)| (pool, Arc::new(Slots::new(limit)))).collect()
}

/// What is to be told of a run that ended.
async fn outcome_of(shared: &Shared, ended: Ended, gate: Gate) -> Result<Outcome, RecordError> {
    let store = shared.parts.ledger.store();
    let pauses = shared.lanes.iter().filter_map(|lane| Some((lane.name().clone(), lane.pause.borrow().clone()?)));
    let closed = shared.guard.paused();
    let dear = shared.guard.has_dear();
    let too_late = shared.lanes.iter().any(|lane| !lane.is_paused() && !shared.is_in_time(lane));
    let mut left: Vec<LeftBehind> = Vec::new();
    // Only a run that could send leaves anything behind.
    let sends = shared.settings.stages != Stages::Collect;
    let groups = if let (Gate::Open(batch), true) = (gate, sends) { store.groups(batch).await? } else { Vec::new() };
    for group in groups.into_iter().filter(|group| group.state == StateCode::Planned) {
        let scene = (group.batch, group.scene.clone());
        let kept_by = match closed.iter().find(|closed| closed.scene == scene) {
            Some(closed) => KeptBy::Scene(closed.words.clone()),
            None if dear => KeptBy::Budget,
            None if too_late => KeptBy::Hours,
            None => KeptBy::Accounts,
        };
        let worth = worth(shared, &group);
        match left.iter_mut().find(|known| known.scene == group.scene && known.kept_by == kept_by) {
            Some(known) => {
                known.rows += group.jobs;
                known.worth.amount += worth.amount;
            }
            None => left.push(LeftBehind { scene: group.scene, kept_by, rows: group.jobs, worth }),
        }
    }
    Ok(Outcome { ended, pauses: pauses.collect(), left, waited: shared.guard.waited() })
}

/// What the rows of a group would probably cost.
fn worth(shared: &Shared, group: &Group) -> Price {
    let images = Images::One(ImageSource::Url(String::new()));
    let effect = Effect { scene: group.scene.clone(), images, duration: None, model: None, mode: None };
    let prices = &shared.lanes[0].settings.prices;
    Price { amount: prices.price(&effect).amount * group.jobs, currency: prices.currency.clone() }
}

/// Ends when nothing is left that could be done, the run was told to stop, or its hours are over.
async fn until_idle(shared: &Shared, mut gate: watch::Receiver<Gate>) -> Result<(), RecordError> {
    let store = shared.parts.ledger.store();
    let names: Vec<_> = shared.lanes.iter().map(|lane| lane.name().clone()).collect();
    let mut told = None;
    // What was learned of an end may come a moment after the end itself: idle is what is idle twice.
    let mut idle_before = false;
    let mut told_to_wait = false;
    let shift = shared.settings.shift;
    let mut looked = Looked::default();
    // Others say little of what they did: looking more often would only keep the database busy.
    let breath = if shared.fleet().is_some() { TOGETHER / 2 } else { BREATH };
    let mut news = shared.fleet().map(Fleet::news);
    loop {
        if shared.stop.is_cancelled() {
            return Ok(());
        }
        if shared.now() >= shift.ends {
            shared.tell(Notice::TimeUp);
            return Ok(());
        }
        let standing = *gate.borrow_and_update();
        let batch = if let Gate::Open(batch) = standing { batch } else { None };
        let now = shared.now();
        if told.is_none_or(|at| now >= at) {
            told = Some(shared.after(LOOK));
            shared.tell(Notice::Counted(Box::new(Standing::of(shared, batch).await?)));
        }
        let left = store.left(names.clone(), batch).await?;
        let in_hand = shared.keep_up(&left, &mut looked).await?;
        let waits_for_them = in_hand > 0 && shared.settings.stages != Stages::Collect;
        let idle = is_idle(shared, standing, &left) && !waits_for_them;
        let waits = now < shift.opens && matches!(standing, Gate::Open(_)) && !left.planned.is_empty();
        if waits && !idle && !std::mem::replace(&mut told_to_wait, true) {
            shared.tell(Notice::NotYet { until: shift.opens });
        }
        // One look is the last, also of a run that waits for more.
        let ends = shared.settings.ends == Ends::WhenIdle || standing == Gate::OneLook;
        if idle && idle_before && ends {
            return Ok(());
        }
        if idle && !idle_before {
            // Scenes may only seem to be closed, by rows of others that have ended since: they are counted again first.
            looked = Looked::default();
        }
        idle_before = idle;
        shared.clock.sleep(breath).await;
        if idle && ends {
            continue;
        }
        tokio::select! {
            () = shared.stop.cancelled() => {}
            () = shared.progress.notified() => {}
            () = changed(news.as_mut()) => shared.look_again(),
            changed = gate.changed() => if changed.is_err() { shared.clock.sleep(LOOK).await },
            () = shared.clock.sleep(LOOK) => {}
            () = shared.clock.sleep_until(shift.ends) => {}
        }
    }
}

/// Ends when another process says that there may be something to do; never where there is none.
async fn changed(news: Option<&mut watch::Receiver<u64>>) {
    let heard = match news {
        Some(news) => news.changed().await.is_ok(),
        None => false,
    };
    if !heard {
        std::future::pending::<()>().await;
    }
}

/// Whether nothing is left that could be done. `left` is of one instant: a job on its way from one state to the next is
/// never missed.
fn is_idle(shared: &Shared, gate: Gate, left: &Left) -> bool {
    let lanes = || shared.lanes.iter().zip(&left.at_remote);
    let at_remote: u64 = lanes().filter(|(lane, _)| !lane.is_denied()).map(|(_, open)| open).sum();
    // What it leaves to others, it does not wait for.
    let stages = shared.settings.stages;
    let at_remote = if stages == Stages::Collect { 0 } else { at_remote };
    let ready = if stages == Stages::SubmitAndWatch { 0 } else { left.ready };
    match gate {
        Gate::Undecided => false,
        Gate::OneLook => {
            let looked = |lane: &Lane| *lane.looked_once.borrow() || lane.is_denied() || stages == Stages::Collect;
            shared.lanes.iter().all(looked) && ready == 0
        }
        Gate::Closed => at_remote + ready == 0,
        Gate::Open(_) => {
            let in_hand = shared.in_hand.load(Ordering::SeqCst) > 0;
            let drained = *shared.submitting.borrow() == Submitting::Drained || stages == Stages::Collect;
            let sendable = || !drained && left.planned.iter().any(|group| can_be_sent(shared, group));
            at_remote + ready == 0 && !in_hand && !sendable()
        }
    }
}

/// Whether any account will send rows of a group, when nothing else happens.
fn can_be_sent(shared: &Shared, group: &Group) -> bool {
    let scene = (group.batch, group.scene.clone());
    shared.lanes.iter().enumerate().any(|(place, lane)| {
        let may = group.sender.as_ref().is_none_or(|only| only == lane.name());
        may && !lane.is_paused() && shared.is_in_time(lane) && shared.guard.reaches(place, &scene)
    })
}

/// Tasks that an earlier run gave up are asked for once more: they may have ended since.
async fn revive(shared: &Shared, lane: &Lane) -> Result<(), RecordError> {
    const AT_ONCE: usize = 256;
    loop {
        let store = shared.parts.ledger.store();
        let stuck = store.take_due(StateCode::Stuck, lane.name().clone(), shared.now(), AT_ONCE).await?.jobs;
        if stuck.is_empty() {
            return Ok(());
        }
        for job in stuck {
            shared.record_own(&job, JobEvent::Revived).await?;
        }
    }
}

/// At the start of a run, and whenever another process may have been given up: intents without an outcome, left by a run that
/// was cut off, are in doubt.
pub(super) async fn recover(shared: &Shared, lane: &Lane) -> Result<(), RecordError> {
    const AT_ONCE: usize = 256;
    loop {
        let store = shared.parts.ledger.store();
        let left = store.take_due(StateCode::Submitting, lane.name().clone(), shared.now(), AT_ONCE).await?.jobs;
        if left.is_empty() {
            return Ok(());
        }
        for job in left {
            debug_assert_eq!(job.state, State::Submitting);
            shared.record_own(&job, JobEvent::Doubted { doubt: Doubt::Interrupted, due_at: shared.now() }).await?;
        }
    }
}
