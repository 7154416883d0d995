//! `nightreel resolve`: a person settles rows that are held, stuck or in doubt.

use serde_json::json;

use crate::config::Settings;
use crate::domain::{Job, JobEvent, JobId, StateCode, TaskId, Verdict};
use crate::report::rows;
use crate::store::{Filter, Pages, Store};

use super::super::args::{Global, Resolve};
use super::super::exit::Exit;
use super::super::failure::Failure;
use super::super::{near, terminal, wiring};

/// Jobs that are settled at a time.
const PAGE: usize = 500;

pub(in crate::cli) async fn resolve(args: &Resolve, global: &Global, settings: &Settings) -> Result<Exit, Failure> {
    let verdict = match (&args.made, args.not_made) {
        (Some(task), _) => Verdict::Made(TaskId::new(task.trim())?),
        (None, true) => Verdict::NotMade,
        (None, false) => Verdict::Drop,
    };
    let opened = wiring::must_open(settings).await?;
    let store = opened.store.as_ref();
    let batch = wiring::named_batch(store, args.batch.as_deref()).await?.map(|batch| batch.id);
    let mut settled = Vec::new();
    if let Some(row) = &args.row {
        let states = vec![StateCode::Held, StateCode::Stuck, StateCode::InDoubt];
        let found = find(store, Filter { batch, states, named: Some(row.clone()) }, row).await?;
        settled.push(found.label.clone());
        opened.ledger.record(&found, JobEvent::Resolved { verdict }).await?;
    } else {
        let mut pages = Pages::of(store, Filter { batch, states: vec![StateCode::Held], named: None }, PAGE);
        while let Some(held) = pages.next().await? {
            for job in held {
                opened.ledger.record(&job, JobEvent::Resolved { verdict: verdict.clone() }).await?;
                settled.push(job.label);
            }
        }
    }
    if global.json {
        terminal::json(&json!({ "resolved": settled.len(), "rows": settled }));
    } else if !global.quiet {
        let next = match (&args.made, args.not_made) {
            (Some(_), _) => "next: nightreel collect   (fetches the video)",
            (None, true) => "next: nightreel run   (sends them)",
            (None, false) => "they are given up; nightreel retry ROW takes one up again",
        };
        if settled.is_empty() {
            terminal::tell("no row is held; rows in doubt are still being looked for: nightreel status\n");
        } else {
            terminal::tell(&format!("{} settled\n{next}\n", rows(settled.len() as u64)));
        }
    }
    Ok(Exit::Done)
}

/// The one job of that name that can be settled.
async fn find(store: &dyn Store, filter: Filter, row: &str) -> Result<Job, Failure> {
    let mut found = store.jobs(filter.clone(), JobId(0), 2).await?;
    match (found.pop(), found.pop()) {
        (Some(job), None) => Ok(job),
        (Some(_), Some(_)) => Err(Failure::new(Exit::Usage, format!("several rows are named {row:?}"))
            .hint("name the batch with --batch, or the row by its external task id, as `nightreel status` shows it")),
        (None, _) => {
            let failure = Failure::new(Exit::Usage, format!("no row named {row:?} is held, stuck or in doubt"));
            let meant = near::row(store, filter, row).await?.map(|meant| format!("did you mean {meant:?}?"));
            Err(meant.into_iter().fold(failure, Failure::hint).hint("`nightreel status` lists those that are"))
        }
    }
}
