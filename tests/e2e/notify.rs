//! Someone is told, and it changes nothing when that fails: against a tiny receiver.

use std::fs;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::process::Command;
use std::sync::mpsc::{Receiver, channel};
use std::time::{Duration, Instant};

use serde_json::Value;

use crate::support::{KEY, Ran, World};

/// What makes an address a secret.
const SECRET: &str = "recognisable-address";

/// One message as it came.
#[derive(Debug)]
struct Told {
    path: String,
    headers: String,
    body: String,
}

impl Told {
    fn json(&self) -> Value {
        serde_json::from_str(&self.body).unwrap_or_else(|error| panic!("{error}: {self:?}"))
    }
}

/// Someone who is told.
struct Listener {
    url: String,
    told: Receiver<Told>,
}

impl Listener {
    /// Answers everything with this status line and these headers.
    fn answering(answer: &'static str) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let (sender, told) = channel();
        std::thread::spawn(move || {
            for stream in listener.incoming() {
                let mut stream = stream.unwrap();
                if sender.send(read(&stream)).is_err() {
                    break;
                }
                let said = format!("HTTP/1.1 {answer}\r\nContent-Length: 0\r\nConnection: close\r\n\r\n");
                // One that hung up has had enough.
                drop(stream.write_all(said.as_bytes()));
            }
        });
        Self { url, told }
    }

    fn new() -> Self {
        Self::answering("200 OK")
    }

    /// All that was told; every message is answered after it was noted.
    fn all(&self) -> Vec<Told> {
        self.told.try_iter().collect()
    }
}

fn read(stream: &TcpStream) -> Told {
    let mut reader = BufReader::new(stream);
    let mut line = String::new();
    reader.read_line(&mut line).unwrap();
    let path = line.split(' ').nth(1).unwrap_or_default().to_owned();
    let mut headers = String::new();
    while reader.read_line(&mut headers).unwrap() > 2 {}
    let headers = headers.to_lowercase();
    let length = headers.lines().find_map(|line| line.strip_prefix("content-length: ")?.trim().parse().ok());
    let mut body = vec![0; length.unwrap_or(0)];
    reader.read_exact(&mut body).unwrap();
    Told { path, headers, body: String::from_utf8(body).unwrap() }
}

/// Runs rows with this `[notify]` table. No address is shown anywhere.
fn run(world: &World, notify: &str, more: &[&str]) -> Ran {
    run_rows(world, 4, notify, more)
}

fn run_rows(world: &World, rows: usize, notify: &str, more: &[&str]) -> Ran {
    world.write("nightreel.toml", format!("[notify]\n{notify}\n"));
    let manifest = world.manifest("m.csv", rows);
    let ran = world.run(&[&[manifest.to_str().unwrap()], more].concat());
    assert!(!ran.out.contains(SECRET) && !ran.err.contains(SECRET), "{ran:?}");
    ran
}

#[test]
fn a_good_night_is_pinged_at_both_ends_and_told_in_the_shape_that_was_asked_for() {
    for (kind, text) in [("slack", "text"), ("json", "text"), ("ntfy", "")] {
        let (world, listener) = (World::new(&[]), Listener::new());
        let url = &listener.url;
        let notify = format!("url = \"{url}/{SECRET}\"\nkind = \"{kind}\"\nping = \"{url}/ping-{SECRET}\"");
        run(&world, &notify, &[]).exits(0);
        let told = listener.all();
        let (pings, messages): (Vec<_>, Vec<_>) = told.into_iter().partition(|told| told.path.starts_with("/ping-"));
        let paths: Vec<&str> = pings.iter().map(|ping| ping.path.as_str()).collect();
        assert_eq!(paths, [format!("/ping-{SECRET}/start"), format!("/ping-{SECRET}")]);
        assert!(pings[1].body.contains("4 of 4 rows done"), "{pings:?}");
        let [end] = messages.as_slice() else { panic!("{messages:?}") };
        let words = if text.is_empty() { end.body.clone() } else { end.json()[text].as_str().unwrap().to_owned() };
        assert_eq!(words, "nightreel ended with code 0: 4 of 4 rows done");
        match kind {
            "slack" => assert_eq!(end.json().as_object().unwrap().len(), 1),
            "json" => {
                let json = end.json();
                assert_eq!((&json["event"], &json["exit_code"]), (&"end".into(), &0.into()));
                assert_eq!(json["summary"], "4 of 4 rows done");
            }
            _ => assert!(end.headers.contains("title: nightreel"), "{end:?}"),
        }
        assert!(!end.headers.contains(KEY) && !end.headers.contains("authorization"), "{end:?}");
    }
}

