//! SIGINT and SIGTERM: an end in order within ten seconds, or at once.

use std::io::{BufRead, BufReader};
use std::time::{Duration, Instant};

use crate::support::{World, signal};

#[test]
fn an_interrupted_run_says_so_in_time_and_goes_on_later() {
    for name in ["INT", "TERM"] {
        let world = World::new(&["--task-time", "1s..2s"]);
        let manifest = world.manifest("m.csv", 12);
        let args = world.kling(&[manifest.to_str().unwrap()]);
        let mut run = world.command(&args).spawn().unwrap();
        world.until_made(4);
        signal(&run, name);
        let begun = Instant::now();
        assert_eq!(run.wait().unwrap().code(), Some(5), "{name}");
        assert!(begun.elapsed() < Duration::from_secs(10));
        world.nightreel(&args).exits(0);
        world.paid_once(12);
    }
}

#[test]
fn a_request_without_an_answer_does_not_keep_an_interrupted_run() {
    let world = World::new(&["--fault", "hang-answer"]);
    let manifest = world.manifest("m.csv", 2);
    let mut args = world.kling(&[manifest.to_str().unwrap()]);
    args.extend(["--request-timeout", "2m"]);
    let mut run = world.command(&args).spawn().unwrap();
    world.until_made(2);
    signal(&run, "INT");
    let begun = Instant::now();
    assert_eq!(run.wait().unwrap().code(), Some(5));
    assert!(begun.elapsed() < Duration::from_secs(10), "{:?}", begun.elapsed());
    // What was cut off is asked for: the remote has it.
    world.run(&[manifest.to_str().unwrap()]).exits(0);
    world.paid_once(2);
}

#[test]
fn a_second_signal_ends_it_at_once() {
    let world = World::new(&["--fault", "hang-answer"]);
    let manifest = world.manifest("m.csv", 1);
    let mut run = world.command(&world.kling(&[manifest.to_str().unwrap()])).spawn().unwrap();
    world.until_made(1);
    signal(&run, "INT");
    let mut said = BufReader::new(run.stderr.take().unwrap()).lines();
    assert!(said.any(|line| line.unwrap().contains("stopping")), "the first signal was not heard");
    let begun = Instant::now();
    signal(&run, "INT");
    assert_eq!(run.wait().unwrap().code(), Some(5));
    assert!(begun.elapsed() < Duration::from_secs(2), "{:?}", begun.elapsed());
}
