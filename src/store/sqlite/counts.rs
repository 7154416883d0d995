//! What is counted beside the jobs: how many of a scene are in which state, what may have been paid, when an account last
//! sent. Changes of one group add up in memory and are written once, in their transaction, before it is committed and before
//! anything of it is asked for.

use std::collections::BTreeMap;

use jiff::Timestamp;
use rusqlite::params;

use crate::domain::{AccountName, BatchId, Job, JobEvent, StateCode};
use crate::store::{Change, StoreError};

use super::engine::Engine;
use super::failure::failed;
use super::rows::millis;
use super::sql;

/// What was counted and not written yet.
#[derive(Debug, Default, Clone)]
pub(super) struct Counts {
    /// In the order of their groups.
    jobs: Vec<Counted>,
    /// In the order of whose they are.
    spent: Vec<Spent>,
    sent: BTreeMap<AccountName, Timestamp>,
    took: Vec<(AccountName, u64)>,
}

/// Jobs of a scene, for a sender, in a state.
#[derive(Debug, Clone)]
struct Counted {
    batch: BatchId,
    state: StateCode,
    scene: String,
    /// Empty for any.
    sender: String,
    jobs: i64,
    submissions: i64,
}

#[derive(Debug, Clone)]
struct Spent {
    batch: BatchId,
    account: AccountName,
    /// Empty where no price is known.
    currency: String,
    micros: i64,
    requests: i64,
}

impl Counts {
    /// Counts jobs of a scene, for a sender, in a state.
    pub(super) fn add(
        &mut self,
        batch: BatchId,
        (scene, sender, state): (&str, Option<&AccountName>, StateCode),
        jobs: i64,
        submissions: i64,
    ) {
        let sender = sender.map_or("", AccountName::as_str);
        let wanted = (batch, state, scene, sender);
        let place = self.jobs.binary_search_by(|counted| {
            (counted.batch, counted.state, counted.scene.as_str(), counted.sender.as_str()).cmp(&wanted)
        });
        match place {
            Ok(at) => {
                self.jobs[at].jobs += jobs;
                self.jobs[at].submissions += submissions;
            }
            Err(at) => {
                let (scene, sender) = (scene.to_owned(), sender.to_owned());
                self.jobs.insert(at, Counted { batch, state, scene, sender, jobs, submissions });
            }
        }
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
            JobEvent::SubmitStarted { .. } => match self.sent.get_mut(&attempt.account) {
                Some(sent) => *sent = *at,
                None => drop(self.sent.insert(attempt.account.clone(), *at)),
            },
            JobEvent::Succeeded { took_ms: Some(took), .. } => self.took.push((attempt.account.clone(), *took)),
            _ => {}
        }
    }

    /// Counts what may have been paid: `requests` more of the present attempt, or less where it certainly made nothing.
    fn spend(&mut self, job: &Job, requests: i64) {
        let Some(attempt) = job.attempt.as_ref().filter(|_| requests != 0) else { return };
        let (currency, micros) = attempt.price.as_ref().map_or(("", 0), |price| {
            (price.currency.as_str(), i64::try_from(price.amount.micros()).unwrap_or(i64::MAX))
        });
        let micros = micros.saturating_mul(requests);
        let wanted = (job.batch, &attempt.account, currency);
        match self.spent.binary_search_by(|spent| (spent.batch, &spent.account, spent.currency.as_str()).cmp(&wanted)) {
            Ok(at) => {
                self.spent[at].micros = self.spent[at].micros.saturating_add(micros);
                self.spent[at].requests += requests;
            }
            Err(at) => {
                let (account, currency) = (attempt.account.clone(), currency.to_owned());
                self.spent.insert(at, Spent { batch: job.batch, account, currency, micros, requests });
            }
        }
    }

    fn is_empty(&self) -> bool {
        self.jobs.is_empty() && self.spent.is_empty() && self.sent.is_empty() && self.took.is_empty()
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
    let mut count = engine.conn.prepare_cached(sql::COUNT).map_err(failed)?;
    for Counted { batch, state, scene, sender, jobs, submissions } in counts.jobs {
        if (jobs, submissions) != (0, 0) {
            let values = params![batch.0, scene, sender, state.number(), jobs, submissions];
            count.execute(values).map_err(failed)?;
        }
    }
    let mut add = engine.conn.prepare_cached(sql::SPEND).map_err(failed)?;
    for Spent { batch, account, currency, micros, requests } in counts.spent {
        add.execute(params![batch.0, account.as_str(), currency, micros, requests]).map_err(failed)?;
    }
    let mut mark = engine.conn.prepare_cached(sql::SUBMITTED_AT).map_err(failed)?;
    for (account, at) in counts.sent {
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
