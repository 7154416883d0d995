//! How a run stands, in words: for the lines on a terminal, and for the line a minute elsewhere.

use std::time::Duration;

use jiff::Timestamp;
use jiff::tz::TimeZone;

use crate::domain::{Price, Tally};
use crate::pipeline::{SlotsView, Standing, requests, slots};
use crate::report::story;

use super::super::spans::{hour, rounded, spoken};

/// From so many columns on there is room for whole sentences.
const ROOM: usize = 90;

/// What does not change during a run.
#[derive(Debug)]
pub(super) struct Words {
    /// The most that may be paid.
    pub(super) budget: Option<Price>,
    /// When the run began.
    pub(super) began: Timestamp,
    /// Where hours are told from.
    pub(super) zone: TimeZone,
}

/// Whether words must be few.
pub(super) const fn is_narrow(columns: usize) -> bool {
    columns < ROOM
}

/// How fast rows are sent, and how many slots are used.
pub(super) fn rate(standing: &Standing, narrow: bool) -> String {
    let (sent, limit) = requests(&standing.lanes);
    let SlotsView { used, allowed, .. } = slots(&standing.lanes);
    if narrow {
        format!("{sent}/min, {used}/{allowed} slots")
    } else {
        format!("{sent} in the last minute of {}, {used} of {allowed} slots", figure(limit))
    }
}

/// How long tasks take, and how many rows went wrong.
pub(super) fn troubles(standing: &Standing, narrow: bool) -> String {
    let Tally { failed, held, stuck, .. } = standing.tally;
    let mut words = Vec::new();
    if let Some(usual) = standing.lanes.iter().filter_map(|lane| lane.usual).max().filter(|_| !narrow) {
        words.push(format!("usually {}", spoken(whole(usual))));
    }
    let of_kinds = [(failed, "failed"), (held, "held"), (stuck, "stuck")];
    words.extend(of_kinds.into_iter().filter(|(count, _)| *count > 0).map(|(count, kind)| format!("{count} {kind}")));
    words.join(", ")
}

/// How much was fetched in this run.
pub(super) fn fetched(standing: &Standing) -> String {
    let bytes: u64 = standing.lanes.iter().map(|lane| lane.counts.bytes).sum();
    if bytes == 0 { String::new() } else { story::size(bytes) }
}

/// What may have been paid: `about USD 36.40 of 50.00`.
fn paid(standing: &Standing, budget: Option<&Price>) -> Option<String> {
    let sums: Vec<String> = standing.paid.iter().map(ToString::to_string).collect();
    if sums.is_empty() {
        return None;
    }
    let of = budget.map_or_else(String::new, |budget| format!(" of {}", budget.amount));
    Some(format!("about {}{of}", sums.join(" and ")))
}

impl Words {
    /// What may have been paid, in all runs.
    pub(super) fn money(&self, standing: &Standing) -> String {
        paid(standing, self.budget.as_ref()).unwrap_or_else(|| "nothing was paid yet".to_owned())
    }

    /// How long the run has been on, and how long it will be.
    pub(super) fn time(&self, standing: &Standing, narrow: bool, now: Timestamp) -> String {
        let gone = Duration::try_from(now.duration_since(self.began)).unwrap_or_default();
        let gone = format!("{} gone", spoken(whole(gone.max(Duration::from_secs(1)))));
        match self.left(standing, now) {
            None => gone,
            Some(left) if narrow => left,
            Some(left) => {
                let is_known = standing.lanes.iter().any(|lane| lane.usual.is_some());
                format!("{gone}, {left}{}", if is_known { "" } else { " (a guess: no task has ended yet)" })
            }
        }
    }

    /// `about 2 h 40 min left: done at 04:12`.
    fn left(&self, standing: &Standing, now: Timestamp) -> Option<String> {
        let left = rounded(standing.left.filter(|left| left.as_secs() > 0)?);
        let ends = now.checked_add(left).ok()?.to_zoned_datetime(self.zone.clone());
        Some(format!("about {} left: done at {}", spoken(left), hour(&ends, now)))
    }

    /// All in one line, for where nothing can be drawn over.
    pub(super) fn line(&self, standing: &Standing, now: Timestamp) -> String {
        let Tally { rows, done, planned, submitting, waiting, ready, failed, held, stuck, .. } = standing.tally;
        let mut line =
            format!("{done}/{rows} collected, {waiting} at the remote, {ready} to collect, {planned} to send");
        let others = [("being sent or in doubt", submitting), ("failed", failed), ("held", held), ("stuck", stuck)];
        for (word, count) in others.into_iter().filter(|(_, count)| *count > 0) {
            line.push_str(&format!(", {count} {word}"));
        }
        let (sent, _) = requests(&standing.lanes);
        let rate = format!("{sent}/min");
        let more = [Some(rate), paid(standing, self.budget.as_ref()), self.left(standing, now)];
        line.push_str(&format!("; {}", more.into_iter().flatten().collect::<Vec<_>>().join("; ")));
        line
    }
}

/// A span in whole seconds.
const fn whole(span: Duration) -> Duration {
    Duration::from_secs(span.as_secs())
}

/// `20`, `0.5`.
fn figure(value: f64) -> String {
    if value < 10.0 && value.fract() > 0.0 { format!("{value:.1}") } else { format!("{value:.0}") }
}
