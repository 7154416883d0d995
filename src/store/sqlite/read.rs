//! What only reads the ledger.

use std::path::Path;
use std::time::Duration;

use jiff::Timestamp;
use rusqlite::{OptionalExtension, Params, params};

use crate::domain::{
    AccountName, Attempt, BatchId, BatchName, Currency, Digest, Job, JobId, Money, OutputKey, Price, RowKey, StateCode,
    Tally,
};
use crate::store::{Account, Batch, Due, Filter, Group, Known, Left, OutputOwner, Recorded, RunEnd, Spent, StoreError};

use super::engine::Engine;
use super::failure::failed;
use super::rows::{self, look_up, millis, output_hash};
use super::sql;

pub(super) fn batches(engine: &mut Engine) -> Result<Vec<Batch>, StoreError> {
    all(engine, sql::BATCHES, [], rows::batch)
}

pub(super) fn accounts(engine: &mut Engine) -> Result<Vec<Account>, StoreError> {
    all(engine, sql::ACCOUNTS, [], rows::account)
}

/// Rows are mostly asked for in the order in which they were admitted. So the jobs behind the last one that was found are
/// walked along, and only a row that does not come next is looked up by its key.
pub(super) fn known(engine: &mut Engine, batch: BatchId, keys: &[RowKey]) -> Result<Vec<Option<Known>>, StoreError> {
    let mut by_key = engine.conn.prepare_cached(sql::KNOWN).map_err(failed)?;
    let mut behind = engine.conn.prepare_cached(sql::KNOWN_FROM).map_err(failed)?;
    let mut known = Vec::with_capacity(keys.len());
    let mut keys = keys.iter().peekable();
    while let Some(key) = keys.next() {
        let found = by_key.query_row(params![batch.0, key.as_bytes()], one_known).optional().map_err(damaged)?;
        let last = found.as_ref().map(|found| found.job);
        known.push(found);
        let (Some(last), Some(_)) = (last, keys.peek()) else { continue };
        let mut walk = behind.query([last.0]).map_err(failed)?;
        while let Some(key) = keys.peek() {
            let Some(row) = walk.next().map_err(failed)? else { break };
            let is_next = row.get::<_, i64>(6).map_err(failed)? == batch.0
                && row.get_ref(7).map_err(failed)?.as_blob().is_ok_and(|found| found == key.as_bytes());
            if !is_next {
                break;
            }
            known.push(Some(one_known(row).map_err(damaged)?));
            keys.next();
        }
    }
    Ok(known)
}

fn one_known(row: &rusqlite::Row<'_>) -> rusqlite::Result<Known> {
    Ok(Known {
        job: JobId(row.get(0)?),
        state: rows::state_code(row, 1)?,
        content: Digest::from_bytes(row.get(2)?),
        output: rows::parse(row, 3, OutputKey::new)?,
        submissions: row.get(4)?,
        account: rows::account_name(row, 5)?,
    })
}

/// Whether there is no job at all, of which much need not be asked.
fn is_empty(engine: &Engine) -> Result<bool, StoreError> {
    let mut statement = engine.conn.prepare_cached(sql::HAS_ANY).map_err(failed)?;
    statement.query_row([], |row| row.get(0)).map(|any: bool| !any).map_err(failed)
}

pub(super) fn output_owners(
    engine: &mut Engine,
    out: &Path,
    asks: &[(Option<BatchId>, RowKey, OutputKey)],
) -> Result<Vec<Option<OutputOwner>>, StoreError> {
    if is_empty(engine)? {
        return Ok(vec![None; asks.len()]);
    }
    let out = out.to_string_lossy();
    let mut statement = engine.conn.prepare_cached(sql::OUTPUT_OWNERS).map_err(failed)?;
    let mut owners = Vec::with_capacity(asks.len());
    for (batch, key, output) in asks {
        let mut found = statement.query(params![output_hash(output), out]).map_err(failed)?;
        let mut owner = None;
        while let Some(row) = found.next().map_err(failed)? {
            let theirs = rows::parse(row, 0, OutputKey::new).map_err(failed)?;
            let itself = Some(BatchId(row.get(3).map_err(failed)?)) == *batch
                && row.get::<_, [u8; 16]>(4).map_err(failed)? == *key.as_bytes();
            if !itself && theirs.folded() == output.folded() {
                let batch = rows::parse(row, 2, BatchName::new).map_err(failed)?;
                owner = Some(OutputOwner { batch, label: row.get(1).map_err(failed)? });
            }
        }
        owners.push(owner);
    }
    Ok(owners)
}

