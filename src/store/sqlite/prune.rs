//! Old batches: which have ended, and taking one out of the ledger with its history.

use jiff::Timestamp;
use rusqlite::params;

use crate::domain::BatchId;
use crate::store::{Ended, Pruned, StoreError};

use super::engine::Engine;
use super::failure::failed;
use super::{read, rows, sql, write};

pub(super) fn ended(engine: &mut Engine) -> Result<Vec<Ended>, StoreError> {
    read::all(engine, sql::ENDED, [], |row| {
        let last: Option<i64> = row.get(2)?;
        Ok(Ended {
            batch: BatchId(row.get(0)?),
            rows: row.get::<_, i64>(1)?.max(0).cast_unsigned(),
            last_end: last.map(|ms| rows::instant(2, ms)).transpose()?,
        })
    })
}

pub(super) fn prune(engine: &mut Engine, batch: BatchId, before: Timestamp) -> Result<Option<Pruned>, StoreError> {
    write::writable(engine)?;
    let is_old = |ended: &Ended| ended.batch == batch && ended.last_end.is_none_or(|end| end < before);
    if !ended(engine)?.iter().any(is_old) {
        return Ok(None);
    }
    // No other statement may remove events: the trigger is gone only within this transaction.
    engine.conn.execute_batch(sql::UNPROTECT_EVENTS).map_err(failed)?;
    let remove = |statement: &str| engine.conn.execute(statement, params![batch.0]).map_err(failed);
    let events = remove(sql::PRUNE_EVENTS)? as u64;
    let rows = remove(sql::PRUNE_JOBS)? as u64;
    for rest in [sql::PRUNE_GROUPS, sql::PRUNE_SPENDING, sql::PRUNE_BATCH] {
        remove(rest)?;
    }
    engine.conn.execute_batch(sql::PROTECT_EVENTS).map_err(failed)?;
    Ok(Some(Pruned { rows, events }))
}
