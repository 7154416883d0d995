//! Many rows at once. The look-up tables by output name and by content are in the order of digests: each row that is admitted
//! changes a page of each, anywhere, and once a table is larger than what is held in memory, most of them have to be fetched
//! and written for it. Where a ledger grows to twice its size or more, it is much less work to make them anew at the end.
//!
//! A process that is killed in between leaves a ledger without them; the next one that opens it to work on it makes them.

use crate::store::StoreError;

use super::engine::{Engine, failed};
use super::sql;
use super::write::writable;

/// Fewer rows are not worth it.
const MANY: u64 = 50_000;

/// Leaves the look-up tables out, where that pays.
pub(super) fn begin(engine: &mut Engine, rows: u64) -> Result<(), StoreError> {
    writable(engine)?;
    let there: i64 = engine.conn.query_row(sql::ROWS, [], |row| row.get(0)).map_err(failed)?;
    if rows >= MANY && rows >= there.max(0).cast_unsigned() {
        engine.conn.execute_batch(sql::DROP_LOOK_UPS).map_err(failed)?;
        engine.conn.execute_batch(sql::MORE_ROOM).map_err(failed)?;
    }
    Ok(())
}

/// Makes them, unless they are there.
pub(super) fn end(engine: &mut Engine) -> Result<(), StoreError> {
    writable(engine)?;
    engine.conn.execute_batch(sql::USUAL_ROOM).map_err(failed)?;
    engine.conn.execute_batch(sql::LOOK_UPS).map_err(failed)
}
