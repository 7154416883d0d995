//! The real binary against the simulator, with its output tree in a bucket of a server that speaks S3 and checks signatures:
//! `s3s-fs`, whose objects are files, so that they are judged without any client. `tests/run` installs it.
#![expect(
    clippy::unwrap_used,
    clippy::disallowed_methods,
    reason = "a test fails where it cannot go on, and measures real processes by real time"
)]

mod bucket;
mod images;
mod nights;
#[expect(dead_code, reason = "the other tests need more of it")]
#[path = "../e2e/support.rs"]
mod support;
