//! What would spoil the night, told before it: in words, with what to do, and without the key.

use std::fs;
use std::os::unix::fs::PermissionsExt;

use serde_json::Value;

use crate::support::{KEY, Ran, World};

/// An examination of this remote as Kling.
fn doctor(world: &World, more: &[&str]) -> Ran {
    let mut args = vec!["doctor", "--gateway", "kling", "--base-url", &world.base_url];
    args.extend(more);
    world.nightreel(&args)
}

/// The line of what was looked at, and the lines of what to do below it.
#[track_caller]
fn told(ran: &Ran, what: &str) -> String {
    let mut lines = ran.out.lines().skip_while(|line| line.split_whitespace().nth(1) != Some(what));
    let first = lines.next().unwrap_or_else(|| panic!("nothing is said of {what}:\n{}", ran.out));
    let below = lines.take_while(|line| line.trim_start().starts_with("do: "));
    std::iter::once(first).chain(below).map(str::trim).collect::<Vec<_>>().join("\n")
}

#[track_caller]
fn says(ran: &Ran, what: &str, expected: &[&str]) {
    let line = told(ran, what);
    for part in expected {
        assert!(line.contains(part), "{part:?} is missing in:\n{line}\n--- all\n{}", ran.out);
    }
}

#[test]
fn all_is_well_and_nothing_is_made_sent_or_shown() {
    let world = World::new(&[]);
    let manifest = world.manifest("m.csv", 3);
    let ran = doctor(&world, &[manifest.to_str().unwrap()]).exits(0);
    says(&ran, "key", &["ok ", "24 characters", "sk-...", "NIGHTREEL_API_KEY"]);
    says(&ran, "access", &["ok "]);
    says(&ran, "balance", &["ok ", "units left"]);
    says(&ran, "night", &["ok ", "3 videos", "50 an hour take about 3 min"]);
    says(&ran, "disk", &["3 videos", "about 62 MB"]);
    assert!(ran.out.ends_with("\nno problems, no notes\n") && !ran.out.contains("BAD"), "{}", ran.out);
    let stats = world.stats();
    assert_eq!((world.tasks().len(), &stats["keys_leaked"]), (0, &Value::from(0)), "{stats}");
    assert!(!world.path("state").exists() && !world.path("videos").exists(), "something was made");
    let quiet = doctor(&world, &["--quiet"]).exits(0);
    assert_eq!((quiet.out.as_str(), quiet.err.as_str()), ("", ""));
}

#[test]
fn an_account_that_is_refused_empty_or_elsewhere_is_told_with_what_to_do() {
    let world = World::new(&["--pack", "0"]);
    let empty = doctor(&world, &[]).exits(8);
    says(&empty, "balance", &["BAD", "0 units left", "do: top the account up"]);
    let mut wrong = world.command(&["doctor", "--gateway", "kling", "--base-url", &world.base_url]);
    let wrong = Ran::from(wrong.env("NIGHTREEL_API_KEY", "sk-of-somebody-else").output().unwrap()).exits(8);
    says(&wrong, "access", &["BAD", "the key was not accepted", "do: copy the key again"]);
    let mut none = world.command(&["doctor", "--gateway", "kling", "--base-url", &world.base_url]);
    let none = Ran::from(none.env_remove("NIGHTREEL_API_KEY").output().unwrap()).exits(8);
    says(&none, "gateway", &["BAD", "needs a key", "do: export NIGHTREEL_API_KEY"]);
    // The port of nobody: bound here, and given up again.
    let port = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
    let nobody = world.nightreel(&["doctor", "--gateway", "kling", "--base-url", &format!("http://127.0.0.1:{port}")]);
    says(&nobody.exits(8), "reach", &["BAD", "refused", "do: nothing listens there"]);
    let page = World::new(&["--fault", "html-200"]);
    says(&doctor(&page, &[]).exits(8), "access", &["BAD", "no such route", "a web page", "do: look the base URL up"]);
}

