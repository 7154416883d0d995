//! The behaviour that every store must show, over whatever store it is given.

use std::collections::BTreeMap;
use std::sync::Arc;

use futures::future::{join, join_all};
use jiff::Timestamp;

use super::*;
use crate::domain::{
    Artifact, ClientRef, Currency, Doubt, FailureCause, ImageSource, Images, Money, Price, State, TaskId, Verdict,
};
use crate::ledger::Ledger;
use crate::pace::Clock;

pub(crate) fn at(seconds: i64) -> Timestamp {
    Timestamp::from_second(seconds).unwrap()
}

pub(crate) fn account() -> AccountName {
    AccountName::new("kling").unwrap()
}

pub(crate) fn row(name: &str) -> NewJob {
    let image = ImageSource::Url(format!("https://example.com/{name}.jpg"));
    let effect = Effect { scene: "squish".into(), images: Images::One(image), duration: None, model: None, mode: None };
    NewJob {
        key: RowKey::of_id(name),
        label: name.into(),
        content: effect.content(),
        effect,
        output: OutputKey::new(format!("squish/{name}.mp4")).unwrap(),
        columns: "{}".into(),
        account: None,
    }
}

/// A batch with rows named `r0`, `r1`, … that were admitted at second 0.
pub(crate) async fn filled(store: &dyn Store, name: &str, rows: usize) -> Batch {
    let name = BatchName::new(name).unwrap();
    let batch = store.open_batch(name, "/videos".into(), vec!["guest".into()], "/m.csv".into()).await.unwrap();
    let jobs = (0..rows).map(|number| row(&format!("r{number}"))).collect();
    assert_eq!(store.admit(batch.id, jobs, at(0)).await.unwrap(), rows as u64);
    batch
}

pub(crate) fn started(job: &Job) -> JobEvent {
    let attempt = job.next_attempt();
    let client_ref = ClientRef::new(format!("nr-{}-a{attempt}", job.id)).unwrap();
    let price = Some(Price { amount: "0.28".parse().unwrap(), currency: Currency::default() });
    JobEvent::SubmitStarted { attempt, client_ref, account: account(), price }
}

fn change(job: &Job, event: JobEvent) -> Change {
    Change::of(job, event, at(1)).unwrap()
}

/// Any planned job that the account may send.
fn anything() -> Wanted {
    Wanted { account: account(), batch: None, closed: Vec::new() }
}

async fn all(store: &dyn Store) -> Vec<Job> {
    store.jobs(Filter::default(), JobId(0), 10_000).await.unwrap()
}

/// All of it.
pub(crate) async fn holds_for(fresh: impl Fn() -> Arc<dyn Store>) {
    a_commit_is_guarded_and_a_conflict_spares_the_others(fresh().as_ref()).await;
    what_is_taken_is_not_given_out_again(fresh().as_ref()).await;
    jobs_come_when_they_are_due(fresh().as_ref()).await;
    rows_are_admitted_once_and_withdrawn_only_unsent(fresh().as_ref()).await;
    rows_are_known_by_key_name_and_content(fresh().as_ref()).await;
    counts_and_replays_agree_after_any_history(fresh()).await;
    planned_jobs_come_to_the_accounts_that_may_send_them(fresh().as_ref()).await;
    what_is_ready_comes_oldest_first_whoever_made_it(fresh().as_ref()).await;
    a_batch_that_ended_can_be_taken_out_and_no_other(fresh().as_ref()).await;
    what_was_stored_last_comes_first_and_what_was_lost_not_at_all(fresh().as_ref()).await;
}

