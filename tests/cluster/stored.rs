//! A night of several processes into an object store that fails now and then.

use std::collections::HashSet;
use std::fs;
use std::path::Path;
use std::process::{Child, Stdio};
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use crate::bucket::{Bucket, SECRET};
use crate::server::Server;
use crate::support::sha256;

/// One night has so many rows; more with `NIGHTREEL_CLUSTER_ROWS`.
fn rows() -> usize {
    std::env::var("NIGHTREEL_CLUSTER_ROWS").map_or(60, |rows| rows.parse().unwrap())
}

/// The digests of all videos that lie in the bucket: each is one that the remote made.
#[track_caller]
fn whole(bucket: &Bucket) -> Vec<String> {
    let videos: Vec<String> = bucket
        .objects()
        .into_iter()
        .filter(|name| Path::new(name).extension().is_some_and(|end| end == "mp4"))
        .collect();
    let there: Vec<String> = videos.iter().map(|name| sha256(&fs::read(bucket.at(name)).unwrap())).collect();
    let tasks = bucket.world.tasks();
    let made: HashSet<&str> = tasks.iter().filter_map(|task| task["video_sha256"].as_str()).collect();
    for (name, digest) in videos.iter().zip(&there) {
        assert!(made.contains(digest.as_str()), "{name} is none of the videos that were made");
    }
    there
}

#[test]
fn processes_killed_at_random_fill_a_bucket_of_which_every_twentieth_request_fails() {
    let rows = rows();
    let bucket = Bucket::new(&[]);
    let server = Server::start();
    let state = server.database("night");
    let (port, failed) = bucket.faulty();
    let manifest = bucket.world.manifest("wedding.csv", rows);
    let night = ["--state", &state, "--in-flight", "24", "--rate", "100/s", "--no-report"];
    let args = bucket.run(&[&[manifest.to_str().unwrap()][..], &night].concat());
    let spawn = || {
        let mut command = bucket.command_at(port, SECRET, &args);
        command.stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap()
    };
    let count = |which: &str| -> usize {
        let told = server.sql("night", &format!("SELECT count(*) FROM nightreel.jobs WHERE {which}"));
        told.trim().parse().unwrap()
    };
    let mut dice = fastrand::Rng::with_seed(7);
    let mut runs: Vec<Option<Child>> = (0..3).map(|_| Some(spawn())).collect();
    let begun = Instant::now();
    bucket.world.until_made(1);
    let mut kills = 0;
    while runs.iter().any(Option::is_some) {
        assert!(begun.elapsed() < Duration::from_secs(120 + rows as u64 / 5), "the night does not end");
        std::thread::sleep(Duration::from_millis(dice.u64(100..600)));
        let which = dice.usize(0..3);
        if let Some(run) = &mut runs[which]
            && kills < 4 + rows / 100
            && count("state = 6") < rows
        {
            run.kill().unwrap();
            run.wait().unwrap();
            kills += 1;
            whole(&bucket);
            runs[which] = Some(spawn());
        }
        for run in &mut runs {
            let Some(status) = run.as_mut().and_then(|run| run.try_wait().unwrap()) else { continue };
            assert_eq!(status.code(), Some(0));
            *run = None;
        }
    }
    let failed = failed.load(Ordering::SeqCst);
    assert!(kills >= 2 && failed >= 5, "{kills} kills, {failed} requests failed");
    let tasks = bucket.world.tasks();
    assert_eq!(tasks.len(), rows, "the remote was paid {} times for {rows} rows", tasks.len());
    let there = whole(&bucket);
    assert_eq!(
        (there.len(), there.iter().collect::<HashSet<_>>().len()),
        (rows, rows),
        "a video is missing, or there twice"
    );
    assert_eq!(count("submissions <> 1 OR state <> 6"), 0, "a row was sent twice, or is not done");
    assert_eq!(count("owner IS NOT NULL OR claimed_for IS NOT NULL OR reserved <> 0"), 0);
    bucket.no_file_holds_a_secret();
    eprintln!("{rows} rows, {kills} kills, {failed} failed requests: {:?}", begun.elapsed());
}