pub(super) fn paid_elsewhere(engine: &mut Engine, contents: &[Digest]) -> Result<Vec<Option<BatchName>>, StoreError> {
    if is_empty(engine)? {
        return Ok(vec![None; contents.len()]);
    }
    let mut statement = engine.conn.prepare_cached(sql::PAID_ELSEWHERE).map_err(failed)?;
    let mut paid = Vec::with_capacity(contents.len());
    for content in contents {
        let mut found = statement.query(params![look_up(content)]).map_err(failed)?;
        let mut elsewhere = None;
        while let Some(row) = found.next().map_err(failed)? {
            if row.get::<_, [u8; 32]>(1).map_err(failed)? == *content.as_bytes() {
                elsewhere = Some(rows::parse(row, 0, BatchName::new).map_err(failed)?);
            }
        }
        paid.push(elsewhere);
    }
    Ok(paid)
}

pub(super) fn take_due(
    engine: &mut Engine,
    state: StateCode,
    account: &AccountName,
    now: Timestamp,
    limit: usize,
) -> Result<Due, StoreError> {
    let mut due = Due::default();
    let (account, code) = (account.as_str(), state.number());
    take(engine, &mut due, sql::OPEN_DUE, params![account, code, millis(now)], limit)?;
    next(engine, &mut due, sql::OPEN_NEXT, params![account, code, millis(now), next_rows(engine)])?;
    Ok(due)
}

pub(super) fn take_ready(engine: &mut Engine, now: Timestamp, limit: usize) -> Result<Due, StoreError> {
    let mut due = Due::default();
    take(engine, &mut due, sql::READY_DUE, params![millis(now)], limit)?;
    next(engine, &mut due, sql::READY_NEXT, params![millis(now), next_rows(engine)])?;
    Ok(due)
}

/// Takes jobs until `limit` is met. One that is due and stays behind is next at once.
fn take(
    engine: &mut Engine,
    due: &mut Due,
    statement: &str,
    values: impl Params,
    limit: usize,
) -> Result<(), StoreError> {
    let Engine { conn, taken, .. } = engine;
    let mut statement = conn.prepare_cached(statement).map_err(failed)?;
    let mut found = statement.query(values).map_err(failed)?;
    while let Some(row) = found.next().map_err(failed)? {
        if taken.contains(&row.get::<_, i64>(0).map_err(failed)?) {
            continue;
        }
        if due.jobs.len() >= limit {
            due.next_at = Some(Timestamp::UNIX_EPOCH);
            break;
        }
        let job = rows::job(row).map_err(damaged)?;
        taken.insert(job.id.0);
        due.jobs.push(job);
    }
    Ok(())
}

pub(super) fn next(engine: &Engine, due: &mut Due, statement: &str, values: impl Params) -> Result<(), StoreError> {
    let mut statement = engine.conn.prepare_cached(statement).map_err(failed)?;
    let mut found = statement.query(values).map_err(failed)?;
    while let Some(row) = found.next().map_err(failed)? {
        if !engine.taken.contains(&row.get::<_, i64>(0).map_err(failed)?) {
            let at = rows::instant(1, row.get(1).map_err(failed)?).map_err(damaged)?;
            due.next_at = Some(due.next_at.map_or(at, |before| before.min(at)));
            break;
        }
    }
    Ok(())
}

/// Enough rows to find one among them that is not taken.
pub(super) fn next_rows(engine: &Engine) -> i64 {
    i64::try_from(engine.taken.len()).unwrap_or(i64::MAX - 1) + 1
}

