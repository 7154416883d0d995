//! What changes the ledger. Each function runs inside a transaction of the engine's, and is undone whole when it fails.

use std::collections::BTreeMap;
use std::path::Path;

use jiff::Timestamp;
use rusqlite::{OptionalExtension, params};

use crate::domain::{AccountName, BatchId, BatchName, Job, JobEvent, JobId, State, StateCode};
use crate::store::{Account, Batch, Change, NewJob, RunEnd, StoreError};

use super::engine::{Engine, failed};
use super::rows::{self, json, look_up, millis, output_hash};
use super::sql;

pub(super) fn open_batch(
    engine: &mut Engine,
    name: &BatchName,
    out: &Path,
    columns: &[String],
    manifest: &Path,
) -> Result<Batch, StoreError> {
    writable(engine)?;
    let values = params![name.as_str(), text(out)?, json(&columns)?, text(manifest)?];
    let mut statement = engine.conn.prepare_cached(sql::OPEN_BATCH).map_err(failed)?;
    statement.query_row(values, rows::batch).map_err(failed)
}

pub(super) fn open_account(engine: &mut Engine, account: &Account) -> Result<Account, StoreError> {
    writable(engine)?;
    let values = params![account.name.as_str(), account.gateway, account.base_url];
    let mut statement = engine.conn.prepare_cached(sql::OPEN_ACCOUNT).map_err(failed)?;
    statement.query_row(values, rows::account).map_err(failed)
}

pub(super) fn admit(engine: &mut Engine, batch: BatchId, jobs: &[NewJob], at: Timestamp) -> Result<u64, StoreError> {
    writable(engine)?;
    let detail = json(&State::Planned { due_at: at, resend: false, with: None })?;
    let mut added = 0;
    let mut groups: BTreeMap<(&str, &str), i64> = BTreeMap::new();
    {
        let mut statement = engine.conn.prepare_cached(sql::ADMIT).map_err(failed)?;
        for job in jobs {
            let values = params![
                batch.0,
                job.key.as_bytes(),
                job.label,
                job.content.as_bytes(),
                json(&job.effect)?,
                job.output.as_str(),
                job.columns,
                detail,
                millis(at),
                output_hash(&job.output),
                look_up(&job.content),
                job.account.as_ref().map(AccountName::as_str),
            ];
            if statement.execute(values).map_err(failed)? > 0 {
                added += 1;
                *groups.entry((&job.effect.scene, sender(job.account.as_ref()))).or_default() += 1;
            }
        }
    }
    for ((scene, sender), jobs) in groups {
        count(engine, batch, (scene, sender, StateCode::Planned), jobs, 0)?;
    }
    Ok(added)
}

pub(super) fn withdraw(engine: &mut Engine, batch: BatchId, jobs: &[JobId]) -> Result<u64, StoreError> {
    writable(engine)?;
    let mut removed = 0;
    for job in jobs {
        let gone: Option<(String, String)> = engine
            .conn
            .prepare_cached(sql::WITHDRAW)
            .and_then(|mut statement| {
                statement.query_row(params![job.0, batch.0], |row| Ok((row.get(0)?, row.get(1)?))).optional()
            })
            .map_err(failed)?;
        if let Some((scene, sender)) = gone {
            removed += 1;
            count(engine, batch, (&scene, &sender, StateCode::Planned), -1, 0)?;
        }
    }
    Ok(removed)
}

pub(super) fn note_run(engine: &mut Engine, ended: &RunEnd) -> Result<(), StoreError> {
    writable(engine)?;
    let batch = ended.batch.map(|batch| batch.0);
    let submitted = i64::try_from(ended.submitted).unwrap_or(i64::MAX);
    let values = params![batch, millis(ended.at), ended.exit_code, submitted, json(&ended.notes)?];
    engine.conn.prepare_cached(sql::NOTE_RUN).and_then(|mut note| note.execute(values)).map_err(failed)?;
    engine.conn.prepare_cached(sql::FORGET_RUNS).and_then(|mut forget| forget.execute([])).map(drop).map_err(failed)
}

