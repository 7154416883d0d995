//! The next planned jobs that an account may send: by one short walk in the order in which they are due; where much of what is
//! due may not be sent now, by the head of each scene. Jobs of closed scenes are never walked through.

use jiff::Timestamp;
use rusqlite::params;

use crate::domain::{BatchId, JobId, StateCode};
use crate::store::{Due, StoreError, Wanted};

use super::counts;
use super::engine::Engine;
use super::failure::failed;
use super::read::{self, all, next, next_rows};
use super::rows::millis;
use super::sql;

/// How many jobs that may not be sent now are walked past before the scenes are looked at one by one.
const WALK: i64 = 64;

/// A group of planned jobs: its batch, its scene, and the only account that may send them.
type Planned = (BatchId, String, Option<String>);
/// When a job is due, and its number.
type Head = (i64, i64);

/// Takes up to `limit` planned jobs that are due, earliest first.
pub(super) fn take(engine: &mut Engine, wanted: &Wanted, now: Timestamp, limit: usize) -> Result<Due, StoreError> {
    let batches = if let Some(batch) = wanted.batch {
        vec![batch]
    } else {
        let mut batches: Vec<BatchId> = groups(engine, wanted)?.into_iter().map(|(batch, ..)| batch).collect();
        batches.dedup();
        batches
    };
    let (mut heads, mut more) = (Vec::new(), false);
    let mut due = Due::default();
    for batch in batches {
        let walked = walk(engine, wanted, batch, now, limit)?;
        if walked.heads.is_empty() && !walked.ended {
            let of_batch = Wanted { batch: Some(batch), ..wanted.clone() };
            for group in groups(engine, &of_batch)? {
                heads.extend(of_group(engine, &group, now, limit)?);
            }
        } else {
            more |= !walked.ended;
            heads.extend(walked.heads);
        }
    }
    heads.sort_unstable();
    if heads.is_empty() {
        for (batch, scene, sender) in groups(engine, wanted)? {
            let values = params![batch.0, scene, sender, millis(now), next_rows(engine)];
            next(engine, &mut due, sql::PLANNED_NEXT_OF, values)?;
        }
    }
    if more || heads.len() > limit {
        due.next_at = Some(Timestamp::UNIX_EPOCH);
    }
    for (_, id) in heads.into_iter().take(limit) {
        if let Some(job) = read::job(engine, JobId(id))? {
            engine.taken.insert(id);
            due.jobs.push(job);
        }
    }
    Ok(due)
}

/// The groups of which something is wanted, by batch.
fn groups(engine: &mut Engine, wanted: &Wanted) -> Result<Vec<Planned>, StoreError> {
    // Taking only looks, so that this is undone by nothing.
    counts::settle(engine)?;
    let values = params![wanted.account.as_str(), wanted.batch.map(|batch| batch.0), StateCode::Planned.number()];
    let groups: Vec<Planned> = all(engine, sql::PLANNED_GROUPS, values, |row| {
        let sender: String = row.get(2)?;
        Ok((BatchId(row.get(0)?), row.get(1)?, Some(sender).filter(|sender| !sender.is_empty())))
    })?;
    Ok(groups.into_iter().filter(|(batch, scene, _)| !is_closed(wanted, *batch, scene)).collect())
}

fn is_closed(wanted: &Wanted, batch: BatchId, scene: &str) -> bool {
    wanted.closed.iter().any(|(of, closed)| *of == batch && closed == scene)
}

/// What a walk found: one more job than the limit where there are more.
struct Walked {
    heads: Vec<Head>,
    /// Nothing that is due lies beyond.
    ended: bool,
}

/// The first jobs of a batch that are due and wanted.
fn walk(engine: &Engine, wanted: &Wanted, batch: BatchId, now: Timestamp, limit: usize) -> Result<Walked, StoreError> {
    let enough = limit.saturating_add(1);
    let most = WALK + next_rows(engine) + i64::try_from(enough).unwrap_or(i64::MAX / 2);
    let mut statement = engine.conn.prepare_cached(sql::PLANNED_DUE).map_err(failed)?;
    let mut rows = statement.query(params![batch.0, millis(now), most]).map_err(failed)?;
    let mut heads = Vec::new();
    let mut walked = 0;
    while let Some(row) = rows.next().map_err(failed)? {
        walked += 1;
        let head: Head = (row.get(0).map_err(failed)?, row.get(1).map_err(failed)?);
        let scene = row.get_ref(2).map_err(failed)?.as_str().unwrap_or_default();
        let sender = row.get_ref(3).map_err(failed)?.as_str().ok();
        let may = sender.is_none_or(|sender| sender == wanted.account.as_str());
        if may && !is_closed(wanted, batch, scene) && !engine.taken.contains(&head.1) {
            heads.push(head);
            if heads.len() == enough {
                return Ok(Walked { heads, ended: false });
            }
        }
    }
    Ok(Walked { heads, ended: walked < most })
}

/// The first jobs of a group that are due.
fn of_group(
    engine: &Engine,
    (batch, scene, sender): &Planned,
    now: Timestamp,
    limit: usize,
) -> Result<Vec<Head>, StoreError> {
    let mut statement = engine.conn.prepare_cached(sql::PLANNED_DUE_OF).map_err(failed)?;
    let mut rows = statement.query(params![batch.0, scene, sender, millis(now)]).map_err(failed)?;
    let mut heads = Vec::new();
    while let Some(row) = rows.next().map_err(failed)? {
        let head: Head = (row.get(0).map_err(failed)?, row.get(1).map_err(failed)?);
        if !engine.taken.contains(&head.1) {
            heads.push(head);
            // One more than is wanted says that there is more.
            if heads.len() > limit {
                break;
            }
        }
    }
    Ok(heads)
}
