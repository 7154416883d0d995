//! A ledger as one file that can be carried to another machine, and back into place; and a ledger made smaller.
//!
//! A copy is made within one read transaction, so that it is of one instant also beside a run, and is named only once it
//! is whole, checked, and on the disk.

use std::fs::{self, File};
use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};

use jiff::Timestamp;
use rusqlite::{Connection, OpenFlags, params};
use sha2::{Digest as _, Sha256};
use tempfile::NamedTempFile;

use crate::domain::Digest;

use super::open::{self, OpenError, classified};
use super::{RunLock, SqliteStore, sql};

/// A ledger could not be copied.
#[derive(Debug, thiserror::Error)]
pub enum CopyError {
    /// One of the two could not be opened.
    #[error(transparent)]
    Open(#[from] OpenError),
    /// Something has the copy's name already.
    #[error("{path}: there is a file of this name already; it was left as it is")]
    Exists {
        /// The name.
        path: PathBuf,
    },
    /// There is a ledger in that place already, and it knows batches.
    #[error("{path}: there is a ledger already, of {rows} rows in {batches} batches; it was left as it is")]
    HasRows {
        /// The ledger.
        path: PathBuf,
        /// Its rows.
        rows: u64,
        /// Its batches.
        batches: u64,
    },
    /// A log of changes lies beside the ledger's place, whose ledger is gone, or is in use.
    #[error(
        "{path}: changes of another ledger lie here, or somebody reads it; they would be lost, or mixed up with the new one"
    )]
    LeftOver {
        /// The log.
        path: PathBuf,
    },
    /// The file is not whole.
    #[error("{path}: the ledger is damaged: {words}")]
    Damaged {
        /// The file.
        path: PathBuf,
        /// What the engine's check said first.
        words: String,
    },
    /// A file or folder cannot be made, read or written.
    #[error("{path}: the copy cannot be made")]
    Unusable {
        /// Which.
        path: PathBuf,
        /// What the system said.
        #[source]
        source: std::io::Error,
    },
}

/// A copy that was made and checked.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Copied {
    /// How many rows it knows.
    pub rows: u64,
    /// How many batches.
    pub batches: u64,
    /// Its size in bytes.
    pub bytes: u64,
    /// The digest of the file.
    pub sha256: Digest,
}

/// Output trees that lie elsewhere from now on: what their paths began with, and what takes its place.
pub type Moves = Vec<(PathBuf, PathBuf)>;

impl SqliteStore {
    /// Writes the ledger at `from` as one file, also beside a run; any format that this nightreel knows. Never replaces a
    /// file. Readable by its owner only.
    pub fn export(from: &Path, to: &Path) -> Result<Copied, CopyError> {
        if fs::symlink_metadata(to).is_ok() {
            return Err(CopyError::Exists { path: to.to_path_buf() });
        }
        let draft = draft(from, to)?;
        let copied = finish(&draft, to)?;
        match draft.persist_noclobber(to) {
            Ok(_) => synced_folder(to).map(|()| copied),
            Err(failed) if failed.error.kind() == std::io::ErrorKind::AlreadyExists => {
                Err(CopyError::Exists { path: to.to_path_buf() })
            }
            Err(failed) => Err(CopyError::Unusable { path: to.to_path_buf(), source: failed.error }),
        }
    }

    /// Puts a copy of the ledger at `from` in place as the ledger at `to`, where there is none that knows a batch. What the
    /// lock says of when is `now`.
    pub fn import(from: &Path, to: &Path, moves: &Moves, now: Timestamp) -> Result<Copied, CopyError> {
        // What is no ledger is refused before anything is made.
        check(from, &open_copy(from)?)?;
        let to = open::create(to)?;
        let _lock = RunLock::take(&to, now).map_err(|failed| open::locked(&to, failed))?;
        make_way(&to)?;
        let draft = draft(from, &to)?;
        move_trees(draft.path(), moves)?;
        let copied = finish(&draft, &to)?;
        draft.persist(&to).map_err(|failed| CopyError::Unusable { path: to.clone(), source: failed.error })?;
        synced_folder(&to).map(|()| copied)
    }

    /// Gives unused room in the ledger's file back to the disk, where at least a quarter of it is unused; whether that was
    /// so. Takes the lock: not beside a run.
    pub fn compact(path: &Path, now: Timestamp) -> Result<bool, OpenError> {
        let path = open::create(path)?;
        let _lock = RunLock::take(&path, now).map_err(|failed| open::locked(&path, failed))?;
        let engine = |source| classified(&path, source);
        let conn = open::to_write(&path)?;
        let pages = |pragma| conn.pragma_query_value(None, pragma, |row| row.get::<_, i64>(0)).map_err(engine);
        if pages("freelist_count")? * 4 < pages("page_count")? {
            return Ok(false);
        }
        conn.execute_batch(sql::COMPACT).map_err(engine)?;
        conn.query_row(sql::CHECKPOINT, [], |_| Ok(())).map_err(engine)?;
        Ok(true)
    }
}

/// A ledger of any known format, opened to be copied.
fn open_copy(path: &Path) -> Result<Connection, CopyError> {
    // Without a ledger in it, an empty file would be taken for an empty ledger.
    let about = fs::metadata(path).map_err(|source| CopyError::Unusable { path: path.to_path_buf(), source })?;
    if about.len() == 0 {
        return Err(OpenError::NotALedger { path: path.to_path_buf() }.into());
    }
    let conn = open::either_way(path)?;
    if open::version(&conn, path)? == 0 {
        return Err(OpenError::NotALedger { path: path.to_path_buf() }.into());
    }
    conn.execute_batch(sql::PRAGMAS_COPY).map_err(|source| classified(path, source))?;
    Ok(conn)
}

