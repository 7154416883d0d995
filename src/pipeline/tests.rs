//! Whole runs over a scripted remote, on virtual time.

mod probes;
mod simulation;

use std::time::Duration;

use jiff::Timestamp;

use super::download::Downloader;
use super::*;
use crate::catalogue::PriceTable;
use crate::domain::{Doubt, JobEvent, Observation, Progress, Tally, TaskId};
use crate::gateway::scripted::{Asked, ScriptedGateway, seen};
use crate::gateway::{Accepted, Capabilities, Gateway, Limit, Listed, NotMade, Observed, PauseReason, Submitted};
use crate::ledger::Ledger;
use crate::pace::Clock;
use crate::sink::LocalSink;
use crate::store::sqlite::SqliteStore;
use crate::store::{Account, Store, contract};

const ALL: Capabilities = Capabilities { find: true, unique: true, list: true, many: None, refuses: true };
const NONE: Capabilities = Capabilities { find: false, unique: false, list: false, many: None, refuses: false };

/// A night over scripted remotes.
struct Night {
    store: Arc<dyn Store>,
    gateways: Vec<Arc<ScriptedGateway>>,
    settings: Settings,
}

impl Night {
    /// One account a gateway, called `kling`, `kling-2`, …; a batch of `rows` rows of one scene.
    async fn new(gateways: Vec<ScriptedGateway>, rows: usize) -> Self {
        let store: Arc<dyn Store> = Arc::new(SqliteStore::open_in_memory().unwrap());
        contract::filled(store.as_ref(), "m", rows).await;
        let gateways: Vec<_> = gateways.into_iter().map(Arc::new).collect();
        let lane = |place: usize, gateway: &Arc<ScriptedGateway>| {
            let name = if place == 0 {
                contract::account()
            } else {
                AccountName::new(format!("kling-{}", place + 1)).unwrap()
            };
            LaneSettings {
                account: Account { name, gateway: "kling".into(), base_url: String::new(), last_submit_at: None },
                gateway: Arc::clone(gateway) as Arc<dyn Gateway>,
                interval: Duration::from_secs(1),
                in_flight: 2,
                min_poll: Duration::from_secs(2),
                usual_task: Duration::from_secs(320),
                in_doubt: InDoubt::Hold,
                weight: 1,
                pool: None,
                prices: PriceTable::kling_list(),
                probe: false,
                lender: None,
                callback_url: None,
            }
        };
        let settings = Settings {
            lanes: gateways.iter().enumerate().map(|(place, gateway)| lane(place, gateway)).collect(),
            settle_after: Duration::from_secs(60),
            deadline: Duration::from_secs(3600),
            downloads: 1,
            caution: Caution { canary: 0, most_failures: None },
            shift: crate::pace::Shift::default(),
            budget: None,
            stages: crate::pipeline::Stages::All,
            ends: crate::pipeline::Ends::WhenIdle,
        };
        Self { store, gateways, settings }
    }

    /// Runs until nothing is left that could be done.
    async fn run(&self) -> (Outcome, Tally) {
        let (outcome, tally, _) = self.timed().await;
        (outcome, tally)
    }

    /// The same, with the instant at which it ended; it starts at the epoch.
    async fn timed(&self) -> (Outcome, Tally, Timestamp) {
        let clock = Clock::starting_at(Timestamp::UNIX_EPOCH);
        let (outcome, tally) = self.run_by(clock.clone()).await;
        (outcome, tally, clock.now())
    }

    /// When each request for a task was sent, in seconds from the start.
    async fn sent_at(&self) -> Vec<i64> {
        let jobs = self.store.jobs(crate::store::Filter::default(), crate::domain::JobId(0), 99).await.unwrap();
        jobs.iter().filter_map(|job| Some(job.attempt.as_ref()?.started_at.as_second())).collect()
    }

    async fn run_by(&self, clock: Clock) -> (Outcome, Tally) {
        let (pipeline, _control) = self.prepared(clock).await;
        let outcome = pipeline.run().await.unwrap();
        (outcome, self.store.tally(None).await.unwrap())
    }

