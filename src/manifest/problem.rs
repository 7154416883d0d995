//! What is wrong with a manifest, and where.

use serde::Serialize;

/// How much of a value is shown.
const SHOWN: usize = 60;

/// One problem of a manifest.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize)]
pub struct Problem {
    /// The line at which the record begins, counted from 1.
    pub line: u64,
    /// The column's name; empty when the whole record is meant.
    pub column: String,
    /// What is wrong.
    pub what: String,
    /// The value found, shortened.
    pub found: String,
    /// What would be accepted.
    pub expected: String,
}

impl Problem {
    /// A problem of one cell.
    #[must_use]
    pub fn new(line: u64, column: &str, what: impl Into<String>, found: &str, expected: impl Into<String>) -> Self {
        Self { line, column: column.to_owned(), what: what.into(), found: shorten(found), expected: expected.into() }
    }

    /// A problem of a whole record.
    #[must_use]
    pub fn whole(line: u64, what: impl Into<String>, found: &str, expected: impl Into<String>) -> Self {
        Self::new(line, "", what, found, expected)
    }
}

/// A value in one line, not too long.
fn shorten(value: &str) -> String {
    let plain: String = value.chars().map(|c| if c.is_control() { '·' } else { c }).collect();
    if plain.chars().count() <= SHOWN {
        return plain;
    }
    let start: String = plain.chars().take(SHOWN - 1).collect();
    format!("{start}…")
}
