//! What a row costs where nothing holds it back, beside the script that people write today.

use std::path::Path;
use std::process::Command;

use super::rig::{self, Remote, Usage, measured};

const ROWS: usize = 3000;
const ROUNDS: usize = 3;
const AT_ONCE: &str = "256";
const DOWNLOADS: &str = "16";

pub(crate) fn run() {
    rig::head(&["", "rows/s", "CPU a row", "peak memory", "the remote's CPU a row"]);
    let (mut ours, mut theirs) = (Vec::new(), Vec::new());
    // By turns: whatever else the machine does falls on both.
    for _ in 0..ROUNDS {
        ours.push(night("nightreel", |remote| {
            let flags = ["--rate", "1000000/s", "--in-flight", AT_ONCE, "--min-poll", "50ms", "--canary", "0"];
            let mut run = remote.run("kling", &flags);
            run.args(["--downloads", DOWNLOADS]);
            run
        }));
        let Some(python) = std::env::var_os("NIGHT_PYTHON") else { continue };
        theirs.push(night("asyncio + aiohttp", |remote| {
            let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("benches/peers/asyncio_night.py");
            let mut run = Command::new(&python);
            run.arg(script).args(["night.csv", "--base-url", &remote.base_url]).current_dir(&remote.folder);
            run.args(["--in-flight", AT_ONCE, "--downloads", DOWNLOADS, "--poll", "0.05"]);
            run
        }));
    }
    if theirs.is_empty() {
        println!("NIGHT_PYTHON names no Python with aiohttp: nothing to compare with");
        return;
    }
    let best = |usages: &[Usage]| {
        let wall = usages.iter().map(|usage| usage.wall.as_secs_f64()).fold(f64::MAX, f64::min);
        let cpu = usages.iter().map(|usage| usage.cpu.as_secs_f64()).fold(f64::MAX, f64::min);
        (wall, cpu)
    };
    let ((wall, cpu), (their_wall, their_cpu)) = (best(&ours), best(&theirs));
    println!(
        "best of {ROUNDS} each: {:.2} times the rows/s, {:.2} of the CPU a row",
        their_wall / wall,
        cpu / their_cpu
    );
}

fn night(name: &str, command: impl Fn(&Remote) -> Command) -> Usage {
    let remote = Remote::start(&["--task-time", "50ms..150ms", "--in-flight", "none", "--video-bytes", "200000"]);
    remote.manifest(ROWS);
    let usage = measured(&mut command(&remote), &remote.path("log"));
    assert!(usage.ok);
    let stats = remote.stats();
    assert_eq!(Remote::count(&stats, &["charged"]), ROWS as u64, "{name}");
    rig::line(&[
        name.to_owned(),
        format!("{:.0}", usage.per_second(ROWS as f64)),
        format!("{:.2} ms", usage.cpu_ms_per(ROWS)),
        format!("{:.1} MiB", usage.peak_mib()),
        format!("{:.2} ms", remote.cpu().as_secs_f64() * 1e3 / ROWS as f64),
    ]);
    usage
}
