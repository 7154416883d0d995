//! Many rows at once. The tables that rows are found by, by key, output name and content, are in the order of digests: each row
//! that is admitted changes a page of each, anywhere, and once they are larger than what is held in memory, most of those pages
//! have to be fetched and written for it, again in each transaction. Where a ledger grows to twice its size or more, it is much
//! less work to make them anew at the end, sorted.
//!
//! All of it is one transaction: who reads the ledger meanwhile, and who opens it after the process was killed, finds it as it was
//! before. Whatever else changes the ledger ends it first.

use rusqlite::ErrorCode;

use crate::domain::BatchId;
use crate::store::StoreError;

use super::counts::{self, Counts};
use super::engine::Engine;
use super::failure::failed;
use super::sql;
use super::write::writable;

/// Fewer rows are not worth it.
const MANY: u64 = 50_000;

/// Where admitting many rows stands.
#[derive(Debug, Default)]
pub(super) enum Bulk {
    /// Nothing of the kind is under way.
    #[default]
    No,
    /// It begins once the present transaction is committed.
    Wanted(Keys),
    /// The present transaction is its own.
    On(Keys),
    /// It was ended, and nothing of it was kept.
    Lost(StoreError),
}

/// Whether rows are looked for by their keys as they are admitted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Keys {
    /// They are: a row that the batch has is left as it is.
    Looked,
    /// The batch has none yet: that all are different is found out at the end.
    Sorted,
}

/// Begins, where that pays.
pub(super) fn want(engine: &mut Engine, batch: BatchId, rows: u64) -> Result<(), StoreError> {
    writable(engine)?;
    let there: i64 = engine.conn.query_row(sql::ROWS, [], |row| row.get(0)).map_err(failed)?;
    if rows >= MANY && rows >= there.max(0).cast_unsigned() {
        let has_rows: bool = engine.conn.query_row(sql::HAS_ROWS, [batch.0], |row| row.get(0)).map_err(failed)?;
        engine.bulk = Bulk::Wanted(if has_rows { Keys::Looked } else { Keys::Sorted });
    }
    Ok(())
}

/// What became of it.
pub(super) fn outcome(engine: &mut Engine) -> Result<(), StoreError> {
    writable(engine)?;
    match std::mem::take(&mut engine.bulk) {
        Bulk::Lost(failure) => Err(failure),
        Bulk::No | Bulk::Wanted(_) | Bulk::On(_) => Ok(()),
    }
}

/// Opens its transaction, where it was wanted. Where that fails, rows are admitted as ever.
pub(super) fn begin(engine: &mut Engine) {
    let Bulk::Wanted(keys) = engine.bulk else { return };
    engine.bulk = Bulk::No;
    let begin = || {
        engine.conn.execute_batch(sql::SORT_ON_DISK)?;
        engine.conn.execute_batch(sql::BEGIN)?;
        engine.conn.execute_batch(sql::DROP_LOOK_UPS)?;
        if keys == Keys::Sorted { engine.conn.execute_batch(sql::DROP_KEYS) } else { Ok(()) }
    };
    match begin() {
        Ok(()) => engine.bulk = Bulk::On(keys),
        Err(_) => finish(engine),
    }
}

/// Makes what was left out and commits. Where that fails, nothing of it is kept, which [`outcome`] tells.
pub(super) fn end(engine: &mut Engine) {
    let Bulk::On(keys) = engine.bulk else { return };
    let keys = match keys {
        _ if !engine.is_in_place() => Err(StoreError::Gone),
        _ if engine.conn.is_autocommit() => Err(StoreError::Full),
        _ if engine.miscounted => Err(StoreError::Engine("what was counted could not be written".into())),
        Keys::Sorted => engine.conn.execute_batch(sql::KEYS).map_err(twice),
        Keys::Looked => Ok(()),
    };
    let made = keys
        .and_then(|()| engine.conn.execute_batch(sql::LOOK_UPS).map_err(failed))
        .and_then(|()| counts::settle(engine))
        .and_then(|()| engine.conn.execute_batch(sql::COMMIT).map_err(failed));
    engine.bulk = match made {
        Ok(()) => Bulk::No,
        Err(failure) => Bulk::Lost(failure),
    };
    (engine.counts, engine.miscounted) = (Counts::default(), false);
    finish(engine);
}

/// What it means that keys could not be made.
fn twice(error: rusqlite::Error) -> StoreError {
    match error.sqlite_error_code() {
        Some(ErrorCode::ConstraintViolation) => {
            StoreError::Engine("a row was to be admitted twice: the manifest changed while it was read".into())
        }
        _ => failed(error),
    }
}

fn finish(engine: &Engine) {
    engine.roll_back();
    // It holds as long as the ledger is open; to be sorted elsewhere does no harm.
    drop(engine.conn.execute_batch(sql::SORT_IN_MEMORY));
}
