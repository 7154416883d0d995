//! A folder of its own for each test, a simulator, and the judge: what the remote made against what lies on the disk.

use std::collections::{BTreeMap, HashMap};
use std::fs;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpStream;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::time::{Duration, Instant};

use serde_json::Value;
use sha2::{Digest, Sha256};
use tempfile::TempDir;

/// A key that would be seen if it went anywhere.
pub(crate) const KEY: &str = "sk-recognisable-5eed5eed";

/// The same of a pair of keys, and of an account's token.
pub(crate) const ACCESS_KEY: &str = "ak-recognisable-5eed5eed";
pub(crate) const SECRET_KEY: &str = "secret-recognisable-5eed5eed";
pub(crate) const ACCOUNT_TOKEN: &str = "at-recognisable-5eed5eed";

/// All that must be seen nowhere.
const SECRETS: [&str; 4] = [KEY, ACCESS_KEY, SECRET_KEY, ACCOUNT_TOKEN];

/// Variables that show who asks, and the simulator's that demand it.
pub(crate) type Shown = &'static [(&'static str, &'static str, &'static str)];

pub(crate) const A_KEY: Shown = &[("NIGHTREEL_API_KEY", "NIGHTREEL_SIMULATOR_KEY", KEY)];
pub(crate) const A_KEY_AND_A_TOKEN: Shown = &[
    ("NIGHTREEL_API_KEY", "NIGHTREEL_SIMULATOR_KEY", KEY),
    ("NIGHTREEL_ACCOUNT_TOKEN", "NIGHTREEL_SIMULATOR_ACCOUNT_TOKEN", ACCOUNT_TOKEN),
];
pub(crate) const A_PAIR: Shown = &[
    ("NIGHTREEL_ACCESS_KEY", "NIGHTREEL_SIMULATOR_ACCESS_KEY", ACCESS_KEY),
    ("NIGHTREEL_SECRET_KEY", "NIGHTREEL_SIMULATOR_SECRET_KEY", SECRET_KEY),
];

/// Flags that make a night last seconds.
pub(crate) const QUICK: [&str; 10] =
    ["--rate", "500/s", "--in-flight", "8", "--settle-after", "400ms", "--min-poll", "30ms", "--request-timeout", "3s"];

/// A place to work in, with a remote.
pub(crate) struct World {
    pub(crate) folder: TempDir,
    pub(crate) base_url: String,
    shown: Shown,
    simulator: Child,
}

/// What a command came to.
#[derive(Debug)]
pub(crate) struct Ran {
    pub(crate) code: Option<i32>,
    pub(crate) out: String,
    pub(crate) err: String,
}

impl Ran {
    #[track_caller]
    pub(crate) fn exits(self, code: i32) -> Self {
        assert_eq!(self.code, Some(code), "\n--- stdout\n{}\n--- stderr\n{}", self.out, self.err);
        self
    }

    #[track_caller]
    pub(crate) fn json(&self) -> Value {
        serde_json::from_str(&self.out).unwrap_or_else(|error| panic!("{error}\n{}\n{}", self.out, self.err))
    }
}

impl From<Output> for Ran {
    fn from(output: Output) -> Self {
        let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
        let ran = Self { code: output.status.code(), out: text(&output.stdout), err: text(&output.stderr) };
        for secret in SECRETS {
            assert!(!ran.out.contains(secret) && !ran.err.contains(secret), "a key was shown:\n{}{}", ran.out, ran.err);
        }
        ran
    }
}

impl World {
    /// A remote with tasks of 40 to 120 ms, and `flags`.
    pub(crate) fn new(flags: &[&str]) -> Self {
        Self::demanding(A_KEY, flags)
    }

