//! How much of the parallel limit is used by tasks of one to five minutes: the whole pipeline over a remote of this file, on
//! virtual time. A step of the clock takes a little real time, in which the ledger and the file host really work.

use std::collections::HashMap;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use futures::future::BoxFuture;
use jiff::Timestamp;
use nightreel::catalogue::PriceTable;
use nightreel::domain::{
    AccountName, BatchName, ClientRef, Effect, ImageSource, Images, JobId, Observation, OutputKey, Progress, RowKey,
    TaskId,
};
use nightreel::gateway::{
    Accepted, Asked, Capabilities, Gateway, Limit, Listed, NotMade, Observed, Order, Probe, Submitted,
};
use nightreel::ledger::Ledger;
use nightreel::pace::{Clock, Shift};
use nightreel::pipeline::download::Downloader;
use nightreel::pipeline::{Caution, Ends, Gate, InDoubt, LaneSettings, Parts, Pipeline, Settings, Stages, Trees};
use nightreel::sink::LocalSink;
use nightreel::store::sqlite::SqliteStore;
use nightreel::store::{Account, NewJob, Store};

use super::{host, rig};

/// A step of the clock, and how long it really takes at least.
const STEP: (Duration, Duration) = (Duration::from_millis(100), Duration::from_micros(50));
/// How long the remote takes over any answer.
const LATENCY: Duration = Duration::from_millis(300);
/// The longest and shortest task, in milliseconds; all in between are as likely.
const TASK: std::ops::RangeInclusive<u64> = 60_000..=300_000;

pub(crate) fn run() {
    rig::head(&["limit", "remote", "probes", "slots used", "once filled", "questions a task", "refused a task"]);
    for (limit, rows) in [(5, 200), (20, 600), (100, 2000)] {
        for lists in [true, false] {
            for probe in [false, true] {
                night(limit, rows, lists, probe);
            }
        }
    }
}

fn night(limit: usize, rows: usize, lists: bool, probe: bool) {
    let mut runtime = tokio::runtime::Builder::new_current_thread();
    let runtime = runtime.enable_all().start_paused(true).build().unwrap();
    let world = runtime.block_on(async {
        let folder = tempfile::tempdir().unwrap();
        let clock = Clock::starting_at(Timestamp::UNIX_EPOCH);
        let remote = Arc::new(Remote::new(limit, lists, clock.clone(), host::start().await));
        let store: Arc<dyn Store> = Arc::new(SqliteStore::open_in_memory().unwrap());
        let name = BatchName::new("night").unwrap();
        let batch =
            store.open_batch(name, folder.path().join("videos"), Vec::new(), "/night.csv".into()).await.unwrap();
        store.admit(batch.id, (0..rows).map(row).collect(), clock.now()).await.unwrap();
        let parts = Parts {
            ledger: Ledger::new(Arc::clone(&store), clock.clone()),
            trees: Arc::new(Trees::new(Arc::clone(&store), |out| Arc::new(LocalSink::new(out)))),
            downloader: Arc::new(Downloader::new(clock, Downloader::STALL_AFTER, Downloader::MAX_BYTES).unwrap()),
        };
        let gateway: Arc<dyn Gateway> = Arc::<Remote>::clone(&remote);
        let (pipeline, _control) =
            Pipeline::prepare(parts, settings(gateway, limit, probe), Gate::Open(None)).await.unwrap();
        tokio::select! {
            outcome = pipeline.run() => drop(outcome.unwrap()),
            () = turn(Arc::clone(&store)) => {}
        }
        assert_eq!(store.tally(None).await.unwrap().done, rows as u64);
        remote.world.lock().unwrap().clone()
    });
    assert!(world.peak <= limit, "{} ran at once", world.peak);
    let of_a_task = |count: u64| format!("{:.2}", count as f64 / rows as f64);
    rig::line(&[
        limit.to_string(),
        if lists { "tells several at once" } else { "tells one at a time" }.to_owned(),
        if probe { "yes" } else { "no" }.to_owned(),
        format!("{:.3}", world.used(limit, 1)),
        format!("{:.3}", world.used(limit, limit)),
        of_a_task(world.questions),
        of_a_task(world.refused),
    ]);
}

