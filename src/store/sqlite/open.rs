//! Opening a ledger: whose file it is, which version its format has, and who else holds it.

use std::fs::{DirBuilder, OpenOptions};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

use jiff::Timestamp;
use rusqlite::{Connection, OpenFlags};

use super::network::is_on_network;
use super::{LockError, sql};

/// "nrl1": says that an SQLite file is a ledger of nightreel's.
const APPLICATION_ID: i32 = 0x6e72_6c31;

/// The steps from an empty file to the present format, in order; released ones are never edited.
pub(super) const MIGRATIONS: [(&str, &str); 4] = [
    ("0001_ledger", include_str!("migrations/0001_ledger.sql")),
    ("0002_accounts_and_money", include_str!("migrations/0002_accounts_and_money.sql")),
    ("0003_conditions", include_str!("migrations/0003_conditions.sql")),
    ("0004_read_as_written", include_str!("migrations/0004_read_as_written.sql")),
];

/// A ledger that is no larger is read through when it is opened to work on it: that takes some milliseconds, and a look-up
/// table that does not go with its rows would have paid rows taken for new ones.
const CHECKED_UP_TO: u64 = 8 << 20;

/// A ledger could not be opened.
#[derive(Debug, thiserror::Error)]
pub enum OpenError {
    /// Another process works on it.
    #[error("{path}: another run holds the ledger{}", holder(*pid, *since))]
    Held {
        /// The ledger.
        path: PathBuf,
        /// The holder's process id, where it left one.
        pid: Option<u32>,
        /// When it began.
        since: Option<Timestamp>,
    },
    /// The folder or file cannot be made, read or written.
    #[error("{path}: the ledger cannot be opened")]
    Unusable {
        /// What could not be opened.
        path: PathBuf,
        /// What the system said.
        #[source]
        source: std::io::Error,
    },
    /// The file system does not keep shared memory between processes: a network share.
    #[error("{path}: the ledger must be on a local disk, not on a network file system")]
    NetworkFilesystem {
        /// The ledger.
        path: PathBuf,
    },
    /// The file system keeps no locks, as some network shares do not.
    #[error("{path}: the ledger must be on a disk that keeps locks, and this file system keeps none: a network share?")]
    NoLocks {
        /// The ledger.
        path: PathBuf,
    },
    /// The file is something else.
    #[error("{path}: this file is not a ledger of nightreel's; it was left as it is")]
    NotALedger {
        /// The file.
        path: PathBuf,
    },
    /// A newer nightreel wrote it.
    #[error("{path}: the ledger's format is {found}, this nightreel knows up to {known}")]
    Newer {
        /// The ledger.
        path: PathBuf,
        /// Its format.
        found: i64,
        /// The newest format known here.
        known: i64,
    },
    /// An older nightreel wrote it, and it is only being read.
    #[error("{path}: the ledger's format is {found} and must be brought to {known} first")]
    Older {
        /// The ledger.
        path: PathBuf,
        /// Its format.
        found: i64,
        /// The format known here.
        known: i64,
    },
    /// It is damaged.
    #[error("{path}: the ledger is damaged: {words}")]
    Damaged {
        /// The ledger.
        path: PathBuf,
        /// What is wrong with it.
        words: String,
    },
    /// The engine failed.
    #[error("{path}: the ledger's engine failed")]
    Engine {
        /// The ledger.
        path: PathBuf,
        /// What it said.
        #[source]
        source: rusqlite::Error,
    },
}

fn holder(pid: Option<u32>, since: Option<Timestamp>) -> String {
    let pid = pid.map_or_else(String::new, |pid| format!(" (process {pid}"));
    match (pid.is_empty(), since) {
        (true, _) => String::new(),
        (false, None) => format!("{pid})"),
        (false, Some(since)) => format!("{pid}, since {since:.0})"),
    }
}

/// Makes the folder and the file where they are missing, readable by their owner only.
pub(super) fn create(path: &Path) -> Result<PathBuf, OpenError> {
    let unusable = |path: &Path| {
        let path = path.to_path_buf();
        move |source| OpenError::Unusable { path, source }
    };
    if let Some(folder) = path.parent().filter(|folder| !folder.as_os_str().is_empty()) {
        DirBuilder::new().recursive(true).mode(0o755).create(folder).map_err(unusable(folder))?;
    }
    OpenOptions::new().create(true).append(true).mode(0o600).open(path).map_err(unusable(path))?;
    // Two names of one ledger share one lock.
    let path = path.canonicalize().map_err(unusable(path))?;
    if is_on_network(&path) {
        return Err(OpenError::NetworkFilesystem { path });
    }
    Ok(path)
}

