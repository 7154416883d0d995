//! Everything goes wrong at once: answers, connections, queries, downloads.

use std::collections::HashSet;

use crate::support::World;

const ROWS: usize = 500;
const FAULTS: [&str; 21] = [
    "lose-answer=0.04",
    "error-500-after=0.03",
    "html-502-after=0.03",
    "empty-200-after=0.01",
    "garbage-after=0.01",
    "drop-before=0.04",
    "error-500-before=0.02",
    "html-502-before=0.02",
    "refuse-429=0.01",
    "late-visible=0.1:300ms",
    "query-404=0.03",
    "query-not-found=0.03",
    "query-task-not-exist=0.03",
    "query-garbage=0.03",
    "query-html=0.03",
    "query-500=0.03",
    "query-unknown-status=0.05",
    "truncate=0.05",
    "file-drop=0.05",
    "file-html=0.03",
    "link-expired=0.05",
];

fn faulty(more: &[&str]) -> World {
    let faults: Vec<&str> = FAULTS.iter().flat_map(|fault| ["--fault", fault]).chain(more.iter().copied()).collect();
    World::new(&faults)
}

#[test]
fn whatever_is_lost_every_row_is_paid_once_and_made() {
    let world = faulty(&[]);
    let manifest = world.manifest("m.csv", ROWS);
    world.run(&[manifest.to_str().unwrap(), "--in-flight", "25"]).exits(0);
    world.paid_once(ROWS);
    let stats = world.stats();
    assert!(stats["list_requests"].as_u64().unwrap() > 0, "{stats}");
    let again = world.run(&[manifest.to_str().unwrap()]).exits(0);
    assert!(again.out.contains("nothing was submitted"), "{}", again.out);
    assert_eq!(world.tasks().len(), ROWS);
}

#[test]
fn where_nothing_can_be_looked_up_rows_in_doubt_are_held_and_none_is_paid_twice() {
    let world = faulty(&["--no-lookup", "--no-list"]);
    let manifest = world.manifest("m.csv", ROWS);
    // One in five is in doubt: by chance that is eleven of twenty now and then, for which the scene would be paused.
    let args = world.compatible(&[manifest.to_str().unwrap(), "--max-failures", "off", "--canary", "0"]);
    world.nightreel(&args).exits(4);
    let status = world.status();
    let (done, held) = (status["done"].as_u64().unwrap(), status["held"].as_u64().unwrap());
    assert_eq!(done + held, ROWS as u64, "{status}");
    assert!(held > 20 && done > 350, "{status}");
    let tasks = world.tasks();
    let images: HashSet<String> = tasks.iter().map(|task| task["images"].to_string()).collect();
    assert_eq!(images.len(), tasks.len(), "a row was paid twice");
    world.every_video_is_right(usize::try_from(done).unwrap());
    // Asked again, the rows in doubt stay where they are.
    world.nightreel(&args).exits(4);
    assert_eq!(world.tasks().len(), tasks.len());
}

#[test]
fn a_gateway_that_wraps_its_answers_is_understood() {
    let world = World::new(&["--wrapped", "--no-list", "--prefix", "/kling"]);
    let manifest = world.manifest("m.csv", 6);
    let args = world.compatible(&[manifest.to_str().unwrap()]);
    world.nightreel(&args).exits(0);
    world.paid_once(6);
}
