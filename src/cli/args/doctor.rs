//! What is to be examined: the same that a run would use.

use std::path::PathBuf;

use clap::Args;

use super::shared::{Images, Output, Remote};
use crate::config::Key;

/// Flags of `doctor`.
#[derive(Debug, Args)]
pub(crate) struct Doctor {
    /// The manifest (CSV) that is to be run: its rows count as videos to be made
    pub(crate) manifest: Option<PathBuf>,
    /// Send a test to everybody in `[notify]`: webhook, ping (to its /log, which tells of no run) and command
    #[arg(long)]
    pub(crate) notify: bool,
    #[command(flatten)]
    remote: Remote,
    #[command(flatten)]
    output: Output,
    #[command(flatten)]
    images: Images,
    /// Requests that may be paid, in a time: 20/min, 5/s [default: 60/min]
    #[arg(long, value_name = "RATE", help_heading = "Remote")]
    rate: Option<String>,
    /// Parallel generations [default: 5]
    #[arg(long, value_name = "N", help_heading = "Remote")]
    in_flight: Option<String>,
    /// --in-flight is all that the account allows: find a free slot by sending the next row
    #[arg(long, help_heading = "Remote")]
    probe: bool,
    /// Rows that stay in doubt: hold them, or resend them, which may pay twice [default: hold]
    #[arg(long, value_name = "WHAT", help_heading = "Money")]
    in_doubt: Option<String>,
}

impl Doctor {
    pub(super) fn flags(&self) -> Vec<(Key, Option<String>)> {
        let mut flags = self.remote.flags();
        flags.extend(self.output.flags());
        flags.extend(self.images.flags());
        flags.push((Key::Rate, self.rate.clone()));
        flags.push((Key::InFlight, self.in_flight.clone()));
        flags.push((Key::Probe, self.probe.then(|| true.to_string())));
        flags.push((Key::InDoubt, self.in_doubt.clone()));
        flags
    }
}
