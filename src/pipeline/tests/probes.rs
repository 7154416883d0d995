//! Slots that are filled by probes, over a remote that has a parallel limit of its own.

use std::collections::HashMap;
use std::sync::Mutex;

use futures::future::BoxFuture;

use super::*;
use crate::domain::ClientRef;
use crate::gateway::{Asked as Question, Order, Probe};
use crate::store::{Filter, Wanted};

/// How long tasks take, in milliseconds; all in between are as likely.
const TASK: std::ops::RangeInclusive<u64> = 20_000..=100_000;
/// A step of the clock.
const STEP: Duration = Duration::from_millis(200);
/// How many answers to requests are lost where some are: the task was made.
const LOST: usize = 7;

/// A remote that makes what is asked for within its limit; its tasks fail at their end, so that nothing is fetched.
#[derive(Debug)]
struct Remote {
    limit: usize,
    able: Capabilities,
    /// Each so many-th answer is lost.
    loses: usize,
    clock: Clock,
    world: Mutex<World>,
}

#[derive(Debug, Default, Clone)]
struct World {
    /// When each task was made, and when it ends.
    tasks: HashMap<TaskId, (Timestamp, Timestamp)>,
    references: HashMap<ClientRef, TaskId>,
    twice: usize,
    questions: usize,
    refused: usize,
    peak: usize,
    dice: fastrand::Rng,
}

impl World {
    /// The share of (limit × time) with a task running, from the first request to the last.
    fn used(&self, limit: usize) -> f64 {
        let begin = self.tasks.values().map(|task| task.0).min().unwrap();
        let end = self.tasks.values().map(|task| task.0).max().unwrap();
        let busy: f64 = self.tasks.values().map(|task| task.1.min(end).duration_since(task.0).as_secs_f64()).sum();
        busy / (limit as f64 * end.duration_since(begin).as_secs_f64())
    }
}

impl Remote {
    fn see(&self, task: &TaskId) -> Observed {
        let mut world = self.world.lock().unwrap();
        world.questions += 1;
        let Some((_, ends)) = world.tasks.get(task) else { return Observed::NotVisible };
        let progress = if *ends <= self.clock.now() {
            Progress::Failed { words: "no".into() }
        } else {
            Progress::Pending { status: "processing".into() }
        };
        seen(task, None, progress)
    }
}

impl Gateway for Remote {
    fn capabilities(&self) -> Capabilities {
        self.able
    }

    fn submit<'a>(&'a self, order: Order<'a>) -> BoxFuture<'a, Submitted> {
        Box::pin(async move {
            self.clock.sleep(STEP).await;
            let now = self.clock.now();
            let mut world = self.world.lock().unwrap();
            if world.references.contains_key(order.client_ref) {
                world.twice += 1;
                return Submitted::AlreadyThere;
            }
            let running = world.tasks.values().filter(|task| task.1 > now).count();
            if running >= self.limit {
                world.refused += 1;
                let words = "parallel task over resource pack limit (1303)".to_owned();
                return Submitted::NotMade(NotMade { words, retry_after: None, limit: Limit::Parallel });
            }
            let ends = now.checked_add(Duration::from_millis(world.dice.u64(TASK))).unwrap();
            let task = TaskId::new(format!("t{}", world.tasks.len() + 1)).unwrap();
            world.peak = world.peak.max(running + 1);
            world.tasks.insert(task.clone(), (now, ends));
            world.references.insert(order.client_ref.clone(), task.clone());
            if self.loses > 0 && world.tasks.len().is_multiple_of(self.loses) {
                return Submitted::InDoubt(Doubt::TimedOut);
            }
            Submitted::Accepted(Accepted::plain(task))
        })
    }

    fn find<'a>(&'a self, client_ref: &'a ClientRef) -> BoxFuture<'a, Observed> {
        let task = self.world.lock().unwrap().references.get(client_ref).cloned();
        Box::pin(async move { task.map_or(Observed::NotVisible, |task| self.see(&task)) })
    }

    fn observe<'a>(&'a self, asked: Question<'a>) -> BoxFuture<'a, Observed> {
        Box::pin(async move { self.see(asked.task) })
    }

