//! A command of the user's own, run by the shell in a group of its own, and ended with all that it started when it takes
//! too long.

use std::os::unix::process::CommandExt;
use std::process::{Command, ExitStatus, Stdio};
use std::time::Duration;

use rustix::process::{Pid, Signal, kill_process_group};

use crate::pace::Clock;

/// A group of processes that is ended when nobody waits for it any more.
struct Group(Option<Pid>);

impl Drop for Group {
    fn drop(&mut self) {
        if let Some(leader) = self.0 {
            // One that has just ended by itself needs no end.
            let _ = kill_process_group(leader, Signal::KILL);
        }
    }
}

/// Runs `command`, with `shown` and without `withheld` in its environment. What it prints goes to standard error, for
/// standard output is the run's own.
pub(super) async fn run(
    clock: &Clock,
    command: &str,
    shown: [(&'static str, String); 3],
    withheld: &[String],
    within: Duration,
) -> Result<(), String> {
    let mut shell = Command::new("/bin/sh");
    shell.arg("-c").arg(command).process_group(0);
    shell.stdin(Stdio::null()).stdout(std::io::stderr()).stderr(Stdio::inherit());
    for variable in withheld {
        shell.env_remove(variable);
    }
    let mut child = shell.envs(shown).spawn().map_err(|error| format!("could not be started: {error}"))?;
    let mut group = Group(i32::try_from(child.id()).ok().and_then(Pid::from_raw));
    let ended = tokio::task::spawn_blocking(move || child.wait());
    let status: ExitStatus = match clock.within(within, ended).await {
        Some(Ok(Ok(status))) => status,
        Some(Ok(Err(error))) => return Err(format!("was lost: {error}")),
        Some(Err(_)) => return Err("was lost".to_owned()),
        None => return Err(format!("took longer than {} s and was ended", within.as_secs())),
    };
    // What it left in the background on purpose is its own.
    group.0 = None;
    if status.success() { Ok(()) } else { Err(format!("failed: {status}")) }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shown(text: &str) -> [(&'static str, String); 3] {
        [("NIGHTREEL_EVENT", "end".into()), ("NIGHTREEL_SUMMARY", text.into()), ("NIGHTREEL_EXIT_CODE", "0".into())]
    }

    #[tokio::test]
    async fn a_command_that_takes_too_long_is_ended_with_what_it_started() {
        let folder = tempfile::tempdir().unwrap();
        let pids = folder.path().join("pids");
        let command = format!("echo $$ > {0}; sleep 600 & echo $! >> {0}; wait", pids.display());
        let clock = Clock::system();
        let ran = run(&clock, &command, shown(""), &[], Duration::from_secs(2)).await;
        assert!(ran.unwrap_err().contains("took longer"));
        let pids = std::fs::read_to_string(&pids).unwrap();
        assert_eq!(pids.lines().count(), 2);
        for pid in pids.lines() {
            // Dead, or dying and not yet waited for.
            while std::fs::read_to_string(format!("/proc/{pid}/stat")).is_ok_and(|stat| !stat.contains(") Z")) {
                tokio::task::yield_now().await;
            }
        }
    }

    #[tokio::test]
    async fn words_from_outside_reach_a_command_as_words() {
        let folder = tempfile::tempdir().unwrap();
        let told = folder.path().join("told");
        let command = format!("printf '%s' \"$NIGHTREEL_SUMMARY\" > {}", told.display());
        run(&Clock::system(), &command, shown("$(exit 3); `false` \"'"), &[], Duration::from_secs(10)).await.unwrap();
        assert_eq!(std::fs::read_to_string(told).unwrap(), "$(exit 3); `false` \"'");
        let failed = run(&Clock::system(), "exit 3", shown(""), &[], Duration::from_secs(10)).await.unwrap_err();
        assert!(failed.contains('3'), "{failed}");
    }
}
