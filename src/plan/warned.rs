//! What a person may want to know of rows before they are paid for: counted, each thing once. Never a reason to refuse
//! them.

use std::collections::BTreeMap;
use std::fmt;

use serde::Serialize;

use crate::catalogue::{self, SceneWarning};
use crate::domain::Effect;
use crate::gateway::Preset;

/// Different warnings that are kept; rows with others are only counted.
const KEPT: usize = 1000;
/// Lines that are named for each.
pub(super) const LINES: usize = 5;

/// Something that a person may want to know.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(untagged)]
pub enum Warning {
    /// Of a scene.
    Scene(SceneWarning),
    /// Of what a gateway is sent.
    Sent(SentWarning),
}

/// What of a row a gateway is not sent, or is sent besides.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(tag = "kind", rename_all = "snake_case")]
pub enum SentWarning {
    /// Rows have a duration, a model or a mode, which the gateway is not sent.
    ParametersNotSent {
        /// The gateway's preset.
        gateway: &'static str,
        /// Who decided that.
        by: Decided,
    },
    /// Rows have no duration, and the gateway requires one: it is sent the usual one.
    UsualDurationSent {
        /// The gateway's preset.
        gateway: &'static str,
    },
}

/// Who decided that a row's parameters are not sent.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Decided {
    /// The preset: the vendor's newest page lists none of them (documented).
    Preset,
    /// The account's own setting.
    Setting,
}

impl Warning {
    pub(super) fn not_sent(preset: Preset) -> Self {
        let by = if preset.sends_parameters() { Decided::Setting } else { Decided::Preset };
        Self::Sent(SentWarning::ParametersNotSent { gateway: preset.word(), by })
    }

    pub(super) const fn usual_duration(preset: Preset) -> Self {
        Self::Sent(SentWarning::UsualDurationSent { gateway: preset.word() })
    }
}

/// A warning, and the rows that it is about.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Warned {
    /// What.
    #[serde(flatten)]
    pub warning: Warning,
    /// How many rows.
    pub rows: u64,
    /// The lines of the first of them, at most five.
    pub lines: Vec<u64>,
}

impl fmt::Display for Warned {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let rows = if self.rows == 1 { "1 row".to_owned() } else { format!("{} rows", self.rows) };
        let (have, are) = if self.rows == 1 { ("has", "is") } else { ("have", "are") };
        match &self.warning {
            Warning::Scene(warning) => {
                let shown: Vec<String> = self.lines.iter().take(3).map(ToString::to_string).collect();
                let more = if self.rows > shown.len() as u64 { " …" } else { "" };
                write!(f, "{rows} (line {}{more}): {warning}", shown.join(", "))
            }
            Warning::Sent(SentWarning::ParametersNotSent { gateway, by: Decided::Preset }) => write!(
                f,
                "note: {gateway} does not take duration, model or mode for effects: {rows} {have} them, they are not \
                 sent (parameters = \"all\" sends them)"
            ),
            Warning::Sent(SentWarning::ParametersNotSent { gateway, by: Decided::Setting }) => write!(
                f,
                "note: {rows} {have} a duration, a model or a mode, and they are not sent to {gateway}: the account is set \
                 to parameters = \"none\""
            ),
            Warning::Sent(SentWarning::UsualDurationSent { gateway }) => {
                write!(f, "note: {gateway} requires a duration: {rows} {have} none and {are} sent with 5")
            }
        }
    }
}

/// Warnings, counted.
#[derive(Debug, Default)]
pub(super) struct Warnings {
    seen: BTreeMap<Warning, (u64, Vec<u64>)>,
    /// Rows with warnings that were not kept.
    others: u64,
}

impl Warnings {
    /// Notes what is to be said of the scene of `rows` rows, the first of which stand on `lines`.
    pub(super) fn note_scene(&mut self, effect: &Effect, rows: u64, lines: &[u64]) {
        // A manifest of names that mean nothing is not held against the catalogue name by name.
        if self.seen.len() >= KEPT && catalogue::find(&effect.scene).is_none() {
            self.others += rows;
            return;
        }
        for warning in catalogue::warnings(effect) {
            self.note(Warning::Scene(warning), rows, lines);
        }
    }

    pub(super) fn note(&mut self, warning: Warning, rows: u64, lines: &[u64]) {
        if self.seen.len() >= KEPT && !self.seen.contains_key(&warning) {
            self.others += rows;
            return;
        }
        let (count, first) = self.seen.entry(warning).or_default();
        *count += rows;
        first.extend(lines);
        first.sort_unstable();
        first.truncate(LINES);
    }

    /// All of them, by the line where each is met first, and how many rows have others.
    pub(super) fn told(self) -> (Vec<Warned>, u64) {
        let told = self.seen.into_iter().map(|(warning, (rows, lines))| Warned { warning, rows, lines });
        let mut told: Vec<Warned> = told.collect();
        told.sort_by(|one, other| one.lines.cmp(&other.lines));
        (told, self.others)
    }
}
