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
    device: u64,
    inode: u64,
}

impl Place {
    /// The file that is at `path` now.
    pub(super) fn of(path: &Path) -> std::io::Result<Self> {
        let found = fs::metadata(path)?;
        Ok(Self { path: path.to_path_buf(), device: found.dev(), inode: found.ino() })
    }

    /// Whether the file is still there.
    pub(super) fn is_kept(&self) -> bool {
        fs::metadata(&self.path).is_ok_and(|found| (found.dev(), found.ino()) == (self.device, self.inode))
    }

    /// Writes what the ledger holds beside where it was. Gives where, unless something is there already or nothing can be
    /// written.
    pub(super) fn save(&self, conn: &Connection) -> Option<PathBuf> {
        let mut kept = self.path.clone().into_os_string();
        kept.push(".kept");
        let kept = PathBuf::from(kept);
        fs::create_dir_all(self.path.parent()?).ok()?;
        conn.execute(sql::COPY_INTO, [kept.to_str()?]).ok()?;
        fs::File::open(&kept).and_then(|file| file.sync_all()).ok()?;
        Some(kept)
    }

    /// Gives the saved ledger its name, where nothing has it. Only once no connection is open: that would take the new file's
    /// log away when it is closed.
    pub(super) fn put_back(&self, kept: &Path) {
        // Where another file has taken its place, both are left for a person.
        if fs::hard_link(kept, &self.path).is_ok() {
            let _ = fs::remove_file(kept);
            if let Some(folder) = self.path.parent() {
                let _ = fs::File::open(folder).and_then(|folder| folder.sync_all());
            }
        }
    }
}
