//! Logs: to standard error, as text or JSON, filtered by `RUST_LOG` (default: warnings).
//!
//! The names of the fields of a JSON line are part of what nightreel promises: README lists them, and a test holds every
//! statement that logs, and a night's lines, to that list.

use std::io::IsTerminal;

use tracing_subscriber::EnvFilter;

use crate::config::LogFormat;

use super::terminal;

/// Starts logging, once.
pub(super) fn start(format: LogFormat) {
    let filter = EnvFilter::try_from_default_env().unwrap_or_else(|_| EnvFilter::new("warn"));
    let colour = std::io::stderr().is_terminal() && std::env::var_os("NO_COLOR").is_none();
    let subscriber =
        tracing_subscriber::fmt().with_env_filter(filter).with_writer(|| terminal::Errors).with_ansi(colour);
    // A second start changes nothing: the first one stands.
    match format {
        LogFormat::Text => drop(subscriber.try_init()),
        LogFormat::Json => drop(subscriber.json().flatten_event(true).try_init()),
    }
}
