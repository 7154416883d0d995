//! `nightreel prune`: takes batches out of the ledger that ended long ago. Touches no video; forgets what was paid only where
//! that is said twice.

use std::path::Path;

use comfy_table::{CellAlignment, Table, presets};
use jiff::Timestamp;
use jiff::tz::TimeZone;
use serde::Serialize;

use crate::config::Settings;
use crate::domain::BatchId;
use crate::pace::Clock;
use crate::report;
use crate::report::story::{size, spoken};
use crate::store::sqlite::SqliteStore;
use crate::store::{Store, is_shared};

use super::super::args::{Global, Prune};
use super::super::exit::Exit;
use super::super::failure::Failure;
use super::super::{terminal, wiring};
use super::rescue::span;

/// A batch that is old enough.
#[derive(Debug, Serialize)]
struct Old {
    #[serde(skip)]
    id: BatchId,
    batch: String,
    rows: u64,
    last_end: Option<Timestamp>,
    manifest: std::path::PathBuf,
    /// Why it stays all the same.
    kept: Option<&'static str>,
}

/// What came of it, for programs.
#[derive(Debug, Serialize)]
struct Outcome {
    batches: Vec<Old>,
    /// Whether they were removed, or only shown.
    removed: bool,
    rows: u64,
    events: u64,
    bytes_before: u64,
    bytes_after: u64,
}

pub(in crate::cli) async fn prune(args: &Prune, global: &Global, settings: &Settings) -> Result<Exit, Failure> {
    let now = Clock::system().now();
    let before = before(args, now)?;
    // To show what would go, the ledger is only read.
    let (store, opened) = if args.yes {
        let opened = wiring::must_open(settings).await?;
        (std::sync::Arc::clone(&opened.store), Some(opened))
    } else {
        (wiring::must_read(settings).await?, None)
    };
    let old = old(store.as_ref(), args, before).await?;
    let bytes_before = bytes(&settings.state);
    let mut outcome =
        Outcome { batches: old, removed: args.yes, rows: 0, events: 0, bytes_before, bytes_after: bytes_before };
    if opened.is_some() {
        for old in outcome.batches.iter().filter(|old| old.kept.is_none()) {
            if let Some(pruned) = store.prune(old.id, before).await? {
                outcome.rows += pruned.rows;
                outcome.events += pruned.events;
            }
        }
        store.close().await?;
        drop((store, opened));
        // A database gives room back by itself.
        if outcome.rows > 0 && !is_shared(&settings.state) {
            SqliteStore::compact(&settings.state, now)?;
        }
        outcome.bytes_after = bytes(&settings.state);
    }
    if global.json {
        terminal::json(&outcome);
    } else if !global.quiet {
        terminal::tell(&text(&outcome, now));
    }
    Ok(Exit::Done)
}

/// What ended before this instant is old enough.
fn before(args: &Prune, now: Timestamp) -> Result<Timestamp, Failure> {
    let Some(text) = &args.older_than else {
        // Named, any age will do.
        return Ok(Timestamp::MAX);
    };
    let span = span("--older-than", text)?;
    Ok(now.checked_sub(span).unwrap_or(Timestamp::MIN))
}

/// The batches in question that ended before an instant.
async fn old(store: &dyn Store, args: &Prune, before: Timestamp) -> Result<Vec<Old>, Failure> {
    let wanted = wiring::named_batch(store, args.batch.as_deref()).await?;
    let (batches, ended) = (store.batches().await?, store.ended().await?);
    if let Some(wanted) = &wanted
        && !ended.iter().any(|ended| ended.batch == wanted.id)
    {
        let words = format!("batch {:?} has rows that are not done or failed yet", wanted.name.as_str());
        return Err(Failure::new(Exit::Usage, words)
            .hint("nightreel collect   (fetches what is paid for)")
            .hint(format!("nightreel status --batch {:?}   (tells which)", wanted.name.as_str())));
    }
    let mut old = Vec::new();
    for ended in ended {
        // One without rows is as old as it is said to be, where it is named.
        let is_old = ended.last_end.map_or(wanted.is_some(), |end| end < before);
        let is_wanted = wanted.as_ref().is_none_or(|wanted| wanted.id == ended.batch);
        let Some(batch) = batches.iter().find(|batch| batch.id == ended.batch && is_old && is_wanted) else { continue };
        let paid = store.tally(Some(batch.id)).await?.submissions > 0;
        let kept = (paid && batch.manifest.exists() && !args.forget_paid).then_some("its manifest is still there");
        old.push(Old {
            id: batch.id,
            batch: batch.name.to_string(),
            rows: ended.rows,
            last_end: ended.last_end,
            manifest: batch.manifest.clone(),
            kept,
        });
    }
    Ok(old)
}

/// The ledger's size, with its log of changes.
fn bytes(ledger: &Path) -> u64 {
    let mut log = ledger.as_os_str().to_owned();
    log.push("-wal");
    [ledger, Path::new(&log)].iter().filter_map(|path| std::fs::metadata(path).ok()).map(|about| about.len()).sum()
}

fn text(outcome: &Outcome, now: Timestamp) -> String {
    if outcome.batches.is_empty() {
        return "no batch has ended that long ago\n".to_owned();
    }
    let going = outcome.batches.iter().filter(|old| old.kept.is_none());
    let (batches, rows) = going.fold((0, 0), |(batches, rows), old| (batches + 1, rows + old.rows));
    let mut table = Table::new();
    let verdict = if outcome.removed { "removed" } else { "would go" };
    table.load_style(presets::NOTHING).set_header(["batch", "rows", "ended", "ago", ""]);
    for old in &outcome.batches {
        let ended = old.last_end.map(|end| end.to_zoned_datetime(TimeZone::system()).strftime("%Y-%m-%d").to_string());
        let ago = old.last_end.map_or_else(String::new, |end| spoken(now.duration_since(end)));
        let kept = old.kept.map_or_else(|| verdict.to_owned(), |why| format!("stays: {why}"));
        table.add_row([old.batch.clone(), old.rows.to_string(), ended.unwrap_or_default(), ago, kept]);
    }
    table.column_iter_mut().skip(1).take(1).for_each(|column| column.set_cell_alignment(CellAlignment::Right));
    let mut text = format!("{table}\n");
    if outcome.batches.iter().any(|old| old.kept.is_some()) {
        text.push_str(
            "a batch whose manifest is still there stays: once it is forgotten, a run of that manifest pays for every row \
             again\n  to remove it all the same: --forget-paid\n",
        );
    }
    if outcome.removed {
        let (before, after) = (size(outcome.bytes_before), size(outcome.bytes_after));
        text.push_str(&format!(
            "{} and {} events removed; the ledger had {before}, now {after}; no video was touched\n",
            report::rows(outcome.rows),
            outcome.events
        ));
    } else if batches > 0 {
        text.push_str(&format!(
            "{} of {} would go; nothing was removed yet\nnext: the same command with --yes   \
             (nightreel export FILE first keeps a copy)\n",
            report::rows(rows),
            report::batches(batches)
        ));
    }
    text
}