    fn list(&self, _page: u32, _size: u32) -> BoxFuture<'_, Listed> {
        Box::pin(async { Listed::Unclear { words: "not told".into(), retry_after: None } })
    }

    fn probe(&self) -> BoxFuture<'_, Result<Probe, String>> {
        Box::pin(async { Err("nobody asks".to_owned()) })
    }
}

/// What became of a night.
struct Past {
    world: World,
    notices: Vec<Notice>,
    outcome: Outcome,
    tally: Tally,
    store: Arc<dyn Store>,
}

impl Past {
    fn adapted(&self) -> Vec<&String> {
        self.notices
            .iter()
            .filter_map(|told| if let Notice::Adapted { words, .. } = told { Some(words) } else { None })
            .collect()
    }

    fn troubles(&self) -> usize {
        self.notices.iter().filter(|told| matches!(told, Notice::PutOff { .. } | Notice::Odd { .. })).count()
    }
}

#[derive(Clone, Copy)]
struct Wish {
    rows: usize,
    probe: bool,
    /// What the remote allows; three are set.
    allows: usize,
    loses: usize,
    able: Capabilities,
    budget: Option<&'static str>,
}

const SET: usize = 3;
/// Those of the night before, too.
const ALL_ROWS: u64 = 60 + 24;
const ONE_BY_ONE: Capabilities = Capabilities { find: true, unique: true, refuses: true, ..NONE };
const WISH: Wish = Wish { rows: 60, probe: true, allows: SET, loses: 0, able: ONE_BY_ONE, budget: None };

/// Plays a night of which it is known how long tasks take.
async fn play(wish: Wish) -> Past {
    let mut night = Night::new(vec![ScriptedGateway::new(NONE)], wish.rows + 24).await;
    let clock = Clock::starting_at(Timestamp::UNIX_EPOCH);
    let world = Mutex::new(World { dice: fastrand::Rng::with_seed(7), ..World::default() });
    let remote =
        Arc::new(Remote { limit: wish.allows, able: wish.able, loses: wish.loses, clock: clock.clone(), world });
    let lane = &mut night.settings.lanes[0];
    (lane.gateway, lane.in_flight, lane.probe) = (Arc::clone(&remote) as Arc<dyn Gateway>, SET, wish.probe);
    let currency = crate::domain::Currency::default();
    night.settings.budget = wish.budget.map(|amount| Price { amount: amount.parse().unwrap(), currency });
    let parts = Parts {
        ledger: Ledger::new(Arc::clone(&night.store), clock.clone()),
        trees: Arc::new(Trees::new(Arc::clone(&night.store), |out| Arc::new(LocalSink::new(out)))),
        downloader: Arc::new(Downloader::new(clock, Downloader::STALL_AFTER, Downloader::MAX_BYTES).unwrap()),
    };
    // An earlier night, of which nothing is left to do.
    for seconds in 0..24_u64 {
        let wanted = Wanted { account: contract::account(), batch: None, closed: Vec::new() };
        let due = night.store.take_planned(wanted, Timestamp::UNIX_EPOCH, 1).await.unwrap();
        let mut job = due.jobs.into_iter().next().unwrap();
        let task = TaskId::new(format!("old{seconds}")).unwrap();
        let took_ms = Some(20_000 + seconds * 3_400);
        for event in [
            contract::started(&job),
            JobEvent::Accepted { task, request_id: None, handle: None },
            JobEvent::Succeeded { link: "http://127.0.0.1/v".into(), took_ms, units: None },
            JobEvent::GaveUp { words: "no video".into() },
            JobEvent::Resolved { verdict: crate::domain::Verdict::Drop },
        ] {
            job = parts.ledger.record(&job, event).await.unwrap();
        }
    }
    let (pipeline, control) = Pipeline::prepare(parts, night.settings.clone(), Gate::Open(None)).await.unwrap();
    let mut told = control.listen();
    let mut notices = Vec::new();
    let outcome = {
        let run = pipeline.run();
        tokio::pin!(run);
        loop {
            tokio::select! {
                biased;
                notice = told.recv() => notices.extend(notice.ok().filter(|told| !matches!(told, Notice::Counted(_)))),
                outcome = &mut run => break outcome.unwrap(),
                () = step(&night.store) => {}
            }
        }
    };
    let tally = night.store.tally(None).await.unwrap();
    let world = remote.world.lock().unwrap().clone();
    Past { world, notices, outcome, tally, store: Arc::clone(&night.store) }
}

