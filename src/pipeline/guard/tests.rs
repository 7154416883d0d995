//! Which rows of a scene go ahead, by what became of those before.

use super::*;
use crate::domain::{Doubt, JobEvent, JobId, TaskId};
use crate::store::{Filter, Store, contract, sqlite::SqliteStore};

fn at(seconds: i64) -> Timestamp {
    contract::at(seconds)
}

/// Rows of one scene, planned.
async fn rows(count: usize) -> Vec<Job> {
    let store = SqliteStore::open_in_memory().unwrap();
    contract::filled(&store, "m", count).await;
    store.jobs(Filter::default(), JobId(0), count).await.unwrap()
}

/// A scene's rows before a guard.
struct Scene {
    guard: Guard,
    waiting: Vec<Job>,
    sent: Vec<Job>,
}

impl Scene {
    async fn new(canary: u64) -> Self {
        let guard = Guard::new(Caution { canary, most_failures: Some(50) });
        guard.count_running(&contract::account(), &[]);
        Self { guard, waiting: rows(40).await, sent: Vec::new() }
    }

    /// Sends as many as may be sent, and says how many that were.
    fn send(&mut self) -> usize {
        let mut sent = 0;
        while let Some(job) = self.waiting.last()
            && self.guard.admit(&contract::account(), job, at(0))
        {
            let job = self.waiting.pop().unwrap();
            let event = contract::started(&job);
            self.sent.push(self.happens(&job, &event).0);
            sent += 1;
        }
        sent
    }

    fn happens(&self, job: &Job, event: &JobEvent) -> (Job, Option<Alarm>) {
        let next = job.apply(event, at(1)).unwrap();
        let alarm = self.guard.learn(job, &next, at(9));
        (next, alarm)
    }

    /// Something happens to the first row to which it can happen.
    fn first(&mut self, events: &[JobEvent]) -> Option<Alarm> {
        let place = self.sent.iter().position(|job| job.admits(&events[0], at(1))).unwrap();
        let mut job = self.sent.remove(place);
        let mut last = None;
        for event in events {
            let (next, alarm) = self.happens(&job, event);
            job = next;
            last = last.or(alarm);
        }
        if job.state.code().runs() {
            self.sent.push(job);
        }
        last
    }
}

fn accepted() -> JobEvent {
    JobEvent::Accepted { task: TaskId::new("1").unwrap(), request_id: None, handle: None }
}

fn made() -> [JobEvent; 2] {
    [accepted(), JobEvent::Succeeded { link: "http://127.0.0.1/v".into(), took_ms: None, units: None }]
}

fn failed() -> [JobEvent; 2] {
    [accepted(), JobEvent::TaskFailed { words: "no".into(), units: None }]
}

fn doubted() -> [JobEvent; 1] {
    [JobEvent::Doubted { doubt: Doubt::TimedOut, due_at: at(2) }]
}

#[tokio::test]
async fn the_rest_of_a_scene_is_sent_once_its_first_rows_are_made() {
    let mut scene = Scene::new(2).await;
    assert_eq!(scene.send(), 2);
    assert_eq!((scene.first(&made()), scene.send()), (None, 0));
    assert!(matches!(scene.first(&made()), Some(Alarm::Proven(_))));
    assert_eq!(scene.send(), 38);
    assert_eq!(scene.guard.waited(), Some((std::time::Duration::from_secs(9), 1)));
}

#[tokio::test]
async fn what_failed_is_replaced_one_by_one() {
    let mut scene = Scene::new(2).await;
    assert_eq!(scene.send(), 2);
    assert_eq!((scene.first(&failed()), scene.send()), (None, 0), "the other one may tell more");
    assert_eq!((scene.first(&made()), scene.send()), (None, 1));
    assert!(matches!(scene.first(&made()), Some(Alarm::Proven(_))));
}

#[tokio::test]
async fn a_scene_whose_first_rows_fail_is_shut() {
    let mut scene = Scene::new(2).await;
    scene.send();
    scene.first(&failed());
    assert!(matches!(scene.first(&failed()), Some(Alarm::Scene(_, words)) if words.starts_with("its first 2 rows")));
    assert_eq!((scene.send(), scene.guard.paused().len(), scene.guard.closed(0).len()), (0, 1, 1));
}

#[tokio::test]
async fn first_rows_in_doubt_hold_nobody_up_and_are_not_piled_up() {
    let mut scene = Scene::new(2).await;
    assert_eq!(scene.send(), 2);
    for _ in 0..2 {
        scene.first(&doubted());
        assert_eq!(scene.send(), 1);
    }
    // All four are in doubt; nothing more goes out before one is settled.
    for _ in 0..2 {
        scene.first(&doubted());
        assert_eq!(scene.send(), 0);
    }
    // Whether it works nobody knows: the scene is a person's to look at.
    assert_eq!(scene.first(&[JobEvent::HeldForPerson]), None);
    assert_eq!(scene.send(), 0);
    assert!(matches!(scene.first(&[JobEvent::HeldForPerson]), Some(Alarm::Scene(..))));
}

#[tokio::test]
async fn what_an_earlier_run_made_counts_and_without_first_rows_nothing_waits() {
    let mut scene = Scene::new(0).await;
    assert_eq!(scene.send(), 40);
    let mut scene = Scene::new(2).await;
    let job = scene.waiting[0].clone();
    let group = |state, jobs| Group {
        batch: job.batch,
        scene: job.effect.scene.clone(),
        sender: None,
        state,
        jobs,
        submissions: jobs,
    };
    scene.guard.count_made(&[group(StateCode::Done, 1), group(StateCode::Failed, 5)]);
    scene.guard.count_running(&contract::account(), &[group(StateCode::Waiting, 1)]);
    assert_eq!(scene.send(), 0, "one is made, one is on its way");
    // What is at an account that answers nothing is not waited for.
    scene.guard.leave_out(&contract::account());
    assert_eq!(scene.send(), 40);
}
