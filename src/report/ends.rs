//! Videos that were paid for and are soon thrown away at the remote, or are gone already.

use std::time::Duration;

use jiff::{SignedDuration, Timestamp};
use serde::Serialize;

use crate::domain::{AccountName, BatchId, Job, StateCode};
use crate::gateway::Preset;
use crate::store::{Store, StoreError};

/// How long before its end a video is warned of.
const WARN: SignedDuration = SignedDuration::from_hours(7 * 24);
/// Rows of one account that are counted at the most.
const MOST: usize = 10_000;

/// Paid rows of one account that near the end of what it keeps videos for, counted from when they were sent: none is kept
/// for shorter than that.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Ending {
    /// The account.
    pub account: AccountName,
    /// How many end within a week.
    pub rows: u64,
    /// The first of them, by name.
    pub first: Option<String>,
    /// When that one ends.
    pub first_ends: Option<Timestamp>,
    /// How many are past their end, and probably gone.
    pub gone: u64,
    /// The oldest of those, by name.
    pub oldest_gone: Option<String>,
    /// How many of all of these are held: collecting does not fetch them before they are settled.
    pub held: u64,
    /// In how many hours the first of them ends.
    hours: i64,
}

impl Ending {
    /// The accounts that have such rows, in one batch or in all, those first whose rows end first.
    pub async fn gather(store: &dyn Store, batch: Option<BatchId>, now: Timestamp) -> Result<Vec<Self>, StoreError> {
        let mut endings = Vec::new();
        for account in store.accounts().await? {
            // A gateway that a later nightreel knows is not warned of.
            let preset = account.gateway.parse::<Preset>().ok();
            let Some(kept) = preset.and_then(Preset::retention) else { continue };
            let before = warned_before(kept, now);
            let jobs = store.open_before(account.name.clone(), before, MOST).await?;
            let paid = jobs.into_iter().filter(|job| batch.is_none_or(|batch| batch == job.batch)).filter(is_paid);
            endings.extend(Self::of(account.name, paid, kept, now));
        }
        endings.sort_by_key(|ending| (ending.first_ends.is_none(), ending.first_ends));
        Ok(endings)
    }

    /// Counts rows that come oldest first.
    fn of(account: AccountName, jobs: impl Iterator<Item = Job>, kept: Duration, now: Timestamp) -> Option<Self> {
        let mut ending =
            Self { account, rows: 0, first: None, first_ends: None, gone: 0, oldest_gone: None, held: 0, hours: 0 };
        for job in jobs {
            let Some(attempt) = &job.attempt else { continue };
            let ends = attempt.started_at.saturating_add(kept).unwrap_or(Timestamp::MAX);
            ending.held += u64::from(job.state.code() == StateCode::Held);
            if ends <= now {
                ending.gone += 1;
                ending.oldest_gone.get_or_insert(job.label);
            } else {
                ending.rows += 1;
                if ending.first_ends.is_none() {
                    ending.first_ends = Some(ends);
                    ending.hours = ends.duration_since(now).as_hours();
                    ending.first = Some(job.label);
                }
            }
        }
        (ending.rows + ending.gone > 0).then_some(ending)
    }

    /// For people.
    pub(super) fn lines(&self) -> Vec<String> {
        let mut lines = Vec::new();
        let account = &self.account;
        if let Some(first) = &self.first {
            let words = if self.rows == 1 { "paid video is" } else { "paid videos are" };
            lines.push(format!(
                "{} {words} thrown away at {account} within 7 days (the first: {first}, in {})",
                self.rows,
                self.left()
            ));
        }
        if let Some(oldest) = &self.oldest_gone {
            let words = if self.gone == 1 { "paid video is" } else { "paid videos are" };
            lines.push(format!(
                "{} {words} past the end of what {account} keeps, and probably gone (the oldest: {oldest})",
                self.gone
            ));
        }
        if self.held > 0 {
            lines.push(format!(
                "  {} of them are held: nightreel rescue --adopt looks for their tasks, nightreel resolve settles them",
                self.held
            ));
        }
        lines
    }

