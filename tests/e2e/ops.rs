//! What keeps a ledger in order over the weeks: one row's story, another machine, old batches, a new machine.

use std::fs;

use crate::support::{KEY, World, files, sha256};

#[test]
fn a_row_whose_answer_was_lost_has_its_night_told_in_plain_words() {
    let world = World::new(&["--fault", "lose-answer"]);
    world.run(&[world.manifest("m.csv", 1).to_str().unwrap()]).exits(0);
    let told = world.nightreel(&["logs", "row0"]).exits(0).out;
    let task = world.tasks()[0]["task_id"].as_str().unwrap().to_owned();
    for words in [
        "row0 of batch m: squish, 5 s; 1 request that may have been paid",
        "sent to kling at",
        "about USD 0.28",
        "the answer was lost",
        "whether it was made",
        &format!("found: task {task}; it is not paid again"),
        "made",
        "stored as squish/row0.mp4",
        "now: done: squish/row0.mp4",
    ] {
        assert!(told.contains(words), "{words}:\n{told}");
    }
    assert!(!told.contains("submit_started") && !told.contains("next:"), "{told}");
    // The same by what the remote calls it, and by what we sent.
    let external = world.tasks()[0]["external_task_id"].as_str().unwrap().to_owned();
    assert_eq!(world.nightreel(&["logs", &task]).exits(0).out, told);
    let json = world.nightreel(&["logs", &external, "--json"]).exits(0).json();
    let names: Vec<_> = json["events"].as_array().unwrap().iter().map(|event| event["event"].clone()).collect();
    assert_eq!((names[0].as_str(), names.last().unwrap().as_str()), (Some("submit_started"), Some("stored")));
    assert!(json["events"][0]["at"].is_string(), "{json}");
}

#[test]
fn a_failed_row_says_what_to_type_and_earlier_attempts_are_known_by_their_tasks() {
    let world = World::new(&["--fail-scene", "squish"]);
    let manifest = world.manifest("m.csv", 1);
    world.run(&[manifest.to_str().unwrap()]).exits(3);
    let first = world.tasks()[0]["task_id"].as_str().unwrap().to_owned();
    world.nightreel(&["retry", "row0"]).exits(0);
    world.run(&[]).exits(3);
    let told = world.nightreel(&["logs", &first]).exits(0).out;
    assert!(told.contains("another attempt was asked for") && told.contains("nightreel retry row0"), "{told}");
    assert_eq!(told.matches("the task failed").count(), 3, "{told}");
}

#[test]
fn rows_of_one_name_are_told_apart_and_a_misspelled_one_is_guessed() {
    let world = World::new(&[]);
    world.manifest("wedding.csv", 1);
    world.manifest("birthday.csv", 1);
    world.run(&["wedding.csv"]).exits(0);
    world.run(&["birthday.csv", "--out", "others"]).exits(0);
    let several = world.nightreel(&["logs", "row0"]).exits(2).err;
    assert!(several.contains("--batch wedding") && several.contains("--batch birthday"), "{several}");
    let one = world.nightreel(&["logs", "row0", "--batch", "birthday"]).exits(0).out;
    assert!(one.contains("row0 of batch birthday"), "{one}");
    for (args, meant) in [
        (&["logs", "row9"][..], "did you mean \"row0\"?"),
        (&["logs", "row0", "--batch", "weding"], "did you mean \"wedding\"?"),
        (&["status", "--batch", "birtday"], "did you mean \"birthday\"?"),
        (&["stauts"], "status"),
        (&["run", "--in-fligth", "3"], "--in-flight"),
    ] {
        let told = world.nightreel(args).exits(2).err;
        assert!(told.contains(meant), "{args:?}: {told}");
    }
}

