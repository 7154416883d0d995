//! How long to wait before something that failed is tried again.

use std::time::Duration;

/// Waits that double, with a fifth of chance in them so that many waiters do not come back together.
#[derive(Debug, Clone, Copy)]
pub struct Backoff {
    /// The first wait.
    pub first: Duration,
    /// No wait is longer, but for the chance.
    pub most: Duration,
}

impl Backoff {
    /// The wait after `failures` failures in a row, counted from 1.
    #[must_use]
    pub fn after(&self, failures: u32) -> Duration {
        let doubled = self.first.saturating_mul(1 << failures.saturating_sub(1).min(20));
        doubled.min(self.most).mul_f64(1.0 + 0.2 * fastrand::f64())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn waits_double_up_to_their_bound() {
        let backoff = Backoff { first: Duration::from_secs(1), most: Duration::from_secs(60) };
        for (failures, least) in [(1, 1), (2, 2), (3, 4), (7, 60), (4_000_000_000, 60)] {
            let wait = backoff.after(failures).as_secs_f64();
            assert!(wait >= f64::from(least) && wait <= f64::from(least) * 1.2, "{failures}: {wait}");
        }
    }
}
