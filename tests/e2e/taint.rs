//! Secrets that can be recognised, followed through everything: every verb, every failure, logs at their loudest, the ledger
//! with all its files, the process list, the dashboard and its metrics. None may be seen but by whom it is for.

use std::collections::HashSet;
use std::fs;
use std::io::{Read, Write};
use std::net::TcpListener;
use std::os::unix::process::ExitStatusExt;
use std::process::{Child, Command, Output};
use std::time::{Duration, Instant};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

use crate::page::ask;
use crate::support::{A_KEY, A_PAIR, ACCESS_KEY, ACCOUNT_TOKEN, KEY, SECRET_KEY, World, files, signal};

/// What all secrets have in common.
const MARK: &str = "5eed5eed";
const TOKEN: &str = "dashboard-recognisable-5eed5eed";
const PASSWORD: &str = "password-recognisable-5eed5eed";

/// Every form in which a secret may be told: as it is, in base64 at each of the three places that it may begin at, in hex, and
/// as a token that was made with it.
fn forms() -> Vec<Vec<u8>> {
    let mut forms = vec![MARK.as_bytes().to_vec()];
    for before in ["", "x", "xx"] {
        let whole = STANDARD.encode(format!("{before}{MARK}"));
        // The first letters and the last depend on what stands beside the mark.
        let (first, last) = ((before.len() * 8).div_ceil(6), (before.len() + MARK.len()) * 8 / 6);
        forms.push(whole.as_bytes()[first..last].to_vec());
    }
    forms.push(MARK.bytes().flat_map(|byte| format!("{byte:02x}").into_bytes()).collect());
    forms.push(b"eyJhbGciOiJIUzI1NiIsInR5cCI6IkpXVCJ9".to_vec());
    forms
}

fn holds_a_secret(bytes: &[u8]) -> bool {
    forms().iter().any(|form| bytes.windows(form.len()).any(|part| part == form))
}

#[track_caller]
fn is_clean(what: &str, bytes: &[u8]) {
    assert!(!holds_a_secret(bytes), "{what} shows a secret:\n{}", String::from_utf8_lossy(bytes));
}

/// What a command came to, which must not have shown anything, nor have broken down.
#[track_caller]
fn clean(what: &str, output: &Output) -> i32 {
    is_clean(what, &output.stdout);
    is_clean(what, &output.stderr);
    let code = output.status.code().unwrap_or(-1);
    assert!(![101, -1].contains(&code), "{what}: {code}\n{}", String::from_utf8_lossy(&output.stderr));
    code
}

#[test]
fn a_secret_is_found_in_every_form() {
    for text in [
        KEY.to_owned(),
        STANDARD.encode(format!("user:{PASSWORD}")),
        STANDARD.encode(format!("a:{PASSWORD}")),
        STANDARD.encode(format!("ab:{PASSWORD}")),
        KEY.bytes().map(|byte| format!("{byte:02x}")).collect(),
    ] {
        assert!(holds_a_secret(format!("some {text} words").as_bytes()), "{text}");
    }
    assert!(!holds_a_secret(b"00000001-5eed-4000-8000-0000 seed"));
}

/// All that nightreel may be given besides the key; the addresses lead to nobody.
const MORE: [(&str, &str); 6] = [
    ("NIGHTREEL_ACCOUNT_TOKEN", ACCOUNT_TOKEN),
    // `whsec_` and the base64 of a text with the mark.
    ("NIGHTREEL_WEBHOOK_SECRET", "whsec_cmVjb2duaXNhYmxlLTVlZWQ1ZWVk"),
    ("NIGHTREEL_DASHBOARD_TOKEN", TOKEN),
    ("NIGHTREEL_NOTIFY_URL", "http://127.0.0.1:9/hook/recognisable-5eed5eed"),
    ("NIGHTREEL_NOTIFY_PING", "http://127.0.0.1:9/ping/recognisable-5eed5eed"),
    ("RUST_LOG", "trace"),
];

