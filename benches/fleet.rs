//! Many machines: transitions and claims a second of PostgreSQL beside SQLite in one go, what further processes of the real
//! binary add, and what a large fleet would come to. `cargo bench --features postgres --bench fleet [-- transitions | claims | processes | accounts | downloads | model]`
#![expect(clippy::unwrap_used, reason = "a measurement that cannot be made fails")]
#![expect(clippy::disallowed_methods, reason = "what is measured is the machine's own time")]

mod common;
#[path = "fleet/model.rs"]
mod model;
#[expect(dead_code, reason = "the tests need more of it")]
#[path = "../tests/cluster/server.rs"]
mod server;

use std::path::Path;
use std::process::{Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Instant;

use common::{row, scratch, tell, wanted};
use jiff::Timestamp;
use model::Fleet as Modelled;
use nightreel::domain::{AccountName, Artifact, BatchName, ClientRef, Currency, Digest, Job, JobEvent, Price, TaskId};
use nightreel::ledger::Ledger;
use nightreel::pace::Clock;
use nightreel::store::postgres::PostgresStore;
use nightreel::store::sqlite::SqliteStore;
use nightreel::store::{Account, Claim, Fleet, Room, Store, Wanted};
use server::Server;

const IN_FLIGHT: usize = 500;
const LIVES: usize = 4_000;

fn main() {
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap();
    runtime.block_on(async {
        if wanted("transitions") {
            transitions().await;
        }
        if wanted("claims") {
            claims().await;
        }
    });
    processes();
    if wanted("model") {
        modelled();
    }
}

fn account() -> AccountName {
    AccountName::new("studio").unwrap()
}

async fn filled(store: &dyn Store, rows: usize) -> BatchName {
    let at = Timestamp::from_second(common::LONG_AGO).unwrap();
    let name = BatchName::new("wedding").unwrap();
    let (gateway, base_url) = ("kling".to_owned(), "http://127.0.0.1:9".to_owned());
    store.open_account(Account { name: account(), gateway, base_url, last_submit_at: None }).await.unwrap();
    let batch = store.open_batch(name.clone(), "/videos".into(), Vec::new(), "/m.csv".into()).await.unwrap();
    for from in (0..rows).step_by(2_000) {
        store.admit(batch.id, (from..rows.min(from + 2_000)).map(row).collect(), at).await.unwrap();
    }
    name
}

fn anything() -> Wanted {
    Wanted { account: account(), batch: None, closed: Vec::new() }
}

/// Lives of jobs from their intent to their video, so many at a time.
async fn transitions() {
    let folder = scratch();
    let server = Server::durable();
    for round in 0..3 {
        let file = folder.path().join(format!("{round}.db"));
        let sqlite: Arc<dyn Store> = Arc::new(SqliteStore::open(&file, Timestamp::now()).unwrap());
        let address = server.database(&format!("t{round}"));
        let postgres: Arc<dyn Store> = Arc::new(open(&address).await);
        for (name, store) in [("SQLite", sqlite), ("PostgreSQL", postgres)] {
            let per_second = lives(&store).await;
            tell(&format!("transitions, {IN_FLIGHT} in flight: {name} {per_second:.0}/s"));
            store.close().await.unwrap();
        }
    }
}

async fn lives(store: &Arc<dyn Store>) -> f64 {
    let batch = filled(store.as_ref(), LIVES).await;
    let mut planned = Vec::new();
    while planned.len() < LIVES {
        planned.extend(store.take_planned(anything(), Timestamp::now(), 1_000).await.unwrap().jobs);
    }
    let (planned, next) = (Arc::new(planned), Arc::new(AtomicUsize::new(0)));
    let ledger = Ledger::new(Arc::clone(store), Clock::system());
    let begun = Instant::now();
    let mut tasks = tokio::task::JoinSet::new();
    for _ in 0..IN_FLIGHT {
        let (ledger, planned, next, batch) = (ledger.clone(), Arc::clone(&planned), Arc::clone(&next), batch.clone());
        tasks.spawn(async move {
            while let Some(job) = planned.get(next.fetch_add(1, Ordering::Relaxed)) {
                live(&ledger, &batch, job).await;
            }
        });
    }
    while let Some(ended) = tasks.join_next().await {
        ended.unwrap();
    }
    (LIVES * 4) as f64 / begun.elapsed().as_secs_f64()
}

async fn live(ledger: &Ledger, batch: &BatchName, job: &Job) {
    let attempt = job.next_attempt();
    let client_ref = ClientRef::of_attempt(batch, &job.key, &job.content, attempt);
    let price = Some(Price { amount: "0.28".parse().unwrap(), currency: Currency::default() });
    let task = TaskId::new(format!("8672837417{:08}", job.id.0)).unwrap();
    let artifact = Artifact { key: job.output.clone(), bytes: 2_500_000, sha256: Digest::of(b"a video") };
    let events = [
        JobEvent::SubmitStarted { attempt, client_ref, account: account(), price },
        JobEvent::Accepted { task, request_id: Some(format!("{:032x}", job.id.0)), handle: None },
        JobEvent::Succeeded { link: "https://cdn.example.com/v.mp4".into(), took_ms: Some(321_000), units: None },
        JobEvent::Stored { artifact },
    ];
    let mut job = job.clone();
    for event in events {
        job = ledger.record(&job, event).await.unwrap();
    }
}

/// Jobs claimed one by one, each under its account's slots, by one process and by four.
async fn claims() {
    // Each counts those before it: as many as an account with many slots has in hand.
    const CLAIMS: usize = 200;
    let server = Server::durable();
    for processes in [1, 4] {
        let address = server.database(&format!("c{processes}"));
        let mut stores = Vec::new();
        for _ in 0..processes {
            stores.push(Arc::new(open(&address).await));
        }
        filled(stores[0].as_ref(), CLAIMS).await;
        let begun = Instant::now();
        let mut tasks = tokio::task::JoinSet::new();
        for store in stores {
            tasks.spawn(async move {
                let room = Room { accounts: vec![account()], most: CLAIMS };
                let mut claimed = 0;
                while let Claim::Jobs(_) = store.claim(anything(), room.clone(), Timestamp::now(), 1).await.unwrap() {
                    claimed += 1;
                }
                claimed
            });
        }
        let mut claimed = 0;
        while let Some(ended) = tasks.join_next().await {
            claimed += ended.unwrap();
        }
        let per_second = f64::from(claimed) / begun.elapsed().as_secs_f64();
        tell(&format!("claims of one account, {processes} at it: {per_second:.0}/s ({claimed} jobs)"));
    }
}

/// Nights of the real binary, by one process, by two and by four.
fn processes() {
    const FREELY: [&str; 2] = ["--downloads", "8"];
    if !["processes", "accounts", "downloads"].into_iter().any(wanted) {
        return;
    }
    let server = Server::durable();
    let tell_of = |what: &str, accounts: usize, remote: &[&str], more: &[&str]| {
        let mut first = None;
        for processes in [1, 2, 4] {
            let name = format!("p{processes}a{accounts}{}", remote.len());
            let per_second = night(&server.database(&name), (processes, accounts), remote, more);
            let gain = per_second / *first.get_or_insert(per_second);
            tell(&format!(
                "{what}: {processes} processes: {per_second:.0} rows/s from manifest to video ({gain:.2} × one)"
            ));
        }
    };
    if wanted("processes") {
        tell_of("one account, no limit binds", 1, &[], &FREELY);
    }
    if wanted("accounts") {
        tell_of("eight accounts, no limit binds", 8, &[], &FREELY);
    }
    // What a machine's own line bounds.
    if wanted("downloads") {
        let slowly = ["--fault", "file-slow=1:300ms"];
        tell_of("eight accounts, two downloads of 300 ms a process", 8, &slowly, &["--downloads", "2"]);
    }
}

/// Rows a second from manifest to video.
fn night(state: &str, (processes, accounts): (usize, usize), remote: &[&str], more: &[&str]) -> f64 {
    let rows = if more.contains(&"2") { 120 } else { 1_200 };
    let folder = scratch();
    let manifest = folder.path().join("wedding.csv");
    let row = |row: usize| format!("row{row},squish,https://example.com/{row}.jpg,5\n");
    let text: String = (0..rows).map(row).collect();
    std::fs::write(&manifest, format!("id,scene,images,duration\n{text}")).unwrap();
    let nightreel = || {
        let mut command = Command::new(env!("CARGO_BIN_EXE_nightreel"));
        command.current_dir(folder.path()).env_clear().stdin(Stdio::null()).stderr(Stdio::null());
        command
    };
    let mut simulator = nightreel()
        .args(["simulate", "--port", "0", "--task-time", "1s..2s", "--in-flight", "none", "--quiet"])
        .args(remote)
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut url = String::new();
    std::io::BufRead::read_line(&mut std::io::BufReader::new(simulator.stdout.as_mut().unwrap()), &mut url).unwrap();
    let account = |n: usize| {
        format!(
            "[[account]]\nname = \"a{n}\"\ngateway = \"kling\"\nbase_url = \"{}\"\nkey_env = \"KEY\"\nrate = \"{}/s\"\n\
             in_flight = {}\nmin_poll = \"500ms\"\n",
            url.trim(),
            2_000 / accounts,
            1_000 / accounts
        )
    };
    std::fs::write(folder.path().join("nightreel.toml"), (0..accounts).map(account).collect::<String>()).unwrap();
    let begun = Instant::now();
    let mut runs: Vec<_> = (0..processes)
        .map(|_| {
            let mut run = nightreel();
            run.args(["run", manifest.to_str().unwrap(), "--state", state, "--canary", "0", "--no-report"]);
            run.args(more).env("KEY", "bench").stdout(Stdio::null()).spawn().unwrap()
        })
        .collect();
    for run in &mut runs {
        assert_eq!(run.wait().unwrap().code(), Some(0));
    }
    let per_second = rows as f64 / begun.elapsed().as_secs_f64();
    simulator.kill().unwrap();
    simulator.wait().unwrap();
    per_second
}

/// What a large fleet comes to, by the model: the figures of the database are those that are measured above.
fn modelled() {
    const HOUR: f64 = 3_600.0;
    let fleet = |accounts, workers, slots| Modelled {
        accounts,
        workers,
        slots,
        interval: 1.03,
        task: 120.0,
        poll: 2.0,
        takings: 1_000.0,
        changes: 4_000.0,
        video: 2.5e6,
        bandwidth: 60e6,
    };
    let night = |what: &str, fleet: &Modelled, seconds: f64| {
        let told = model::work(fleet, seconds);
        let busy: Vec<String> = told.busy.iter().map(|(name, part)| format!("{name} {:.0} %", part * 100.0)).collect();
        let (rows, bound) = (told.rows_a_day / 1e6, told.bound_by());
        tell(&format!("model, {what}: {rows:.2} million rows a day, bound by {bound} ({})", busy.join(", ")));
    };
    for (accounts, workers, slots) in
        [(20, 1, 20), (100, 2, 100), (150, 4, 100), (150, 8, 100), (300, 12, 100), (600, 24, 100), (1_200, 40, 100)]
    {
        let what = format!("{accounts} accounts of {slots} slots and 60/min, {workers} workers of 60 MB/s");
        night(&what, &fleet(accounts, workers, slots), HOUR);
    }
    night("a whole day of 150 accounts and 8 workers", &fleet(150, 8, 100), 24.0 * HOUR);
}

async fn open(address: &str) -> PostgresStore {
    PostgresStore::open(Path::new(address), None, Clock::system()).await.unwrap()
}