async fn a_batch_that_ended_can_be_taken_out_and_no_other(store: &dyn Store) {
    let (old, open) = (filled(store, "old", 2).await, filled(store, "open", 2).await);
    let dropped = Verdict::Drop;
    for job in all(store).await.into_iter().take(3) {
        let doubted = JobEvent::Doubted { doubt: Doubt::TimedOut, due_at: at(1) };
        let mut job = job;
        for event in [started(&job), doubted, JobEvent::HeldForPerson, JobEvent::Resolved { verdict: dropped.clone() }]
        {
            let step = change(&job, event);
            job = step.job.clone();
            store.commit(step).await.unwrap();
        }
    }
    let called = store.once_called("nr-1-a1".into(), 9).await.unwrap();
    assert_eq!(called, [JobId(1)], "known by what it was sent as");
    assert_eq!(store.ended().await.unwrap(), [Ended { batch: old.id, rows: 2, last_end: Some(at(1)) }]);
    let before = store.tally(Some(open.id)).await.unwrap();
    assert_eq!(store.prune(open.id, at(9)).await.unwrap(), None, "a row of it is planned");
    assert_eq!(store.prune(old.id, at(1)).await.unwrap(), None, "it did not end before");
    assert_eq!(store.prune(old.id, at(2)).await.unwrap(), Some(Pruned { rows: 2, events: 8 }));
    assert_eq!(store.batches().await.unwrap(), std::slice::from_ref(&open));
    assert_eq!(all(store).await.len(), 2);
    assert!(store.history(JobId(1)).await.unwrap().is_empty());
    assert_eq!(store.history(JobId(3)).await.unwrap().len(), 4, "what is left keeps its history");
    assert_eq!(store.tally(None).await.unwrap(), before);
    assert_eq!(store.spent(Some(old.id)).await.unwrap(), []);
    assert_eq!(store.prune(old.id, at(2)).await.unwrap(), None);
    // A number is never given out again: the history of one row is not taken for another's.
    store.admit(open.id, vec![row("new")], at(3)).await.unwrap();
    assert_eq!(all(store).await.last().unwrap().id, JobId(5));
}

async fn planned_jobs_come_to_the_accounts_that_may_send_them(store: &dyn Store) {
    let batch = filled(store, "m", 1).await;
    let other = AccountName::new("other").unwrap();
    let mut hers = row("hers");
    hers.account = Some(other.clone());
    let mut hug = row("hug");
    hug.effect.scene = "hug_pro".into();
    store.admit(batch.id, vec![hug, hers], at(0)).await.unwrap();
    let take = async |wanted: Wanted| {
        let due = store.take_planned(wanted, at(1), 5).await.unwrap();
        due.jobs.iter().for_each(|job| store.release(job.id));
        due.jobs.into_iter().map(|job| job.label).collect::<Vec<_>>()
    };
    assert_eq!(take(anything()).await, ["r0", "hug"]);
    assert_eq!(take(Wanted { account: other.clone(), ..anything() }).await, ["r0", "hug", "hers"]);
    let closed = vec![(batch.id, "squish".to_owned())];
    assert_eq!(take(Wanted { closed, ..anything() }).await, ["hug"]);
    // Behind hundreds of rows that may not be sent now stands one that may.
    let crowd = (0..300).map(|number| NewJob { account: Some(other.clone()), ..row(&format!("crowd{number}")) });
    store.admit(batch.id, crowd.collect(), at(0)).await.unwrap();
    let mut last = row("last");
    last.effect.scene = "kiss_pro".into();
    store.admit(batch.id, vec![last], at(0)).await.unwrap();
    let closed = ["squish", "hug_pro"].map(|scene| (batch.id, scene.to_owned())).to_vec();
    assert_eq!(take(Wanted { closed, ..anything() }).await, ["last"]);
    let crowd = all(store).await.into_iter().filter(|job| job.label.starts_with("crowd") || job.label == "last");
    assert_eq!(store.withdraw(batch.id, crowd.map(|job| job.id).collect()).await.unwrap(), 301);
    // What may be at an account already goes back to that account, whatever its row says.
    let mut job = all(store).await.remove(0);
    let doubted = JobEvent::Doubted { doubt: Doubt::TimedOut, due_at: at(1) };
    for event in [started(&job), doubted, JobEvent::ResendAllowed { perhaps_paid: false }] {
        let step = change(&job, event);
        job = step.job.clone();
        store.commit(step).await.unwrap();
    }
    assert_eq!(take(Wanted { account: other.clone(), ..anything() }).await, ["hug", "hers"]);
    let mut mine = take(anything()).await;
    mine.sort();
    assert_eq!(mine, ["hug", "r0"]);
    let groups = store.groups(Some(batch.id)).await.unwrap();
    let planned: Vec<_> = groups.iter().map(|group| (group.scene.as_str(), group.sender.clone(), group.jobs)).collect();
    assert_eq!(planned, [("hug_pro", None, 1), ("squish", Some(account()), 1), ("squish", Some(other), 1)]);
    let hers = all(store).await.pop().unwrap();
    assert_eq!(store.withdraw(batch.id, vec![hers.id]).await.unwrap(), 1);
    assert_eq!(store.tally(None).await.unwrap().planned, 2);
}

