//! What a person types: each verb, its words and its exit code.

use std::fs;

use crate::support::World;

#[test]
fn a_code_of_the_remote_is_explained_with_what_to_do() {
    let world = World::new(&[]);
    let one = world.nightreel(&["explain", "1303"]).exits(0);
    assert!(one.out.contains("nightreel: waits") && one.out.contains("do: lower --in-flight"), "{}", one.out);
    assert_eq!(one.out.lines().count(), 3, "{}", one.out);
    let all = world.nightreel(&["explain", "--json"]).exits(0).json();
    assert!(all.as_array().unwrap().len() > 30, "{all}");
    assert!(world.nightreel(&["explain", "4711"]).exits(2).err.contains("nothing is known of"));
}

#[test]
fn a_second_run_submits_nothing_and_says_so() {
    let world = World::new(&[]);
    let manifest = world.manifest("m.csv", 5);
    let manifest = manifest.to_str().unwrap();
    let first = world.run(&[manifest, "--json"]).exits(0).json();
    assert_eq!((&first["done"], &first["submissions"], &first["submitted_now"]), (&5.into(), &5.into(), &5.into()));
    let again = world.run(&[manifest]).exits(0);
    assert!(again.out.starts_with("nothing was submitted"), "{}", again.out);
    assert_eq!(world.stats()["creations"], 5);
    let check = world.nightreel(&["check", manifest]).exits(0);
    assert!(check.out.contains("5 done, 0 changed, 0 new"), "{}", check.out);
    let quiet = world.run(&[manifest, "--quiet"]).exits(0);
    assert_eq!((quiet.out.as_str(), quiet.err.as_str()), ("", ""));
}

#[test]
fn status_has_every_count() {
    let world = World::new(&[]);
    world.run(&[world.manifest("m.csv", 2).to_str().unwrap()]).exits(0);
    let status = world.status();
    for key in ["rows", "planned", "submitting", "waiting", "ready", "done", "failed", "held", "stuck", "submissions"] {
        assert!(status[key].is_u64(), "{key}: {status}");
    }
}

#[test]
fn what_was_paid_is_collected_when_manifest_and_images_are_gone() {
    let world = World::new(&["--task-time", "400ms"]);
    let photo = fs::read(concat!(env!("CARGO_MANIFEST_DIR"), "/manifests/photos/hopper.jpg")).unwrap();
    world.write("p/a.jpg", &photo);
    let manifest = world.write("m.csv", "id,scene,images,duration\na,squish,p/a.jpg,5\nb,hug_pro,p/a.jpg|p/a.jpg,\n");
    let args = world.kling(&[manifest.to_str().unwrap()]);
    // Killed once both are accepted.
    let killed = world.command(&args).env("NIGHTREEL_KILL_AFTER_EVENT", "4").output().unwrap();
    assert_eq!(killed.status.code(), None);
    fs::remove_dir_all(world.path("p")).unwrap();
    fs::remove_file(&manifest).unwrap();
    world.nightreel(&["collect", "--settle-after", "400ms", "--min-poll", "50ms"]).exits(0);
    world.paid_once(2);
}

#[test]
fn a_rejected_manifest_still_has_what_was_paid_collected() {
    let world = World::new(&["--task-time", "300ms"]);
    let manifest = world.manifest("m.csv", 2);
    let args = world.kling(&[manifest.to_str().unwrap()]);
    let killed = world.command(&args).env("NIGHTREEL_KILL_AFTER_EVENT", "4").output().unwrap();
    assert_eq!(killed.status.code(), None);
    fs::write(&manifest, "id,scene,images,duration\nrow0,squish,,5\n").unwrap();
    world.until_ended();
    let rejected = world.nightreel(&args).exits(7);
    assert!(rejected.err.contains("line 2, images"), "{}", rejected.err);
    assert_eq!(world.status()["done"], 2);
    world.paid_once(2);
}

