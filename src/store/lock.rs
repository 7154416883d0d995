//! One process per ledger: a lock on a file beside it, which names its holder. The system frees the lock when the
//! process ends, however it ends, so a lock is never stale and never has to be broken.

use std::fs::{File, OpenOptions, TryLockError};
use std::io::{Read, Seek, SeekFrom, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

use jiff::Timestamp;

/// A held lock, for as long as it lives.
#[derive(Debug)]
pub(super) struct RunLock {
    _file: File,
}

/// The lock could not be taken.
#[derive(Debug)]
pub(super) enum LockError {
    /// Another process has it.
    Held {
        /// Its id, where it left one.
        pid: Option<u32>,
        /// When it began.
        since: Option<Timestamp>,
    },
    /// The file system keeps no locks.
    Unsupported,
    /// The lock file cannot be made or written.
    Unusable(PathBuf, std::io::Error),
}

impl RunLock {
    /// Takes the lock of a ledger, or says who has it. Never waits.
    pub(super) fn take(ledger: &Path, now: Timestamp) -> Result<Self, LockError> {
        let mut name = ledger.as_os_str().to_owned();
        name.push(".lock");
        let path = PathBuf::from(name);
        let unusable = |source| LockError::Unusable(path.clone(), source);
        let opened = OpenOptions::new().read(true).write(true).create(true).truncate(false).mode(0o600).open(&path);
        let mut file = opened.map_err(unusable)?;
        match file.try_lock() {
            Ok(()) => {}
            Err(TryLockError::WouldBlock) => {
                let (pid, since) = holder(&mut file);
                return Err(LockError::Held { pid, since });
            }
            Err(TryLockError::Error(source)) if source.kind() == std::io::ErrorKind::Unsupported => {
                return Err(LockError::Unsupported);
            }
            Err(TryLockError::Error(source)) => return Err(LockError::Unusable(path, source)),
        }
        let holder = format!("{} {now}\n", std::process::id());
        let written = file
            .set_len(0)
            .and_then(|()| file.seek(SeekFrom::Start(0)))
            .and_then(|_| file.write_all(holder.as_bytes()));
        written.map_err(unusable)?;
        Ok(Self { _file: file })
    }
}

/// What the holder wrote of itself; a torn line names nobody.
fn holder(file: &mut File) -> (Option<u32>, Option<Timestamp>) {
    let mut text = String::new();
    // A holder that cannot be read still holds the lock.
    if file.take(200).read_to_string(&mut text).is_err() {
        return (None, None);
    }
    let mut words = text.split_whitespace();
    let pid = words.next().and_then(|word| word.parse().ok());
    let since = words.next().and_then(|word| word.parse().ok());
    (pid, since)
}
