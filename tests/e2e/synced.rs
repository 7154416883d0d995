//! What a loss of power would find: the order in which the real binary asks the system to write and to sync, as `strace` sees
//! it. A request leaves only once its intent is synced; a video is recorded only once it is synced under its final name.

use std::collections::HashMap;
use std::fs;
use std::process::{Command, Stdio};

use crate::support::World;

/// What the binary asked of the system, in the order in which it was done.
fn traced(world: &World, args: &[&str]) -> Vec<String> {
    let command = world.command(args);
    let trace = world.path("trace");
    let mut strace = Command::new("strace");
    strace.args(["-f", "-y", "-s", "64", "-e", "trace=pwrite64,fsync,fdatasync,renameat2,writev,sendto,write", "-o"]);
    strace.arg(&trace).arg(command.get_program()).args(command.get_args());
    strace.current_dir(&world.folder).env_clear().envs(world.secrets()).stdin(Stdio::null());
    let output = strace.output().unwrap_or_else(|error| panic!("strace is needed: apt-get install -y strace: {error}"));
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let mut begun: HashMap<String, String> = HashMap::new();
    let mut done = Vec::new();
    for line in fs::read_to_string(trace).unwrap().lines() {
        let (thread, call) = line.split_once(' ').unwrap();
        if let Some(half) = call.trim().strip_suffix("<unfinished ...>") {
            begun.insert(thread.to_owned(), half.to_owned());
        } else if let Some((_, rest)) = call.split_once(" resumed>") {
            done.push(begun.remove(thread).unwrap_or_default() + rest);
        } else {
            done.push(call.trim().to_owned());
        }
    }
    done
}

#[test]
fn a_request_leaves_after_its_intent_is_synced_and_a_video_is_recorded_after_it_is() {
    let world = World::new(&[]);
    let manifest = world.manifest("m.csv", 1);
    let calls = traced(&world, &world.kling(&[manifest.to_str().unwrap(), "--no-report"]));
    let place = |what: &str, is_it: &dyn Fn(&str) -> bool| {
        calls.iter().position(|call| is_it(call)).unwrap_or_else(|| panic!("never: {what}\n{}", calls.join("\n")))
    };
    let writes_log = |call: &str| call.starts_with("pwrite64(") && call.contains("nightreel.db-wal>");
    let syncs = |call: &str| call.starts_with("fsync(") || call.starts_with("fdatasync(");
    let syncs_log = |call: &str| syncs(call) && call.contains("nightreel.db-wal>") && call.ends_with("= 0");

    let sent = place("a request", &|call| call.contains("POST /v1/videos/effects"));
    let written = calls[..sent].iter().rposition(|call| writes_log(call)).unwrap();
    assert!(calls[written..sent].iter().any(|call| syncs_log(call)), "{}", calls[written..=sent].join("\n"));

    let named =
        place("a name", &|call| call.starts_with("renameat2(") && call.contains(".part\"") && call.contains(".mp4"));
    let part = calls[..named].iter().rposition(|call| syncs(call) && call.contains(".part>")).unwrap();
    let recorded = named + calls[named..].iter().position(|call| writes_log(call)).unwrap();
    let folder = calls[named..recorded].iter().any(|call| syncs(call) && call.contains("videos/squish>"));
    assert!(folder, "recorded before its name is durable:\n{}", calls[part..=recorded].join("\n"));
    let bytes = calls[part..named].iter().any(|call| call.starts_with("write(") && call.contains(".part>"));
    assert!(!bytes, "written after it was synced:\n{}", calls[part..=named].join("\n"));
}