#[test]
fn held_rows_are_settled_by_hand() {
    let world = World::new(&["--no-lookup", "--no-list", "--fault", "lose-answer=0.4"]);
    let manifest = world.manifest("m.csv", 16);
    let args = world.compatible(&[manifest.to_str().unwrap(), "--canary", "0", "--max-failures", "off"]);
    let held = world.nightreel(&[&args[..], &["--json"]].concat()).exits(4).json();
    let rows: Vec<String> =
        held["troubles"].as_array().unwrap().iter().map(|row| row["id"].as_str().unwrap().to_owned()).collect();
    assert!(rows.len() >= 3, "{held}");
    let image = format!("https://example.com/m.csv/{}.jpg", rows[0].trim_start_matches("row"));
    let task = world.tasks().into_iter().find(|task| task["images"][0] == image.as_str()).unwrap();
    world.nightreel(&["resolve", &rows[0], "--made", task["task_id"].as_str().unwrap()]).exits(0);
    world.nightreel(&["resolve", &rows[1], "--drop"]).exits(0);
    world.nightreel(&["resolve", &rows[2], "--not-made"]).exits(0);
    world.nightreel(&["resolve", "row99", "--drop"]).exits(2);
    assert_eq!(world.tasks().len(), 16, "settling sends nothing");
    world.nightreel(&["collect", "--min-poll", "50ms"]).exits(4);
    let results = world.results("videos");
    assert_eq!((results[&rows[0]]["state"].as_str(), results[&rows[1]]["state"].as_str()), ("done", "failed"));
    assert_eq!(world.tasks().len(), 16, "collecting sends nothing");
    world.nightreel(&args).exits(4);
    assert_eq!(world.tasks().len(), 17, "the one that was not made is sent");
}

#[test]
fn failed_rows_are_tried_again_only_when_asked() {
    let world = World::new(&["--fault", "fail=0.5", "--seed", "3"]);
    let manifest = world.manifest("m.csv", 10);
    let manifest = [manifest.to_str().unwrap(), "--max-failures", "off"];
    let first = world.run(&manifest).exits(3);
    assert!(first.out.contains("Failure to pass the risk control system"), "{}", first.out);
    let failed = world.status()["failed"].as_u64().unwrap();
    assert!((1..10).contains(&failed));
    world.run(&manifest).exits(3);
    assert_eq!(world.tasks().len(), 10, "nothing is sent again by itself");
    let planned = world.nightreel(&["retry", "--all", "--json"]).exits(0).json();
    assert_eq!(planned["planned"], failed);
    assert_eq!(world.tasks().len(), 10, "retry itself sends nothing");
    let again = world.run(&manifest);
    assert!(matches!(again.code, Some(0 | 3)), "{}", again.err);
    assert_eq!(world.tasks().len() as u64, 10 + failed);
    world.nightreel(&["retry", "row99"]).exits(2);
}

#[test]
fn a_missing_video_is_fetched_again_and_not_paid_again() {
    let world = World::new(&[]);
    let manifest = world.manifest("m.csv", 4);
    world.run(&[manifest.to_str().unwrap()]).exits(0);
    world.nightreel(&["verify"]).exits(0);
    fs::remove_file(world.path("videos/squish/row1.mp4")).unwrap();
    fs::write(world.path("videos/squish/row2.mp4"), "other").unwrap();
    world.write("videos/mine.mp4", "foreign");
    let found = world.nightreel(&["verify", "--json"]).exits(3).json();
    assert_eq!(found["missing"][0], "squish/row1.mp4");
    assert_eq!(found["changed"][0], "squish/row2.mp4");
    assert_eq!(found["foreign"][0], "mine.mp4");
    world.nightreel(&["collect", "--min-poll", "50ms"]).exits(0);
    fs::remove_file(world.path("videos/squish/row2.mp4")).unwrap();
    world.nightreel(&["verify"]).exits(3);
    world.nightreel(&["collect", "--min-poll", "50ms"]).exits(0);
    world.paid_once(4);
}

#[test]
fn a_foreign_file_is_never_overwritten() {
    let world = World::new(&[]);
    let manifest = world.manifest("m.csv", 1);
    world.write("videos/squish/row0.mp4", "somebody's");
    world.run(&[manifest.to_str().unwrap()]).exits(0);
    assert_eq!(fs::read(world.path("videos/squish/row0.mp4")).unwrap(), b"somebody's");
    world.paid_once(1);
}

#[test]
fn two_runs_do_not_share_a_ledger() {
    let world = World::new(&["--task-time", "5s"]);
    let manifest = world.manifest("m.csv", 1);
    let args = world.kling(&[manifest.to_str().unwrap()]);
    let mut first = world.command(&args).spawn().unwrap();
    world.until_made(1);
    let second = world.nightreel(&args).exits(6);
    assert!(second.err.contains(&format!("process {}", first.id())), "{}", second.err);
    world.nightreel(&["status"]).exits(0);
    world.nightreel(&["check", manifest.to_str().unwrap()]).exits(0);
    first.kill().unwrap();
    first.wait().unwrap();
}

