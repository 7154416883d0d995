//! What several verbs are told alike: which remote, how fast, where to.

use clap::Args;

use crate::config::Key;

/// Which remote, and how.
#[derive(Debug, Args)]
#[command(next_help_heading = "Remote")]
pub(crate) struct Remote {
    /// simulator, kling, cometapi, kkiai, kling-compatible, fal or wavespeed; wins over `[[account]]` tables
    #[arg(long, value_name = "GATEWAY")]
    pub(super) gateway: Option<String>,
    /// Where the API is, up to what stands before /v1
    #[arg(long, value_name = "URL")]
    pub(super) base_url: Option<String>,
    /// A name for the account [default: from the gateway]; or which `[[account]]` tables to use: NAME,NAME [default: all]
    #[arg(long, value_name = "NAME")]
    pub(super) account: Option<String>,
    /// Where Kling is: singapore or beijing [default: singapore]
    #[arg(long, value_name = "REGION")]
    pub(super) region: Option<String>,
    /// How long to wait for an answer before a row is in doubt [default: 2m]
    #[arg(long, value_name = "SPAN")]
    pub(super) request_timeout: Option<String>,
    /// The shortest span between two questions about a task [default: 2s; 10s at gateways that poll themselves]
    #[arg(long, value_name = "SPAN")]
    pub(super) min_poll: Option<String>,
    /// How long a task may take before it is given up for now [default: 24h]
    #[arg(long, value_name = "SPAN")]
    pub(super) deadline: Option<String>,
    /// How long a row in doubt must be quiet before its absence counts [default: 60s]
    #[arg(long, value_name = "SPAN")]
    pub(super) settle_after: Option<String>,
    /// Parallel downloads [default: 4]
    #[arg(long, value_name = "N")]
    pub(super) downloads: Option<String>,
}

/// How fast rows are sent, and how many of them.
#[derive(Debug, Args)]
pub(crate) struct Pacing {
    /// Requests that may be paid, in a time: 20/min, 5/s [default: 60/min]
    #[arg(long, value_name = "RATE", help_heading = "Remote")]
    pub(super) rate: Option<String>,
    /// Parallel generations [default: 5]
    #[arg(long, value_name = "N", help_heading = "Remote")]
    pub(super) in_flight: Option<String>,
    /// --in-flight is all that the account allows: find a free slot by sending the next row, which is refused and costs
    /// nothing while all run. Where the account allows more, --in-flight would be passed. Kling only
    #[arg(long, help_heading = "Remote")]
    pub(super) probe: bool,
    /// The most that may be paid in all runs of the batch, in the currency of the prices, such as 50
    #[arg(long, value_name = "AMOUNT", help_heading = "Money")]
    pub(super) budget: Option<String>,
    /// Rows of each scene that must be made before the rest of it is sent; 0 for none [default: 2]
    #[arg(long, value_name = "ROWS", help_heading = "Money")]
    pub(super) canary: Option<String>,
}

/// How local images come to the remote.
#[derive(Debug, Args)]
#[command(next_help_heading = "Remote")]
pub(crate) struct Images {
    /// Lend local images to the remote from `s3://BUCKET/PREFIX`, `gs://…` or `az://…`, by signed links, so that requests
    /// are small; off sends them within requests [default: off]
    #[arg(long, value_name = "STORE")]
    pub(super) images_via: Option<String>,
    /// How long such a link is good, up to 7d [default: 24h]
    #[arg(long, value_name = "SPAN")]
    pub(super) images_for: Option<String>,
}

impl Images {
    pub(super) fn flags(&self) -> [(Key, Option<String>); 2] {
        [(Key::ImagesVia, self.images_via.clone()), (Key::ImagesFor, self.images_for.clone())]
    }
}

/// Where videos go.
#[derive(Debug, Args)]
#[command(next_help_heading = "Output")]
pub(crate) struct Output {
    /// The output tree: a folder, or `s3://BUCKET/PREFIX`, `gs://…` or `az://…` [default: videos]
    #[arg(long, value_name = "TREE")]
    pub(super) out: Option<String>,
    /// How videos are named: {scene} {id} {batch} {duration} {model} {mode} and own columns [default: {scene}/{id}.mp4]
    #[arg(long, value_name = "TEMPLATE")]
    pub(super) name: Option<String>,
}

impl Remote {
    pub(super) fn flags(&self) -> Vec<(Key, Option<String>)> {
        vec![
            (Key::Gateway, self.gateway.clone()),
            (Key::BaseUrl, self.base_url.clone()),
            (Key::Account, self.account.clone()),
            (Key::Region, self.region.clone()),
            (Key::RequestTimeout, self.request_timeout.clone()),
            (Key::MinPoll, self.min_poll.clone()),
            (Key::Deadline, self.deadline.clone()),
            (Key::SettleAfter, self.settle_after.clone()),
            (Key::Downloads, self.downloads.clone()),
        ]
    }
}

impl Pacing {
    pub(super) fn flags(&self) -> Vec<(Key, Option<String>)> {
        vec![
            (Key::Rate, self.rate.clone()),
            (Key::InFlight, self.in_flight.clone()),
            (Key::Probe, self.probe.then(|| true.to_string())),
            (Key::Budget, self.budget.clone()),
            (Key::Canary, self.canary.clone()),
        ]
    }
}

impl Output {
    pub(super) fn flags(&self) -> Vec<(Key, Option<String>)> {
        vec![(Key::Out, self.out.clone()), (Key::Name, self.name.clone())]
    }
}
