//! What is counted beside the jobs: how many of a scene are in which state, what may have been paid, when an account last
//! sent. Changes of one group add up in memory and are written once, in their transaction, before it is committed and before
//! anything of it is asked for.

use std::collections::BTreeMap;

use jiff::Timestamp;
use rusqlite::params;

use crate::domain::{AccountName, BatchId, Job, JobEvent, StateCode};
use crate::store::{Change, StoreError};

use super::engine::{Engine, failed};
use super::rows::millis;
use super::sql;

/// What was counted and not written yet, in the order in which it happened.
#[derive(Debug, Default)]
pub(super) struct Counts {
    jobs: Vec<Counted>,
    spent: Vec<Spent>,
    sent: Vec<(AccountName, Timestamp)>,
    took: Vec<(AccountName, u64)>,
}

/// How far counting had come.
#[derive(Debug, Clone, Copy)]
pub(super) struct Mark([usize; 4]);

/// Jobs of a scene, for a sender, in a state.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
struct Group {
    batch: BatchId,
    scene: String,
    /// Empty for any.
    sender: String,
    state: StateCode,
}

#[derive(Debug)]
struct Counted {
    group: Group,
    jobs: i64,
    submissions: i64,
}

#[derive(Debug)]
struct Spent {
    batch: BatchId,
    account: AccountName,
    /// Empty where no price is known.
    currency: String,
    micros: i64,
    requests: i64,
}

impl Counts {
    pub(super) const fn mark(&self) -> Mark {
        Mark([self.jobs.len(), self.spent.len(), self.sent.len(), self.took.len()])
    }

    /// Forgets what was counted since.
    pub(super) fn back_to(&mut self, Mark(counted): Mark) {
        self.jobs.truncate(counted[0]);
        self.spent.truncate(counted[1]);
        self.sent.truncate(counted[2]);
        self.took.truncate(counted[3]);
    }

    /// Counts jobs of a scene, for a sender, in a state.
    pub(super) fn add(
        &mut self,
        batch: BatchId,
        (scene, sender, state): (&str, Option<&AccountName>, StateCode),
        jobs: i64,
        submissions: i64,
    ) {
        let sender = sender.map_or("", AccountName::as_str).to_owned();
        let group = Group { batch, scene: scene.to_owned(), sender, state };
        self.jobs.push(Counted { group, jobs, submissions });
    }

    /// Counts what a change makes of a job.
    pub(super) fn change(&mut self, change: &Change) {
        let Change { before, job, event, at } = change;
        let (was, is) = (i64::from(before.submissions), i64::from(job.submissions));
        self.add(job.batch, (&before.scene, before.sender.as_ref(), before.state), -1, -was);
        self.add(job.batch, (&job.effect.scene, job.sender(), job.state.code()), 1, is);
        self.spend(job, is - was);
        let Some(attempt) = &job.attempt else { return };
        match event {
            JobEvent::SubmitStarted { .. } => self.sent.push((attempt.account.clone(), *at)),
            JobEvent::Succeeded { took_ms: Some(took), .. } => self.took.push((attempt.account.clone(), *took)),
            _ => {}
        }
    }

    /// Counts what may have been paid: `requests` more of the present attempt, or less where it certainly made nothing.
    fn spend(&mut self, job: &Job, requests: i64) {
        let Some(attempt) = job.attempt.as_ref().filter(|_| requests != 0) else { return };
        let (currency, micros) = attempt.price.as_ref().map_or((String::new(), 0), |price| {
            (price.currency.as_str().to_owned(), i64::try_from(price.amount.micros()).unwrap_or(i64::MAX))
        });
        let (account, micros) = (attempt.account.clone(), micros.saturating_mul(requests));
        self.spent.push(Spent { batch: job.batch, account, currency, micros, requests });
    }

    fn is_empty(&self) -> bool {
        self.mark().0 == [0; 4]
    }
}

/// Writes what was counted. Never within a step that may be undone: what others counted would be lost with it. Where it
/// fails, nothing of the group may be kept.
pub(super) fn settle(engine: &mut Engine) -> Result<(), StoreError> {
    if engine.counts.is_empty() {
        return Ok(());
    }
    let counts = std::mem::take(&mut engine.counts);
    engine.miscounted = true;
    write(engine, counts)?;
    engine.miscounted = false;
    Ok(())
}

fn write(engine: &Engine, counts: Counts) -> Result<(), StoreError> {
    settle_jobs(engine, counts.jobs)?;
    settle_spent(engine, counts.spent)?;
    let sent: BTreeMap<AccountName, Timestamp> = counts.sent.into_iter().collect();
    let mut mark = engine.conn.prepare_cached(sql::SUBMITTED_AT).map_err(failed)?;
    for (account, at) in sent {
        mark.execute(params![account.as_str(), millis(at)]).map_err(failed)?;
    }
    if counts.took.is_empty() {
        return Ok(());
    }
    let mut note = engine.conn.prepare_cached(sql::TOOK).map_err(failed)?;
    for (account, took) in counts.took {
        note.execute(params![account.as_str(), i64::try_from(took).unwrap_or(i64::MAX)]).map_err(failed)?;
    }
    let mut forget = engine.conn.prepare_cached(sql::FORGET_OLD).map_err(failed)?;
    forget.execute([]).map(drop).map_err(failed)
}

fn settle_jobs(engine: &Engine, counted: Vec<Counted>) -> Result<(), StoreError> {
    let mut sums: BTreeMap<Group, (i64, i64)> = BTreeMap::new();
    for Counted { group, jobs, submissions } in counted {
        let sum = sums.entry(group).or_default();
        sum.0 += jobs;
        sum.1 += submissions;
    }
    let mut count = engine.conn.prepare_cached(sql::COUNT).map_err(failed)?;
    for (Group { batch, scene, sender, state }, (jobs, submissions)) in sums {
        if (jobs, submissions) != (0, 0) {
            let values = params![batch.0, scene, sender, state.number(), jobs, submissions];
            count.execute(values).map_err(failed)?;
        }
    }
    Ok(())
}

fn settle_spent(engine: &Engine, spent: Vec<Spent>) -> Result<(), StoreError> {
    let mut sums: BTreeMap<(BatchId, AccountName, String), (i64, i64)> = BTreeMap::new();
    for Spent { batch, account, currency, micros, requests } in spent {
        let sum = sums.entry((batch, account, currency)).or_default();
        sum.0 = sum.0.saturating_add(micros);
        sum.1 += requests;
    }
    let mut add = engine.conn.prepare_cached(sql::SPEND).map_err(failed)?;
    for ((batch, account, currency), (micros, requests)) in sums {
        add.execute(params![batch.0, account.as_str(), currency, micros, requests]).map_err(failed)?;
    }
    Ok(())
}
