//! Processes: the remote, whatever is measured, and what the kernel says of them.

use std::fs;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpStream;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, WaitId, WaitIdOptions};
use serde_json::Value;
use tempfile::TempDir;

/// The program that is measured.
pub(crate) const NIGHTREEL: &str = env!("CARGO_BIN_EXE_nightreel");

/// What a process took.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Usage {
    pub(crate) wall: Duration,
    pub(crate) cpu: Duration,
    /// The most memory that it had at once, in KiB.
    pub(crate) peak_kib: u64,
    pub(crate) ok: bool,
}

impl Usage {
    pub(crate) fn cpu_ms_per(&self, count: usize) -> f64 {
        self.cpu.as_secs_f64() * 1e3 / count as f64
    }

    pub(crate) fn peak_mib(&self) -> f64 {
        self.peak_kib as f64 / 1024.0
    }

    pub(crate) fn per_second(&self, count: f64) -> f64 {
        count / self.wall.as_secs_f64()
    }
}

/// Runs a command to its end. What it prints goes to a file beside its folder, and is shown when it fails.
pub(crate) fn measured(command: &mut Command, log: &Path) -> Usage {
    let out = fs::File::create(log).unwrap();
    command.stdin(Stdio::null()).stdout(out.try_clone().unwrap()).stderr(out);
    let begun = Instant::now();
    let mut child = command.spawn().unwrap();
    let pid = child.id();
    let (ended, peak) = (AtomicBool::new(false), AtomicU64::new(0));
    std::thread::scope(|scope| {
        scope.spawn(|| {
            while !ended.load(Ordering::Relaxed) {
                // A process that has ended has no memory any more.
                if let Some(kib) = peak_kib(pid) {
                    peak.fetch_max(kib, Ordering::Relaxed);
                }
                std::thread::park_timeout(Duration::from_millis(5));
            }
        });
        // Waited for, and not yet gone: its times can still be read.
        let id = Pid::from_child(&child);
        rustix::process::waitid(WaitId::Pid(id), WaitIdOptions::EXITED | WaitIdOptions::NOWAIT).unwrap();
        ended.store(true, Ordering::Relaxed);
    });
    let (wall, cpu) = (begun.elapsed(), cpu(pid));
    let status = child.wait().unwrap();
    if !status.success() {
        println!("{command:?} ended with {status}:\n{}", fs::read_to_string(log).unwrap_or_default());
    }
    Usage { wall, cpu, peak_kib: peak.into_inner(), ok: status.success() }
}

fn peak_kib(pid: u32) -> Option<u64> {
    let status = fs::read_to_string(format!("/proc/{pid}/status")).ok()?;
    status.lines().find_map(|line| line.strip_prefix("VmHWM:"))?.trim().trim_end_matches(" kB").parse().ok()
}

/// The processor time of a process, and of those that it waited for.
fn cpu(pid: u32) -> Duration {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat")).unwrap();
    let fields: Vec<u64> = stat.rsplit(')').next().unwrap().split(' ').filter_map(|text| text.parse().ok()).collect();
    // After the name and the state: ppid is the first number, utime, stime, cutime and cstime the eleventh to fourteenth.
    let ticks: u64 = fields[10..14].iter().sum();
    // Linux counts them in hundredths of a second, whatever the machine.
    Duration::from_millis(ticks * 10)
}

/// A place to work in, with a remote.
pub(crate) struct Remote {
    pub(crate) folder: TempDir,
    pub(crate) base_url: String,
    child: Child,
}

impl Remote {
    /// Starts `nightreel simulate` with `flags`, in a folder of its own.
    pub(crate) fn start(flags: &[&str]) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let mut simulator = Command::new(NIGHTREEL);
        simulator.args(["simulate", "--quiet", "--port", "0"]).args(flags).env_clear();
        simulator.current_dir(&folder).stdin(Stdio::null()).stdout(Stdio::piped());
        let mut child = simulator.spawn().unwrap();
        let mut line = String::new();
        BufReader::new(child.stdout.take().unwrap()).read_line(&mut line).unwrap();
        Self { folder, base_url: line.trim().to_owned(), child }
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    pub(crate) fn host(&self) -> &str {
        self.base_url.trim_start_matches("http://").split('/').next().unwrap()
    }

