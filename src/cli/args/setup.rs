//! What the verbs are told that set nightreel up on a machine.

use std::path::PathBuf;

use clap::Args;
use clap_complete::Shell;

/// Flags of `init`.
#[derive(Debug, Args)]
pub(crate) struct Init {
    /// simulator, kling, cometapi, kkiai, kling-compatible, fal or wavespeed
    #[arg(long, value_name = "GATEWAY")]
    pub(crate) gateway: Option<String>,
    /// Where the API is, up to what stands before /v1
    #[arg(long, value_name = "URL")]
    pub(crate) base_url: Option<String>,
    /// The file that holds the key, readable by you only; never the key itself
    #[arg(long, value_name = "PATH")]
    pub(crate) key_file: Option<String>,
    /// Requests that may be paid, in a time: 20/min, 5/s
    #[arg(long, value_name = "RATE")]
    pub(crate) rate: Option<String>,
    /// Parallel generations
    #[arg(long, value_name = "N")]
    pub(crate) in_flight: Option<String>,
    /// The output tree
    #[arg(long, value_name = "DIR")]
    pub(crate) out: Option<String>,
    /// Replace the file where there is one
    #[arg(long)]
    pub(crate) force: bool,
}

/// Flags of `completions`.
#[derive(Debug, Args)]
pub(crate) struct Completions {
    /// For which shell
    pub(crate) shell: Shell,
}

/// Flags of `man`.
#[derive(Debug, Args)]
pub(crate) struct Man {
    /// The folder to be written into, made where it is missing
    pub(crate) dir: PathBuf,
}
