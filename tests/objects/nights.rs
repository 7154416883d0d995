//! Nights whose videos go into a bucket.

use std::fs;
use std::sync::atomic::Ordering;
use std::time::Duration;

use serde_json::Value;

use crate::bucket::{Bucket, OUT, ran};
use crate::support::sha256;

const KILL: &str = "NIGHTREEL_KILL_AFTER_EVENT";

#[test]
fn a_night_goes_into_a_bucket_and_nothing_else_does() {
    let bucket = Bucket::new(&[]);
    let manifest = bucket.world.manifest("wedding.csv", 12);
    let args = bucket.run(&[manifest.to_str().unwrap()]);
    let first = ran(bucket.command(&args).env("RUST_LOG", "debug")).exits(0);
    assert!(first.out.contains("s3://videos/wedding/report/index.html"), "{}", first.out);
    bucket.has_every_video_once(12);
    let rows = fs::read_to_string(bucket.object("report/data.js")).unwrap();
    assert!(rows.contains(r#""videos":"../""#), "the gallery does not find its videos: {rows}");

    let again = bucket.nightreel(&args).exits(0);
    assert!(again.out.contains("nothing was submitted"), "{}", again.out);
    let verified = bucket.nightreel(&["verify", "--json"]).exits(0).json();
    assert_eq!((&verified["whole"], &verified["foreign"]), (&Value::from(12), &Value::from(Vec::<String>::new())));
    bucket.nightreel(&["doctor", "--gateway", "kling", "--base-url", &bucket.world.base_url, "--out", OUT]).exits(0);
    bucket.nightreel(&["report"]).exits(0);
    bucket.has_every_video_once(12);
}

#[test]
fn a_run_killed_after_any_event_goes_on_without_paying_or_putting_twice() {
    let bucket = Bucket::new(&[]);
    let manifest = bucket.world.manifest("m.csv", 2);
    let mut killed = 0;
    loop {
        // Each time a ledger of its own and the same bucket: a video that is there already is known for what it is.
        let (state, batch) = (format!("state/{killed}.db"), format!("after{killed}"));
        let name = format!("{batch}/{{id}}.mp4");
        let args = bucket.run(&[manifest.to_str().unwrap(), "--state", &state, "--batch", &batch, "--name", &name]);
        let cut = bucket.command(&args).env(KILL, (killed + 1).to_string()).output().unwrap();
        if cut.status.code().is_some() {
            assert_eq!(cut.status.code(), Some(0), "{}", String::from_utf8_lossy(&cut.stderr));
            break;
        }
        bucket.nightreel(&args).exits(0);
        killed += 1;
        assert_eq!(bucket.world.tasks().len(), 2 * killed, "killed after event {killed}");
        for row in 0..2 {
            assert!(bucket.object(&format!("{batch}/row{row}.mp4")).exists(), "killed after event {killed}");
        }
    }
    assert!(killed >= 8, "only {killed} events: the kill point was not met");
    let made: Vec<Value> = bucket.world.tasks().iter().map(|task| task["video_sha256"].clone()).collect();
    let videos: Vec<String> = bucket.objects().into_iter().filter(|name| name.contains("/row")).collect();
    assert_eq!(videos.len(), made.len(), "a video is there twice: {videos:?}");
    for video in videos {
        let digest = sha256(&fs::read(bucket.object(video.trim_start_matches("wedding/"))).unwrap());
        assert!(made.contains(&Value::from(digest)), "{video}");
    }
}

#[test]
fn a_run_killed_between_putting_and_recording_goes_on() {
    for size in ["0", "9000000"] {
        let bucket = Bucket::new(&["--video-bytes", size]);
        let manifest = bucket.world.manifest("m.csv", 1);
        let args = bucket.run(&[manifest.to_str().unwrap()]);
        let (port, put) = bucket.holding_answers();
        let mut run = bucket.command_at(port, "object-recognisable-5eed5eed", &args).spawn().unwrap();
        put.recv_timeout(Duration::from_secs(60)).unwrap();
        run.kill().unwrap();
        run.wait().unwrap();
        assert!(bucket.object("squish/row0.mp4").exists());
        assert_eq!(bucket.nightreel(&["status", "--json"]).json()["ready"], 1);
        bucket.nightreel(&args).exits(0);
        bucket.has_every_video_once(1);
    }
}

#[test]
fn a_video_that_a_lost_ledger_had_put_is_recognised() {
    let bucket = Bucket::new(&[]);
    let manifest = bucket.world.manifest("m.csv", 1);
    let args = bucket.run(&[manifest.to_str().unwrap()]);
    bucket.nightreel(&args).exits(0);
    fs::remove_file(bucket.world.path("state/nightreel.db")).unwrap();
    // Another ledger adopts the task, and finds its very video there.
    bucket.nightreel(&args).exits(0);
    bucket.has_every_video_once(1);
}

#[test]
fn a_store_that_fails_now_and_then_gets_every_video() {
    let bucket = Bucket::new(&[]);
    let manifest = bucket.world.manifest("m.csv", 40);
    let (port, failed) = bucket.faulty();
    let args = bucket.run(&[manifest.to_str().unwrap()]);
    let mut command = bucket.command_at(port, "object-recognisable-5eed5eed", &args);
    ran(&mut command).exits(0);
    assert!(failed.load(Ordering::SeqCst) >= 4, "hardly anything failed");
    bucket.has_every_video_once(40);
}

#[test]
fn a_lost_answer_to_the_end_of_an_upload_is_no_missing_bucket() {
    for (what, is_it) in [
        ("giving up", (|line| line.starts_with("delete ") && line.contains("uploadid=")) as fn(&str) -> bool),
        ("completing", |line| line.starts_with("post ") && line.contains("uploadid=")),
    ] {
        let bucket = Bucket::new(&["--video-bytes", "9000000"]);
        let manifest = bucket.world.manifest("m.csv", 1);
        let (port, seen) = bucket.losing_an_answer(is_it);
        let args = bucket.run(&[manifest.to_str().unwrap()]);
        ran(&mut bucket.command_at(port, "object-recognisable-5eed5eed", &args)).exits(0);
        assert!(seen.load(Ordering::SeqCst) > 1, "{what} was not tried again");
        bucket.has_every_video_once(1);
    }
}

#[test]
fn large_videos_go_in_parts() {
    // Two parts and a piece of a third.
    let bucket = Bucket::new(&["--video-bytes", "17000000"]);
    let manifest = bucket.world.manifest("m.csv", 2);
    bucket.nightreel(&bucket.run(&[manifest.to_str().unwrap()])).exits(0);
    assert!(fs::metadata(bucket.object("squish/row0.mp4")).unwrap().len() >= 17_000_000);
    bucket.has_every_video_once(2);
    assert_eq!(bucket.nightreel(&["verify", "--json"]).exits(0).json()["whole"], 2);
}

#[test]
fn with_wrong_credentials_nothing_is_sent_and_what_is_paid_stays() {
    let bucket = Bucket::new(&[]);
    let manifest = bucket.world.manifest("m.csv", 3);
    let args = bucket.run(&[manifest.to_str().unwrap()]);
    let refused = bucket.with_wrong_credentials(&args).exits(9);
    assert!(refused.err.contains("AWS_SECRET_ACCESS_KEY") && refused.err.contains(OUT), "{}", refused.err);
    assert_eq!(bucket.world.tasks().len(), 0, "sent, though nothing could be stored");

    // Three intents are out and accepted, and the process dies.
    let cut = bucket.command(&args).env(KILL, "6").output().unwrap();
    assert_eq!(cut.status.code(), None);
    let paid = bucket.world.tasks().len();
    assert!(paid > 0);
    bucket.world.until_ended();
    let refused =
        bucket.with_wrong_credentials(&["collect", "--gateway", "kling", "--base-url", &bucket.world.base_url]);
    let refused = refused.exits(9);
    assert!(refused.out.contains("credentials do not allow") || refused.err.contains("credentials do not allow"));
    assert_eq!(bucket.world.tasks().len(), paid);
    let doctor = bucket.with_wrong_credentials(&["doctor", "--out", OUT]);
    assert!(doctor.out.contains("credentials do not allow"), "{}", doctor.out);

    bucket.nightreel(&args).exits(0);
    bucket.has_every_video_once(3);
}

#[test]
fn a_missing_object_is_found_and_collected_again_and_a_missing_bucket_loses_nothing() {
    let bucket = Bucket::new(&[]);
    let manifest = bucket.world.manifest("m.csv", 3);
    bucket.nightreel(&bucket.run(&[manifest.to_str().unwrap()])).exits(0);
    bucket.take_bucket_away();
    let refused = bucket.nightreel(&["verify"]).exits(9);
    assert!(refused.err.contains("no such bucket"), "{}", refused.err);
    bucket.bring_bucket_back();
    assert_eq!(bucket.nightreel(&["verify", "--json"]).exits(0).json()["whole"], 3, "rows were taken for lost");

    fs::remove_file(bucket.object("squish/row1.mp4")).unwrap();
    fs::write(bucket.object("squish/foreign.mp4"), "not ours").unwrap();
    let found = bucket.nightreel(&["verify", "--json"]).exits(3).json();
    assert_eq!(found["missing"], Value::from(vec!["squish/row1.mp4"]));
    assert_eq!(found["foreign"], Value::from(vec!["squish/foreign.mp4"]));
    fs::remove_file(bucket.object("squish/foreign.mp4")).unwrap();
    bucket.nightreel(&["collect", "--gateway", "kling", "--base-url", &bucket.world.base_url]).exits(0);
    bucket.has_every_video_once(3);
}

#[test]
fn videos_move_to_another_place_and_into_a_bucket() {
    let bucket = Bucket::new(&[]);
    let manifest = bucket.world.manifest("m.csv", 2);
    let manifest = manifest.to_str().unwrap();
    bucket.nightreel(&bucket.world.kling(&[manifest])).exits(0);
    let folder = bucket.world.path("videos");
    fs::create_dir_all(bucket.object("squish")).unwrap();
    for row in ["row0", "row1"] {
        let name = format!("squish/{row}.mp4");
        fs::copy(folder.join(&name), bucket.object(&name)).unwrap();
    }
    bucket.nightreel(&["export", "carried.db"]).exits(0);
    fs::remove_dir_all(&folder).unwrap();
    let map = format!("{}={OUT}/", folder.canonicalize().unwrap_or(folder).display());
    let args = ["--state", "state/there.db"];
    bucket.nightreel(&[&["import", "carried.db", "--out-map", &map][..], &args].concat()).exits(0);
    // Copied there by hand, they do not say their digest: they are read.
    let verified = bucket.nightreel(&[&["verify", "--json"][..], &args].concat()).exits(0).json();
    assert_eq!(verified["whole"], 2);
    let again = bucket.nightreel(&[&bucket.world.kling(&[manifest])[..], &args].concat()).exits(0);
    assert!(again.out.contains("nothing was submitted"), "{}", again.out);
    assert!(bucket.object("results.csv").exists() && !bucket.world.path("videos").exists());
}

#[test]
fn a_foreign_object_is_left_and_the_video_lies_beside_it() {
    let bucket = Bucket::new(&[]);
    let manifest = bucket.world.manifest("m.csv", 1);
    fs::create_dir_all(bucket.object("squish")).unwrap();
    fs::write(bucket.object("squish/row0.mp4"), "not ours").unwrap();
    bucket.nightreel(&bucket.run(&[manifest.to_str().unwrap()])).exits(0);
    assert_eq!(fs::read(bucket.object("squish/row0.mp4")).unwrap(), b"not ours");
    fs::remove_file(bucket.object("squish/row0.mp4")).unwrap();
    bucket.has_every_video_once(1);
    assert!(bucket.object("squish/row0~2.mp4").exists());
}

#[test]
fn an_address_that_leads_nowhere_is_told_before_anything_is_begun() {
    let bucket = Bucket::new(&[]);
    let manifest = bucket.world.manifest("m.csv", 1);
    for (out, words) in
        [("ftp://videos/x", "no kind of object store"), ("s3://k:secret@videos/x", "never from an address")]
    {
        let told = bucket.nightreel(&bucket.world.kling(&[manifest.to_str().unwrap(), "--out", out])).exits(2);
        assert!(told.err.contains(words) && !told.err.contains("secret"), "{}", told.err);
    }
    assert!(!bucket.world.path("state").exists());
}