#[test]
fn a_misspelled_row_is_guessed_among_those_that_can_be_settled_or_tried_again() {
    let world = World::new(&["--fault", "lose-answer"]);
    let manifest = world.write("m.csv", "id,scene,images,duration\nanna,squish,https://example.com/a.jpg,5\n");
    // Killed in doubt, before anybody could ask.
    let args = world.compatible(&[manifest.to_str().unwrap()]);
    let killed = world.command(&args).env("NIGHTREEL_KILL_AFTER_EVENT", "2").output().unwrap();
    assert_eq!(killed.status.code(), None);
    let told = world.nightreel(&["resolve", "ana", "--drop"]).exits(2).err;
    assert!(told.contains("did you mean \"anna\"?"), "{told}");
    let doubt = world.nightreel(&["logs", "anna"]).exits(0).out;
    assert!(doubt.contains("now: in doubt: the answer was lost") && doubt.contains("nightreel collect"), "{doubt}");
    world.nightreel(&["resolve", "anna", "--drop"]).exits(0);
    let told = world.nightreel(&["retry", "anan"]).exits(2).err;
    assert!(told.contains("did you mean \"anna\"?"), "{told}");
}

#[test]
fn a_ledger_goes_on_at_another_machine_and_nothing_is_paid_twice() {
    let world = World::new(&["--fault", "no-balance-after=3"]);
    let photo = fs::read(concat!(env!("CARGO_MANIFEST_DIR"), "/manifests/photos/hopper.jpg")).unwrap();
    world.write("here/p/a.jpg", &photo);
    let rows = "id,scene,images,duration\na,squish,https://example.com/1.jpg,5\nb,squish,https://example.com/2.jpg,5\n\
                c,hug_pro,p/a.jpg|p/a.jpg,\n";
    world.write("here/m.csv", rows);
    let old = world.path("here/videos");
    world.run(&["here/m.csv", "--out", old.to_str().unwrap(), "--state", "here/l.db", "--canary", "0"]).exits(10);
    let done = world.nightreel(&["status", "--json", "--state", "here/l.db"]).exits(0).json();
    assert_eq!((&done["done"], &done["planned"]), (&2.into(), &1.into()), "{done}");

    let told = world.nightreel(&["export", "stick.db", "--state", "here/l.db"]).exits(0).out;
    let sum = sha256(&fs::read(world.path("stick.db")).unwrap());
    assert!(told.contains("3 rows in 1 batch,") && told.contains(&sum), "{told}");
    assert!(told.contains("each of the two would pay"), "{told}");
    let before = fs::read(world.path("stick.db")).unwrap();
    let refused = world.nightreel(&["export", "stick.db", "--state", "here/l.db"]).exits(2).err;
    assert!(refused.contains("already"), "{refused}");
    assert_eq!(fs::read(world.path("stick.db")).unwrap(), before);
    world.nightreel(&["export", "-", "--state", "here/l.db"]).exits(2);

    // The other machine has neither the old folder nor its images.
    fs::rename(world.path("here"), world.path("gone")).unwrap();
    let map = format!("{}={}", old.display(), world.path("gone/videos").display());
    let told = world.nightreel(&["import", "stick.db", "--out-map", &map]).exits(0).out;
    assert!(told.contains("images of 1 row to be sent that are not on this machine"), "{told}");
    assert!(told.contains("here/p/a.jpg") && !told.contains("output trees that"), "{told}");
    assert!(world.nightreel(&["import", "stick.db"]).exits(2).err.contains("there is a ledger already, of 3 rows"));
    assert!(world.nightreel(&["verify"]).exits(0).out.contains("2 whole, 0 missing"));
    let mut world = world;
    world.replace(&["--world", "w"]);
    // What is not done is sent from its new place, and nothing else is.
    std::os::unix::fs::symlink(world.path("gone/p"), world.path("here-p")).unwrap();
    fs::create_dir(world.path("here")).unwrap();
    fs::rename(world.path("here-p"), world.path("here/p")).unwrap();
    world.run(&[]).exits(0);
    assert_eq!(world.status()["done"], 3);
    assert_eq!(world.tasks().len(), 1, "only the row that was left");
    world.no_file_holds_a_secret();
}

