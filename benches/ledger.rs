//! The ledger: transitions a second with 500 jobs in flight beside one transaction each, the first job of a large ledger, and
//! what a row costs by the size of the ledger. `cargo bench --bench ledger [-- transitions | resume | growth [ROWS…]]`
#![expect(clippy::unwrap_used, reason = "a measurement that cannot be made fails")]
#![expect(clippy::disallowed_methods, reason = "what is measured is the machine's own time")]

mod common;

use std::path::Path;
use std::process::Command;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use common::{copy, cpu, ledger, median, scratch, sizes, tell, timed, wanted};
use jiff::Timestamp;
use nightreel::domain::{
    AccountName, Artifact, BatchName, ClientRef, Currency, Digest, Job, JobEvent, Price, StateCode, TaskId,
};
use nightreel::ledger::Ledger;
use nightreel::pace::Clock;
use nightreel::store::sqlite::SqliteStore;
use nightreel::store::{Account, Batch, Store, Wanted};

const IN_FLIGHT: usize = 500;
/// What the measurement hands to itself: it begins anew for each way, since the environment decides the size of groups.
const SELF: &str = "NIGHTREEL_BENCH_TRANSITIONS";
/// Makes the store commit each request by itself, on the very same path; so late that it never comes to the kill.
const ONE_EACH: (&str, &str) = ("NIGHTREEL_KILL_AFTER_EVENT", "1000000000");

fn main() {
    if let Ok(path) = std::env::var(SELF) {
        let (path, jobs) = path.rsplit_once('=').unwrap();
        return in_flight(Path::new(path), jobs.parse().unwrap());
    }
    if wanted("transitions") {
        transitions();
    }
    if wanted("resume") {
        resume();
    }
    if wanted("growth") {
        growth();
    }
}

/// The same lives in one ledger, with groups and without.
fn transitions() {
    let folder = scratch();
    let (grouped, single) = (20_000, 1_500);
    let whole = folder.path().join("whole.db");
    ledger(&whole, &folder.path().join("m.csv"), grouped + 10_000, 10_000);
    let once = |jobs: usize, one_each: bool| -> (f64, f64) {
        let path = copy(&whole, "spent.db");
        let mut child = Command::new(std::env::current_exe().unwrap());
        child.env(SELF, format!("{}={jobs}", path.display()));
        if one_each {
            child.env(ONE_EACH.0, ONE_EACH.1);
        }
        let told = String::from_utf8(child.output().unwrap().stdout).unwrap();
        let mut words = told.split_whitespace().map(|word| word.parse::<f64>().unwrap());
        (words.next().unwrap(), words.next().unwrap())
    };
    let (mut grouped_rates, mut single_rates, mut costs) = (Vec::new(), Vec::new(), Vec::new());
    for _ in 0..3 {
        let (per_second, micros) = once(grouped, false);
        grouped_rates.push(per_second);
        costs.push(micros);
        single_rates.push(once(single, true).0);
    }
    let (many, few, cost) = (median(grouped_rates), median(single_rates), median(costs));
    tell(&format!(
        "transitions: {many:.0}/s with {IN_FLIGHT} in flight ({cost:.1} µs of processor each), {few:.0}/s one each: {:.1} ×",
        many / few
    ));
}

/// Lives of jobs, so many at a time; prints transitions a second, and microseconds of processor time for each.
fn in_flight(path: &Path, jobs: usize) {
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap();
    runtime.block_on(async {
        let (store, ledger, batch) = opened(path).await;
        let planned = planned(store.as_ref(), jobs).await;
        let planned = Arc::new(planned);
        let next = Arc::new(AtomicUsize::new(0));
        let (begun, spent) = (Instant::now(), cpu());
        let mut lives = tokio::task::JoinSet::new();
        for _ in 0..IN_FLIGHT {
            let (ledger, planned, next) = (ledger.clone(), Arc::clone(&planned), Arc::clone(&next));
            let batch = batch.name.clone();
            lives.spawn(async move {
                let mut done = 0;
                while let Some(job) = planned.get(next.fetch_add(1, Ordering::Relaxed)) {
                    done += live(&ledger, &batch, job).await;
                }
                done
            });
        }
        let mut done = 0;
        while let Some(of_one) = lives.join_next().await {
            done += of_one.unwrap();
        }
        let (took, spent) = (begun.elapsed(), cpu().checked_sub(spent).unwrap());
        tell(&format!("{} {}", f64::from(done) / took.as_secs_f64(), spent.as_secs_f64() * 1e6 / f64::from(done)));
        store.close().await.unwrap();
    });
}

/// A ledger that is gone on with, and its batch.
async fn opened(path: &Path) -> (Arc<dyn Store>, Ledger, Batch) {
    let store: Arc<dyn Store> = Arc::new(SqliteStore::open(path, now()).unwrap());
    let ledger = Ledger::new(Arc::clone(&store), Clock::system());
    store.open_account(account_of("studio")).await.unwrap();
    let batch = store.batches().await.unwrap()[0].clone();
    (store, ledger, batch)
}

