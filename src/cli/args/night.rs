//! What `run` and `check` are told.

use std::path::PathBuf;

use clap::Args;

use crate::config::Key;

use super::schedule::Shift;
use super::serve::Shown;
use super::shared::{Images, Output, Pacing, Remote};

/// What is done of the work, and with how much caution.
#[derive(Debug, Args)]
struct Work {
    /// What of the work it does: all, submit,watch or collect [default: all]
    #[arg(long, value_name = "STAGES", help_heading = "Many machines")]
    stages: Option<String>,
    /// How many of the last tasks may fail before their scene or account is paused, or off [default: 50%]
    #[arg(long, value_name = "PERCENT", help_heading = "Money")]
    max_failures: Option<String>,
    /// Rows that stay in doubt: hold them, or resend them, which may pay twice [default: hold]
    #[arg(long, value_name = "WHAT", help_heading = "Money")]
    in_doubt: Option<String>,
}

impl Work {
    fn flags(&self) -> [(Key, Option<String>); 3] {
        [
            (Key::Stages, self.stages.clone()),
            (Key::InDoubt, self.in_doubt.clone()),
            (Key::MaxFailures, self.max_failures.clone()),
        ]
    }
}

/// Flags of `run`.
#[derive(Debug, Args)]
pub(crate) struct Run {
    /// The manifest (CSV)
    pub(crate) manifest: Option<PathBuf>,
    /// The batch's name [default: the manifest's name]
    #[arg(long, value_name = "NAME")]
    pub(crate) batch: Option<String>,
    #[command(flatten)]
    pub(crate) remote: Remote,
    #[command(flatten)]
    pub(crate) output: Output,
    #[command(flatten)]
    pacing: Pacing,
    #[command(flatten)]
    images: Images,
    #[command(flatten)]
    shift: Shift,
    #[command(flatten)]
    shown: Shown,
    #[command(flatten)]
    work: Work,
    /// Send rows again that changed after they were submitted, and pay for them again
    #[arg(long, help_heading = "Money")]
    pub(crate) resubmit_changed: bool,
    /// Send rows that were paid for in another batch of this ledger already
    #[arg(long, help_heading = "Money")]
    pub(crate) allow_repeat: bool,
    /// Write no report at the end
    #[arg(long, help_heading = "Output")]
    pub(crate) no_report: bool,
}

/// Flags of `worker`.
#[derive(Debug, Args)]
pub(crate) struct Worker {
    #[command(flatten)]
    remote: Remote,
    #[command(flatten)]
    pacing: Pacing,
    #[command(flatten)]
    images: Images,
    #[command(flatten)]
    shift: Shift,
    #[command(flatten)]
    work: Work,
}

/// Flags of `check`.
#[derive(Debug, Args)]
pub(crate) struct Check {
    /// The manifest (CSV)
    pub(crate) manifest: PathBuf,
    /// The batch's name [default: the manifest's name]
    #[arg(long, value_name = "NAME")]
    pub(crate) batch: Option<String>,
    #[command(flatten)]
    remote: Remote,
    #[command(flatten)]
    pacing: Pacing,
    #[command(flatten)]
    images: Images,
    #[command(flatten)]
    output: Output,
}

impl Run {
    /// Those that are settings.
    pub(crate) fn flags(&self) -> Vec<(Key, Option<String>)> {
        let mut flags = self.remote.flags();
        flags.extend(self.output.flags());
        flags.extend(self.pacing.flags());
        flags.extend(self.images.flags());
        flags.extend(self.shift.flags());
        flags.extend(self.shown.flags());
        flags.extend(self.work.flags());
        flags
    }
}

impl Worker {
    /// Those that are settings.
    pub(super) fn flags(&self) -> Vec<(Key, Option<String>)> {
        let mut flags = self.remote.flags();
        flags.extend(self.pacing.flags());
        flags.extend(self.images.flags());
        flags.extend(self.shift.flags());
        flags.extend(self.work.flags());
        flags
    }
}

impl Check {
    /// Those that are settings.
    pub(crate) fn flags(&self) -> Vec<(Key, Option<String>)> {
        let mut flags = self.remote.flags();
        flags.extend(self.pacing.flags());
        flags.extend(self.images.flags());
        flags.extend(self.output.flags());
        flags
    }
}
