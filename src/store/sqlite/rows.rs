//! Between rows and jobs: what a column holds, and what is wrong with a ledger whose columns hold something else.

use jiff::Timestamp;
use rusqlite::Row;
use rusqlite::types::Type;

use crate::domain::{AccountName, BatchId, BatchName, Digest, Job, JobId, OutputKey, RowKey, StateCode};
use crate::store::{Account, Batch};

pub(super) use crate::store::columns::{json, look_up, millis, output_hash};

/// A job from the columns id, batch, key, label, content, effect, output, columns, detail, attempt, submissions, version,
/// `finished_at`, `wanted_account`.
pub(super) fn job(row: &Row<'_>) -> rusqlite::Result<Job> {
    let attempt: Option<String> = row.get(9)?;
    let finished_at: Option<i64> = row.get(12)?;
    Ok(Job {
        id: JobId(row.get(0)?),
        batch: BatchId(row.get(1)?),
        key: RowKey::from_bytes(row.get(2)?),
        label: row.get(3)?,
        content: Digest::from_bytes(row.get(4)?),
        effect: read(row, 5)?,
        output: parse(row, 6, OutputKey::new)?,
        columns: row.get(7)?,
        account: account_name(row, 13)?,
        state: read(row, 8)?,
        attempt: attempt.map(|text| serde_json::from_str(&text)).transpose().map_err(|error| bad(9, error))?,
        submissions: row.get(10)?,
        version: row.get::<_, i64>(11)?.cast_unsigned(),
        finished_at: finished_at.map(|ms| instant(12, ms)).transpose()?,
    })
}

/// The name of an account, or nothing.
pub(super) fn account_name(row: &Row<'_>, column: usize) -> rusqlite::Result<Option<AccountName>> {
    match row.get::<_, Option<String>>(column)? {
        Some(name) if !name.is_empty() => AccountName::new(name).map(Some).map_err(|error| bad(column, error)),
        Some(_) | None => Ok(None),
    }
}

/// A state from its number.
pub(super) fn state_code(row: &Row<'_>, column: usize) -> rusqlite::Result<StateCode> {
    let number: i64 = row.get(column)?;
    StateCode::from_number(number).ok_or(rusqlite::Error::IntegralValueOutOfRange(column, number))
}

/// A batch from the columns id, name, out, columns, manifest.
pub(super) fn batch(row: &Row<'_>) -> rusqlite::Result<Batch> {
    Ok(Batch {
        id: BatchId(row.get(0)?),
        name: parse(row, 1, BatchName::new)?,
        out: row.get::<_, String>(2)?.into(),
        columns: read(row, 3)?,
        manifest: row.get::<_, String>(4)?.into(),
    })
}

/// An account from the columns name, gateway, `base_url`, `last_submit_at`.
pub(super) fn account(row: &Row<'_>) -> rusqlite::Result<Account> {
    let last: Option<i64> = row.get(3)?;
    Ok(Account {
        name: parse(row, 0, AccountName::new)?,
        gateway: row.get(1)?,
        base_url: row.get(2)?,
        last_submit_at: last.map(|ms| instant(3, ms)).transpose()?,
    })
}

/// An instant from its milliseconds.
pub(super) fn instant(column: usize, ms: i64) -> rusqlite::Result<Timestamp> {
    Timestamp::from_millisecond(ms).map_err(|error| bad(column, error))
}

/// A column that holds JSON.
pub(super) fn read<T: serde::de::DeserializeOwned>(row: &Row<'_>, column: usize) -> rusqlite::Result<T> {
    let text = row.get_ref(column)?.as_str()?;
    serde_json::from_str(text).map_err(|error| bad(column, error))
}

/// A column that holds a validated text.
pub(super) fn parse<T, E: std::error::Error + Send + Sync + 'static>(
    row: &Row<'_>,
    column: usize,
    make: impl FnOnce(String) -> Result<T, E>,
) -> rusqlite::Result<T> {
    make(row.get(column)?).map_err(|error| bad(column, error))
}

fn bad(column: usize, error: impl std::error::Error + Send + Sync + 'static) -> rusqlite::Error {
    rusqlite::Error::FromSqlConversionFailure(column, Type::Text, Box::new(error))
}
