//! What a person sees on a terminal of 60, 100 and 160 columns: while a run is on, when it is interrupted, when it is over.

use std::io::{Read, Write};
use std::process::{Child, ExitStatus};
use std::sync::{Arc, Mutex};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use pty_process::Size;
use pty_process::blocking::{Pty, open};

use crate::support::World;

const LINES: u16 = 40;
const WIDTHS: [u16; 3] = [60, 100, 160];

/// A command on a terminal of its own.
struct Session {
    pty: Arc<Pty>,
    child: Child,
    shown: Arc<Mutex<Shown>>,
    reader: JoinHandle<()>,
}

/// What came to the terminal.
struct Shown {
    parser: vt100::Parser,
    bytes: Vec<u8>,
}

impl Session {
    fn start(world: &World, columns: u16, variables: &[(&str, &str)], args: &[&str]) -> Self {
        let (pty, pts) = open().unwrap();
        pty.resize(Size::new(LINES, columns)).unwrap();
        let usual = [("TERM", "xterm-256color"), ("LANG", "C.UTF-8"), ("TZ", "UTC")];
        // Where the tests themselves were started in the background, a program would inherit that Ctrl-C is ignored.
        let command = pty_process::blocking::Command::new("/usr/bin/env").arg("--default-signal=INT");
        let command = command.arg(env!("CARGO_BIN_EXE_nightreel")).args(args).env_clear();
        let command = command.envs(world.secrets()).envs(usual).envs(variables.iter().copied());
        let child = command.current_dir(&world.folder).spawn(pts).unwrap();
        let shown = Shown {
            parser: vt100::Parser::new(LINES.try_into().unwrap(), columns.try_into().unwrap(), 0),
            bytes: Vec::new(),
        };
        let (pty, shown) = (Arc::new(pty), Arc::new(Mutex::new(shown)));
        let reader = std::thread::spawn({
            let (pty, shown) = (Arc::clone(&pty), Arc::clone(&shown));
            move || {
                let mut piece = [0; 4096];
                // Once the command has ended, there is an error instead of an end.
                while let Ok(count @ 1..) = (&*pty).read(&mut piece) {
                    let mut shown = shown.lock().unwrap();
                    shown.parser.process(&piece[..count]);
                    shown.bytes.extend(&piece[..count]);
                }
            }
        });
        Self { pty, child, shown, reader }
    }

    /// The lines that are seen, without empty ones at the end.
    fn screen(&self) -> String {
        seen(&self.shown.lock().unwrap().parser)
    }

    /// Waits until the screen is as told.
    #[track_caller]
    fn until(&self, is_so: impl Fn(&str) -> bool) -> String {
        let begun = Instant::now();
        loop {
            let screen = self.screen();
            if is_so(&screen) {
                return screen;
            }
            assert!(begun.elapsed() < Duration::from_secs(30), "never came about:\n{screen}");
            std::thread::sleep(Duration::from_millis(20));
        }
    }

    fn press_control_c(&self) {
        self.press("\x03");
    }

    fn press(&self, keys: &str) {
        (&*self.pty).write_all(keys.as_bytes()).unwrap();
    }

    /// How the command ended. Fails when it does not within half a minute.
    #[track_caller]
    fn wait(&mut self) -> ExitStatus {
        let begun = Instant::now();
        loop {
            if let Some(ended) = self.child.try_wait().unwrap() {
                return ended;
            }
            if begun.elapsed() > Duration::from_secs(30) {
                self.child.kill().unwrap();
                panic!("it did not end:\n{}", self.screen());
            }
            std::thread::sleep(Duration::from_millis(20));
        }
    }

    /// What is seen once a signal has ended the command.
    fn leave(mut self) -> String {
        let ended = self.wait();
        self.reader.join().unwrap();
        assert_eq!(ended.code(), None, "{ended}");
        seen(&self.shown.lock().unwrap().parser)
    }