async fn what_was_stored_last_comes_first_and_what_was_lost_not_at_all(store: &dyn Store) {
    filled(store, "m", 4).await;
    let mut done = Vec::new();
    for job in all(store).await.into_iter().rev() {
        let mut job = job;
        let (task, link) = (TaskId::new(job.id.to_string()).unwrap(), "http://127.0.0.1/v".to_owned());
        let artifact = Artifact { key: job.output.clone(), bytes: 1, sha256: Digest::of(b"v") };
        for event in [
            started(&job),
            JobEvent::Accepted { task, request_id: None, handle: None },
            JobEvent::Succeeded { link, took_ms: None, units: None },
            JobEvent::Stored { artifact },
        ] {
            let step = change(&job, event);
            job = step.job.clone();
            store.commit(step).await.unwrap();
        }
        done.push(job);
    }
    let newest = async || store.newest(2).await.unwrap().into_iter().map(|job| job.label).collect::<Vec<_>>();
    assert_eq!(newest().await, ["r0", "r1"]);
    let lost = done.pop().unwrap();
    store.commit(change(&lost, JobEvent::ArtifactLost { words: "gone".into() })).await.unwrap();
    assert_eq!(newest().await, ["r1"]);
}

async fn what_is_ready_comes_oldest_first_whoever_made_it(store: &dyn Store) {
    filled(store, "m", 3).await;
    for (job, second) in all(store).await.into_iter().zip([30, 10, 20]) {
        let task = TaskId::new(job.id.to_string()).unwrap();
        let link = "http://127.0.0.1/v".to_owned();
        let mut job = job;
        for event in [
            started(&job),
            JobEvent::Accepted { task, request_id: None, handle: None },
            JobEvent::Succeeded { link, took_ms: None, units: None },
        ] {
            let step = Change::of(&job, event, at(second)).unwrap();
            job = step.job.clone();
            store.commit(step).await.unwrap();
        }
    }
    let oldest = store.open_before(account(), at(25), 5).await.unwrap();
    assert_eq!(oldest.iter().map(|job| job.label.as_str()).collect::<Vec<_>>(), ["r1", "r2"]);
    let due = store.take_ready(at(99), 2).await.unwrap();
    assert_eq!(due.jobs.iter().map(|job| job.label.as_str()).collect::<Vec<_>>(), ["r1", "r2"]);
    assert_eq!(due.next_at, Some(Timestamp::UNIX_EPOCH));
    assert_eq!(store.take_ready(at(99), 2).await.unwrap().jobs[0].label, "r0");
}

