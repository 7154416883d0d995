//! What an account did in this run, counted up for whoever watches. Nothing is decided by it.

use std::collections::VecDeque;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use jiff::Timestamp;

use crate::domain::{Job, JobEvent, State};

/// How long the present rate is counted over.
const MINUTE: Duration = Duration::from_secs(60);
/// Seconds that the times of tasks are sorted by; what takes longer is counted beyond the last.
const BOUNDS: [u64; 10] = [15, 30, 60, 120, 180, 240, 360, 600, 1200, 3600];

/// Counts of one account.
#[derive(Debug, Default)]
pub(super) struct Meter {
    submissions: AtomicU64,
    put_offs: AtomicU64,
    doubts: AtomicU64,
    failures: AtomicU64,
    videos: AtomicU64,
    bytes: AtomicU64,
    task_millis: AtomicU64,
    /// By the bound that each is within; the last for all beyond.
    tasks: [AtomicU64; BOUNDS.len() + 1],
    /// Requests of the last minute, a second each.
    recent: Mutex<VecDeque<(i64, u64)>>,
}

/// How an account's counts stand.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Counts {
    /// Requests for a task that were sent; those that turned out to have made nothing, refused probes among them, too.
    pub submissions: u64,
    /// Requests that certainly made nothing and are sent again; refused probes among them.
    pub put_offs: u64,
    /// Requests of which nobody knew whether they made a task.
    pub doubts: u64,
    /// Rows that ended without a video.
    pub failures: u64,
    /// Videos that were stored.
    pub videos: u64,
    /// Their bytes.
    pub bytes: u64,
    /// How long tasks took, all together.
    pub task_time: Duration,
    /// How many tasks took up to so many seconds, and longer than the bound before; `None` beyond the last.
    pub tasks: Vec<(Option<u64>, u64)>,
}

impl Meter {
    /// Counts what happened to a job of the account.
    pub(super) fn count(&self, event: &JobEvent, next: &Job, now: Timestamp) {
        let one = |counter: &AtomicU64| {
            counter.fetch_add(1, Ordering::Relaxed);
        };
        match event {
            JobEvent::SubmitStarted { .. } => {
                one(&self.submissions);
                self.note(now);
            }
            JobEvent::PutOff { .. } => one(&self.put_offs),
            JobEvent::Doubted { .. } => one(&self.doubts),
            JobEvent::Stored { artifact } => {
                one(&self.videos);
                self.bytes.fetch_add(artifact.bytes, Ordering::Relaxed);
            }
            JobEvent::Succeeded { took_ms: Some(took), .. } => {
                self.task_millis.fetch_add(*took, Ordering::Relaxed);
                let place = BOUNDS.iter().position(|bound| *took <= bound * 1000).unwrap_or(BOUNDS.len());
                self.tasks.get(place).into_iter().for_each(one);
            }
            _ => {}
        }
        if matches!(next.state, State::Failed { .. }) {
            one(&self.failures);
        }
    }

    /// Requests of the last minute.
    pub(super) fn last_minute(&self, now: Timestamp) -> u64 {
        let mut recent = self.recent.lock().unwrap_or_else(PoisonError::into_inner);
        forget_old(&mut recent, now);
        recent.iter().map(|(_, requests)| requests).sum()
    }

    pub(super) fn counts(&self) -> Counts {
        let read = |counter: &AtomicU64| counter.load(Ordering::Relaxed);
        let bounds = BOUNDS.iter().copied().map(Some).chain([None]);
        Counts {
            submissions: read(&self.submissions),
            put_offs: read(&self.put_offs),
            doubts: read(&self.doubts),
            failures: read(&self.failures),
            videos: read(&self.videos),
            bytes: read(&self.bytes),
            task_time: Duration::from_millis(read(&self.task_millis)),
            tasks: bounds.zip(self.tasks.iter().map(read)).collect(),
        }
    }

    fn note(&self, now: Timestamp) {
        let mut recent = self.recent.lock().unwrap_or_else(PoisonError::into_inner);
        forget_old(&mut recent, now);
        match recent.back_mut() {
            Some((second, requests)) if *second == now.as_second() => *requests += 1,
            _ => recent.push_back((now.as_second(), 1)),
        }
    }
}

fn forget_old(recent: &mut VecDeque<(i64, u64)>, now: Timestamp) {
    let oldest = now.as_second() - i64::try_from(MINUTE.as_secs()).unwrap_or(0);
    while recent.front().is_some_and(|(second, _)| *second <= oldest) {
        recent.pop_front();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_present_rate_is_that_of_the_last_minute() {
        let meter = Meter::default();
        let at = |second| Timestamp::from_second(second).unwrap();
        for second in [0, 0, 1, 30, 59] {
            meter.note(at(second));
        }
        assert_eq!((meter.last_minute(at(59)), meter.last_minute(at(60)), meter.last_minute(at(90))), (5, 3, 1));
        assert_eq!(meter.last_minute(at(119)), 0);
    }
}
