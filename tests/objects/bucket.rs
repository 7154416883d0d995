//! A server that speaks S3, and a proxy before it that fails now and then.

use std::collections::BTreeMap;
use std::fs;
use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::mpsc::{Receiver, channel};
use std::time::{Duration, Instant};

use tempfile::TempDir;

use crate::support::{Ran, World, files, sha256};

/// Credentials that would be seen if they went anywhere.
const ID: &str = "AKIARECOGNISABLE5EED";
pub(crate) const SECRET: &str = "object-recognisable-5eed5eed";
/// What all videos of these tests lie under.
pub(crate) const OUT: &str = "s3://videos/wedding";
/// One of so many requests fails.
const FAILS: usize = 20;

/// A world with a bucket `videos`.
pub(crate) struct Bucket {
    pub(crate) world: World,
    root: TempDir,
    server: Child,
    port: u16,
}

impl Bucket {
    pub(crate) fn new(flags: &[&str]) -> Self {
        let root = tempfile::tempdir().unwrap();
        fs::create_dir(root.path().join("videos")).unwrap();
        let port = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
        let server = Command::new(program())
            .args(["--host", "127.0.0.1", "--port", &port.to_string(), "--access-key", ID, "--secret-key", SECRET])
            .arg(root.path())
            .env_clear()
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        let begun = Instant::now();
        while TcpStream::connect(("127.0.0.1", port)).is_err() {
            assert!(begun.elapsed() < Duration::from_secs(30), "s3s-fs does not answer");
        }
        Self { world: World::new(flags), root, server, port }
    }

    /// A command with the right credentials, against the server itself.
    pub(crate) fn command(&self, args: &[&str]) -> Command {
        self.command_at(self.port, SECRET, args)
    }

    pub(crate) fn command_at(&self, port: u16, secret: &str, args: &[&str]) -> Command {
        let mut command = self.world.command(args);
        command.envs([
            ("AWS_ENDPOINT_URL", format!("http://127.0.0.1:{port}").as_str()),
            ("AWS_ALLOW_HTTP", "true"),
            ("AWS_REGION", "eu-central-1"),
            ("AWS_ACCESS_KEY_ID", ID),
            ("AWS_SECRET_ACCESS_KEY", secret),
        ]);
        command
    }

    pub(crate) fn with_wrong_credentials(&self, args: &[&str]) -> Ran {
        ran(&mut self.command_at(self.port, "another-secret", args))
    }

    pub(crate) fn nightreel(&self, args: &[&str]) -> Ran {
        ran(&mut self.command(args))
    }

