//! What a run learned that is worth a line in the morning.

use crate::domain::Price;
use crate::pipeline::{Ended, KeptBy, LeftBehind, Outcome};
use crate::report::rows;

/// The lines, for the end of the run and for `status` afterwards.
pub(super) fn notes(outcome: &Outcome) -> Vec<String> {
    let mut notes = Vec::new();
    for (account, pause) in &outcome.pauses {
        notes.push(format!("account {account} was paused: {pause}"));
    }
    let mut over = Over::default();
    for LeftBehind { scene, kept_by, rows: left, worth } in &outcome.left {
        match kept_by {
            KeptBy::Scene(words) => {
                let left = rows(*left);
                notes.push(format!("scene {scene} was paused: {words}; {left} not sent, about {worth} not spent"));
            }
            KeptBy::Budget => over.add(scene, *left, worth),
            KeptBy::Hours => notes.push(format!("{} of {scene} would not have been made in time", rows(*left))),
            KeptBy::Accounts if outcome.ended == Ended::Finished => {
                notes.push(format!("{} of {scene}: no account that is at work could send them", rows(*left)));
            }
            KeptBy::Accounts => {}
        }
    }
    if outcome.ended == Ended::Finished {
        notes.extend(over.words());
    }
    if let Some((longest, scenes)) = outcome.waited.filter(|(longest, _)| longest.as_secs() > 0) {
        let longest = jiff::SignedDuration::from_secs(i64::try_from(longest.as_secs()).unwrap_or(i64::MAX));
        let of = if scenes == 1 { "one scene".to_owned() } else { format!("{scenes} scenes") };
        notes.push(format!("the first rows of {of} went ahead; the rest waited {longest:#} at the most"));
    }
    notes
}

/// What the budget kept back.
#[derive(Default)]
struct Over {
    rows: u64,
    worth: Option<Price>,
    scenes: Vec<String>,
}

impl Over {
    fn add(&mut self, scene: &str, rows: u64, worth: &Price) {
        self.rows += rows;
        self.scenes.push(scene.to_owned());
        match &mut self.worth {
            Some(sum) => sum.amount += worth.amount,
            None => self.worth = Some(worth.clone()),
        }
    }

    fn words(&self) -> Option<String> {
        const NAMED: usize = 3;
        let worth = self.worth.as_ref()?;
        let more = self.scenes.len().saturating_sub(NAMED);
        let more = if more > 0 { format!(" and {more} more scenes") } else { String::new() };
        let scenes: Vec<&str> = self.scenes.iter().take(NAMED).map(String::as_str).collect();
        Some(format!("the budget kept {} back ({}{more}), about {worth}", rows(self.rows), scenes.join(", ")))
    }
}
