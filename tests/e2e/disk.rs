//! What may happen to the ledger's file and its disk: full, out of inodes, not to be written, cut off, garbled, deleted or
//! replaced under the run. Each ends in going on rightly or in a refusal that says why, never in paying twice.

use std::collections::HashSet;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use crate::support::{Ran, World, interrupt, signal};

/// A small disk of its own in memory, where this machine lets us have one.
struct Disk(PathBuf);

impl Disk {
    fn new(path: PathBuf, options: &str) -> Option<Self> {
        fs::create_dir_all(&path).unwrap();
        let mounted = mount(&["-t", "tmpfs", "-o", options, "tmpfs"], &path);
        mounted.then_some(Self(path))
    }

    fn remount(&self, options: &str) {
        assert!(mount(&["-o", &format!("remount,{options}")], &self.0), "{options}");
    }
}

fn mount(args: &[&str], path: &Path) -> bool {
    Command::new("mount").args(args).arg(path).output().is_ok_and(|output| output.status.success())
}

impl Drop for Disk {
    fn drop(&mut self) {
        let _ = Command::new("umount").arg(&self.0).status();
    }
}

/// No image was asked for twice.
#[track_caller]
fn nothing_is_paid_twice(world: &World) {
    let tasks = world.tasks();
    let images: HashSet<String> = tasks.iter().map(|task| task["images"].to_string()).collect();
    assert_eq!(images.len(), tasks.len(), "a row was paid twice: {tasks:?}");
}

/// The command as it is run where no file may become larger than so many blocks of 512 bytes.
fn within(world: &World, blocks: u64, args: &[&str]) -> Output {
    let command = world.command(args);
    let mut limited = Command::new("sh");
    limited.arg("-c").arg(format!("trap '' XFSZ; ulimit -f {blocks}; exec \"$0\" \"$@\""));
    limited.arg(command.get_program()).args(command.get_args()).current_dir(&world.folder).env_clear();
    limited.env("PATH", "/usr/bin:/bin").envs(world.secrets());
    limited.output().unwrap()
}

#[test]
fn a_disk_that_fills_up_under_the_ledger_ends_the_run_and_the_same_command_goes_on() {
    const ROWS: usize = 12;
    for spare in [16, 48, 96, 160] {
        let world = World::new(&[]);
        let manifest = world.manifest("m.csv", ROWS);
        let Some(disk) = Disk::new(world.path("small"), "size=4m") else {
            return a_file_that_may_not_grow_ends_the_run(&world, &manifest);
        };
        let args = [manifest.to_str().unwrap(), "--state", "small/night.db", "--in-flight", "2"];
        // What an empty ledger needs is there; the rest is used by somebody else.
        world.nightreel(&["status", "--state", "small/night.db"]);
        let first = world.run(&[manifest.to_str().unwrap(), "--state", "small/night.db", "--budget", "0"]);
        assert_eq!((first.code, world.tasks().len()), (Some(11), 0), "{}", first.err);
        let free = free_bytes(&disk.0);
        fs::write(disk.0.join("filler"), vec![1; usize::try_from(free.saturating_sub(spare * 1024)).unwrap()]).unwrap();
        let full = world.run(&args);
        if full.code == Some(0) {
            assert!(spare > 100, "{spare} KiB were enough");
        } else {
            assert_eq!(full.code, Some(9), "{spare} KiB:\n{}\n{}", full.out, full.err);
            let said =
                ["no space is left for the ledger", "is the disk full"].iter().any(|words| full.err.contains(words));
            assert!(said && full.err.contains("run the same command again"), "{}", full.err);
        }
        nothing_is_paid_twice(&world);
        fs::remove_file(disk.0.join("filler")).unwrap();
        world.run(&args).exits(0);
        world.paid_once(ROWS);
    }
}

/// Free bytes of the disk that `path` is on, by `df`.
fn free_bytes(path: &Path) -> u64 {
    let output = Command::new("df").args(["--output=avail", "-B1"]).arg(path).output().unwrap();
    String::from_utf8(output.stdout).unwrap().lines().nth(1).unwrap().trim().parse().unwrap()
}

/// Where no disk can be made: no file may become larger than it should.
fn a_file_that_may_not_grow_ends_the_run(world: &World, manifest: &Path) {
    let args = world.kling(&[manifest.to_str().unwrap(), "--in-flight", "2"]);
    let mut ended = HashSet::new();
    for blocks in [8, 64, 160, 320, 400, 480, 640] {
        let ran = Ran::from(within(world, blocks, &args));
        ended.insert(ran.code);
        nothing_is_paid_twice(world);
    }
    assert!(ended.iter().any(|code| *code != Some(0)), "{ended:?}");
    world.nightreel(&args).exits(0);
    world.paid_once(12);
}

