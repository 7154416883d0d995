//! `nightreel logs`: one row's whole history in plain words, how it stands, and what to type. Reads only, also beside a run.

use jiff::tz::TimeZone;
use serde_json::json;

use crate::config::Settings;
use crate::domain::{BatchId, Job, JobId};
use crate::pace::Clock;
use crate::report::story::{self, asked, spoken};
use crate::store::{Batch, Filter, Recorded, Store};

use super::super::args::{Global, Logs};
use super::super::exit::Exit;
use super::super::failure::Failure;
use super::super::{near, terminal, wiring};

/// Rows of one name that are told apart, at most.
const ALIKE: usize = 20;

pub(in crate::cli) async fn logs(args: &Logs, global: &Global, settings: &Settings) -> Result<Exit, Failure> {
    let store = wiring::must_read(settings).await?;
    let store = store.as_ref();
    let wanted = wiring::named_batch(store, args.batch.as_deref()).await?.map(|batch| batch.id);
    let batches = store.batches().await?;
    let job = the_one(find(store, &args.row, wanted).await?, &args.row, &batches, store).await?;
    let history = store.history(job.id).await?;
    let batch = batches.iter().find(|batch| batch.id == job.batch);
    let (zone, now) = (TimeZone::system(), Clock::system().now());
    let (stands, next) = story::standing(&job, now, &zone);
    if global.json {
        let events: Result<Vec<_>, _> = history.iter().map(line).collect();
        let events = events.map_err(|error| Failure::new(Exit::Internal, error))?;
        terminal::json(&json!({
            "id": job.label,
            "batch": batch.map(|batch| batch.name.as_str()),
            "scene": job.effect.scene,
            "output": batch.map(|batch| batch.out.join(job.output.as_str())),
            "state": job.state.code(),
            "stands": stands,
            "requests": job.submissions,
            "events": events,
            "next": next,
        }));
        return Ok(Exit::Done);
    }
    let mut text = heading(&job, batch, &zone);
    text.push_str(&lines(&history, &zone));
    text.push_str(&format!("\nnow: {stands}\n"));
    if !next.is_empty() {
        text.push_str("next:\n");
        text.extend(next.iter().map(|next| format!("  {next}\n")));
    }
    terminal::tell(&text);
    Ok(Exit::Done)
}

fn line(recorded: &Recorded) -> Result<serde_json::Value, serde_json::Error> {
    let mut value = serde_json::to_value(&recorded.event)?;
    value["at"] = json!(recorded.at);
    Ok(value)
}

fn heading(job: &Job, batch: Option<&Batch>, zone: &TimeZone) -> String {
    let batch_name = batch.map_or_else(String::new, |batch| format!(" of batch {}", batch.name));
    let zone = zone.iana_name().map_or_else(String::new, |name| format!("; times are those of {name}"));
    let requests = match job.submissions {
        0 => "no request that may have been paid".to_owned(),
        1 => "1 request that may have been paid".to_owned(),
        requests => format!("{requests} requests that may have been paid"),
    };
    format!("{}{batch_name}: {}; {requests}{zone}\n\n", job.label, asked(&job.effect))
}

/// The history with its times, days and spans.
fn lines(history: &[Recorded], zone: &TimeZone) -> String {
    if history.is_empty() {
        return "nothing has happened to it yet\n".to_owned();
    }
    let mut text = String::new();
    let mut day = String::new();
    for told in story::story(history, zone) {
        let at = told.at.to_zoned_datetime(zone.clone());
        let today = at.strftime("%A, %Y-%m-%d").to_string();
        if today != day {
            text.push_str(&format!("{today}\n"));
            day = today;
        }
        let after = told.after.map_or_else(String::new, |after| format!("+{}", spoken(after)));
        text.push_str(&format!("  {}  {after:>12}  {}\n", at.strftime("%H:%M:%S"), told.words));
    }
    text
}

/// The rows of that name: by what they are now, else by what an earlier attempt of theirs was called.
async fn find(store: &dyn Store, named: &str, batch: Option<BatchId>) -> Result<Vec<Job>, Failure> {
    let filter = Filter { batch, states: Vec::new(), named: Some(named.to_owned()) };
    let mut found = store.jobs(filter, JobId(0), ALIKE).await?;
    if found.is_empty() {
        for id in store.once_called(named.to_owned(), ALIKE).await? {
            found.extend(store.job(id).await?.filter(|job| batch.is_none_or(|batch| batch == job.batch)));
        }
    }
    Ok(found)
}

/// The only row found; or the failure that there is none, or several.
async fn the_one(mut found: Vec<Job>, named: &str, batches: &[Batch], store: &dyn Store) -> Result<Job, Failure> {
    if found.len() > 1 {
        let failure = Failure::new(Exit::Usage, format!("several rows are named {named:?}"));
        return Err(found.iter().fold(failure, |failure, job| failure.hint(apart(job, batches))));
    }
    if let Some(job) = found.pop() {
        return Ok(job);
    }
    let failure = Failure::new(Exit::Usage, format!("no row, task or external id is named {named:?}"));
    Err(match near::row(store, Filter::default(), named).await? {
        Some(meant) => failure.hint(format!("did you mean {meant:?}?")),
        None => failure.hint("results.csv in the output tree names every row"),
    })
}

/// What to type for one of several rows of one name.
fn apart(job: &Job, batches: &[Batch]) -> String {
    let batch = batches.iter().find(|batch| batch.id == job.batch);
    let batch = batch.map_or_else(String::new, |batch| format!(" --batch {}", story::quoted(batch.name.as_str())));
    let name = job.attempt.as_ref().map_or_else(|| job.label.clone(), |attempt| attempt.client_ref.to_string());
    format!("nightreel logs {}{batch}   ({}, {})", story::quoted(&name), job.effect.scene, job.state.code().word())
}
