//! SIGKILL after every event of the ledger: the next run goes on, and nothing is paid twice.

use crate::support::World;

const KILL: &str = "NIGHTREEL_KILL_AFTER_EVENT";
const ROWS: usize = 3;

/// Runs until it kills itself after `events` events; `false` when it came to its end before.
fn killed_after(world: &World, events: usize, more: &[&str]) -> bool {
    let output = world.command(&world.kling(more)).env(KILL, events.to_string()).output().unwrap();
    match output.status.code() {
        None => true,
        Some(0) => false,
        Some(code) => panic!("exit {code}\n{}", String::from_utf8_lossy(&output.stderr)),
    }
}

#[test]
fn a_run_killed_after_any_event_is_taken_up_without_paying_twice() {
    let world = World::new(&[]);
    let manifest = world.manifest("m.csv", ROWS);
    let manifest = manifest.to_str().unwrap();
    let mut events = 0;
    loop {
        events += 1;
        // Each time another ledger, another batch and so other videos.
        let (state, batch) = (format!("state/{events}.db"), format!("after{events}"));
        let more = [manifest, "--state", &state, "--batch", &batch, "--out", &batch];
        if !killed_after(&world, events, &more) {
            break;
        }
        world.run(&more).exits(0);
        assert_eq!(world.tasks().len(), ROWS * events, "killed after event {events}");
        let made: Vec<_> = world.tasks().iter().map(|task| task["video_sha256"].to_string()).collect();
        assert!(!made.contains(&"null".to_owned()), "{:?}", world.tasks());
        for row in world.results(&batch).values() {
            let bytes = std::fs::read(world.path(&batch).join(&row["file"])).unwrap();
            let right = format!("{:?}", crate::support::sha256(&bytes));
            assert!(made.contains(&right), "{} after event {events}: {made:?}", row["id"]);
            assert_eq!(row["state"], "done");
        }
    }
    assert!(events > 4 * ROWS, "only {events} events: the kill point was not met");
}

#[test]
fn a_run_killed_over_and_over_comes_to_its_end() {
    let world = World::new(&["--fault", "truncate=0.2", "--fault", "lose-answer=0.2"]);
    let manifest = world.manifest("m.csv", 4);
    let mut runs = 0;
    // Two events each, one row at a time: an intent, and what became of it.
    while killed_after(&world, 2, &[manifest.to_str().unwrap(), "--in-flight", "1"]) {
        runs += 1;
        assert!(runs < 300, "it never ends");
    }
    assert!(runs >= 8, "{runs}");
    world.paid_once(4);
}

#[test]
fn a_faulty_night_killed_again_and_again_pays_once() {
    const ROWS: usize = 30;
    let faults = [
        "lose-answer=0.1",
        "error-500-after=0.1",
        "drop-before=0.1",
        "late-visible=0.2:200ms",
        "truncate=0.2",
        "link-expired=0.1",
    ];
    let faults: Vec<&str> = faults.iter().flat_map(|fault| ["--fault", fault]).collect();
    let world = World::new(&faults);
    let manifest = world.manifest("m.csv", ROWS);
    let mut dice = fastrand::Rng::with_seed(23);
    let mut runs = 0;
    while killed_after(&world, dice.usize(4..24), &[manifest.to_str().unwrap()]) {
        runs += 1;
        assert!(runs < 300, "it never ends");
    }
    assert!(runs >= 5, "{runs}");
    world.paid_once(ROWS);
}

