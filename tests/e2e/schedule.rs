//! The hours of a run, the texts that cron and systemd are given, and runs that overlap.

use std::fs;
use std::io::{BufRead, BufReader};
use std::os::unix::fs::PermissionsExt;
use std::process::{Command, Output, Stdio};

use jiff::tz::TimeZone;
use jiff::{Span, Timestamp};
use serde_json::Value;

use crate::support::{KEY, Ran, World};

#[test]
fn a_night_that_is_too_short_sends_nothing_and_the_same_command_goes_on() {
    let world = World::new(&[]);
    let manifest = world.manifest("m.csv", 4);
    // Nothing is known of how long tasks take: half a minute is not believed to be enough for one.
    let ran = world.run(&[manifest.to_str().unwrap(), "--max-runtime", "30s", "--json"]).exits(5);
    let told = ran.json();
    assert_eq!((&told["ended"], &told["planned"], &told["exit_code"]), (&"time is up".into(), &4.into(), &5.into()));
    assert!(told["next"][0].as_str().unwrap().contains("in the next night"), "{told}");
    assert!(ran.err.contains("too late to send more"), "{}", ran.err);
    assert_eq!(world.tasks().len(), 0);
    world.run(&[manifest.to_str().unwrap(), "--max-runtime", "8h"]).exits(0);
    world.paid_once(4);
}

#[test]
fn what_is_paid_when_the_time_is_up_is_left_for_collect() {
    let mut world = World::new(&["--world", "tasks.jsonl"]);
    let quick = world.manifest("quick.csv", 6);
    world.run(&[quick.to_str().unwrap()]).exits(0);
    // Tasks were quick so far; from now on they are not.
    world.replace(&["--world", "tasks.jsonl", "--task-time", "3s..3s"]);
    let mut text = "id,scene,images,duration\n".to_owned();
    (0..4).for_each(|row| text.push_str(&format!("late{row},squish,https://example.com/late/{row}.jpg,5\n")));
    let late = world.write("late.csv", text);
    let ran = world.run(&[late.to_str().unwrap(), "--canary", "0", "--max-runtime", "2s"]).exits(5);
    assert!(ran.out.contains("nightreel collect"), "{}", ran.out);
    assert!(ran.err.contains("the time is up: 0 rows are left to send, 4 to collect"), "{}", ran.err);
    world.nightreel(&["collect", "--min-poll", "50ms"]).exits(0);
    world.paid_once(10);
}

#[test]
fn before_its_window_a_run_waits_and_ends_in_order_when_it_is_told_to() {
    let world = World::new(&[]);
    let manifest = world.manifest("m.csv", 2);
    let hour = |hours: i64| {
        let then = Timestamp::now().checked_add(Span::new().hours(hours)).unwrap();
        then.to_zoned_datetime(TimeZone::UTC).strftime("%H:%M").to_string()
    };
    let (opens, closes) = (hour(2), hour(8));
    let window = format!("{opens}-{closes}");
    let args = world.kling(&[manifest.to_str().unwrap(), "--window", &window]);
    let mut run = world.command(&args).env("TZ", "UTC").spawn().unwrap();
    let mut said = BufReader::new(run.stderr.take().unwrap()).lines().map(Result::unwrap);
    let waits = said.find(|line| line.contains("nothing is sent before")).unwrap();
    assert!(waits.contains(&opens), "{waits}");
    let ended = Command::new("kill").args(["-TERM", &run.id().to_string()]).status().unwrap();
    assert!(ended.success());
    assert_eq!(run.wait().unwrap().code(), Some(5));
    assert_eq!(world.tasks().len(), 0);
}

/// The five fields of a crontab's line, and what cron would give the shell.
fn crontab(line: &str) -> (Vec<&str>, String) {
    let mut rest = line.trim_end_matches('\n');
    assert!(!rest.contains('\n'), "a crontab's line is one line: {line}");
    let mut fields = Vec::new();
    for _ in 0..5 {
        let (field, after) = rest.split_once(' ').unwrap();
        fields.push(field);
        rest = after;
    }
    let mut command = String::new();
    let mut chars = rest.chars().peekable();
    while let Some(c) = chars.next() {
        assert_ne!(c, '%', "cron ends the command at a bare %: {line}");
        let escaped = c == '\\' && chars.next_if_eq(&'%').is_some();
        command.push(if escaped { '%' } else { c });
    }
    (fields, command)
}

/// The words of a unit's command, as systemd reads them.
fn words(command: &str) -> Vec<String> {
    let mut words: Vec<String> = Vec::new();
    let (mut word, mut quoted, mut chars) = (None::<String>, false, command.chars());
    while let Some(c) = chars.next() {
        let c = match c {
            '"' => {
                quoted = !quoted;
                word.get_or_insert_default();
                continue;
            }
            ' ' if !quoted => {
                words.extend(word.take());
                continue;
            }
            '\\' => chars.next().unwrap(),
            '%' | '$' => {
                assert_eq!(chars.next(), Some(c), "systemd expands it: {command}");
                c
            }
            other => other,
        };
        word.get_or_insert_default().push(c);
    }
    words.extend(word);
    words
}

