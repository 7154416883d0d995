//! Which rows a page shows where there are too many: those that need a person first, then the newest.

use std::cmp::Reverse;
use std::collections::BinaryHeap;

use jiff::Timestamp;

use crate::domain::{Job, JobId, StateCode};

/// How much a row is worth showing: its urgency, then how new it is.
type Rank = (u8, Option<Timestamp>, JobId);

/// The rows that are most worth showing, of any number.
#[derive(Debug)]
pub(super) struct Chosen {
    most: usize,
    /// The least worth on top.
    held: BinaryHeap<Reverse<Ranked>>,
}

#[derive(Debug)]
struct Ranked {
    rank: Rank,
    job: Job,
}

impl PartialEq for Ranked {
    fn eq(&self, other: &Self) -> bool {
        self.rank == other.rank
    }
}

impl Eq for Ranked {}

impl PartialOrd for Ranked {
    fn partial_cmp(&self, other: &Self) -> Option<std::cmp::Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for Ranked {
    fn cmp(&self, other: &Self) -> std::cmp::Ordering {
        self.rank.cmp(&other.rank)
    }
}

impl Chosen {
    pub(super) const fn new(most: usize) -> Self {
        Self { most, held: BinaryHeap::new() }
    }

    pub(super) fn offer(&mut self, job: Job) {
        self.held.push(Reverse(Ranked { rank: rank(&job), job }));
        if self.held.len() > self.most {
            self.held.pop();
        }
    }

    /// What was chosen, in the order of the ledger.
    pub(super) fn in_order(self) -> Vec<Job> {
        let mut jobs: Vec<Job> = self.held.into_iter().map(|ranked| ranked.0.job).collect();
        jobs.sort_by_key(|job| job.id);
        jobs
    }
}

fn rank(job: &Job) -> Rank {
    let urgency = match job.state.code() {
        StateCode::Held | StateCode::Stuck | StateCode::Failed => 3,
        StateCode::Submitting | StateCode::InDoubt => 2,
        StateCode::Waiting | StateCode::Ready | StateCode::Done => 1,
        StateCode::Planned => 0,
    };
    (urgency, job.finished_at.or_else(|| job.attempt.as_ref().map(|attempt| attempt.started_at)), job.id)
}

#[cfg(test)]
mod tests {
    use crate::domain::{Effect, FailureCause, ImageSource, Images, OutputKey, RowKey, State};

    use super::*;

    fn job(number: i64, state: State) -> Job {
        let images = Images::One(ImageSource::Url("https://example.com/a.jpg".to_owned()));
        let effect = Effect { scene: "squish".to_owned(), images, duration: None, model: None, mode: None };
        Job {
            id: JobId(number),
            batch: crate::domain::BatchId(1),
            key: RowKey::of_id(&number.to_string()),
            label: number.to_string(),
            content: effect.content(),
            effect,
            output: OutputKey::new("a.mp4").unwrap(),
            columns: "{}".to_owned(),
            account: None,
            state,
            attempt: None,
            submissions: 0,
            version: 1,
            finished_at: Some(Timestamp::from_second(number).unwrap()),
        }
    }

    #[test]
    fn of_too_many_rows_those_that_failed_are_shown_and_then_the_newest() {
        let mut chosen = Chosen::new(4);
        for number in 1..=100 {
            let state = match number {
                7 | 50 => State::Failed { cause: FailureCause::Dropped },
                90.. => State::Planned { due_at: Timestamp::UNIX_EPOCH, resend: false, with: None },
                _ => State::Waiting { since: Timestamp::UNIX_EPOCH },
            };
            chosen.offer(job(number, state));
        }
        let shown: Vec<i64> = chosen.in_order().iter().map(|job| job.id.0).collect();
        assert_eq!(shown, [7, 50, 88, 89]);
    }
}
