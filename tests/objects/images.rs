//! Nights whose local pictures are lent from a bucket: the simulator fetches them there by the links that it is sent.

use std::collections::BTreeMap;
use std::fs;
use std::os::unix::fs::MetadataExt;
use std::path::PathBuf;
use std::sync::atomic::Ordering;
use std::time::Duration;

use serde_json::Value;

use crate::bucket::{Bucket, SECRET, ran};
use crate::support::sha256;

const KILL: &str = "NIGHTREEL_KILL_AFTER_EVENT";
const VIA: &str = "s3://videos/lent";

/// A PNG's signature and header, filled up with `fill` to a size.
fn png(fill: u8, size: usize) -> Vec<u8> {
    let mut bytes = b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR\0\0\x01\x90\0\0\x01\x90\x08\x02\0\0\0".to_vec();
    bytes.resize(size, fill);
    bytes
}

/// A manifest of `rows` rows, each with a picture of its own of `size` bytes, and the digests of these.
fn pictures(bucket: &Bucket, rows: usize, size: usize) -> (PathBuf, Vec<String>) {
    let mut text = "id,scene,images,duration\n".to_owned();
    let mut digests = Vec::new();
    for row in 0..rows {
        let picture = png(u8::try_from(row).unwrap(), size);
        bucket.world.write(&format!("pictures/{row}.png"), &picture);
        digests.push(sha256(&picture));
        text.push_str(&format!("row{row},squish,pictures/{row}.png,5\n"));
    }
    digests.sort();
    (bucket.world.write("pictures.csv", text), digests)
}

/// The pictures that lie in the bucket under a prefix, each with what changes when it is put again.
fn lent(bucket: &Bucket, prefix: &str) -> BTreeMap<String, (u64, i64, i64)> {
    let is_lent = |name: &String| name.starts_with(prefix);
    let about = |name: String| {
        let about = fs::metadata(bucket.at(&name)).unwrap();
        (name, (about.ino(), about.mtime(), about.mtime_nsec()))
    };
    bucket.objects().into_iter().filter(is_lent).map(about).collect()
}

/// The remote was sent exactly these pictures, each in one paid request.
#[track_caller]
fn was_sent(bucket: &Bucket, digests: &[String]) {
    let mut sent: Vec<String> = bucket
        .world
        .tasks()
        .iter()
        .flat_map(|task| task["images"].as_array().unwrap().clone())
        .map(|image| image.as_str().unwrap().to_owned())
        .collect();
    sent.sort();
    assert_eq!(sent, digests);
}

#[test]
fn pictures_are_lent_once_and_requests_are_small() {
    let bucket = Bucket::new(&[]);
    // Small ones are held in memory, large ones are read as they are put.
    let (large, small) = (png(1, 2_000_000), png(2, 5_000));
    bucket.world.write("pictures/large.png", &large);
    bucket.world.write("pictures/small.png", &small);
    let rows = "id,scene,images,duration\n\
                a,squish,pictures/large.png,5\n\
                b,expansion,pictures/large.png,5\n\
                c,squish,pictures/small.png,5\n\
                d,hug_pro,pictures/small.png|pictures/large.png,5\n\
                e,squish,https://example.com/e.jpg,5\n";
    let manifest = bucket.world.write("m.csv", rows);
    let manifest = manifest.to_str().unwrap();
    let checked = bucket.nightreel(&["check", manifest, "--gateway", "kling", "--images-via", VIA]).exits(0);
    assert!(checked.out.contains("are put into s3://videos/lent"), "{}", checked.out);
    let base_url = bucket.world.base_url.as_str();
    let doctor = ["doctor", manifest, "--gateway", "kling", "--base-url", base_url, "--images-via", VIA];
    let doctor = bucket.nightreel(&doctor).exits(0);
    assert!(doctor.out.contains("s3://videos/lent: is there and can be written"), "{}", doctor.out);
    assert!(bucket.objects().is_empty(), "something was left behind");

    let args = bucket.world.kling(&[manifest, "--images-via", VIA]);
    ran(bucket.command(&args).env("RUST_LOG", "debug")).exits(0);
    bucket.world.paid_once(5);
    let (large, small) = (sha256(&large), sha256(&small));
    let mut digests = vec![
        large.clone(),
        large.clone(),
        large.clone(),
        small.clone(),
        small.clone(),
        "https://example.com/e.jpg".into(),
    ];
    digests.sort();
    was_sent(&bucket, &digests);
    let stats = bucket.world.stats();
    assert_eq!(stats["pictures_fetched"], 5, "{stats}");
    assert!(stats["largest_creation"].as_u64().unwrap() < 2_000, "{stats}");
    let mut expected = [format!("lent/{large}.png"), format!("lent/{small}.png")];
    expected.sort();
    assert_eq!(lent(&bucket, "lent").into_keys().collect::<Vec<_>>(), expected);
    bucket.no_file_holds_a_secret();

    // Whether pictures are lent is no part of what a row is.
    for args in [bucket.world.kling(&[manifest]), args] {
        let again = bucket.nightreel(&args).exits(0);
        assert!(again.out.contains("nothing was submitted"), "{}", again.out);
    }
    bucket.world.paid_once(5);
}

