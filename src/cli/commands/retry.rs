//! `nightreel retry`: failed rows are planned again, each as a new attempt. Sends nothing: the next run does.

use serde_json::json;

use crate::config::Settings;
use crate::domain::{BatchId, FailureCause, Job, JobEvent, JobId, State, StateCode};
use crate::report::rows;
use crate::store::{Filter, Pages, Store};

use super::super::args::{Global, Retry};
use super::super::exit::Exit;
use super::super::failure::Failure;
use super::super::{near, terminal, wiring};

/// Jobs that are planned again at a time.
const PAGE: usize = 500;

pub(in crate::cli) async fn retry(args: &Retry, global: &Global, settings: &Settings) -> Result<Exit, Failure> {
    let opened = wiring::must_open(settings).await?;
    let store = opened.store.as_ref();
    let batch = wiring::named_batch(store, args.batch.as_deref()).await?.map(|batch| batch.id);
    let mut planned = Vec::new();
    if args.all {
        let mut pages = Pages::of(store, failed(batch, None), PAGE);
        while let Some(failed) = pages.next().await? {
            // What a person gave up is taken up by name only.
            for job in failed.into_iter().filter(|job| job.state != State::Failed { cause: FailureCause::Dropped }) {
                opened.ledger.record(&job, JobEvent::RetryAsked).await?;
                planned.push(job.label);
            }
        }
    } else {
        // All are found before any is changed.
        let mut jobs = Vec::new();
        for row in &args.rows {
            jobs.extend(named(store, batch, row).await?);
        }
        for job in jobs {
            opened.ledger.record(&job, JobEvent::RetryAsked).await?;
            planned.push(job.label);
        }
    }
    if global.json {
        terminal::json(&json!({ "planned": planned.len(), "rows": planned }));
    } else if !global.quiet {
        let next = if planned.is_empty() { "" } else { "next: nightreel run   (sends them, and pays for each)\n" };
        let verb = if planned.len() == 1 { "is" } else { "are" };
        terminal::tell(&format!("{} {verb} planned again\n{next}", rows(planned.len() as u64)));
    }
    Ok(Exit::Done)
}

async fn named(store: &dyn Store, batch: Option<BatchId>, row: &str) -> Result<Vec<Job>, Failure> {
    let found = store.jobs(failed(batch, Some(row.to_owned())), JobId(0), PAGE).await?;
    if found.is_empty() {
        let failure = Failure::new(Exit::Usage, format!("no row named {row:?} has failed"));
        let meant = near::row(store, failed(batch, None), row).await?.map(|meant| format!("did you mean {meant:?}?"));
        return Err(meant.into_iter().fold(failure, Failure::hint).hint("`nightreel status` lists those that have"));
    }
    Ok(found)
}

fn failed(batch: Option<BatchId>, named: Option<String>) -> Filter {
    Filter { batch, states: vec![StateCode::Failed], named }
}