#[test]
fn a_ledger_is_exported_beside_a_run_and_none_is_imported_into_one() {
    let world = World::new(&["--task-time", "5s"]);
    let manifest = world.manifest("m.csv", 1);
    let args = world.kling(&[manifest.to_str().unwrap()]);
    let mut run = world.command(&args).spawn().unwrap();
    world.until_made(1);
    let told = world.nightreel(&["export", "copy.db"]).exits(0);
    assert!(told.err.contains(&format!("process {}", run.id())), "{}", told.err);
    world.nightreel(&["import", "copy.db"]).exits(6);
    let copy = world.nightreel(&["status", "--json", "--state", "copy.db"]).exits(0).json();
    assert_eq!((&copy["rows"], &copy["submissions"]), (&1.into(), &1.into()), "{copy}");
    run.kill().unwrap();
    run.wait().unwrap();
    world.write("notes.db", "not a ledger at all, but somebody's notes");
    assert!(world.nightreel(&["import", "notes.db", "--state", "x/l.db"]).exits(2).err.contains("not a ledger"));
    assert!(!world.path("x").exists());
}

#[test]
fn old_batches_are_shown_then_removed_and_paid_ones_are_not_forgotten_unasked() {
    let world = World::new(&[]);
    world.manifest("old.csv", 3);
    world.manifest("kept.csv", 2);
    world.run(&["old.csv"]).exits(0);
    world.run(&["kept.csv", "--out", "others"]).exits(0);
    let ledger = || sha256(&fs::read(world.path("state/nightreel.db")).unwrap());
    let before = ledger();
    let shown = world.nightreel(&["prune", "--older-than", "90d"]).exits(0).out;
    assert!(shown.contains("no batch has ended that long ago"), "{shown}");
    let shown = world.nightreel(&["prune", "--older-than", "0s"]).exits(0).out;
    assert_eq!(shown.matches("stays: its manifest is still there").count(), 2, "{shown}");
    fs::rename(world.path("old.csv"), world.path("moved.csv")).unwrap();
    let shown = world.nightreel(&["prune", "--older-than", "0s"]).exits(0).out;
    assert!(shown.contains("3 rows of 1 batch would go") && shown.contains("--yes"), "{shown}");
    assert_eq!(ledger(), before, "nothing is removed by looking");

    let videos = files(&world.path("videos"));
    let gone = world.nightreel(&["prune", "--older-than", "0s", "--yes"]).exits(0).out;
    assert!(gone.contains("3 rows and 12 events removed; the ledger had"), "{gone}");
    assert_eq!(files(&world.path("videos")), videos, "no video is touched");
    assert_eq!(world.status()["rows"], 2);
    // What was kept is still not paid for again; what was forgotten on purpose is.
    world.run(&["kept.csv", "--out", "others"]).exits(0);
    assert_eq!(world.stats()["creations"], 5);
    let json = world.nightreel(&["prune", "--batch", "kept", "--forget-paid", "--yes", "--json"]).exits(0).json();
    assert_eq!((&json["rows"], &json["removed"], &json["events"]), (&2.into(), &true.into(), &8.into()), "{json}");
    assert_eq!(world.status()["rows"], 0);
}

#[test]
fn a_batch_that_is_not_ended_is_never_removed() {
    let world = World::new(&["--fault", "no-balance-after=2"]);
    world.manifest("m.csv", 3);
    world.run(&["m.csv"]).exits(10);
    fs::remove_file(world.path("m.csv")).unwrap();
    let refused = world.nightreel(&["prune", "--batch", "m", "--forget-paid", "--yes"]).exits(2).err;
    assert!(refused.contains("not done or failed yet"), "{refused}");
    world.nightreel(&["prune", "--older-than", "0s", "--forget-paid", "--yes"]).exits(0);
    assert_eq!(world.status()["rows"], 3);
    assert!(world.nightreel(&["prune", "--older-than", "soon"]).exits(2).err.contains("30d or 12h"));
    world.nightreel(&["prune", "--yes"]).exits(2);
}

