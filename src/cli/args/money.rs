//! What the verbs about money are told: what was paid, and what was paid and lost.

use std::path::PathBuf;

use clap::Args;

use super::shared::{Output, Remote};

/// Flags of `receipt`.
#[derive(Debug, Args)]
pub(crate) struct Receipt {
    /// Only this batch
    #[arg(long, value_name = "NAME")]
    pub(crate) batch: Option<String>,
    /// Only these accounts: NAME,NAME
    #[arg(long, value_name = "NAME")]
    pub(crate) account: Option<String>,
    /// Write the CSV to this file, or to standard output for -
    #[arg(long, value_name = "FILE")]
    pub(crate) out: Option<PathBuf>,
    /// Ask the accounts what they charged for each task
    #[arg(long)]
    pub(crate) settle: bool,
}

/// Flags of `rescue`.
#[derive(Debug, Args)]
pub(crate) struct Rescue {
    /// Rows of the ledger adopt the tasks that carry their references; the next run or collect fetches their videos
    #[arg(long)]
    pub(crate) adopt: bool,
    /// Plan the rows of this manifest first, for a ledger that was lost; sends nothing
    #[arg(long, value_name = "FILE", requires = "adopt")]
    pub(crate) manifest: Option<PathBuf>,
    /// The batch's name, as it was when its rows were sent [default: the manifest's name]
    #[arg(long, value_name = "NAME", requires = "manifest")]
    pub(crate) batch: Option<String>,
    /// Fetch the videos of tasks that belong to no row into DIR/rescued
    #[arg(long, value_name = "DIR")]
    pub(crate) download: Option<PathBuf>,
    /// How old a task may be [default: 30d]
    #[arg(long, value_name = "SPAN", default_value = "30d", hide_default_value = true)]
    pub(crate) since: String,
    #[command(flatten)]
    pub(super) remote: Remote,
    #[command(flatten)]
    pub(super) output: Output,
}
