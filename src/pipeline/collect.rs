//! The collect stage: finished videos are fetched into their output tree. Needs neither manifest nor images.
//!
//! It never asks for anything that could be paid: a dead link goes back to watching, for a fresh one of the same task.
//! Links need no key, so that it fetches for every account, the oldest tasks first: their links die first.

use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;
use tokio::task::JoinSet;

use crate::domain::{AccountName, Job, JobEvent, State};
use crate::ledger::RecordError;
use crate::pace::Backoff;
use crate::sink::SinkError;

use super::Notice;
use super::download::{Fetched, Reach};
use super::shared::{Shared, joined};

/// Waits between two tries at the same video.
const TRIES: Backoff = Backoff { first: Duration::from_secs(1), most: Duration::from_secs(600) };
/// After this many failures in a row (about three hours) a video is given up for this run.
const ENOUGH_TRIES: u32 = 24;
/// After this many dead links in a row a task is given up for this run.
const ENOUGH_LINKS: u32 = 8;

/// Runs until the run stops; downloads then stop at a chunk and keep what they have.
pub(super) async fn run(shared: Arc<Shared>) -> Result<(), RecordError> {
    let most = shared.settings.downloads;
    let mut fetches: JoinSet<Result<(), RecordError>> = JoinSet::new();
    loop {
        let mut next_at = Timestamp::MAX;
        if fetches.len() < most {
            let store = shared.parts.ledger.store();
            let due = store.take_ready(shared.now(), most - fetches.len()).await?;
            next_at = shared.look_by(due.next_at.unwrap_or(Timestamp::MAX));
            for job in due.jobs {
                fetches.spawn(fetch(Arc::clone(&shared), job));
            }
        }
        tokio::select! {
            biased;
            () = shared.stop.cancelled() => break,
            Some(ended) = fetches.join_next() => joined(ended).unwrap_or(Ok(()))?,
            () = shared.ready.notified() => {}
            () = shared.clock.sleep_until(next_at) => {}
        }
    }
    while let Some(ended) = fetches.join_next().await {
        joined(ended).unwrap_or(Ok(()))?;
    }
    Ok(())
}

/// Fetches one video and records what became of it.
async fn fetch(shared: Arc<Shared>, job: Job) -> Result<(), RecordError> {
    let (State::Ready { link, tries, .. }, Some(attempt)) = (&job.state, &job.attempt) else {
        shared.parts.ledger.store().release(job.id);
        return Ok(());
    };
    let sink = shared.parts.trees.batch(job.batch).await?.sink;
    let owner = attempt.client_ref.as_str();
    let reach = match shared.lane_of(&job) {
        Some(lane) => shared.parts.downloader.reach_of(&lane.settings.account),
        None => reach_elsewhere(&shared, &attempt.account).await?,
    };
    let fetched = shared.parts.downloader.fetch((link, reach), sink.as_ref(), &job.output, owner, &shared.stop).await;
    let failed = |words: String, wait: Option<Duration>| {
        shared.tell(Notice::FetchFailed { label: job.label.clone(), words: words.clone() });
        if tries + 1 >= ENOUGH_TRIES {
            return JobEvent::GaveUp { words: format!("its video could not be fetched: {words}") };
        }
        let due_at = shared.after(TRIES.after(tries + 1).max(wait.unwrap_or_default()));
        JobEvent::FetchFailed { due_at, words }
    };
    let event = match fetched {
        Fetched::Stored(artifact) => JobEvent::Stored { artifact },
        Fetched::Expired { words } if attempt.dead_links + 1 >= ENOUGH_LINKS => {
            JobEvent::GaveUp { words: format!("every link to its video was dead: {words}") }
        }
        Fetched::Expired { .. } => JobEvent::LinkExpired,
        Fetched::Failed { words, retry_after } => failed(words, retry_after),
        Fetched::Refused { words } => failed(words, None),
        Fetched::SinkStopped(why) => {
            shared.parts.ledger.store().release(job.id);
            let words = match &why {
                SinkError::Refused { hint, .. } => format!("{why}; {hint}"),
                _ => {
                    format!("{}: {}; make room or mend it, then run the same command again", sink.place(), chain(&why))
                }
            };
            shared.stop_sink(words);
            return Ok(());
        }
        Fetched::Stopped => {
            shared.parts.ledger.store().release(job.id);
            return Ok(());
        }
    };
    shared.record_own(&job, event).await.map(drop)
}

/// How far links of an account may lead that is not at work in this run.
async fn reach_elsewhere(shared: &Shared, name: &AccountName) -> Result<Reach, RecordError> {
    let known = shared.parts.ledger.store().accounts().await?;
    let account = known.iter().find(|known| known.name == *name);
    Ok(account.map_or(Reach::Public, |account| shared.parts.downloader.reach_of(account)))
}

/// An error with its causes, in one line for people.
fn chain(error: &dyn std::error::Error) -> String {
    let mut words = error.to_string();
    let mut cause = error.source();
    while let Some(source) = cause {
        words = format!("{words}: {source}");
        cause = source.source();
    }
    words
}
