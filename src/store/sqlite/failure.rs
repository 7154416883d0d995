//! What a failure of SQLite's means to those who asked.

use crate::store::StoreError;

/// What the engine's failure means to callers.
pub(super) fn failed(error: rusqlite::Error) -> StoreError {
    use rusqlite::ErrorCode as Code;
    // The index of the log could not be made larger.
    let no_index = error.sqlite_error().is_some_and(|of| of.extended_code == rusqlite::ffi::SQLITE_IOERR_SHMSIZE);
    match error.sqlite_error_code() {
        Some(Code::DiskFull) => StoreError::Full,
        Some(Code::SystemIoFailure) if no_index => StoreError::Full,
        Some(Code::DatabaseCorrupt | Code::NotADatabase) => StoreError::Damaged(error.to_string()),
        Some(Code::ReadOnly) => StoreError::ReadOnly,
        _ => StoreError::Engine(Box::new(error)),
    }
}

/// The same failure for one more caller.
pub(super) fn again(failure: &StoreError) -> StoreError {
    match failure {
        StoreError::Full => StoreError::Full,
        StoreError::ReadOnly => StoreError::ReadOnly,
        StoreError::Closed => StoreError::Closed,
        StoreError::Gone => StoreError::Gone,
        StoreError::Damaged(words) => StoreError::Damaged(words.clone()),
        StoreError::Conflict { job } => StoreError::Conflict { job: *job },
        StoreError::Engine(source) => StoreError::Engine(source.to_string().into()),
    }
}