#[test]
fn a_night_of_probes_killed_again_and_again_pays_once_and_passes_no_limit() {
    const ROWS: usize = 30;
    let mut flags = vec!["--in-flight", "2", "--task-time", "100ms..600ms"];
    for fault in ["lose-answer=0.05", "error-500-after=0.05", "late-visible=0.1:200ms"] {
        flags.extend(["--fault", fault]);
    }
    let world = World::new(&flags);
    let manifest = world.manifest("m.csv", ROWS);
    let more = [manifest.to_str().unwrap(), "--in-flight", "2", "--canary", "0", "--probe"];
    let mut dice = fastrand::Rng::with_seed(29);
    let mut runs = 0;
    while killed_after(&world, dice.usize(10..50), &more) {
        runs += 1;
        assert!(runs < 300, "it never ends");
    }
    let stats = world.stats();
    assert!(runs >= 4 && stats["refused_parallel"].as_u64().unwrap() > 0, "{runs} {stats}");
    assert_eq!(stats["peak_parallel"], 2, "{stats}");
    world.paid_once(ROWS);
}

/// A ledger of which so many rows are at the remote, whose tasks have ended.
fn left_at_the_remote(world: &World, state: &str, batch: &str, rows: usize) {
    let manifest = world.manifest("m.csv", rows);
    let before = world.tasks().len();
    let more = [manifest.to_str().unwrap(), "--state", state, "--batch", batch, "--out", batch, "--in-flight", "9"];
    // An intent and an answer each.
    assert!(killed_after(world, 2 * rows, &[&more[..], &["--min-poll", "30s", "--canary", "0"]].concat()));
    world.until("tasks are made", |made| made.len() == before + rows);
    world.until_ended();
}

#[test]
fn collecting_that_is_killed_after_any_event_is_taken_up_and_nothing_is_sent() {
    let world = World::new(&["--fault", "truncate=0.3", "--fault", "link-expired=0.2"]);
    let mut events = 0;
    loop {
        events += 1;
        let (state, batch) = (format!("state/{events}.db"), format!("after{events}"));
        left_at_the_remote(&world, &state, &batch, ROWS);
        let collect = ["collect", "--gateway", "kling", "--base-url", &world.base_url, "--state", &state];
        let collect = [&collect[..], &["--min-poll", "30ms", "--settle-after", "400ms"]].concat();
        let killed = world.command(&collect).env(KILL, events.to_string()).output().unwrap();
        world.nightreel(&collect).exits(0);
        assert_eq!(world.tasks().len(), ROWS * events, "killed after event {events}");
        let done: Vec<_> = world.results(&batch).into_values().filter(|row| row["state"] == "done").collect();
        assert_eq!(done.len(), ROWS, "killed after event {events}");
        if killed.status.code() == Some(0) {
            break;
        }
        assert!(events < 60, "it never ends");
    }
    assert!(events > 2 * ROWS, "only {events} events: the kill point was not met");
}

#[test]
fn a_run_that_is_killed_while_it_is_shutting_down_is_taken_up() {
    let faults = ["--fault", "slow-answer=1:500ms", "--task-time", "100ms..200ms"];
    let world = World::new(&faults);
    // Three intents, then the signal, then three answers: it is killed after each of them.
    for events in ROWS + 1..=2 * ROWS {
        let (state, batch) = (format!("state/{events}.db"), format!("after{events}"));
        let manifest = world.manifest("m.csv", 2 * ROWS);
        let before = world.tasks().len();
        let more = [manifest.to_str().unwrap(), "--state", &state, "--batch", &batch, "--out", &batch];
        let more = [&more[..], &["--canary", "0", "--in-flight", "3", "--min-poll", "30s"]].concat();
        let mut run = world.command(&world.kling(&more)).env(KILL, events.to_string()).spawn().unwrap();
        world.until_made(before + ROWS);
        crate::support::signal(&run, "INT");
        assert_eq!(run.wait().unwrap().code(), None, "it came to its end before event {events}");
        assert_eq!(world.tasks().len(), before + ROWS, "it sent more after the signal");
        world.run(&more[..more.len() - 2]).exits(0);
        assert_eq!(world.tasks().len(), before + 2 * ROWS, "killed after event {events}");
        assert!(world.results(&batch).values().all(|row| row["state"] == "done"));
    }
}
