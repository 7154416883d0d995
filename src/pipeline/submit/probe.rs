//! Requests beyond the slots that are counted, where the account allows no more than is set: each tells whether a task has
//! ended that nobody saw end, sooner than a question could.
//!
//! A refusal is what is expected half of the time: it teaches nothing of the limit, slows nothing down, and the row is due
//! at once. Whatever else a probe comes to is what it is for any other request.

use std::time::Duration;

use jiff::Timestamp;

use super::Stage;
use crate::gateway::{Limit, NotMade, Submitted};
use crate::pace::soonest;
use crate::pipeline::Notice;
use crate::pipeline::lane::Lane;
use crate::pipeline::shared::Shared;
use crate::pipeline::slots::Probed;
use crate::pipeline::unseen::{apart, enough, more_ended};

/// How far ahead a probe is planned; by then it is thought over again.
const AHEAD: Duration = Duration::from_secs(600);

impl Stage {
    /// Says once where probes are wanted and cannot be sent.
    pub(super) fn tell_of_probes(&self) {
        let lane = self.lane();
        if lane.settings.probe && !lane.may_probe() {
            let (name, kind) = (lane.name(), &lane.settings.account.gateway);
            if lane.is_together() {
                let words = format!("account {name}: probe is not heeded: others may use its slots, too");
                self.shared.tell(Notice::Odd { words });
                return;
            }
            let words = format!(
                "account {name}: probe is not heeded: that {kind} refuses what goes beyond the parallel limit, and makes \
                 nothing, is documented nowhere"
            );
            self.shared.tell(Notice::Odd { words });
        }
    }

    /// When a probe is to be sent, where nothing may be sent before `until`. Notes whether slots are filled by probes.
    pub(super) fn next_probe(&mut self, until: Timestamp) -> Timestamp {
        let lane = &self.shared.lanes[self.place];
        if !lane.may_probe() {
            return Timestamp::MAX;
        }
        self.reckoning.mark_unchanged();
        let (apart, learned) = {
            let expectation = lane.expectation();
            (apart(&expectation, &lane.slots), expectation.is_learned())
        };
        if until == Timestamp::MAX || !learned || lane.slots.are_fewer() {
            lane.set_probing(false);
            return Timestamp::MAX;
        }
        if self.rows && lane.slots.are_all_used() {
            lane.set_probing(true);
        }
        let Some(from) = lane.slots.probe_from(apart) else { return Timestamp::MAX };
        let now = self.shared.now();
        let tasks = self.shared.running(&lane.slots);
        let (known, enough) = (lane.slots.known(), enough(lane.slots.limit()));
        let least = Duration::try_from(from.max(until).duration_since(now)).unwrap_or_default();
        let wait = {
            let expectation = lane.expectation();
            let free = |wait: Duration| {
                let at = now.checked_add(wait).unwrap_or(Timestamp::MAX);
                more_ended(&tasks, &expectation, known, at)
            };
            soonest(least, AHEAD.max(least), |wait| free(wait) >= enough)
        };
        self.shared.after(wait)
    }
}

/// Takes the lesson of a probe that was sent at `sent_at`; whether it told what it was sent to tell.
pub(super) fn is_answered(shared: &Shared, lane: &Lane, submitted: &Submitted, sent_at: Timestamp) -> bool {
    let probed = match submitted {
        Submitted::Accepted(_) => Probed::Taken,
        Submitted::NotMade(NotMade { limit: Limit::Parallel, retry_after, .. }) => Probed::Refused(*retry_after),
        _ => return false,
    };
    let tasks = shared.running(&lane.slots);
    let more = more_ended(&tasks, &lane.expectation(), lane.slots.known(), sent_at);
    lane.slots.probed(probed, sent_at, more);
    true
}