fn command(world: &World, args: &[&str]) -> Command {
    let mut command = world.command(args);
    command.envs(MORE).env("RUST_BACKTRACE", "full");
    command
}

/// A run under way whose words go to files: at their loudest a pipe that nobody reads would hold it up.
fn under_way(world: &World, mut command: Command) -> Child {
    let file = |name: &str| fs::File::create(world.path(name)).unwrap();
    command.stdout(file("told")).stderr(file("log")).spawn().unwrap()
}

#[test]
fn whoever_looks_at_a_run_sees_no_secret() {
    let world = World::new(&["--task-time", "1s..1s", "--fault", "query-401=0.05", "--fault", "fail=0.3"]);
    let manifest = world.manifest("m.csv", 6);
    let port = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
    let address = format!("127.0.0.1:{port}");
    let callback = format!("http://{address}/hook");
    let args = world.kling(&[
        manifest.to_str().unwrap(),
        "--dashboard",
        &address,
        "--callback-url",
        &callback,
        "--canary",
        "0",
        "--max-failures",
        "off",
    ]);
    let mut run = under_way(&world, command(&world, &args));
    world.until_made(2);
    let of = |name: &str| fs::read(format!("/proc/{}/{name}", run.id())).unwrap();
    is_clean("the process list", &of("cmdline"));
    is_clean("the name of the process", &of("comm"));
    let limits = String::from_utf8(of("limits")).unwrap();
    let core = limits.lines().find(|line| line.starts_with("Max core file size")).unwrap();
    assert_eq!(core.split_whitespace().skip(4).take(2).collect::<Vec<_>>(), ["0", "0"], "{core}");
    let bearer = format!("Bearer {TOKEN}");
    let shown = [("Host", address.as_str()), ("Authorization", bearer.as_str())];
    for path in ["/", "/view", "/metrics", "/dashboard.js", "/login", "/nowhere"] {
        let answer = ask(&address, "GET", path, &shown, "");
        is_clean(path, answer.headers.as_bytes());
        is_clean(path, &answer.body);
    }
    for wrong in ["Bearer wrong-wrong-wrong-wrong", "Basic x"] {
        let answer = ask(&address, "GET", "/view", &[("Host", &address), ("Authorization", wrong)], "");
        assert_eq!(answer.status, 401);
        is_clean("a wrong token", &answer.body);
    }
    let ended = run.wait().unwrap();
    let told = fs::read_to_string(world.path("told")).unwrap();
    assert!(matches!(ended.code(), Some(0 | 3 | 8)), "{ended}: {told}");
    for file in files(world.folder.path()) {
        is_clean(&file, &fs::read(world.path(&file)).unwrap());
    }
    let log = fs::read_to_string(world.path("log")).unwrap();
    assert!(log.contains("TRACE") && log.contains("hyper"), "libraries said nothing: was the key looked for at all?");
}

