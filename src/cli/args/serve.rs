//! Where a run is shown, and where remotes call back.

use clap::Args;

use crate::config::Key;

/// Flags of `serve`.
#[derive(Debug, Args)]
pub(crate) struct Serve {
    /// Where: an address and a port; 0 for a free one [default: 127.0.0.1:8787]
    #[arg(value_name = "ADDR")]
    address: Option<String>,
    #[command(flatten)]
    visitors: Visitors,
}

/// Who may look.
#[derive(Debug, Args)]
#[command(next_help_heading = "Dashboard")]
pub(crate) struct Visitors {
    /// Further names under which the dashboard may be reached: NAME,NAME
    #[arg(long, value_name = "NAME")]
    dashboard_hosts: Option<String>,
    /// The file that holds what visitors must show; or `NIGHTREEL_DASHBOARD_TOKEN`. Needed off loopback
    #[arg(long, value_name = "PATH")]
    dashboard_token_file: Option<String>,
}

/// Where a run is shown.
#[derive(Debug, Args)]
#[command(next_help_heading = "Dashboard")]
pub(crate) struct Shown {
    /// Show the run on a page, at an address such as 127.0.0.1:8787
    #[arg(long, value_name = "ADDR")]
    dashboard: Option<String>,
    #[command(flatten)]
    visitors: Visitors,
    /// The public address that leads to the dashboard's port: remotes are told to call it when a task has ended
    #[arg(long, value_name = "URL")]
    callback_url: Option<String>,
}

impl Visitors {
    fn flags(&self) -> Vec<(Key, Option<String>)> {
        vec![
            (Key::DashboardHosts, self.dashboard_hosts.clone()),
            (Key::DashboardTokenFile, self.dashboard_token_file.clone()),
        ]
    }
}

impl Shown {
    pub(super) fn flags(&self) -> Vec<(Key, Option<String>)> {
        let mut flags = self.visitors.flags();
        flags.push((Key::Dashboard, self.dashboard.clone()));
        flags.push((Key::CallbackUrl, self.callback_url.clone()));
        flags
    }
}

impl Serve {
    pub(super) fn flags(&self) -> Vec<(Key, Option<String>)> {
        let mut flags = self.visitors.flags();
        flags.push((Key::Dashboard, self.address.clone()));
        flags
    }
}
