//! The rate of requests that may be paid: governor's cell, on our clock.
//!
//! Requests are spread evenly and never bunched, and a hundredth slower than allowed: what leaves here evenly arrives
//! a little unevenly, and the remote counts arrivals. One that left a few milliseconds late, as timers have it, does not make
//! all after it late: they leave when they would have left.

use std::num::NonZeroU32;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use governor::clock::{Clock as Ticks, Reference};
use governor::middleware::NoOpMiddleware;
use governor::state::{InMemoryState, NotKeyed};
use governor::{Quota, RateLimiter};
use jiff::Timestamp;

use super::Clock;

/// How much slower than allowed we go, in hundredths.
const MARGIN_PERCENT: u32 = 1;

/// How late a request may leave without those after it being late as well. Remotes count by the second or by longer spans, of
/// which the margin is ten milliseconds or more: half of the least is used up by this.
const MADE_UP: Duration = Duration::from_millis(5);
/// A request is so many of governor's cells, which makes this the grain of what is made up for.
const CELLS: u32 = 1000;
const ONE_REQUEST: NonZeroU32 = NonZeroU32::new(CELLS).unwrap();

/// Lets one request through each interval.
#[derive(Debug)]
pub struct Limiter {
    cell: RateLimiter<NotKeyed, InMemoryState, SinceStart, NoOpMiddleware<Duration>>,
    clock: Clock,
    start: Timestamp,
    interval: Duration,
    not_before: Timestamp,
    /// When the last request left.
    last: Mutex<Option<Timestamp>>,
}

impl Limiter {
    /// One request each `interval`, the first not sooner than one interval after `last`: a restart goes on with the
    /// rate where the run before it stood.
    #[must_use]
    pub fn new(interval: Duration, last: Option<Timestamp>, clock: &Clock) -> Self {
        let interval = (interval + interval * MARGIN_PERCENT / 100).max(Duration::from_nanos(1));
        let start = clock.now();
        let one_cell = (interval / CELLS).max(Duration::from_nanos(1));
        // Never half an interval: two requests are not let through together.
        let made_up = u32::try_from(MADE_UP.as_nanos() / one_cell.as_nanos()).unwrap_or(CELLS).min(CELLS / 2);
        let quota = Quota::with_period(one_cell)
            .unwrap_or_else(|| Quota::per_second(NonZeroU32::MAX))
            .allow_burst(ONE_REQUEST.saturating_add(made_up));
        let after_last = last.and_then(|at| at.checked_add(interval).ok()).unwrap_or(start);
        // An instant in the future (a clock that was put back) must not stop the night.
        let latest = start.checked_add(interval).unwrap_or(start);
        Self {
            cell: RateLimiter::direct_with_clock(quota, SinceStart { clock: clock.clone(), start }),
            clock: clock.clone(),
            start,
            interval,
            not_before: after_last.min(latest),
            last: Mutex::new(None),
        }
    }

    /// Waits until one more request may leave, and counts it.
    pub async fn ready(&self) {
        self.clock.sleep_until(self.not_before).await;
        while let Ok(Err(not_yet)) = self.cell.check_n(ONE_REQUEST) {
            let wait = not_yet.wait_time_from(since(self.start, self.clock.now()));
            self.clock.sleep(wait).await;
        }
        *self.last() = Some(self.clock.now());
    }

    /// When one more request may leave, as far as can be told.
    #[must_use]
    pub fn next_at(&self) -> Timestamp {
        let after_last = self.last().and_then(|at| at.checked_add(self.interval).ok());
        after_last.map_or(self.not_before, |at| at.max(self.not_before))
    }

    fn last(&self) -> MutexGuard<'_, Option<Timestamp>> {
        self.last.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// governor's view of our clock: the time since the limiter was made.
#[derive(Debug, Clone)]
struct SinceStart {
    clock: Clock,
    start: Timestamp,
}

impl Ticks for SinceStart {
    type Instant = Duration;

    fn now(&self) -> Duration {
        since(self.start, self.clock.now())
    }
}

fn since(start: Timestamp, now: Timestamp) -> Duration {
    Duration::try_from(now.duration_since(start)).unwrap_or(Duration::ZERO)
}

// What `SinceStart` counts in must be what governor can reckon with.
const _: fn() = || {
    fn reckons<T: Reference>() {}
    reckons::<Duration>();
};

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn a_minute_never_sees_more_than_its_rate() {
        let clock = Clock::starting_at(Timestamp::UNIX_EPOCH);
        let limiter = Limiter::new(Duration::from_secs(3), None, &clock);
        let mut sent = Vec::new();
        for _ in 0..100 {
            limiter.ready().await;
            sent.push(clock.now());
        }
        for (i, first) in sent.iter().enumerate() {
            let within = sent[i..].iter().filter(|at| at.duration_since(*first).as_secs_f64() < 60.0).count();
            assert!(within <= 20, "{within} in one minute");
        }
        let pace = 99.0 * 3.0 / sent[99].duration_since(sent[0]).as_secs_f64();
        assert!(pace > 0.98, "only {pace} of the rate was used");
    }

    #[tokio::test(start_paused = true)]
    async fn what_leaves_a_little_late_makes_nothing_after_it_late_and_no_second_sees_more() {
        let clock = Clock::starting_at(Timestamp::UNIX_EPOCH);
        let mut random = fastrand::Rng::with_seed(5);
        for (interval, allowed) in [(50, 20), (10, 100), (1000, 1)] {
            let limiter = Limiter::new(Duration::from_millis(interval), None, &clock);
            let mut sent = Vec::new();
            for _ in 0..400 {
                // The stage takes its time, and so do timers.
                clock.sleep(Duration::from_micros(random.u64(0..4000))).await;
                limiter.ready().await;
                clock.sleep(Duration::from_micros(random.u64(0..1000))).await;
                sent.push(clock.now());
            }
            for (i, first) in sent.iter().enumerate() {
                let within = sent[i..].iter().filter(|at| at.duration_since(*first).as_secs_f64() < 1.0).count();
                assert!(within <= allowed, "{within} in one second of {allowed}");
            }
            let pace = 399.0 * interval as f64 / 1000.0 / sent[399].duration_since(sent[0]).as_secs_f64();
            assert!(pace > 0.985, "only {pace} of the rate was used at {allowed}/s");
        }
    }

    #[tokio::test(start_paused = true)]
    async fn a_restart_goes_on_with_the_rate() {
        let clock = Clock::starting_at(Timestamp::UNIX_EPOCH);
        let limiter = Limiter::new(Duration::from_secs(10), Some(clock.now()), &clock);
        limiter.ready().await;
        let waited = clock.now().duration_since(Timestamp::UNIX_EPOCH).as_secs_f64();
        assert!((10.0..10.5).contains(&waited), "{waited}");
    }

    #[tokio::test(start_paused = true)]
    async fn a_last_request_in_the_future_does_not_stop_the_night() {
        let clock = Clock::starting_at(Timestamp::UNIX_EPOCH);
        let ahead = clock.now().checked_add(Duration::from_secs(3600)).unwrap();
        let limiter = Limiter::new(Duration::from_secs(10), Some(ahead), &clock);
        limiter.ready().await;
        assert!(clock.now().duration_since(Timestamp::UNIX_EPOCH).as_secs_f64() < 11.0);
    }
}