async fn a_commit_is_guarded_and_a_conflict_spares_the_others(store: &dyn Store) {
    filled(store, "m", 40).await;
    let jobs = all(store).await;
    store.commit(change(&jobs[7], started(&jobs[7]))).await.unwrap();
    let commits = join_all(jobs.iter().map(|job| store.commit(change(job, started(job))))).await;
    for (number, committed) in commits.iter().enumerate() {
        assert_eq!(committed.is_err(), number == 7, "{number}: {committed:?}");
    }
    assert!(matches!(commits[7], Err(StoreError::Conflict { .. })));
    let tally = store.tally(None).await.unwrap();
    assert_eq!((tally.planned, tally.submitting, tally.submissions), (0, 40, 40));
    // What is asked for among many changes sees all that were asked for before it.
    let jobs = all(store).await;
    let accepted = |job: &Job| JobEvent::Accepted {
        task: TaskId::new(job.id.to_string()).unwrap(),
        request_id: None,
        handle: None,
    };
    let accepting =
        |jobs: &[Job]| join_all(jobs.iter().map(|job| store.commit(change(job, accepted(job)))).collect::<Vec<_>>());
    let asked = join(join(store.tally(None), store.left(vec![account()], None)), store.accounts());
    let (first, ((tally, left), _)) = join(accepting(&jobs[..20]), asked).await;
    let (tally, left) = (tally.unwrap(), left.unwrap());
    assert!(first.iter().all(Result::is_ok));
    assert_eq!((tally.submitting, tally.waiting, left.at_remote), (20, 20, vec![40]));
    // A row that the engine refuses takes no other with it.
    let mut refused = change(&jobs[25], accepted(&jobs[25]));
    refused.job.submissions = u32::MAX;
    refused.job.attempt = None;
    let others =
        jobs[20..].iter().filter(|job| job.id != jobs[25].id).map(|job| store.commit(change(job, accepted(job))));
    let (refused, others) = join(store.commit(refused), join_all(others.collect::<Vec<_>>())).await;
    assert!(matches!(refused, Err(StoreError::Engine(_))), "{refused:?}");
    assert!(others.iter().all(Result::is_ok), "{others:?}");
    let tally = store.tally(None).await.unwrap();
    assert_eq!((tally.submitting, tally.waiting, tally.submissions), (1, 39, 40));
    assert_eq!(store.history(jobs[25].id).await.unwrap().len(), 1);
    assert_eq!(store.spent(None).await.unwrap()[0].requests, 40);
}

async fn what_is_taken_is_not_given_out_again(store: &dyn Store) {
    filled(store, "m", 3).await;
    let take = |limit| store.take_planned(anything(), at(1), limit);
    let first = take(2).await.unwrap();
    assert_eq!((first.jobs.len(), first.next_at.is_some()), (2, true));
    assert_eq!(take(5).await.unwrap().jobs.len(), 1);
    assert!(take(5).await.unwrap().jobs.is_empty());
    store.release(first.jobs[0].id);
    assert_eq!(take(5).await.unwrap().jobs[0].id, first.jobs[0].id);
    // The submitter keeps what it submits; from its outcome on it is the next stage's.
    let job = &first.jobs[1];
    let submitting = change(job, started(job));
    store.commit(submitting.clone()).await.unwrap();
    let left = store.take_due(StateCode::Submitting, account(), at(1), 5).await.unwrap();
    assert!(left.jobs.is_empty());
    let accepted =
        change(&submitting.job, JobEvent::Accepted { task: TaskId::new("1").unwrap(), request_id: None, handle: None });
    store.commit(accepted).await.unwrap();
    let waiting = store.take_due(StateCode::Waiting, account(), at(1), 5).await.unwrap();
    assert_eq!(waiting.jobs.len(), 1);
    let other = AccountName::new("other").unwrap();
    store.release(waiting.jobs[0].id);
    assert!(store.take_due(StateCode::Waiting, other, at(1), 5).await.unwrap().jobs.is_empty());
}

async fn jobs_come_when_they_are_due(store: &dyn Store) {
    let batch = filled(store, "m", 3).await;
    let jobs = all(store).await;
    for (job, due) in jobs.iter().zip([30, 10, 20]) {
        let submitting = change(job, started(job));
        store.commit(submitting.clone()).await.unwrap();
        let doubted = JobEvent::Doubted { doubt: Doubt::TimedOut, due_at: at(due) };
        store.commit(change(&submitting.job, doubted)).await.unwrap();
    }
    let take = |now| store.take_due(StateCode::InDoubt, account(), at(now), 5);
    let none = take(5).await.unwrap();
    assert_eq!((none.jobs.len(), none.next_at), (0, Some(at(10))));
    let two = take(20).await.unwrap();
    assert_eq!(two.jobs.iter().map(|job| job.id).collect::<Vec<_>>(), [jobs[1].id, jobs[2].id]);
    assert_eq!(two.next_at, Some(at(30)));
    let left = store.left(vec![account()], Some(batch.id)).await.unwrap();
    assert_eq!(left, Left { at_remote: vec![3], ready: 0, planned: Vec::new() });
}