    /// What is seen once the command has ended, and all that came.
    #[track_caller]
    fn end(mut self, code: i32) -> (String, String) {
        let ended = self.wait();
        self.reader.join().unwrap();
        let shown = self.shown.lock().unwrap();
        let (screen, bytes) = (seen(&shown.parser), String::from_utf8_lossy(&shown.bytes).into_owned());
        assert_eq!(ended.code(), Some(code), "{screen}");
        (screen, bytes)
    }
}

/// The lines that are seen, as they stand on the screen, without empty ones at the end.
fn seen(parser: &vt100::Parser) -> String {
    let screen = parser.screen();
    let lines = screen.rows(0, screen.size().1.get()).map(|line| line.trim_end().to_owned());
    lines.collect::<Vec<_>>().join("\n").trim_end().to_owned()
}

/// What changes from run to run, made the same: spans, hours, the remote's names, this folder.
fn steady(screen: &str, world: &World) -> String {
    let screen = screen.replace(&world.folder.path().display().to_string(), "FOLDER");
    let lines = screen.lines().map(|line| {
        let words = line.trim_start();
        let varies = words.starts_with("time ") || line.starts_with("stopping") || words.contains(" slots");
        let line = if varies { numbers_gone(line) } else { line.to_owned() };
        // The spinner turns, and which row was mentioned last is chance.
        if words.starts_with(|first: char| ('\u{2800}'..='\u{28ff}').contains(&first)) {
            "        * …".into()
        } else {
            line
        }
    });
    lines.collect::<Vec<_>>().join("\n")
}

/// Numbers as `#`, which stand for themselves wherever they are.
fn numbers_gone(line: &str) -> String {
    let mut text = String::new();
    for letter in line.chars() {
        match letter {
            digit if digit.is_ascii_digit() => {
                if !text.ends_with('#') {
                    text.push('#');
                }
            }
            other => text.push(other),
        }
    }
    text
}

/// A manifest of rows of these scenes.
fn manifest(scenes: &[&str]) -> String {
    let row = |(at, scene): (usize, &&str)| {
        let second = if *scene == "hug_pro" { "|https://example.com/other.jpg" } else { "" };
        format!("row{at},{scene},https://example.com/{at}.jpg{second},5\n")
    };
    format!("id,scene,images,duration\n{}", scenes.iter().enumerate().map(row).collect::<String>())
}

/// A batch of eight rows, of which three are made and one has failed, and the rest of which takes long.
fn under_way() -> World {
    let mut world = World::new(&["--task-time", "2s..2s", "--fail-scene", "hug_pro", "--world", "world.json"]);
    let mut scenes = vec!["squish", "squish", "hug_pro", "balloon_parade"];
    world.write("wedding.csv", manifest(&scenes));
    world.run(&["wedding.csv", "--canary", "0"]).exits(3);
    world.replace(&["--task-time", "5m..5m", "--world", "world.json"]);
    scenes.extend(["squish"; 4]);
    world.write("wedding.csv", manifest(&scenes));
    world
}

#[test]
fn a_run_is_seen_as_it_stands_and_says_what_happens_when_it_is_stopped() {
    for columns in WIDTHS {
        let world = under_way();
        let args = world.kling(&["wedding.csv", "--in-flight", "3", "--budget", "20", "--canary", "0"]);
        let session = Session::start(&world, columns, &[], &args);
        let used = if columns < 90 { "3/3 slots" } else { "3 of 3 slots" };
        let seen = session.until(|screen| screen.contains(used) && screen.contains("left: done"));
        insta::assert_snapshot!(format!("under-way-{columns}"), steady(&seen, &world));
        session.press_control_c();
        let (seen, bytes) = session.end(5);
        insta::assert_snapshot!(format!("interrupted-{columns}"), steady(&seen, &world));
        assert!(bytes.contains("\x1b[36m"), "there is no colour");
        // Nothing is wiped as a whole: what flickers is what is gone for a moment.
        assert!(!bytes.contains("\x1b[2J") && !bytes.contains("\x1b[J"), "the screen is wiped");
    }
}

