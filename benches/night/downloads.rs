//! How fast finished videos come in, beside aria2c and curl from the same server. Theirs are neither checked nor synced by
//! themselves: `sync` and `sha256sum` afterwards are counted apart.

use std::fs;
use std::path::Path;
use std::process::Command;
use std::time::Duration;

use super::rig::{self, Remote, Usage, interrupt, measured};

/// Parallel downloads, of all three.
const AT_ONCE: &str = "16";

pub(crate) fn run() {
    rig::head(&["files", "", "MiB/s", "CPU a GiB", "peak memory"]);
    let small = std::env::var_os("NIGHT_SMALL").is_some();
    for (files, mib) in [(2000, 1), (if small { 4 } else { 20 }, 500)] {
        set(files, mib);
    }
}

fn set(files: usize, mib: u64) {
    let bytes = (mib << 20).to_string();
    // Long enough that all are sent before the first one ends.
    let remote = Remote::start(&["--task-time", "8s..8s", "--in-flight", "none", "--video-bytes", &bytes]);
    remote.manifest(files);
    let flags = ["--rate", "100000/s", "--in-flight", "4000", "--canary", "0", "--min-poll", "8s"];
    let mut paying = remote.run("kling", &flags).spawn().unwrap();
    while remote.tasks_made() < files {
        std::thread::park_timeout(Duration::from_millis(20));
    }
    // All is paid for and recorded; the rest is left to be collected.
    std::thread::park_timeout(Duration::from_millis(500));
    interrupt(&paying);
    paying.wait().unwrap();
    std::thread::park_timeout(Duration::from_secs(9));

    let links = remote.links();
    let log = remote.path("log");
    let mut collect = remote.nightreel(&["collect", "--quiet", "--gateway", "kling", "--base-url", &remote.base_url]);
    collect.args(["--downloads", AT_ONCE, "--min-poll", "50ms"]);
    let ours = measured(&mut collect, &log);
    told("nightreel collect", files, mib, ours);
    assert_eq!(count(&remote.path("videos")), files);
    fs::remove_dir_all(remote.path("videos")).unwrap();

    let list = remote.path("links.txt");
    fs::write(&list, links.join("\n")).unwrap();
    let mut aria = Command::new("aria2c");
    aria.args(["-x1", "-j16", "-q", "--file-allocation=none", "--auto-file-renaming=false", "-d", "aria", "-i"]);
    let aria = synced(&remote, aria.arg(&list), "aria");
    let config: String =
        links.iter().enumerate().map(|(i, url)| format!("url = \"{url}\"\noutput = \"curl/{i}.mp4\"\n")).collect();
    fs::write(remote.path("curl.txt"), config).unwrap();
    let mut curl = Command::new("curl");
    curl.args(["--parallel", "--parallel-max", AT_ONCE, "-s", "--create-dirs", "-K", "curl.txt"]);
    let curl = synced(&remote, &mut curl, "curl");
    for (name, (bare, synced, summed)) in [("aria2c", aria), ("curl", curl)] {
        told(name, files, mib, bare);
        told(&format!("{name}, sync"), files, mib, synced);
        told(&format!("{name}, sync, sha256sum"), files, mib, summed);
        println!(
            "  nightreel: {:.2} of its throughput ({:.2} with sync), {:.2} of its CPU ({:.2} with sync and sums)",
            bare.wall.as_secs_f64() / ours.wall.as_secs_f64(),
            synced.wall.as_secs_f64() / ours.wall.as_secs_f64(),
            ours.cpu.as_secs_f64() / bare.cpu.as_secs_f64(),
            ours.cpu.as_secs_f64() / summed.cpu.as_secs_f64(),
        );
    }
}

/// What a peer took by itself, with `sync` of its files, and with their sums, too.
fn synced(remote: &Remote, command: &mut Command, folder: &str) -> (Usage, Usage, Usage) {
    let log = remote.path("log");
    let bare = measured(command.current_dir(&remote.folder), &log);
    let shell = |words: &str| {
        let mut shell = Command::new("sh");
        shell.args(["-c", words]).current_dir(&remote.folder);
        measured(&mut shell, &log)
    };
    let sync = shell(&format!("sync {folder}/* {folder}"));
    let sums = shell(&format!("sha256sum {folder}/*"));
    fs::remove_dir_all(remote.path(folder)).unwrap();
    let synced = and(bare, sync);
    (bare, synced, and(synced, sums))
}

fn and(one: Usage, other: Usage) -> Usage {
    let peak_kib = one.peak_kib.max(other.peak_kib);
    Usage { wall: one.wall + other.wall, cpu: one.cpu + other.cpu, peak_kib, ok: one.ok && other.ok }
}

fn told(name: &str, files: usize, mib: u64, usage: Usage) {
    let all = files as f64 * mib as f64;
    rig::line(&[
        format!("{files} of {mib} MiB"),
        name.to_owned(),
        format!("{:.0}", usage.per_second(all)),
        format!("{:.2} s", usage.cpu.as_secs_f64() / all * 1024.0),
        format!("{:.1} MiB", usage.peak_mib()),
    ]);
}

/// How many videos there are in a folder and those in it.
fn count(folder: &Path) -> usize {
    let entries = fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path());
    entries
        .map(
            |path| {
                if path.is_dir() { count(&path) } else { usize::from(path.extension().is_some_and(|end| end == "mp4")) }
            },
        )
        .sum()
}
