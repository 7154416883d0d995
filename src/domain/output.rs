//! Where a video goes within the output tree: a relative path that cannot leave it.

use std::fmt;
use std::path::PathBuf;

use serde::{Deserialize, Serialize};

/// A relative path of plain names, separated by `/`, that stays within any tree it is joined to.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct OutputKey(String);

/// A path that is not safe to write below the output tree.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{found:?} {why}")]
pub struct UnsafeOutput {
    /// What was found.
    pub found: String,
    /// What is wrong with it.
    pub why: &'static str,
}

impl OutputKey {
    /// Takes `text` when every part of it is a plain file name: not empty, not `.` or `..`, no leading dot, no
    /// control character or one of `\ : * ? " < > |`, at most 200 bytes each and 800 in all.
    pub fn new(text: impl Into<String>) -> Result<Self, UnsafeOutput> {
        let text = text.into();
        let unsafe_because = |why| Err(UnsafeOutput { found: text.clone(), why });
        if text.is_empty() {
            return unsafe_because("is empty");
        }
        if text.len() > 800 {
            return unsafe_because("is longer than 800 bytes");
        }
        for part in text.split('/') {
            if part.is_empty() {
                return unsafe_because("is absolute or has an empty part");
            }
            if part == "." || part == ".." {
                return unsafe_because("would leave the output tree");
            }
            if part.starts_with('.') {
                return unsafe_because("has a part with a leading dot, which is kept for partial files");
            }
            if part.len() > 200 {
                return unsafe_because("has a part longer than 200 bytes");
            }
            if part.ends_with(['.', ' ']) || part.starts_with(' ') {
                return unsafe_because("has a part that begins or ends with a space, or ends with a dot");
            }
            if part.chars().any(|c| matches!(c, '\\' | ':' | '*' | '?' | '"' | '<' | '>' | '|') || c.is_control()) {
                return unsafe_because("has a control character or one of \\ : * ? \" < > |");
            }
        }
        Ok(Self(text))
    }

    /// The path, with `/` between its parts.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The path for the local file system.
    #[must_use]
    pub fn to_path(&self) -> PathBuf {
        self.0.split('/').collect()
    }

    /// What two keys share when a file system that ignores case would give them one file.
    #[must_use]
    pub fn folded(&self) -> String {
        self.0.to_lowercase()
    }
}

impl fmt::Display for OutputKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl TryFrom<String> for OutputKey {
    type Error = UnsafeOutput;

    fn try_from(text: String) -> Result<Self, UnsafeOutput> {
        Self::new(text)
    }
}

impl From<OutputKey> for String {
    fn from(key: OutputKey) -> Self {
        key.0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_leaves_the_output_tree() {
        for bad in [
            "",
            "/etc/passwd",
            "../a.mp4",
            "a/../../b.mp4",
            "a//b.mp4",
            "./a.mp4",
            "a/.hidden",
            "a\0b",
            "a\\b",
            "C:a",
            "a/",
            "x\n.mp4",
            "a/b.",
            " a",
        ] {
            assert!(OutputKey::new(bad).is_err(), "{bad:?} was let through");
        }
        assert!(OutputKey::new("x".repeat(201)).is_err());
    }

    #[test]
    fn ordinary_names_pass() {
        for good in ["a.mp4", "scene/anna 1.mp4", "été/ß-😀.mp4", "a/b/c..d.mp4"] {
            assert!(OutputKey::new(good).is_ok(), "{good:?} was refused");
        }
    }
}
