//! The key: from the environment or from a file that only its owner can read, never from a flag, which every process on
//! the machine could see.

use std::io::Read;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use secrecy::SecretString;

/// The variable that holds the key.
const VARIABLE: &str = "NIGHTREEL_API_KEY";
/// The longest key that is believed.
const LONGEST: usize = 8192;

/// A key cannot be used. None of these shows it.
#[derive(Debug, thiserror::Error)]
pub enum KeyError {
    /// The file cannot be read.
    #[error("{path}: the key file cannot be read")]
    Unreadable {
        /// The file.
        path: PathBuf,
        /// What the system said.
        #[source]
        source: std::io::Error,
    },
    /// Others can read the file.
    #[error("{path}: the key file can be read by others (mode {mode:o}); type: chmod 600 {path}")]
    Open {
        /// The file.
        path: PathBuf,
        /// Its permissions.
        mode: u32,
    },
    /// What is there is no key.
    #[error("{origin}: this is no key: {why}")]
    NotAKey {
        /// Where it stands.
        origin: String,
        /// What is wrong with it.
        why: &'static str,
    },
}

/// The key, where there is one. The environment wins over the file.
pub(super) fn load(file: Option<&Path>) -> Result<Option<SecretString>, KeyError> {
    match (std::env::var(VARIABLE), file) {
        (Ok(text), _) => checked(&text, VARIABLE).map(Some),
        (Err(std::env::VarError::NotUnicode(_)), _) => {
            Err(KeyError::NotAKey { origin: VARIABLE.into(), why: "it is not plain text" })
        }
        (Err(std::env::VarError::NotPresent), None) => Ok(None),
        (Err(std::env::VarError::NotPresent), Some(path)) => read(path).map(Some),
    }
}

fn read(path: &Path) -> Result<SecretString, KeyError> {
    let unreadable = |source| KeyError::Unreadable { path: path.to_path_buf(), source };
    let file = std::fs::File::open(path).map_err(unreadable)?;
    let mode = file.metadata().map_err(unreadable)?.mode() & 0o777;
    if mode & 0o077 != 0 {
        return Err(KeyError::Open { path: path.to_path_buf(), mode });
    }
    let mut text = String::new();
    file.take(LONGEST as u64 + 1).read_to_string(&mut text).map_err(unreadable)?;
    checked(&text, &path.display().to_string())
}

fn checked(text: &str, origin: &str) -> Result<SecretString, KeyError> {
    let text = text.trim();
    let not_a_key = |why| Err(KeyError::NotAKey { origin: origin.to_owned(), why });
    if text.is_empty() {
        return not_a_key("it is empty");
    }
    if text.len() > LONGEST {
        return not_a_key("it is too long");
    }
    if text.chars().any(|c| c.is_control() || c.is_whitespace() || !c.is_ascii()) {
        return not_a_key("it has spaces, line ends or other characters that no key has");
    }
    Ok(SecretString::from(text.to_owned()))
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt;

    use super::*;

    #[test]
    fn a_key_file_that_others_can_read_is_refused() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("key");
        std::fs::write(&path, "sk-recognisable\n").unwrap();
        std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o640)).unwrap();
        assert!(matches!(read(&path), Err(KeyError::Open { mode: 0o640, .. })));
        std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o600)).unwrap();
        assert!(!format!("{:?}", read(&path).unwrap()).contains("recognisable"));
    }

    #[test]
    fn what_is_no_key_is_refused_without_being_shown() {
        for bad in ["", "  ", "two words", "sk-\u{7}recognisable"] {
            let error = checked(bad, "x").unwrap_err().to_string();
            assert!(!error.contains("recognisable"), "{error}");
        }
    }
}
