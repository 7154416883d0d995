//! Where an open ledger's file is. A file that is deleted or replaced while it is open goes on being written, and nobody will
//! ever read it: so nothing is committed to it any more, and what it holds is put back.

use std::fs;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use rusqlite::Connection;

use super::sql;

/// The file of an open ledger.
#[derive(Debug)]
pub(super) struct Place {
    path: PathBuf,
    file: Identity,
    /// What SQLite keeps beside it while it is open, and leaves there where the file is not in its place any more: the next
    /// one who opened a file of that name would have the log folded into it.
    beside: Vec<(PathBuf, Identity)>,
}

/// Which file it is, whatever its name.
type Identity = (u64, u64);

fn identity(path: &Path) -> std::io::Result<Identity> {
    fs::metadata(path).map(|found| (found.dev(), found.ino()))
}

fn with_end(path: &Path, end: &str) -> PathBuf {
    let mut name = path.to_path_buf().into_os_string();
    name.push(end);
    name.into()
}

impl Place {
    /// The file that is at `path` now.
    pub(super) fn of(path: &Path) -> std::io::Result<Self> {
        let beside = ["-wal", "-shm"].map(|end| with_end(path, end)).into_iter();
        let beside = beside.filter_map(|path| Some((path.clone(), identity(&path).ok()?))).collect();
        Ok(Self { path: path.to_path_buf(), file: identity(path)?, beside })
    }

    /// Whether the file is still there.
    pub(super) fn is_kept(&self) -> bool {
        identity(&self.path).is_ok_and(|found| found == self.file)
    }

    /// Writes what the ledger holds beside where it was. Gives where, unless something is there already or nothing can be
    /// written.
    pub(super) fn save(&self, conn: &Connection) -> Option<PathBuf> {
        let kept = with_end(&self.path, ".kept");
        fs::create_dir_all(self.path.parent()?).ok()?;
        conn.execute(sql::COPY_INTO, [kept.to_str()?]).ok()?;
        fs::File::open(&kept).and_then(|file| file.sync_all()).ok()?;
        Some(kept)
    }

    /// Gives the saved ledger its name, where nothing has it. Only once no connection is open: that would take the new file's
    /// log away when it is closed.
    pub(super) fn put_back(&self, kept: &Path) {
        for (path, file) in &self.beside {
            if identity(path).is_ok_and(|found| found == *file) {
                let _ = fs::remove_file(path);
            }
        }
        // Where another file has taken its place, both are left for a person.
        if fs::hard_link(kept, &self.path).is_ok() {
            let _ = fs::remove_file(kept);
            if let Some(folder) = self.path.parent() {
                let _ = fs::File::open(folder).and_then(|folder| folder.sync_all());
            }
        }
    }
}
