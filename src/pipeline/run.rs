//! One run: starts the stages, decides when nothing is left to do, and ends them in order.

use std::sync::atomic::AtomicU32;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use tokio::sync::{Notify, broadcast, watch};
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

use crate::domain::{JobEvent, StateCode, Tally};
use crate::ledger::RecordError;
use crate::pace::Expectation;
use crate::store::Account;

use super::shared::{Shared, joined};
use super::slots::Slots;
use super::{Ended, Gate, Notice, Parts, Settings, collect, reconcile, submit, watch as watching};

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
    account: Account,
    looked: watch::Receiver<Gate>,
}

/// What a run can be told while it runs, and what it tells.
#[derive(Debug, Clone)]
pub struct Control {
    gate: watch::Sender<Gate>,
    stop: CancellationToken,
    notices: broadcast::Sender<Notice>,
}

impl Control {
    /// Says which jobs may be submitted from now on.
    pub fn open(&self, gate: Gate) {
        self.gate.send_replace(gate);
    }

    /// No new submissions; what is paid and in flight is recorded; downloads stop at a chunk.
    pub fn stop(&self) {
        // Nobody listening is no failure.
        drop(self.notices.send(Notice::Stopping));
        self.stop.cancel();
    }

    /// Listens to what happens from now on.
    #[must_use]
    pub fn listen(&self) -> broadcast::Receiver<Notice> {
        self.notices.subscribe()
    }
}

impl Pipeline {
    /// Prepares a run: remembers the account, counts what still runs, settles what an earlier run left open.
    pub async fn prepare(
        parts: Parts,
        settings: Settings,
        account: Account,
        gate: Gate,
    ) -> Result<(Self, Control), RecordError> {
        let store = parts.ledger.store();
        let account = store.open_account(account).await?;
        let recent = store.recent_durations(account.name.clone(), REMEMBERED).await?;
        let (gate_sender, gate) = watch::channel(gate);
        let (notices, _) = broadcast::channel(NOTICES);
        let stop = CancellationToken::new();
        let shared = Arc::new(Shared {
            clock: parts.ledger.clock().clone(),
            slots: Slots::new(settings.in_flight),
            expectation: Mutex::new(Expectation::from_recent(recent)),
            stop: stop.clone(),
            gate: gate.clone(),
            pause: watch::Sender::new(None),
            sink_stopped: watch::Sender::new(None),
            denials: AtomicU32::new(0),
            looked_once: watch::Sender::new(false),
            planned: Notify::new(),
            doubted: Notify::new(),
            waiting: Notify::new(),
            ready: Notify::new(),
            progress: Notify::new(),
            notices: notices.clone(),
            parts,
            settings,
        });
        let open = shared.parts.ledger.store().open_of(shared.settings.account.clone()).await?;
        shared.slots.occupy(usize::try_from(open.submitting + open.waiting).unwrap_or(usize::MAX));
        submit::recover(&shared).await?;
        revive(&shared).await?;
        let control = Control { gate: gate_sender, stop, notices };
        Ok((Self { shared, account, looked: gate }, control))
    }

    /// Runs until nothing is left to do, or until it is told to stop.
    pub async fn run(self) -> Result<Ended, RecordError> {
        let Self { shared, account, looked } = self;
        let mut stages = JoinSet::new();
        stages.spawn(submit::run(Arc::clone(&shared), account));
        stages.spawn(reconcile::run(Arc::clone(&shared)));
        stages.spawn(watching::run(Arc::clone(&shared)));
        stages.spawn(collect::run(Arc::clone(&shared)));
        // A stage ends by itself only when the ledger failed it.
        let outcome = tokio::select! {
            idle = until_idle(&shared, looked) => idle,
            Some(ended) = stages.join_next() => joined(ended).unwrap_or(Ok(())),
        };
        let told_to_stop = shared.stop.is_cancelled();
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
        if let Some(words) = shared.sink_stopped.borrow().clone() {
            return Ok(Ended::SinkStopped(words));
        }
        if told_to_stop {
            return Ok(Ended::Interrupted);
        }
        if let Some(pause) = shared.pause.borrow().clone() {
            return Ok(Ended::Paused(pause));
        }
        Ok(Ended::Finished)
    }
}

/// Ends when nothing is left to do for this account, or the run was told to stop.
async fn until_idle(shared: &Shared, mut gate: watch::Receiver<Gate>) -> Result<(), RecordError> {
    let store = shared.parts.ledger.store();
    let mut told = None;
    loop {
        if shared.stop.is_cancelled() {
            return Ok(());
        }
        let standing = *gate.borrow_and_update();
        let batch = if let Gate::Open(batch) = standing { batch } else { None };
        let now = shared.now();
        if told.is_none_or(|at| now >= at) {
            told = Some(shared.after(LOOK));
            shared.tell(Notice::Counted(store.tally(batch).await?));
        }
        let left = store.left(shared.settings.account.clone(), batch).await?;
        if is_idle(shared, standing, left) {
            return Ok(());
        }
        shared.clock.sleep(BREATH).await;
        tokio::select! {
            () = shared.stop.cancelled() => {}
            () = shared.progress.notified() => {}
            changed = gate.changed() => if changed.is_err() { shared.clock.sleep(LOOK).await },
            () = shared.clock.sleep(LOOK) => {}
        }
    }
}

/// Whether nothing is left to do. `left` is of one instant: a job on its way from one state to the next is never missed.
fn is_idle(shared: &Shared, gate: Gate, left: Tally) -> bool {
    let denied = shared.is_denied();
    let at_remote = if denied { 0 } else { left.waiting + left.submitting };
    match gate {
        Gate::Undecided => false,
        Gate::OneLook => (*shared.looked_once.borrow() || denied) && left.ready == 0,
        Gate::Closed => at_remote + left.ready == 0,
        Gate::Open(_) => at_remote + left.ready == 0 && (left.planned == 0 || shared.is_paused()),
    }
}

/// Tasks that an earlier run gave up are asked for once more: they may have ended since.
async fn revive(shared: &Shared) -> Result<(), RecordError> {
    const AT_ONCE: usize = 256;
    loop {
        let account = shared.settings.account.clone();
        let store = shared.parts.ledger.store();
        let stuck = store.take_due(StateCode::Stuck, account, None, shared.now(), AT_ONCE).await?.jobs;
        if stuck.is_empty() {
            return Ok(());
        }
        for job in stuck {
            shared.record(&job, JobEvent::Revived).await?;
        }
    }
}
