//! What the simulated remote can be told to be like.

use std::path::PathBuf;

use clap::Args;

/// Flags of `simulate`.
#[derive(Debug, Args)]
pub(crate) struct Simulate {
    /// The port on 127.0.0.1; 0 for a free one
    #[arg(long, default_value_t = 8099)]
    pub(crate) port: u16,
    /// Tasks take this many times less
    #[arg(long, default_value_t = 1.0, value_name = "TIMES")]
    pub(crate) speed: f64,
    /// How long tasks take, from..to
    #[arg(long, default_value = "2s..6s", value_name = "SPANS")]
    pub(crate) task_time: String,
    /// Tasks that may run at once, or none for any number
    #[arg(long, default_value = "5", value_name = "N")]
    pub(crate) in_flight: String,
    /// Creations allowed in a time, such as 20/min
    #[arg(long, value_name = "RATE")]
    pub(crate) rate: Option<String>,
    /// What goes wrong: NAME, NAME=chance or NAME=chance:span; `--fault list` names them all
    #[arg(long = "fault", value_name = "FAULT")]
    pub(crate) faults: Vec<String>,
    /// What chance begins with
    #[arg(long, default_value_t = 7)]
    pub(crate) seed: u64,
    /// Every task of this scene fails; may be given again
    #[arg(long = "fail-scene", value_name = "SCENE")]
    pub(crate) fail_scenes: Vec<String>,
    /// Whose wire it speaks: kling, comet, new-api, fal or wavespeed
    #[arg(long, default_value = "kling", value_name = "NAME")]
    pub(crate) dialect: String,
    /// External ids are a label only: neither unique nor looked up
    #[arg(long)]
    pub(crate) no_lookup: bool,
    /// Tasks cannot be listed
    #[arg(long)]
    pub(crate) no_list: bool,
    /// Tasks are told as some gateways do it, wrapped in an outer status
    #[arg(long)]
    pub(crate) wrapped: bool,
    /// How far its clock is ahead, where it judges signed tokens; -5m for behind
    #[arg(long, default_value = "0s", value_name = "SPAN", allow_hyphen_values = true)]
    pub(crate) clock_offset: String,
    /// Take signed tokens for so long only, whatever they say themselves
    #[arg(long, value_name = "SPAN")]
    pub(crate) token_age: Option<String>,
    /// What a task that ends well costs, in units
    #[arg(long, default_value_t = 2.0, value_name = "UNITS")]
    pub(crate) units: f64,
    /// What the resource pack holds, in units [default: it never runs out]
    #[arg(long, value_name = "UNITS")]
    pub(crate) pack: Option<f64>,
    /// How long a link lives
    #[arg(long, default_value = "1h", value_name = "SPAN")]
    pub(crate) link_for: String,
    /// How long a new task cannot be seen
    #[arg(long, default_value = "0s", value_name = "SPAN")]
    pub(crate) visible_after: String,
    /// Fill videos up to this size
    #[arg(long, value_name = "BYTES")]
    pub(crate) video_bytes: Option<u64>,
    /// Keep the tasks in this file, so that a restart has them again
    #[arg(long, value_name = "PATH")]
    pub(crate) world: Option<PathBuf>,
    /// What stands before the paths of Kling's wire, such as /kling
    #[arg(long, default_value = "", value_name = "PATH")]
    pub(crate) prefix: String,
}
