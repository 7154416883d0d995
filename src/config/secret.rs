//! Keys: from the environment or from files that only their owner can read, never from a flag, which every process on the
//! machine could see.

use std::io::Read;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use secrecy::SecretString;

use super::ConfigError;
use crate::domain::AccountName;
use crate::gateway::Credentials;

/// The longest key that is believed.
const LONGEST: usize = 8192;

/// A key cannot be used. None of these shows it.
#[derive(Debug, thiserror::Error)]
pub enum SecretError {
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
    #[error("{path}: the key file can be read by others (mode {mode:o})")]
    Open {
        /// The file.
        path: PathBuf,
        /// Its permissions.
        mode: u32,
    },
    /// A variable that is named is not there.
    #[error("the variable {variable} is not set")]
    NotSet {
        /// Which.
        variable: String,
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

/// The variables that hold secrets themselves. None is a setting, and no command that nightreel starts is shown one.
pub(super) const VARIABLES: [&str; 6] =
    [API_KEY, ACCESS_KEY, SECRET_KEY, ACCOUNT_TOKEN, WEBHOOK_SECRET, DASHBOARD_TOKEN];
const API_KEY: &str = "NIGHTREEL_API_KEY";
const ACCESS_KEY: &str = "NIGHTREEL_ACCESS_KEY";
const SECRET_KEY: &str = "NIGHTREEL_SECRET_KEY";
const ACCOUNT_TOKEN: &str = "NIGHTREEL_ACCOUNT_TOKEN";
const WEBHOOK_SECRET: &str = "NIGHTREEL_WEBHOOK_SECRET";
pub(super) const DASHBOARD_TOKEN: &str = "NIGHTREEL_DASHBOARD_TOKEN";

/// The variables that hold the credentials of the one account that is described without a table of its own.
#[derive(Debug, Clone, Copy)]
pub(super) struct Variables {
    pub(super) key: Option<&'static str>,
    pub(super) access_key: Option<&'static str>,
    pub(super) secret_key: Option<&'static str>,
    pub(super) account_token: Option<&'static str>,
    pub(super) webhook_secret: Option<&'static str>,
}

impl Default for Variables {
    fn default() -> Self {
        Self {
            key: Some(API_KEY),
            access_key: Some(ACCESS_KEY),
            secret_key: Some(SECRET_KEY),
            account_token: Some(ACCOUNT_TOKEN),
            webhook_secret: Some(WEBHOOK_SECRET),
        }
    }
}

impl Variables {
    /// None: an account with a table of its own names what it uses, so that no key goes to another's gateway.
    pub(super) const fn none() -> Self {
        Self { key: None, access_key: None, secret_key: None, account_token: None, webhook_secret: None }
    }
}

/// Where one secret is to be found.
#[derive(Debug, Clone, Default)]
pub struct Source {
    /// The variable that was named on purpose: it must be there.
    pub named: Option<String>,
    /// The variable that is looked at else.
    pub variable: Option<&'static str>,
    /// A file that only its owner can read.
    pub file: Option<PathBuf>,
}

impl Source {
    /// Where the secret stands, where there is one: a variable, or a file.
    fn place(&self) -> Option<String> {
        let variable = self.named.as_deref().or(self.variable).filter(|variable| std::env::var_os(variable).is_some());
        variable.map(str::to_owned).or_else(|| self.file.as_ref().map(|file| file.display().to_string()))
    }

    /// The secret, where there is one: of a variable, which wins over a file.
    pub fn load(&self) -> Result<Option<SecretString>, SecretError> {
        let variable = self.named.as_deref().or(self.variable);
        match (variable.map(|variable| (variable, std::env::var(variable))), &self.file) {
            (Some((variable, Ok(text))), _) => checked(&text, variable).map(Some),
            (Some((variable, Err(std::env::VarError::NotUnicode(_)))), _) => {
                Err(SecretError::NotAKey { origin: variable.to_owned(), why: "it is not plain text" })
            }
            (_, Some(path)) => read(path).map(Some),
            (Some((variable, _)), None) if self.named.is_some() => {
                Err(SecretError::NotSet { variable: variable.to_owned() })
            }
            (Some(_) | None, None) => Ok(None),
        }
    }
}

/// Where an account's secrets are to be found.
#[derive(Debug, Clone, Default)]
pub struct Sources {
    /// A key that is sent as it is.
    pub key: Source,
    /// Kling's access key.
    pub access_key: Source,
    /// The secret key that goes with it.
    pub secret_key: Source,
    /// What the account's own list of tasks is asked for with, where that takes another key.
    pub account_token: Source,
    /// What its remote signs callbacks with.
    pub webhook_secret: Source,
}

impl Sources {
    /// What shows the remote who asks. `name` is the account's, for what is said of it.
    pub fn credentials(&self, name: Option<&AccountName>) -> Result<Credentials, ConfigError> {
        match (self.key.load()?, self.access_key.load()?, self.secret_key.load()?) {
            (Some(key), None, None) => Ok(Credentials::Key(key)),
            (None, Some(access), Some(secret)) => Ok(Credentials::AccessKey { access, secret }),
            (None, None, None) => Ok(Credentials::None),
            (Some(_), _, _) => Err(ConfigError::TwoCredentials { name: name.cloned() }),
            (None, _, _) => Err(ConfigError::HalfAPair { name: name.cloned() }),
        }
    }

    /// Where those stand: variables or files, in the order of the credentials' parts; only those that are there.
    #[must_use]
    pub fn places(&self) -> Vec<String> {
        [&self.key, &self.access_key, &self.secret_key].into_iter().filter_map(Source::place).collect()
    }

    /// What the account's own list of tasks is asked for with.
    pub fn account_token(&self) -> Result<Option<SecretString>, ConfigError> {
        Ok(self.account_token.load()?)
    }

    /// What its remote signs callbacks with.
    pub fn webhook_secret(&self) -> Result<Option<SecretString>, ConfigError> {
        Ok(self.webhook_secret.load()?)
    }
}

fn read(path: &Path) -> Result<SecretString, SecretError> {
    let unreadable = |source| SecretError::Unreadable { path: path.to_path_buf(), source };
    let file = std::fs::File::open(path).map_err(unreadable)?;
    let mode = file.metadata().map_err(unreadable)?.mode() & 0o777;
    if mode & 0o077 != 0 {
        return Err(SecretError::Open { path: path.to_path_buf(), mode });
    }
    let mut text = String::new();
    file.take(LONGEST as u64 + 1).read_to_string(&mut text).map_err(unreadable)?;
    checked(&text, &path.display().to_string())
}

fn checked(text: &str, origin: &str) -> Result<SecretString, SecretError> {
    let text = text.trim();
    let not_a_key = |why| Err(SecretError::NotAKey { origin: origin.to_owned(), why });
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

impl SecretError {
    /// What to do about it.
    #[must_use]
    pub fn hint(&self) -> String {
        match self {
            Self::Unreadable { path, .. } => {
                format!("write the key to {0}, or look who may read it: ls -l {0}", path.display())
            }
            Self::Open { path, .. } => format!("chmod 600 {}", path.display()),
            Self::NotSet { variable } => {
                format!("export {variable}=... where nightreel is started; cron does not read your shell's settings")
            }
            Self::NotAKey { .. } => "copy the key again, as one line without spaces".to_owned(),
        }
    }
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
        assert!(matches!(read(&path), Err(SecretError::Open { mode: 0o640, .. })));
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
