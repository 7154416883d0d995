//! Several accounts at once, the budget, and rows that go ahead: with the real binary, and killed.

use std::fs;

use crate::support::{KEY, QUICK, Ran, World};

/// A configuration with an account at each remote, under these settings.
fn accounts(home: &World, remotes: &[(&str, &World, &str)]) {
    let table = |(name, world, more): &(&str, &World, &str)| {
        let url = &world.base_url;
        format!("[[account]]\nname = \"{name}\"\ngateway = \"kling\"\nbase_url = \"{url}\"\n{more}\n")
    };
    home.write("nightreel.toml", remotes.iter().map(table).collect::<String>());
}

const SOUND: &str = "key_env = \"NIGHTREEL_API_KEY\"\n";

fn run(world: &World, more: &[&str]) -> Ran {
    let args = [&["run"], more, &QUICK].concat();
    world.command(&args).env("DEAD", "sk-dead-dead-dead").output().unwrap().into()
}

#[test]
fn a_dead_key_and_an_empty_balance_leave_every_row_to_the_third_account() {
    let (home, empty, dead) = (World::new(&[]), World::new(&["--fault", "no-balance-after=3"]), World::new(&[]));
    accounts(&home, &[("sound", &home, SOUND), ("empty", &empty, SOUND), ("dead", &dead, "key_env = \"DEAD\"\n")]);
    let manifest = home.manifest("m.csv", 30);
    let ran = run(&home, &[manifest.to_str().unwrap()]).exits(0);
    assert!(ran.out.contains("account dead was paused: the key was not accepted"), "{}", ran.out);
    assert!(ran.out.contains("account empty was paused: the balance is used up"), "{}", ran.out);
    let (mine, theirs) = (home.tasks().len(), empty.tasks().len());
    assert_eq!((mine + theirs, dead.tasks().len()), (30, 0), "{}", ran.out);
    assert!(theirs <= 2, "{theirs}");
    let results = home.results("videos");
    assert_eq!(results.values().filter(|row| row["state"] == "done").count(), 30);
    // Each task was watched by the account that made it: nobody else was asked.
    assert_eq!((&dead.stats()["status_requests"], &dead.stats()["list_requests"]), (&0.into(), &0.into()));
}

#[test]
fn when_no_account_is_left_the_run_ends_with_its_own_code_and_goes_on_when_one_is() {
    let (home, dead) = (World::new(&["--fault", "no-balance-after=5"]), World::new(&[]));
    accounts(&home, &[("sound", &home, SOUND), ("dead", &dead, "key_env = \"DEAD\"\n")]);
    let manifest = home.manifest("m.csv", 10);
    let ran = run(&home, &[manifest.to_str().unwrap()]).exits(10);
    assert!(ran.out.contains("6 rows of squish: no account that is at work could send them"), "{}", ran.out);
    assert_eq!(home.status()["done"], 4);
    // The account is mended: its rows go on, with what the other cannot do.
    accounts(&home, &[("sound", &home, SOUND), ("dead", &dead, SOUND)]);
    run(&home, &[manifest.to_str().unwrap()]).exits(0);
    assert_eq!((home.tasks().len(), dead.tasks().len(), &home.status()["done"]), (4, 6, &10.into()));
}

#[test]
fn a_row_goes_to_the_account_that_it_names_and_to_no_other() {
    let (home, other) = (World::new(&[]), World::new(&[]));
    accounts(&home, &[("left", &home, SOUND), ("right", &other, SOUND)]);
    let mut text = "id,scene,images,duration,account\n".to_owned();
    for row in 0..12 {
        let account = if row % 3 == 0 { "right" } else { "left" };
        text.push_str(&format!("row{row},squish,https://example.com/{row}.jpg,5,{account}\n"));
    }
    let manifest = home.write("m.csv", text);
    run(&home, &[manifest.to_str().unwrap()]).exits(0);
    assert_eq!((home.tasks().len(), other.tasks().len()), (8, 4));
    let chosen = run(&home, &[manifest.to_str().unwrap(), "--account", "left"]).exits(0);
    assert!(chosen.out.contains("nothing was submitted"), "{}", chosen.out);
}

