//! A task of the simulated remote, how it fares, and what its id looks like.

use serde::{Deserialize, Serialize};

use super::Dialect;
use super::media::hex;

/// Milliseconds since 1970.
pub(super) type Ms = i64;

/// A task.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(super) struct Task {
    pub(super) id: String,
    pub(super) external: Option<String>,
    pub(super) scene: String,
    /// SHA-256 of each image, or its URL.
    pub(super) images: Vec<String>,
    pub(super) created_at: Ms,
    /// When its generation begins: later than it was made only where tasks wait for a slot.
    #[serde(default)]
    pub(super) begins_at: Ms,
    pub(super) ends_at: Ms,
    pub(super) visible_at: Ms,
    /// What it fails with, when it fails.
    pub(super) fails: Option<String>,
    pub(super) callback: Option<String>,
    /// How many tasks ran when it was made, itself among them.
    pub(super) parallel: usize,
    /// What it costs when it ends well.
    #[serde(default = "usual_units")]
    pub(super) units: f64,
}

/// What tasks cost that were written down before they had a price.
const fn usual_units() -> f64 {
    2.0
}

impl Task {
    /// When its generation begins. Tasks written down without it began when they were made.
    pub(super) fn begins(&self) -> Ms {
        self.begins_at.max(self.created_at)
    }

    /// What it was charged by now: a task that fails costs nothing, one that runs has not cost anything yet.
    pub(super) fn charged(&self, now: Ms) -> f64 {
        if self.ends_at <= now && self.fails.is_none() { self.units } else { 0.0 }
    }
}

/// How a task fares.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Status {
    Submitted,
    Processing,
    /// A word that no documentation has.
    Reviewing,
    Succeeded,
    Failed,
}

/// A task as it is told at an instant.
#[derive(Debug, Clone)]
pub(super) struct Told {
    pub(super) task: Task,
    pub(super) status: Status,
    /// Where its video is, from the host's root, where there is one.
    pub(super) link: Option<String>,
    pub(super) updated_at: Ms,
}

impl Told {
    /// What it fails with, once it has failed.
    pub(super) fn reason(&self) -> Option<&str> {
        self.task.fails.as_deref().filter(|_| self.status == Status::Failed)
    }
}

/// What is asked for.
#[derive(Debug, Clone, Default)]
pub(super) struct Wanted {
    pub(super) external: Option<String>,
    pub(super) scene: String,
    pub(super) images: Vec<String>,
    pub(super) too_small: bool,
    pub(super) callback: Option<String>,
}

/// The id of the `number`th task, as the gateway's ids look: Kling's have 18 digits, `CometAPI`'s 19, and so on.
pub(super) fn new_id(dialect: Dialect, number: u64, dice: &mut fastrand::Rng) -> String {
    let counted = number * 1_000 + dice.u64(0..1_000);
    let mut random = || hex(&dice.u128(..).to_be_bytes());
    match dialect {
        Dialect::Kling => (860_000_000_000_000_000 + counted).to_string(),
        Dialect::Comet => (2_032_000_000_000_000_000 + counted).to_string(),
        Dialect::NewApi => format!("task_{}", random()),
        Dialect::Fal => {
            let text = random();
            let parts = [&text[..8], &text[8..12], &text[12..16], &text[16..20], &text[20..]];
            parts.join("-")
        }
        Dialect::WaveSpeed => random(),
    }
}

/// Units as a decimal number, as it is written.
pub(super) fn units_text(units: f64) -> String {
    let text = format!("{units:.2}");
    text.trim_end_matches('0').trim_end_matches('.').to_owned()
}
