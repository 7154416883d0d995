//! The real binary against remotes that are broken or mean it badly: small servers within the tests that do what no simulator
//! should. Whatever they do, a run stays small, ends when it is told to, pays nothing twice, and its rows go on.

mod answers;
mod files;
mod links;
mod names;
mod visitors;

use std::fs::{self, File};
use std::io::{BufRead, BufReader, ErrorKind, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use serde_json::Value;
use tempfile::TempDir;

use crate::support::{KEY, QUICK, Ran, signal};

/// The most memory that a run may ever have held, whatever came over the wire: an untouched one has about 25 MiB.
const MOST_KIB: u64 = 96 * 1024;
/// How long something is waited for that has to come about.
const PATIENCE: Duration = Duration::from_secs(60);

/// Tries every case, some at the same time: most of it is waiting.
fn each<T: Sync>(cases: &[T], try_one: impl Fn(&T) + Sync) {
    for some in cases.chunks(4) {
        std::thread::scope(|scope| some.iter().for_each(|case| drop(scope.spawn(|| try_one(case)))));
    }
}

/// A request as it came.
#[derive(Debug, Clone)]
struct Asked {
    method: String,
    path: String,
    headers: String,
}

impl Asked {
    fn header(&self, name: &str) -> Option<&str> {
        self.headers.lines().find_map(|line| {
            let (found, value) = line.split_once(':')?;
            found.eq_ignore_ascii_case(name).then(|| value.trim())
        })
    }
}

/// What a remote does with a request. Whoever was asked hangs up afterwards.
type Play = dyn Fn(&Asked, &mut TcpStream) -> std::io::Result<()> + Send + Sync;

/// A remote that plays.
struct Remote {
    address: String,
    asked: Arc<Mutex<Vec<Asked>>>,
}

impl Remote {
    fn playing(play: impl Fn(&Asked, &mut TcpStream) -> std::io::Result<()> + Send + Sync + 'static) -> Self {
        Self::at(TcpListener::bind("127.0.0.1:0").unwrap(), Arc::new(play))
    }

    fn at(listener: TcpListener, play: Arc<Play>) -> Self {
        let address = listener.local_addr().unwrap().to_string();
        let asked = Arc::new(Mutex::new(Vec::new()));
        let noted = Arc::clone(&asked);
        std::thread::spawn(move || {
            for stream in listener.incoming() {
                let (mut stream, play, noted) = (stream.unwrap(), Arc::clone(&play), Arc::clone(&noted));
                std::thread::spawn(move || {
                    let Some(request) = read(&stream) else { return };
                    noted.lock().unwrap().push(request.clone());
                    // One that hung up has had enough.
                    drop(play(&request, &mut stream));
                });
            }
        });
        Self { address, asked }
    }

    fn asked(&self) -> Vec<Asked> {
        self.asked.lock().unwrap().clone()
    }

    /// How many requests it had whose path begins like this.
    fn count(&self, method: &str, path: &str) -> usize {
        self.asked().iter().filter(|asked| asked.method == method && asked.path.starts_with(path)).count()
    }
}

fn read(stream: &TcpStream) -> Option<Asked> {
    let mut reader = BufReader::new(stream);
    let mut line = String::new();
    reader.read_line(&mut line).ok()?;
    let mut words = line.split(' ');
    let (method, path) = (words.next()?.to_owned(), words.next()?.to_owned());
    let mut headers = String::new();
    while reader.read_line(&mut headers).ok()? > 2 {}
    let asked = Asked { method, path, headers };
    let length = asked.header("content-length").and_then(|length| length.parse().ok());
    let mut body = vec![0; length.unwrap_or(0)];
    reader.read_exact(&mut body).ok()?;
    Some(asked)
}

/// A whole answer.
fn say(stream: &mut TcpStream, status: &str, headers: &str, body: impl AsRef<[u8]>) -> std::io::Result<()> {
    let body = body.as_ref();
    write!(stream, "HTTP/1.1 {status}\r\n{headers}Content-Length: {}\r\nConnection: close\r\n\r\n", body.len())?;
    stream.write_all(body)
}

/// The answer to a request for a task.
fn accept(stream: &mut TcpStream, id: &str) -> std::io::Result<()> {
    say(stream, "200 OK", "", serde_json::json!({"code": 0, "data": {"task_id": id}}).to_string())
}

/// The answer to a question about a task that has ended, with this link.
fn made(stream: &mut TcpStream, id: &str, link: &str) -> std::io::Result<()> {
    let result = serde_json::json!({"videos": [{"id": "v", "url": link}]});
    let task = serde_json::json!({"task_id": id, "task_status": "succeed", "task_result": result});
    say(stream, "200 OK", "", serde_json::json!({"code": 0, "data": task}).to_string())
}

/// The last part of a path, as it came.
fn last(path: &str) -> &str {
    path.rsplit('/').next().unwrap()
}

/// Keeps a connection open, without a word, until the other side has had enough.
fn wait(stream: &mut TcpStream) -> std::io::Result<()> {
    loop {
        match stream.read(&mut [0; 64]) {
            Ok(0) => return Ok(()),
            Err(error) if error.kind() != ErrorKind::Interrupted => return Ok(()),
            Ok(_) | Err(_) => {}
        }
    }
}

/// A small file that passes for a whole video.
fn video() -> Vec<u8> {
    let part =
        |kind: &[u8; 4], body: &[u8]| [&u32::try_from(8 + body.len()).unwrap().to_be_bytes()[..], kind, body].concat();
    [part(b"ftyp", b"isom\0\0\0\0"), part(b"moov", b"12345678"), part(b"mdat", &[7; 3000])].concat()
}

/// A place to work in, with a remote that means it badly.
struct Night {
    folder: TempDir,
    gateway: &'static str,
    base_url: String,
    variables: Vec<(&'static str, String)>,
}

impl Night {
    fn at(remote: &Remote, gateway: &'static str, rows: usize) -> Self {
        let night = Self {
            folder: tempfile::tempdir().unwrap(),
            gateway,
            base_url: format!("http://{}", remote.address),
            variables: vec![("NIGHTREEL_API_KEY", KEY.to_owned())],
        };
        let row = |row| format!("row{row},squish,https://example.com/{row}.jpg,5\n");
        let rows: String = (0..rows).map(row).collect();
        fs::write(night.path("m.csv"), format!("id,scene,images,duration\n{rows}")).unwrap();
        night
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    fn command(&self, args: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_nightreel"));
        command.args(args).current_dir(&self.folder).env_clear();
        command.envs(self.variables.iter().map(|(name, value)| (name, value)));
        command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
        command
    }

    fn nightreel(&self, args: &[&str]) -> Ran {
        self.command(args).output().unwrap().into()
    }

    /// The flags of a run.
    fn flags<'a>(&'a self, more: &[&'a str]) -> Vec<&'a str> {
        let mut args = vec!["run", "m.csv", "--gateway", self.gateway, "--base-url", &self.base_url, "--canary", "0"];
        args.extend(QUICK);
        args.extend(more);
        args
    }

    /// A run that is on. What it says goes to files: a pipe that nobody reads would hold it up.
    fn start(&self, more: &[&str]) -> Run {
        let mut command = self.command(&self.flags(more));
        command.stdout(File::create(self.path("told")).unwrap()).stderr(File::create(self.path("log")).unwrap());
        command.env("RUST_LOG", "trace");
        Run { child: command.spawn().unwrap(), most_kib: 0, folder: self.folder.path().to_owned() }
    }

    /// The names of what happened to a row.
    fn events(&self, row: &str) -> Vec<String> {
        let logs = self.nightreel(&["logs", row, "--json"]);
        if logs.code != Some(0) {
            return Vec::new();
        }
        let events = logs.json()["events"].as_array().unwrap().clone();
        events.iter().map(|event| event["event"].as_str().unwrap().to_owned()).collect()
    }

    /// Whether something happened to a row.
    fn has(&self, row: &str, event: &str) -> bool {
        self.events(row).iter().any(|name| name == event)
    }

    fn status(&self) -> Value {
        self.nightreel(&["status", "--json"]).exits(0).json()
    }
}

/// A run that is on, and the most memory that it was seen to have held.
struct Run {
    child: Child,
    most_kib: u64,
    folder: PathBuf,
}

impl Drop for Run {
    fn drop(&mut self) {
        // One that has ended cannot be ended again.
        drop(self.child.kill());
        drop(self.child.wait());
    }
}

impl Run {
    /// Waits until something is so, with an eye on the memory.
    #[track_caller]
    fn until(&mut self, what: &str, is_so: impl Fn() -> bool) {
        let begun = Instant::now();
        while !is_so() {
            self.look();
            let ended = self.child.try_wait().unwrap();
            assert!(ended.is_none(), "it ended with {ended:?} before {what}\n{}", self.told());
            assert!(begun.elapsed() < PATIENCE, "never came about: {what}\n{}", self.told());
            std::thread::sleep(Duration::from_millis(20));
        }
        self.look();
    }

    fn look(&mut self) {
        let status = fs::read_to_string(format!("/proc/{}/status", self.child.id())).unwrap_or_default();
        let most =
            status.lines().find_map(|line| line.strip_prefix("VmHWM:")?.trim().strip_suffix(" kB")?.parse().ok());
        self.most_kib = self.most_kib.max(most.unwrap_or(0));
    }

    fn told(&self) -> String {
        let of = |name| fs::read(self.folder.join(name)).unwrap_or_default();
        let log = String::from_utf8_lossy(&of("log")).into_owned();
        let ours = log.lines().filter(|line| line.contains("nightreel")).take(40).collect::<Vec<_>>().join("\n");
        format!("{}\n{ours}", String::from_utf8_lossy(&of("told")))
    }

    /// Tells it to end, and waits until it has: in order, and never having grown.
    #[track_caller]
    fn interrupt(mut self, what: &str) {
        assert!(self.most_kib > 1024, "its memory was never seen");
        signal(&self.child, "INT");
        let ended = self.child.wait().unwrap();
        assert_eq!(ended.code(), Some(5), "{}", self.told());
        self.stayed_small(what);
    }

    /// Waits until it ends by itself.
    #[track_caller]
    fn ends(mut self, code: i32) {
        let begun = Instant::now();
        let ended = loop {
            self.look();
            if let Some(ended) = self.child.try_wait().unwrap() {
                break ended;
            }
            assert!(begun.elapsed() < PATIENCE, "it does not end\n{}", self.told());
            std::thread::sleep(Duration::from_millis(5));
        };
        assert_eq!(ended.code(), Some(code), "{}", self.told());
        self.stayed_small("to its end");
    }

    #[track_caller]
    fn stayed_small(&self, what: &str) {
        assert!(self.most_kib < MOST_KIB, "{what}: it held {} KiB", self.most_kib);
        let log = fs::read(self.folder.join("log")).unwrap();
        let shown = log.windows(KEY.len()).any(|part| part == KEY.as_bytes());
        assert!(!shown, "the log shows the key");
    }
}
