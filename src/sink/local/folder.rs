//! One folder of the output tree, held open: every file in it is reached from there, by a plain name, so that no symbolic
//! link below the root can lead out of the tree. Never overwrites what it is asked to give a name to.

use std::fs::{self, File};
use std::io;
use std::os::fd::OwnedFd;
use std::path::{Path, PathBuf};

use rustix::fs::{AtFlags, Mode, OFlags, RenameFlags};
use rustix::io::Errno;

use crate::domain::OutputKey;
use crate::sink::SinkError;
use crate::sink::spot::split;

/// What every file is opened with: no links, no blocking on a FIFO that somebody put there.
const PLAIN: OFlags = OFlags::CLOEXEC.union(OFlags::NOFOLLOW).union(OFlags::NONBLOCK);

#[derive(Debug)]
pub(super) struct Folder {
    fd: OwnedFd,
    place: PathBuf,
}

/// What became of an attempt to give a file its final name.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Named {
    Given,
    Taken,
}

/// What a failed system call means for the output tree.
pub(super) fn failed(place: &Path, source: io::Error) -> SinkError {
    match source.kind() {
        io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded => SinkError::Full,
        _ => SinkError::Unwritable { place: place.display().to_string(), source },
    }
}

impl Folder {
    /// The folder that `key` lies in, made where it is missing.
    pub(super) fn make(root: &Path, key: &OutputKey) -> Result<Self, SinkError> {
        make_root(root).map_err(|error| failed(root, error))?;
        let mut folder = Self::open_root(root)?;
        for part in split(key).0.into_iter().flat_map(|folders| folders.split('/')) {
            match rustix::fs::mkdirat(&folder.fd, part, Mode::from_raw_mode(0o777)) {
                Ok(()) => folder.sync()?,
                Err(Errno::EXIST) => {}
                Err(error) => return Err(failed(&folder.place.join(part), error.into())),
            }
            folder = folder.descend(part)?;
        }
        Ok(folder)
    }

