//! A headless Chromium, driven through its driver's plain HTTP on loopback.

use std::fs;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpStream;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use base64::Engine;
use serde_json::{Value, json};
use tempfile::TempDir;

/// How long anything may take in the browser.
const PATIENCE: Duration = Duration::from_secs(60);
/// Keys that have no letter, as the driver names them.
pub(crate) const ENTER: &str = "\u{e007}";
pub(crate) const ESCAPE: &str = "\u{e00c}";
pub(crate) const TAB: &str = "\u{e004}";
pub(crate) const HOME: &str = "\u{e011}";
pub(crate) const LEFT: &str = "\u{e012}";
pub(crate) const UP: &str = "\u{e013}";
pub(crate) const RIGHT: &str = "\u{e014}";
pub(crate) const DOWN: &str = "\u{e015}";

/// A browser of its own, with nothing in it.
pub(crate) struct Browser {
    driver: Child,
    port: String,
    session: String,
    _profile: TempDir,
    downloads: TempDir,
}

impl Browser {
    pub(crate) fn start() -> Self {
        let mut driver = Command::new("chromedriver")
            .args(["--port=0", "--allowed-ips="])
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .expect("chromedriver is missing: apt-get install -y chromium chromium-driver");
        let mut lines = BufReader::new(driver.stdout.as_mut().unwrap()).lines();
        let port = lines
            .find_map(|line| {
                Some(line.unwrap().split_once("successfully on port ")?.1.trim_end_matches('.').to_owned())
            })
            .unwrap();
        let (profile, downloads) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
        let flags = [
            "--headless=new",
            "--no-sandbox",
            "--disable-gpu",
            "--disable-dev-shm-usage",
            "--disable-quic",
            "--no-first-run",
            "--disable-background-networking",
            "--disable-component-update",
            "--disable-sync",
            "--hide-scrollbars",
            "--window-size=1280,900",
        ];
        let profile_flag = format!("--user-data-dir={}", profile.path().display());
        let flags: Vec<&str> = flags.into_iter().chain([profile_flag.as_str()]).collect();
        let mut browser = Self { driver, port, session: String::new(), _profile: profile, downloads };
        let preferences =
            json!({ "download.default_directory": browser.downloads.path(), "download.prompt_for_download": false });
        let wanted = json!({ "capabilities": { "alwaysMatch": {
            "browserName": "chrome",
            "goog:chromeOptions": { "args": flags, "prefs": preferences },
            "goog:loggingPrefs": { "browser": "ALL", "performance": "ALL" },
        } } });
        let made = browser.ask("POST", "/session", &wanted);
        browser.session = format!("/session/{}", made["sessionId"].as_str().unwrap());
        browser
    }

    /// One request, which must be granted.
    #[track_caller]
    fn ask(&self, method: &str, path: &str, body: &Value) -> Value {
        let answer = self.send(method, path, body).unwrap();
        assert!(answer["value"]["error"].is_null(), "{method} {path}: {}", answer["value"]);
        answer["value"].clone()
    }

    /// One request by hand.
    fn send(&self, method: &str, path: &str, body: &Value) -> std::io::Result<Value> {
        let mut stream = TcpStream::connect(format!("127.0.0.1:{}", self.port))?;
        let body = if method == "POST" { body.to_string() } else { String::new() };
        let length = body.len();
        let head = format!("{method} {path} HTTP/1.1\r\nHost: localhost:{}\r\nConnection: close\r\n", self.port);
        write!(stream, "{head}Content-Type: application/json\r\nContent-Length: {length}\r\n\r\n{body}")?;
        let mut answer = BufReader::new(stream);
        let mut length = 0;
        loop {
            let mut line = String::new();
            answer.read_line(&mut line)?;
            let line = line.trim().to_ascii_lowercase();
            if let Some(told) = line.strip_prefix("content-length:") {
                length = told.trim().parse().unwrap_or(0);
            }
            if line.is_empty() {
                break;
            }
        }
        let mut text = vec![0; length];
        answer.read_exact(&mut text)?;
        Ok(serde_json::from_slice(&text)?)
    }

    fn post(&self, path: &str, body: &Value) -> Value {
        self.ask("POST", &format!("{}{path}", self.session), body)
    }

    /// Opens a file of the disk.
    pub(crate) fn open(&self, page: &Path) {
        self.post("/url", &json!({ "url": format!("file://{}", page.canonicalize().unwrap().display()) }));
    }

    /// What an expression of the page comes to.
    pub(crate) fn value(&self, expression: &str) -> Value {
        self.post("/execute/sync", &json!({ "script": format!("return ({expression});"), "args": [] }))
    }