#[test]
fn a_clock_that_is_off_is_a_problem_to_those_who_sign_and_a_note_to_others() {
    let world = World::new(&["--clock-offset=-5m"]);
    let key = doctor(&world, &[]).exits(0);
    says(&key, "clock", &["note", "5 min ahead of the remote's", "do: set this machine's clock", "does not depend"]);
    let mut pair = world.command(&["doctor", "--gateway", "kling", "--base-url", &world.base_url]);
    pair.env_remove("NIGHTREEL_API_KEY").env("NIGHTREEL_ACCESS_KEY", "ak-anybody").env("NIGHTREEL_SECRET_KEY", KEY);
    let pair = Ran::from(pair.output().unwrap()).exits(8);
    says(&pair, "clock", &["BAD", "5 min ahead of the remote's", "timedatectl set-ntp true", "by the remote's time"]);
    says(&pair, "key", &["access key of 10 characters, secret key of 24 characters"]);
}

#[test]
fn gateways_that_can_do_less_are_notes_and_a_rehearsal_needs_nothing() {
    for (dialect, gateway) in [("new-api", "kling-compatible"), ("fal", "fal"), ("wavespeed", "wavespeed")] {
        let world = World::new(&["--dialect", dialect]);
        let ran = world.nightreel(&["doctor", "--gateway", gateway, "--base-url", &world.base_url]).exits(0);
        says(&ran, "doubt", &["note", "held for a person", "do: in the morning"]);
        says(&ran, "balance", &["ok ", "console"]);
        let resend = ["doctor", "--gateway", gateway, "--base-url", &world.base_url, "--in-doubt", "resend"];
        says(&world.nightreel(&resend).exits(0), "doubt", &["note", "may be paid twice", "do: "]);
    }
    let world = World::new(&[]);
    let ran = world.nightreel(&["doctor", "--gateway", "simulator"]).exits(0);
    says(&ran, "gateway", &["ok ", "costs nothing"]);
    assert!(!ran.out.contains(" reach "), "{}", ran.out);
}

#[test]
fn one_unusable_account_does_not_hide_the_others() {
    let world = World::new(&[]);
    let key = world.write("key", KEY);
    fs::set_permissions(&key, fs::Permissions::from_mode(0o644)).unwrap();
    let table = |name: &str, key: &str| {
        format!("[[account]]\nname = {name:?}\ngateway = \"kling\"\nbase_url = {:?}\n{key}\n", world.base_url)
    };
    let tables = [
        table("open", "key_file = \"key\""),
        table("unset", "key_env = \"NOWHERE\""),
        table("fine", "key_env = \"NIGHTREEL_API_KEY\""),
    ];
    world.write("nightreel.toml", tables.concat());
    let ran = world.nightreel(&["doctor"]).exits(8);
    for expected in ["account open\n", "the key cannot be used: ", "mode 644", "do: chmod 600 key", "account fine\n"] {
        assert!(ran.out.contains(expected), "{expected}\n{}", ran.out);
    }
    assert!(
        ran.out.contains("the variable NOWHERE is not set") && ran.out.contains("do: export NOWHERE="),
        "{}",
        ran.out
    );
    says(&ran, "access", &["ok "]);
    assert!(ran.out.ends_with("\n2 problems, no notes\n"), "{}", ran.out);
    fs::set_permissions(&key, fs::Permissions::from_mode(0o600)).unwrap();
    world.write("nightreel.toml", [tables[0].as_str(), &tables[2]].concat());
    says(&world.nightreel(&["doctor"]).exits(0), "key", &["ok ", "24 characters", "from key"]);
    world.write("nightreel.toml", "rate = \n");
    let broken = world.nightreel(&["doctor"]).exits(2);
    says(&broken, "setting", &["BAD", "not valid TOML", "line 1"]);
    says(&broken, "state", &["ok "]);
    world.write("nightreel.toml", "");
    says(
        &world.nightreel(&["doctor"]).exits(2),
        "gateway",
        &["BAD", "which gateway?", "do: to rehearse: --gateway simulator"],
    );
}

