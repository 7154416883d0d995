//! `nightreel report`: the gallery of what was made, as a folder that any browser opens. Reads the ledger only, also beside
//! a run; a run writes the same at its end.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::time::Duration;

use serde_json::json;

use crate::config::Settings;
use crate::domain::BatchId;
use crate::pace::Clock;
use crate::report::{Gallery, Place, ReportError};
use crate::store::{Batch, Store};

use super::super::args::{self, Global};
use super::super::exit::Exit;
use super::super::failure::Failure;
use super::super::terminal;
use super::super::wiring::{self, Opened};

/// How long a run may take over its report before it leaves it to `nightreel report`.
const PATIENCE: Duration = Duration::from_secs(5);

/// What becomes of the report at the end of a run.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum AtTheEnd {
    /// It is written.
    Written,
    /// It is brought up to date where there is one.
    Refreshed,
    /// It is left.
    Left,
}

pub(in crate::cli) async fn report(args: &args::Report, global: &Global, settings: &Settings) -> Result<Exit, Failure> {
    let store = wiring::must_read(settings).await?;
    let wanted = wiring::named_batch(store.as_ref(), args.batch.as_deref()).await?.map(|batch| batch.id);
    let batches = batches(store.as_ref(), wanted).await?;
    if batches.is_empty() {
        return Err(Failure::new(Exit::Usage, "the ledger has no rows yet").hint("nightreel run MANIFEST makes some"));
    }
    let now = Clock::system().now();
    let mut written = Vec::new();
    if let Some(folder) = &args.out {
        let folder = wiring::tree(folder)?;
        let sink = wiring::sink(settings, &folder)?;
        written.push(Gallery::write(store.as_ref(), &batches, &Place::at(sink.as_ref(), &folder), now).await?);
    } else {
        for tree in trees(&batches) {
            let sink = wiring::sink(settings, &tree)?;
            let of_tree: Vec<Batch> = batches.iter().filter(|batch| batch.out == tree).cloned().collect();
            let place = Place::of_tree(sink.as_ref(), &tree);
            written.push(Gallery::write(store.as_ref(), &of_tree, &place, now).await?);
        }
    }
    if global.json {
        terminal::json(&json!({ "reports": written }));
    } else if !global.quiet {
        let lines: Vec<String> = written.iter().map(line).collect();
        terminal::tell(&lines.concat());
    }
    Ok(Exit::Done)
}

/// Writes the reports of the output trees in question at the end of a run, and gives them. A failure is told and changes
/// nothing: the ledger has it all.
pub(super) async fn at_the_end(
    opened: &Opened,
    settings: &Settings,
    scope: Option<BatchId>,
    what: AtTheEnd,
    changed: bool,
) -> Vec<PathBuf> {
    let mut written = Vec::new();
    let write = async {
        let trees = trees(&batches(opened.store.as_ref(), scope).await?);
        let all = opened.store.batches().await?;
        for tree in trees {
            let sink = wiring::sink(settings, &tree)?;
            let place = Place::of_tree(sink.as_ref(), &tree);
            let is_there = place.is_there().await?;
            let is_wanted = match what {
                AtTheEnd::Written => true,
                AtTheEnd::Refreshed => is_there,
                AtTheEnd::Left => false,
            };
            if !is_wanted {
                continue;
            }
            if changed || !is_there {
                let of_tree: Vec<Batch> = all.iter().filter(|batch| batch.out == tree).cloned().collect();
                Gallery::write(opened.store.as_ref(), &of_tree, &place, opened.clock.now()).await?;
            }
            written.push(place.index());
        }
        Ok::<(), Failure>(())
    };
    match opened.clock.within(PATIENCE, write).await {
        Some(Ok(())) => {}
        Some(Err(failure)) => {
            terminal::err(&format!("the report was not written:\n{}", failure.text()));
        }
        None => terminal::err("the report would take longer than a run's end should: nightreel report writes it\n"),
    }
    written
}

async fn batches(store: &dyn Store, wanted: Option<BatchId>) -> Result<Vec<Batch>, ReportError> {
    let batches = store.batches().await?;
    Ok(batches.into_iter().filter(|batch| wanted.is_none_or(|wanted| wanted == batch.id)).collect())
}

fn trees(batches: &[Batch]) -> BTreeSet<PathBuf> {
    batches.iter().map(|batch| batch.out.clone()).collect()
}

/// For people.
fn line(gallery: &Gallery) -> String {
    let Gallery { index, rows, shown } = gallery;
    let hidden = rows.saturating_sub(*shown);
    let more = if hidden > 0 {
        format!("; the page shows the {shown} that matter most, results.csv and results.json have all")
    } else {
        String::new()
    };
    let noun = if *rows == 1 { "row" } else { "rows" };
    format!("report: {} ({rows} {noun}{more})\n", near(index).display())
}

/// A path as people would type it here.
pub(super) fn near(path: &Path) -> &Path {
    let here = std::env::current_dir().and_then(|here| here.canonicalize());
    here.ok().and_then(|here| path.strip_prefix(here).ok()).unwrap_or(path)
}
