//! Everything about time: the clock, the hours of a run, the limiter on that clock, backoff, and how long tasks are expected to take.
//! Nothing else may wait.

mod backoff;
mod clock;
mod expectation;
mod hours;
mod limiter;
mod rate;
mod throttle;

pub use backoff::Backoff;
pub use clock::Clock;
pub use expectation::{Expectation, Part, soonest};
pub use hours::{Hours, NotATime, Shift, TimeOfDay, Window};
pub use limiter::Limiter;
pub use rate::{NotARate, Rate};
pub use throttle::Throttle;