    /// What a promise of the page comes to.
    pub(crate) fn awaited(&self, promise: &str) -> Value {
        let script = format!("const done = arguments[0]; ({promise}).then(done, (error) => done(String(error)));");
        self.post("/execute/async", &json!({ "script": script, "args": [] }))
    }

    /// Waits until an expression of the page is true.
    #[track_caller]
    pub(crate) fn until(&self, expression: &str) {
        let begun = Instant::now();
        while self.value(expression) != json!(true) {
            assert!(begun.elapsed() < PATIENCE, "never came about: {expression}");
        }
    }

    /// Clicks in the middle of what a selector finds, as a mouse does.
    pub(crate) fn click(&self, selector: &str) {
        self.point(
            selector,
            &[json!({ "type": "pointerDown", "button": 0 }), json!({ "type": "pointerUp", "button": 0 })],
        );
    }

    /// Moves the mouse over what a selector finds.
    pub(crate) fn hover(&self, selector: &str) {
        self.point(selector, &[]);
    }

    fn point(&self, selector: &str, then: &[Value]) {
        let found = self.post("/element", &json!({ "using": "css selector", "value": selector }));
        let mut steps = vec![json!({ "type": "pointerMove", "duration": 0, "x": 0, "y": 0, "origin": found })];
        steps.extend(then.iter().cloned());
        let mouse =
            json!({ "type": "pointer", "id": "mouse", "parameters": { "pointerType": "mouse" }, "actions": steps });
        self.post("/actions", &json!({ "actions": [mouse] }));
    }

    /// Types on whatever has the focus.
    pub(crate) fn keys(&self, keys: &str) {
        let steps: Vec<Value> = keys
            .chars()
            .flat_map(|key| ["keyDown", "keyUp"].map(|kind| json!({ "type": kind, "value": key.to_string() })))
            .collect();
        self.post("/actions", &json!({ "actions": [{ "type": "key", "id": "keys", "actions": steps }] }));
    }

    /// Asks the browser's own protocol.
    pub(crate) fn protocol(&self, command: &str, parameters: &Value) {
        self.post("/goog/cdp/execute", &json!({ "cmd": command, "params": parameters }));
    }

    /// Makes the window so large.
    pub(crate) fn resize(&self, width: u32, height: u32) {
        let size = json!({ "width": width, "height": height, "deviceScaleFactor": 1, "mobile": false });
        self.protocol("Emulation.setDeviceMetricsOverride", &size);
    }

    /// Prefers a light or a dark page.
    pub(crate) fn prefer(&self, scheme: &str) {
        let features = json!({ "features": [{ "name": "prefers-color-scheme", "value": scheme }] });
        self.protocol("Emulation.setEmulatedMedia", &features);
    }

    /// Keeps a picture of the page where `NIGHTREEL_SCREENSHOTS` names a folder for them.
    pub(crate) fn picture(&self, name: &str) {
        let Some(folder) = std::env::var_os("NIGHTREEL_SCREENSHOTS") else { return };
        let taken = self.ask("GET", &format!("{}/screenshot", self.session), &Value::Null);
        let bytes = base64::engine::general_purpose::STANDARD.decode(taken.as_str().unwrap()).unwrap();
        fs::write(Path::new(&folder).join(name), bytes).unwrap();
    }

    /// What the page wrote to its console since it was last asked.
    pub(crate) fn console(&self) -> Vec<String> {
        self.log("browser").iter().map(|entry| entry["message"].as_str().unwrap().to_owned()).collect()
    }

    /// Every address that was asked for since it was last asked.
    pub(crate) fn requests(&self) -> Vec<String> {
        let log = self.log("performance");
        let events = log.iter().map(|entry| serde_json::from_str::<Value>(entry["message"].as_str().unwrap()).unwrap());
        let sent = events.filter(|event| event["message"]["method"] == "Network.requestWillBeSent");
        sent.map(|event| event["message"]["params"]["request"]["url"].as_str().unwrap().to_owned()).collect()
    }

    fn log(&self, kind: &str) -> Vec<Value> {
        self.post("/se/log", &json!({ "type": kind })).as_array().unwrap().clone()
    }

    /// The text of the file of this name, once it was downloaded whole.
    #[track_caller]
    pub(crate) fn downloaded(&self, name: &str) -> String {
        let begun = Instant::now();
        loop {
            if let Ok(text) = fs::read_to_string(self.downloads.path().join(name))
                && !text.is_empty()
            {
                return text;
            }
            assert!(begun.elapsed() < PATIENCE, "{name} was not downloaded");
        }
    }
}

impl Drop for Browser {
    fn drop(&mut self) {
        // Also after a test failed: the driver does not take its browser along.
        if !self.session.is_empty() {
            drop(self.send("DELETE", &self.session, &Value::Null));
        }
        self.driver.kill().unwrap();
        self.driver.wait().unwrap();
    }
}