/// Lets virtual time pass, once the ledger has done what was asked of it. While the blocking wait is on, tokio leaves the
/// clock alone.
async fn turn(store: Arc<dyn Store>) {
    let handle = tokio::runtime::Handle::current();
    loop {
        let (handle, store) = (handle.clone(), Arc::clone(&store));
        let wait = move || {
            std::thread::sleep(STEP.1);
            handle.block_on(store.job(JobId(0))).unwrap()
        };
        assert!(tokio::task::spawn_blocking(wait).await.unwrap().is_none());
        for _ in 0..8 {
            tokio::task::yield_now().await;
        }
        tokio::time::advance(STEP.0).await;
    }
}

fn row(number: usize) -> NewJob {
    let image = ImageSource::Url(format!("https://example.com/{number}.jpg"));
    let effect = Effect { scene: "squish".into(), images: Images::One(image), duration: None, model: None, mode: None };
    NewJob {
        key: RowKey::of_id(&number.to_string()),
        label: number.to_string(),
        content: effect.content(),
        effect,
        output: OutputKey::new(format!("squish/{number}.mp4")).unwrap(),
        columns: "{}".into(),
        account: None,
    }
}

fn settings(gateway: Arc<dyn Gateway>, in_flight: usize, probe: bool) -> Settings {
    let name = AccountName::new("kling").unwrap();
    let account = Account { name, gateway: "kling".into(), base_url: String::new(), last_submit_at: None };
    let lane = LaneSettings {
        account,
        gateway,
        interval: Duration::from_secs(1),
        in_flight,
        min_poll: Duration::from_secs(2),
        usual_task: Duration::from_secs(320),
        in_doubt: InDoubt::Hold,
        weight: 1,
        pool: None,
        probe,
        prices: PriceTable::kling_list(),
        lender: None,
        callback_url: None,
    };
    Settings {
        lanes: vec![lane],
        settle_after: Duration::from_secs(60),
        deadline: Duration::from_hours(24),
        downloads: 8,
        caution: Caution { canary: 0, most_failures: None },
        shift: Shift::default(),
        budget: None,
        stages: Stages::All,
        ends: Ends::WhenIdle,
    }
}

/// A remote that refuses what is over its limit, as Kling documents it.
#[derive(Debug)]
struct Remote {
    limit: usize,
    lists: bool,
    clock: Clock,
    files: String,
    world: Mutex<World>,
}

#[derive(Debug, Clone, Default)]
struct World {
    /// When each task was made, and when it ends.
    tasks: HashMap<TaskId, (Timestamp, Timestamp)>,
    questions: u64,
    refused: u64,
    peak: usize,
    dice: fastrand::Rng,
}

impl World {
    /// The share of (limit × time) with a generation running, from the first instant at which `full` did until the last
    /// request.
    fn used(&self, limit: usize, full: usize) -> f64 {
        let mut made: Vec<Timestamp> = self.tasks.values().map(|task| task.0).collect();
        made.sort_unstable();
        let running = |at: &&Timestamp| self.tasks.values().filter(|task| task.0 <= **at && task.1 > **at).count();
        let begin = *made.iter().find(|at| running(at) >= full).unwrap();
        let end = *made.last().unwrap();
        let seconds = |from: Timestamp, to: Timestamp| to.duration_since(from).as_secs_f64().max(0.0);
        let busy: f64 = self.tasks.values().map(|task| seconds(task.0.max(begin), task.1.min(end))).sum();
        busy / (limit as f64 * seconds(begin, end))
    }
}

impl Remote {
    fn new(limit: usize, lists: bool, clock: Clock, files: String) -> Self {
        let world = World { dice: fastrand::Rng::with_seed(7), ..World::default() };
        Self { limit, lists, clock, files, world: Mutex::new(world) }
    }

