//! What changes the ledger. Each function runs inside a transaction of the engine's, and is undone whole when it fails.

use std::collections::BTreeMap;
use std::path::Path;

use jiff::Timestamp;
use rusqlite::{Connection, OptionalExtension, Statement, ToSql, params};

use crate::domain::{AccountName, BatchId, BatchName, JobId, State, StateCode, TaskId};
use crate::store::{Account, Batch, Change, NewJob, RunEnd, StoreError};

use super::bulk::{Bulk, Keys};
use super::engine::Engine;
use super::failure::failed;
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
    let ((many, few), one) = if matches!(engine.bulk, Bulk::On(Keys::Sorted)) {
        (rows.as_chunks::<{ sql::ROWS_AT_ONCE }>(), &sql::ADMIT_NEW)
    } else {
        ((&[][..], rows), &sql::ADMIT)
    };
    for (statement, rows, at_once) in [(&sql::ADMIT_MANY, many.as_flattened(), sql::ROWS_AT_ONCE), (one, few, 1)] {
        if rows.is_empty() {
            continue;
        }
        let mut statement = engine.conn.prepare_cached(statement).map_err(failed)?;
        for rows in rows.chunks_exact(at_once) {
            // One that the batch has already is left as it is.
            if add(&mut statement, (batch, &detail, at), rows).map_err(failed)? > 0 {
                added += rows.len() as u64;
                for Row { job, .. } in rows {
                    *groups.entry((&job.effect.scene, job.account.as_ref())).or_default() += 1;
                }
            }
        }
    }
    for ((scene, sender), jobs) in groups {
        engine.counts.add(batch, (scene, sender, StateCode::Planned), jobs, 0);
    }
    Ok(added)
}

/// Adds rows by a statement for as many; how many were added.
fn add(
    statement: &mut Statement<'_>,
    (batch, detail, at): (BatchId, &str, Timestamp),
    rows: &[Row],
) -> rusqlite::Result<usize> {
    let shared = params![batch.0, detail, millis(at)];
    for (value, number) in shared.iter().zip(1..) {
        statement.raw_bind_parameter(number, value)?;
    }
    for (Row { job, effect, output_hash }, first) in rows.iter().zip((4..).step_by(sql::OF_A_ROW)) {
        let own: [&dyn ToSql; sql::OF_A_ROW] = [
            job.key.as_bytes(),
            &job.label,
            job.content.as_bytes(),
            effect,
            &job.output.as_str(),
            &job.columns,
            output_hash,
            &look_up(&job.content),
            &job.account.as_ref().map(AccountName::as_str),
            &job.effect.scene,
        ];
        for (value, number) in own.iter().zip(first..) {
            statement.raw_bind_parameter(number, value)?;
        }
    }
    statement.raw_execute()
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

/// Commits changes. One that is refused is told so, having written nothing; where the engine fails, all that was begun has to
/// be undone.
pub(super) fn commit<'a>(
    engine: &mut Engine,
    changes: impl Iterator<Item = &'a Written>,
) -> Result<Vec<Result<(), StoreError>>, StoreError> {
    if engine.read_only {
        return Ok(changes.map(|_| Err(StoreError::ReadOnly)).collect());
    }
    let mut events = Vec::new();
    let mut each = Vec::new();
    let mut step_on = engine.conn.prepare_cached(sql::STEP_ON).map_err(failed)?;
    for written in changes {
        let change = &written.change;
        if update(&engine.conn, &mut step_on, written)? == 0 {
            each.push(Err(refusal(&engine.conn, change.job.id)?));
            continue;
        }
        engine.counts.change(change);
        events.push(written);
        if change.job.state != State::Submitting {
            // The submitter keeps what it is submitting.
            engine.freed.push(change.job.id.0);
        }
        each.push(Ok(()));
    }
    drop(step_on);
    append(&engine.conn, &events)?;
    engine.count_events(events.len());
    Ok(each)
}

/// Writes events, many with one statement.
fn append(conn: &Connection, events: &[&Written]) -> Result<(), StoreError> {
    let (many, few) = events.as_chunks::<{ sql::MANY }>();
    if !many.is_empty() {
        let mut append = conn.prepare_cached(&sql::APPEND_MANY).map_err(failed)?;
        for events in many {
            for (number, written) in events.iter().enumerate() {
                bind_event(&mut append, number, written).map_err(failed)?;
            }
            append.raw_execute().map_err(failed)?;
        }
    }
    let mut append = conn.prepare_cached(sql::APPEND).map_err(failed)?;
    for written in few {
        bind_event(&mut append, 0, written).map_err(failed)?;
        append.raw_execute().map_err(failed)?;
    }
    Ok(())
}

/// Makes an event the row of this number, from 0, in a statement that appends some.
fn bind_event(append: &mut Statement<'_>, number: usize, written: &Written) -> rusqlite::Result<()> {
    let Change { job, event, at, .. } = &written.change;
    let first = number * 4 + 1;
    append.raw_bind_parameter(first, job.id.0)?;
    append.raw_bind_parameter(first + 1, millis(*at))?;
    append.raw_bind_parameter(first + 2, event.name())?;
    append.raw_bind_parameter(first + 3, &written.event)
}

/// Why a job was not there to be changed.
fn refusal(conn: &Connection, job: JobId) -> Result<StoreError, StoreError> {
    let mut standing = conn.prepare_cached(sql::VERSION).map_err(failed)?;
    let found: Option<i64> = standing.query_row([job.0], |row| row.get(0)).optional().map_err(failed)?;
    Ok(match found {
        Some(_) => StoreError::Conflict { job },
        None => StoreError::Damaged(format!("job {job} is missing")),
    })
}

/// Changes a job's row, by `step_on` where the step leaves alone what came from the manifest; the number of rows changed.
fn update(conn: &Connection, step_on: &mut Statement<'_>, written: &Written) -> Result<usize, StoreError> {
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
        attempt.map(|attempt| millis(attempt.started_at)),
    ];
    let Some(effect) = row else { return step_on.execute(step).map_err(failed) };
    let of_row = params![
        job.content.as_bytes(),
        effect,
        job.output.as_str(),
        output_hash(&job.output),
        look_up(&job.content),
        job.account.as_ref().map(AccountName::as_str),
        job.effect.scene,
    ];
    let values: Vec<&dyn ToSql> = step.iter().chain(of_row).copied().collect();
    let mut statement = conn.prepare_cached(sql::CHANGE).map_err(failed)?;
    statement.execute(values.as_slice()).map_err(failed)
}

pub(super) fn writable(engine: &Engine) -> Result<(), StoreError> {
    if engine.read_only { Err(StoreError::ReadOnly) } else { Ok(()) }
}

fn text(path: &Path) -> Result<&str, StoreError> {
    path.to_str().ok_or_else(|| StoreError::Engine(format!("{} is not valid Unicode", path.display()).into()))
}
