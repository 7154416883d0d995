//! What the verbs are told by which a person settles rows.

use clap::{ArgGroup, Args};

/// Flags of `resolve`.
#[derive(Debug, Args)]
#[command(group = ArgGroup::new("verdict").required(true).args(["made", "not_made", "drop"]))]
#[command(group = ArgGroup::new("which").required(true).args(["row", "all"]))]
pub(crate) struct Resolve {
    /// The row, by its id or name
    pub(crate) row: Option<String>,
    /// Every row that is held
    #[arg(long, conflicts_with = "made")]
    pub(crate) all: bool,
    /// It was made: this task
    #[arg(long, value_name = "TASK_ID")]
    pub(crate) made: Option<String>,
    /// It was not made: send it with the next run
    #[arg(long)]
    pub(crate) not_made: bool,
    /// Give it up
    #[arg(long)]
    pub(crate) drop: bool,
    /// Only in this batch
    #[arg(long, value_name = "NAME")]
    pub(crate) batch: Option<String>,
}

/// Flags of `retry`.
#[derive(Debug, Args)]
#[command(group = ArgGroup::new("which").required(true).args(["rows", "all"]))]
pub(crate) struct Retry {
    /// Rows, by their ids or names
    pub(crate) rows: Vec<String>,
    /// Every row that failed
    #[arg(long)]
    pub(crate) all: bool,
    /// Only in this batch
    #[arg(long, value_name = "NAME")]
    pub(crate) batch: Option<String>,
}