#[test]
fn a_changed_row_is_a_conflict_and_not_paid_again_unless_asked() {
    let world = World::new(&[]);
    let row = |image: &str| format!("id,scene,images,duration\nanna,squish,https://example.com/{image}.jpg,5\n");
    let manifest = world.write("m.csv", row("one"));
    let manifest = manifest.to_str().unwrap();
    world.run(&[manifest]).exits(0);
    world.write("m.csv", row("two"));
    let check = world.nightreel(&["check", manifest]).exits(0);
    assert!(
        check.out.contains("line 2: anna changed") && check.out.contains("0 done, 1 changed, 0 new"),
        "{}",
        check.out
    );
    world.run(&[manifest]).exits(4);
    assert_eq!(world.tasks().len(), 1);
    world.run(&[manifest, "--resubmit-changed"]).exits(0);
    assert_eq!(world.tasks().len(), 2);
}

#[test]
fn rows_that_were_paid_in_another_batch_are_not_paid_again_by_a_new_name() {
    let world = World::new(&[]);
    let manifest = world.manifest("m.csv", 2);
    let manifest = manifest.to_str().unwrap();
    world.run(&[manifest]).exits(0);
    let again = world.run(&[manifest, "--batch", "other", "--out", "other"]).exits(7);
    assert!(again.err.contains("--batch \"m\"") && again.err.contains("--allow-repeat"), "{}", again.err);
    assert_eq!(world.tasks().len(), 2);
    world.run(&[manifest, "--batch", "other", "--out", "other", "--allow-repeat"]).exits(0);
    assert_eq!(world.tasks().len(), 4);
}

#[test]
fn rows_taken_out_of_the_manifest_before_they_were_sent_are_not_sent() {
    let world = World::new(&["--fault", "no-balance-after=3"]);
    let manifest = world.manifest("m.csv", 6);
    let manifest = manifest.to_str().unwrap();
    world.run(&[manifest]).exits(10);
    assert_eq!(world.status()["planned"], 4);
    world.manifest("m.csv", 4);
    world.run(&[manifest]).exits(10);
    let status = world.status();
    assert_eq!((&status["rows"], &status["planned"]), (&4.into(), &2.into()), "{status}");
}

#[test]
fn an_account_without_balance_or_with_a_dead_key_is_paused_and_the_rest_collected() {
    let world = World::new(&["--fault", "no-balance-after=4"]);
    let manifest = world.manifest("m.csv", 8);
    let paused = world.run(&[manifest.to_str().unwrap()]).exits(10);
    assert!(paused.err.contains("the balance is used up"), "{}", paused.err);
    let status = world.status();
    assert_eq!((&status["done"], &status["planned"], &status["failed"]), (&3.into(), &5.into(), &0.into()));

    let world = World::new(&[]);
    let manifest = world.manifest("m.csv", 2);
    let refused = world.command(&world.kling(&[manifest.to_str().unwrap()])).env("NIGHTREEL_API_KEY", "wrong").output();
    assert_eq!(refused.unwrap().status.code(), Some(8));
    assert_eq!(world.status()["planned"], 2);
}

#[test]
fn an_output_tree_that_cannot_be_written_stops_the_run_and_loses_nothing() {
    let world = World::new(&[]);
    let manifest = world.manifest("m.csv", 3);
    let manifest = manifest.to_str().unwrap();
    world.write("videos/squish", "a file where a folder should be");
    let stopped = world.run(&[manifest]).exits(9);
    assert!(stopped.err.contains("stopped: "), "{}", stopped.err);
    fs::remove_file(world.path("videos/squish")).unwrap();
    world.run(&[manifest]).exits(0);
    world.paid_once(3);
}

#[test]
fn bad_usage_says_what_to_type() {
    let world = World::new(&[]);
    let manifest = world.manifest("m.csv", 1);
    let manifest = manifest.to_str().unwrap();
    let cases: [(&[&str], &str); 6] = [
        (&["run", manifest], "--gateway simulator"),
        (&["run", manifest, "--gateway", "kling-compatible"], "--base-url"),
        (&["run", manifest, "--gateway", "klng"], "one of"),
        (&["run", manifest, "--gateway", "simulator", "--rate", "fast"], "20/min"),
        (&["run", "nowhere.csv", "--gateway", "simulator"], "nowhere.csv"),
        (&["status", "--state", "nowhere.db"], "there is no ledger yet"),
    ];
    for (args, words) in cases {
        let ran = world.nightreel(args).exits(2);
        assert!(ran.err.contains(words), "{args:?}: {}", ran.err);
    }
    world.write("nightreel.toml", "in_fligth = 3\n");
    let ran = world.nightreel(&["status"]).exits(2);
    assert!(ran.err.contains("did you mean \"in_flight\"?"), "{}", ran.err);
}

