//! Exit codes: what cron and scripts can tell apart. Part of what nightreel promises; documented in `--help` and README.

/// How a command ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u8)]
pub(crate) enum Exit {
    /// All done.
    Done = 0,
    /// Something broke that should not.
    Internal = 1,
    /// Bad usage or configuration.
    Usage = 2,
    /// Some rows failed; for `verify`, files are missing or changed.
    Failed = 3,
    /// Rows need a person: held, stuck, or changed and not sent again.
    Held = 4,
    /// Interrupted; the same command goes on.
    Interrupted = 5,
    /// Another run holds the ledger.
    Locked = 6,
    /// The manifest was rejected; nothing was submitted.
    Rejected = 7,
    /// The account is paused.
    Paused = 8,
    /// Videos or ledger cannot be written.
    Unwritable = 9,
    /// The balance of an account is used up, and rows are left.
    Empty = 10,
    /// The budget is reached, and rows are left.
    Budget = 11,
}

impl Exit {
    /// The number that the process ends with.
    pub(crate) const fn number(self) -> u8 {
        self as u8
    }
}