#[test]
fn shells_complete_scenes_and_gateways_and_every_verb_has_a_manual_page() {
    let world = World::new(&[]);
    for shell in ["bash", "zsh", "fish"] {
        let script = world.nightreel(&["completions", shell]).exits(0).out;
        for word in ["hug_pro", "kling-compatible", "lose-answer", "resolve", "--in-flight"] {
            // fish names long flags without their dashes.
            assert!(script.contains(word.trim_start_matches("--")), "{shell}: {word}");
        }
    }
    // What completes does not bind: scenes come and go.
    assert!(world.nightreel(&["scenes", "no_such_scene_yet"]).exits(2).err.contains("can be sent all the same"));
    world.nightreel(&["completions", "tcl"]).exits(2);
    // A broken configuration is in nobody's way here.
    world.write("nightreel.toml", "in_fligth = 3\n");
    world.nightreel(&["man", "man1"]).exits(0);
    let pages = files(&world.path("man1"));
    for page in ["nightreel.1", "nightreel-run.1", "nightreel-logs.1", "nightreel-man.1"] {
        assert!(pages.iter().any(|found| found == page), "{pages:?}");
    }
    let run = fs::read_to_string(world.path("man1/nightreel-run.1")).unwrap();
    assert!(run.contains("in\\-flight") && run.contains("EXTRA"), "{run}");
    assert!(!run.contains(KEY));
}

#[test]
fn init_writes_a_file_that_runs_and_holds_no_key_and_replaces_none_unasked() {
    let world = World::new(&[]);
    let key = world.path("kling.key");
    let flags = ["init", "--gateway", "kling", "--base-url", &world.base_url, "--key-file", key.to_str().unwrap()];
    let told = world.nightreel(&[&flags[..], &["--rate", "500/s", "--in-flight", "7"]].concat()).exits(0).out;
    assert!(told.contains("umask 077") && told.contains("nightreel doctor"), "{told}");
    assert!(!key.exists(), "nothing else is written");
    let text = fs::read_to_string(world.path("nightreel.toml")).unwrap();
    assert!(text.contains("\nin_flight = 7\n") && text.contains("\n#deadline = \"24h\"\n"), "{text}");
    let again = world.nightreel(&flags).exits(2).err;
    assert!(again.contains("already") && again.contains("--force"), "{again}");
    assert_eq!(fs::read_to_string(world.path("nightreel.toml")).unwrap(), text);
    world.manifest("m.csv", 1);
    fs::write(&key, KEY).unwrap();
    fs::set_permissions(&key, std::os::unix::fs::PermissionsExt::from_mode(0o600)).unwrap();
    let run = world.command(&["run", "m.csv", "--min-poll", "30ms"]).env_remove("NIGHTREEL_API_KEY").output().unwrap();
    crate::support::Ran::from(run).exits(0);
    world.paid_once(1);

    // A wrong value is told before anything is written, and a key is not taken for a path.
    let wrong = world.nightreel(&["init", "--force", "--rate", "fast"]).exits(2).err;
    assert!(wrong.contains("20/min"), "{wrong}");
    let key = world.nightreel(&["init", "--force", "--key-file", KEY]).exits(2).err;
    assert!(key.contains("never goes into"), "{key}");
    assert_eq!(fs::read_to_string(world.path("nightreel.toml")).unwrap(), text);
    // A broken file can be replaced; nobody is asked where nobody is there.
    world.write("nightreel.toml", "in_fligth = 3\n");
    world.nightreel(&["init", "--force"]).exits(0);
    world.nightreel(&["status"]).exits(0);
}