#[test]
fn the_key_is_in_no_file() {
    let world = World::new(&["--fault", "query-401=0.1"]);
    let manifest = world.manifest("m.csv", 3);
    let ran = world.command(&world.kling(&[manifest.to_str().unwrap()])).env("RUST_LOG", "trace").output().unwrap();
    let _shown = crate::support::Ran::from(ran);
    world.no_file_holds_a_secret();
}

#[test]
fn every_verb_has_help_with_an_example() {
    let world = World::new(&[]);
    let top = world.nightreel(&["--help"]).exits(0);
    for code in 0..=11 {
        assert!(top.out.contains(&format!("\n  {code:<2} ")), "{}", top.out);
    }
    for verb in [
        "run", "check", "status", "collect", "resolve", "retry", "verify", "receipt", "rescue", "doctor", "scenes",
        "explain", "simulate",
    ] {
        assert!(top.out.contains(verb));
        let help = world.nightreel(&[verb, "--help"]).exits(0);
        assert!(help.out.contains("Example") && !help.out.contains("--key"), "{}", help.out);
    }
    let faults = world.nightreel(&["simulate", "--fault", "list"]).exits(0);
    assert!(faults.out.contains("lose-answer"), "{}", faults.out);
}

#[test]
fn logs_can_be_json_and_the_file_sets_what_flags_do_not() {
    let world = World::new(&[]);
    world.manifest("m.csv", 2);
    let file = format!(
        "gateway = \"kling\"\nbase_url = \"{}\"\nrate = \"500/s\"\nmin_poll = \"30ms\"\nlog_format = \"json\"\nout = \"made\"\n",
        world.base_url
    );
    world.write("nightreel.toml", file);
    let ran = world.command(&["run", "m.csv", "--out", "videos"]).env("RUST_LOG", "nightreel=debug").output().unwrap();
    let ran = crate::support::Ran::from(ran).exits(0);
    let logged: Vec<serde_json::Value> =
        ran.err.lines().filter(|line| line.starts_with('{')).map(|line| serde_json::from_str(line).unwrap()).collect();
    assert!(logged.iter().any(|line| line["message"] == "recorded" && line["row"].is_string()), "{}", ran.err);
    world.paid_once(2);
}

#[test]
fn a_task_past_its_deadline_is_stuck_and_collected_by_a_later_run_without_paying_again() {
    let world = World::new(&["--task-time", "3s"]);
    let manifest = world.manifest("m.csv", 2);
    let manifest = manifest.to_str().unwrap();
    let first = world.run(&[manifest, "--deadline", "500ms"]).exits(4);
    assert!(first.out.contains("stuck: row0"), "{}", first.out);
    assert_eq!(world.status()["stuck"], 2);
    world.until_ended();
    world.nightreel(&["collect", "--deadline", "500ms"]).exits(0);
    world.paid_once(2);
}

#[test]
fn what_the_remote_refuses_fails_with_its_words_and_is_not_paid() {
    let world = World::new(&["--fault", "reject"]);
    let manifest = world.manifest("m.csv", 2);
    let ran = world.run(&[manifest.to_str().unwrap()]).exits(3);
    assert!(ran.out.contains("refused (1301): Trigger the platform's content security policy"), "{}", ran.out);
    assert_eq!(world.status()["submissions"], 0);
    assert!(world.tasks().is_empty());
}

#[test]
fn two_manifests_of_one_name_are_not_taken_for_one_batch() {
    let world = World::new(&[]);
    world.manifest("a/m.csv", 2);
    world.manifest("b/m.csv", 2);
    world.run(&["a/m.csv"]).exits(0);
    let refused = world.run(&["b/m.csv"]).exits(2);
    assert!(refused.err.contains("a/m.csv") && refused.err.contains("--batch"), "{}", refused.err);
    assert_eq!(world.tasks().len(), 2);
    // One that was moved is still the same.
    fs::rename(world.path("a"), world.path("c")).unwrap();
    world.run(&["c/m.csv"]).exits(0);
    assert_eq!(world.tasks().len(), 2);
}
