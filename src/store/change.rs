//! What is committed: one step of one job, and how the job stood before it.

use jiff::Timestamp;

use crate::domain::{AccountName, IllegalTransition, Job, JobEvent, StateCode};

/// One committed step of one job.
#[derive(Debug, Clone)]
pub struct Change {
    /// How it stood before.
    pub before: Standing,
    /// The job as it is now.
    pub job: Job,
    /// The event that made it so.
    pub event: JobEvent,
    /// When.
    pub at: Timestamp,
}

/// How a job stood before a change. Its version guards the change: where it is the stored one, the rest is, too.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Standing {
    /// Its version.
    pub version: u64,
    /// Its state.
    pub state: StateCode,
    /// Its scene.
    pub scene: String,
    /// The only account that could send it.
    pub sender: Option<AccountName>,
    /// Its requests that may have been paid.
    pub submissions: u32,
    /// Whether the change leaves all that came from its row as it was: effect, output and account.
    pub keeps_row: bool,
}

impl Change {
    /// What `event`, which happened at `at`, makes of a job.
    pub fn of(job: &Job, event: JobEvent, at: Timestamp) -> Result<Self, IllegalTransition> {
        let next = job.apply(&event, at)?;
        let before = Standing {
            version: job.version,
            state: job.state.code(),
            scene: job.effect.scene.clone(),
            sender: job.sender().cloned(),
            submissions: job.submissions,
            keeps_row: job.content == next.content
                && job.effect == next.effect
                && job.output == next.output
                && job.account == next.account,
        };
        Ok(Self { before, job: next, event, at })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::OutputKey;
    use crate::store::contract::{at, filled, started};
    use crate::store::sqlite::SqliteStore;
    use crate::store::{Filter, Store};

    #[tokio::test]
    async fn a_step_leaves_what_came_from_the_row_and_a_move_does_not() {
        let store = SqliteStore::open_in_memory().unwrap();
        filled(&store, "m", 1).await;
        let job = store.jobs(Filter::default(), crate::domain::JobId(0), 1).await.unwrap().remove(0);
        assert!(Change::of(&job, started(&job), at(1)).unwrap().before.keeps_row);
        let moved = JobEvent::Moved { output: OutputKey::new("elsewhere.mp4").unwrap() };
        assert!(!Change::of(&job, moved, at(1)).unwrap().before.keeps_row);
    }
}