#[test]
fn a_run_ends_with_a_table_and_with_what_to_type_next() {
    for columns in WIDTHS {
        let world = World::new(&["--fail-scene", "hug_pro", "--task-time", "200ms..300ms"]);
        let scenes = ["squish", "hug_pro"].into_iter().chain(["balloon_parade"; 14]).collect::<Vec<_>>();
        world.write("wedding.csv", manifest(&scenes));
        let args = world.kling(&["wedding.csv", "--in-flight", "2", "--canary", "0"]);
        let session = Session::start(&world, columns, &[], &args);
        session.until(|screen| screen.contains("failure row1: the task failed: Failure to pass"));
        let (seen, _) = session.end(3);
        insta::assert_snapshot!(format!("done-{columns}"), steady(&seen, &world));
    }
}

#[test]
fn colours_and_letters_are_those_that_the_terminal_wants() {
    let world = under_way();
    let args = world.kling(&["wedding.csv", "--in-flight", "3", "--canary", "0"]);
    let seen_with = |variables: &[(&str, &str)]| {
        let session = Session::start(&world, 100, variables, &args);
        session.until(|screen| screen.contains("3 of 3 slots"));
        session.press_control_c();
        session.end(5).1
    };
    // An escape that ends in `m` sets a colour; others move the cursor.
    let colours = |bytes: &str| {
        bytes
            .split("\x1b[")
            .skip(1)
            .any(|rest| rest.trim_start_matches(|c: char| c.is_ascii_digit() || c == ';').starts_with('m'))
    };
    let usual = seen_with(&[]);
    assert!(colours(&usual) && usual.contains('█'));
    let plain = seen_with(&[("NO_COLOR", "1")]);
    assert!(!colours(&plain) && plain.contains('█'), "{plain:?}");
    let ascii = seen_with(&[("LANG", "C")]);
    assert!(ascii.is_ascii() && ascii.contains("==>"), "{ascii:?}");
}

#[test]
fn a_terminal_that_cannot_draw_is_told_a_line_a_minute() {
    let world = under_way();
    let args = world.kling(&["wedding.csv", "--in-flight", "3", "--canary", "0", "--budget", "20"]);
    let session = Session::start(&world, 100, &[("TERM", "dumb")], &args);
    let line = |screen: &str| screen.lines().filter(|line| line.starts_with("3/4 collected, ")).count();
    let seen = session.until(|screen| line(screen) == 1);
    assert!(seen.contains("1 failed; ") && seen.contains("; about USD 1.12 of 20.00"), "{seen}");
    world.until("the rest is at the remote", |made| made.len() == 7);
    session.press_control_c();
    let (seen, bytes) = session.end(5);
    assert_eq!(line(&seen), 1, "{seen}");
    assert!(!bytes.contains('\x1b'), "{bytes:?}");
}

#[test]
fn questions_are_answered_on_a_terminal_and_can_be_left() {
    let world = World::new(&[]);
    let asked = |session: &Session, question: &str, answer: &str| {
        session.until(|screen| screen.contains(question));
        session.press(answer);
    };
    let session = Session::start(&world, 60, &[], &["init"]);
    asked(&session, "which gateway", "\x03");
    let ended = session.leave();
    assert!(!world.path("nightreel.toml").exists() && ended.contains("which gateway"), "{ended}");
    let session = Session::start(&world, 60, &[], &["init"]);
    asked(&session, "which gateway", "klng\n");
    asked(&session, "is not valid", "kling\n");
    asked(&session, "the path of the file with the key", "\n");
    asked(&session, "how many requests", "20/min\n");
    asked(&session, "how many generations", "\n");
    asked(&session, "where videos go", "\n");
    let (seen, _) = session.end(0);
    assert!(seen.contains("nightreel.toml is written"), "{seen}");
    let file = std::fs::read_to_string(world.path("nightreel.toml")).unwrap();
    assert!(file.contains("\ngateway = \"kling\"") && file.contains("\nrate = \"20/min\""), "{file}");
}