#[test]
fn no_verb_shows_a_secret_at_its_loudest() {
    let world = World::new(&["--fault", "fail=0.4"]);
    let manifest = world.manifest("m.csv", 6);
    let m = manifest.to_str().unwrap();
    let place = ["--gateway", "kling", "--base-url", &world.base_url];
    let run = world.kling(&[m, "--canary", "0", "--max-failures", "off"]);
    let code = clean("run", &command(&world, &run).output().unwrap());
    assert!([0, 3].contains(&code), "{code}");
    let with_place = |args: &[&'static str]| [args, &place].concat();
    for args in [
        with_place(&["check", "m.csv"]),
        with_place(&["doctor", "m.csv", "--notify"]),
        with_place(&["collect"]),
        with_place(&["receipt", "--settle"]),
        with_place(&["rescue"]),
        with_place(&["schedule", "m.csv", "--at", "22:00"]),
        vec!["status", "--json"],
        vec!["logs", "row0"],
        vec!["logs", "row1", "--json"],
        vec!["retry", "--all"],
        vec!["resolve", "row0", "--drop"],
        vec!["verify"],
        vec!["report"],
        vec!["export", "copy.db"],
        vec!["import", "copy.db", "--state", "other/ledger.db"],
        vec!["prune", "--older-than", "1d"],
        vec!["scenes"],
        vec!["explain", "1002"],
        vec!["scan", ".", "--scene", "squish"],
        vec!["init", "--config", "new.toml", "--gateway", "kling"],
        vec!["completions", "bash"],
        vec!["man", "pages"],
        vec!["serve", "256.0.0.1:1"],
        vec!["--help"],
        vec!["nonsense"],
    ] {
        let what = args.join(" ");
        clean(&what, &command(&world, &args).output().unwrap());
    }
    for file in files(world.folder.path()) {
        is_clean(&file, &fs::read(world.path(&file)).unwrap());
    }
}

/// A remote that tells everybody what it was shown: in words, in headers, in addresses, in a page.
fn echo(how: &'static str) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    std::thread::spawn(move || {
        for stream in listener.incoming() {
            let mut stream = stream.unwrap();
            let mut head = Vec::new();
            while !head.ends_with(b"\r\n\r\n") {
                let mut byte = [0];
                if stream.read(&mut byte).unwrap_or(0) == 0 {
                    break;
                }
                head.push(byte[0]);
            }
            let head = String::from_utf8_lossy(&head).into_owned();
            let shown = head.lines().find_map(|line| {
                let (name, value) = line.split_once(": ")?;
                name.eq_ignore_ascii_case("authorization").then(|| value.to_owned())
            });
            let shown = shown.unwrap_or_default();
            let key = shown.rsplit(' ').next().unwrap_or_default();
            let length = |body: &str| format!("Content-Length: {}\r\nConnection: close\r\n\r\n{body}", body.len());
            let answer = match how {
                "words" => {
                    let body =
                        format!(r#"{{"code":1002,"message":"no such key: {key} ({shown})","request_id":"{key}"}}"#);
                    format!("HTTP/1.1 401 No\r\nX-Request-Id: {key}\r\n{}", length(&body))
                }
                "address" => {
                    format!("HTTP/1.1 307 On\r\nLocation: https://elsewhere.example/?key={key}\r\n{}", length(""))
                }
                "page" => {
                    format!("HTTP/1.1 502 Bad\r\n{}", length(&format!("<html><title>{shown}</title><body>{key}")))
                }
                "task" => format!(
                    "HTTP/1.1 200 OK\r\n{}",
                    length(&format!(
                        r#"{{"code":0,"data":{{"task_id":"t","task_status":"failed","task_status_msg":"{shown}"}}}}"#
                    ))
                ),
                _ => format!("HTTP/1.1 200 {key}\r\nX-{key}: {key}\r\nno head at all {key}\r\n\r\n"),
            };
            // One that hung up has had enough.
            drop(stream.write_all(answer.as_bytes()));
        }
    });
    format!("http://{address}")
}

type Variables = [(&'static str, &'static str)];

const PLAIN: [(&str, &str); 1] = [("NIGHTREEL_API_KEY", KEY)];
const PAIR: [(&str, &str); 2] = [("NIGHTREEL_ACCESS_KEY", ACCESS_KEY), ("NIGHTREEL_SECRET_KEY", SECRET_KEY)];

/// A run of one row from the beginning, with these secrets; with `--json` an event longer.
fn fails(world: &World, base_url: &str, gateway: &str, variables: &Variables, more: &[&str]) -> Output {
    let _ = fs::remove_dir_all(world.path("state"));
    let args = ["run", "m.csv", "--gateway", gateway, "--base-url", base_url, "--request-timeout", "300ms"];
    let mut command = command(world, &[&args[..], more].concat());
    for (variable, _) in PLAIN.iter().chain(&MORE[3..5]) {
        command.env_remove(variable);
    }
    command.args(["--rate", "100/s", "--min-poll", "50ms"]).envs(variables.iter().copied());
    // Where nobody can say what became of it, a run would wait: it ends itself once that is written down.
    let events = if more.contains(&"--json") { "3" } else { "2" };
    command.env("NIGHTREEL_KILL_AFTER_EVENT", events).output().unwrap()
}

