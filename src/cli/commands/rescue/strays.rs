//! Which of an account's tasks no row knows, and which row each of them belongs to: told by the reference that was sent with
//! it, never guessed from anything else.

use std::collections::{BTreeMap, HashMap};

use crate::cli::failure::Failure;
use crate::domain::{
    AccountName, BatchName, ClientRef, FailureCause, Job, JobEvent, JobId, Observation, Progress, State, TaskId,
};
use crate::report::requests;
use crate::store::{Batch, Filter, Pages, Store};

use super::Fate;

/// Jobs that are looked through at a time.
const PAGE: usize = 500;
/// How many attempts beyond the last one that is known are looked for: a ledger that was lost may have known of more.
const FURTHER: u32 = 5;

/// A task of an account, and the row that it belongs to.
#[derive(Debug)]
pub(super) struct Stray {
    pub(super) account: AccountName,
    pub(super) seen: Observation,
    pub(super) claim: Option<Claim>,
    pub(super) fate: Fate,
}

/// A row that a task belongs to.
#[derive(Debug)]
pub(super) struct Claim {
    pub(super) batch: BatchName,
    pub(super) job: Box<Job>,
    /// What has the row take it over, or why it cannot.
    pub(super) event: Result<JobEvent, &'static str>,
}

impl Stray {
    pub(super) const fn new(account: AccountName, seen: Observation) -> Self {
        Self { account, seen, claim: None, fate: Fate::Left }
    }

    /// Whether it may hold a video that nobody has.
    pub(super) fn is_left(&self) -> bool {
        let is_settled = matches!(self.fate, Fate::Adopted | Fate::Downloaded { .. });
        !is_settled && !matches!(self.seen.progress, Progress::Failed { .. })
    }

    /// How much a row would rather have it than another of its attempts.
    const fn worth(&self) -> u8 {
        match self.seen.progress {
            Progress::Succeeded { .. } => 2,
            Progress::Pending { .. } => 1,
            Progress::Failed { .. } => 0,
        }
    }
}

/// Where the tasks are that were told, by what they are known by.
struct Places {
    by_task: HashMap<TaskId, Vec<usize>>,
    by_ref: HashMap<ClientRef, Vec<usize>>,
}

/// Those of `told` that are no attempt of any row, each with the row that it belongs to.
pub(super) async fn unknown(store: &dyn Store, told: Vec<Stray>) -> Result<Vec<Stray>, Failure> {
    let mut places = Places { by_task: HashMap::new(), by_ref: HashMap::new() };
    for (place, stray) in told.iter().enumerate() {
        places.by_task.entry(stray.seen.task.clone()).or_default().push(place);
        if let Some(reference) = &stray.seen.client_ref {
            places.by_ref.entry(reference.clone()).or_default().push(place);
        }
    }
    let mut told: Vec<Option<Stray>> = told.into_iter().map(Some).collect();
    // Claims are made once all known tasks are out of the way: no row adopts what another has.
    let mut claims: BTreeMap<JobId, (Batch, Vec<(u32, usize)>)> = BTreeMap::new();
    for batch in store.batches().await? {
        let mut pages = Pages::of(store, Filter { batch: Some(batch.id), ..Filter::default() }, PAGE);
        while let Some(jobs) = pages.next().await? {
            for job in jobs {
                let (tasks, references) = known(store, &job).await?;
                for task in &tasks {
                    places.by_task.get(task).into_iter().flatten().for_each(|place| told[*place] = None);
                }
                let wanted = references.into_iter().chain(expected(&batch.name, &job));
                let mut found: Vec<(u32, usize)> = Vec::new();
                for (number, reference) in wanted {
                    let here = places.by_ref.get(&reference).into_iter().flatten();
                    found.extend(here.map(|place| (number, *place)));
                }
                found.sort_unstable();
                found.dedup();
                if !found.is_empty() {
                    claims.insert(job.id, (batch.clone(), found));
                }
            }
        }
    }
    for (job, (batch, found)) in claims {
        if let Some(job) = store.job(job).await? {
            claim(&job, &batch.name, found, &mut told);
        }
    }
    Ok(told.into_iter().flatten().collect())
}