#[test]
fn a_disk_without_inodes_is_refused_or_stops_the_run_before_more_is_paid() {
    let world = World::new(&[]);
    let manifest = world.manifest("m.csv", 6);
    let args = [manifest.to_str().unwrap(), "--state", "small/night.db", "--out", "videos", "--in-flight", "1"];
    // Room for the folder, the ledger and its lock; for its log no more.
    let Some(disk) = Disk::new(world.path("small"), "size=4m,nr_inodes=3") else {
        println!("not tried: no disk can be made here");
        return;
    };
    let refused = world.run(&args);
    assert!(refused.code == Some(9) && world.tasks().is_empty(), "{refused:?}");
    assert!(refused.err.contains("ledger"), "{}", refused.err);
    disk.remount("nr_inodes=64");
    world.run(&args).exits(0);
    world.paid_once(6);
    drop(disk);

    // The same of the output tree.
    let world = World::new(&[]);
    let manifest = world.manifest("m.csv", 6);
    let disk = Disk::new(world.path("videos"), "size=4m,nr_inodes=5").unwrap();
    let args = [manifest.to_str().unwrap(), "--in-flight", "1"];
    let stopped = world.run(&args).exits(9);
    assert!(stopped.err.contains("no space is left in the output tree"), "{}", stopped.err);
    assert!(world.tasks().len() < 6, "what cannot be stored was paid for: {:?}", world.tasks());
    disk.remount("nr_inodes=64");
    world.run(&args).exits(0);
    world.paid_once(6);
}

#[test]
fn a_ledger_that_may_not_be_written_is_refused_and_nothing_is_sent() {
    let world = World::new(&["--task-time", "300ms..400ms"]);
    let manifest = world.manifest("m.csv", 6);
    let args = [manifest.to_str().unwrap(), "--state", "small/night.db", "--in-flight", "2"];
    let Some(disk) = Disk::new(world.path("small"), "size=4m") else {
        println!("not tried: no disk can be made here");
        return;
    };
    let run = world.command(&world.kling(&args)).spawn().unwrap();
    world.until_made(2);
    interrupt(run);
    let before = world.tasks().len();
    disk.remount("ro");
    let refused = world.run(&args);
    assert_eq!((refused.code, world.tasks().len()), (Some(9), before), "{}", refused.err);
    assert!(refused.err.contains("night.db"), "{}", refused.err);
    disk.remount("rw");
    world.run(&args).exits(0);
    world.paid_once(6);
}

/// A ledger with rows in all states, of a remote that finds nothing, and how many tasks were made.
fn half_a_night(world: &World, manifest: &str) -> usize {
    let args = world.compatible(&[manifest, "--in-flight", "2", "--max-failures", "off", "--canary", "0"]);
    let killed = world.command(&args).env("NIGHTREEL_KILL_AFTER_EVENT", "14").output().unwrap();
    assert_eq!(killed.status.code(), None, "{killed:?}");
    world.tasks().len()
}

#[test]
fn a_ledger_that_was_cut_off_or_garbled_never_has_a_row_paid_twice() {
    let world = World::new(&["--no-lookup", "--no-list"]);
    let manifest = world.manifest("m.csv", 8);
    let manifest = manifest.to_str().unwrap();
    let made = half_a_night(&world, manifest);
    assert!(made > 2, "{made}");
    // All of it in one file.
    world.nightreel(&["export", "whole.db"]).exits(0);
    let whole = fs::read(world.path("whole.db")).unwrap();
    let (mut refused, mut went_on) = (0, 0);
    let mut damaged: Vec<(String, Vec<u8>)> = Vec::new();
    for cut in [100, 4096, whole.len() / 3, whole.len() / 2, whole.len() - 4096, whole.len() - 100] {
        damaged.push((format!("cut off at {cut}"), whole[..cut].to_vec()));
    }
    let mut dice = fastrand::Rng::with_seed(31);
    for page in 0..whole.len() / 4096 {
        let mut bytes = whole.clone();
        dice.fill(&mut bytes[page * 4096..(page + 1) * 4096]);
        damaged.push((format!("page {} garbled", page + 1), bytes));
    }
    for (number, (what, bytes)) in damaged.iter().enumerate() {
        let state = format!("state/{number}.db");
        fs::write(world.path(&state), bytes).unwrap();
        let args = world.compatible(&[manifest, "--state", &state, "--max-failures", "off", "--canary", "0"]);
        let before = world.tasks().len();
        let ran = world.nightreel(&args);
        let after = world.tasks().len();
        match ran.code {
            Some(0 | 4) => went_on += 1,
            Some(1 | 2 | 9) => {
                refused += 1;
                assert!(!ran.err.trim().is_empty(), "{what}: nothing was said");
            }
            code => panic!("{what}: exit {code:?}\n{}", ran.err),
        }
        assert!(!ran.err.contains("panicked"), "{what}: {}", ran.err);
        println!("{what}: exit {:?}, {} more: {}", ran.code, after - before, ran.err.lines().next().unwrap_or(""));
        nothing_is_paid_twice(&world);
    }
    assert!(refused >= 6, "{refused} were refused, {went_on} went on");
}

