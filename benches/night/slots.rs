//! How much of the parallel limit is used by tasks of 2 to 6 seconds, in real time.

use std::fs;

use serde_json::Value;

use super::rig::{self, Remote, measured};

const LIMIT: usize = 5;
/// Enough that what is lost while nothing is known of how long tasks take does not weigh much.
const ROWS: usize = 240;

pub(crate) fn run() {
    rig::head(&["remote", "probes", "slots used", "questions a task", "refused a task"]);
    for (name, able) in [("lists, or tells several at once", true), ("tells one at a time", false)] {
        for probe in [false, true] {
            night(name, able, probe);
        }
    }
}

fn night(name: &str, able: bool, probe: bool) {
    let remote = Remote::start(&["--task-time", "2s..6s", "--in-flight", "5"]);
    remote.manifest(ROWS);
    if !able {
        fs::write(remote.path("nightreel.toml"), "[capabilities]\nlist = false\nmany = false\n").unwrap();
    }
    let mut flags = vec!["--rate", "50/s", "--in-flight", "5", "--min-poll", "100ms", "--canary", "0"];
    flags.extend(probe.then_some("--probe"));
    let mut run = remote.run("kling", &flags);
    assert!(measured(&mut run, &remote.path("log")).ok);
    let (tasks, stats) = (remote.tasks(), remote.stats());
    let asked = Remote::count(&stats, &["status_requests", "list_requests", "task_pages"]);
    let refused = Remote::count(&stats, &["refused_parallel", "refused_rate"]);
    assert!(Remote::count(&stats, &["peak_parallel"]) <= LIMIT as u64);
    rig::line(&[
        name.to_owned(),
        if probe { "yes" } else { "no" }.to_owned(),
        format!("{:.3}", used(&tasks)),
        format!("{:.2}", asked as f64 / tasks.len() as f64),
        format!("{:.2}", refused as f64 / tasks.len() as f64),
    ]);
}

/// The share of (limit × time) with a generation running, from the first request until the last: while there was something to
/// send.
fn used(tasks: &[Value]) -> f64 {
    let number = |task: &Value, name: &str| task[name].as_i64().unwrap() as f64;
    let begin = number(&tasks[0], "created_at");
    let end = tasks.iter().map(|task| number(task, "created_at")).fold(begin, f64::max);
    let busy: f64 = tasks.iter().map(|task| number(task, "ends_at").min(end) - number(task, "created_at")).sum();
    busy / (LIMIT as f64 * (end - begin))
}
