//! One source of settings: a file, the environment, or the flags. Values are texts here; what they mean is settled once,
//! for all sources alike.

use std::collections::BTreeMap;
use std::fmt;
use std::io::Read as _;
use std::path::{Path, PathBuf};

use toml::Spanned;
use toml::de::{DeTable, DeValue};

use super::secret;
use super::setting::{Key, Scope};

/// What every variable of nightreel's begins with.
const PREFIX: &str = "NIGHTREEL_";
/// Variables that are no settings, besides the secrets themselves: the file's path, what is for tests, and what a
/// command of `[notify]` is shown.
const OTHER_VARIABLES: [&str; 11] = [
    "NIGHTREEL_CONFIG",
    "NIGHTREEL_SIMULATOR_KEY",
    "NIGHTREEL_SIMULATOR_ACCESS_KEY",
    "NIGHTREEL_SIMULATOR_SECRET_KEY",
    "NIGHTREEL_SIMULATOR_ACCOUNT_TOKEN",
    "NIGHTREEL_SIMULATOR_WEBHOOK_SECRET",
    "NIGHTREEL_KILL_AFTER_EVENT",
    "NIGHTREEL_PANIC_AT_REQUEST",
    "NIGHTREEL_EVENT",
    "NIGHTREEL_SUMMARY",
    "NIGHTREEL_EXIT_CODE",
];
/// The largest file that is read, in bytes.
const LARGEST: u64 = 1024 * 1024;
/// Where prices of scenes stand.
const SCENE_PRICES: &str = "prices.scenes.";
/// The tables of accounts, and the name that each has.
const ACCOUNTS: &str = "account";
const ACCOUNT_NAME: &str = "name";

/// A source cannot be read.
#[derive(Debug, thiserror::Error)]
pub enum LayerError {
    /// The file cannot be read.
    #[error("{path}: the configuration cannot be read")]
    Unreadable {
        /// The file.
        path: PathBuf,
        /// What the system said.
        #[source]
        source: std::io::Error,
    },
    /// The file is not TOML.
    #[error("{path}: the configuration is not valid TOML: line {line}: {why}")]
    NotToml {
        /// The file.
        path: PathBuf,
        /// Which line.
        line: usize,
        /// Why; without the line itself, which may hold an address that is a secret.
        why: String,
    },
    /// A name that means nothing.
    #[error("{origin}: {found:?} is not a setting{}", meant.as_ref().map_or_else(String::new, |meant| format!("; did you mean {meant:?}?")))]
    Unknown {
        /// Where it stands.
        origin: String,
        /// The name.
        found: String,
        /// What it is most like.
        meant: Option<String>,
    },
    /// A setting of the whole run in the table of one account.
    #[error("{origin}: {found:?} is not for one account: it belongs above the [[account]] tables")]
    NotOfAnAccount {
        /// Where it stands.
        origin: String,
        /// The name.
        found: String,
    },
    /// A value that is neither text nor number nor truth.
    #[error("{origin}: {key} must be a text, a number, true or false")]
    NotAValue {
        /// Where it stands.
        origin: String,
        /// The setting.
        key: String,
    },
}

/// A value and where it stands.
type Told = (String, String);

/// One source of settings. Its `Debug` shows no value: some are addresses that are secrets.
#[derive(Default)]
pub struct Layer {
    values: BTreeMap<Key, Told>,
    /// Prices of scenes, by scene.
    prices: BTreeMap<String, Told>,
    /// The `[[account]]` tables; the name of each is its [`Key::Account`].
    accounts: Vec<Layer>,
    /// Where it begins, for an account's table.
    origin: String,
}

impl Layer {
    /// From flags: their names without dashes, and their values.
    #[must_use]
    pub fn from_flags(flags: impl IntoIterator<Item = (Key, Option<String>)>) -> Self {
        let named = |key: Key| format!("--{}", key.word().replace('_', "-"));
        let values = flags.into_iter().filter_map(|(key, value)| Some((key, (named(key), value?)))).collect();
        Self { values, ..Self::default() }
    }

    /// From variables named `NIGHTREEL_…`. One that means nothing is an error: it is a misspelled setting.
    pub fn from_variables(variables: impl IntoIterator<Item = (String, String)>) -> Result<Self, LayerError> {
        let variable = |key: &Key| format!("{PREFIX}{}", key.word().replace('.', "_").to_uppercase());
        let mut values = BTreeMap::new();
        for (name, value) in variables {
            let mut others = OTHER_VARIABLES.into_iter().chain(secret::VARIABLES);
            if !name.starts_with(PREFIX) || others.any(|other| other == name) {
                continue;
            }
            let known = Key::ALL.iter().find(|key| variable(key) == name);
            let unknown = || {
                let names = Key::ALL.iter().map(variable);
                let names = names.chain(OTHER_VARIABLES.into_iter().chain(secret::VARIABLES).map(str::to_owned));
                LayerError::Unknown { origin: "environment".into(), meant: nearest(&name, names), found: name.clone() }
            };
            values.insert(*known.ok_or_else(unknown)?, (name.clone(), value));
        }
        Ok(Self { values, ..Self::default() })
    }