#[test]
fn a_place_that_cannot_be_written_and_too_few_open_files_are_the_machine() {
    let world = World::new(&[]);
    world.write("file", "no folder");
    let ran = doctor(&world, &["--state", "file/n.db", "--out", "file/videos"]).exits(9);
    says(&ran, "state", &["BAD", "is a file, where a folder has to be", "--state PATH"]);
    says(&ran, "output", &["BAD", "is a file, where a folder has to be", "--out DIR"]);
    let ran = doctor(&world, &["--state", "file"]).exits(9);
    says(&ran, "ledger", &["BAD", "not a ledger", "do: name the ledger with --state PATH"]);
    let ran = world.nightreel(&["doctor", "--state", "file"]).exits(9);
    assert!(!ran.out.contains("which gateway"), "{}", ran.out);
    assert_eq!(fs::read_to_string(world.path("file")).unwrap(), "no folder");
    let limited = format!(
        "ulimit -n 60; exec {} doctor --gateway kling --base-url {}",
        env!("CARGO_BIN_EXE_nightreel"),
        world.base_url
    );
    let mut shell = std::process::Command::new("sh");
    shell.args(["-c", &limited]).current_dir(&world.folder).env_clear().env("NIGHTREEL_API_KEY", KEY);
    says(&Ran::from(shell.output().unwrap()).exits(9), "files", &["BAD", "60 files", "do: ulimit -n 1024"]);
}

#[test]
fn it_works_beside_a_run_and_counts_what_is_left() {
    let world = World::new(&["--task-time", "60s", "--in-flight", "2"]);
    let manifest = world.manifest("m.csv", 5);
    let manifest = manifest.to_str().unwrap();
    let mut run = world.command(&world.kling(&[manifest])).spawn().unwrap();
    world.until_made(2);
    let beside = doctor(&world, &[manifest]).exits(0);
    says(&beside, "lock", &["note", &format!("process {} holds the ledger since", run.id())]);
    says(&beside, "state", &["ok ", "5 videos still to come"]);
    says(&beside, "disk", &["5 videos"]);
    run.kill().unwrap();
    run.wait().unwrap();
    let after = doctor(&world, &[]).exits(0);
    assert!(!after.out.contains(" lock "), "{}", after.out);
    says(&after, "disk", &["5 videos"]);
}

#[test]
fn a_manifest_that_would_be_rejected_and_a_program_that_reads() {
    let world = World::new(&[]);
    let bad = world.write("bad.csv", "id,scene,images,duration\na,squish,https://example.com/a.jpg,5\nb,squish,,5\n");
    let found = doctor(&world, &[bad.to_str().unwrap(), "--json"]).exits(7).json();
    assert_eq!((&found["exit_code"], &found["problems"]), (&Value::from(7), &Value::from(1)), "{found}");
    let findings = found["findings"].as_array().unwrap();
    let rows = findings.iter().find(|one| one["what"] == "rows").unwrap();
    assert_eq!((rows["about"].as_str(), rows["mark"].as_str()), (Some("manifest"), Some("bad")));
    assert!(rows["words"].as_str().unwrap().ends_with("1 of 2 rows have problems"), "{rows}");
    assert!(rows["do"].as_str().unwrap().contains("nightreel check"), "{rows}");
    let account = findings.iter().find(|one| one["what"] == "access").unwrap();
    assert!(
        account["account"].as_str().unwrap().starts_with("kling at 127.0.0.1") && account["mark"] == "ok",
        "{account}"
    );
    let missing = doctor(&world, &["nowhere.csv"]).exits(7);
    says(&missing, "file", &["BAD", "nowhere.csv", "do: check the path"]);
}