/// Opens the file to write, and brings it to the present format.
pub(super) fn to_write(path: &Path) -> Result<Connection, OpenError> {
    let engine = |source| classified(path, source);
    let conn = Connection::open_with_flags(path, OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_NO_MUTEX)
        .map_err(engine)?;
    let conn = prepare(conn, path)?;
    if path.metadata().is_ok_and(|found| found.len() <= CHECKED_UP_TO) {
        let words: String = conn.query_row(sql::CHECK, [], |row| row.get(0)).map_err(engine)?;
        if words != "ok" {
            // What stands in stars only says where to read on.
            let words = words.lines().find(|line| !line.starts_with('*')).unwrap_or("its parts do not fit").to_owned();
            return Err(OpenError::Damaged { path: path.to_path_buf(), words });
        }
    }
    Ok(conn)
}

/// A ledger in memory, for tests.
pub(super) fn in_memory() -> Result<Connection, OpenError> {
    let path = Path::new(":memory:");
    let conn = Connection::open_in_memory().map_err(|source| classified(path, source))?;
    prepare(conn, path)
}

fn prepare(mut conn: Connection, path: &Path) -> Result<Connection, OpenError> {
    let engine = |source| classified(path, source);
    let found = version(&conn, path)?;
    conn.execute_batch(sql::PRAGMAS).map_err(engine)?;
    conn.set_prepared_statement_cache_capacity(64);
    let begin = usize::try_from(found).unwrap_or(0);
    for (number, (_, statements)) in MIGRATIONS.iter().enumerate().skip(begin) {
        let step = conn.transaction().map_err(engine)?;
        step.execute_batch(statements).map_err(engine)?;
        step.pragma_update(None, "application_id", APPLICATION_ID).map_err(engine)?;
        step.pragma_update(None, "user_version", i64::try_from(number).unwrap_or(i64::MAX) + 1).map_err(engine)?;
        step.commit().map_err(engine)?;
    }
    // A run that was killed while it admitted many rows has left them out.
    conn.execute_batch(sql::LOOK_UPS).map_err(engine)?;
    Ok(conn)
}

/// Opens the file to read beside a run that writes.
pub(super) fn to_read(path: &Path) -> Result<Connection, OpenError> {
    let engine = |source| classified(path, source);
    let conn = either_way(path)?;
    let found = version(&conn, path)?;
    let known = known();
    if found < known {
        return Err(OpenError::Older { path: path.to_path_buf(), found, known });
    }
    conn.execute_batch(sql::PRAGMAS_READ).map_err(engine)?;
    Ok(conn)
}

/// A connection to read by.
pub(super) fn either_way(path: &Path) -> Result<Connection, OpenError> {
    // A ledger in WAL mode that nobody has open needs its index file made to be read at all, so the file is opened to
    // write, and nothing is.
    Connection::open_with_flags(path, OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_NO_MUTEX)
        .or_else(|_| Connection::open_with_flags(path, OpenFlags::SQLITE_OPEN_READ_ONLY))
        .map_err(|source| classified(path, source))
}

/// The format of a file that is a ledger or empty; anything else is refused untouched.
pub(super) fn version(conn: &Connection, path: &Path) -> Result<i64, OpenError> {
    let engine = |source| classified(path, source);
    let id: i32 = conn.pragma_query_value(None, "application_id", |row| row.get(0)).map_err(engine)?;
    let found: i64 = conn.pragma_query_value(None, "user_version", |row| row.get(0)).map_err(engine)?;
    let tables: i64 = conn.query_row(sql::TABLES, [], |row| row.get(0)).map_err(engine)?;
    match (id, tables) {
        (APPLICATION_ID, _) | (0, 0) => {}
        _ => return Err(OpenError::NotALedger { path: path.to_path_buf() }),
    }
    if found > known() {
        return Err(OpenError::Newer { path: path.to_path_buf(), found, known: known() });
    }
    Ok(found)
}

/// Why the lock of a ledger cannot be had.
pub(super) fn locked(path: &Path, failed: LockError) -> OpenError {
    let path = path.to_path_buf();
    match failed {
        LockError::Held { pid, since } => OpenError::Held { path, pid, since },
        LockError::Unsupported => OpenError::NoLocks { path },
        LockError::Unusable(path, source) => OpenError::Unusable { path, source },
    }
}

fn known() -> i64 {
    i64::try_from(MIGRATIONS.len()).unwrap_or(i64::MAX)
}

pub(super) fn classified(path: &Path, source: rusqlite::Error) -> OpenError {
    match source.sqlite_error_code() {
        Some(rusqlite::ErrorCode::NotADatabase) => OpenError::NotALedger { path: path.to_path_buf() },
        Some(rusqlite::ErrorCode::DatabaseCorrupt) => {
            OpenError::Damaged { path: path.to_path_buf(), words: source.to_string() }
        }
        _ => OpenError::Engine { path: path.to_path_buf(), source },
    }
}