pub(super) fn commit(engine: &mut Engine, change: &Change) -> Result<(), StoreError> {
    writable(engine)?;
    let job = &change.job;
    let standing = engine
        .conn
        .prepare_cached(sql::STANDING)
        .and_then(|mut statement| {
            let read = |row: &rusqlite::Row<'_>| {
                let numbers: (i64, i64, i64) = (row.get(0)?, row.get(1)?, row.get(2)?);
                Ok((numbers, row.get::<_, String>(3)?, row.get::<_, String>(4)?))
            };
            statement.query_row([job.id.0], read).optional()
        })
        .map_err(failed)?;
    let Some(((version, state, submissions), scene, sent_by)) = standing else {
        return Err(StoreError::Damaged(format!("job {} is missing", job.id)));
    };
    if version.cast_unsigned() != change.expected_version {
        return Err(StoreError::Conflict { job: job.id });
    }
    let before = StateCode::from_number(state)
        .ok_or_else(|| StoreError::Damaged(format!("job {} has the unknown state {state}", job.id)))?;
    update(engine, change)?;
    let now = i64::from(job.submissions);
    count(engine, job.batch, (&scene, &sent_by, before), -1, -submissions)?;
    count(engine, job.batch, (&job.effect.scene, sender(job.sender()), job.state.code()), 1, now)?;
    spend(engine, job, now - submissions)?;
    append(engine, change)?;
    if job.state != State::Submitting {
        // The submitter keeps what it is submitting.
        engine.freed.push(job.id.0);
    }
    Ok(())
}

fn update(engine: &Engine, change: &Change) -> Result<(), StoreError> {
    let job = &change.job;
    let attempt = job.attempt.as_ref();
    let values = params![
        job.id.0,
        job.content.as_bytes(),
        json(&job.effect)?,
        job.output.as_str(),
        job.state.code().number(),
        json(&job.state)?,
        job.state.due_at().map(millis),
        attempt.map(json).transpose()?,
        attempt.map(|attempt| attempt.account.as_str()),
        job.task().map(crate::domain::TaskId::as_str),
        attempt.map(|attempt| attempt.client_ref.as_str()),
        job.submissions,
        job.version.cast_signed(),
        job.finished_at.map(millis),
        output_hash(&job.output),
        look_up(&job.content),
        job.account.as_ref().map(AccountName::as_str),
        job.sender().map(AccountName::as_str),
    ];
    let mut statement = engine.conn.prepare_cached(sql::CHANGE).map_err(failed)?;
    statement.execute(values).map(drop).map_err(failed)
}

fn append(engine: &mut Engine, change: &Change) -> Result<(), StoreError> {
    let values = params![change.job.id.0, millis(change.at), change.event.name(), json(&change.event)?];
    engine.conn.prepare_cached(sql::APPEND).and_then(|mut append| append.execute(values)).map_err(failed)?;
    engine.count_event();
    let Some(attempt) = &change.job.attempt else { return Ok(()) };
    let account = attempt.account.as_str();
    match &change.event {
        JobEvent::SubmitStarted { .. } => {
            let values = params![account, millis(change.at)];
            let marked = engine.conn.prepare_cached(sql::SUBMITTED_AT).and_then(|mut mark| mark.execute(values));
            marked.map(drop).map_err(failed)
        }
        JobEvent::Succeeded { took_ms: Some(took), .. } => {
            let took = i64::try_from(*took).unwrap_or(i64::MAX);
            let noted = engine.conn.prepare_cached(sql::TOOK).and_then(|mut note| note.execute(params![account, took]));
            noted.map_err(failed)?;
            engine
                .conn
                .prepare_cached(sql::FORGET_OLD)
                .and_then(|mut forget| forget.execute([]))
                .map(drop)
                .map_err(failed)
        }
        _ => Ok(()),
    }
}

/// Counts jobs of a scene, for a sender, in a state.
fn count(
    engine: &Engine,
    batch: BatchId,
    (scene, sender, state): (&str, &str, StateCode),
    jobs: i64,
    submissions: i64,
) -> Result<(), StoreError> {
    let values = params![batch.0, scene, sender, state.number(), jobs, submissions];
    let mut statement = engine.conn.prepare_cached(sql::COUNT).map_err(failed)?;
    statement.execute(values).map(drop).map_err(failed)
}

/// Counts what may have been paid: `requests` more of the present attempt, or less where it certainly made nothing.
fn spend(engine: &Engine, job: &Job, requests: i64) -> Result<(), StoreError> {
    let Some(attempt) = job.attempt.as_ref().filter(|_| requests != 0) else { return Ok(()) };
    let (currency, micros) = attempt
        .price
        .as_ref()
        .map_or(("", 0), |price| (price.currency.as_str(), i64::try_from(price.amount.micros()).unwrap_or(i64::MAX)));
    let values = params![job.batch.0, attempt.account.as_str(), currency, micros.saturating_mul(requests), requests];
    let mut statement = engine.conn.prepare_cached(sql::SPEND).map_err(failed)?;
    statement.execute(values).map(drop).map_err(failed)
}

/// How a group names its sender.
fn sender(account: Option<&AccountName>) -> &str {
    account.map_or("", AccountName::as_str)
}

fn writable(engine: &Engine) -> Result<(), StoreError> {
    if engine.read_only { Err(StoreError::ReadOnly) } else { Ok(()) }
}

fn text(path: &Path) -> Result<&str, StoreError> {
    path.to_str().ok_or_else(|| StoreError::Engine(format!("{} is not valid Unicode", path.display()).into()))
}
