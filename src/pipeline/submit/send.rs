//! One request on its way: the intent, the pace once more, the request, what became of it.

use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;
use secrecy::ExposeSecret;

use crate::domain::{Doubt, ImageSource, Job, JobEvent, Money, Picture};
use crate::gateway::{Accepted, Limit, NotMade, Order, Submitted};
use crate::image;
use crate::ledger::RecordError;
use crate::pace::Limiter;
use crate::pipeline::Notice;
use crate::pipeline::fleet::Places;
use crate::pipeline::lane::Lane;
use crate::pipeline::shared::{Shared, UNREACHABLE};
use crate::pipeline::slots::OnTheWay;
use crate::sink::{LendError, Lender};

use super::{LIMITED, Limited, Sent, probe};

/// How soon after a lost answer the remote is first asked. Its own records may lag a little.
const FIRST_LOOK: Duration = Duration::from_secs(1);

pub(super) fn tell_of_slots(shared: &Shared, lane: &Lane, allowed: usize, why: &str) {
    let words = format!("{allowed} of {} parallel generations from now on: {why}", lane.slots.limit());
    shared.tell(Notice::Adapted { account: shared.called(lane), words });
}

/// Reads what the request carries, off the threads that must not block; and lends it, where pictures are lent. Whatever goes
/// wrong here does so before the intent: the row was not sent.
pub(super) async fn pictures(job: &Job, lender: Option<&Arc<dyn Lender>>) -> Result<Vec<Picture>, LendError> {
    let sources: Vec<ImageSource> = job.effect.images.iter().cloned().collect();
    let read = move || sources.iter().map(image::load).collect::<Result<Vec<_>, _>>();
    let loaded = match tokio::task::spawn_blocking(read).await {
        Ok(loaded) => loaded.map_err(|unfit| LendError::Picture(unfit.to_string()))?,
        Err(_) => return Err(LendError::Picture("the images could not be read".to_owned())),
    };
    let Some(lender) = lender else { return Ok(loaded) };
    let mut lent = Vec::with_capacity(loaded.len());
    for (picture, source) in loaded.into_iter().zip(job.effect.images.iter()) {
        lent.push(match source {
            ImageSource::Url(_) => picture,
            ImageSource::File { digest, .. } => lender.lend(picture, *digest).await?,
        });
    }
    Ok(lent)
}

/// The pace of an account past the intent.
pub(super) struct Pace {
    /// Of this process.
    pub(super) door: Arc<Limiter>,
    /// Of all processes that share the account, where there may be others: its places, and the one that the request has.
    pub(super) turn: Option<(Arc<Places>, Timestamp)>,
}

impl Pace {
    /// Waits until the request may leave.
    async fn ready(&self, shared: &Shared) -> Result<(), RecordError> {
        self.door.ready().await;
        if let (Some((places, place)), Some(fleet)) = (&self.turn, shared.fleet()) {
            places.wait(fleet, *place).await?;
        }
        Ok(())
    }
}

