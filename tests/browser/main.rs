//! The gallery as a browser shows it: the real binary writes it, a headless Chromium opens it from the disk.
#![expect(
    clippy::unwrap_used,
    clippy::disallowed_methods,
    reason = "a test fails where it cannot go on, and waits for a real browser in real time"
)]

mod driver;
mod gallery;
#[expect(dead_code, reason = "the other tests need more of it")]
#[path = "../e2e/support.rs"]
mod support;
mod written;
