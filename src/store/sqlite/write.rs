//! What changes the ledger. Each function runs inside a transaction of the engine's, and is undone whole when it fails.

use std::collections::BTreeMap;
use std::path::Path;

use jiff::Timestamp;
use rusqlite::{OptionalExtension, ToSql, params};

use crate::domain::{AccountName, BatchId, BatchName, JobId, State, StateCode, TaskId};
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

/// A row to be admitted, with what the ledger keeps of it besides: made by the caller, so that the ledger's thread only
/// writes.
#[derive(Debug)]
pub(super) struct Row {
    job: NewJob,
    effect: String,
    output_hash: i64,
}

impl Row {
    pub(super) fn new(job: NewJob) -> Result<Self, StoreError> {
        let (effect, output_hash) = (json(&job.effect)?, output_hash(&job.output));
        Ok(Self { job, effect, output_hash })
    }
}

pub(super) fn admit(engine: &mut Engine, batch: BatchId, rows: &[Row], at: Timestamp) -> Result<u64, StoreError> {
    writable(engine)?;
    let detail = json(&State::Planned { due_at: at, resend: false, with: None })?;
    let mut added = 0;
    let mut groups: BTreeMap<(&str, Option<&AccountName>), i64> = BTreeMap::new();
    {
        let mut statement = engine.conn.prepare_cached(sql::ADMIT).map_err(failed)?;
        for Row { job, effect, output_hash } in rows {
            let values = params![
                batch.0,
                job.key.as_bytes(),
                job.label,
                job.content.as_bytes(),
                effect,
                job.output.as_str(),
                job.columns,
                detail,
                millis(at),
                output_hash,
                look_up(&job.content),
                job.account.as_ref().map(AccountName::as_str),
            ];
            if statement.execute(values).map_err(failed)? > 0 {
                added += 1;
                *groups.entry((&job.effect.scene, job.account.as_ref())).or_default() += 1;
            }
        }
    }
    for ((scene, sender), jobs) in groups {
        engine.counts.add(batch, (scene, sender, StateCode::Planned), jobs, 0);
    }
    Ok(added)
}

pub(super) fn withdraw(engine: &mut Engine, batch: BatchId, jobs: &[JobId]) -> Result<u64, StoreError> {
    writable(engine)?;
    let mut removed = 0;
    for job in jobs {
        let gone: Option<(String, Option<AccountName>)> = engine
            .conn
            .prepare_cached(sql::WITHDRAW)
            .and_then(|mut statement| {
                statement
                    .query_row(params![job.0, batch.0], |row| Ok((row.get(0)?, rows::account_name(row, 1)?)))
                    .optional()
            })
            .map_err(failed)?;
        if let Some((scene, sender)) = gone {
            removed += 1;
            engine.counts.add(batch, (&scene, sender.as_ref(), StateCode::Planned), -1, 0);
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

/// A change, with the texts that it puts into the ledger: made by the caller, so that the ledger's thread only writes.
#[derive(Debug)]
pub(super) struct Written {
    change: Change,
    detail: String,
    attempt: Option<String>,
    event: String,
    /// What came from the row, where the change is about that.
    row: Option<String>,
}

impl Written {
    pub(super) fn new(change: Change) -> Result<Self, StoreError> {
        let job = &change.job;
        let (detail, event) = (json(&job.state)?, json(&change.event)?);
        let attempt = job.attempt.as_ref().map(json).transpose()?;
        let row = if change.before.keeps_row { None } else { Some(json(&job.effect)?) };
        Ok(Self { change, detail, attempt, event, row })
    }
}

/// Commits a change. A refusal is given back having written nothing; where the engine fails, what was begun has to be undone.
pub(super) fn commit(engine: &mut Engine, written: &Written) -> Result<Result<(), StoreError>, StoreError> {
    let change = &written.change;
    let job = &change.job;
    if engine.read_only {
        return Ok(Err(StoreError::ReadOnly));
    }
    if update(engine, written)? == 0 {
        return refusal(engine, job.id).map(Err);
    }
    engine.counts.change(change);
    let values = params![job.id.0, millis(change.at), change.event.name(), written.event];
    engine.conn.prepare_cached(sql::APPEND).and_then(|mut append| append.execute(values)).map_err(failed)?;
    engine.count_event();
    if job.state != State::Submitting {
        // The submitter keeps what it is submitting.
        engine.freed.push(job.id.0);
    }
    Ok(Ok(()))
}

/// Why a job was not there to be changed.
fn refusal(engine: &Engine, job: JobId) -> Result<StoreError, StoreError> {
    let mut standing = engine.conn.prepare_cached(sql::VERSION).map_err(failed)?;
    let found: Option<i64> = standing.query_row([job.0], |row| row.get(0)).optional().map_err(failed)?;
    Ok(match found {
        Some(_) => StoreError::Conflict { job },
        None => StoreError::Damaged(format!("job {job} is missing")),
    })
}

fn update(engine: &Engine, written: &Written) -> Result<usize, StoreError> {
    let Written { change, detail, attempt: attempt_text, row, .. } = written;
    let (job, before) = (&change.job, &change.before);
    let attempt = job.attempt.as_ref();
    let account = attempt.map(|attempt| attempt.account.as_str());
    let task = job.task().map(TaskId::as_str);
    let client_ref = attempt.map(|attempt| attempt.client_ref.as_str());
    let step = params![
        job.id.0,
        before.version.cast_signed(),
        job.state.code().number(),
        detail,
        job.state.due_at().map(millis),
        attempt_text,
        account,
        task,
        client_ref,
        job.submissions,
        job.version.cast_signed(),
        job.finished_at.map(millis),
        job.sender().map(AccountName::as_str),
    ];
    let Some(effect) = row else {
        let mut statement = engine.conn.prepare_cached(sql::STEP_ON).map_err(failed)?;
        return statement.execute(step).map_err(failed);
    };
    let of_row = params![
        job.content.as_bytes(),
        effect,
        job.output.as_str(),
        output_hash(&job.output),
        look_up(&job.content),
        job.account.as_ref().map(AccountName::as_str),
    ];
    let values: Vec<&dyn ToSql> = step.iter().chain(of_row).copied().collect();
    let mut statement = engine.conn.prepare_cached(sql::CHANGE).map_err(failed)?;
    statement.execute(values.as_slice()).map_err(failed)
}

pub(super) fn writable(engine: &Engine) -> Result<(), StoreError> {
    if engine.read_only { Err(StoreError::ReadOnly) } else { Ok(()) }
}

fn text(path: &Path) -> Result<&str, StoreError> {
    path.to_str().ok_or_else(|| StoreError::Engine(format!("{} is not valid Unicode", path.display()).into()))
}
