//! Standard output and standard error: the only place that writes to them, but for logs and progress.

use std::io::Write;

/// Prints to standard output. A reader that went away (`| head`) has seen enough.
pub(crate) fn out(text: &str) {
    drop(std::io::stdout().lock().write_all(text.as_bytes()));
}

/// Prints one JSON object to standard output.
pub(crate) fn json(value: &impl serde::Serialize) {
    let text = serde_json::to_string_pretty(value).unwrap_or_default();
    out(&format!("{text}\n"));
}

/// Prints to standard error.
pub(crate) fn err(text: &str) {
    drop(std::io::stderr().lock().write_all(text.as_bytes()));
}