async fn rows_are_admitted_once_and_withdrawn_only_unsent(store: &dyn Store) {
    let batch = filled(store, "m", 3).await;
    let again = vec![row("r0"), row("new")];
    assert_eq!(store.admit(batch.id, again, at(2)).await.unwrap(), 1);
    let jobs = all(store).await;
    store.commit(change(&jobs[0], started(&jobs[0]))).await.unwrap();
    let ids = jobs.iter().take(2).map(|job| job.id).collect();
    assert_eq!(store.withdraw(batch.id, ids).await.unwrap(), 1);
    let tally = store.tally(Some(batch.id)).await.unwrap();
    assert_eq!((tally.rows, tally.planned, tally.submitting), (3, 2, 1));
}

async fn rows_are_known_by_key_name_and_content(store: &dyn Store) {
    let batch = filled(store, "m", 2).await;
    let keys = vec![RowKey::of_id("r1"), RowKey::of_id("r9")];
    let known = store.known(batch.id, keys).await.unwrap();
    assert_eq!(
        known[0].as_ref().map(|known| (known.state, known.content)),
        Some((StateCode::Planned, row("r1").content))
    );
    assert_eq!(known[1], None);

    let loud = OutputKey::new("SQUISH/R1.mp4").unwrap();
    let ask = |batch, key: &str| vec![(batch, RowKey::of_id(key), loud.clone())];
    let owner = |out: &str, asks| store.output_owners(out.into(), asks);
    let taken = owner("/videos", ask(None, "r1")).await.unwrap();
    assert_eq!(taken[0].as_ref().map(|owner| owner.label.as_str()), Some("r1"));
    assert_eq!(owner("/videos", ask(Some(batch.id), "r1")).await.unwrap(), [None], "it owns its own name");
    assert_eq!(owner("/elsewhere", ask(None, "r1")).await.unwrap(), [None]);

    assert_eq!(store.paid_elsewhere(vec![row("r0").content]).await.unwrap(), [None]);
    let job = &all(store).await[0];
    store.commit(change(job, started(job))).await.unwrap();
    assert_eq!(
        store.paid_elsewhere(vec![row("r0").content, row("r1").content]).await.unwrap(),
        [Some(batch.name), None]
    );
}