#[test]
fn what_a_remote_tells_back_of_a_secret_is_hidden() {
    let world = World::new(&[]);
    world.manifest("m.csv", 1);
    for how in ["words", "address", "page", "task", "nonsense"] {
        let keys = [("kling", &PLAIN[..]), ("kling", &PAIR[..]), ("fal", &PLAIN[..]), ("wavespeed", &PLAIN[..])];
        for (gateway, variables) in keys {
            let what = format!("{how} at {gateway}");
            // Where a task is told of at all, until it is known to have failed.
            let more: &[&str] = if (how, gateway) == ("task", "kling") { &["--json"] } else { &[] };
            let output = fails(&world, &echo(how), gateway, variables, more);
            is_clean(&what, &output.stdout);
            is_clean(&what, &output.stderr);
            let log = String::from_utf8_lossy(&output.stderr).into_owned();
            assert!(log.contains("submit_started"), "{what}: nothing was sent\n{log}");
            assert!(!log.contains("panicked"), "{what}: {log}");
            for file in files(world.folder.path()) {
                is_clean(&format!("{what}: {file}"), &fs::read(world.path(&file)).unwrap());
            }
        }
    }
}

#[test]
fn no_failure_shows_a_secret() {
    let world = World::new(&[]);
    world.manifest("m.csv", 1);
    // Nobody is there, by any way.
    let closed = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    for base_url in [
        format!("http://{closed}"),
        format!("https://{closed}"),
        world.base_url.replace("http:", "https:"),
        "http://nightreel.invalid".to_owned(),
    ] {
        let output = fails(&world, &base_url, "kling", &PLAIN, &[]);
        is_clean(&base_url, &output.stdout);
        is_clean(&base_url, &output.stderr);
        // It was seen not to have been sent.
        assert!(world.nightreel(&["logs", "row0", "--json"]).exits(0).out.contains("put_off"), "{base_url}");
    }
    let proxy = format!("http://user:{PASSWORD}@{closed}");
    let mut through = command(&world, &["doctor", "--gateway", "kling", "--base-url", "http://nightreel.invalid"]);
    clean("a proxy", &through.env("HTTP_PROXY", &proxy).env("HTTPS_PROXY", &proxy).output().unwrap());
    // What cannot be used is refused without being shown.
    let run = |base_url: &str, variables: &Variables, more: &[&str]| fails(&world, base_url, "kling", variables, more);
    let with_password = format!("http://user:{PASSWORD}@127.0.0.1:9");
    let token = [PLAIN[0], ("NIGHTREEL_DASHBOARD_TOKEN", "5eed5eed")];
    let dashboard = ["--dashboard", "127.0.0.1:0"];
    for (what, output) in [
        ("an address with a password", run(&with_password, &PLAIN, &[])),
        ("a key with a space", run("http://h", &[("NIGHTREEL_API_KEY", "sk 5eed5eed")], &[])),
        ("a key with an order", run("http://h", &[("NIGHTREEL_API_KEY", "sk\u{1b}5eed5eed")], &[])),
        ("two kinds of keys", run("http://h", &[PLAIN[0], PAIR[0], PAIR[1]], &[])),
        ("half a pair", run("http://h", &PAIR[1..], &[])),
        ("a weak token", run(&world.base_url, &token, &dashboard)),
        ("an address that is none", run("http://h", &[PLAIN[0], ("NIGHTREEL_NOTIFY_URL", "x 5eed5eed")], &[])),
        ("a flag that there is not", run("http://h", &PLAIN, &["--api-key", "x"])),
    ] {
        assert_eq!(clean(what, &output), 2, "{what}: {}", String::from_utf8_lossy(&output.stderr));
    }
    for line in [
        "[notify]\nurl = \"http://h/5eed5eed\" oops\n",
        "[notify]\nurl = [\"5eed5eed\"]\n",
        "[notify]\nping = \"5eed5eed\"\n",
    ] {
        world.write("bad.toml", line);
        let mut status = command(&world, &["status", "--config", "bad.toml"]);
        let status = status.env_remove("NIGHTREEL_NOTIFY_PING").env_remove("NIGHTREEL_NOTIFY_URL");
        assert_eq!(clean(line, &status.output().unwrap()), 2, "{line}");
    }
}

