//! What is to be shown, and where the gallery goes.

use std::path::PathBuf;

use clap::Args;

/// Flags of `report`.
#[derive(Debug, Args)]
pub(crate) struct Report {
    /// Only this batch
    #[arg(long, value_name = "NAME")]
    pub(crate) batch: Option<String>,
    /// Write it to this folder, which must be new, empty or such a report [default: report in the output tree]
    #[arg(long, value_name = "DIR")]
    pub(crate) out: Option<PathBuf>,
}
