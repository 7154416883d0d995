//! Logs as JSON: the names of their fields are those that README promises.

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;

use serde_json::{Map, Value};

use crate::callbacks::hook;
use crate::page::ask;
use crate::support::{Ran, World, files, is_rust};

/// The fields that README lists: of every line, and all.
fn documented() -> (BTreeSet<String>, BTreeSet<String>) {
    let readme = fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("README.md")).unwrap();
    let (_, table) =
        readme.split_once("| field | in | holds |\n|---|---|---|\n").expect("README lists the fields of logs");
    let rows = table.lines().take_while(|line| line.starts_with("| `"));
    let (mut always, mut all) = (BTreeSet::new(), BTreeSet::new());
    for row in rows {
        let cells: Vec<&str> = row.trim_matches('|').split(" | ").map(str::trim).collect();
        let name = cells[0].trim_matches('`').to_owned();
        if cells[1] == "every line" {
            always.insert(name.clone());
        }
        all.insert(name);
    }
    assert_eq!(always.len(), 4, "{always:?}");
    (always, all)
}

/// The objects that were logged: every line that begins as one is one.
fn lines(err: &str) -> Vec<Map<String, Value>> {
    let parse = |line: &str| serde_json::from_str::<Map<String, Value>>(line).unwrap_or_else(|_| panic!("{line}"));
    err.lines().filter(|line| line.starts_with('{')).map(parse).collect()
}

fn logged(world: &World, rust_log: &str, args: &[&str]) -> Ran {
    let mut args = args.to_vec();
    args.extend(["--quiet", "--log-format", "json"]);
    world.command(&args).env("RUST_LOG", rust_log).output().unwrap().into()
}

#[test]
fn every_line_of_a_night_has_the_fields_that_are_documented_and_no_others() {
    let (always, all) = documented();
    let mut seen = BTreeSet::new();
    // Lost answers, lists and questions without a usable answer, failures: whatever has something to say.
    for fault in ["lose-answer=0.4", "html-200=0.3", "fail=0.3"] {
        let world = World::new(&["--fault", fault]);
        let manifest = world.manifest("m.csv", 12);
        let run = world.kling(&[manifest.to_str().unwrap(), "--canary", "0", "--max-failures", "off"]);
        let lines = lines(&logged(&world, "nightreel=trace", &run).err);
        assert!(!lines.is_empty());
        for line in &lines {
            let names: BTreeSet<String> = line.keys().cloned().collect();
            assert!(names.is_superset(&always) && names.is_subset(&all), "{line:?}");
            assert!(line["target"].as_str().unwrap().starts_with("nightreel"), "{line:?}");
            line["timestamp"].as_str().unwrap().parse::<jiff::Timestamp>().unwrap();
            assert!(["ERROR", "WARN", "INFO", "DEBUG", "TRACE"].contains(&line["level"].as_str().unwrap()), "{line:?}");
            seen.extend(names);
        }
        // Everything that the history has was logged, in the same words.
        let told = world.nightreel(&["logs", "row0", "--json"]).exits(0).json();
        let history: Vec<&Value> = told["events"].as_array().unwrap().iter().map(|event| &event["event"]).collect();
        let of_row = |line: &&Map<String, Value>| line["message"] == "recorded" && line["row"] == "row0";
        let recorded: Vec<&Value> = lines.iter().filter(of_row).map(|line| &line["event"]).collect();
        assert_eq!(recorded, history);
        let last = lines.iter().rfind(of_row).unwrap();
        assert_eq!(last["state"], told["state"], "{told}");
    }
    for name in ["row", "job", "event", "state", "error"] {
        assert!(seen.contains(name), "no line had {name}: {seen:?}");
    }
}

#[test]
fn what_the_dashboard_says_of_a_callback_has_them_too_and_libraries_show_no_key() {
    let (always, all) = documented();
    let world = World::new(&["--task-time", "2s..2s"]);
    let manifest = world.manifest("m.csv", 1);
    let port = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
    let dashboard = format!("127.0.0.1:{port}");
    let callback = format!("http://{dashboard}/hook");
    let args = world.kling(&[
        manifest.to_str().unwrap(),
        "--dashboard",
        &dashboard,
        "--callback-url",
        &callback,
        "--quiet",
        "--log-format",
        "json",
    ]);
    let mut run = world.command(&args);
    run.env("RUST_LOG", "trace").env("NIGHTREEL_WEBHOOK_SECRET", "whsec_dGVzdHNlY3JldHRlc3RzZWNyZXR0ZXN0c2VjcmV0MTI=");
    // Into a file: a pipe that nobody reads would hold the run up.
    let run = run.stderr(fs::File::create(world.path("log")).unwrap()).spawn().unwrap();
    world.until_made(1);
    let view = ask(&dashboard, "GET", "/view", &[("Host", &dashboard)], "").json();
    let account = view["accounts"][0]["name"].as_str().unwrap();
    let path = hook(&world, account);
    assert_eq!(ask(&dashboard, "POST", &path, &[("Host", &dashboard)], "{}").status, 401);
    // `Ran` looks for keys.
    let mut ended = run.wait_with_output().unwrap();
    ended.stderr = fs::read(world.path("log")).unwrap();
    let ran: Ran = ended.into();
    let lines = lines(&ran.exits(0).err);
    let ours = |line: &&Map<String, Value>| line["target"].as_str().unwrap().starts_with("nightreel");
    assert!(lines.iter().filter(ours).all(|line| line.keys().all(|name| all.contains(name))));
    assert!(lines.iter().all(|line| always.iter().all(|name| name == "message" || line.contains_key(name))));
    let refused = lines.iter().filter(ours).find(|line| line["message"] == "a callback was refused").unwrap();
    assert_eq!(refused["account"], account);
    assert!(refused["error"].as_str().unwrap().contains("callback"), "{refused:?}");
    assert!(lines.iter().any(|line| !ours(&line)), "libraries said nothing: was the key looked for at all?");
}

#[test]
fn no_statement_logs_a_field_that_is_not_documented() {
    let (always, all) = documented();
    let source = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    let mut used = BTreeSet::new();
    for file in files(&source).iter().filter(|name| is_rust(name)) {
        let text = fs::read_to_string(source.join(file)).unwrap();
        for level in ["trace", "debug", "info", "warn", "error"] {
            for (at, found) in text.match_indices(&format!("tracing::{level}!(")) {
                // What stands before the message.
                let fields = text[at + found.len()..].split('"').next().unwrap();
                for field in fields.split(',').map(str::trim).filter(|field| !field.is_empty()) {
                    let name = field.split('=').next().unwrap().trim().trim_start_matches(['%', '?']);
                    assert!(all.contains(name), "{file}: {name} is not in README's table");
                    used.insert(name.to_owned());
                }
            }
        }
        // Spans would add fields of their own to every line within them.
        assert!(
            !["instrument(", "span!(", "log::"].iter().any(|word| text.contains(&format!("tracing::{word}"))),
            "{file}"
        );
    }
    let promised: BTreeSet<String> = all.difference(&always).cloned().collect();
    assert_eq!(used, promised, "README promises fields that nothing logs");
}
