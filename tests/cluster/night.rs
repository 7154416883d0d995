//! A night in which everything goes wrong at once: four processes that are killed and begun again at random, a database that
//! crashes twice, an object store of which every twentieth request fails.

use std::collections::HashSet;
use std::fs::{self, File};
use std::path::Path;
use std::process::{Child, Stdio};
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use crate::bucket::{Bucket, SECRET};
use crate::nights::ends_well;
use crate::server::Server;
use crate::support::{interrupt, sha256};

/// What no account may pass; tasks last so long that either is what holds a night back.
const AT_ONCE: usize = 10;
const A_SECOND: usize = 16;

/// What the server calls an object that a trial begins: `wedding/.nightreel-trial`.
const TRIAL: &str = "object-d2VkZGluZy8ubmlnaHRyZWVsLXRyaWFs";

/// The night has so many rows; more with `NIGHTREEL_CLUSTER_ROWS`.
fn rows() -> usize {
    std::env::var("NIGHTREEL_CLUSTER_ROWS").map_or(80, |rows| rows.parse().unwrap())
}

/// Each video that lies in the bucket is one that the remote made, and is whole.
#[track_caller]
fn nothing_half_is_there(bucket: &Bucket) {
    let is_video = |name: &String| Path::new(name).extension().is_some_and(|end| end == "mp4");
    let videos: Vec<String> = bucket.objects().into_iter().filter(is_video).collect();
    let there: Vec<String> = videos.iter().map(|name| sha256(&fs::read(bucket.at(name)).unwrap())).collect();
    let tasks = bucket.world.tasks();
    let made: HashSet<&str> = tasks.iter().filter_map(|task| task["video_sha256"].as_str()).collect();
    for (name, digest) in videos.iter().zip(&there) {
        assert!(made.contains(digest.as_str()), "{name} is none of the videos that were made");
    }
}

/// The most intents in any second, by the clocks of those who recorded them.
const MOST_BEGUN: &str = "SELECT max(n) FROM (
    SELECT count(*) OVER (ORDER BY at RANGE BETWEEN CURRENT ROW AND 999 FOLLOWING) AS n
    FROM nightreel.events WHERE name = 'submit_started') counted";

/// What went wrong.
#[derive(Debug, Default)]
struct Wrongs {
    kills: usize,
    crashes: usize,
}