/// The copy under a name that is no ledger's, in the folder of `to`.
fn draft(from: &Path, to: &Path) -> Result<NamedTempFile, CopyError> {
    let folder = folder(to);
    let unusable = |source| CopyError::Unusable { path: folder.to_path_buf(), source };
    let draft = tempfile::Builder::new().prefix(".nightreel-").suffix(".part").tempfile_in(folder).map_err(unusable)?;
    let conn = open_copy(from)?;
    conn.execute(sql::COPY_INTO, params![draft.path().to_string_lossy()]).map_err(|source| classified(from, source))?;
    Ok(draft)
}

/// Checks a draft, and has it on the disk.
fn finish(draft: &NamedTempFile, to: &Path) -> Result<Copied, CopyError> {
    let (rows, batches) = check(draft.path(), &open_copy(draft.path())?)?;
    let read = draft.as_file().sync_all().and_then(|()| digest(draft.path()));
    let (bytes, sha256) = read.map_err(|source| CopyError::Unusable { path: to.to_path_buf(), source })?;
    Ok(Copied { rows, batches, bytes, sha256 })
}

/// A file's length and digest.
fn digest(path: &Path) -> std::io::Result<(u64, Digest)> {
    let mut reader = BufReader::with_capacity(64 * 1024, File::open(path)?);
    let (mut hasher, mut length) = (Sha256::new(), 0);
    loop {
        let piece = reader.fill_buf()?;
        let read = piece.len();
        if read == 0 {
            return Ok((length, Digest::from_hasher(hasher)));
        }
        hasher.update(piece);
        length += read as u64;
        reader.consume(read);
    }
}

/// How many rows and batches a ledger has, where it is whole.
fn check(path: &Path, conn: &Connection) -> Result<(u64, u64), CopyError> {
    let engine = |source| classified(path, source);
    let words: String = conn.query_row(sql::CHECK, [], |row| row.get(0)).map_err(engine)?;
    if words != "ok" {
        return Err(CopyError::Damaged { path: path.to_path_buf(), words });
    }
    counts(conn).map_err(|source| engine(source).into())
}

fn counts(conn: &Connection) -> rusqlite::Result<(u64, u64)> {
    conn.query_row(sql::ROWS_AND_BATCHES, [], |row| {
        Ok((row.get::<_, i64>(0)?.max(0).cast_unsigned(), row.get::<_, i64>(1)?.max(0).cast_unsigned()))
    })
}

/// Sees to it that nothing is lost where the new ledger goes, and that nothing of an old one is left beside it.
fn make_way(to: &Path) -> Result<(), CopyError> {
    let unusable = |source| CopyError::Unusable { path: to.to_path_buf(), source };
    let beside = |end: &str| {
        let mut name = to.as_os_str().to_owned();
        name.push(end);
        PathBuf::from(name)
    };
    let log = beside("-wal");
    let left_over = || CopyError::LeftOver { path: log.clone() };
    let in_log = || fs::metadata(&log).is_ok_and(|about| about.len() > 0);
    if fs::metadata(to).map_err(unusable)?.len() == 0 {
        // A log without its ledger may hold the last that is left of it.
        if in_log() {
            return Err(left_over());
        }
    } else {
        let engine = |source| classified(to, source);
        let conn = Connection::open_with_flags(to, OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_NO_MUTEX)
            .map_err(engine)?;
        if open::version(&conn, to)? > 0 {
            let (rows, batches) = counts(&conn).map_err(engine)?;
            if batches > 0 || rows > 0 {
                return Err(CopyError::HasRows { path: to.to_path_buf(), rows, batches });
            }
        }
        // The log of the empty ledger must not be taken for one of the new ledger's.
        conn.pragma_update_and_check(None, "journal_mode", "DELETE", |_| Ok(())).map_err(|_| left_over())?;
        drop(conn);
        if in_log() {
            return Err(left_over());
        }
    }
    // Both are empty or gone; the engine makes them anew.
    for end in ["-wal", "-shm"] {
        drop(fs::remove_file(beside(end)));
    }
    Ok(())
}

/// Gives batches their output trees' new places.
fn move_trees(path: &Path, moves: &Moves) -> Result<(), CopyError> {
    let engine = |source| classified(path, source);
    let mut conn = Connection::open_with_flags(path, OpenFlags::SQLITE_OPEN_READ_WRITE).map_err(engine)?;
    let step = conn.transaction().map_err(engine)?;
    let trees: Vec<(i64, String)> = step
        .prepare(sql::TREES)
        .and_then(|mut trees| trees.query_map([], |row| Ok((row.get(0)?, row.get(1)?)))?.collect())
        .map_err(engine)?;
    for (batch, out) in trees {
        let place = moves.iter().find_map(|(old, new)| Some((new, Path::new(&out).strip_prefix(old).ok()?)));
        let Some((new, rest)) = place else { continue };
        // Joined with nothing, a path would end with a slash.
        let new = if rest.as_os_str().is_empty() { new.clone() } else { new.join(rest) };
        step.execute(sql::MOVE_TREE, params![batch, new.to_string_lossy()]).map_err(engine)?;
    }
    step.commit().map_err(|source| engine(source).into())
}

fn folder(of: &Path) -> &Path {
    of.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."))
}

/// Has the name of a new file on the disk, too.
fn synced_folder(of: &Path) -> Result<(), CopyError> {
    let folder = folder(of);
    let synced = File::open(folder).and_then(|folder| folder.sync_all());
    synced.map_err(|source| CopyError::Unusable { path: folder.to_path_buf(), source })
}
