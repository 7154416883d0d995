//! How a run stands, for whoever watches it: counts, money, the accounts at work, and the time that is left.

use std::collections::BTreeSet;
use std::time::Duration;

use serde::Serialize;

use crate::domain::{AccountName, BatchId, Price, Tally};
use crate::plan::{Load, Pace, USUAL_TASK, expected};
use crate::store::StoreError;

use super::meter::Counts;
use super::shared::Shared;
use super::{Gate, Submitting};

/// An account at work, as it stands.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LaneView {
    /// Its name.
    pub account: AccountName,
    /// Its gateway's kind.
    pub gateway: String,
    /// Accounts of one pool share their slots.
    pub pool: Option<String>,
    /// Parallel generations under way.
    pub slots_used: usize,
    /// How many the remote is thought to allow now.
    pub slots_allowed: usize,
    /// How many are set.
    pub slots_limit: usize,
    /// The shortest span between two requests that may be paid.
    pub interval: Duration,
    /// Requests of the last minute.
    pub last_minute: u64,
    /// Why it sends nothing more in this run.
    pub paused: Option<String>,
    /// How long its tasks usually take, where some have ended.
    pub usual: Option<Duration>,
    /// What it did in this run.
    pub counts: Counts,
}

/// How a run stands.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Standing {
    /// Jobs by state.
    pub tally: Tally,
    /// What may have been paid, by currency.
    pub paid: Vec<Price>,
    /// The accounts at work.
    pub lanes: Vec<LaneView>,
    /// How long it will take until the last row is made, where that can be said.
    pub left: Option<Duration>,
}

impl LaneView {
    /// How many requests a minute its rate allows.
    #[must_use]
    pub fn per_minute(&self) -> f64 {
        60.0 / self.interval.as_secs_f64().max(f64::EPSILON)
    }
}

impl Standing {
    /// How a run of one batch, or of all, stands now.
    pub(super) async fn of(shared: &Shared, batch: Option<BatchId>) -> Result<Self, StoreError> {
        let store = shared.parts.ledger.store();
        let (tally, spent) = (store.tally(batch).await?, store.spent(batch).await?);
        let paid = Price::sums(spent.iter().filter_map(|spent| spent.price.as_ref()));
        let lanes = views(shared);
        let gate = matches!(*shared.gate.borrow(), Gate::Open(_) | Gate::Undecided);
        let sends = gate && *shared.submitting.borrow() == Submitting::On;
        let left = time_left(&tally, &lanes, sends);
        Ok(Self { tally, paid, lanes, left })
    }
}

/// Parallel generations of several accounts.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize)]
pub struct SlotsView {
    /// Under way.
    pub used: usize,
    /// That the remotes are thought to allow now.
    pub allowed: usize,
    /// As set.
    pub limit: usize,
}

/// Parallel generations of accounts; those of a pool count once.
#[must_use]
pub fn slots(lanes: &[LaneView]) -> SlotsView {
    let mut pools = BTreeSet::new();
    let mut all = SlotsView::default();
    for lane in lanes.iter().filter(|lane| lane.pool.as_ref().is_none_or(|pool| pools.insert(pool))) {
        all.used += lane.slots_used;
        all.allowed += lane.slots_allowed;
        all.limit += lane.slots_limit;
    }
    all
}

/// Requests of accounts in the last minute, and how many a minute allows.
#[must_use]
pub fn requests(lanes: &[LaneView]) -> (u64, f64) {
    let of = |lane: &LaneView| (lane.last_minute, lane.per_minute());
    lanes.iter().map(of).fold((0, 0.0), |(sent, allowed), (more, most)| (sent + more, allowed + most))
}

/// The accounts at work.
pub(super) fn views(shared: &Shared) -> Vec<LaneView> {
    let now = shared.now();
    let view = |lane: &super::lane::Lane| {
        let (slots_used, slots_allowed) = lane.slots.standing();
        LaneView {
            account: lane.name().clone(),
            gateway: lane.settings.account.gateway.clone(),
            pool: lane.settings.pool.clone(),
            slots_used,
            slots_allowed,
            slots_limit: lane.slots.limit(),
            interval: lane.settings.interval,
            last_minute: lane.meter.last_minute(now),
            paused: lane.pause.borrow().as_ref().map(ToString::to_string),
            usual: lane.expectation().usual(),
            counts: lane.meter.counts(),
        }
    };
    shared.lanes.iter().map(view).collect()
}

/// How long it will take until the last row is made, by the accounts that are not paused; of rows that are still to be
/// sent, where the run `sends` them. `None` where no account is at work.
#[must_use]
pub fn time_left(tally: &Tally, lanes: &[LaneView], sends: bool) -> Option<Duration> {
    let at_work: Vec<&LaneView> = lanes.iter().filter(|lane| lane.paused.is_none()).collect();
    let task = |lane: &LaneView| lane.usual.unwrap_or(USUAL_TASK);
    let slowest = at_work.iter().map(|lane| task(lane)).max()?;
    let pace = |lane: &&LaneView| Pace {
        account: Some(lane.account.clone()),
        interval: lane.interval,
        in_flight: lane.slots_allowed.max(1),
        pool: lane.pool.clone(),
        task: task(lane),
    };
    let rest = if tally.submitting + tally.waiting > 0 { slowest / 2 } else { Duration::ZERO };
    if !sends || tally.planned == 0 {
        return Some(rest);
    }
    let load = Load { requests: tally.planned, shared: tally.planned, ..Load::default() };
    let paces: Vec<Pace> = at_work.iter().map(pace).collect();
    Some(expected(&load, &paces, 0, &BTreeSet::new()) + rest)
}
