//! The clock: the only place where nightreel learns the time or waits.
//!
//! Everything that waits takes a [`Clock`], so that a whole night can be played in milliseconds under tokio's paused
//! time. The clock never goes backwards within a process: a system clock set back an hour at 3 a.m. must not make every
//! due task an hour late.

use std::fmt;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use jiff::{SignedDuration, Timestamp};
use tokio::time::Instant;

/// How far the system clock may run ahead of ours before we follow it (a laptop that slept, a clock put right).
const FOLLOW_AFTER: SignedDuration = SignedDuration::from_secs(2);

/// A source of instants and of waiting, cheap to clone.
#[derive(Debug, Clone)]
pub struct Clock {
    source: Source,
}

#[derive(Debug, Clone)]
enum Source {
    /// The system's time, made monotonic.
    System(Arc<Mutex<Anchor>>, Wall),
    /// Starts at a given instant and advances with tokio's time only, which tests pause.
    Tokio(Anchor),
}

/// The clock on the system's wall, which anybody may set.
#[derive(Clone)]
struct Wall(Arc<dyn Fn() -> Timestamp + Send + Sync>);

impl fmt::Debug for Wall {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Wall")
    }
}

#[derive(Debug, Clone, Copy)]
struct Anchor {
    wall: Timestamp,
    at: Instant,
}

impl Anchor {
    #[expect(clippy::disallowed_methods, reason = "the clock is where the time is read")]
    fn new(wall: Timestamp) -> Self {
        Self { wall, at: Instant::now() }
    }

    fn elapsed(&self) -> Timestamp {
        let span = SignedDuration::try_from(self.at.elapsed()).unwrap_or(SignedDuration::ZERO);
        self.wall.saturating_add(span).unwrap_or(Timestamp::MAX)
    }
}

impl Clock {
    /// The system's time: follows it forwards, never backwards.
    #[must_use]
    #[expect(clippy::disallowed_methods, reason = "the clock is where the time is read")]
    pub fn system() -> Self {
        Self::following(Timestamp::now)
    }

    /// The time that `wall` tells, as if it were the system's: tests set it forwards and back.
    pub(crate) fn following(wall: impl Fn() -> Timestamp + Send + Sync + 'static) -> Self {
        let anchor = Anchor::new(wall());
        Self { source: Source::System(Arc::new(Mutex::new(anchor)), Wall(Arc::new(wall))) }
    }

    /// A clock that starts at `origin` and moves only with tokio's time (which `start_paused` makes virtual).
    #[must_use]
    pub fn starting_at(origin: Timestamp) -> Self {
        Self { source: Source::Tokio(Anchor::new(origin)) }
    }

    /// The present instant.
    #[must_use]
    pub fn now(&self) -> Timestamp {
        match &self.source {
            Source::Tokio(anchor) => anchor.elapsed(),
            Source::System(shared, Wall(wall)) => {
                let mut anchor = shared.lock().unwrap_or_else(PoisonError::into_inner);
                let ours = anchor.elapsed();
                let wall = wall();
                if wall.duration_since(ours) > FOLLOW_AFTER {
                    *anchor = Anchor::new(wall);
                    wall
                } else {
                    ours
                }
            }
        }
    }

    /// Waits for `span`.
    #[expect(clippy::disallowed_methods, reason = "the clock is where waiting is done")]
    pub async fn sleep(&self, span: Duration) {
        tokio::time::sleep(span).await;
    }

    /// Waits until `at`; at once when it is past. Wakes at least every ten seconds to look at the time again, so that a
    /// machine that slept does not oversleep.
    pub async fn sleep_until(&self, at: Timestamp) {
        const LOOK_AGAIN: Duration = Duration::from_secs(10);
        loop {
            let left = at.duration_since(self.now());
            let Ok(left) = Duration::try_from(left) else {
                return;
            };
            if left.is_zero() {
                return;
            }
            self.sleep(left.min(LOOK_AGAIN)).await;
        }
    }

    /// Runs `work`, for `span` at the most; `None` when it did not end in time.
    #[expect(clippy::disallowed_methods, reason = "the clock is where waiting is done")]
    pub async fn within<F: Future>(&self, span: Duration, work: F) -> Option<F::Output> {
        tokio::time::timeout(span, work).await.ok()
    }
}
