//! For crash tests of the real binary: with `NIGHTREEL_KILL_AFTER_EVENT=n` in the environment the process kills itself (SIGKILL)
//! right after the commit of the n-th event, before anybody learns of it. Each store counts its events by itself.

use rustix::process::{Signal, getpid, kill_process};

const KILL_AFTER_EVENT: &str = "NIGHTREEL_KILL_AFTER_EVENT";

/// After which event, where it was asked for.
pub(super) fn after_event() -> Option<u64> {
    std::env::var(KILL_AFTER_EVENT).ok().and_then(|text| text.parse().ok())
}

/// Kills this process.
pub(super) fn this_process() {
    kill_process(getpid(), Signal::KILL).unwrap_or(());
}
