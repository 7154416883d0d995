//! One process per ledger: a lock on a file beside it, which names its holder. The system frees the lock when the
//! process ends, however it ends, so a lock is never stale and never has to be broken.

use std::fs::{File, OpenOptions, TryLockError};
use std::io::{Read, Seek, SeekFrom, Write};
use std::os::unix::fs::{MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

use jiff::Timestamp;

/// A held lock, for as long as it lives.
#[derive(Debug)]
pub(super) struct RunLock {
    _file: File,
}

/// Who holds a ledger.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Holder {
    /// Its process id, where it left one.
    pub pid: Option<u32>,
    /// When it began.
    pub since: Option<Timestamp>,
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
        let path = beside(ledger);
        let unusable = |source| LockError::Unusable(path.clone(), source);
        let opened = OpenOptions::new().read(true).write(true).create(true).truncate(false).mode(0o600).open(&path);
        let mut file = opened.map_err(unusable)?;
        match file.try_lock() {
            Ok(()) => {}
            Err(TryLockError::WouldBlock) => {
                let (pid, since) = holder(&mut file);
                return Err(LockError::Held { pid, since });
            }
            Err(TryLockError::Error(source)) if keeps_none(&source) => return Err(LockError::Unsupported),
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

/// Whether a lock was refused because none can be had: by a file system that knows none, or a share whose server answers
/// nobody who asks for one.
fn keeps_none(source: &std::io::Error) -> bool {
    let no_locks = rustix::io::Errno::NOLCK.raw_os_error();
    source.kind() == std::io::ErrorKind::Unsupported || source.raw_os_error() == Some(no_locks)
}

/// The file that is locked.
fn beside(ledger: &Path) -> PathBuf {
    let mut name = ledger.as_os_str().to_owned();
    name.push(".lock");
    PathBuf::from(name)
}

/// Who holds the lock of a ledger, as far as that can be told without taking it: the system's list of locks, else whether
/// the process that took it last still lives.
pub(super) fn held(ledger: &Path) -> Option<Holder> {
    let mut file = File::open(beside(&ledger.canonicalize().ok()?)).ok()?;
    let about = file.metadata().ok()?;
    let (pid, since) = holder(&mut file);
    let held = match std::fs::read_to_string("/proc/locks") {
        Ok(locks) => {
            let this = format!(":{}", about.ino());
            locks.lines().any(|lock| lock.contains(" FLOCK ") && lock.split(' ').any(|word| word.ends_with(&this)))
        }
        Err(_) => pid.and_then(|pid| rustix::process::Pid::from_raw(i32::try_from(pid).ok()?)).is_some_and(|pid| {
            // One that may not be signalled lives.
            !matches!(rustix::process::test_kill_process(pid), Err(rustix::io::Errno::SRCH))
        }),
    };
    held.then_some(Holder { pid, since })
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

#[cfg(test)]
mod tests {
    use super::*;

    fn ledger() -> (tempfile::TempDir, PathBuf) {
        let folder = tempfile::tempdir().unwrap();
        let ledger = folder.path().join("nightreel.db");
        std::fs::write(&ledger, "").unwrap();
        (folder, ledger.canonicalize().unwrap())
    }

    #[test]
    fn a_lock_is_told_of_while_it_is_held_and_others_locks_are_not_taken_for_it() {
        let now = Timestamp::from_second(1_800_000_000).unwrap();
        let ((_one, mine), (_two, others)) = (ledger(), ledger());
        let lock = RunLock::take(&mine, now).unwrap();
        drop(RunLock::take(&others, now).unwrap());
        let expected = Holder { pid: Some(std::process::id()), since: Some(now) };
        assert_eq!((held(&mine), held(&others)), (Some(expected), None));
        let again = RunLock::take(&mine, now);
        assert!(matches!(again, Err(LockError::Held { pid, since: Some(_) }) if pid == expected.pid), "{again:?}");
        drop(lock);
        assert_eq!(held(&mine), None);
    }

    #[test]
    fn a_file_system_without_locks_is_told_from_other_trouble() {
        let refused = |error: rustix::io::Errno| keeps_none(&std::io::Error::from_raw_os_error(error.raw_os_error()));
        assert!(refused(rustix::io::Errno::NOLCK) && refused(rustix::io::Errno::OPNOTSUPP));
        assert!(!refused(rustix::io::Errno::IO) && !refused(rustix::io::Errno::ACCESS));
    }
}