/// A world with a manifest whose name tries every quote, and what `schedule` says of it.
fn scheduled(task_time: &str, more: &[&str]) -> (World, Value) {
    let world = World::new(&["--task-time", task_time]);
    let name = "50% of $HOME's \"best\" night.csv";
    fs::rename(world.manifest("m.csv", 3), world.path(name)).unwrap();
    let mut args = world.kling(&[name, "--max-failures", "40%"]);
    args[0] = "schedule";
    args.extend(more);
    args.push("--json");
    let told = world.nightreel(&args).exits(0).json();
    assert_eq!(told["variables"], serde_json::json!(["NIGHTREEL_API_KEY"]));
    let file = world.write("nightreel.env", format!("NIGHTREEL_API_KEY={KEY}\n"));
    fs::set_permissions(&file, fs::Permissions::from_mode(0o600)).unwrap();
    let environment_file = told["environment_file"].as_str().unwrap();
    assert_eq!(fs::canonicalize(environment_file).unwrap(), fs::canonicalize(file).unwrap());
    (world, told)
}

/// What cron would run: a shell with next to no environment, elsewhere.
fn cron(told: &Value) -> Command {
    let (_, command) = crontab(told["crontab"].as_str().unwrap());
    let mut shell = Command::new("/bin/sh");
    shell.args(["-c", &command]).current_dir("/").env_clear().env("PATH", "/usr/bin:/bin");
    shell.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
    shell
}

#[test]
fn the_crontab_line_runs_the_manifest_from_anywhere_and_starts_that_overlap_do_no_harm() {
    let (world, told) = scheduled("2s..2s", &["--at", "23:05", "--every", "weekdays"]);
    let (fields, _) = crontab(told["crontab"].as_str().unwrap());
    assert_eq!(fields, ["5", "23", "*", "*", "1,2,3,4,5"]);
    let first = cron(&told).spawn().unwrap();
    world.until_made(2);
    let lock = fs::read_to_string(world.path("state/nightreel.db.lock")).unwrap();
    let (pid, since) = lock.trim().split_once(' ').unwrap();
    let since: Timestamp = since.parse().unwrap();
    let others: Vec<_> = (0..2).map(|_| cron(&told).spawn().unwrap()).collect();
    for other in others {
        let ran: Ran = other.wait_with_output().unwrap().into();
        assert!(ran.out.contains("exit code 6"), "cron mails nothing: {}{}", ran.out, ran.err);
    }
    let log = fs::read_to_string(world.path("nightreel.log")).unwrap();
    let held = format!("another run holds the ledger (process {pid}, since {since:.0})");
    assert_eq!(log.matches(&held).count(), 2, "{held}\n{log}");
    let ended: Output = first.wait_with_output().unwrap();
    assert!(ended.status.success() && ended.stdout.is_empty(), "{ended:?}");
    world.paid_once(3);
    let ran: Ran = cron(&told).output().unwrap().into();
    assert_eq!((ran.code, ran.out.as_str()), (Some(0), ""));
    world.paid_once(3);
}

#[test]
fn the_units_run_the_same_and_systemd_takes_them() {
    let (world, told) = scheduled("40ms..120ms", &["--window", "22:30-06:00", "--every", "mon,thu"]);
    let text = |key: &str| told[key].as_str().unwrap();
    let (fields, _) = crontab(text("crontab"));
    assert_eq!(fields, ["30", "22", "*", "*", "1,4"]);
    let value = |unit: &str, name: &str| {
        let lines: Vec<&str> = unit.lines().filter_map(|line| line.strip_prefix(name)?.strip_prefix('=')).collect();
        assert_eq!(lines.len(), 1, "{name}: {unit}");
        lines[0].to_owned()
    };
    let (service, timer) = (text("service"), text("timer"));
    assert_eq!(value(service, "SuccessExitStatus"), "3 4 5 11");
    assert_eq!((value(service, "Restart"), value(service, "TimeoutStopSec")), ("no".into(), "20".into()));
    assert_eq!(value(timer, "OnCalendar"), "Mon,Thu *-*-* 22:30:00");
    assert_eq!(value(timer, "Persistent"), "true");
    for unit in ["service", "timer"] {
        world.write(text(&format!("{unit}_name")), text(unit));
    }
    let judged = Command::new("systemd-analyze")
        .args(["--user", "--man=no", "verify", text("service_name"), text("timer_name")])
        .current_dir(&world.folder)
        .env("XDG_RUNTIME_DIR", world.folder.path())
        .output()
        .expect("systemd-analyze judges the units: apt-get install -y systemd");
    let said = String::from_utf8_lossy(&judged.stderr);
    let ours: Vec<&str> = said.lines().filter(|line| line.contains("nightreel-")).collect();
    assert!(ours.is_empty(), "{said}");
    let command = words(&value(service, "ExecStart"));
    assert!(command.iter().take(3).skip(2).all(|manifest| fs::exists(manifest).unwrap()), "{command:?}");
    let outside = command.iter().position(|word| word == "--window").unwrap();
    let mut run = Command::new(&command[0]);
    run.args(&command[1..outside]).args(&command[outside + 2..]).current_dir("/").env_clear();
    let ran: Ran = run.env("NIGHTREEL_API_KEY", KEY).args(["--out"]).arg(world.path("videos")).output().unwrap().into();
    ran.exits(0);
    world.paid_once(3);
}

#[test]
fn what_no_schedule_can_hold_is_refused() {
    let world = World::new(&[]);
    world.manifest("m.csv", 1);
    for (args, told) in [
        (&["schedule"][..], "which manifest"),
        (&["schedule", "absent.csv"], "no such manifest"),
        (&["schedule", "m.csv", "--at", "dusk"], "a time of day such as 22:00"),
        (&["schedule", "m.csv", "--every", "noon"], "weekdays"),
        (&["schedule", "m.csv", "--until", "late"], "06:00"),
        (&["schedule", "m.csv", "--batch", "a\\b"], "no crontab"),
    ] {
        let refused = world.nightreel(args).exits(2);
        assert!(refused.err.contains(told), "{args:?}: {}", refused.err);
    }
}