#[test]
fn a_night_of_kills_crashes_and_failing_requests_pays_once_and_loses_nothing() {
    let rows = rows();
    // Answers come late, so that some requests are on their way whenever somebody is killed; their tasks are made all the same.
    let bucket = Bucket::new(&["--task-time", "300ms..900ms", "--fault", "slow-answer=0.5:400ms"]);
    let server = Server::start();
    let ledger = server.database("night");
    let (port, failed) = bucket.faulty();
    let manifest = bucket.world.manifest("wedding.csv", rows);
    let (at_once, a_second) = (AT_ONCE.to_string(), format!("{A_SECOND}/s"));
    let limits = ["--state", &ledger, "--in-flight", &at_once, "--rate", &a_second];
    let run = bucket.run(&[&[manifest.to_str().unwrap(), "--no-report"], limits.as_slice()].concat());
    // Two begin with the manifest, and end when nothing is left; two work on what is there, until they are stopped.
    let mut work = bucket.world.kling(&limits);
    work[0] = "worker";
    let spawn = |which: usize| {
        let mut command = bucket.command_at(port, SECRET, if which < 2 { &run } else { &work });
        let told = File::create(bucket.world.path(&format!("{which}.told"))).unwrap();
        command.stdout(Stdio::null()).stderr(told).spawn().unwrap()
    };
    let count = |which: &str| -> Option<usize> {
        let told = server.sql_or_none("night", &format!("SELECT count(*) FROM nightreel.jobs WHERE {which}"))?;
        told.trim().parse().ok()
    };
    let mut dice = fastrand::Rng::with_seed(7);
    let mut processes: Vec<Option<Child>> = (0..4).map(|which| Some(spawn(which))).collect();
    let mut wrongs = Wrongs::default();
    let begun = Instant::now();
    while processes[..2].iter().any(Option::is_some) || count("true") != count("state = 6") {
        assert!(begun.elapsed() < Duration::from_secs(120 + rows as u64 / 5), "the night does not end: {wrongs:?}");
        std::thread::sleep(Duration::from_millis(dice.u64(100..900)));
        let done = count("state = 6").unwrap_or(0);
        if wrongs.crashes < 2 && done >= rows * (wrongs.crashes + 1) / 4 {
            wrongs.crashes += 1;
            if wrongs.crashes == 1 {
                server.crash();
            } else {
                server.kill();
            }
            nothing_half_is_there(&bucket);
            std::thread::sleep(Duration::from_millis(dice.u64(500..2000)));
            server.up();
        }
        let which = dice.usize(0..4);
        if wrongs.kills < 4 + rows / 100
            && done < rows
            && let Some(process) = &mut processes[which]
        {
            process.kill().unwrap();
            process.wait().unwrap();
            wrongs.kills += 1;
            processes[which] = Some(spawn(which));
        }
        for (which, process) in processes.iter_mut().enumerate() {
            let Some(status) = process.as_mut().and_then(|process| process.try_wait().unwrap()) else { continue };
            let told = fs::read_to_string(bucket.world.path(&format!("{which}.told"))).unwrap();
            assert!(which < 2 && status.success(), "process {which} ended: {status}, {wrongs:?}\n{told}");
            *process = None;
        }
    }
    processes.into_iter().flatten().for_each(interrupt);
    let (took, failed) = (begun.elapsed(), failed.load(Ordering::SeqCst));
    assert!(wrongs.kills >= 3 && wrongs.crashes == 2 && failed >= 5, "{wrongs:?}, {failed} requests failed");
    let stats = bucket.world.stats();
    let rows_with = |event: &str| {
        let told = format!("SELECT count(DISTINCT job) FROM nightreel.events WHERE name = '{event}'");
        server.sql("night", &told).trim().to_owned()
    };
    let (doubted, absent) = (rows_with("doubted"), rows_with("looked_absent"));
    let begun_in_a_second = server.sql("night", MOST_BEGUN).trim().to_owned();
    eprintln!(
        "{rows} rows, {wrongs:?}, {failed} requests failed, {took:?}; {doubted} in doubt, {absent} not found; at most \
        {begun_in_a_second} intents in a second; {stats}"
    );
    let most = |name: &str| usize::try_from(stats[name].as_u64().unwrap()).unwrap();
    assert!(most("peak_parallel") <= AT_ONCE && most("peak_per_minute") <= 60 * A_SECOND, "{stats}");
    // On a busy machine a request may leave, or arrive, a little after its place, and close to the next.
    assert!(most("peak_per_second") <= A_SECOND + 1, "{stats}");
    assert_eq!(most("charged"), rows, "{stats}");
    // Nobody holds anything, each row is done, and nothing was sent a second time but what the remote was asked for and did
    // not know, or refuses the second time.
    assert_eq!(count("owner IS NOT NULL OR claimed_for IS NOT NULL OR reserved <> 0 OR state <> 6"), Some(0));
    let unasked = "SELECT count(*) FROM nightreel.jobs j WHERE
        (SELECT count(*) FROM nightreel.events e WHERE e.job = j.id AND e.name = 'submit_started') > 1
        AND NOT EXISTS (SELECT 1 FROM nightreel.events e WHERE e.job = j.id AND e.name IN ('looked_absent', 'resend_allowed', 'put_off'))";
    assert_eq!(server.sql("night", unasked), "0\n");
    // Once more, with a store that does not fail: nothing is left to do but the documents.
    let last = bucket.run(&[&[manifest.to_str().unwrap()], limits.as_slice()].concat());
    ends_well(bucket.command(&last).stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap());
    bucket.has_every_video(rows);
    // Whoever is killed between begin and end of a trial leaves one of nothing, of which nobody knows.
    let begun = bucket.begun();
    let trial = |file: &String| file.contains(TRIAL);
    let trials = begun.iter().filter(|file| trial(file)).count();
    assert_eq!(begun.len(), 2 * trials, "{begun:?}");
}