#[test]
fn what_stops_is_told_when_it_stops_and_a_bad_end_is_pinged_as_one() {
    for (fault, event, code) in [("fail", "failures", 4), ("bad-key", "pause", 8)] {
        let (world, listener) = (World::new(&["--fault", fault]), Listener::new());
        let notify = format!("url = \"{0}/{SECRET}\"\nping = \"{0}/ping\"", listener.url);
        run_rows(&world, 9, &notify, &[]).exits(code);
        let told = listener.all();
        assert!(told.iter().any(|told| told.path == "/ping/fail"), "{told:?}");
        let messages: Vec<Value> = told.iter().filter(|told| told.path.ends_with(SECRET)).map(Told::json).collect();
        let stopped =
            messages.iter().find(|message| message["event"] == event).unwrap_or_else(|| panic!("{messages:?}"));
        assert!(stopped["text"].as_str().unwrap().contains("paused") && stopped["exit_code"].is_null(), "{stopped}");
        let end = messages.iter().find(|message| message["event"] == "end").unwrap();
        assert_eq!(end["exit_code"], code);
        // Who wants to hear of ends only hears of ends only.
        run_rows(&world, 9, &format!("url = \"{}\"\non = \"end\"", listener.url), &[]).exits(code);
        let told = listener.all();
        assert!(told.len() == 1 && told[0].json()["event"] == "end", "{told:?}");
    }
}

#[test]
fn a_run_that_could_not_begin_is_told_and_one_that_found_another_at_work_is_not() {
    let (world, listener) = (World::new(&["--task-time", "5s"]), Listener::new());
    world.write("nightreel.toml", format!("[notify]\nurl = \"{0}\"\nping = \"{0}/ping\"\n", listener.url));
    let bad = world.write("bad.csv", "scene,images,duration\n,,\n");
    world.run(&[bad.to_str().unwrap()]).exits(7);
    let told = listener.all();
    let pings: Vec<&str> = told.iter().map(|told| told.path.as_str()).filter(|path| *path != "/").collect();
    assert_eq!(pings, ["/ping/start", "/ping/fail"]);
    let end = told.iter().find(|told| told.path == "/").unwrap().json();
    assert_eq!(end["exit_code"], 7);
    let manifest = world.manifest("m.csv", 1);
    let args = world.kling(&[manifest.to_str().unwrap()]);
    let mut first = world.command(&args).spawn().unwrap();
    world.until_made(1);
    assert_eq!(listener.all().len(), 1, "the first one's start");
    world.nightreel(&args).exits(6);
    assert!(listener.all().is_empty());
    first.kill().unwrap();
    first.wait().unwrap();
}

#[test]
fn a_command_is_shown_what_happened_and_no_key_and_its_words_stay_out_of_the_output() {
    let world = World::new(&[]);
    let ran = run(&world, "command = \"env | tee told; exit 9\"", &["--json"]).exits(0);
    assert_eq!(ran.json()["done"], 4);
    assert!(ran.err.contains("notify: the command failed: exit status: 9"), "{}", ran.err);
    let told = fs::read_to_string(world.path("told")).unwrap();
    for line in ["NIGHTREEL_EVENT=end", "NIGHTREEL_EXIT_CODE=0"] {
        assert!(told.lines().any(|told| told == line), "{told}");
    }
    assert!(told.contains("NIGHTREEL_SUMMARY=nightreel ended with code 0: 4 of 4 rows done"), "{told}");
    assert!(!told.contains(KEY) && !told.contains("NIGHTREEL_API_KEY"), "{told}");
}

#[test]
fn nobody_there_a_refusal_and_a_redirect_change_no_exit_code() {
    let elsewhere = Listener::new();
    let leads_away: &'static str = format!("302 Found\r\nLocation: {}/stolen", elsewhere.url).leak();
    let [away, gone, broken] = [leads_away, "404 Not Found", "500 Oops"].map(Listener::answering);
    let nobody = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    for (url, words, tries) in [
        (away.url.clone(), "it answered 302, and redirects are not followed", 1),
        (gone.url.clone(), "it answered 404", 1),
        (broken.url.clone(), "it answered 500", 2),
        (format!("http://{nobody}"), "refused", 0),
    ] {
        let world = World::new(&[]);
        let ran = run(&world, &format!("url = \"{url}/{SECRET}\""), &["--quiet"]).exits(0);
        assert!(
            ran.err.contains("notify: the webhook at 127.0.0.1 was not told: ") && ran.err.contains(words),
            "{ran:?}"
        );
        let told = [&away, &gone, &broken].iter().map(|listener| listener.all().len()).sum::<usize>();
        assert_eq!(told, tries, "{url}");
    }
    assert!(elsewhere.all().is_empty());
}

