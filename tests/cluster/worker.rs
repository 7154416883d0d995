//! A worker, and a bucket that it may not write to.

use std::process::Stdio;
use std::time::{Duration, Instant};

use crate::bucket::{Bucket, OUT};
use crate::server::Server;
use crate::support::interrupt;

#[test]
fn a_worker_tries_its_buckets_before_it_sends_or_fetches_anything() {
    let bucket = Bucket::new(&[]);
    let server = Server::start();
    let state = server.database("night");
    let count = |which: &str| server.sql("night", &format!("SELECT count(*) FROM nightreel.jobs WHERE {which}"));
    let manifest = bucket.world.manifest("m.csv", 3);
    let run = |more: &[&str]| {
        bucket.nightreel(&bucket.run(&[&[manifest.to_str().unwrap(), "--state", &state], more].concat()))
    };
    let mut work = bucket.world.kling(&["--state", &state]);
    work[0] = "worker";
    let refuses = || {
        let begun = Instant::now();
        let refused = bucket.with_wrong_credentials(&work).exits(9);
        assert!(refused.err.contains("credentials do not allow") && refused.err.contains(OUT), "{}", refused.err);
        assert!(refused.err.contains("AWS_SECRET_ACCESS_KEY"), "{}", refused.err);
        assert!(begun.elapsed() < Duration::from_secs(20), "told after {:?}", begun.elapsed());
        assert_eq!(count("owner IS NOT NULL OR claimed_for IS NOT NULL OR reserved <> 0"), "0\n");
    };

    // Rows that nobody has sent yet.
    bucket.world.write("nightreel.toml", "[prices]\ncurrency = \"USD\"\n[prices.scenes]\nsquish = 0.28\n");
    run(&["--budget", "0.01"]).exits(11);
    refuses();
    assert_eq!(bucket.world.tasks().len(), 0, "sent, though nothing could be stored");

    // Videos that are made, and lie nowhere yet.
    run(&["--stages", "submit,watch", "--no-report"]).exits(0);
    refuses();
    assert_eq!(count("state = 5"), "3\n");

    let right = bucket.command(&work).stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap();
    let begun = Instant::now();
    while count("state = 6") != "3\n" {
        assert!(begun.elapsed() < Duration::from_secs(30), "a worker with the right key fetches nothing");
        std::thread::sleep(Duration::from_millis(50));
    }
    interrupt(right);
    run(&[]).exits(0);
    bucket.has_every_video_once(3);
}