/// Makes the intent durable, sends the request, records what became of it.
pub(super) async fn send(
    shared: Arc<Shared>,
    place: usize,
    due: Pace,
    way: OnTheWay,
    (job, started): (Job, JobEvent),
    pictures: Vec<Picture>,
) -> Sent {
    let lane = &shared.lanes[place];
    let price = match &started {
        JobEvent::SubmitStarted { price: Some(price), .. } => price.amount,
        _ => Money::ZERO,
    };
    let recorded = shared.record_own(&job, started).await;
    shared.out_of_hand();
    // From here on the ledger counts it, or nothing has left.
    if shared.budget.settle(price) {
        shared.look_again();
    }
    let submitting = match recorded {
        Ok(Some(submitting)) => submitting,
        not_recorded => {
            lane.slots.give_back();
            shared.guard.put_down(lane.name(), &job);
            shared.parts.ledger.store().release(job.id);
            return Sent { outcome: not_recorded.map(drop), limited: None };
        }
    };
    let Some(attempt) = &submitting.attempt else { return Sent { outcome: Ok(()), limited: None } };
    let leaves = tokio::select! {
        biased;
        ready = due.ready(&shared) => match ready {
            // The row might be another's by now, who would ask for it, not find it, and send it.
            Ok(()) if shared.fleet().is_some_and(|fleet| !fleet.is_ours()) => Err("the ledger could not be reached".to_owned()),
            Ok(()) => Ok(()),
            Err(failed) => Err(failed.to_string()),
        },
        () = shared.stop.cancelled() => Err("the run was stopped".to_owned()),
    };
    if let Err(why) = leaves {
        let put_off = JobEvent::PutOff { due_at: shared.now(), words: format!("{why} before it was sent") };
        return Sent { outcome: shared.record_own(&submitting, put_off).await.map(drop), limited: None };
    }
    let callback_url = lane.settings.callback_url.as_ref().map(ExposeSecret::expose_secret);
    let order =
        Order { effect: &submitting.effect, pictures: &pictures, client_ref: &attempt.client_ref, callback_url };
    let sent_at = shared.now();
    let submitted = lane.gateway().submit(order).await;
    drop(pictures);
    let answered = way.is_probe && probe::is_answered(&shared, lane, &submitted, sent_at);
    let (event, limited) = outcome(&shared, lane, &submitting, submitted, answered);
    let made = if let JobEvent::Accepted { task, .. } = &event { Some(task.clone()) } else { None };
    let outcome = match (shared.record_own(&submitting, event).await, made) {
        (Ok(None), Some(task)) => shared.bring(&submitting, task).await,
        (recorded, _) => recorded.map(drop),
    };
    drop(way);
    Sent { outcome, limited }
}

/// What the answer means for the job, and for the requests after it; `answered` where it is what a probe was sent for.
fn outcome(
    shared: &Shared,
    lane: &Lane,
    job: &Job,
    submitted: Submitted,
    answered: bool,
) -> (JobEvent, Option<Limited>) {
    match submitted {
        Submitted::NotMade(NotMade { words, retry_after, .. }) if answered => {
            let due_at = shared.after(retry_after.unwrap_or_default());
            (
                JobEvent::PutOff {
                    due_at,
                    words: format!("sent to see whether a slot was free, and none was: {words}"),
                },
                None,
            )
        }
        // One task is not two rows' own: what became of this request, nobody knows.
        Submitted::Accepted(Accepted { task, .. }) if !lane.takes(&task) => {
            let words = "the answer names the task of another row".to_owned();
            let doubt = Doubt::NotUnderstood { status: 200, words };
            (JobEvent::Doubted { doubt, due_at: shared.after(FIRST_LOOK) }, None)
        }
        Submitted::Accepted(Accepted { task, request_id, handle }) => {
            (JobEvent::Accepted { task, request_id, handle }, None)
        }
        Submitted::AlreadyThere => (JobEvent::Doubted { doubt: Doubt::AlreadyThere, due_at: shared.now() }, None),
        Submitted::Refused(cause) => (JobEvent::Refused { cause }, None),
        Submitted::InDoubt(doubt) => (JobEvent::Doubted { doubt, due_at: shared.after(FIRST_LOOK) }, None),
        Submitted::NotMade(NotMade { words, retry_after, limit }) => {
            // While the slot of this request is still counted.
            if limit == Limit::Parallel
                && let Some(allowed) = lane.slots.refused(shared.now())
            {
                tell_of_slots(shared, lane, allowed, "the account does not allow more now");
            }
            let failures = job.attempt.as_ref().map_or(0, |attempt| attempt.put_offs) + 1;
            let wait = match limit {
                Limit::Rate | Limit::Parallel => LIMITED.after(failures),
                Limit::Unreachable => UNREACHABLE.after(failures),
            };
            let due_at = shared.after(wait.max(retry_after.unwrap_or_default()));
            (JobEvent::PutOff { due_at, words: words.clone() }, Some(Limited { retry_after, words, limit }))
        }
        Submitted::Paused(pause) => {
            let words = pause.words.clone();
            shared.pause(lane, &pause);
            (JobEvent::PutOff { due_at: shared.now(), words }, None)
        }
    }
}