/// Lets virtual time pass, once the ledger has done what was asked of it. While the blocking wait is on, tokio leaves the
/// clock alone.
async fn step(store: &Arc<dyn Store>) {
    let (handle, store) = (tokio::runtime::Handle::current(), Arc::clone(store));
    let wait = move || handle.block_on(store.job(crate::domain::JobId(0))).unwrap();
    assert!(tokio::task::spawn_blocking(wait).await.unwrap().is_none());
    for _ in 0..8 {
        tokio::task::yield_now().await;
    }
    tokio::time::advance(STEP).await;
}

#[tokio::test(start_paused = true)]
async fn probes_fill_slots_sooner_than_questions_and_teach_no_wrong_limit() {
    let (with, without) = (play(WISH).await, play(Wish { probe: false, ..WISH }).await);
    let used = |past: &Past| past.world.used(SET);
    assert!(used(&with) > used(&without) + 0.01 && used(&with) > 0.93, "{:.3} {:.3}", used(&with), used(&without));
    assert!(with.world.questions < without.world.questions / 2, "{} {}", with.world.questions, without.world.questions);
    assert_eq!((with.world.peak, without.world.refused), (SET, 0));
    // Some were refused, and nobody was told of any trouble.
    let refused = with.world.refused;
    assert!((10..=WISH.rows * 6).contains(&refused), "{refused}");
    assert_eq!((with.troubles(), with.adapted().len()), (0, 0), "{:?}", with.notices);
    assert_eq!((with.outcome.ended.clone(), with.tally.failed), (Ended::Finished, ALL_ROWS));
    // A refused probe is no request that may have been paid.
    assert_eq!((with.tally.submissions, with.world.tasks.len()), (ALL_ROWS, WISH.rows));
    let jobs = with.store.jobs(Filter::default(), crate::domain::JobId(0), 999).await.unwrap();
    let put_offs: u32 = jobs.iter().filter_map(|job| Some(job.attempt.as_ref()?.put_offs)).sum();
    assert_eq!(put_offs as usize, refused);
}

#[tokio::test(start_paused = true)]
async fn a_limit_that_is_lower_than_what_is_set_is_learned_and_not_probed() {
    let past = play(Wish { allows: 2, ..WISH }).await;
    assert!(past.adapted().iter().any(|words| words.starts_with("2 of 3")), "{:?}", past.notices);
    assert_eq!((past.world.peak, past.world.tasks.len()), (2, WISH.rows));
    // Each trial of one more may be refused, and that is all.
    assert!(past.world.refused < WISH.rows, "{}", past.world.refused);
}

#[tokio::test(start_paused = true)]
async fn lost_answers_to_probes_are_looked_up_and_nothing_is_paid_twice() {
    let past = play(Wish { loses: LOST, ..WISH }).await;
    let world = &past.world;
    assert_eq!((world.tasks.len(), world.twice, world.peak), (WISH.rows, 0, SET));
    assert!(past.notices.iter().filter(|told| matches!(told, Notice::Adopted { .. })).count() >= WISH.rows / LOST);
    assert_eq!(past.tally.failed, ALL_ROWS);
}

#[tokio::test(start_paused = true)]
async fn what_a_probe_reserves_of_the_budget_comes_back() {
    // The earlier night cost 24 of those; ten more fit.
    let past = play(Wish { budget: Some("9.52"), ..WISH }).await;
    assert_eq!((past.world.tasks.len(), past.tally.submissions), (10, 34), "{:?}", past.outcome);
    assert_eq!(past.outcome.left[0].kept_by, KeptBy::Budget);
}

#[tokio::test(start_paused = true)]
async fn where_a_refusal_is_not_certain_no_probe_is_sent_and_that_is_told_once() {
    let past = play(Wish { able: Capabilities { refuses: false, ..ONE_BY_ONE }, rows: 12, ..WISH }).await;
    assert_eq!((past.world.refused, past.troubles(), past.world.tasks.len()), (0, 1, 12), "{:?}", past.notices);
}