/// What may come to a job in its state, chosen by `dice`.
pub(crate) fn some_event(job: &Job, dice: &mut fastrand::Rng) -> JobEvent {
    let task = || TaskId::new(job.id.to_string()).unwrap();
    let artifact = || Artifact { key: job.output.clone(), bytes: 3, sha256: Digest::of(b"abc") };
    let due_at = at(dice.i64(0..100));
    if dice.u8(0..8) == 0 {
        // What changes the row itself, where that may be.
        let scene = ["squish", "hug_pro"][dice.usize(0..2)].to_owned();
        let effect = Effect { scene, ..job.effect.clone() };
        let output = OutputKey::new(format!("moved/{}-{}.mp4", job.label, dice.u32(..))).unwrap();
        let changes = [
            JobEvent::Changed { content: effect.content(), effect: Box::new(effect) },
            JobEvent::Moved { output },
            JobEvent::Routed { account: dice.bool().then(account) },
        ];
        let change = changes[dice.usize(0..changes.len())].clone();
        if job.admits(&change, at(1)) {
            return change;
        }
    }
    let choices = match job.state {
        State::Planned { .. } => vec![started(job)],
        State::Submitting => vec![
            JobEvent::Accepted { task: task(), request_id: Some("r".into()), handle: None },
            JobEvent::Refused { cause: FailureCause::Dropped },
            JobEvent::PutOff { due_at, words: "busy".into() },
            JobEvent::Doubted { doubt: Doubt::TimedOut, due_at },
        ],
        State::InDoubt { .. } => vec![
            JobEvent::LookedAbsent { due_at },
            JobEvent::Found { task: task() },
            JobEvent::ResendAllowed { perhaps_paid: dice.bool() },
            JobEvent::HeldForPerson,
        ],
        State::Waiting { .. } => vec![
            JobEvent::Succeeded { link: "http://127.0.0.1/v".into(), took_ms: Some(7), units: Some("2".into()) },
            JobEvent::TaskFailed { words: String::new(), units: None },
            JobEvent::GaveUp { words: "late".into() },
        ],
        State::Ready { .. } => vec![
            JobEvent::FetchFailed { due_at, words: "cut".into() },
            JobEvent::LinkExpired,
            JobEvent::Stored { artifact: artifact() },
        ],
        State::Done { .. } => vec![JobEvent::ArtifactLost { words: "gone".into() }],
        State::Failed { .. } => vec![JobEvent::RetryAsked],
        State::Held { .. } => vec![JobEvent::Resolved { verdict: Verdict::Drop }],
        State::Stuck { .. } => vec![JobEvent::Revived],
    };
    choices[dice.usize(0..choices.len())].clone()
}

async fn counts_and_replays_agree_after_any_history(store: Arc<dyn Store>) {
    let batch = filled(store.as_ref(), "m", 12).await;
    let admitted = all(store.as_ref()).await;
    let ledger = Ledger::new(Arc::clone(&store), Clock::system());
    let mut dice = fastrand::Rng::with_seed(11);
    let mut jobs = admitted.clone();
    for _ in 0..600 {
        let which = dice.usize(0..jobs.len());
        let event = some_event(&jobs[which], &mut dice);
        jobs[which] = ledger.record(&jobs[which], event).await.unwrap();
    }
    let mut recount = Tally::default();
    for (before, job) in admitted.into_iter().zip(&jobs) {
        recount.add(job.state.code(), 1, u64::from(job.submissions));
        assert_eq!(store.job(job.id).await.unwrap().as_ref(), Some(job), "what was written is read back");
        let history = store.history(job.id).await.unwrap();
        let replayed = history.iter().fold(before, |job, line| job.apply(&line.event, line.at).unwrap());
        assert_eq!(replayed, *job, "a replay gives the very same job");
    }
    assert_eq!(store.tally(Some(batch.id)).await.unwrap(), recount);
    let mut scenes: BTreeMap<(String, Option<AccountName>, StateCode), u64> = BTreeMap::new();
    for job in &jobs {
        *scenes.entry((job.effect.scene.clone(), job.sender().cloned(), job.state.code())).or_default() += 1;
    }
    let groups = store.groups(Some(batch.id)).await.unwrap();
    let groups: BTreeMap<_, _> =
        groups.into_iter().map(|group| ((group.scene, group.sender, group.state), group.jobs)).collect();
    assert_eq!(groups, scenes);
    // Every request that may have been paid is counted at its price.
    let spent = store.spent(Some(batch.id)).await.unwrap();
    assert_eq!(spent.iter().map(|spent| spent.requests).sum::<u64>(), recount.submissions);
    let amount: Money = spent.iter().filter_map(|spent| Some(spent.price.as_ref()?.amount)).sum();
    assert_eq!(amount, "0.28".parse::<Money>().unwrap() * recount.submissions);
    let open = store.open_of(account()).await.unwrap();
    assert_eq!((open.submitting, open.waiting, open.ready), (recount.submitting, recount.waiting, recount.ready));
    assert_eq!((open.held, open.stuck), (recount.held, recount.stuck));
    assert!(!store.recent_durations(account(), 5).await.unwrap().is_empty());
}