/// The tasks that a row is known to have, and the references that were sent for it.
async fn known(store: &dyn Store, job: &Job) -> Result<(Vec<TaskId>, Vec<(u32, ClientRef)>), Failure> {
    let Some(attempt) = &job.attempt else { return Ok((Vec::new(), Vec::new())) };
    let mut tasks: Vec<TaskId> = attempt.task.iter().cloned().collect();
    let mut references = vec![(attempt.number, attempt.client_ref.clone())];
    // Only the history knows of attempts before the last one.
    if job.submissions > 1 || attempt.number > 1 {
        for request in requests(&store.history(job.id).await?) {
            tasks.extend(request.task);
            references.push((request.number, request.client_ref));
        }
    }
    Ok((tasks, references))
}

/// The references of attempts that a row may have had, and of which the ledger does not know.
fn expected<'a>(batch: &'a BatchName, job: &'a Job) -> impl Iterator<Item = (u32, ClientRef)> + 'a {
    let may_have = matches!(job.state, State::Planned { .. } | State::Failed { .. });
    let numbers = may_have.then_some(1..=job.last_attempt() + FURTHER).into_iter().flatten();
    numbers.map(move |number| (number, ClientRef::of_attempt(batch, &job.key, &job.content, number)))
}

/// Gives a row those of the tasks that carry its references: it adopts the best of those that it can.
fn claim(job: &Job, batch: &BatchName, found: Vec<(u32, usize)>, told: &mut [Option<Stray>]) {
    let mut best: Option<(u8, u32, usize)> = None;
    for (number, place) in found {
        let Some(stray) = told[place].as_mut() else { continue };
        let event = takes(job, number, stray);
        if event.is_ok() {
            best = best.max(Some((stray.worth(), number, place)));
        }
        stray.claim = Some(Claim { batch: batch.clone(), job: Box::new(job.clone()), event });
    }
    let Some((_, _, best)) = best else { return };
    for (_, stray) in told.iter_mut().enumerate().filter(|(place, _)| *place != best) {
        let claim = stray.as_mut().and_then(|stray| stray.claim.as_mut());
        if let Some(claim) = claim.filter(|claim| claim.job.id == job.id && claim.event.is_ok()) {
            claim.event = Err("its row adopts another attempt");
        }
    }
}

