//! A visitor of dashboards that speaks HTTP by hand: no client of the project's judges the project.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpStream;
use std::process::{Child, Command};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use serde_json::Value;

/// A process that serves a dashboard.
pub(crate) struct Served {
    child: Child,
    pub(crate) address: String,
    told: Arc<Mutex<String>>,
}

/// An answer.
#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) status: u16,
    pub(crate) headers: String,
    pub(crate) body: Vec<u8>,
}

impl Answer {
    pub(crate) fn text(&self) -> String {
        String::from_utf8_lossy(&self.body).into_owned()
    }

    #[track_caller]
    pub(crate) fn json(&self) -> Value {
        serde_json::from_slice(&self.body).unwrap_or_else(|error| panic!("{error}: {self:?}"))
    }

    pub(crate) fn header(&self, name: &str) -> Option<String> {
        self.headers.lines().find_map(|line| {
            let (found, value) = line.split_once(':')?;
            found.eq_ignore_ascii_case(name).then(|| value.trim().to_owned())
        })
    }
}

/// One request, with exactly these headers.
pub(crate) fn ask(address: &str, method: &str, path: &str, headers: &[(&str, &str)], body: &str) -> Answer {
    let mut stream = TcpStream::connect(address).unwrap();
    stream.set_read_timeout(Some(Duration::from_secs(20))).unwrap();
    let headers: String = headers.iter().map(|(name, value)| format!("{name}: {value}\r\n")).collect();
    let length = body.len();
    write!(stream, "{method} {path} HTTP/1.1\r\n{headers}Content-Length: {length}\r\nConnection: close\r\n\r\n{body}")
        .unwrap();
    let mut bytes = Vec::new();
    stream.read_to_end(&mut bytes).unwrap();
    let end = bytes.windows(4).position(|part| part == b"\r\n\r\n").unwrap();
    let head = String::from_utf8_lossy(&bytes[..end]).into_owned();
    let status = head.split(' ').nth(1).unwrap().parse().unwrap();
    let mut body = bytes[end + 4..].to_vec();
    if head.to_ascii_lowercase().contains("transfer-encoding: chunked") {
        body = unchunked(&body);
    }
    Answer { status, headers: head, body }
}

fn unchunked(mut body: &[u8]) -> Vec<u8> {
    let mut whole = Vec::new();
    while let Some(end) = body.windows(2).position(|part| part == b"\r\n") {
        let size = usize::from_str_radix(std::str::from_utf8(&body[..end]).unwrap(), 16).unwrap();
        if size == 0 {
            break;
        }
        whole.extend_from_slice(&body[end + 2..end + 2 + size]);
        body = &body[end + 2 + size + 2..];
    }
    whole
}

impl Served {
    /// Starts a command that says where its dashboard is.
    pub(crate) fn start(mut command: Command) -> Self {
        let mut child = command.spawn().unwrap();
        let told = Arc::new(Mutex::new(String::new()));
        // `run` says it on standard error, `serve` on standard output.
        for stream in
            [Box::new(child.stderr.take().unwrap()) as Box<dyn Read + Send>, Box::new(child.stdout.take().unwrap())]
        {
            let told = Arc::clone(&told);
            std::thread::spawn(move || {
                for line in BufReader::new(stream).lines().map_while(Result::ok) {
                    told.lock().unwrap().push_str(&format!("{line}\n"));
                }
            });
        }
        let begun = Instant::now();
        let address = loop {
            let text = told.lock().unwrap().clone();
            if let Some(found) = text.lines().find_map(|line| {
                let line = line.strip_prefix("dashboard: ").unwrap_or(line);
                line.strip_prefix("http://127.0.0.1:")
            }) {
                break format!("127.0.0.1:{found}");
            }
            assert!(begun.elapsed() < Duration::from_secs(20), "it said nothing of a dashboard:\n{text}");
        };
        Self { child, address, told }
    }

    pub(crate) fn id(&self) -> u32 {
        self.child.id()
    }

    pub(crate) fn get(&self, path: &str) -> Answer {
        ask(&self.address, "GET", path, &[("Host", &self.address)], "")
    }

    pub(crate) fn view(&self) -> Value {
        self.get("/view").json()
    }

    /// What the page's own script would send.
    pub(crate) fn click(&self, path: &str, body: &str) -> Answer {
        let csrf = self.csrf();
        let origin = format!("http://{}", self.address);
        let headers = [
            ("Host", self.address.as_str()),
            ("Origin", &origin),
            ("Sec-Fetch-Site", "same-origin"),
            ("Content-Type", "application/json"),
            ("X-Nightreel-Csrf", &csrf),
        ];
        ask(&self.address, "POST", path, &headers, body)
    }

    pub(crate) fn csrf(&self) -> String {
        let page = self.get("/").text();
        page.split("name=\"csrf\" content=\"").nth(1).unwrap().split('"').next().unwrap().to_owned()
    }

    /// Waits until the page shows that.
    #[track_caller]
    pub(crate) fn until(&self, what: &str, is_so: impl Fn(&Value) -> bool) -> Value {
        let begun = Instant::now();
        loop {
            let view = self.view();
            if is_so(&view) {
                return view;
            }
            assert!(begun.elapsed() < Duration::from_secs(30), "never came about: {what}\n{view}");
        }
    }

    /// Listens to events until one shows that.
    #[track_caller]
    pub(crate) fn until_told(&self, what: &str, is_so: impl Fn(&Value) -> bool) -> Value {
        let mut stream = TcpStream::connect(&self.address).unwrap();
        stream.set_read_timeout(Some(Duration::from_secs(30))).unwrap();
        write!(stream, "GET /events HTTP/1.1\r\nHost: {}\r\nAccept: text/event-stream\r\n\r\n", self.address).unwrap();
        let mut events = 0;
        for line in BufReader::new(stream).lines() {
            let line = line.unwrap();
            if let Some(view) = line.strip_prefix("data: ") {
                events += 1;
                let view: Value = serde_json::from_str(view).unwrap();
                if is_so(&view) {
                    return view;
                }
            }
        }
        panic!("{events} events, and none told: {what}");
    }

    /// Waits for its end; gives its exit code and what it said.
    pub(crate) fn ended(mut self) -> (Option<i32>, String) {
        let code = self.child.wait().unwrap().code();
        let told = self.told.lock().unwrap().clone();
        (code, told)
    }
}

impl Drop for Served {
    fn drop(&mut self) {
        // One that has ended is as good.
        drop(self.child.kill());
        drop(self.child.wait());
    }
}