    async fn prepared(&self, clock: Clock) -> (Pipeline, Control) {
        let parts = Parts {
            ledger: Ledger::new(Arc::clone(&self.store), clock.clone()),
            trees: Arc::new(Trees::new(Arc::clone(&self.store), |out| Arc::new(LocalSink::new(out)))),
            downloader: Arc::new(Downloader::new(clock, Downloader::STALL_AFTER, Downloader::MAX_BYTES).unwrap()),
        };
        Pipeline::prepare(parts, self.settings.clone(), Gate::Open(None)).await.unwrap()
    }

    /// How many requests for a task each gateway was sent.
    fn submissions(&self) -> Vec<usize> {
        self.gateways.iter().map(|gateway| gateway.submissions()).collect()
    }
}

/// Runs a batch of `rows` rows over one account.
async fn night(gateway: ScriptedGateway, rows: usize) -> (Ended, Tally, Vec<Asked>) {
    let night = Night::new(vec![gateway], rows).await;
    let (outcome, tally) = night.run().await;
    (outcome.ended, tally, night.gateways[0].asked())
}

/// A remote whose tasks fail as soon as they are asked for.
fn failing(tasks: usize) -> ScriptedGateway {
    let failed = |gateway: ScriptedGateway, _| {
        let progress = Progress::Failed { words: "Failure to pass the risk control system".into() };
        gateway.observe_says(seen(&TaskId::new("any").unwrap(), None, progress))
    };
    (0..tasks).fold(ScriptedGateway::new(ALL), failed)
}

fn submissions(asked: &[Asked]) -> usize {
    asked.iter().filter(|asked| matches!(asked, Asked::Submit(_))).count()
}

#[tokio::test(start_paused = true)]
async fn a_reference_that_is_there_and_cannot_be_found_is_held_and_not_sent_for_ever() {
    let gateway = ScriptedGateway::new(ALL).submit_says(Submitted::AlreadyThere);
    let (ended, tally, asked) = night(gateway, 1).await;
    assert_eq!((ended, tally.held, submissions(&asked)), (Ended::Finished, 1, 1));
}

#[tokio::test(start_paused = true)]
async fn a_lost_answer_is_looked_for_through_the_quiet_period_and_sent_again_under_its_own_reference() {
    let gateway = ScriptedGateway::new(ALL)
        .submit_says(Submitted::InDoubt(Doubt::TimedOut))
        .submit_says(Submitted::Accepted(Accepted::plain(TaskId::new("1").unwrap())));
    // The task never ends: it is given up at its deadline, and never paid again.
    let (ended, tally, asked) = night(gateway, 1).await;
    assert_eq!((ended, tally.stuck, tally.submissions), (Ended::Finished, 1, 1));
    let sent: Vec<&Asked> = asked.iter().filter(|asked| matches!(asked, Asked::Submit(_))).collect();
    assert!(sent.len() == 2 && sent[0] == sent[1], "{sent:?}");
    let found_out = asked.iter().position(|asked| matches!(asked, Asked::Find(_))).unwrap();
    let sent_again = asked.iter().rposition(|asked| matches!(asked, Asked::Submit(_))).unwrap();
    assert!(found_out < sent_again && asked[..sent_again].contains(&Asked::List(1)), "{asked:?}");
}

#[tokio::test(start_paused = true)]
async fn where_nothing_can_be_asked_doubt_is_held_and_its_slot_comes_free_in_the_end() {
    let doubt = || Submitted::InDoubt(Doubt::TimedOut);
    let gateway = ScriptedGateway::new(NONE).submit_says(doubt()).submit_says(doubt()).submit_says(doubt());
    let (ended, tally, asked) = night(gateway, 3).await;
    assert_eq!((ended, tally.held, submissions(&asked)), (Ended::Finished, 3, 3));
}

#[tokio::test(start_paused = true)]
async fn an_account_that_cannot_go_on_sends_nothing_more() {
    let pause = Pause { reason: PauseReason::Balance, words: "empty".into() };
    let gateway = ScriptedGateway::new(ALL).submit_says(Submitted::Paused(pause.clone()));
    let night = Night::new(vec![gateway], 5).await;
    let (outcome, tally) = night.run().await;
    assert_eq!(outcome.pauses, [(contract::account(), pause)]);
    assert!(night.submissions()[0] <= 2, "{:?}", night.submissions());
    assert_eq!(tally.failed, 0);
    // What the first request had made its way to is counted with what is left.
    assert_eq!(outcome.left.iter().map(|left| left.rows).sum::<u64>(), tally.planned);
}

