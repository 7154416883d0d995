//! Everything about time: the clock, the limiter on that clock, backoff and cooldown. Nothing else may wait.

mod clock;

pub use clock::Clock;
