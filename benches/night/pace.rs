//! How much of the allowed rate is used, where nothing else stands in the way.

use super::rig::{self, Remote, measured};

pub(crate) fn run() {
    rig::head(&["allowed", "rate used", "refused", "most in a span"]);
    for (rate, rows, interval_ms, most) in
        [("20/s", 600, 50.0, "peak_per_second"), ("300/min", 310, 200.0, "peak_per_minute")]
    {
        let remote = Remote::start(&["--task-time", "50ms..150ms", "--in-flight", "none", "--rate", rate]);
        remote.manifest(rows);
        let flags = ["--rate", rate, "--in-flight", "200", "--min-poll", "100ms", "--canary", "0"];
        assert!(measured(&mut remote.run("kling", &flags), &remote.path("log")).ok);
        let (tasks, stats) = (remote.tasks(), remote.stats());
        let at = |task: &serde_json::Value| task["created_at"].as_i64().unwrap() as f64;
        let took = at(tasks.last().unwrap()) - at(&tasks[0]);
        rig::line(&[
            rate.to_owned(),
            format!("{:.3}", (tasks.len() - 1) as f64 * interval_ms / took),
            stats["refused_rate"].to_string(),
            stats[most].to_string(),
        ]);
    }
}