    /// From a TOML file.
    pub fn from_file(path: &Path) -> Result<Self, LayerError> {
        let text = read(path).map_err(|source| LayerError::Unreadable { path: path.to_path_buf(), source })?;
        let source = Source { path, text: &text };
        let not_toml = |error: toml::de::Error| LayerError::NotToml {
            path: path.to_path_buf(),
            line: source.line(error.span().map_or(0, |span| span.start)),
            why: error.message().to_owned(),
        };
        let table = DeTable::parse(&text).map_err(not_toml)?;
        let mut layer = Self::default();
        for (name, value) in table.get_ref() {
            match value.get_ref() {
                DeValue::Array(tables) if name.get_ref() == ACCOUNTS => {
                    for table in tables {
                        let origin = source.place(table.span().start);
                        let DeValue::Table(entries) = table.get_ref() else {
                            return Err(LayerError::NotAValue { origin, key: ACCOUNTS.to_owned() });
                        };
                        let mut account = Self { origin, ..Self::default() };
                        account.take_table("", entries, &source, Scope::Account)?;
                        layer.accounts.push(account);
                    }
                }
                _ => layer.take(name.get_ref(), name.span().start, value, &source, Scope::Run)?,
            }
        }
        Ok(layer)
    }

    fn take_table(
        &mut self,
        within: &str,
        table: &DeTable<'_>,
        source: &Source<'_>,
        scope: Scope,
    ) -> Result<(), LayerError> {
        for (name, value) in table {
            self.take(&format!("{within}{}", name.get_ref()), name.span().start, value, source, scope)?;
        }
        Ok(())
    }

    /// Takes one entry: of the file itself, or of an account's table.
    fn take(
        &mut self,
        name: &str,
        at: usize,
        value: &Spanned<DeValue<'_>>,
        source: &Source<'_>,
        scope: Scope,
    ) -> Result<(), LayerError> {
        let origin = source.place(at);
        let text = match value.get_ref() {
            DeValue::Table(inner) if !inner.is_empty() => {
                return self.take_table(&format!("{name}."), inner, source, scope);
            }
            DeValue::String(text) => text.to_string(),
            DeValue::Integer(number) => number.to_string(),
            DeValue::Float(number) => number.to_string(),
            DeValue::Boolean(truth) => truth.to_string(),
            DeValue::Datetime(_) | DeValue::Array(_) | DeValue::Table(_) => {
                return Err(LayerError::NotAValue { origin, key: name.to_owned() });
            }
        };
        if let Some(scene) = name.strip_prefix(SCENE_PRICES) {
            self.prices.insert(scene.to_owned(), (origin, text));
            return Ok(());
        }
        let of_account = scope == Scope::Account;
        if of_account && name == ACCOUNT_NAME {
            self.values.insert(Key::Account, (origin, text));
            return Ok(());
        }
        let Some(key) = Key::ALL.iter().find(|key| key.word() == name).copied() else {
            let names = Key::ALL.iter().map(|key| key.word().to_owned());
            return Err(LayerError::Unknown { origin, meant: nearest(name, names), found: name.to_owned() });
        };
        if of_account && key.scope() == Scope::Run {
            return Err(LayerError::NotOfAnAccount { origin, found: name.to_owned() });
        }
        self.values.insert(key, (origin, text));
        Ok(())
    }

    /// A value with where it stands.
    pub(super) fn get(&self, key: Key) -> Option<(&str, &str)> {
        self.values.get(&key).map(|(origin, value)| (origin.as_str(), value.as_str()))
    }

    /// Prices of scenes, with where they stand.
    pub(super) fn prices(&self) -> impl Iterator<Item = (&str, &Told)> {
        self.prices.iter().map(|(scene, told)| (scene.as_str(), told))
    }

    /// The `[[account]]` tables.
    pub(super) fn accounts(&self) -> &[Self] {
        &self.accounts
    }

    /// Where it begins, for an account's table.
    pub(super) fn origin(&self) -> &str {
        &self.origin
    }
}

/// A file's text, which may be no longer than any configuration is.
fn read(path: &Path) -> std::io::Result<String> {
    let mut text = String::new();
    std::fs::File::open(path)?.take(LARGEST + 1).read_to_string(&mut text)?;
    if text.len() as u64 > LARGEST {
        return Err(std::io::Error::new(std::io::ErrorKind::FileTooLarge, "it is larger than 1 MiB"));
    }
    Ok(text)
}

impl fmt::Debug for Layer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Layer").field("keys", &self.values.keys()).finish_non_exhaustive()
    }
}

/// A file that is read.
struct Source<'a> {
    path: &'a Path,
    text: &'a str,
}

impl Source<'_> {
    /// The file and the line of the byte at `at`.
    fn place(&self, at: usize) -> String {
        format!("{}:{}", self.path.display(), self.line(at))
    }

    /// The line of the byte at `at`, from 1.
    fn line(&self, at: usize) -> usize {
        self.text.get(..at).map_or(1, |before| before.matches('\n').count() + 1)
    }
}

/// What a name is most like, when it is like anything.
fn nearest(found: &str, names: impl Iterator<Item = String>) -> Option<String> {
    let alike = names.map(|name| (strsim::jaro_winkler(found, &name), name));
    let best = alike.filter(|(likeness, _)| *likeness > 0.8).max_by(|a, b| a.0.total_cmp(&b.0));
    best.map(|(_, name)| name)
}
