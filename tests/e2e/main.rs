//! The real binary against the simulator, which runs as a process of its own and outlives every kill.
#![expect(
    clippy::unwrap_used,
    clippy::disallowed_methods,
    reason = "a test fails where it cannot go on, and measures real processes by real time"
)]

mod accounts;
mod callbacks;
mod check;
mod dashboard;
mod disk;
mod doctor;
mod gateways;
mod help;
mod hostile;
mod install;
mod killed;
mod limits;
mod logging;
mod lost;
mod manifests;
mod notify;
mod ops;
mod page;
mod receipt;
mod refusals;
mod rescue;
mod scan;
mod scenes;
mod schedule;
mod share;
mod signals;
mod soak;
mod support;
mod synced;
mod taint;
mod terminal;
mod verbs;
