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
    assert!(ran.out.contains("6 rows of squish wait for an account that can send them"), "{}", ran.out);
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
    assert!(ran.out.contains("the budget kept 33 rows of squish back"), "{}", ran.out);
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
    assert!(ran.out.contains("18 rows were not sent, about USD 5.04 not spent"), "{}", ran.out);
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
