//! The real binary, from its start: `--version`, `status`, the first request on a ledger of a million rows, and a manifest of
//! a million rows taken in. `cargo bench --bench start [-- start | resume | admit | rows [ROWS…] | pictures]`
#![expect(clippy::unwrap_used, reason = "a measurement that cannot be made fails")]
#![expect(clippy::disallowed_methods, reason = "what is measured is the machine's own time")]

mod common;

use std::fs;
use std::io::{BufRead, BufReader, Write};
use std::net::{TcpListener, TcpStream};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::mpsc::{Receiver, channel};
use std::time::{Duration, Instant};

use common::{copy, ledger, manifest, manifest_of_pictures, median, scratch, sizes, tell, timed, wanted};

const MILLION: usize = 1_000_000;

fn main() {
    if wanted("start") || wanted("resume") {
        let folder = scratch();
        let manifest_at = folder.path().join("m.csv");
        let state = folder.path().join("nightreel.db");
        ledger(&state, &manifest_at, MILLION, MILLION / 100 * 99);
        if wanted("start") {
            start(folder.path());
        }
        if wanted("resume") {
            resume(folder.path());
        }
    }
    if wanted("admit") {
        admit(MILLION);
    }
    if wanted("rows") {
        for rows in sizes(&[1_000, 10_000, 100_000]) {
            admit(rows);
        }
    }
    if wanted("pictures") {
        pictures();
    }
}

/// The program, or the one that `NIGHTREEL_BENCH_BINARY` names, in a folder, with nothing from outside.
fn nightreel(folder: &Path) -> Command {
    let other = std::env::var_os("NIGHTREEL_BENCH_BINARY");
    let mut command = Command::new(other.unwrap_or_else(|| env!("CARGO_BIN_EXE_nightreel").into()));
    command.current_dir(folder).env_clear().stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
    command
}

fn start(folder: &Path) {
    let each = |args: &[&str]| {
        let times = (0..25).map(|_| {
            let (ended, took) = timed(|| nightreel(folder).args(args).status().unwrap());
            assert!(ended.success());
            took.as_secs_f64() * 1000.0
        });
        median(times.collect())
    };
    tell(&format!("start: --version in {:.1} ms", each(&["--version"])));
    tell(&format!("start: status of 1,000,000 rows in {:.1} ms", each(&["status", "--state", "nightreel.db"])));
}

fn resume(folder: &Path) {
    let (mut times, mut most) = (Vec::new(), Vec::new());
    for _ in 0..5 {
        copy(&folder.join("nightreel.db"), "spent.db");
        let seen = until_first_request(folder, &["run", "--state", "spent.db", "--no-report"]);
        times.push(seen.took.as_secs_f64() * 1000.0);
        most.push(seen.peak);
    }
    tell(&format!(
        "resume: {:.0} ms from the start of `run` to its first request on 1,000,000 rows, {:.1} MiB at the most",
        median(times),
        median(most)
    ));
}

/// A manifest taken in for the first time, and again, until the first request leaves.
fn admit(rows: usize) {
    let folder = scratch();
    let folder = folder.path();
    manifest(&folder.join("m.csv"), rows);
    taken_in(folder, rows, "rows with URLs");
}

/// The same with pictures on the disk, which are looked at each time.
fn pictures() {
    let folder = scratch();
    let folder = folder.path();
    manifest_of_pictures(&folder.join("m.csv"), MILLION, 200);
    taken_in(folder, MILLION, "rows with 200 pictures");
}

