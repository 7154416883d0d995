//! Patterns of file names, as shells have them: `*`, `?`, `[a-z]`, `[!0-9]`, and `**` for any folders.

use std::path::{Component, Path, PathBuf};

/// A pattern, and the folder that it is to be looked for in.
#[derive(Debug)]
pub(super) struct Glob {
    /// The part before the first wildcard.
    pub(super) base: PathBuf,
    parts: Vec<Vec<char>>,
}

impl Glob {
    /// The pattern that `text` is, when it has a wildcard.
    pub(super) fn new(text: &Path) -> Option<Self> {
        let wild = |part: &Component<'_>| part.as_os_str().to_string_lossy().contains(['*', '?', '[']);
        let parts: Vec<Component<'_>> = text.components().collect();
        let first = parts.iter().position(wild)?;
        let base: PathBuf = parts[..first].iter().collect();
        let parts = parts[first..].iter().map(|part| part.as_os_str().to_string_lossy().chars().collect()).collect();
        Some(Self { base: if base.as_os_str().is_empty() { ".".into() } else { base }, parts })
    }

    /// Whether it is the pattern of a path below its base, or of a folder that the path is in.
    pub(super) fn covers(&self, path: &Path) -> bool {
        let names: Vec<Vec<char>> = path.iter().map(|part| part.to_string_lossy().chars().collect()).collect();
        covers(&self.parts, &names)
    }
}

fn covers(parts: &[Vec<char>], names: &[Vec<char>]) -> bool {
    match parts {
        [] => true,
        [any, rest @ ..] if any == &['*', '*'] => (0..=names.len()).any(|skipped| {
            // A pattern that ends with ** is one of files, not of the folder before it.
            (!rest.is_empty() || skipped > 0) && covers(rest, &names[skipped..])
        }),
        [part, rest @ ..] => match names {
            [] => false,
            [name, below @ ..] => is_like(part, name) && covers(rest, below),
        },
    }
}

fn is_like(pattern: &[char], name: &[char]) -> bool {
    // Where to go on when what follows a star does not fit: the star takes one more letter.
    let (mut at, mut of, mut star) = (0, 0, None);
    while of < name.len() {
        if pattern.get(at) == Some(&'*') {
            star = Some((at, of));
            at += 1;
        } else if let Some(length) = one(&pattern[at..], name[of]) {
            at += length;
            of += 1;
        } else if let Some((before, taken)) = star {
            star = Some((before, taken + 1));
            (at, of) = (before + 1, taken + 1);
        } else {
            return false;
        }
    }
    pattern[at..].iter().all(|c| *c == '*')
}

/// How much of a pattern stands for one letter, when it stands for this one.
fn one(pattern: &[char], letter: char) -> Option<usize> {
    match pattern {
        [] => None,
        ['?', ..] => Some(1),
        ['[', rest @ ..] => {
            let negated = rest.first() == Some(&'!');
            let set = if negated { &rest[1..] } else { rest };
            // A bracket at once after the opening one is a letter of the set.
            let Some(end) = set.iter().skip(1).position(|c| *c == ']').map(|end| end + 1) else {
                return (letter == '[').then_some(1);
            };
            let within = is_among(&set[..end], letter);
            (within != negated).then_some(2 + usize::from(negated) + end)
        }
        [plain, ..] => (*plain == letter).then_some(1),
    }
}

fn is_among(set: &[char], letter: char) -> bool {
    match set {
        [] => false,
        [from, '-', to, rest @ ..] => (*from..=*to).contains(&letter) || is_among(rest, letter),
        [only, rest @ ..] => *only == letter || is_among(rest, letter),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn covers(pattern: &str, path: &str) -> bool {
        Glob::new(Path::new(pattern)).unwrap().covers(Path::new(path))
    }

    #[test]
    fn a_pattern_begins_at_its_first_wildcard() {
        let base = |pattern: &str| Glob::new(Path::new(pattern)).map(|glob| glob.base);
        assert_eq!(base("a/b/*.jpg"), Some("a/b".into()));
        assert_eq!(base("/a/b*/c"), Some("/a".into()));
        assert_eq!(base("*.jpg"), Some(".".into()));
        assert_eq!(base("a/b.jpg"), None);
    }

    #[test]
    fn wildcards_are_those_of_a_shell() {
        for (pattern, path) in [
            ("*.jpg", "a.jpg"),
            ("*a*b*.jpg", "xaxbx.b.jpg"),
            ("img?.jpg", "img1.jpg"),
            ("img[0-3a].jpg", "img2.jpg"),
            ("img[0-3a].jpg", "imga.jpg"),
            ("img[!0-3].jpg", "img4.jpg"),
            ("[]x].jpg", "].jpg"),
            ("*[.jpg", "a[.jpg"),
            ("**/*.jpg", "a.jpg"),
            ("**/*.jpg", "a/b/c.jpg"),
            ("**/b/*.jpg", "a/b/c.jpg"),
            ("**", "a/b.jpg"),
            ("2026-*", "2026-01/a.jpg"),
        ] {
            assert!(covers(pattern, path), "{pattern} {path}");
        }
        for (pattern, path) in [
            ("*.jpg", "a.png"),
            ("*.jpg", "a/b.jpg"),
            ("img?.jpg", "img10.jpg"),
            ("img[0-3].jpg", "img4.jpg"),
            ("img[!0-3].jpg", "img2.jpg"),
            ("**/b/*.jpg", "a/c/c.jpg"),
            ("*.JPG", "a.jpg"),
        ] {
            assert!(!covers(pattern, path), "{pattern} {path}");
        }
    }
}