#[tokio::test(start_paused = true)]
async fn rows_of_a_paused_account_move_to_the_others() {
    let dead = Pause { reason: PauseReason::Key, words: "no".into() };
    let gateways = vec![
        (0..9).fold(ScriptedGateway::new(ALL), |gateway, _| gateway.submit_says(Submitted::Paused(dead.clone()))),
        failing(40),
    ];
    let night = Night::new(gateways, 12).await;
    let (outcome, tally) = night.run().await;
    assert_eq!((outcome.pauses.len(), outcome.left.len()), (1, 0));
    assert_eq!((tally.failed, tally.planned, tally.submissions), (12, 0, 12), "each ended at the other account");
    assert!(night.submissions()[0] <= 2 && night.submissions()[1] == 12, "{:?}", night.submissions());
}

#[tokio::test(start_paused = true)]
async fn a_scene_whose_first_rows_fail_is_paused_before_the_rest_is_paid_for() {
    let mut night = Night::new(vec![failing(40)], 30).await;
    night.settings.caution = Caution { canary: 2, most_failures: Some(50) };
    let (outcome, tally) = night.run().await;
    assert_eq!((night.submissions(), tally.failed, tally.planned), (vec![2], 2, 28));
    let [left] = outcome.left.as_slice() else { panic!("{outcome:?}") };
    assert_eq!((left.rows, left.worth.to_string().as_str()), (28, "USD 7.84"));
    assert!(matches!(&left.kept_by, KeptBy::Scene(why) if why.starts_with("its first 2 rows failed")), "{left:?}");
    // The next run tries it again, with as few rows.
    let (_, tally) = night.run().await;
    assert_eq!((night.submissions(), tally.failed), (vec![4], 4));
}

#[tokio::test(start_paused = true)]
async fn the_budget_is_never_passed_whatever_fails_and_in_all_runs_together() {
    let mut night = Night::new(vec![failing(40), failing(40)], 20).await;
    night.settings.budget =
        Some(Price { amount: "1.40".parse().unwrap(), currency: crate::domain::Currency::default() });
    for run in 0..2 {
        let (outcome, tally) = night.run().await;
        assert_eq!((tally.submissions, tally.planned), (5, 15), "run {run}");
        assert_eq!(outcome.left[0].kept_by, KeptBy::Budget);
    }
    // What certainly made nothing comes back.
    let refused = Submitted::Refused(crate::domain::FailureCause::Dropped);
    let free = (0..20).fold(ScriptedGateway::new(ALL), |gateway, _| gateway.submit_says(refused.clone()));
    let mut night = Night::new(vec![free], 20).await;
    night.settings.budget =
        Some(Price { amount: "0.56".parse().unwrap(), currency: crate::domain::Currency::default() });
    let (outcome, tally) = night.run().await;
    assert_eq!((tally.failed, tally.submissions, outcome.left.len()), (20, 0, 0));
}

#[tokio::test(start_paused = true)]
async fn accounts_of_one_pool_share_their_slots() {
    let pending = || ScriptedGateway::new(ALL);
    let mut night = Night::new(vec![pending(), pending()], 9).await;
    for lane in &mut night.settings.lanes {
        lane.pool = Some("studio".into());
    }
    night.settings.deadline = Duration::from_secs(200);
    let (_, tally) = night.run().await;
    // Tasks that never end are given up after their deadline, two at a time.
    assert_eq!(tally.stuck, 9);
    let started = crate::store::Filter::default();
    let jobs = night.store.jobs(started, crate::domain::JobId(0), 99).await.unwrap();
    let mut starts: Vec<_> = jobs.iter().map(|job| job.attempt.as_ref().unwrap().started_at).collect();
    starts.sort();
    for (first, third) in starts.iter().zip(&starts[2..]) {
        assert!(third.duration_since(*first).as_secs() >= 200, "three ran at once: {starts:?}");
    }
    assert!(night.submissions().iter().all(|sent| *sent > 0), "{:?}", night.submissions());
}