pub(super) fn job(engine: &mut Engine, id: JobId) -> Result<Option<Job>, StoreError> {
    let mut statement = engine.conn.prepare_cached(sql::JOB).map_err(failed)?;
    statement.query_row([id.0], rows::job).optional().map_err(damaged)
}

pub(super) fn jobs(engine: &mut Engine, filter: &Filter, after: JobId, limit: usize) -> Result<Vec<Job>, StoreError> {
    const TROUBLED: [StateCode; 3] = [StateCode::Failed, StateCode::Held, StateCode::Stuck];
    let mask = filter.states.iter().fold(0_i64, |mask, state| mask | 1 << state.number());
    let troubled = mask != 0 && filter.states.iter().all(|state| TROUBLED.contains(state));
    let statement = if troubled { sql::JOBS_TROUBLED } else { sql::JOBS };
    let limit = i64::try_from(limit).unwrap_or(i64::MAX);
    let values = params![after.0, filter.batch.map(|batch| batch.0), mask, filter.named, limit];
    all(engine, statement, values, rows::job)
}

pub(super) fn newest(engine: &mut Engine, limit: usize) -> Result<Vec<Job>, StoreError> {
    let stored: Vec<i64> = all(engine, sql::NEWEST, [i64::try_from(limit).unwrap_or(i64::MAX)], |row| row.get(0))?;
    let mut newest = Vec::with_capacity(stored.len());
    for id in stored {
        newest.extend(job(engine, JobId(id))?.filter(|job| job.state.code() == StateCode::Done));
    }
    Ok(newest)
}

pub(super) fn tally(engine: &mut Engine, batch: Option<BatchId>) -> Result<Tally, StoreError> {
    counted(engine, sql::TALLY, params![batch.map(|batch| batch.0)])
}

pub(super) fn open_of(engine: &mut Engine, account: &AccountName) -> Result<Tally, StoreError> {
    counted(engine, sql::OPEN_OF, params![account.as_str()])
}

fn counted(engine: &Engine, statement: &str, values: impl Params) -> Result<Tally, StoreError> {
    let read = |row: &rusqlite::Row<'_>| Ok((row.get::<_, i64>(0)?, row.get::<_, i64>(1)?, row.get::<_, f64>(2)?));
    let mut tally = Tally::default();
    for (state, jobs, submissions) in all(engine, statement, values, read)? {
        let code = StateCode::from_number(state)
            .ok_or_else(|| StoreError::Damaged(format!("the unknown state {state} is counted")))?;
        #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "a count, far below 2^52")]
        tally.add(code, jobs.max(0).cast_unsigned(), submissions.max(0.0) as u64);
    }
    Ok(tally)
}

pub(super) fn left(engine: &mut Engine, accounts: &[AccountName], batch: Option<BatchId>) -> Result<Left, StoreError> {
    let mut left = Left { ready: tally(engine, None)?.ready, ..Left::default() };
    for account in accounts {
        let open = open_of(engine, account)?;
        left.at_remote.push(open.submitting + open.waiting);
    }
    left.planned = groups(engine, batch)?.into_iter().filter(|group| group.state == StateCode::Planned).collect();
    Ok(left)
}

pub(super) fn groups(engine: &mut Engine, batch: Option<BatchId>) -> Result<Vec<Group>, StoreError> {
    all(engine, sql::GROUPS, params![batch.map(|batch| batch.0)], group)
}

pub(super) fn open_groups(engine: &mut Engine, account: &AccountName) -> Result<Vec<Group>, StoreError> {
    all(engine, sql::OPEN_GROUPS, params![account.as_str()], group)
}

/// A group from the columns batch, scene, sender, state, jobs, submissions.
fn group(row: &rusqlite::Row<'_>) -> rusqlite::Result<Group> {
    Ok(Group {
        batch: BatchId(row.get(0)?),
        scene: row.get(1)?,
        sender: rows::account_name(row, 2)?,
        state: rows::state_code(row, 3)?,
        jobs: row.get::<_, i64>(4)?.max(0).cast_unsigned(),
        submissions: row.get::<_, i64>(5)?.max(0).cast_unsigned(),
    })
}