#[test]
fn one_who_never_answers_keeps_the_end_for_ten_seconds_at_the_most_and_a_signal_within_its_own_time() {
    let silent = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}/{SECRET}", silent.local_addr().unwrap());
    let notify = format!("url = \"{url}\"\nping = \"{url}\"\ncommand = \"sleep 600\"");
    let world = World::new(&[]);
    let begun = Instant::now();
    run(&world, &notify, &[]).exits(0);
    assert!(begun.elapsed() < Duration::from_secs(14), "{:?}", begun.elapsed());
    world.paid_once(4);
    let world = World::new(&["--fault", "hang-answer"]);
    world.write("nightreel.toml", format!("[notify]\n{notify}\n"));
    let manifest = world.manifest("m.csv", 2);
    let args = world.kling(&[manifest.to_str().unwrap(), "--request-timeout", "2m"]);
    let mut stopped = world.command(&args).spawn().unwrap();
    world.until_made(2);
    let begun = Instant::now();
    assert!(Command::new("kill").args(["-TERM", &stopped.id().to_string()]).status().unwrap().success());
    assert_eq!(stopped.wait().unwrap().code(), Some(5));
    assert!(begun.elapsed() < Duration::from_secs(10), "{:?}", begun.elapsed());
}

/// An examination with this `[notify]` table. No address is shown.
fn doctor(world: &World, notify: &str, more: &[&str]) -> Ran {
    world.write("nightreel.toml", format!("[notify]\n{notify}\n"));
    let mut ran = world.nightreel(&[&["doctor", "--gateway", "simulator"], more].concat());
    assert!(!ran.out.contains(SECRET) && !ran.err.contains(SECRET), "{ran:?}");
    // How wide its columns are depends on what else is told.
    ran.out = ran.out.split_whitespace().collect::<Vec<_>>().join(" ");
    ran
}

#[test]
fn doctor_looks_at_whom_a_run_would_tell_and_tells_nobody_unless_asked() {
    let (world, listener) = (World::new(&[]), Listener::new());
    let told = world.path("told");
    let notify = format!(
        "url = \"{0}/{SECRET}\"\nping = \"{0}/ping-{SECRET}\"\non = \"pause\"\n\
         command = 'printf \"%s %s%s\" \"$NIGHTREEL_EVENT\" \"$NIGHTREEL_SUMMARY\" \"$NIGHTREEL_API_KEY\" > {1}'",
        listener.url,
        told.display(),
    );
    let silent = doctor(&world, &notify, &[]).exits(0);
    for words in ["webhook json to 127.0.0.1, of pause", "ping 127.0.0.1, of every start", "command printf, of pause"] {
        assert!(silent.out.contains(words), "{words}\n{}", silent.out);
    }
    assert!(listener.all().is_empty() && !told.exists(), "somebody was told");

    let tested = doctor(&world, &notify, &["--notify"]).exits(0);
    assert_eq!(tested.out.matches("the test was taken").count(), 3, "{}", tested.out);
    let heard = listener.all();
    let paths: Vec<&str> = heard.iter().map(|told| told.path.as_str()).collect();
    assert!(paths.len() == 2 && paths.contains(&format!("/ping-{SECRET}/log").as_str()), "{paths:?}");
    let message = heard.iter().find(|told| !told.path.contains("/ping-")).unwrap().json();
    assert_eq!((&message["event"], &message["exit_code"]), (&"test".into(), &Value::Null));
    assert!(heard.iter().all(|told| told.body.contains("this is a test; no run started or ended")), "{heard:?}");
    assert_eq!(fs::read_to_string(told).unwrap(), "test nightreel doctor: this is a test; no run started or ended");
    assert!(!world.path("state").exists(), "something was made");
}

#[test]
fn doctor_says_who_would_not_hear_and_a_test_that_fails_is_a_problem() {
    let world = World::new(&[]);
    let says = |ran: &Ran, parts: &[&str]| {
        for part in parts {
            assert!(ran.out.contains(part), "{part}\n{}", ran.out);
        }
    };
    // Nobody who does not hear keeps a run from its work.
    let gone = doctor(&world, "command = \"tell-nobody-at-all me\"", &[]).exits(0);
    says(&gone, &["note command no tell-nobody-at-all is in the PATH", "do: put `command` in [notify] right"]);
    let open = doctor(&world, &format!("url = \"http://hooks.slack.com/{SECRET}\""), &[]).exits(0);
    says(&open, &["no https:// one", "hooks.slack.com does not understand kind \"json\"", "do: kind = \"slack\""]);
    let wrong = doctor(&world, &format!("url = \"{SECRET}\""), &[]).exits(2);
    says(&wrong, &["BAD", "notify.url", "begins with http:// or https://"]);

    says(&doctor(&world, "", &["--notify"]).exits(2), &["BAD", "there is nobody who could be told", "do: [notify]"]);
    let refusing = Listener::answering("404 Not Found");
    let notify = format!("url = \"{0}/{SECRET}\"\nping = \"{0}/p\"\ncommand = \"exit 3\"", refusing.url);
    let refused = doctor(&world, &notify, &["--notify"]).exits(2);
    says(
        &refused,
        &["the webhook at 127.0.0.1 was not told: it answered 404", "the ping at 127.0.0.1", "do: look the address up"],
    );
    says(&refused, &["the command failed: exit status: 3", "3 problems"]);
}
