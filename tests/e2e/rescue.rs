//! What was paid and lost: a ledger that is gone, tasks that no row knows.

use std::fs;

use crate::support::{World, files, sha256};

/// The flags of a rescue against this remote.
fn rescue<'a>(world: &'a World, more: &[&'a str]) -> Vec<&'a str> {
    [&["rescue"], more, &["--gateway", "kling", "--base-url", &world.base_url]].concat()
}

#[test]
fn after_a_lost_ledger_every_row_has_its_task_again_and_none_is_paid_twice() {
    // More than one page of tasks, and rows whose first attempt failed.
    let world = World::new(&["--fault", "fail=0.1", "--seed", "5"]);
    let manifest = world.manifest("m.csv", 110);
    let manifest = manifest.to_str().unwrap();
    world.run(&[manifest, "--max-failures", "off"]).exits(3);
    world.nightreel(&["retry", "--all"]).exits(0);
    let before = world.run(&[manifest, "--max-failures", "off", "--json"]).json();
    let tasks = world.tasks().len();
    assert!(tasks > 112, "some rows are tried again");
    fs::remove_dir_all(world.path("state")).unwrap();
    fs::remove_dir_all(world.path("videos")).unwrap();

    // Nothing is changed by looking: there is still no ledger.
    let shown = world.nightreel(&rescue(&world, &["--json"])).exits(4).json();
    assert_eq!((shown["tasks"].as_array().unwrap().len(), &shown["adopted"]), (tasks, &0.into()));
    assert!(!world.path("state").exists());
    let lost = world.nightreel(&rescue(&world, &["--adopt"])).exits(2);
    assert!(lost.err.contains("--manifest") && !lost.err.contains("nightreel run"), "{}", lost.err);

    let adopted = world.nightreel(&rescue(&world, &["--adopt", "--manifest", manifest, "--json"])).exits(0).json();
    assert_eq!((&adopted["adopted"], &adopted["left"]), (&110.into(), &0.into()), "{adopted}");
    let again = world.run(&[manifest, "--max-failures", "off", "--json"]).json();
    assert_eq!((&again["done"], &again["failed"]), (&before["done"], &before["failed"]));
    assert_eq!(world.tasks().len(), tasks, "nothing was paid twice");
    world.every_video_is_right(usize::try_from(again["done"].as_u64().unwrap()).unwrap());
}

#[test]
fn what_belongs_to_no_row_is_shown_and_fetched_once() {
    let world = World::new(&[]);
    let manifest = world.manifest("m.csv", 2);
    world.run(&[manifest.to_str().unwrap()]).exits(0);
    let none = world.nightreel(&["rescue"]).exits(0);
    assert!(none.out.contains("0 tasks that no row knew"), "{}", none.out);
    // Somebody works with the same account and another ledger.
    let other = world.manifest("other.csv", 2);
    world.run(&[other.to_str().unwrap(), "--state", "other.db", "--out", "elsewhere"]).exits(0);
    let shown = world.nightreel(&["rescue"]).exits(4);
    assert!(shown.out.contains("2 left") && shown.out.contains("--download DIR"), "{}", shown.out);
    world.nightreel(&["rescue", "--since", "soon"]).exits(2);

    let fetched = world.nightreel(&["rescue", "--download", "found", "--json"]).exits(0).json();
    assert_eq!((&fetched["downloaded"], &fetched["left"]), (&2.into(), &0.into()), "{fetched}");
    let made: Vec<String> =
        world.tasks().iter().map(|task| task["video_sha256"].as_str().unwrap().to_owned()).collect();
    let found = files(&world.path("found"));
    assert_eq!(found.len(), 2);
    for file in &found {
        assert!(made.contains(&sha256(&fs::read(world.path("found").join(file)).unwrap())), "{file}");
    }
    let downloads = world.stats()["downloads"].clone();
    world.nightreel(&["rescue", "--download", "found"]).exits(0);
    assert_eq!(world.stats()["downloads"], downloads, "what is there is not fetched again");
    assert_eq!((world.tasks().len(), files(&world.path("found")).len()), (4, 2));
}

#[test]
fn a_held_row_takes_its_task_over_when_it_is_shown_after_all() {
    // The row was in doubt and absent; the remote shows its task later.
    let world = World::new(&["--fault", "lose-answer", "--visible-after", "4s"]);
    let manifest = world.manifest("m.csv", 1);
    let args = world.kling(&[manifest.to_str().unwrap()]);
    let killed = world.command(&args).env("NIGHTREEL_KILL_AFTER_EVENT", "2").output().unwrap();
    assert_eq!(killed.status.code(), None);
    world.nightreel(&["resolve", "row0", "--drop"]).exits(0);
    world.until("it is shown", |_| {
        let shown = world.nightreel(&["rescue", "--json"]).json();
        shown["tasks"][0]["row"] == "row0"
    });
    world.nightreel(&["rescue", "--adopt"]).exits(0);
    world.nightreel(&["collect", "--min-poll", "30ms"]).exits(0);
    world.paid_once(1);
}

#[test]
fn an_account_that_lists_nothing_is_said_and_nothing_may_be_sent_after_it() {
    let world = World::new(&["--no-lookup", "--no-list"]);
    let manifest = world.manifest("m.csv", 1);
    let manifest = manifest.to_str().unwrap();
    let remote = ["--gateway", "kling-compatible", "--base-url", &world.base_url];
    let shown = world.nightreel(&[&["rescue"], &remote[..]].concat()).exits(4);
    assert!(shown.out.contains("resolve ROW --made TASK_ID"), "{}", shown.out);
    let adopted = world.nightreel(&[&["rescue", "--adopt", "--manifest", manifest], &remote[..]].concat()).exits(4);
    assert!(adopted.out.contains("before anything is sent"), "{}", adopted.out);
}
