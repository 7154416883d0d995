//! From arguments to image files: folders are walked, patterns are looked for, files are taken as they are.

use std::collections::HashSet;
use std::fs::{self, File};
use std::io::Read;
use std::path::{Path, PathBuf};

use super::ScanError;
use super::glob::Glob;
use super::natural;

/// Endings of images, whether they can be sent or not: one that cannot is told, and not passed over.
const ENDINGS: [&str; 13] =
    ["jpg", "jpeg", "jpe", "jfif", "png", "webp", "bmp", "gif", "tif", "tiff", "heic", "heif", "avif"];
/// How nightreel's own list of results begins, which only an output tree has.
const RESULTS: &[u8] = b"batch,id,scene,state,";

/// A file that may be an image.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Candidate {
    /// Absolute, and free of symbolic links but for the file itself where it was named.
    pub(super) path: PathBuf,
    /// As a person would name it from where they are.
    pub(super) shown: PathBuf,
    /// Its place below the argument that it was found by.
    pub(super) within: PathBuf,
}

/// Folders that are not walked.
#[derive(Debug, Clone, Default)]
pub(super) struct Apart {
    /// Where videos go.
    pub(super) output_tree: PathBuf,
    /// Where fit copies go.
    pub(super) copies: Option<PathBuf>,
}

/// What the arguments are.
#[derive(Debug, Default)]
pub(super) struct Found {
    /// Each file once; arguments as they were given, and natural order within each.
    pub(super) images: Vec<Candidate>,
    /// What was seen and not looked at, with the reason where it is not that it is no image.
    pub(super) passed_over: Vec<String>,
}

/// Finds what the arguments name.
pub(super) fn find(arguments: &[PathBuf], apart: &Apart) -> Result<Found, ScanError> {
    let real = |path: &PathBuf| path.canonicalize().unwrap_or_else(|_| path.clone());
    let apart = Apart { output_tree: real(&apart.output_tree), copies: apart.copies.as_ref().map(real) };
    let mut found = Found::default();
    let mut seen = HashSet::new();
    for argument in arguments {
        let before = found.images.len();
        let fresh = of_argument(argument, &apart, &mut found)?;
        found.images.extend(fresh.into_iter().filter(|image| seen.insert(image.path.clone())));
        found.images[before..].sort_by(|one, other| natural::paths(&one.within, &other.within));
    }
    Ok(found)
}

fn of_argument(argument: &Path, apart: &Apart, found: &mut Found) -> Result<Vec<Candidate>, ScanError> {
    let unreadable = |source| ScanError::Unreadable { path: argument.to_path_buf(), source };
    match fs::metadata(argument) {
        Ok(about) if about.is_dir() => {
            let mut walk = Walk::new(argument, apart)?;
            walk.folder(Path::new(""));
            found.passed_over.append(&mut walk.passed_over);
            Ok(walk.images)
        }
        Ok(_) => {
            let name = PathBuf::from(argument.file_name().unwrap_or_default());
            let folder = argument.parent().filter(|folder| !folder.as_os_str().is_empty());
            let folder = folder.unwrap_or(Path::new(".")).canonicalize().map_err(unreadable)?;
            Ok(vec![Candidate { path: folder.join(&name), shown: argument.to_path_buf(), within: name }])
        }
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => {
            let missing = || ScanError::Missing { path: argument.to_path_buf() };
            let glob = Glob::new(argument).ok_or_else(missing)?;
            if !glob.base.is_dir() {
                return Err(missing());
            }
            let mut walk = Walk::new(&glob.base, apart)?;
            walk.folder(Path::new(""));
            walk.images.retain(|image| glob.covers(&image.within));
            if walk.images.is_empty() {
                return Err(ScanError::NothingMatches { pattern: argument.to_path_buf() });
            }
            Ok(walk.images)
        }
        Err(error) => Err(unreadable(error)),
    }
}

struct Walk<'a> {
    root: PathBuf,
    /// What stands before the names that are shown.
    prefix: PathBuf,
    apart: &'a Apart,
    images: Vec<Candidate>,
    passed_over: Vec<String>,
}

impl<'a> Walk<'a> {
    fn new(root: &Path, apart: &'a Apart) -> Result<Self, ScanError> {
        let prefix = if root == Path::new(".") { PathBuf::new() } else { root.to_path_buf() };
        let real = root.canonicalize().map_err(|source| ScanError::Unreadable { path: root.to_path_buf(), source })?;
        if apart.copies.as_ref().is_some_and(|copies| real.starts_with(copies)) {
            return Err(ScanError::AmongCopies { path: root.to_path_buf() });
        }
        Ok(Self { root: real, prefix, apart, images: Vec::new(), passed_over: Vec::new() })
    }

