//! Asking for several tasks by their ids in one request, where the remote can be asked so: a short way with the long one
//! behind it.

use std::sync::Arc;

use jiff::Timestamp;

use super::{AT_ONCE, Answer, Stage, UNCLEAR, Watched, Way};
use crate::domain::JobId;
use crate::gateway::Listed;
use crate::ledger::RecordError;

impl Stage {
    /// Asks for several of those that are due in one request each, as far as the remote can be asked so.
    pub(super) fn ask_many(&mut self, due: &mut Vec<(Timestamp, JobId)>) {
        let Some(most) = self.lane().gateway().capabilities().many.filter(|_| !self.one_by_one) else { return };
        let together = |watched: &Watched| watched.way != Way::Alone && watched.job.task().is_some();
        let mut ids: Vec<JobId> =
            due.iter().map(|(_, id)| *id).filter(|id| self.watched.get(id).is_some_and(together)).collect();
        if ids.len() < 2 {
            return;
        }
        due.retain(|(_, id)| !ids.contains(id));
        ids.truncate(most * AT_ONCE.saturating_sub(self.questions.len()));
        for ids in ids.chunks(most) {
            let mut tasks = Vec::new();
            for id in ids {
                if let Some(watched) = self.watched.get_mut(id) {
                    watched.asking = true;
                    watched.way = Way::Listed;
                    tasks.extend(watched.job.task().cloned());
                }
            }
            let (gateway, ids) = (Arc::clone(self.lane().gateway()), ids.to_vec());
            self.questions.spawn(async move { Answer::Many(ids, gateway.observe_many(&tasks).await) });
        }
    }

    /// An answer for several tasks: those that it does not show are asked for one by one, at once.
    pub(super) async fn hear_many(&mut self, ids: &[JobId], listed: Listed) -> Result<(), RecordError> {
        for id in ids {
            if let Some(watched) = self.watched.get_mut(id) {
                watched.asking = false;
                watched.way = Way::Alone;
            }
        }
        match listed {
            Listed::Page(tasks) => self.take_observations(tasks).await,
            Listed::Unclear { words, retry_after } => {
                tracing::debug!(error = words, "several tasks cannot be asked for at once");
                // Only a pause that was asked for is no reason to give the short way up.
                self.one_by_one = retry_after.is_none();
                self.not_before = self.not_before.max(self.shared.after(retry_after.unwrap_or_default()));
                Ok(())
            }
            Listed::Paused(pause) => {
                self.shared.deny(self.lane(), &pause);
                self.not_before = self.not_before.max(self.shared.after(UNCLEAR.first));
                Ok(())
            }
        }
    }
}