#[test]
fn the_budget_is_never_passed_when_killed_at_random() {
    let world = World::new(&["--fault", "lose-answer=0.1", "--fault", "error-500-before=0.1"]);
    let manifest = world.manifest("m.csv", 40);
    // Seven requests at USD 0.28 are paid at the most.
    let args = world.kling(&[manifest.to_str().unwrap(), "--budget", "2.10", "--canary", "0"]);
    for after in [1, 2, 3, 5, 7, 11] {
        let killed = world.command(&args).env("NIGHTREEL_KILL_AFTER_EVENT", after.to_string()).output().unwrap();
        assert!(world.tasks().len() <= 7, "{} after {after}: {killed:?}", world.tasks().len());
    }
    let ran = world.nightreel(&args).exits(11);
    assert_eq!(world.tasks().len(), 7, "{}", ran.out);
    assert!(ran.out.contains("the budget kept 33 rows back (squish)"), "{}", ran.out);
    assert_eq!(world.status()["done"], 7);
    // More may be spent: the rest of the night.
    let more = world.kling(&[manifest.to_str().unwrap(), "--budget", "11.20", "--canary", "0"]);
    world.nightreel(&more).exits(0);
    world.paid_once(40);
}

#[test]
fn a_scene_that_never_works_costs_its_first_rows_and_the_others_go_on() {
    let world = World::new(&["--fail-scene", "broken"]);
    let mut text = "id,scene,images,duration\n".to_owned();
    for row in 0..40 {
        let scene = if row % 2 == 0 { "broken" } else { "squish" };
        text.push_str(&format!("row{row},{scene},https://example.com/{row}.jpg,5\n"));
    }
    let manifest = world.write("m.csv", text);
    let ran = world.run(&[manifest.to_str().unwrap()]).exits(4);
    assert_eq!(world.tasks().iter().filter(|task| task["scene"] == "broken").count(), 2, "{}", ran.out);
    assert!(ran.out.contains("scene broken was paused: its first 2 rows failed"), "{}", ran.out);
    assert!(ran.out.contains("18 rows not sent, about USD 5.04 not spent"), "{}", ran.out);
    assert_eq!(world.status()["done"], 20);
    let all = world.run(&[manifest.to_str().unwrap(), "--canary", "0", "--max-failures", "off"]).exits(3);
    assert_eq!(world.tasks().len(), 40, "{}", all.out);
}

#[test]
fn a_smaller_parallel_limit_is_learned_and_told() {
    let world = World::new(&["--in-flight", "2", "--task-time", "200ms..300ms"]);
    let manifest = world.manifest("m.csv", 12);
    let ran = world.run(&[manifest.to_str().unwrap(), "--canary", "0"]).exits(0);
    assert!(
        ran.err.contains("of 8 parallel generations from now on: the account does not allow more now"),
        "{}",
        ran.err
    );
    // Once it is learned, no more are refused.
    let refused = world.stats()["refused_parallel"].as_u64().unwrap();
    assert!((1..=8).contains(&refused), "{refused}");
    world.paid_once(12);
}

#[test]
fn keys_of_accounts_are_in_no_file() {
    let home = World::new(&[]);
    accounts(&home, &[("sound", &home, SOUND)]);
    let manifest = home.manifest("m.csv", 2);
    run(&home, &[manifest.to_str().unwrap()]).exits(0);
    for file in crate::support::files(home.folder.path()) {
        let bytes = fs::read(home.path(&file)).unwrap();
        assert!(!bytes.windows(KEY.len()).any(|window| window == KEY.as_bytes()), "{file}");
    }
}

#[test]
fn a_refused_first_row_does_not_end_the_night_however_slow_the_pace() {
    let world = World::new(&["--fault", "reject=1.0", "--task-time", "20ms"]);
    let manifest = world.manifest("m.csv", 3);
    let args = world.kling(&[manifest.to_str().unwrap(), "--rate", "60/min", "--max-failures", "off"]);
    let ran = world.nightreel(&args).exits(3);
    assert_eq!(world.status()["failed"], 3, "{}", ran.out);
}