    /// The same, demanding what every command in this world shows.
    pub(crate) fn demanding(shown: Shown, flags: &[&str]) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let (simulator, base_url) = simulate(folder.path(), shown, "0", flags);
        Self { folder, base_url, shown, simulator }
    }

    /// Ends the remote, and begins another one in its place. It knows what the first one wrote into its `--world`.
    pub(crate) fn replace(&mut self, flags: &[&str]) {
        self.simulator.kill().unwrap();
        self.simulator.wait().unwrap();
        let port = self.host().rsplit(':').next().unwrap().to_owned();
        let (simulator, base_url) = simulate(self.folder.path(), self.shown, &port, flags);
        assert_eq!(base_url, self.base_url);
        self.simulator = simulator;
    }

    fn host(&self) -> &str {
        self.base_url.trim_start_matches("http://").split('/').next().unwrap()
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    pub(crate) fn write(&self, name: &str, content: impl AsRef<[u8]>) -> PathBuf {
        let path = self.path(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(&path, content).unwrap();
        path
    }

    /// A manifest of `rows` rows with ids and an image URL each.
    pub(crate) fn manifest(&self, name: &str, rows: usize) -> PathBuf {
        let mut text = "id,scene,images,duration\n".to_owned();
        for row in 0..rows {
            text.push_str(&format!("row{row},squish,https://example.com/{name}/{row}.jpg,5\n"));
        }
        self.write(name, text)
    }

    /// The binary in this folder, with what shows who asks and nothing else from outside.
    pub(crate) fn command(&self, args: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_nightreel"));
        command.args(args).current_dir(&self.folder).env_clear();
        command.envs(self.secrets());
        command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
        command
    }

    /// The variables that show who asks.
    pub(crate) fn secrets(&self) -> impl Iterator<Item = (&'static str, &'static str)> {
        self.shown.iter().map(|(variable, _, secret)| (*variable, *secret))
    }

    pub(crate) fn nightreel(&self, args: &[&str]) -> Ran {
        self.command(args).output().unwrap().into()
    }

    /// The flags of a run against this remote, which can look everything up.
    pub(crate) fn kling<'a>(&'a self, more: &[&'a str]) -> Vec<&'a str> {
        self.through("kling", more)
    }

    /// The flags of a run against this remote as a gateway that can look nothing up.
    pub(crate) fn compatible<'a>(&'a self, more: &[&'a str]) -> Vec<&'a str> {
        self.through("kling-compatible", more)
    }

    /// The flags of a run against this remote as a gateway of this kind.
    pub(crate) fn through<'a>(&'a self, gateway: &'a str, more: &[&'a str]) -> Vec<&'a str> {
        let mut args = vec!["run", "--gateway", gateway, "--base-url", &self.base_url];
        args.extend(QUICK);
        // What a test says itself comes last, and so wins.
        args.extend(more);
        args
    }

    pub(crate) fn run(&self, more: &[&str]) -> Ran {
        self.nightreel(&self.kling(more))
    }

    pub(crate) fn status(&self) -> Value {
        self.nightreel(&["status", "--json"]).exits(0).json()
    }

    pub(crate) fn stats(&self) -> Value {
        self.get("/_simulator/stats")
    }

    pub(crate) fn tasks(&self) -> Vec<Value> {
        self.get("/_simulator/tasks").as_array().unwrap().clone()
    }

    /// Waits until the remote is as told. Fails when it is not within half a minute.
    #[track_caller]
    pub(crate) fn until(&self, what: &str, is_so: impl Fn(&[Value]) -> bool) {
        let begun = Instant::now();
        while !is_so(&self.tasks()) {
            assert!(begun.elapsed() < Duration::from_secs(30), "never came about: {what}");
        }
    }

    /// Waits until the remote has made `tasks` tasks.
    #[track_caller]
    pub(crate) fn until_made(&self, tasks: usize) {
        self.until("tasks are made", |made| made.len() >= tasks);
    }

    /// Waits until every task has ended well.
    #[track_caller]
    pub(crate) fn until_ended(&self) {
        self.until("tasks end", |made| made.iter().all(|task| task["video_sha256"].is_string()));
    }

    /// One request by hand: no client of the project's judges the project.
    fn get(&self, path: &str) -> Value {
        let host = self.host();
        let mut stream = TcpStream::connect(host).unwrap();
        write!(stream, "GET {path} HTTP/1.0\r\nHost: {host}\r\n\r\n").unwrap();
        let mut text = String::new();
        stream.read_to_string(&mut text).unwrap();
        serde_json::from_str(text.split_once("\r\n\r\n").unwrap().1).unwrap()
    }

    /// Every row of results.csv by its id.
    pub(crate) fn results(&self, out: &str) -> BTreeMap<String, HashMap<String, String>> {
        let mut reader = csv::Reader::from_path(self.path(out).join("results.csv")).unwrap();
        let rows = reader.deserialize().map(|row| row.unwrap());
        rows.map(|row: HashMap<String, String>| (row["id"].clone(), row)).collect()
    }

    /// The remote was paid once for each of `rows` rows, every video is the one that it made, and nothing else is there.
    #[track_caller]
    pub(crate) fn paid_once(&self, rows: usize) {
        let tasks = self.tasks();
        assert_eq!(tasks.len(), rows, "the remote was paid {} times for {rows} rows", tasks.len());
        self.every_video_is_right(rows);
        assert_eq!(self.stats()["keys_leaked"], 0);
    }

    /// `rows` rows are done, each with the video that the remote made for its task.
    #[track_caller]
    pub(crate) fn every_video_is_right(&self, rows: usize) {
        let made: HashMap<String, String> = self
            .tasks()
            .iter()
            .filter_map(|task| Some((task["task_id"].as_str()?.to_owned(), task["video_sha256"].as_str()?.to_owned())))
            .collect();
        let results = self.results("videos");
        let done: Vec<_> = results.values().filter(|row| row["state"] == "done").collect();
        assert_eq!(done.len(), rows);
        for row in done {
            let bytes = fs::read(self.path("videos").join(&row["file"])).unwrap();
            assert_eq!(sha256(&bytes), row["sha256"], "{} on the disk", row["id"]);
            assert_eq!(made[&row["task_id"]], row["sha256"], "{} at the remote", row["id"]);
        }
        let partial = files(&self.path("videos")).into_iter().filter(|file| file.contains(".part")).collect::<Vec<_>>();
        assert_eq!(partial, Vec::<String>::new());
    }

    /// No file in this world holds what shows who asks.
    #[track_caller]
    pub(crate) fn no_file_holds_a_secret(&self) {
        for file in files(self.folder.path()) {
            let bytes = fs::read(self.path(&file)).unwrap();
            for secret in SECRETS {
                let held = bytes.windows(secret.len()).any(|part| part == secret.as_bytes());
                assert!(!held, "{file} holds {secret}");
            }
        }
    }
}

