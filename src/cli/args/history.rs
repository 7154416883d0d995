//! What the verbs are told that look into the ledger, carry it elsewhere, or make it smaller.

use std::path::PathBuf;

use clap::{ArgGroup, Args};

/// Flags of `logs`.
#[derive(Debug, Args)]
pub(crate) struct Logs {
    /// The row: its id or name, a task id, an external task id, or a request id
    pub(crate) row: String,
    /// Only in this batch
    #[arg(long, value_name = "NAME")]
    pub(crate) batch: Option<String>,
}

/// Flags of `export`.
#[derive(Debug, Args)]
pub(crate) struct Export {
    /// The file to be written; an existing one is never replaced
    pub(crate) file: PathBuf,
}

/// Flags of `import`.
#[derive(Debug, Args)]
pub(crate) struct Import {
    /// A file that `nightreel export` wrote
    pub(crate) file: PathBuf,
    /// Output trees at OLD lie at NEW from now on; may be given again
    #[arg(long = "out-map", value_name = "OLD=NEW")]
    pub(crate) out_maps: Vec<String>,
}

/// Flags of `prune`.
#[derive(Debug, Args)]
#[command(group = ArgGroup::new("which").required(true).multiple(true).args(["older_than", "batch"]))]
pub(crate) struct Prune {
    /// Batches whose last row ended so long ago: 90d, 12h
    #[arg(long, value_name = "SPAN")]
    pub(crate) older_than: Option<String>,
    /// Only this batch
    #[arg(long, value_name = "NAME")]
    pub(crate) batch: Option<String>,
    /// Remove them; without it they are only shown
    #[arg(long)]
    pub(crate) yes: bool,
    /// Also batches whose manifest is still there: a run of it would pay for every row again
    #[arg(long)]
    pub(crate) forget_paid: bool,
}