/// In the middle of the n-th request, for each of the first few: the first is paid, others ask.
#[test]
fn a_panic_in_the_middle_of_a_request_shows_no_secret_ends_the_run_and_pays_nothing_twice() {
    let kinds = [("kling", A_KEY, "kling"), ("kling", A_PAIR, "kling"), ("fal", A_KEY, "fal")];
    for ((gateway, shown, dialect), request) in kinds.iter().flat_map(|kind| ["1", "3", "5"].map(|at| (*kind, at))) {
        let what = format!("{gateway}, request {request}");
        let world = World::demanding(shown, &["--dialect", dialect, "--task-time", "300ms..400ms"]);
        let manifest = world.manifest("m.csv", 4);
        let args = world.through(gateway, &[manifest.to_str().unwrap(), "--canary", "0", "--max-failures", "off"]);
        let begun = Instant::now();
        let mut run = command(&world, &args);
        run.env_remove("NIGHTREEL_NOTIFY_URL").env_remove("NIGHTREEL_NOTIFY_PING");
        let output = run.env("NIGHTREEL_PANIC_AT_REQUEST", request).output().unwrap();
        let told = String::from_utf8_lossy(&output.stderr).into_owned();
        assert_eq!(clean(&what, &output), 1, "{what}: {told}");
        assert!(begun.elapsed() < Duration::from_secs(20), "{what}: it took {:?}", begun.elapsed());
        // The panic tells the request with all its headers, but for the key.
        assert!(told.contains("panicked at") && told.contains("\"authorization\": Sensitive"), "{what}: {told}");
        assert!(told.contains("error: the run broke down") && told.contains("TRACE"), "{what}: {told}");
        for file in files(world.folder.path()) {
            is_clean(&format!("{what}: {file}"), &fs::read(world.path(&file)).unwrap());
        }
        let ran = world.nightreel(&args);
        let status = world.status();
        let (done, held) = (status["done"].as_u64().unwrap(), status["held"].as_u64().unwrap());
        assert_eq!(done + held, 4, "{what}: {status}\n{}", ran.err);
        let tasks = world.tasks();
        let images: HashSet<String> = tasks.iter().map(|task| task["images"].to_string()).collect();
        assert_eq!(tasks.len(), images.len(), "{what}: a row was paid twice");
        // What is in doubt is looked up at Kling; elsewhere it is held, made or not.
        assert!(gateway == "fal" || (held, tasks.len()) == (0, 4), "{what}: {status}");
        world.every_video_is_right(usize::try_from(done).unwrap());
    }
}

#[test]
fn a_process_that_dies_leaves_no_core_file() {
    let world = World::new(&["--task-time", "20s..20s"]);
    let manifest = world.manifest("m.csv", 1);
    let args = world.kling(&[manifest.to_str().unwrap()]);
    let mut shell = Command::new("/bin/sh");
    shell.args(["-c", "ulimit -c unlimited; exec \"$@\"", "sh", env!("CARGO_BIN_EXE_nightreel")]).args(&args);
    shell.current_dir(&world.folder).env_clear().envs(world.secrets());
    let mut run = under_way(&world, shell);
    world.until_made(1);
    signal(&run, "ABRT");
    let ended = run.wait().unwrap();
    assert_eq!(ended.signal(), Some(6), "{ended}");
    assert!(!ended.core_dumped(), "its memory was written down, keys and all");
    assert!(files(world.folder.path()).iter().all(|file| !file.starts_with("core")));
}
