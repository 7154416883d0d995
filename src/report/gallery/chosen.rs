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