    /// The folder that `key` lies in, where it is there.
    pub(super) fn find(root: &Path, key: &OutputKey) -> Result<Option<Self>, SinkError> {
        let walk = || {
            let mut folder = Self::open_root(root)?;
            for part in split(key).0.into_iter().flat_map(|folders| folders.split('/')) {
                folder = folder.descend(part)?;
            }
            Ok(folder)
        };
        match walk() {
            Ok(folder) => Ok(Some(folder)),
            Err(SinkError::Unwritable { source, .. }) if source.kind() == io::ErrorKind::NotFound => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// The root itself, which may be a symbolic link.
    fn open_root(root: &Path) -> Result<Self, SinkError> {
        let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC;
        let fd = rustix::fs::open(root, flags, Mode::empty()).map_err(|error| failed(root, error.into()))?;
        Ok(Self { fd, place: root.to_owned() })
    }

    fn descend(&self, part: &str) -> Result<Self, SinkError> {
        let place = self.place.join(part);
        let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC | OFlags::NOFOLLOW;
        match rustix::fs::openat(&self.fd, part, flags, Mode::empty()) {
            Ok(fd) => Ok(Self { fd, place }),
            Err(Errno::LOOP | Errno::NOTDIR) => {
                let words = "a file or a symbolic link is in the way of a folder";
                Err(failed(&place, io::Error::new(io::ErrorKind::NotADirectory, words)))
            }
            Err(error) => Err(failed(&place, error.into())),
        }
    }

    /// Where a file of this folder is, for people.
    pub(super) fn place(&self, name: &str) -> PathBuf {
        self.place.join(name)
    }

    /// Opens a file for reading: `None` where there is none, or something that is no plain file.
    pub(super) fn read(&self, name: &str) -> Result<Option<File>, SinkError> {
        self.open(name, OFlags::RDONLY)
    }

    /// Opens a file for reading and writing: `None` where there is none, or something that is no plain file.
    pub(super) fn reopen(&self, name: &str) -> Result<Option<File>, SinkError> {
        self.open(name, OFlags::RDWR)
    }

    fn open(&self, name: &str, access: OFlags) -> Result<Option<File>, SinkError> {
        let file = match rustix::fs::openat(&self.fd, name, access | PLAIN, Mode::empty()) {
            Ok(fd) => File::from(fd),
            Err(Errno::NOENT | Errno::LOOP | Errno::ISDIR | Errno::NXIO) => return Ok(None),
            Err(error) => return Err(failed(&self.place(name), error.into())),
        };
        let plain = file.metadata().map_err(|error| failed(&self.place(name), error))?.is_file();
        Ok(plain.then_some(file))
    }

    /// Opens an empty file for reading and writing, emptying the one that is there.
    pub(super) fn create(&self, name: &str) -> Result<File, SinkError> {
        self.open_empty(name, OFlags::TRUNC)
    }

    /// Makes a file for reading and writing that is not there yet.
    pub(super) fn create_new(&self, name: &str) -> Result<File, SinkError> {
        self.open_empty(name, OFlags::EXCL)
    }

    fn open_empty(&self, name: &str, how: OFlags) -> Result<File, SinkError> {
        let flags = OFlags::RDWR | OFlags::CREATE | how | PLAIN;
        rustix::fs::openat(&self.fd, name, flags, Mode::from_raw_mode(0o666))
            .map(File::from)
            .map_err(|error| failed(&self.place(name), error.into()))
    }

    /// Whether an open file still has this name.
    pub(super) fn has(&self, name: &str, file: &File) -> bool {
        let (Ok(named), Ok(open)) =
            (rustix::fs::statat(&self.fd, name, AtFlags::SYMLINK_NOFOLLOW), rustix::fs::fstat(file))
        else {
            return false;
        };
        (named.st_dev, named.st_ino) == (open.st_dev, open.st_ino)
    }

    /// Whether anything has this name.
    pub(super) fn exists(&self, name: &str) -> Result<bool, SinkError> {
        match rustix::fs::statat(&self.fd, name, AtFlags::SYMLINK_NOFOLLOW) {
            Ok(_) => Ok(true),
            Err(Errno::NOENT) => Ok(false),
            Err(error) => Err(failed(&self.place(name), error.into())),
        }
    }

    /// Removes a file, where it is there.
    pub(super) fn remove(&self, name: &str) -> Result<(), SinkError> {
        match rustix::fs::unlinkat(&self.fd, name, AtFlags::empty()) {
            Ok(()) | Err(Errno::NOENT) => Ok(()),
            Err(error) => Err(failed(&self.place(name), error.into())),
        }
    }

    /// Gives the file `from` the name `to`, in one step and only where nothing has that name.
    pub(super) fn give_name(&self, from: &str, to: &str) -> Result<Named, SinkError> {
        match rustix::fs::renameat_with(&self.fd, from, &self.fd, to, RenameFlags::NOREPLACE) {
            // Not every file system can do this (NFS cannot).
            Err(Errno::INVAL | Errno::NOSYS | Errno::OPNOTSUPP) => self.link_name(from, to),
            result => self.named(to, result),
        }
    }

    fn link_name(&self, from: &str, to: &str) -> Result<Named, SinkError> {
        match rustix::fs::linkat(&self.fd, from, &self.fd, to, AtFlags::empty()) {
            Ok(()) => self.remove(from).map(|()| Named::Given),
            // No hard links either (exFAT): look first, which only nightreel's own tree makes good enough.
            Err(Errno::PERM | Errno::INVAL | Errno::NOSYS | Errno::OPNOTSUPP | Errno::MLINK) => {
                match rustix::fs::statat(&self.fd, to, AtFlags::SYMLINK_NOFOLLOW) {
                    Ok(_) => Ok(Named::Taken),
                    Err(Errno::NOENT) => self.named(to, rustix::fs::renameat(&self.fd, from, &self.fd, to)),
                    Err(error) => Err(failed(&self.place(to), error.into())),
                }
            }
            result => self.named(to, result),
        }
    }

    fn named(&self, to: &str, result: rustix::io::Result<()>) -> Result<Named, SinkError> {
        match result {
            Ok(()) => Ok(Named::Given),
            Err(Errno::EXIST) => Ok(Named::Taken),
            Err(error) => Err(failed(&self.place(to), error.into())),
        }
    }

    /// Gives the file `from` the name `to`, in the place of what has that name.
    pub(super) fn replace(&self, from: &str, to: &str) -> Result<(), SinkError> {
        rustix::fs::renameat(&self.fd, from, &self.fd, to).map_err(|error| failed(&self.place(to), error.into()))
    }

    /// Makes the names in this folder durable.
    pub(super) fn sync(&self) -> Result<(), SinkError> {
        match rustix::fs::fsync(&self.fd) {
            // Some network file systems cannot sync a folder, and need not.
            Ok(()) | Err(Errno::INVAL | Errno::OPNOTSUPP) => Ok(()),
            Err(error) => Err(failed(&self.place, error.into())),
        }
    }
}

fn make_root(root: &Path) -> io::Result<()> {
    if root.is_dir() {
        return Ok(());
    }
    let parent = match root.parent() {
        Some(parent) if !parent.as_os_str().is_empty() => parent,
        Some(_) | None => Path::new("."),
    };
    make_root(parent)?;
    match fs::create_dir(root) {
        Ok(()) => File::open(parent)?.sync_all(),
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists && root.is_dir() => Ok(()),
        Err(error) => Err(error),
    }
}
