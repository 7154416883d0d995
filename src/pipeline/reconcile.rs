//! The reconcile stage: rows in doubt are looked for at the remote, and adopted when found.
//!
//! It never sends anything that could be paid. A row that stays absent after the quiet period goes back to `planned`
//! only where the remote keeps our references unique and can look them up (or where the user chose so), under the same
//! reference; everywhere else it is held for a person.

use std::collections::HashSet;
use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;
use tokio::task::JoinSet;

use crate::domain::{Attempt, ClientRef, Doubt, Job, JobEvent, State, StateCode, TaskId};
use crate::gateway::{Asked, Listed, Observed};
use crate::ledger::RecordError;
use crate::pace::Backoff;
use crate::store::{Filter, Pages};

use super::lane::{Lane, whole};
use super::run::recover;
use super::shared::{Shared, UNREACHABLE, joined};
use super::{InDoubt, Notice};

/// Rows that are looked for at the same time.
const AT_ONCE: usize = 8;
/// Held rows that are looked through at a time.
const HELD_AT_ONCE: usize = 256;
/// Waits between two looks for the same row, while the quiet period lasts.
const LOOKS: Backoff = Backoff { first: Duration::from_secs(2), most: Duration::from_secs(30) };
/// A task that is not older than this is still known to whoever made it (Kling: 30 days, documented).
const CONTROL: Duration = Duration::from_hours(20 * 24);
/// A row is declared absent by the list only after this many pages of [`PAGE`] tasks.
const PAGES: u32 = 4;
const PAGE: u32 = 500;

/// Runs until the run stops.
pub(super) async fn run(shared: Arc<Shared>, place: usize) -> Result<(), RecordError> {
    let lane = &shared.lanes[place];
    let mut looks: JoinSet<Result<(), RecordError>> = JoinSet::new();
    loop {
        let mut next_at = shared.look_by(next_kept(&shared, lane));
        if shared.fleet().is_some() {
            // What others left when they were given up.
            recover(&shared, lane).await?;
        }
        if looks.len() < AT_ONCE {
            let store = shared.parts.ledger.store();
            let free = AT_ONCE - looks.len();
            let due = store.take_due(StateCode::InDoubt, lane.name().clone(), shared.now(), free).await?;
            next_at = next_at.min(due.next_at.unwrap_or(Timestamp::MAX));
            for job in due.jobs {
                looks.spawn(look(Arc::clone(&shared), place, job));
            }
        }
        tokio::select! {
            biased;
            () = shared.stop.cancelled() => break,
            Some(ended) = looks.join_next() => joined(ended).unwrap_or(Ok(()))?,
            () = lane.doubted.notified() => {}
            () = shared.clock.sleep_until(next_at) => {}
        }
    }
    // A look pays for nothing and may be cut off: the row stays in doubt.
    looks.shutdown().await;
    Ok(())
}

/// Looks for one row and records what was learned.
async fn look(shared: Arc<Shared>, place: usize, job: Job) -> Result<(), RecordError> {
    let lane = &shared.lanes[place];
    let (State::InDoubt { doubt, since, looks, .. }, Some(attempt)) = (&job.state, &job.attempt) else {
        shared.parts.ledger.store().release(job.id);
        return Ok(());
    };
    let quiet_until = whole(since.checked_add(shared.settings.settle_after).unwrap_or(Timestamp::MAX));
    let quiet = shared.now() >= quiet_until;
    match find(&shared, lane, &attempt.client_ref, quiet).await {
        // How far it is, the watch stage asks: from here on the job is its.
        Look::Found(task) => shared.record_own(&job, JobEvent::Found { task }).await.map(drop),
        Look::Absent if !quiet => {
            let due_at = shared.after(LOOKS.after(looks + 1)).min(quiet_until);
            shared.record_own(&job, JobEvent::LookedAbsent { due_at }).await.map(drop)
        }
        Look::Absent => {
            let safe = lane.gateway().capabilities().resend_is_safe();
            // A remote that has the reference and does not show its task would refuse it again, and again.
            let event = if *doubt == Doubt::AlreadyThere {
                JobEvent::HeldForPerson
            } else if safe {
                match control(&shared, lane, attempt).await? {
                    Control::Ours => JobEvent::ResendAllowed { perhaps_paid: false },
                    Control::Unclear => JobEvent::LookPutOff { due_at: shared.after(LOOKS.first) },
                    Control::Strange => JobEvent::HeldForPerson,
                }
            } else {
                unsettled(lane, attempt)
            };
            shared.record_own(&job, event).await.map(drop)
        }
        Look::CannotAsk => {
            // Its slot may be in use until a task would surely have ended. A row that is to be sent again waits until then; a
            // person is given theirs at once, and the slot alone is kept. Others would not know of that.
            let event = unsettled(lane, attempt);
            let ends_at = lane.surely_ended_at(attempt.started_at).max(quiet_until);
            let keeps = event == JobEvent::HeldForPerson && shared.fleet().is_none();
            let until = if keeps { quiet_until } else { ends_at };
            let event = if shared.now() < until {
                JobEvent::LookPutOff { due_at: until.min(shared.after(look_again(&shared))) }
            } else {
                event
            };
            if event == JobEvent::HeldForPerson && shared.now() < ends_at {
                lane.keep_slot(job.id, attempt.started_at);
            }
            shared.record_own(&job, event).await.map(drop)
        }
        Look::Unclear { .. }
            if shared.now() >= since.checked_add(shared.settings.deadline).unwrap_or(Timestamp::MAX) =>
        {
            shared.record_own(&job, JobEvent::HeldForPerson).await.map(drop)
        }
        Look::Unclear { wait } => {
            let due_at = shared.after(wait.unwrap_or_default().max(UNREACHABLE.after(looks + 2)));
            shared.record_own(&job, JobEvent::LookPutOff { due_at }).await.map(drop)
        }
    }
}

