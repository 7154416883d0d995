//! The account's limits, judged by the remote: used, and never passed, even just after a kill.

use crate::support::World;

#[test]
fn neither_rate_nor_parallel_limit_is_passed_across_a_kill() {
    let world = World::new(&["--task-time", "300ms..500ms"]);
    let manifest = world.manifest("m.csv", 40);
    let mut args = world.kling(&[manifest.to_str().unwrap()]);
    args.extend(["--rate", "20/s", "--in-flight", "4"]);
    let mut first = world.command(&args).spawn().unwrap();
    world.until_made(6);
    first.kill().unwrap();
    first.wait().unwrap();
    world.nightreel(&args).exits(0);
    let stats = world.stats();
    assert_eq!(stats["peak_parallel"], 4, "{stats}");
    // Evenly sent; what arrives may be one off by what the machine is doing.
    assert!(stats["peak_per_second"].as_u64().unwrap() <= 21, "{stats}");
    assert!(stats["closest_queries_ms"].as_i64().unwrap() >= 30, "{stats}");
    world.paid_once(40);
}

#[test]
fn a_remote_that_allows_less_is_waited_for() {
    let world = World::new(&["--in-flight", "2"]);
    let manifest = world.manifest("m.csv", 6);
    world.run(&[manifest.to_str().unwrap()]).exits(0);
    assert_eq!(world.stats()["peak_parallel"], 2);
    world.paid_once(6);
}

#[test]
fn where_nothing_is_listed_several_tasks_are_asked_for_in_one_request() {
    let world = World::new(&["--task-time", "200ms"]);
    world.write("nightreel.toml", "[capabilities]\nlist = false\n");
    let manifest = world.manifest("m.csv", 24);
    world.run(&[manifest.to_str().unwrap(), "--canary", "0"]).exits(0);
    let stats = world.stats();
    assert!(stats["task_pages"].as_u64().unwrap() > 0 && stats["list_requests"] == 0, "{stats}");
    world.paid_once(24);
}

#[test]
fn probes_fill_the_slots_of_an_account_and_never_pass_its_limit() {
    // Shown one by one, and no more at once than are set.
    let world = World::new(&["--in-flight", "3", "--task-time", "300ms..900ms"]);
    world.write("nightreel.toml", "[capabilities]\nlist = false\nmany = false\n");
    let manifest = world.manifest("m.csv", 40);
    let more = [manifest.to_str().unwrap(), "--in-flight", "3", "--canary", "0", "--probe", "--rate", "50/s"];
    let ran = world.run(&more).exits(0);
    let stats = world.stats();
    assert!(stats["refused_parallel"].as_u64().unwrap() > 0, "no probe was sent: {stats}");
    assert_eq!((&stats["peak_parallel"], &stats["charged"]), (&3.into(), &40.into()), "{stats}");
    // What is expected is no trouble.
    for words in ["parallel generations from now on", "not sent yet", "slower"] {
        assert!(!ran.err.contains(words), "{words}: {}", ran.err);
    }
    world.paid_once(40);
    // A refused probe is no request that may have been paid.
    let receipt = world.nightreel(&["receipt", "--json"]).exits(0).json();
    assert_eq!(receipt["requests"], 40, "{receipt}");
}

#[test]
fn a_gateway_that_promises_no_refusal_is_not_probed_and_says_so_once() {
    let world = World::new(&["--in-flight", "2"]);
    let manifest = world.manifest("m.csv", 8);
    let args = world.compatible(&[manifest.to_str().unwrap(), "--in-flight", "2", "--canary", "0", "--probe"]);
    let ran = world.nightreel(&args).exits(0);
    assert_eq!(ran.err.matches("probe is not heeded").count(), 1, "{}", ran.err);
    assert_eq!(world.stats()["refused_parallel"], 0);
    world.paid_once(8);
}
