//! Where a gallery is put, and how it addresses what lies elsewhere: by relative paths, so that an output tree can be moved
//! or served with its gallery in it.

use std::fs;
use std::path::{Component, Path, PathBuf};

use crate::sink::{Sink, SinkError, is_address};

use super::super::results::ReportError;
use super::page;

/// The gallery's folder in an output tree.
const FOLDER: &str = "report";

/// A folder for a gallery.
#[derive(Debug)]
pub struct Place<'a> {
    sink: &'a dyn Sink,
    /// What stands before the names of its documents in the sink.
    within: &'static str,
    folder: PathBuf,
}

impl<'a> Place<'a> {
    /// `report` in the output tree at `tree`, which `sink` writes.
    #[must_use]
    pub fn of_tree(sink: &'a dyn Sink, tree: &Path) -> Self {
        Self { sink, within: "report/", folder: canonical(tree).join(FOLDER) }
    }

    /// A folder anywhere, which `sink` writes.
    #[must_use]
    pub fn at(sink: &'a dyn Sink, folder: &Path) -> Self {
        Self { sink, within: "", folder: canonical(folder) }
    }

    /// Where the page itself is.
    #[must_use]
    pub fn index(&self) -> PathBuf {
        self.folder.join(page::INDEX)
    }

    pub(super) const fn sink(&self) -> &dyn Sink {
        self.sink
    }

    /// The name of one of its documents in the sink.
    pub(super) fn document(&self, name: &str) -> String {
        format!("{}{name}", self.within)
    }

    /// Whether it is in an object store.
    pub(super) fn is_remote(&self) -> bool {
        is_address(&self.folder)
    }

    /// Whether a gallery is there.
    pub async fn is_there(&self) -> Result<bool, SinkError> {
        Ok(self.sink.peek(&self.document(page::INDEX)).await?.is_some())
    }

    /// Fails where the folder holds files and no gallery of ours: nothing of anybody else's is ever overwritten. Of a bucket,
    /// only the names that a gallery takes are looked at.
    pub(super) async fn must_be_free(&self) -> Result<(), ReportError> {
        if self.is_remote() {
            let index = self.sink.peek(&self.document(page::INDEX)).await?;
            let mut is_free = index.as_deref().is_none_or(page::is_ours);
            for name in page::OTHERS {
                is_free = is_free && (index.is_some() || self.sink.peek(&self.document(name)).await?.is_none());
            }
            return if is_free { Ok(()) } else { Err(ReportError::Taken(self.folder.clone())) };
        }
        let Ok(entries) = fs::read_dir(&self.folder) else { return Ok(()) };
        let is_shown = |entry: &fs::DirEntry| !entry.file_name().to_string_lossy().starts_with('.');
        let is_empty = !entries.flatten().any(|entry| is_shown(&entry));
        if is_empty || fs::read(self.index()).is_ok_and(|page| page::is_ours(&page)) {
            Ok(())
        } else {
            Err(ReportError::Taken(self.folder.clone()))
        }
    }

    /// The relative address of a folder, with a `/` at its end.
    pub(super) fn address_of(&self, folder: &Path) -> String {
        let target = canonical(folder);
        if is_address(&target) != self.is_remote() {
            // Nothing leads from a disk to a bucket, or back; a browser says that it cannot go there.
            return format!("{}/", target.display());
        }
        let (from, to): (Vec<_>, Vec<_>) = (self.folder.components().collect(), target.components().collect());
        let shared = from.iter().zip(&to).take_while(|(one, other)| one == other).count();
        let mut address = "../".repeat(from.len() - shared);
        for part in &to[shared..] {
            if let Component::Normal(part) = part {
                address.push_str(&encoded(part.as_encoded_bytes()));
                address.push('/');
            }
        }
        if address.is_empty() { "./".to_owned() } else { address }
    }
}

/// The path without symbolic links, as far as it is there.
fn canonical(path: &Path) -> PathBuf {
    if is_address(path) {
        return path.to_path_buf();
    }
    let mut rest = Vec::new();
    for part in path.ancestors() {
        if let Ok(found) = part.canonicalize() {
            return rest.into_iter().rev().fold(found, |path: PathBuf, name| path.join(name));
        }
        rest.extend(part.file_name());
    }
    path.to_path_buf()
}

/// A name as one part of a URL's path.
fn encoded(name: &[u8]) -> String {
    let mut text = String::new();
    for byte in name {
        if byte.is_ascii_alphanumeric() || b"-._~".contains(byte) {
            text.push(char::from(*byte));
        } else {
            text.push_str(&format!("%{byte:02X}"));
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use crate::sink::LocalSink;

    use super::*;

    #[test]
    fn what_lies_elsewhere_is_addressed_by_a_relative_and_encoded_path() {
        let folder = tempfile::tempdir().unwrap();
        let root = folder.path();
        fs::create_dir_all(root.join("videos")).unwrap();
        std::os::unix::fs::symlink(root.join("videos"), root.join("link")).unwrap();
        let sink = LocalSink::new(root.join("videos"));
        let place = Place::of_tree(&sink, &root.join("link"));
        assert_eq!(place.address_of(&root.join("videos")), "../");
        assert_eq!(place.address_of(&root.join("photos/a b#?%'é")), "../../photos/a%20b%23%3F%25%27%C3%A9/");
        let elsewhere = Place::at(&sink, &root.join("not/there"));
        assert_eq!(elsewhere.address_of(&root.join("link")), "../../videos/");
        assert_eq!(elsewhere.address_of(&root.join("not/there")), "./");
    }

    #[tokio::test]
    async fn only_an_empty_folder_or_a_gallery_is_written_to() {
        let folder = tempfile::tempdir().unwrap();
        let sink = LocalSink::new(folder.path().to_owned());
        let place = Place::at(&sink, folder.path());
        assert!(place.must_be_free().await.is_ok());
        fs::write(folder.path().join(".hidden"), "").unwrap();
        assert!(place.must_be_free().await.is_ok());
        fs::write(folder.path().join("index.html"), "<p>mine").unwrap();
        assert!(matches!(place.must_be_free().await, Err(ReportError::Taken(_))));
        fs::write(folder.path().join("index.html"), page::page()).unwrap();
        assert!(place.must_be_free().await.is_ok());
    }
}