/// How soon what depends on how long tasks take is thought over again: more of them may have ended.
fn look_again(shared: &Shared) -> Duration {
    shared.settings.settle_after.max(LOOKS.first)
}

/// Gives back the slots of held rows whose tasks would surely have ended; when to do so next.
fn next_kept(shared: &Shared, lane: &Lane) -> Timestamp {
    match lane.give_back_kept(shared.now()) {
        Some(ends_at) => ends_at.min(shared.after(look_again(shared))),
        None => Timestamp::MAX,
    }
}

/// At the start of a run: rows that an earlier one gave to a person a moment ago may be using their slots still.
pub(super) async fn keep_slots(shared: &Shared, lane: &Lane) -> Result<(), RecordError> {
    if lane.gateway().capabilities().find || shared.fleet().is_some() {
        return Ok(());
    }
    let filter = Filter { batch: None, states: vec![StateCode::Held], named: None };
    let mut pages = Pages::of(shared.parts.ledger.store(), filter, HELD_AT_ONCE);
    while let Some(held) = pages.next().await? {
        for job in held {
            if let Some(attempt) = job.attempt.filter(|attempt| attempt.account == *lane.name())
                && shared.now() < lane.surely_ended_at(attempt.started_at)
            {
                lane.keep_slot(job.id, attempt.started_at);
            }
        }
    }
    Ok(())
}

/// Whose account is asked about a row in doubt.
enum Control {
    /// The one that it was sent by, as far as that can be told.
    Ours,
    /// Nobody can say yet.
    Unclear,
    /// Another one (another key, another region): its word that the row is absent is worth nothing.
    Strange,
}

/// Asks for a task that the account certainly made before `attempt` was sent: a remote that does not know it is another
/// account. Gateways lie now and then, so that one word is not enough.
async fn control(shared: &Shared, lane: &Lane, attempt: &Attempt) -> Result<Control, RecordError> {
    if lane.is_known() {
        return Ok(Control::Ours);
    }
    let since = shared.now().checked_sub(CONTROL).unwrap_or(Timestamp::MIN);
    let store = shared.parts.ledger.store();
    let known = store.recent_task(lane.name().clone(), since, attempt.started_at).await?;
    let Some(Attempt { task: Some(task), handle, .. }) = known else { return Ok(Control::Ours) };
    match lane.gateway().observe(Asked { task: &task, handle: handle.as_ref() }).await {
        Observed::Seen(_) => {
            lane.know();
            Ok(Control::Ours)
        }
        Observed::NotVisible if lane.is_strange() => {
            let name = lane.name();
            let words = format!(
                "account {name}: the remote does not know task {task}, which it made: is this another account's key? \
                 Rows in doubt are held"
            );
            shared.tell(Notice::Odd { words });
            Ok(Control::Strange)
        }
        Observed::NotVisible | Observed::Unclear { .. } | Observed::Paused(_) => Ok(Control::Unclear),
    }
}

/// What becomes of a row that the remote cannot settle.
fn unsettled(lane: &Lane, attempt: &Attempt) -> JobEvent {
    match lane.settings.in_doubt {
        // Once: what is lost again and again is a person's to look at.
        InDoubt::Resend if attempt.risks == 0 => JobEvent::ResendAllowed { perhaps_paid: true },
        InDoubt::Hold | InDoubt::Resend => JobEvent::HeldForPerson,
    }
}

/// What looking for a row brought.
enum Look {
    Found(TaskId),
    Absent,
    CannotAsk,
    Unclear { wait: Option<Duration> },
}

/// By the reference first, where the remote can; and by the list, where it has one, before a row is called absent.
async fn find(shared: &Shared, lane: &Lane, client_ref: &ClientRef, thorough: bool) -> Look {
    let gateway = lane.gateway();
    let can = gateway.capabilities();
    if can.find {
        match gateway.find(client_ref).await {
            Observed::Seen(observation) => {
                lane.answered();
                return Look::Found(observation.task);
            }
            Observed::NotVisible => lane.answered(),
            Observed::Unclear { retry_after, .. } => return Look::Unclear { wait: retry_after },
            Observed::Paused(pause) => {
                shared.deny(lane, &pause);
                return Look::Unclear { wait: None };
            }
        }
    }
    match (can.find, can.list) {
        (false, false) => Look::CannotAsk,
        (true, false) => Look::Absent,
        (true, true) if !thorough => Look::Absent,
        (_, true) => find_listed(shared, lane, client_ref).await,
    }
}

async fn find_listed(shared: &Shared, lane: &Lane, client_ref: &ClientRef) -> Look {
    let mut seen: HashSet<TaskId> = HashSet::new();
    for page in 1..=PAGES {
        match lane.gateway().list(page, PAGE).await {
            Listed::Page(tasks) => {
                // A short page may have records that could not be read: the end is a page that brings nothing new.
                let known = seen.len();
                seen.extend(tasks.iter().map(|task| task.task.clone()));
                let last = seen.len() == known;
                let ours = tasks.into_iter().find(|task| task.client_ref.as_ref() == Some(client_ref));
                if let Some(observation) = ours {
                    return Look::Found(observation.task);
                }
                if last {
                    return Look::Absent;
                }
            }
            Listed::Unclear { retry_after, .. } => return Look::Unclear { wait: retry_after },
            Listed::Paused(pause) => {
                shared.deny(lane, &pause);
                return Look::Unclear { wait: None };
            }
        }
    }
    // More tasks than we page through: where the reference itself could be asked for, that answer stands.
    if lane.gateway().capabilities().find { Look::Absent } else { Look::CannotAsk }
}