    /// The arguments of a run of this manifest into the bucket.
    pub(crate) fn run<'a>(&'a self, more: &[&'a str]) -> Vec<&'a str> {
        let mut args = self.world.kling(&["--out", OUT]);
        args.extend(more);
        args
    }

    /// Where an object is on the server's disk.
    pub(crate) fn object(&self, name: &str) -> PathBuf {
        self.at("wedding").join(name)
    }

    /// The same of one that does not lie among the videos.
    pub(crate) fn at(&self, name: &str) -> PathBuf {
        self.root.path().join("videos").join(name)
    }

    /// Every object in the bucket.
    pub(crate) fn objects(&self) -> Vec<String> {
        files(&self.root.path().join("videos"))
    }

    /// What the server keeps of uploads that were begun and neither completed nor given up.
    pub(crate) fn begun(&self) -> Vec<String> {
        files(self.root.path()).into_iter().filter(|file| file.contains("upload")).collect()
    }

    pub(crate) fn take_bucket_away(&self) {
        fs::rename(self.root.path().join("videos"), self.root.path().join("elsewhere")).unwrap();
    }

    pub(crate) fn bring_bucket_back(&self) {
        fs::rename(self.root.path().join("elsewhere"), self.root.path().join("videos")).unwrap();
    }

    /// The remote was paid once for each of `rows` rows; in the bucket is the video that it made for each, under `results.csv`
    /// and the report, and nothing else, begun or whole; the spool is empty, and no file holds a secret.
    #[track_caller]
    pub(crate) fn has_every_video_once(&self, rows: usize) {
        self.has_every_video(rows);
        assert_eq!(self.begun(), Vec::<String>::new());
    }

    /// The same, but for what was begun.
    #[track_caller]
    pub(crate) fn has_every_video(&self, rows: usize) {
        let tasks = self.world.tasks();
        assert_eq!(tasks.len(), rows, "the remote was paid {} times for {rows} rows", tasks.len());
        let made: BTreeMap<&str, &str> = tasks
            .iter()
            .map(|task| (task["task_id"].as_str().unwrap(), task["video_sha256"].as_str().unwrap()))
            .collect();
        let mut reader = csv::Reader::from_path(self.object("results.csv")).unwrap();
        let results: Vec<BTreeMap<String, String>> = reader.deserialize().map(|row| row.unwrap()).collect();
        let mut expected: Vec<String> = ["data.js", "index.html", "results.csv", "results.json"]
            .map(|name| format!("wedding/report/{name}"))
            .into_iter()
            .chain(["wedding/results.csv".to_owned()])
            .chain(results.iter().map(|row| format!("wedding/{}", row["file"])))
            .collect();
        expected.sort();
        assert_eq!(self.objects(), expected);
        let mut there: BTreeMap<&str, String> = BTreeMap::new();
        for row in &results {
            assert_eq!(row["state"], "done", "{row:?}");
            let found = sha256(&fs::read(self.object(&row["file"])).unwrap());
            assert_eq!(found, row["sha256"], "{}", row["file"]);
            assert_eq!(made.get(row["task_id"].as_str()), Some(&found.as_str()), "{} at the remote", row["id"]);
            there.insert(&row["task_id"], found);
        }
        assert_eq!(there.len(), rows, "a row is missing");
        let state = self.world.path("state");
        let left = if state.exists() { files(&state) } else { Vec::new() };
        let spooled: Vec<String> = left.into_iter().filter(|file| file.contains(".spool/")).collect();
        assert_eq!(spooled, Vec::<String>::new());
        self.no_file_holds_a_secret();
    }

    /// No file in this world holds what shows who asks, at the remote or at the store; a signed link holds the id of a key.
    #[track_caller]
    pub(crate) fn no_file_holds_a_secret(&self) {
        self.world.no_file_holds_a_secret();
        for file in files(self.world.folder.path()) {
            let bytes = fs::read(self.world.path(&file)).unwrap();
            let held = [ID, SECRET, "X-Amz-"]
                .iter()
                .any(|secret| bytes.windows(secret.len()).any(|part| part == secret.as_bytes()));
            assert!(!held, "{file} holds the store's credentials, or a signed link");
        }
    }

    /// A proxy before the server: one request of twenty fails, in each of five ways in turn, before and after it was passed on.
    /// Says on which port, and counts what failed.
    pub(crate) fn faulty(&self) -> (u16, Arc<AtomicUsize>) {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let (port, server) = (listener.local_addr().unwrap().port(), self.port);
        let failed = Arc::new(AtomicUsize::new(0));
        let (seen, counted) = (AtomicUsize::new(0), Arc::clone(&failed));
        std::thread::spawn(move || {
            for visitor in listener.incoming() {
                let Ok(visitor) = visitor else { return };
                let number = seen.fetch_add(1, Ordering::SeqCst);
                let fault = (number % FAILS == FAILS - 1).then(|| counted.fetch_add(1, Ordering::SeqCst));
                let fate = fault.map_or(Fate::Answered, |number| FAULTS[number % FAULTS.len()]);
                std::thread::spawn(move || drop(pass_on(visitor, server, |_, _| fate)));
            }
        });
        (port, failed)
    }

    /// A proxy that loses the first answer to a request of this kind, whose first line is told in small letters; and counts them.
    pub(crate) fn losing_an_answer(&self, is_it: fn(&str) -> bool) -> (u16, Arc<AtomicUsize>) {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let (port, server) = (listener.local_addr().unwrap().port(), self.port);
        let seen = Arc::new(AtomicUsize::new(0));
        let counted = Arc::clone(&seen);
        std::thread::spawn(move || {
            for visitor in listener.incoming() {
                let (Ok(visitor), counted) = (visitor, Arc::clone(&counted)) else { return };
                let fate = move |head: &str, answered| {
                    let is_first =
                        answered && is_it(head.lines().next().unwrap()) && counted.fetch_add(1, Ordering::SeqCst) == 0;
                    if is_first { Fate::AnswerLost } else { Fate::Answered }
                };
                std::thread::spawn(move || drop(pass_on(visitor, server, fate)));
            }
        });
        (port, seen)
    }

    /// A proxy at which nobody gets anything by a signed link.
    pub(crate) fn refusing_links(&self) -> u16 {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let (port, server) = (listener.local_addr().unwrap().port(), self.port);
        let fate = |head: &str, _| {
            if head.contains("x-amz-signature=") { Fate::Refused("403 Forbidden") } else { Fate::Answered }
        };
        std::thread::spawn(move || {
            for visitor in listener.incoming() {
                let Ok(visitor) = visitor else { return };
                std::thread::spawn(move || drop(pass_on(visitor, server, fate)));
            }
        });
        port
    }

    /// A proxy that holds back the answer to what makes a video appear, and says when it has appeared.
    pub(crate) fn holding_answers(&self) -> (u16, Receiver<()>) {
        self.holding_answers_to(self.object("squish/row0.mp4"))
    }

    /// The same of what makes this object appear.
    pub(crate) fn holding_answers_to(&self, video: PathBuf) -> (u16, Receiver<()>) {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let (port, server) = (listener.local_addr().unwrap().port(), self.port);
        let (appeared, waiting) = channel();
        std::thread::spawn(move || {
            for visitor in listener.incoming() {
                let (Ok(visitor), appeared, video) = (visitor, appeared.clone(), video.clone()) else { return };
                std::thread::spawn(move || {
                    let held = visitor.try_clone();
                    let mut last = false;
                    let passed = pass_on(visitor, server, |_, _| {
                        last = video.exists();
                        if last { Fate::AnswerLost } else { Fate::Answered }
                    });
                    if last && passed.is_ok() && appeared.send(()).is_ok() {
                        // The connection stays open: its other end is to be killed while it waits.
                        std::thread::park();
                    }
                    drop(held);
                });
            }
        });
        (port, waiting)
    }
}

impl Drop for Bucket {
    fn drop(&mut self) {
        self.server.kill().unwrap();
        self.server.wait().unwrap();
    }
}

/// What becomes of a request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Fate {
    Answered,
    /// It never gets to the server, which is said to be busy, or broken.
    Refused(&'static str),
    /// It never gets to the server: the connection is cut.
    Cut,
    /// It has its effect, and nobody is told.
    AnswerLost,
    /// It has its effect, and half of the answer comes.
    AnswerCut,
}

/// All ways to fail.
const FAULTS: [Fate; 5] = [
    Fate::Refused("503 Slow Down"),
    Fate::AnswerLost,
    Fate::Cut,
    Fate::AnswerCut,
    Fate::Refused("500 Internal Server Error"),
];

/// One request, and a connection for each. Its fate is asked for, by its head in small letters, before it is passed on, and again
/// when it was answered.
fn pass_on(mut visitor: TcpStream, server: u16, mut fate: impl FnMut(&str, bool) -> Fate) -> std::io::Result<()> {
    let mut head = Vec::new();
    let mut byte = [0];
    while !head.ends_with(b"\r\n\r\n") {
        if visitor.read(&mut byte)? == 0 {
            return Ok(());
        }
        head.push(byte[0]);
    }
    let text = String::from_utf8_lossy(&head).to_ascii_lowercase();
    let length = text.lines().find_map(|line| line.strip_prefix("content-length:")?.trim().parse::<u64>().ok());
    let mut body = Vec::new();
    visitor.try_clone()?.take(length.unwrap_or(0)).read_to_end(&mut body)?;
    match fate(&text, false) {
        Fate::Refused(status) => {
            let words = "<Error><Code>SlowDown</Code></Error>";
            let length = words.len();
            write!(visitor, "HTTP/1.1 {status}\r\ncontent-length: {length}\r\nconnection: close\r\n\r\n{words}")?;
            return Ok(());
        }
        Fate::Cut => return Ok(()),
        Fate::Answered | Fate::AnswerLost | Fate::AnswerCut => {}
    }
    let mut upstream = TcpStream::connect(("127.0.0.1", server))?;
    head.truncate(head.len() - 2);
    head.extend(b"connection: close\r\n\r\n");
    upstream.write_all(&head)?;
    upstream.write_all(&body)?;
    let mut answer = Vec::new();
    upstream.read_to_end(&mut answer)?;
    match fate(&text, true) {
        Fate::Answered => visitor.write_all(&answer),
        Fate::AnswerCut => visitor.write_all(&answer[..answer.len() / 2]),
        Fate::Refused(_) | Fate::Cut | Fate::AnswerLost => Ok(()),
    }
}

/// What a command came to; that it showed no credentials is looked at.
#[track_caller]
pub(crate) fn ran(command: &mut Command) -> Ran {
    let ran = Ran::from(command.output().unwrap());
    for secret in [ID, SECRET, "X-Amz-"] {
        assert!(
            !ran.out.contains(secret) && !ran.err.contains(secret),
            "credentials were shown:\n{}{}",
            ran.out,
            ran.err
        );
    }
    ran
}

/// The server that `tests/run` installs.
fn program() -> PathBuf {
    let built = Path::new(env!("CARGO_MANIFEST_DIR")).join("target/s3s/bin/s3s-fs");
    let program = std::env::var_os("NIGHTREEL_S3S_FS").map_or(built, PathBuf::from);
    assert!(
        program.exists(),
        "{} is missing: cargo install s3s-fs --version 0.14.1 --features binary --locked --debug --root target/s3s",
        program.display()
    );
    program
}