    /// Walks a folder below the root. What cannot be read is told, and the rest goes on.
    fn folder(&mut self, within: &Path) {
        let place = self.root.join(within);
        let shown = self.prefix.join(within);
        let entries = match fs::read_dir(&place) {
            Ok(entries) => entries,
            Err(error) => return self.passed_over.push(format!("{} (cannot be read: {error})", shown.display())),
        };
        let mut entries: Vec<_> = entries.filter_map(Result::ok).collect();
        entries.sort_by_key(fs::DirEntry::file_name);
        for entry in entries {
            let name = PathBuf::from(entry.file_name());
            if name.to_string_lossy().starts_with('.') {
                continue;
            }
            let (within, shown) = (within.join(&name), shown.join(&name));
            let path = self.root.join(&within);
            let Ok(kind) = entry.file_type() else { continue };
            if kind.is_symlink() {
                // What it leads to is either found by itself, or lies outside.
                self.passed_over.push(format!("{} (a symbolic link)", shown.display()));
            } else if kind.is_dir() {
                if !self.is_apart(&path) {
                    self.folder(&within);
                }
            } else if kind.is_file() && is_image(&path) {
                self.images.push(Candidate { path, shown, within });
            } else {
                self.passed_over.push(shown.display().to_string());
            }
        }
    }

    fn is_apart(&self, folder: &Path) -> bool {
        folder == self.apart.output_tree
            || self.apart.copies.as_deref() == Some(folder)
            || start(&folder.join("results.csv")).starts_with(RESULTS)
    }
}

/// By its name, or by its content where its name says nothing.
fn is_image(path: &Path) -> bool {
    let ending = path.extension().map(|ending| ending.to_string_lossy().to_lowercase());
    ending.is_some_and(|ending| ENDINGS.contains(&ending.as_str())) || {
        let start = start(path);
        start.starts_with(b"\xFF\xD8\xFF") || start.starts_with(b"\x89PNG\r\n\x1a\n")
    }
}

/// The first bytes of a file, as many as there are.
fn start(path: &Path) -> Vec<u8> {
    let mut start = Vec::new();
    if let Ok(file) = File::open(path) {
        // One that cannot be read begins with nothing.
        drop(file.take(RESULTS.len() as u64).read_to_end(&mut start));
    }
    start
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn folders_are_walked_in_natural_order_and_what_is_not_meant_is_left_alone() {
        let home = tempfile::tempdir().unwrap();
        let at = |name: &str| home.path().join(name);
        for name in [
            "p/img10.jpg",
            "p/img2.JPG",
            "p/b/x.heic",
            "p/.hidden.jpg",
            "p/.thumbs/a.jpg",
            "p/notes.txt",
            "p/videos/a.jpg",
            "p/fixed/a.jpg",
            "p/old/deep/a.jpg",
            "outside/secret.jpg",
        ] {
            fs::create_dir_all(at(name).parent().unwrap()).unwrap();
            fs::write(at(name), "x").unwrap();
        }
        fs::write(at("p/old/results.csv"), "batch,id,scene,state,file\n").unwrap();
        fs::write(at("p/no-ending"), b"\xFF\xD8\xFF").unwrap();
        std::os::unix::fs::symlink(at("outside"), at("p/link")).unwrap();
        std::os::unix::fs::symlink(at("p"), at("p/b/loop")).unwrap();
        let apart = Apart { output_tree: at("p/videos"), copies: Some(at("p/fixed")) };
        let names = |arguments: &[PathBuf]| -> Result<Vec<String>, ScanError> {
            let found = find(arguments, &apart)?;
            Ok(found.images.iter().map(|image| image.within.display().to_string()).collect())
        };
        assert_eq!(names(&[at("p")]).unwrap(), ["b/x.heic", "img2.JPG", "img10.jpg", "no-ending"]);
        let passed_over = find(&[at("p")], &apart).unwrap().passed_over.join("\n");
        for told in ["notes.txt", "link (a symbolic link)", "loop (a symbolic link)"] {
            assert!(passed_over.contains(told), "{told}: {passed_over}");
        }
        // Each file once, in the order of the arguments.
        assert_eq!(names(&[at("p/img10.jpg"), at("p/*.[jJ]*")]).unwrap(), ["img10.jpg", "img2.JPG"]);
        assert!(matches!(names(&[at("p/*.gif")]), Err(ScanError::NothingMatches { .. })));
        assert!(matches!(names(&[at("p/no.jpg")]), Err(ScanError::Missing { .. })));
        assert!(matches!(names(&[at("p/fixed")]), Err(ScanError::AmongCopies { .. })));
        // An output tree that is named is meant.
        assert_eq!(names(&[at("p/videos")]).unwrap(), ["a.jpg"]);
    }
}
