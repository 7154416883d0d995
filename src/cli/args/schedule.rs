//! When runs are made, and which hours each may use.

use clap::Args;

use super::Run;
use crate::config::Key;

/// The hours of a run.
#[derive(Debug, Args)]
#[command(next_help_heading = "Hours")]
pub(super) struct Shift {
    /// End at this local time, such as 06:00; nothing is sent that would hardly be made and fetched by then
    #[arg(long, value_name = "TIME")]
    until: Option<String>,
    /// End this long after the start, such as 8h; likewise
    #[arg(long, value_name = "SPAN")]
    max_runtime: Option<String>,
    /// Send only within these local times, such as 22:00-06:00, and end with them; wait where it is sooner
    #[arg(long, value_name = "TIME-TIME")]
    window: Option<String>,
}

impl Shift {
    pub(super) fn flags(&self) -> Vec<(Key, Option<String>)> {
        vec![
            (Key::Until, self.until.clone()),
            (Key::MaxRuntime, self.max_runtime.clone()),
            (Key::Window, self.window.clone()),
        ]
    }
}

/// Flags of `schedule`: those of `run`, and when.
#[derive(Debug, Args)]
pub(crate) struct Schedule {
    /// When each run starts, in local time [default: the window's begin, or 22:00]
    #[arg(long, value_name = "TIME", help_heading = "Schedule")]
    pub(crate) at: Option<String>,
    /// On which days: day, weekdays, weekends, or such as mon,thu [default: day]
    #[arg(long, value_name = "DAYS", help_heading = "Schedule")]
    pub(crate) every: Option<String>,
    #[command(flatten)]
    pub(crate) run: Run,
}