#[tokio::test(start_paused = true)]
async fn a_remote_that_allows_fewer_is_learned_and_not_asked_again_and_again() {
    let busy = || {
        let (words, retry_after) = ("parallel task over resource pack limit".to_owned(), None);
        Submitted::NotMade(NotMade { words, retry_after, limit: Limit::Parallel })
    };
    let task = |number: u32| Submitted::Accepted(Accepted::plain(TaskId::new(format!("t{number}")).unwrap()));
    let gateway = ScriptedGateway::new(ALL).submit_says(task(1)).submit_says(busy());
    let mut night = Night::new(vec![gateway], 3).await;
    night.settings.deadline = Duration::from_secs(50);
    let (_, tally) = night.run().await;
    // One at a time from then on, and no trial before a minute is over.
    assert_eq!((tally.stuck, night.submissions()), (3, vec![4]));
}

#[tokio::test(start_paused = true)]
async fn several_tasks_are_asked_for_at_once_and_those_not_shown_by_themselves() {
    let failed = |number: u32| Observation {
        task: TaskId::new(format!("task-{number}")).unwrap(),
        client_ref: None,
        progress: Progress::Failed { words: "no".into() },
        took: None,
        units: None,
        created_at: None,
    };
    // An earlier run left both; the answer shows only one of them.
    let able = Capabilities { many: Some(20), ..NONE };
    let gateway =
        ScriptedGateway::new(able).many_says(Listed::Page(vec![failed(1)])).observe_says(Observed::Seen(failed(2)));
    let night = Night::new(vec![gateway], 2).await;
    let ledger = Ledger::new(Arc::clone(&night.store), Clock::starting_at(Timestamp::UNIX_EPOCH));
    let jobs = night.store.jobs(crate::store::Filter::default(), crate::domain::JobId(0), 9).await.unwrap();
    for (job, number) in jobs.iter().zip(1..) {
        let sent = ledger.record(job, contract::started(job)).await.unwrap();
        let task = failed(number).task;
        ledger.record(&sent, JobEvent::Accepted { task, request_id: None, handle: None }).await.unwrap();
    }
    let (_, tally) = night.run().await;
    assert_eq!(tally.failed, 2, "{:?}", night.gateways[0].asked());
    let asked: Vec<Asked> =
        night.gateways[0].asked().into_iter().filter(|asked| !matches!(asked, Asked::Submit(_))).collect();
    let task = |number: u32| failed(number).task;
    assert_eq!(asked, [Asked::Many(vec![task(1), task(2)]), Asked::Observe(task(2))]);
}

#[tokio::test(start_paused = true)]
async fn a_short_way_that_leads_nowhere_is_left_for_good() {
    let failed = Progress::Failed { words: "no".into() };
    let observed = || seen(&TaskId::new("any").unwrap(), None, failed.clone());
    let gateway = ScriptedGateway::new(Capabilities { many: Some(20), ..NONE });
    let gateway = (0..6).fold(gateway, |gateway, _| gateway.observe_says(observed()));
    let night = Night::new(vec![gateway], 6).await;
    let (_, tally) = night.run().await;
    let many = night.gateways[0].asked().into_iter().filter(|asked| matches!(asked, Asked::Many(_))).count();
    assert!(tally.failed == 6 && many <= 1, "{:?}", night.gateways[0].asked());
}

fn second(second: i64) -> Timestamp {
    Timestamp::from_second(second).unwrap()
}

// While the ledger's own thread works, virtual time runs on: what is told of instants leaves it an hour or two.