pub(super) fn spent(engine: &mut Engine, batch: Option<BatchId>) -> Result<Vec<Spent>, StoreError> {
    all(engine, sql::SPENT, params![batch.map(|batch| batch.0)], |row| {
        let currency: String = row.get(1)?;
        let price = if currency.is_empty() {
            None
        } else {
            let amount = Money::from_micros(row.get::<_, i64>(2)?.max(0).cast_unsigned());
            Some(Price { amount, currency: rows::parse(row, 1, Currency::new)? })
        };
        let requests = row.get::<_, i64>(3)?.max(0).cast_unsigned();
        Ok(Spent { account: rows::parse(row, 0, AccountName::new)?, price, requests })
    })
}

pub(super) fn open_before(
    engine: &mut Engine,
    account: &AccountName,
    before: Timestamp,
    limit: usize,
) -> Result<Vec<Job>, StoreError> {
    let limit = i64::try_from(limit).unwrap_or(i64::MAX);
    all(engine, sql::OPEN_BEFORE, params![account.as_str(), millis(before), limit], rows::job)
}

pub(super) fn history(engine: &mut Engine, job: JobId) -> Result<Vec<Recorded>, StoreError> {
    all(engine, sql::HISTORY, [job.0], |row| {
        Ok(Recorded { seq: row.get(0)?, at: rows::instant(1, row.get(1)?)?, event: rows::read(row, 2)? })
    })
}

pub(super) fn once_called(engine: &mut Engine, name: &str, limit: usize) -> Result<Vec<JobId>, StoreError> {
    let limit = i64::try_from(limit).unwrap_or(i64::MAX);
    all(engine, sql::ONCE_CALLED, params![name, limit], |row| Ok(JobId(row.get(0)?)))
}

pub(super) fn recent_durations(
    engine: &mut Engine,
    account: &AccountName,
    limit: usize,
) -> Result<Vec<Duration>, StoreError> {
    let limit = i64::try_from(limit).unwrap_or(i64::MAX);
    let took: Vec<i64> = all(engine, sql::RECENT, params![account.as_str(), limit], |row| row.get(0))?;
    Ok(took.into_iter().map(|ms| Duration::from_millis(ms.max(0).cast_unsigned())).collect())
}

pub(super) fn last_run(engine: &mut Engine, batch: Option<BatchId>) -> Result<Option<RunEnd>, StoreError> {
    let runs = all(engine, sql::LAST_RUN, params![batch.map(|batch| batch.0)], |row| {
        Ok(RunEnd {
            batch: row.get::<_, Option<i64>>(0)?.map(BatchId),
            at: rows::instant(1, row.get(1)?)?,
            exit_code: row.get(2)?,
            submitted: row.get::<_, i64>(3)?.max(0).cast_unsigned(),
            notes: rows::read(row, 4)?,
        })
    })?;
    Ok(runs.into_iter().next())
}

pub(super) fn recent_task(
    engine: &mut Engine,
    account: &AccountName,
    since: Timestamp,
    before: Timestamp,
) -> Result<Option<Attempt>, StoreError> {
    let values = params![account.as_str(), millis(since), millis(before)];
    Ok(all(engine, sql::RECENT_TASK, values, |row| rows::read(row, 0))?.into_iter().next())
}

pub(super) fn all<T>(
    engine: &Engine,
    statement: &str,
    values: impl Params,
    read: impl FnMut(&rusqlite::Row<'_>) -> rusqlite::Result<T>,
) -> Result<Vec<T>, StoreError> {
    let mut statement = engine.conn.prepare_cached(statement).map_err(failed)?;
    let found = statement.query_map(values, read).map_err(failed)?;
    found.collect::<Result<_, _>>().map_err(damaged)
}

/// A row that cannot be read is damage; anything else is the engine's.
fn damaged(error: rusqlite::Error) -> StoreError {
    match error {
        rusqlite::Error::FromSqlConversionFailure(..)
        | rusqlite::Error::InvalidColumnType(..)
        | rusqlite::Error::IntegralValueOutOfRange(..) => StoreError::Damaged(error.to_string()),
        other => failed(other),
    }
}