    /// What to type before anything else, where something can still be fetched.
    #[must_use]
    pub fn next(&self) -> Option<String> {
        self.first.as_ref()?;
        Some(format!("nightreel collect   (before the first video is thrown away, in {})", self.left()))
    }

    fn left(&self) -> String {
        match self.hours {
            ..1 => "less than an hour".to_owned(),
            hours @ 1..72 => format!("{hours} h"),
            hours => format!("{} days", hours / 24),
        }
    }
}

/// Rows that were sent before this are warned of.
fn warned_before(kept: Duration, now: Timestamp) -> Timestamp {
    let kept = SignedDuration::try_from(kept).unwrap_or(SignedDuration::MAX);
    let warned_after = kept.saturating_sub(WARN).max(SignedDuration::ZERO);
    now.saturating_sub(warned_after).unwrap_or(Timestamp::MIN)
}

/// Whether something may lie at the remote to be fetched.
fn is_paid(job: &Job) -> bool {
    matches!(job.state.code(), StateCode::Waiting | StateCode::Ready | StateCode::Stuck | StateCode::Held)
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;
    use crate::domain::{Doubt, JobEvent, JobId, TaskId};
    use crate::ledger::Ledger;
    use crate::pace::Clock;
    use crate::store::contract::{account, at, filled, started};
    use crate::store::sqlite::SqliteStore;
    use crate::store::{Account, Filter};

    const DAY: i64 = 24 * 3600;

    #[tokio::test]
    async fn paid_videos_near_their_end_are_warned_of_and_others_are_not() {
        let store: Arc<dyn Store> = Arc::new(SqliteStore::open_in_memory().unwrap());
        let known = |gateway: &str| Account {
            name: account(),
            gateway: gateway.into(),
            base_url: String::new(),
            last_submit_at: None,
        };
        store.open_account(known("kling")).await.unwrap();
        let batch = filled(store.as_ref(), "m", 6).await;
        let jobs = store.jobs(Filter::default(), JobId(0), 6).await.unwrap();
        // Sent on these days; the last one is not sent at all.
        for (number, (day, job)) in [31, 8, 5, 4, 1].into_iter().map(|ago| 40 - ago).zip(jobs).enumerate() {
            let ledger = Ledger::new(Arc::clone(&store), Clock::starting_at(at(day * DAY)));
            let sent = ledger.record(&job, started(&job)).await.unwrap();
            let event = if number == 2 {
                JobEvent::Doubted { doubt: Doubt::TimedOut, due_at: at(0) }
            } else {
                JobEvent::Accepted { task: TaskId::new(format!("t{number}")).unwrap(), request_id: None, handle: None }
            };
            ledger.record(&sent, event).await.unwrap();
        }
        // Of the eight days old one, 22 days are left; 30 h before its end it is warned of.
        let on = |day: i64, hours: i64| at(day * DAY + hours * 3600);
        let ending = async |batch, now| Ending::gather(store.as_ref(), batch, now).await.unwrap();
        let now = on(32 + 30, -30);
        let [warned] = ending(None, now).await.try_into().unwrap();
        assert_eq!((warned.rows, warned.first.as_deref(), warned.gone), (2, Some("r1"), 1));
        assert_eq!(
            warned.lines(),
            [
                "2 paid videos are thrown away at kling within 7 days (the first: r1, in 30 h)",
                "1 paid video is past the end of what kling keeps, and probably gone (the oldest: r0)",
            ]
        );
        assert_eq!(warned.next().unwrap(), "nightreel collect   (before the first video is thrown away, in 30 h)");
        assert_eq!(ending(Some(BatchId(batch.id.0 + 1)), now).await, []);
        assert_eq!(ending(None, on(31, 0)).await, []);
        // Where nobody says how long videos are kept, nobody is warned.
        store.open_account(known("cometapi")).await.unwrap();
        assert_eq!(ending(None, now).await, []);
    }
}