#[test]
fn what_waits_at_an_account_that_is_not_at_work_keeps_no_scene_shut() {
    let (home, other) = (World::new(&["--task-time", "1h"]), World::new(&[]));
    accounts(&home, &[("slow", &home, SOUND), ("other", &other, SOUND)]);
    let manifest = home.manifest("m.csv", 8);
    let manifest = manifest.to_str().unwrap();
    let first = home.command(&[&["run", manifest, "--account", "slow"][..], &QUICK].concat()).spawn().unwrap();
    home.until_made(2);
    crate::support::interrupt(first);
    let ran = run(&home, &[manifest, "--account", "other"]).exits(0);
    assert_eq!((home.tasks().len(), other.tasks().len()), (2, 6), "{}", ran.out);
    assert!(
        ran.out.contains("2 rows at account slow, which is not at work: nightreel collect --gateway kling"),
        "{}",
        ran.out
    );
}

#[test]
fn a_resend_that_may_pay_twice_is_counted_and_happens_once() {
    let world = World::new(&["--no-lookup", "--no-list", "--fault", "lose-answer=1.0"]);
    world.write("nightreel.toml", "[capabilities]\nfind = true\n");
    let manifest = world.manifest("m.csv", 2);
    let manifest = manifest.to_str().unwrap();
    let args = world.compatible(&[manifest, "--in-doubt", "resend", "--settle-after", "100ms", "--canary", "0"]);
    world.nightreel(&args).exits(4);
    let status = world.status();
    assert_eq!((world.tasks().len(), &status["submissions"], &status["held"]), (4, &4.into(), &2.into()), "{status}");
    // With a budget for three, the fourth is not sent.
    let world = World::new(&["--no-lookup", "--no-list", "--fault", "lose-answer=1.0"]);
    world.write("nightreel.toml", "[capabilities]\nfind = true\n");
    world.manifest("m.csv", 2);
    let args =
        [&args[..3], &["--budget", "0.90", "--gateway", "kling-compatible", "--base-url", &world.base_url], &QUICK]
            .concat()
            .into_iter()
            .map(|arg| if arg == manifest { "m.csv" } else { arg })
            .chain(["--in-doubt", "resend", "--settle-after", "100ms", "--canary", "0"])
            .collect::<Vec<_>>();
    world.nightreel(&args);
    assert!(world.tasks().len() <= 3, "{}", world.tasks().len());
}

#[test]
fn an_account_whose_key_cannot_be_read_stops_nobody_else() {
    let home = World::new(&[]);
    accounts(&home, &[("sound", &home, SOUND), ("unset", &home, "key_env = \"NOWHERE\"\n")]);
    let manifest = home.manifest("m.csv", 4);
    let ran = run(&home, &[manifest.to_str().unwrap()]).exits(0);
    assert!(ran.err.contains("account unset cannot be used"), "{}", ran.err);
    home.paid_once(4);
}

#[test]
fn an_account_of_the_same_name_elsewhere_is_not_taken_for_the_one_that_has_the_rows() {
    let (home, other) = (World::new(&["--task-time", "1h"]), World::new(&[]));
    accounts(&home, &[("a", &home, SOUND)]);
    let manifest = home.manifest("m.csv", 2);
    let manifest = manifest.to_str().unwrap();
    let first = home.command(&[&["run", manifest][..], &QUICK].concat()).spawn().unwrap();
    home.until_made(2);
    crate::support::interrupt(first);
    accounts(&home, &[("a", &other, SOUND)]);
    let refused = run(&home, &[manifest]).exits(2);
    assert!(refused.err.contains("2 rows are at account a, which was kling at http://"), "{}", refused.err);
    assert_eq!(other.tasks().len(), 0);
}

#[test]
fn a_start_that_comes_to_nothing_leaves_no_ledger_behind() {
    let world = World::new(&[]);
    let manifest = world.manifest("m.csv", 1);
    world.nightreel(&["run", manifest.to_str().unwrap()]).exits(2);
    assert!(!world.path("state").exists());
}