#[test]
fn a_run_killed_after_any_event_neither_pays_nor_puts_twice() {
    let bucket = Bucket::new(&[]);
    let (manifest, digests) = pictures(&bucket, 2, 1_000);
    let mut killed = 0;
    loop {
        let (state, batch) = (format!("state/{killed}.db"), format!("after{killed}"));
        let (name, via) = (format!("{batch}/{{id}}.mp4"), format!("s3://videos/lent{killed}"));
        let args = bucket.world.kling(&[
            manifest.to_str().unwrap(),
            "--state",
            &state,
            "--batch",
            &batch,
            "--name",
            &name,
            "--images-via",
            &via,
        ]);
        let cut = bucket.command(&args).env(KILL, (killed + 1).to_string()).output().unwrap();
        if cut.status.code().is_some() {
            assert_eq!(cut.status.code(), Some(0), "{}", String::from_utf8_lossy(&cut.stderr));
            break;
        }
        let prefix = format!("lent{killed}/");
        let before = lent(&bucket, &prefix);
        bucket.nightreel(&args).exits(0);
        let after = lent(&bucket, &prefix);
        assert_eq!(after.len(), 2, "killed after event {killed}");
        assert!(before.iter().all(|(name, put)| after[name] == *put), "put again after event {killed}");
        killed += 1;
        assert_eq!(bucket.world.tasks().len(), 2 * killed, "killed after event {killed}");
    }
    assert!(killed >= 8, "only {killed} events: the kill point was not met");
    let mut all: Vec<String> = (0..=killed).flat_map(|_| digests.clone()).collect();
    all.sort();
    was_sent(&bucket, &all);
    bucket.no_file_holds_a_secret();
}

#[test]
fn a_run_killed_between_putting_and_intent_has_sent_nothing() {
    let bucket = Bucket::new(&[]);
    let (manifest, digests) = pictures(&bucket, 1, 400_000);
    let args = bucket.world.kling(&[manifest.to_str().unwrap(), "--images-via", VIA]);
    let (port, put) = bucket.holding_answers_to(bucket.at(&format!("lent/{}.png", digests[0])));
    let mut run = bucket.command_at(port, SECRET, &args).spawn().unwrap();
    put.recv_timeout(Duration::from_secs(60)).unwrap();
    run.kill().unwrap();
    run.wait().unwrap();
    let before = lent(&bucket, "lent");
    assert_eq!((bucket.world.tasks().len(), before.len()), (0, 1));
    assert_eq!(bucket.world.status()["planned"], 1, "a row that was not sent is not in doubt");
    bucket.nightreel(&args).exits(0);
    bucket.world.paid_once(1);
    was_sent(&bucket, &digests);
    assert_eq!(lent(&bucket, "lent"), before, "it was put again");
}

#[test]
fn a_store_that_fails_now_and_then_lends_every_picture() {
    let bucket = Bucket::new(&[]);
    let (manifest, digests) = pictures(&bucket, 40, 1_000);
    let (port, failed) = bucket.faulty();
    let args = bucket.world.kling(&[manifest.to_str().unwrap(), "--images-via", VIA]);
    ran(&mut bucket.command_at(port, SECRET, &args)).exits(0);
    assert!(failed.load(Ordering::SeqCst) >= 5, "hardly anything failed");
    bucket.world.paid_once(40);
    was_sent(&bucket, &digests);
    bucket.no_file_holds_a_secret();
}

#[test]
fn a_store_that_refuses_sends_nothing_and_keeps_nobody_from_collecting() {
    let bucket = Bucket::new(&[]);
    let (manifest, digests) = pictures(&bucket, 2, 1_000);
    let args = bucket.world.kling(&[manifest.to_str().unwrap(), "--images-via", VIA]);
    let refused = bucket.with_wrong_credentials(&args).exits(9);
    assert!(refused.err.contains("AWS_SECRET_ACCESS_KEY") && refused.err.contains(VIA), "{}", refused.err);
    assert!(bucket.world.tasks().is_empty());
    assert_eq!(bucket.world.status()["planned"], 2);

    // Something else under the name of a picture: the account is paused, and nothing is overwritten.
    let taken = bucket.at(&format!("lent/{}.png", digests[1]));
    fs::create_dir_all(taken.parent().unwrap()).unwrap();
    fs::write(&taken, "not ours").unwrap();
    let paused = bucket.nightreel(&args).exits(8);
    assert!(paused.out.contains("its pictures cannot be lent"), "{}{}", paused.out, paused.err);
    assert_eq!(fs::read(&taken).unwrap(), b"not ours");
    let made = bucket.world.tasks().len();
    assert!(made <= 1);
    fs::remove_file(&taken).unwrap();
    bucket.nightreel(&args).exits(0);
    bucket.world.paid_once(2);
    was_sent(&bucket, &digests);
    let told: Value = bucket.world.status();
    assert_eq!((&told["done"], &told["failed"]), (&2.into(), &0.into()));
}

#[test]
fn a_link_that_the_remote_names_is_kept_without_its_signature() {
    let bucket = Bucket::new(&[]);
    let (manifest, _) = pictures(&bucket, 1, 1_000);
    let args = bucket.world.kling(&[manifest.to_str().unwrap(), "--images-via", VIA]);
    let port = bucket.refusing_links();
    ran(bucket.command_at(port, SECRET, &args).env("RUST_LOG", "debug")).exits(3);
    let told = bucket.nightreel(&["logs", "row0"]).exits(0);
    assert!(told.out.contains("cannot be fetched") && told.out.contains(".png[signed]"), "{}", told.out);
    bucket.no_file_holds_a_secret();
    assert!(bucket.world.tasks().is_empty());
}

#[test]
fn where_pictures_are_lent_holds_no_credentials_and_links_end_within_a_week() {
    let bucket = Bucket::new(&[]);
    let hidden = bucket.nightreel(&["check", "m.csv", "--images-via", "s3://key:s3cr3t@videos/lent"]).exits(2);
    assert!(hidden.err.contains("--images-via") && !hidden.err.contains("s3cr3t"), "{}", hidden.err);
    let long = bucket.nightreel(&["check", "m.csv", "--images-for", "8d"]).exits(2);
    assert!(long.err.contains("from 1m to 7d"), "{}", long.err);
}
