//! Nights of several processes, each with one thing that goes wrong; `night` has all of it at once.

use std::process::{Child, Stdio};
use std::time::{Duration, Instant};

use crate::server::Server;
use crate::support::{World, interrupt, signal};

/// The database is away for so long where that is tested; longer with `NIGHTREEL_CLUSTER_OUTAGE`, in seconds.
fn outage() -> Duration {
    Duration::from_secs(std::env::var("NIGHTREEL_CLUSTER_OUTAGE").map_or(5, |seconds| seconds.parse().unwrap()))
}

/// A world, a database, and processes that work on it.
pub(crate) struct Cluster {
    pub(crate) world: World,
    pub(crate) server: Server,
    pub(crate) state: String,
}

impl Cluster {
    pub(crate) fn new(flags: &[&str]) -> Self {
        let server = Server::start();
        let state = server.database("night");
        Self { world: World::new(flags), server, state }
    }

    /// The arguments of a run of this manifest.
    pub(crate) fn run<'a>(&'a self, more: &[&'a str]) -> Vec<&'a str> {
        let mut args = self.world.kling(&["--state", &self.state]);
        args.extend(more);
        args
    }

    pub(crate) fn spawn(&self, args: &[&str]) -> Child {
        let mut command = self.world.command(args);
        command.stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap()
    }

    /// How many jobs are in a state that fits.
    pub(crate) fn count(&self, which: &str) -> usize {
        let told = self.server.sql("night", &format!("SELECT count(*) FROM nightreel.jobs WHERE {which}"));
        told.trim().parse().unwrap()
    }

    /// Nobody holds anything, and nobody is thought to be at work.
    #[track_caller]
    pub(crate) fn nothing_is_held(&self) {
        assert_eq!(self.count("owner IS NOT NULL OR claimed_for IS NOT NULL OR reserved <> 0"), 0);
    }

    /// Waits until so many rows are done.
    #[track_caller]
    pub(crate) fn until_done(&self, rows: usize) {
        let begun = Instant::now();
        while self.count("state = 6") < rows {
            assert!(begun.elapsed() < Duration::from_secs(90), "never done: {}", self.count("state <> 6"));
            std::thread::sleep(Duration::from_millis(100));
        }
    }
}

#[track_caller]
pub(crate) fn ends_well(mut run: Child) {
    let begun = Instant::now();
    loop {
        if let Some(status) = run.try_wait().unwrap() {
            assert_eq!(status.code(), Some(0));
            return;
        }
        assert!(begun.elapsed() < Duration::from_secs(90), "a run does not end");
        std::thread::sleep(Duration::from_millis(50));
    }
}

#[test]
fn a_process_that_is_frozen_past_its_lease_pays_for_nothing_twice() {
    let cluster = Cluster::new(&["--task-time", "300ms..900ms"]);
    let manifest = cluster.world.manifest("wedding.csv", 80);
    let args = cluster.run(&[manifest.to_str().unwrap(), "--in-flight", "6", "--rate", "30/s", "--no-report"]);
    let frozen = cluster.spawn(&args);
    cluster.world.until_made(10);
    signal(&frozen, "STOP");
    let other = cluster.spawn(&args);
    // Longer than a lease: what it had taken is given to the other.
    std::thread::sleep(Duration::from_secs(13));
    assert!(cluster.count("state = 6") > 10, "the other goes on");
    signal(&frozen, "CONT");
    ends_well(other);
    ends_well(frozen);
    cluster.world.paid_once(80);
    cluster.nothing_is_held();
    let stats = cluster.world.stats();
    assert!(stats["peak_parallel"].as_u64().unwrap() <= 6, "{stats}");
}

#[test]
fn a_database_that_is_away_is_waited_for_and_nothing_is_lost_or_sent_meanwhile() {
    let cluster = Cluster::new(&["--task-time", "300ms..900ms"]);
    let manifest = cluster.world.manifest("wedding.csv", 60);
    let args = cluster.run(&[manifest.to_str().unwrap(), "--in-flight", "6", "--rate", "20/s", "--no-report"]);
    let mut runs: Vec<Child> = (0..2).map(|_| cluster.spawn(&args)).collect();
    cluster.world.until_made(10);
    let begun = Instant::now();
    cluster.server.crash();
    // What had its intent made leaves within a moment.
    std::thread::sleep(Duration::from_secs(1));
    let made = cluster.world.tasks().len();
    std::thread::sleep(outage().saturating_sub(begun.elapsed()));
    assert_eq!(cluster.world.tasks().len(), made, "nothing is sent that nobody could write down");
    for run in &mut runs {
        assert!(run.try_wait().unwrap().is_none(), "a run ended while the database was away");
    }
    let away = begun.elapsed();
    cluster.server.up();
    let back = Instant::now();
    runs.into_iter().for_each(ends_well);
    cluster.world.paid_once(60);
    cluster.nothing_is_held();
    let stats = cluster.world.stats();
    assert!(made < 60 && stats["peak_parallel"].as_u64().unwrap() <= 6, "{made} before, {stats}");
    assert!(stats["peak_per_second"].as_u64().unwrap() <= 20, "{stats}");
    assert_eq!(cluster.count("submissions <> 1 OR state <> 6"), 0, "a row was sent twice, or is not done");
    eprintln!("away for {away:?}: {made} of 60 sent before, all done {:?} after it was back", back.elapsed());
}

#[test]
fn limits_that_bind_are_kept_by_all_together() {
    let cluster = Cluster::new(&["--in-flight", "3"]);
    let manifest = cluster.world.manifest("wedding.csv", 60);
    let args = cluster.run(&[manifest.to_str().unwrap(), "--in-flight", "3", "--rate", "20/s", "--no-report"]);
    let runs: Vec<Child> = (0..3).map(|_| cluster.spawn(&args)).collect();
    runs.into_iter().for_each(ends_well);
    cluster.world.paid_once(60);
    let stats = cluster.world.stats();
    assert!(stats["peak_parallel"].as_u64().unwrap() <= 3, "{stats}");
    assert!(stats["peak_per_second"].as_u64().unwrap() <= 20, "{stats}");
    assert_eq!(stats["refused_parallel"], 0, "{stats}");
}

#[test]
fn a_budget_is_kept_by_all_together() {
    let cluster = Cluster::new(&[]);
    let manifest = cluster.world.manifest("wedding.csv", 40);
    let prices = "[prices]\ncurrency = \"USD\"\n[prices.scenes]\nsquish = 0.28\n";
    cluster.world.write("nightreel.toml", prices);
    let args = cluster.run(&[manifest.to_str().unwrap(), "--budget", "3", "--no-report"]);
    let mut runs: Vec<Child> = (0..3).map(|_| cluster.spawn(&args)).collect();
    for run in &mut runs {
        assert_eq!(run.wait().unwrap().code(), Some(11), "the budget is reached");
    }
    assert_eq!(cluster.world.tasks().len(), 10, "ten of 0.28 go into 3");
    assert_eq!(cluster.count("state = 6"), 10);
}

#[test]
fn roles_are_split_and_a_worker_waits_for_more() {
    let cluster = Cluster::new(&[]);
    let first = cluster.world.manifest("first.csv", 10);
    let second = cluster.world.manifest("second.csv", 10);
    let sends = ["--stages", "submit,watch", "--no-report"];
    let run = |manifest: &str| {
        let mut args = cluster.run(&[manifest, "--name", "{batch}/{id}.mp4"]);
        args.extend(sends);
        cluster.world.nightreel(&args)
    };
    run(first.to_str().unwrap()).exits(0);
    assert_eq!(cluster.count("state = 5"), 10, "what is made is left to others");
    let mut worker = cluster.world.kling(&["--state", &cluster.state, "--stages", "collect"]);
    worker[0] = "worker";
    let worker = cluster.spawn(&worker);
    cluster.until_done(10);
    run(second.to_str().unwrap()).exits(0);
    cluster.until_done(20);
    interrupt(worker);
    cluster.nothing_is_held();
    assert_eq!(cluster.world.tasks().len(), 20);
    let verified = cluster.world.nightreel(&["verify", "--state", &cluster.state, "--json"]).exits(0).json();
    assert_eq!(verified["whole"], 20);
    // Without others, a part of the work is a part of the work.
    let third = cluster.world.manifest("third.csv", 3);
    let alone = cluster.world.run(&[third.to_str().unwrap(), "--stages", "submit,watch", "--no-report"]).exits(0);
    assert!(alone.out.contains("3 rows were submitted"), "{}", alone.out);
    assert_eq!(cluster.world.status()["ready"], 3);
    cluster.world.run(&["--stages", "collect", "--no-report"]).exits(0);
    assert_eq!(cluster.world.status()["done"], 3);
}
