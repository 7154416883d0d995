//! The submit stage: planned jobs become requests. The only place from which a request that may be paid leaves.
//!
//! It never repeats a request by itself: what certainly made nothing goes back to the ledger with a due time, and what
//! is in doubt is the reconcile stage's.

use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;
use tokio::task::JoinSet;

use crate::domain::{ClientRef, Doubt, FailureCause, ImageSource, Job, JobEvent, JobId, Picture, State, StateCode};
use crate::gateway::{Accepted, Limit, NotMade, Order, Submitted};
use crate::image;
use crate::ledger::RecordError;
use crate::pace::{Backoff, Limiter};
use crate::store::Account;

use super::shared::{Shared, UNREACHABLE, joined};
use super::{Gate, Notice};

/// Waits after the remote's limits were met. Kling asks for at least a second at first.
const LIMITED: Backoff = Backoff { first: Duration::from_secs(1), most: Duration::from_secs(30) };
/// How soon after a lost answer the remote is first asked. Its own records may lag a little.
const FIRST_LOOK: Duration = Duration::from_secs(1);

/// Runs until the run stops; then waits for the requests that have left.
pub(super) async fn run(shared: Arc<Shared>, account: Account) -> Result<(), RecordError> {
    let limiter = Limiter::new(shared.settings.interval, account.last_submit_at, &shared.clock);
    let mut stage = Stage { shared, limiter, requests: JoinSet::new(), limited: 0, not_before: Timestamp::MIN };
    let outcome = stage.admit_until_stopped().await;
    while let Some(ended) = stage.requests.join_next().await {
        joined(ended).map_or(Ok(()), |sent| sent.outcome)?;
    }
    outcome
}

/// One submission, ended.
struct Sent {
    outcome: Result<(), RecordError>,
    limited: Option<Limited>,
}

/// The remote's limits, or nothing at all, stood in the way.
struct Limited {
    retry_after: Option<Duration>,
    words: String,
}

struct Stage {
    shared: Arc<Shared>,
    limiter: Limiter,
    requests: JoinSet<Sent>,
    /// How often in a row the account's limits were met.
    limited: u32,
    /// No request leaves sooner: the account's limits were met.
    not_before: Timestamp,
}

impl Stage {
    async fn admit_until_stopped(&mut self) -> Result<(), RecordError> {
        let shared = Arc::clone(&self.shared);
        loop {
            tokio::select! {
                biased;
                () = shared.stop.cancelled() => return Ok(()),
                Some(ended) = self.requests.join_next() => self.learn(ended)?,
                () = shared.slots.take() => {
                    let sent = tokio::select! {
                        biased;
                        () = shared.stop.cancelled() => false,
                        sent = self.next_request() => sent?,
                    };
                    if !sent {
                        shared.slots.give_back();
                    }
                }
            }
        }
    }

    /// With a slot in hand: waits for a job that may be sent, and sends it. `false` when the slot was not used.
    async fn next_request(&mut self) -> Result<bool, RecordError> {
        let shared = Arc::clone(&self.shared);
        let Some(job) = self.next_job().await? else { return Ok(false) };
        let mut taken = Taken { shared: &shared, job: Some(job.id) };
        let pictures = match pictures(&job).await {
            Ok(pictures) => pictures,
            Err(words) => {
                shared.record(&job, JobEvent::Refused { cause: FailureCause::Input { words } }).await?;
                taken.job = None;
                return Ok(false);
            }
        };
        self.limiter.ready().await;
        let batch = shared.parts.trees.batch(job.batch).await?;
        let attempt = job.next_attempt();
        let client_ref = ClientRef::of_attempt(&batch.name, &job.key, &job.content, attempt);
        let account = shared.settings.account.clone();
        taken.job = None;
        let started = JobEvent::SubmitStarted { attempt, client_ref, account };
        self.requests.spawn(send(Arc::clone(&shared), job, started, pictures));
        Ok(true)
    }

    /// The next job that may be sent now; `None` when a request that has left ended first, or the gate changed.
    async fn next_job(&mut self) -> Result<Option<Job>, RecordError> {
        let shared = Arc::clone(&self.shared);
        let mut gate = shared.gate.clone();
        loop {
            let allowed = match *gate.borrow_and_update() {
                Gate::Open(batch) if !shared.is_paused() => Some(batch),
                Gate::Open(_) | Gate::Undecided | Gate::Closed | Gate::OneLook => None,
            };
            let mut next_at = Timestamp::MAX;
            if let Some(batch) = allowed {
                let now = shared.now();
                if now < self.not_before {
                    next_at = self.not_before;
                } else {
                    let account = shared.settings.account.clone();
                    let store = shared.parts.ledger.store();
                    let due = store.take_due(StateCode::Planned, account, batch, now, 1).await?;
                    if let Some(job) = due.jobs.into_iter().next() {
                        return Ok(Some(job));
                    }
                    next_at = due.next_at.unwrap_or(Timestamp::MAX);
                }
            }
            tokio::select! {
                () = shared.planned.notified() => {}
                changed = gate.changed() => if changed.is_err() { return Ok(None) },
                () = shared.clock.sleep_until(next_at) => {}
                Some(ended) = self.requests.join_next() => {
                    self.learn(ended)?;
                    return Ok(None);
                }
            }
        }
    }