fn taken_in(folder: &Path, rows: usize, what: &str) {
    let args = ["run", "m.csv", "--state", "nightreel.db", "--no-report"];
    let times = if rows == MILLION { 3 } else { 7 };
    for again in [false, true] {
        let (mut took, mut cpu, mut most) = (Vec::new(), Vec::new(), Vec::new());
        for _ in 0..times {
            if !again {
                for file in ["nightreel.db", "nightreel.db-wal", "nightreel.db-shm"] {
                    drop(fs::remove_file(folder.join(file)));
                }
            }
            let seen = until_first_request(folder, &args);
            took.push(seen.took.as_secs_f64());
            cpu.push(seen.cpu.as_secs_f64());
            most.push(seen.peak);
        }
        let (took, cpu, most) = (median(took), median(cpu), median(most));
        tell(&format!(
            "admit: {rows:>8} {what}, {}: {took:.2} s, {:.0} rows/s, {:.2} µs of processor a row, {most:.1} MiB at the most",
            if again { "unchanged " } else { "first time" },
            rows as f64 / took,
            cpu * 1e6 / rows as f64,
        ));
    }
}

struct Seen {
    took: Duration,
    /// Processor time until then.
    cpu: Duration,
    /// The most memory until then, in MiB.
    peak: f64,
}

/// Runs until the request of a creation comes in at a remote in this process, which does not answer it; then kills the run.
fn until_first_request(folder: &Path, args: &[&str]) -> Seen {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    let (sender, creations) = channel();
    std::thread::spawn(move || {
        for stream in listener.incoming() {
            let sender = sender.clone();
            // A run that is killed cuts its connection.
            std::thread::spawn(move || listen(stream.unwrap(), |at| sender.send(at).unwrap_or(())).unwrap_or(()));
        }
    });
    let began = Instant::now();
    let mut command = nightreel(folder);
    command.args(args).args(["--gateway", "simulator", "--base-url", &url, "--rate", "1000/s", "--in-flight", "1"]);
    let mut child = command.spawn().unwrap();
    let at = first_of(&creations, &mut child);
    let seen = Seen { took: at.duration_since(began), cpu: cpu_of(&child), peak: peak_of(&child) };
    child.kill().unwrap();
    child.wait().unwrap();
    seen
}

fn first_of(creations: &Receiver<Instant>, child: &mut Child) -> Instant {
    loop {
        if let Ok(at) = creations.recv_timeout(Duration::from_millis(100)) {
            return at;
        }
        let ended = child.try_wait().unwrap();
        assert!(ended.is_none(), "the run ended with {ended:?} before it sent anything");
    }
}

/// Notes each creation; says of everything else that it is not known.
fn listen(stream: TcpStream, mut created: impl FnMut(Instant)) -> std::io::Result<()> {
    let mut answers = stream.try_clone()?;
    let mut lines = BufReader::new(stream).lines();
    loop {
        let Some(request) = lines.next().transpose()? else { return Ok(()) };
        if request.starts_with("POST ") {
            created(Instant::now());
            // No answer: the run waits for it until it is killed.
            std::thread::sleep(Duration::from_secs(60));
        }
        while lines.next().transpose()?.is_some_and(|line| !line.is_empty()) {}
        let body = r#"{"code":1201,"message":"not found","request_id":"b"}"#;
        write!(
            answers,
            "HTTP/1.1 404 Not Found\r\ncontent-type: application/json\r\ncontent-length: {}\r\n\r\n{body}",
            body.len()
        )?;
    }
}

/// `VmHWM` of a process that lives, in MiB.
fn peak_of(child: &Child) -> f64 {
    let status = fs::read_to_string(format!("/proc/{}/status", child.id())).unwrap();
    let line = status.lines().find(|line| line.starts_with("VmHWM:")).unwrap();
    line.split_whitespace().nth(1).unwrap().parse::<f64>().unwrap() / 1024.0
}

/// Processor time of a process that lives. The system counts it in hundredths of a second.
fn cpu_of(child: &Child) -> Duration {
    let stat = fs::read_to_string(format!("/proc/{}/stat", child.id())).unwrap();
    let after_name = stat.rsplit_once(") ").unwrap().1;
    let ticks: u64 = after_name.split(' ').skip(11).take(2).map(|ticks| ticks.parse::<u64>().unwrap()).sum();
    Duration::from_millis(ticks * 10)
}
