//! Between rows and jobs: what a column holds, and what is wrong with a ledger whose columns hold something else.

use jiff::Timestamp;
use tokio_postgres::Row;
use tokio_postgres::types::FromSql;

use crate::domain::{AccountName, BatchId, BatchName, Digest, Job, JobId, OutputKey, RowKey, StateCode};
use crate::store::{Account, Batch, Group, StoreError};

pub(super) use crate::store::columns::{json, look_up, millis, output_hash};

/// Bytes as text, for what is given as JSON.
pub(super) fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

/// A column.
pub(super) fn get<'a, T: FromSql<'a>>(row: &'a Row, column: usize) -> Result<T, StoreError> {
    row.try_get(column).map_err(|why| StoreError::Damaged(why.to_string()))
}

/// A count.
pub(super) fn count(row: &Row, column: usize) -> Result<u64, StoreError> {
    Ok(get::<i64>(row, column)?.max(0).cast_unsigned())
}

/// A column that holds JSON.
pub(super) fn read<T: serde::de::DeserializeOwned>(row: &Row, column: usize) -> Result<T, StoreError> {
    serde_json::from_str(get(row, column)?).map_err(damaged)
}

/// A column that holds a validated text.
pub(super) fn parse<T, E: std::error::Error>(
    row: &Row,
    column: usize,
    make: impl FnOnce(String) -> Result<T, E>,
) -> Result<T, StoreError> {
    make(get(row, column)?).map_err(damaged)
}

/// A column that holds bytes of a certain number.
pub(super) fn bytes<const N: usize>(row: &Row, column: usize) -> Result<[u8; N], StoreError> {
    get::<&[u8]>(row, column)?.try_into().map_err(damaged)
}

/// An instant from its milliseconds.
pub(super) fn instant(ms: i64) -> Result<Timestamp, StoreError> {
    Timestamp::from_millisecond(ms).map_err(damaged)
}

/// The name of an account, or nothing.
pub(super) fn account_name(row: &Row, column: usize) -> Result<Option<AccountName>, StoreError> {
    match get::<Option<String>>(row, column)? {
        Some(name) if !name.is_empty() => AccountName::new(name).map(Some).map_err(damaged),
        Some(_) | None => Ok(None),
    }
}

/// A state from its number.
pub(super) fn state_code(row: &Row, column: usize) -> Result<StateCode, StoreError> {
    let number: i16 = get(row, column)?;
    StateCode::from_number(number.into()).ok_or_else(|| StoreError::Damaged(format!("the unknown state {number}")))
}

/// A job from the columns of `readable`, which come first.
pub(super) fn job(row: &Row) -> Result<Job, StoreError> {
    let attempt: Option<&str> = get(row, 9)?;
    let finished_at: Option<i64> = get(row, 12)?;
    Ok(Job {
        id: JobId(get(row, 0)?),
        batch: BatchId(get(row, 1)?),
        key: RowKey::from_bytes(bytes(row, 2)?),
        label: get(row, 3)?,
        content: Digest::from_bytes(bytes(row, 4)?),
        effect: read(row, 5)?,
        output: parse(row, 6, OutputKey::new)?,
        columns: get(row, 7)?,
        account: account_name(row, 13)?,
        state: read(row, 8)?,
        attempt: attempt.map(serde_json::from_str).transpose().map_err(damaged)?,
        submissions: u32::try_from(get::<i64>(row, 10)?).map_err(damaged)?,
        version: get::<i64>(row, 11)?.cast_unsigned(),
        finished_at: finished_at.map(instant).transpose()?,
    })
}

/// A batch from the columns id, name, out, columns, manifest.
pub(super) fn batch(row: &Row) -> Result<Batch, StoreError> {
    Ok(Batch {
        id: BatchId(get(row, 0)?),
        name: parse(row, 1, BatchName::new)?,
        out: get::<String>(row, 2)?.into(),
        columns: read(row, 3)?,
        manifest: get::<String>(row, 4)?.into(),
    })
}

/// An account from the columns name, gateway, `base_url`. Its pace is kept by `paces`.
pub(super) fn account(row: &Row) -> Result<Account, StoreError> {
    Ok(Account {
        name: parse(row, 0, AccountName::new)?,
        gateway: get(row, 1)?,
        base_url: get(row, 2)?,
        last_submit_at: None,
    })
}

/// A group from the columns batch, scene, sender, state, jobs, submissions, the first of which is at `from`.
pub(super) fn group(row: &Row, from: usize) -> Result<Group, StoreError> {
    Ok(Group {
        batch: BatchId(get(row, from)?),
        scene: get(row, from + 1)?,
        sender: account_name(row, from + 2)?,
        state: state_code(row, from + 3)?,
        jobs: count(row, from + 4)?,
        submissions: count(row, from + 5)?,
    })
}

/// Each row, read.
pub(super) fn each<T>(rows: &[Row], read: impl Fn(&Row) -> Result<T, StoreError>) -> Result<Vec<T>, StoreError> {
    rows.iter().map(read).collect()
}

pub(super) fn damaged(why: impl std::fmt::Display) -> StoreError {
    StoreError::Damaged(why.to_string())
}
