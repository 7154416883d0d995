//! The real binary in several processes on one ledger in a PostgreSQL of the tests' own, against the simulator. Processes are
//! killed and stopped, the database crashes, and the remote judges: nothing is paid twice, and no limit is passed.
//! `tests/run` installs PostgreSQL.
#![expect(
    clippy::unwrap_used,
    clippy::disallowed_methods,
    reason = "a test fails where it cannot go on, and measures real processes by real time"
)]

#[cfg(feature = "object-store")]
#[expect(dead_code, reason = "the tests of object stores need more of it")]
#[path = "../objects/bucket.rs"]
mod bucket;
mod hosts;
#[cfg(feature = "object-store")]
mod night;
mod nights;
mod secrets;
mod server;
#[expect(dead_code, reason = "the other tests need more of it")]
#[path = "../e2e/support.rs"]
mod support;
mod tls;
mod verbs;
#[cfg(feature = "object-store")]
mod worker;