#[test]
fn a_ledger_that_is_deleted_under_its_run_stops_it_and_is_put_back() {
    // Long enough that it is not taken for an empty ledger.
    let other = b"somebody else's ".repeat(300);
    for how in ["file", "folder", "replaced"] {
        let world = World::new(&["--no-lookup", "--no-list", "--task-time", "300ms..500ms"]);
        let manifest = world.manifest("m.csv", 12);
        let args = world.compatible(&[manifest.to_str().unwrap(), "--in-flight", "2", "--canary", "0"]);
        let run = world.command(&args).spawn().unwrap();
        world.until_made(3);
        let ledger = world.path("state/nightreel.db");
        match how {
            "file" => fs::remove_file(&ledger).unwrap(),
            "folder" => fs::remove_dir_all(world.path("state")).unwrap(),
            _ => {
                fs::write(world.path("other"), &other).unwrap();
                fs::rename(world.path("other"), &ledger).unwrap();
            }
        }
        let ran = Ran::from(run.wait_with_output().unwrap());
        assert_eq!(ran.code, Some(9), "{how}: {}", ran.err);
        assert!(ran.err.contains("deleted, moved or replaced"), "{how}: {}", ran.err);
        let made = world.tasks().len();
        assert!(made < 12, "{how}: it went on");
        if how == "replaced" {
            assert!(!world.path("state/nightreel.db-wal").exists(), "its log would be folded into the other file");
            world.nightreel(&args).exits(2);
            assert_eq!(world.tasks().len(), made);
            assert_eq!(fs::read(&ledger).unwrap(), other);
            fs::rename(world.path("state/nightreel.db.kept"), &ledger).unwrap();
        }
        // What was asked for when the ledger went is in doubt, and held: here nothing can be looked up.
        let code = world.nightreel(&args).code;
        assert!(matches!(code, Some(0 | 4)), "{how}: {code:?}");
        nothing_is_paid_twice(&world);
        let status = world.status();
        let (done, held) = (status["done"].as_u64().unwrap(), status["held"].as_u64().unwrap());
        assert_eq!(done + held, 12, "{how}: {status}");
        assert!(held <= 3, "{how}: {status}");
        world.every_video_is_right(usize::try_from(done).unwrap());
    }
}

/// The command on a file system that answers some calls so, as `strace` plays it.
fn refused_calls(world: &World, inject: &str, args: &[&str]) -> Ran {
    let command = world.command(args);
    let mut strace = Command::new("strace");
    let call = inject.split(':').next().unwrap();
    strace.args(["-f", "-qq", "-o", "/dev/null", "-e", &format!("trace={call}"), "-e", &format!("inject={inject}")]);
    strace.arg(command.get_program()).args(command.get_args());
    strace.current_dir(&world.folder).env_clear().envs(world.secrets());
    Ran::from(strace.output().unwrap_or_else(|error| panic!("strace is needed: apt-get install -y strace: {error}")))
}

#[test]
fn where_no_locks_are_kept_a_run_is_refused_with_what_to_do_and_sends_nothing() {
    let world = World::new(&[]);
    let manifest = world.manifest("m.csv", 2);
    let args = world.kling(&[manifest.to_str().unwrap()]);
    // A share whose server answers nobody who asks for a lock; a file system that knows none.
    for error in ["ENOLCK", "EOPNOTSUPP"] {
        let ran = refused_calls(&world, &format!("flock:error={error}"), &args).exits(2);
        assert!(ran.err.contains("keeps none: a network share?"), "{error}: {}", ran.err);
        assert!(ran.err.contains("a local disk with --state PATH"), "{error}: {}", ran.err);
        assert_eq!(world.tasks().len(), 0, "{error}");
    }
    // Where locks are kept again, it goes on.
    world.nightreel(&args).exits(0);
    world.paid_once(2);
}

#[test]
fn a_run_that_is_stopped_for_long_keeps_its_ledger_and_goes_on() {
    let world = World::new(&["--task-time", "200ms..300ms"]);
    let manifest = world.manifest("m.csv", 8);
    let args = world.kling(&[manifest.to_str().unwrap(), "--in-flight", "2"]);
    let run = world.command(&args).spawn().unwrap();
    world.until_made(3);
    signal(&run, "STOP");
    // There is no lease that could run out: the lock is the process's, however long it does nothing.
    for _ in 0..3 {
        let refused = world.nightreel(&args).exits(6);
        assert!(refused.err.contains("another run holds the ledger"), "{}", refused.err);
        world.nightreel(&["status"]).exits(0);
    }
    world.until_ended();
    signal(&run, "CONT");
    let ran = Ran::from(run.wait_with_output().unwrap());
    ran.exits(0);
    world.paid_once(8);
}
