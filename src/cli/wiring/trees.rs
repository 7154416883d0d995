//! Output trees, as they are named and as sinks.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use futures::future::BoxFuture;

use crate::cli::failure::Failure;
use crate::config::Settings;
use crate::domain::Tally;
use crate::pace::Clock;
use crate::pipeline::{LaneSettings, Stages};
use crate::sink::{self, Address, OpenError, Sink, SinkError, UnusableSink};
use crate::store;

use super::images::must_be_lent;
use super::{Opened, absolute};

/// The sink of an output tree.
pub(in crate::cli) fn sink(settings: &Settings, out: &Path) -> Result<Arc<dyn Sink>, Failure> {
    Ok(sink::open(out, &sink::spool(&store::beside(&settings.state)))?)
}

/// Holds it to it that something can be put into an output tree; one that cannot be reached for the moment is tried again for
/// a while.
pub(in crate::cli) async fn must_be_ready(sink: &dyn Sink, clock: &Clock) -> Result<(), Failure> {
    patiently(|| sink.ready(), clock).await
}

/// Holds it to it that something can be put into the tree of every batch of which rows are left, as `left` counts them, and that
/// pictures can be lent where some are to be sent.
pub(in crate::cli) async fn must_be_ready_for_all(
    opened: &Opened,
    settings: &Settings,
    lanes: &[LaneSettings],
    left: fn(&Tally) -> u64,
) -> Result<(), Failure> {
    for batch in opened.store.batches().await? {
        let tally = opened.store.tally(Some(batch.id)).await?;
        if tally.planned > 0 && settings.stages != Stages::Collect {
            must_be_lent(lanes, &opened.clock).await?;
        }
        if left(&tally) > 0 {
            must_be_ready(sink(settings, &batch.out)?.as_ref(), &opened.clock).await?;
        }
    }
    Ok(())
}

/// Asks again for a while whether a store is ready, where it cannot be reached.
pub(super) async fn patiently<'a, T>(
    is_ready: impl Fn() -> BoxFuture<'a, Result<T, SinkError>>,
    clock: &Clock,
) -> Result<T, Failure> {
    for wait in [2, 5, 15, 30] {
        match is_ready().await {
            Err(SinkError::Unreachable { .. }) => clock.sleep(Duration::from_secs(wait)).await,
            other => return Ok(other?),
        }
    }
    Ok(is_ready().await?)
}

/// An output tree as the ledger names it: an absolute path, or an address in an object store, written in the one way.
pub(in crate::cli) fn tree(out: &Path) -> Result<PathBuf, Failure> {
    match Address::of(out).map_err(OpenError::from)? {
        Some(address) => Ok(address.to_string().into()),
        None => absolute(out),
    }
}

/// Makes the sink of any tree: one that this nightreel cannot go to refuses the first video that goes there, and stops the run.
pub(super) fn any(settings: &Settings) -> impl Fn(PathBuf) -> Arc<dyn Sink> + Send + Sync + 'static {
    let spool = sink::spool(&store::beside(&settings.state));
    move |out| {
        sink::open(&out, &spool).unwrap_or_else(|why| Arc::new(UnusableSink::new(out.display().to_string(), why)))
    }
}