#[tokio::test(start_paused = true)]
async fn what_would_not_be_made_in_time_is_not_sent_and_the_run_ends_when_the_rest_has_ended() {
    let mut night = Night::new(vec![ScriptedGateway::new(ALL)], 99).await;
    night.settings.deadline = Duration::from_secs(2000);
    night.settings.shift.ends = second(100_000);
    // With a quarter of that again and two questions, nothing may be sent after 49 996 s.
    night.settings.lanes[0].usual_task = Duration::from_secs(40_000);
    let (outcome, tally, ended_at) = night.timed().await;
    let sent = night.sent_at().await;
    assert!(sent.len() >= 2 && sent.iter().all(|at| *at <= 57_000), "{sent:?}");
    assert_eq!((outcome.ended, tally.waiting + tally.submitting), (Ended::Finished, 0));
    assert!(ended_at < second(100_000), "{ended_at}");
    let [left] = outcome.left.as_slice() else { panic!("{:?}", outcome.left) };
    assert_eq!((&left.kept_by, left.rows), (&KeptBy::Hours, 99 - sent.len() as u64));
}

#[tokio::test(start_paused = true)]
async fn a_run_whose_time_is_up_ends_then_and_leaves_what_is_paid_where_it_is() {
    let mut night = Night::new(vec![ScriptedGateway::new(ALL)], 5).await;
    night.settings.deadline = Duration::from_secs(1_000_000);
    night.settings.shift.ends = second(30_000);
    let (outcome, tally, ended_at) = night.timed().await;
    assert_eq!((outcome.ended, tally.waiting, tally.planned), (Ended::TimeUp, 2, 3));
    assert!(ended_at >= second(30_000), "{ended_at}");
}

#[tokio::test(start_paused = true)]
async fn before_its_hours_a_run_collects_and_sends_nothing() {
    let mut night = Night::new(vec![failing(9)], 4).await;
    let ledger = Ledger::new(Arc::clone(&night.store), Clock::starting_at(Timestamp::UNIX_EPOCH));
    let jobs = night.store.jobs(crate::store::Filter::default(), crate::domain::JobId(0), 1).await.unwrap();
    let sent = ledger.record(&jobs[0], contract::started(&jobs[0])).await.unwrap();
    let task = TaskId::new("earlier").unwrap();
    ledger.record(&sent, JobEvent::Accepted { task, request_id: None, handle: None }).await.unwrap();
    night.settings.shift.opens = second(36_000);
    let (outcome, tally, _) = night.timed().await;
    assert_eq!((outcome.ended, tally.failed), (Ended::Finished, 4));
    let asked = night.gateways[0].asked();
    let first = |wanted: fn(&Asked) -> bool| asked.iter().position(wanted).unwrap();
    let (asks, sends) =
        (first(|asked| matches!(asked, Asked::Observe(_))), first(|asked| matches!(asked, Asked::Submit(_))));
    assert!(asks < sends, "{asked:?}");
    assert_eq!(night.sent_at().await.iter().filter(|at| **at >= 36_000).count(), 3);
}

#[tokio::test(start_paused = true)]
async fn a_run_that_would_end_before_its_hours_sends_nothing_and_does_not_wait_for_them() {
    let mut night = Night::new(vec![failing(9)], 4).await;
    night.settings.shift = crate::pace::Shift { opens: second(1_000_000), ends: second(500_000) };
    let (outcome, tally, ended_at) = night.timed().await;
    assert_eq!((tally.submissions, outcome.left.len()), (0, 1));
    assert!(ended_at < second(500_000), "{ended_at}");
}

#[tokio::test]
async fn a_run_that_is_told_to_stop_takes_the_answer_that_is_on_its_way() {
    let told = Arc::new(tokio::sync::Notify::new());
    let made = Submitted::Accepted(Accepted::plain(TaskId::new("1").unwrap()));
    let night = Night::new(vec![ScriptedGateway::new(ALL).submit_says_when(&told, made)], 1).await;
    let clock = Clock::system();
    let (pipeline, control) = night.prepared(clock.clone()).await;
    let running = tokio::spawn(pipeline.run());
    while night.submissions() != [1] {
        clock.sleep(Duration::from_millis(5)).await;
    }
    control.stop();
    // Long enough for whoever would not wait.
    clock.sleep(Duration::from_millis(100)).await;
    told.notify_one();
    let outcome = running.await.unwrap().unwrap();
    let tally = night.store.tally(None).await.unwrap();
    assert_eq!((outcome.ended, tally.waiting, tally.submissions), (Ended::Interrupted, 1, 1), "{tally:?}");
}
