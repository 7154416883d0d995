//! How much slower than its rate an account goes for a while, after the remote said that requests came too fast.

use std::time::Duration;

use jiff::Timestamp;

/// How much slower each refusal makes it.
const SLOWER: f64 = 1.5;
/// The slowest: so many times the interval.
const SLOWEST: f64 = 32.0;
/// How long it stays quiet before it goes faster again.
const QUIET: Duration = Duration::from_secs(60);
/// How much faster, each time.
const FASTER: f64 = 1.25;

/// Slows down at refusals, and comes back slowly.
#[derive(Debug, Clone)]
pub struct Throttle {
    factor: f64,
    since: Timestamp,
}

impl Default for Throttle {
    fn default() -> Self {
        Self { factor: 1.0, since: Timestamp::MIN }
    }
}

impl Throttle {
    /// The remote refused a request as too soon. Gives how many times slower than set it goes from now on.
    pub fn refused(&mut self, now: Timestamp) -> f64 {
        self.factor = (self.factor * SLOWER).min(SLOWEST);
        self.since = now;
        self.factor
    }

    /// How long to wait after a request at `now`, beyond the `interval` of the rate itself.
    pub fn extra(&mut self, interval: Duration, now: Timestamp) -> Duration {
        let quiet_until = self.since.checked_add(QUIET).unwrap_or(Timestamp::MAX);
        if self.factor > 1.0 && now >= quiet_until {
            self.factor = (self.factor / FASTER).max(1.0);
            self.since = now;
        }
        interval.mul_f64(self.factor - 1.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_slows_down_at_once_and_comes_back_slowly() {
        let at = |seconds| Timestamp::from_second(seconds).unwrap();
        let interval = Duration::from_secs(10);
        let mut throttle = Throttle::default();
        assert_eq!(throttle.extra(interval, at(0)), Duration::ZERO);
        throttle.refused(at(0));
        throttle.refused(at(0));
        assert_eq!(throttle.extra(interval, at(1)), Duration::from_millis(12_500));
        let mut now = 1;
        while throttle.extra(interval, at(now)) > Duration::ZERO {
            now += 10;
        }
        assert!((180..=300).contains(&now), "{now}");
        for _ in 0..100 {
            throttle.refused(at(now));
        }
        assert_eq!(throttle.extra(interval, at(now)), Duration::from_secs(310));
    }
}
