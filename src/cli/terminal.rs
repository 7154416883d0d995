//! Standard output and standard error: the only place that writes to them, but for logs and progress.

use std::io::{IsTerminal, Write};

/// Wider lines are hard to read.
pub(crate) const MOST_COLUMNS: usize = 100;

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

/// Standard output, for a document that is written piece by piece. A reader that went away has seen enough.
#[derive(Debug)]
pub(crate) struct Document;

impl Write for Document {
    fn write(&mut self, piece: &[u8]) -> std::io::Result<usize> {
        match std::io::stdout().lock().write(piece) {
            Err(gone) if gone.kind() == std::io::ErrorKind::BrokenPipe => Ok(piece.len()),
            written => written,
        }
    }

    fn flush(&mut self) -> std::io::Result<()> {
        match std::io::stdout().lock().flush() {
            Err(gone) if gone.kind() == std::io::ErrorKind::BrokenPipe => Ok(()),
            flushed => flushed,
        }
    }
}

/// How wide help is: as the terminal or `COLUMNS` says, at most a hundred.
pub(crate) fn columns() -> usize {
    let told = std::env::var("COLUMNS").ok().and_then(|text| text.parse().ok());
    let size = || rustix::termios::tcgetwinsize(std::io::stdout()).ok().map(|size| usize::from(size.ws_col));
    told.or_else(size).filter(|columns| *columns > 0).map_or(MOST_COLUMNS, |columns| columns.min(MOST_COLUMNS))
}

/// Whether a person reads standard output.
pub(crate) fn is_read_by_a_person() -> bool {
    std::io::stdout().is_terminal()
}