/// The event by which a row takes a task over that carries the reference of its attempt of this number.
fn takes(job: &Job, number: u32, stray: &Stray) -> Result<JobEvent, &'static str> {
    let (task, Some(client_ref)) = (&stray.seen.task, &stray.seen.client_ref) else {
        return Err("it carries no reference");
    };
    let is_present = job.attempt.as_ref().is_some_and(|attempt| attempt.client_ref == *client_ref);
    let adopted = || JobEvent::Adopted {
        attempt: number,
        client_ref: client_ref.clone(),
        account: stray.account.clone(),
        task: task.clone(),
    };
    match &job.state {
        State::Submitting | State::InDoubt { .. } | State::Held { .. } if is_present => {
            // A task is always watched by the account that made it.
            if job.attempt.as_ref().is_some_and(|attempt| attempt.account == stray.account) {
                Ok(JobEvent::Found { task: task.clone() })
            } else {
                Err("its row was sent by another account")
            }
        }
        State::Planned { .. } if number >= job.last_attempt() && !(is_present && job.task().is_some()) => Ok(adopted()),
        State::Failed { cause: FailureCause::Dropped } if is_present && job.task().is_none() => {
            // What failed at the remote would only be another failure of what was given up.
            if stray.worth() == 0 { Err("it failed, and its row was dropped") } else { Ok(adopted()) }
        }
        State::Failed { .. } if number > job.last_attempt() || (is_present && job.task().is_none()) => {
            Err("its row failed: nightreel retry it, then this again")
        }
        State::Planned { .. }
        | State::Submitting
        | State::InDoubt { .. }
        | State::Waiting { .. }
        | State::Ready { .. }
        | State::Done { .. }
        | State::Failed { .. }
        | State::Held { .. }
        | State::Stuck { .. } => Err("its row has another task"),
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use jiff::Timestamp;

    use super::*;
    use crate::domain::{Doubt, Verdict};
    use crate::ledger::Ledger;
    use crate::pace::Clock;
    use crate::store::contract::{account, at, filled};
    use crate::store::sqlite::SqliteStore;

    fn stray(id: &str, reference: Option<&ClientRef>, progress: Progress) -> Stray {
        let seen = Observation {
            task: TaskId::new(id).unwrap(),
            client_ref: reference.cloned(),
            progress,
            took: None,
            units: None,
            created_at: None::<Timestamp>,
        };
        Stray::new(account(), seen)
    }

    fn made() -> Progress {
        Progress::Succeeded { link: "http://127.0.0.1/v".into() }
    }

    fn failed() -> Progress {
        Progress::Failed { words: "risk".into() }
    }

    /// A task, its row, and what has that take it over or why it does not.
    type Told<'a> = (&'a str, Option<(&'a str, Result<&'a str, &'a str>)>);

    fn told(stray: &Stray) -> Told<'_> {
        let claim = stray.claim.as_ref().map(|Claim { job, event, .. }| {
            (job.label.as_str(), event.as_ref().map(JobEvent::name).map_err(|why| *why))
        });
        (stray.seen.task.as_str(), claim)
    }

    #[tokio::test]
    async fn rows_take_over_what_carries_their_reference_and_only_where_they_have_nothing_better() {
        let store: Arc<dyn Store> = Arc::new(SqliteStore::open_in_memory().unwrap());
        let batch = filled(store.as_ref(), "m", 6).await;
        let ledger = Ledger::new(Arc::clone(&store), Clock::starting_at(at(100)));
        let jobs: [Job; 6] = store.jobs(Filter::default(), JobId(0), 6).await.unwrap().try_into().unwrap();
        let [planned, held, done, dropped, retried, elsewhere] = jobs;
        let reference = |job: &Job, number| ClientRef::of_attempt(&batch.name, &job.key, &job.content, number);
        let happen = async |job: &Job, events: Vec<JobEvent>| {
            let mut job = job.clone();
            for event in events {
                job = ledger.record(&job, event).await.unwrap();
            }
        };
        let sent = |job: &Job, attempt, account: &str| JobEvent::SubmitStarted {
            attempt,
            client_ref: reference(job, attempt),
            account: AccountName::new(account).unwrap(),
            price: None,
        };
        let accepted = |id: &str| JobEvent::Accepted { task: TaskId::new(id).unwrap(), request_id: None, handle: None };
        let doubted = || JobEvent::Doubted { doubt: Doubt::TimedOut, due_at: at(200) };
        let drop = JobEvent::Resolved { verdict: Verdict::Drop };
        happen(&held, vec![sent(&held, 1, "kling"), doubted(), JobEvent::HeldForPerson]).await;
        happen(&done, vec![sent(&done, 1, "kling"), accepted("d1")]).await;
        happen(&dropped, vec![sent(&dropped, 1, "kling"), doubted(), drop]).await;
        let fails = JobEvent::TaskFailed { words: String::new(), units: None };
        let again = vec![sent(&retried, 1, "kling"), accepted("r1"), fails, JobEvent::RetryAsked];
        happen(&retried, again).await;
        let second = store.job(retried.id).await.unwrap().unwrap();
        happen(&second, vec![sent(&second, 2, "kling"), accepted("r2")]).await;
        happen(&elsewhere, vec![sent(&elsewhere, 1, "other"), doubted()]).await;

        let strays = vec![
            stray("p1", Some(&reference(&planned, 1)), failed()),
            stray("p2", Some(&reference(&planned, 2)), made()),
            stray("p3", Some(&reference(&planned, 3)), failed()),
            stray("h1", Some(&reference(&held, 1)), failed()),
            stray("d1", Some(&reference(&done, 1)), made()),
            stray("d2", Some(&reference(&done, 1)), made()),
            stray("o1", Some(&reference(&dropped, 1)), made()),
            // The history knows it, though the row has another by now.
            stray("r1", None, failed()),
            stray("e1", Some(&reference(&elsewhere, 1)), made()),
            stray("x1", None, made()),
        ];
        let strays = unknown(store.as_ref(), strays).await.unwrap();
        assert_eq!(
            strays.iter().map(told).collect::<Vec<_>>(),
            [
                ("p1", Some(("r0", Err("its row adopts another attempt")))),
                ("p2", Some(("r0", Ok("adopted")))),
                ("p3", Some(("r0", Err("its row adopts another attempt")))),
                ("h1", Some(("r1", Ok("found")))),
                ("d2", Some(("r2", Err("its row has another task")))),
                ("o1", Some(("r3", Ok("adopted")))),
                ("e1", Some(("r5", Err("its row was sent by another account")))),
                ("x1", None),
            ]
        );
        // What they are told can really happen to them.
        for Claim { job, event, .. } in strays.iter().filter_map(|stray| stray.claim.as_ref()) {
            assert!(event.as_ref().is_err() || job.admits(event.as_ref().unwrap(), at(100)), "{}", job.label);
        }
    }
}
