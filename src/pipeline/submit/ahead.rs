//! Jobs that are taken together: where others take from the same ledger, each taking is a round trip, and counts what runs. How
//! many follow each other within a moment is taken at once; nothing is held any longer than that.

use crate::domain::Job;
use crate::ledger::RecordError;
use crate::pipeline::lane::Lane;
use crate::pipeline::slots::OnTheWay;
use crate::store::{Claim, Due, Wanted};

use super::Stage;

/// A slot for the next job: where that is taken already, it has one.
pub(super) async fn slot(lane: &Lane, has_slot: bool) -> OnTheWay {
    if has_slot { lane.slots.on_the_way() } else { lane.slots.take().await }
}

impl Stage {
    /// Takes a planned job. Where others take from the same ledger, what runs is counted with the taking.
    pub(super) async fn take(&mut self, wanted: Wanted) -> Result<Due, RecordError> {
        if let Some(job) = self.ahead.pop_front() {
            return Ok(due(job));
        }
        let shared = &self.shared;
        let (Some(fleet), Some(places)) = (shared.fleet(), &self.places) else {
            return Ok(shared.parts.ledger.store().take_planned(wanted, shared.now(), 1).await?);
        };
        let lane = &shared.lanes[self.place];
        let (running, allowed) = lane.slots.standing();
        // One slot is in hand.
        let most = (allowed.saturating_sub(running) + 1).min(places.together() as usize);
        match fleet.claim(wanted, shared.room(lane), shared.now(), most).await? {
            Claim::Jobs(jobs) => {
                lane.slots.occupy(jobs.len().saturating_sub(1));
                self.ahead.extend(jobs);
                Ok(self.ahead.pop_front().map(due).unwrap_or_default())
            }
            // Another's end makes no noise here.
            Claim::Full => Ok(Due { jobs: Vec::new(), next_at: Some(jiff::Timestamp::MAX) }),
            Claim::Nothing(next_at) => Ok(Due { jobs: Vec::new(), next_at }),
        }
    }

    /// Gives back the jobs that were taken and are not sent now, and their slots.
    pub(super) fn put_back(&mut self) {
        for job in self.ahead.drain(..) {
            self.shared.parts.ledger.store().release(job.id);
            self.shared.lanes[self.place].slots.give_back();
        }
    }
}

fn due(job: Job) -> Due {
    Due { jobs: vec![job], next_at: None }
}