/// One job from its intent to its video; the number of its transitions.
async fn live(ledger: &Ledger, batch: &BatchName, job: &Job) -> u32 {
    let attempt = job.next_attempt();
    let client_ref = ClientRef::of_attempt(batch, &job.key, &job.content, attempt);
    let price = Some(Price { amount: "0.28".parse().unwrap(), currency: Currency::default() });
    let account = AccountName::new("studio").unwrap();
    let task = TaskId::new(format!("8672837417{:08}", job.id.0)).unwrap();
    let artifact = Artifact { key: job.output.clone(), bytes: 2_500_000, sha256: Digest::of(b"a video") };
    let link = format!("https://cdn.example.com/bs2/upload-kling-api/{}.mp4?expires=1790003600", job.content);
    let events = [
        JobEvent::SubmitStarted { attempt, client_ref, account, price },
        JobEvent::Accepted { task, request_id: Some(format!("{:032x}", job.id.0)), handle: None },
        JobEvent::Succeeded { link, took_ms: Some(321_000), units: None },
        JobEvent::Stored { artifact },
    ];
    let (mut job, mut done) = (job.clone(), 0);
    for event in events {
        job = ledger.record(&job, event).await.unwrap();
        done += 1;
    }
    done
}

async fn planned(store: &dyn Store, jobs: usize) -> Vec<Job> {
    let wanted = Wanted { account: AccountName::new("studio").unwrap(), batch: None, closed: Vec::new() };
    let mut found = Vec::with_capacity(jobs);
    while found.len() < jobs {
        let most = (jobs - found.len()).min(1000);
        let due = store.take_planned(wanted.clone(), now(), most).await.unwrap();
        assert!(!due.jobs.is_empty(), "too few jobs are planned");
        found.extend(due.jobs);
    }
    found
}

/// Opening a ledger of a million rows until its first job is taken.
fn resume() {
    let folder = scratch();
    let path = folder.path().join("nightreel.db");
    ledger(&path, &folder.path().join("m.csv"), 1_000_000, 990_000);
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let took = (0..5).map(|_| {
        let (store, took) = timed(|| {
            let store = SqliteStore::open(&path, now()).unwrap();
            runtime.block_on(async {
                store.open_account(account_of("studio")).await.unwrap();
                store.groups(None).await.unwrap();
                store.take_due(StateCode::Submitting, account_of("studio").name, now(), 100).await.unwrap();
                planned(&store, 1).await;
            });
            store
        });
        drop(store);
        took.as_secs_f64() * 1000.0
    });
    tell(&format!("resume: {:.1} ms from opening a ledger of 1,000,000 to its first job", median(took.collect())));
}

/// Processor time of a row's life, taken as a run takes it, in ledgers of several sizes.
fn growth() {
    const LIVES: usize = 900;
    const TIMES: usize = 5;
    let mut first = None;
    for rows in sizes(&[1_000, 10_000, 100_000, 1_000_000]) {
        let folder = scratch();
        let whole = folder.path().join("whole.db");
        let manifest_at = folder.path().join("m.csv");
        ledger(&whole, &manifest_at, rows, rows - LIVES - 1);
        let mut costs = Vec::new();
        for _ in 0..TIMES {
            costs.push(lives_of(&copy(&whole, "spent.db"), LIVES).as_secs_f64() * 1e6 / LIVES as f64);
        }
        let cost = median(costs);
        let of_first = cost / *first.get_or_insert(cost);
        tell(&format!(
            "growth: {rows:>9} rows in the ledger: {cost:.1} µs of processor a row ({of_first:.2} × the first)"
        ));
    }
}

/// Processor time that some lives cost, one after another's steps in the order of a run.
fn lives_of(path: &Path, jobs: usize) -> Duration {
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap();
    runtime.block_on(async {
        let (store, ledger, batch) = opened(path).await;
        let warm = planned(store.as_ref(), 1).await;
        live(&ledger, &batch.name, &warm[0]).await;
        let begun = cpu();
        let mut lives = tokio::task::JoinSet::new();
        for _ in 0..jobs {
            let job = planned(store.as_ref(), 1).await.remove(0);
            let (ledger, batch) = (ledger.clone(), batch.name.clone());
            lives.spawn(async move { live(&ledger, &batch, &job).await });
            if lives.len() >= 100 {
                lives.join_next().await.unwrap().unwrap();
            }
            store.left(vec![account_of("studio").name], None).await.unwrap();
        }
        while let Some(life) = lives.join_next().await {
            life.unwrap();
        }
        let spent = cpu().checked_sub(begun).unwrap();
        store.close().await.unwrap();
        spent
    })
}

fn now() -> Timestamp {
    Timestamp::now()
}

fn account_of(name: &str) -> Account {
    Account {
        name: AccountName::new(name).unwrap(),
        gateway: "kling".into(),
        base_url: "http://127.0.0.1:9".into(),
        last_submit_at: None,
    }
}