/// A remote of its own process, and where it is.
fn simulate(folder: &Path, shown: Shown, port: &str, flags: &[&str]) -> (Child, String) {
    let mut simulator = Command::new(env!("CARGO_BIN_EXE_nightreel"));
    simulator.args(["simulate", "--port", port, "--task-time", "40ms..120ms", "--in-flight", "none", "--quiet"]);
    simulator.args(flags).env_clear().envs(shown.iter().map(|(_, variable, secret)| (variable, secret)));
    let mut simulator = simulator.current_dir(folder).stdout(Stdio::piped()).spawn().unwrap();
    let mut base_url = String::new();
    BufReader::new(simulator.stdout.as_mut().unwrap()).read_line(&mut base_url).unwrap();
    let base_url = base_url.trim().to_owned();
    assert!(base_url.starts_with("http://127.0.0.1:"), "{base_url}");
    (simulator, base_url)
}

impl Drop for World {
    fn drop(&mut self) {
        self.simulator.kill().unwrap();
        self.simulator.wait().unwrap();
    }
}

/// Sends a process a signal.
pub(crate) fn signal(child: &Child, name: &str) {
    let sent = Command::new("kill").args([&format!("-{name}"), &child.id().to_string()]).status().unwrap();
    assert!(sent.success());
}

/// Interrupts a run, and waits until it has ended in order.
pub(crate) fn interrupt(mut run: Child) {
    signal(&run, "INT");
    assert_eq!(run.wait().unwrap().code(), Some(5));
}

/// Every file below `folder`, relative to it.
pub(crate) fn files(folder: &Path) -> Vec<String> {
    let mut found = Vec::new();
    let mut folders = vec![folder.to_path_buf()];
    while let Some(next) = folders.pop() {
        for entry in fs::read_dir(next).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                folders.push(path);
            } else {
                found.push(path.strip_prefix(folder).unwrap().display().to_string());
            }
        }
    }
    found.sort();
    found
}

pub(crate) fn sha256(bytes: &[u8]) -> String {
    Sha256::digest(bytes).iter().map(|byte| format!("{byte:02x}")).collect()
}

/// Whether a file is source text of this project.
pub(crate) fn is_rust(name: &str) -> bool {
    Path::new(name).extension().is_some_and(|end| end == "rs")
}