    fn make(&self) -> Submitted {
        let now = self.clock.now();
        let mut world = self.world.lock().unwrap();
        let running = world.tasks.values().filter(|task| task.1 > now).count();
        if running >= self.limit {
            world.refused += 1;
            let words = "1303 parallel task over resource pack limit".to_owned();
            return Submitted::NotMade(NotMade { words, retry_after: None, limit: Limit::Parallel });
        }
        let ends = now.checked_add(Duration::from_millis(world.dice.u64(TASK))).unwrap();
        let task = TaskId::new((world.tasks.len() + 1).to_string()).unwrap();
        world.peak = world.peak.max(running + 1);
        world.tasks.insert(task.clone(), (now, ends));
        Submitted::Accepted(Accepted::plain(task))
    }

    fn see(&self, tasks: &[TaskId]) -> Vec<Observation> {
        let now = self.clock.now();
        let mut world = self.world.lock().unwrap();
        world.questions += 1;
        let known = tasks.iter().filter_map(|task| Some((task, world.tasks.get(task)?)));
        let seen = known.map(|(task, (made, ends))| Observation {
            task: task.clone(),
            client_ref: None,
            progress: if *ends <= now {
                Progress::Succeeded { link: format!("{}/{task}.mp4", self.files) }
            } else {
                Progress::Pending { status: "processing".into() }
            },
            took: (*ends <= now).then(|| ends.duration_since(*made).unsigned_abs()),
            units: None,
            created_at: None,
        });
        seen.collect()
    }
}

impl Gateway for Remote {
    fn capabilities(&self) -> Capabilities {
        if self.lists {
            Capabilities { find: true, unique: true, list: true, many: Some(20), refuses: true }
        } else {
            Capabilities { refuses: true, ..Capabilities::default() }
        }
    }

    fn submit<'a>(&'a self, _order: Order<'a>) -> BoxFuture<'a, Submitted> {
        Box::pin(async move {
            self.clock.sleep(LATENCY / 2).await;
            let made = self.make();
            self.clock.sleep(LATENCY / 2).await;
            made
        })
    }

    fn find<'a>(&'a self, _client_ref: &'a ClientRef) -> BoxFuture<'a, Observed> {
        Box::pin(async { Observed::NotVisible })
    }

    fn observe<'a>(&'a self, asked: Asked<'a>) -> BoxFuture<'a, Observed> {
        Box::pin(async move {
            self.clock.sleep(LATENCY / 2).await;
            let seen = self.see(std::slice::from_ref(asked.task));
            self.clock.sleep(LATENCY / 2).await;
            seen.into_iter().next().map_or(Observed::NotVisible, Observed::Seen)
        })
    }

    fn observe_many<'a>(&'a self, tasks: &'a [TaskId]) -> BoxFuture<'a, Listed> {
        Box::pin(async move {
            self.clock.sleep(LATENCY / 2).await;
            let seen = self.see(tasks);
            self.clock.sleep(LATENCY / 2).await;
            Listed::Page(seen)
        })
    }

    fn list(&self, _page: u32, size: u32) -> BoxFuture<'_, Listed> {
        Box::pin(async move {
            self.clock.sleep(LATENCY / 2).await;
            let mut newest: Vec<(Timestamp, TaskId)> =
                self.world.lock().unwrap().tasks.iter().map(|(task, (made, _))| (*made, task.clone())).collect();
            newest.sort_unstable_by(|one, other| other.cmp(one));
            newest.truncate(size as usize);
            let tasks: Vec<TaskId> = newest.into_iter().map(|(_, task)| task).collect();
            let seen = self.see(&tasks);
            self.clock.sleep(LATENCY / 2).await;
            Listed::Page(seen)
        })
    }

    fn probe(&self) -> BoxFuture<'_, Result<Probe, String>> {
        Box::pin(async { Err("nobody asks".to_owned()) })
    }
}