    /// Takes the lesson of a request that ended.
    fn learn(&mut self, ended: Result<Sent, tokio::task::JoinError>) -> Result<(), RecordError> {
        let Some(sent) = joined(ended) else { return Ok(()) };
        sent.outcome?;
        match sent.limited {
            None => self.limited = 0,
            Some(limited) => {
                self.limited = self.limited.saturating_add(1);
                let wait = limited.retry_after.unwrap_or_default().max(LIMITED.after(self.limited));
                self.not_before = self.shared.after(wait);
                self.shared.tell(Notice::PutOff { words: limited.words, until: self.not_before });
            }
        }
        Ok(())
    }
}

/// A job in hand, given back when it is dropped unless it went on.
struct Taken<'a> {
    shared: &'a Shared,
    job: Option<JobId>,
}

impl Drop for Taken<'_> {
    fn drop(&mut self) {
        if let Some(job) = self.job {
            self.shared.parts.ledger.store().release(job);
        }
    }
}

/// Reads what the request carries, off the threads that must not block.
async fn pictures(job: &Job) -> Result<Vec<Picture>, String> {
    let sources: Vec<ImageSource> = job.effect.images.iter().cloned().collect();
    let read = move || sources.iter().map(image::load).collect::<Result<Vec<_>, _>>();
    match tokio::task::spawn_blocking(read).await {
        Ok(loaded) => loaded.map_err(|unfit| unfit.to_string()),
        Err(_) => Err("the images could not be read".to_owned()),
    }
}

/// Makes the intent durable, sends the request, records what became of it.
async fn send(shared: Arc<Shared>, job: Job, started: JobEvent, pictures: Vec<Picture>) -> Sent {
    let submitting = match shared.record(&job, started).await {
        Ok(submitting) => submitting,
        Err(failed) => {
            // Nothing has left: the slot is free and the job is as it was.
            shared.slots.give_back();
            shared.parts.ledger.store().release(job.id);
            return Sent { outcome: Err(failed), limited: None };
        }
    };
    let Some(attempt) = &submitting.attempt else { return Sent { outcome: Ok(()), limited: None } };
    let order = Order { effect: &submitting.effect, pictures: &pictures, client_ref: &attempt.client_ref };
    let submitted = shared.parts.gateway.submit(order).await;
    drop(pictures);
    let (event, limited) = outcome(&shared, &submitting, submitted);
    let outcome = shared.record(&submitting, event).await.map(drop);
    Sent { outcome, limited }
}

/// What the answer means for the job, and for the requests after it.
fn outcome(shared: &Shared, job: &Job, submitted: Submitted) -> (JobEvent, Option<Limited>) {
    match submitted {
        Submitted::Accepted(Accepted { task, request_id, handle }) => {
            (JobEvent::Accepted { task, request_id, handle }, None)
        }
        Submitted::AlreadyThere => (JobEvent::Doubted { doubt: Doubt::AlreadyThere, due_at: shared.now() }, None),
        Submitted::Refused(cause) => (JobEvent::Refused { cause }, None),
        Submitted::InDoubt(doubt) => (JobEvent::Doubted { doubt, due_at: shared.after(FIRST_LOOK) }, None),
        Submitted::NotMade(NotMade { words, retry_after, limit }) => {
            let failures = job.attempt.as_ref().map_or(0, |attempt| attempt.put_offs) + 1;
            let wait = match limit {
                Limit::Rate | Limit::Parallel => LIMITED.after(failures),
                Limit::Unreachable => UNREACHABLE.after(failures),
            };
            let due_at = shared.after(wait.max(retry_after.unwrap_or_default()));
            (JobEvent::PutOff { due_at, words: words.clone() }, Some(Limited { retry_after, words }))
        }
        Submitted::Paused(pause) => {
            let words = pause.words.clone();
            shared.pause(&pause);
            (JobEvent::PutOff { due_at: shared.now(), words }, None)
        }
    }
}

/// At the start of a run: intents without an outcome, left by a run that was cut off, are in doubt.
pub(super) async fn recover(shared: &Shared) -> Result<(), RecordError> {
    const AT_ONCE: usize = 256;
    loop {
        let account = shared.settings.account.clone();
        let store = shared.parts.ledger.store();
        let left = store.take_due(StateCode::Submitting, account, None, shared.now(), AT_ONCE).await?.jobs;
        if left.is_empty() {
            return Ok(());
        }
        for job in left {
            debug_assert_eq!(job.state, State::Submitting);
            shared.record(&job, JobEvent::Doubted { doubt: Doubt::Interrupted, due_at: shared.now() }).await?;
        }
    }
}
