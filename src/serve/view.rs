//! What the page shows: how the ledger stands, and what the run in this process is at.

use jiff::Timestamp;
use serde::Serialize;

use super::Desk;
use crate::domain::{BatchId, Job, JobId, Price, State, StateCode, Tally};
use crate::pipeline::{Gate, LaneView, SlotsView, Submitting, slots, time_left};
use crate::report::{Show, Summary, Trouble};
use crate::store::{Filter, Store, StoreError};

/// Videos that are shown.
const VIDEOS: usize = 8;
/// Rows that a person has to settle which are shown.
const TROUBLES: usize = 20;

/// How everything stands.
#[derive(Debug, Serialize)]
pub(super) struct View {
    /// When it was gathered.
    at: String,
    phase: Phase,
    /// Names of the batches that are counted.
    batches: Vec<String>,
    #[serde(flatten)]
    summary: Summary,
    /// What may have been paid, by currency.
    paid: Vec<Price>,
    budget: Option<Price>,
    accounts: Vec<Account>,
    /// Those of all accounts together.
    slots: SlotsView,
    paused_scenes: Vec<Paused>,
    /// How long it will take until the last row is made, where that can be said.
    seconds_left: Option<u64>,
    videos: Vec<Video>,
}

/// What a run is at.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
enum Phase {
    /// There is no ledger yet.
    Empty,
    /// No run in this process.
    Ledger,
    /// The manifest is being checked.
    Checking,
    /// Rows are sent.
    Running,
    /// Nothing is sent until it is resumed.
    Held,
    /// Nothing more is sent.
    Draining,
    /// Only what is paid is collected.
    Collecting,
    /// The run is over.
    Ended,
}

/// An account at work.
#[derive(Debug, Serialize)]
struct Account {
    name: String,
    gateway: String,
    slots_used: usize,
    slots_allowed: usize,
    slots_limit: usize,
    /// Requests of the last minute, and how many were allowed in one.
    last_minute: u64,
    per_minute: f64,
    usual_seconds: Option<f64>,
    paused: Option<String>,
}

/// A scene of which nothing more is sent in this run.
#[derive(Debug, Serialize)]
struct Paused {
    scene: String,
    words: String,
}

/// A video that was stored.
#[derive(Debug, Serialize)]
struct Video {
    job: i64,
    id: String,
    scene: String,
    file: String,
    bytes: u64,
    at: Option<String>,
}

/// What is remembered from one look to the next.
#[derive(Debug, Default)]
pub(super) struct Memory {
    /// The batch that the run was opened for.
    scope: Option<BatchId>,
    /// Failures and troubles take long to gather, and are gathered when something happened.
    summary: Option<(Tally, Summary)>,
}

impl View {
    /// Nothing, where there is no ledger.
    pub(super) fn empty(now: Timestamp) -> Self {
        Self {
            at: format!("{now:.0}"),
            phase: Phase::Empty,
            batches: Vec::new(),
            summary: Summary::default(),
            paid: Vec::new(),
            budget: None,
            accounts: Vec::new(),
            slots: SlotsView::default(),
            paused_scenes: Vec::new(),
            seconds_left: None,
            videos: Vec::new(),
        }
    }

    pub(super) async fn gather(
        store: &dyn Store,
        desk: &Desk,
        memory: &mut Memory,
        now: Timestamp,
    ) -> Result<Self, StoreError> {
        let gate = desk.control().map(crate::pipeline::Control::gate);
        if let Some(Gate::Open(batch)) = gate {
            memory.scope = batch;
        }
        let scope = memory.scope;
        let tally = store.tally(scope).await?;
        let summary = match &memory.summary {
            Some((at, summary)) if *at == tally => summary.clone(),
            Some(_) | None => {
                let mut summary = Summary::gather(store, scope, Show::First).await?;
                summary.scenes.clear();
                // Those that a person can settle here; the others are still looked for.
                let wanted = Filter { batch: scope, states: vec![StateCode::Held, StateCode::Stuck], named: None };
                let troubles = store.jobs(wanted, JobId(0), TROUBLES).await?;
                summary.troubles = troubles.into_iter().map(Trouble::of).collect();
                memory.summary = Some((summary.tally, summary.clone()));
                summary
            }
        };
        let batches = store.batches().await?.into_iter().filter(|batch| scope.is_none_or(|scope| scope == batch.id));
        let lanes = desk.control().map(crate::pipeline::Control::lanes).unwrap_or_default();
        let phase = match (desk.control(), gate) {
            (None, _) | (_, None) => Phase::Ledger,
            (Some(_), _) if lanes.is_empty() => Phase::Ended,
            (Some(control), Some(gate)) => match (control.submitting(), gate) {
                (Submitting::Drained, _) => Phase::Draining,
                (_, Gate::Closed | Gate::OneLook) => Phase::Collecting,
                (Submitting::Held, _) => Phase::Held,
                (Submitting::On, Gate::Undecided) => Phase::Checking,
                (Submitting::On, Gate::Open(_)) => Phase::Running,
            },
        };
        let budget = if let Desk::Run { budget, .. } = desk { budget.clone() } else { None };
        let sends = matches!(phase, Phase::Running | Phase::Checking);
        let seconds_left = time_left(&summary.tally, &lanes, sends).map(|left| left.as_secs());
        Ok(Self {
            at: format!("{now:.0}"),
            phase,
            batches: batches.map(|batch| batch.name.to_string()).collect(),
            paid: Price::sums(summary.spent.iter().filter_map(|spent| spent.price.as_ref())),
            summary,
            budget,
            seconds_left,
            slots: slots(&lanes),
            accounts: lanes.into_iter().map(account).collect(),
            paused_scenes: paused_scenes(desk),
            videos: store.newest(VIDEOS).await?.into_iter().filter_map(video).collect(),
        })
    }
}

fn account(lane: LaneView) -> Account {
    Account {
        per_minute: lane.per_minute(),
        name: lane.account.to_string(),
        gateway: lane.gateway,
        slots_used: lane.slots_used,
        slots_allowed: lane.slots_allowed,
        slots_limit: lane.slots_limit,
        last_minute: lane.last_minute,
        usual_seconds: lane.usual.map(|usual| usual.as_secs_f64()),
        paused: lane.paused,
    }
}

fn paused_scenes(desk: &Desk) -> Vec<Paused> {
    let paused = desk.control().map(crate::pipeline::Control::paused_scenes).unwrap_or_default();
    paused.into_iter().map(|(scene, words)| Paused { scene, words }).collect()
}

fn video(job: Job) -> Option<Video> {
    let State::Done { artifact } = job.state else { return None };
    Some(Video {
        job: job.id.0,
        id: job.label,
        scene: job.effect.scene,
        file: artifact.key.to_string(),
        bytes: artifact.bytes,
        at: job.finished_at.map(|at| format!("{at:.0}")),
    })
}