    /// A manifest of `rows` rows with an image URL each.
    pub(crate) fn manifest(&self, rows: usize) -> PathBuf {
        let mut text = "id,scene,images,duration\n".to_owned();
        for row in 0..rows {
            text.push_str(&format!("row{row},squish,https://example.com/{row}.jpg,5\n"));
        }
        let path = self.path("night.csv");
        fs::write(&path, text).unwrap();
        path
    }

    /// A command of nightreel's in this folder, with a key.
    pub(crate) fn nightreel(&self, args: &[&str]) -> Command {
        // `NIGHT_NIGHTREEL` measures another one, such as that of a change before.
        let program = std::env::var_os("NIGHT_NIGHTREEL").unwrap_or_else(|| NIGHTREEL.into());
        let mut command = Command::new(program);
        command.args(args).current_dir(&self.folder).env_clear().env("NIGHTREEL_API_KEY", "sk-bench");
        command
    }

    /// `nightreel run` against this remote.
    pub(crate) fn run(&self, gateway: &str, flags: &[&str]) -> Command {
        let mut command = self.nightreel(&["run", "night.csv", "--quiet", "--gateway", gateway]);
        command.args(["--base-url", &self.base_url]).args(flags);
        command
    }

    pub(crate) fn stats(&self) -> Value {
        self.get("/_simulator/stats")
    }

    pub(crate) fn count(stats: &Value, names: &[&str]) -> u64 {
        names.iter().map(|name| stats[name].as_u64().unwrap()).sum()
    }

    /// All tasks that were made, in their order.
    pub(crate) fn tasks(&self) -> Vec<Value> {
        self.get("/_simulator/tasks").as_array().unwrap().clone()
    }

    pub(crate) fn tasks_made(&self) -> usize {
        usize::try_from(Self::count(&self.stats(), &["charged"])).unwrap()
    }

    /// A link to each video, good for a year.
    pub(crate) fn links(&self) -> Vec<String> {
        let link = |task: &Value| {
            let id = task["task_id"].as_str().unwrap();
            format!(
                "http://{}/files/{id}.mp4?Expires={}",
                self.host(),
                task["ends_at"].as_i64().unwrap() + 31_536_000_000
            )
        };
        self.tasks().iter().map(link).collect()
    }

    /// The remote's own processor time so far.
    pub(crate) fn cpu(&self) -> Duration {
        cpu(self.child.id())
    }

    fn get(&self, path: &str) -> Value {
        let mut stream = TcpStream::connect(self.host()).unwrap();
        write!(stream, "GET {path} HTTP/1.0\r\nHost: {}\r\n\r\n", self.host()).unwrap();
        let mut text = String::new();
        stream.read_to_string(&mut text).unwrap();
        serde_json::from_str(text.split_once("\r\n\r\n").unwrap().1).unwrap()
    }
}

impl Drop for Remote {
    fn drop(&mut self) {
        // One that has ended by itself needs no signal.
        drop(self.child.kill());
        drop(self.child.wait());
    }
}

/// Asks a process to end in order.
pub(crate) fn interrupt(child: &Child) {
    rustix::process::kill_process(Pid::from_child(child), Signal::TERM).unwrap();
}

/// Prints one line of a table.
pub(crate) fn line(cells: &[String]) {
    println!("| {} |", cells.join(" | "));
}

/// Prints the head of a table.
pub(crate) fn head(cells: &[&str]) {
    println!("| {} |\n|{}", cells.join(" | "), "---|".repeat(cells.len()));
}
