//! One source of settings: a file, the environment, or the flags. Values are texts here; what they mean is settled once,
//! for all sources alike.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

/// What every variable of nightreel's begins with.
const PREFIX: &str = "NIGHTREEL_";
/// Variables that are no settings: the key itself, the file's path, what the simulator demands, and the crash tests' kill
/// point.
const OTHER_VARIABLES: [&str; 8] = [
    "NIGHTREEL_API_KEY",
    "NIGHTREEL_CONFIG",
    "NIGHTREEL_SIMULATOR_KEY",
    "NIGHTREEL_SIMULATOR_ACCESS_KEY",
    "NIGHTREEL_SIMULATOR_SECRET_KEY",
    "NIGHTREEL_SIMULATOR_ACCOUNT_TOKEN",
    "NIGHTREEL_SIMULATOR_WEBHOOK_SECRET",
    "NIGHTREEL_KILL_AFTER_EVENT",
];

/// A setting.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
#[expect(missing_docs, reason = "each is described at the field of `Settings` that it settles")]
pub enum Key {
    Gateway,
    BaseUrl,
    Account,
    KeyFile,
    Rate,
    InFlight,
    Out,
    State,
    Name,
    RequestTimeout,
    SettleAfter,
    MinPoll,
    Deadline,
    Downloads,
    InDoubt,
    LogFormat,
    Find,
    Unique,
    List,
}

impl Key {
    /// All of them.
    pub const ALL: [Self; 19] = [
        Self::Gateway,
        Self::BaseUrl,
        Self::Account,
        Self::KeyFile,
        Self::Rate,
        Self::InFlight,
        Self::Out,
        Self::State,
        Self::Name,
        Self::RequestTimeout,
        Self::SettleAfter,
        Self::MinPoll,
        Self::Deadline,
        Self::Downloads,
        Self::InDoubt,
        Self::LogFormat,
        Self::Find,
        Self::Unique,
        Self::List,
    ];

    /// Its name in the file; with a dot where it stands in a table.
    #[must_use]
    pub const fn word(self) -> &'static str {
        match self {
            Self::Gateway => "gateway",
            Self::BaseUrl => "base_url",
            Self::Account => "account",
            Self::KeyFile => "key_file",
            Self::Rate => "rate",
            Self::InFlight => "in_flight",
            Self::Out => "out",
            Self::State => "state",
            Self::Name => "name",
            Self::RequestTimeout => "request_timeout",
            Self::SettleAfter => "settle_after",
            Self::MinPoll => "min_poll",
            Self::Deadline => "deadline",
            Self::Downloads => "downloads",
            Self::InDoubt => "in_doubt",
            Self::LogFormat => "log_format",
            Self::Find => "capabilities.find",
            Self::Unique => "capabilities.unique",
            Self::List => "capabilities.list",
        }
    }

    fn variable(self) -> String {
        format!("{PREFIX}{}", self.word().replace('.', "_").to_uppercase())
    }
}

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
    #[error("{path}: the configuration is not valid TOML")]
    NotToml {
        /// The file.
        path: PathBuf,
        /// Where and why.
        #[source]
        source: Box<toml::de::Error>,
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
    /// A value that is neither text nor number nor truth.
    #[error("{origin}: {key} must be a text, a number, true or false")]
    NotAValue {
        /// Where it stands.
        origin: String,
        /// The setting.
        key: String,
    },
}

/// One source of settings.
#[derive(Debug, Default)]
pub struct Layer {
    values: BTreeMap<Key, (String, String)>,
}

impl Layer {
    /// From flags: their names without dashes, and their values.
    #[must_use]
    pub fn from_flags(flags: impl IntoIterator<Item = (Key, Option<String>)>) -> Self {
        let named = |key: Key| format!("--{}", key.word().replace('_', "-"));
        let values = flags.into_iter().filter_map(|(key, value)| Some((key, (named(key), value?)))).collect();
        Self { values }
    }

    /// From variables named `NIGHTREEL_…`. One that means nothing is an error: it is a misspelled setting.
    pub fn from_variables(variables: impl IntoIterator<Item = (String, String)>) -> Result<Self, LayerError> {
        let mut values = BTreeMap::new();
        for (name, value) in variables {
            if !name.starts_with(PREFIX) || OTHER_VARIABLES.contains(&name.as_str()) {
                continue;
            }
            let known = Key::ALL.into_iter().find(|key| key.variable() == name);
            let unknown = || {
                let names = Key::ALL.iter().map(|key| key.variable());
                let names = names.chain(OTHER_VARIABLES.map(str::to_owned));
                LayerError::Unknown { origin: "environment".into(), meant: nearest(&name, names), found: name.clone() }
            };
            values.insert(known.ok_or_else(unknown)?, (name.clone(), value));
        }
        Ok(Self { values })
    }

    /// From a TOML file.
    pub fn from_file(path: &Path) -> Result<Self, LayerError> {
        let read = std::fs::read_to_string(path);
        let text = read.map_err(|source| LayerError::Unreadable { path: path.to_path_buf(), source })?;
        Self::from_toml(path, &text)
    }

    fn from_toml(path: &Path, text: &str) -> Result<Self, LayerError> {
        let not_toml = |source| LayerError::NotToml { path: path.to_path_buf(), source: Box::new(source) };
        let table: toml::Table = text.parse().map_err(not_toml)?;
        let mut values = BTreeMap::new();
        for (name, value) in flat(&table) {
            let origin = format!("{}:{}", path.display(), line_of(text, &name));
            let Some(key) = Key::ALL.into_iter().find(|key| key.word() == name) else {
                let meant = nearest(&name, Key::ALL.iter().map(|key| key.word().to_owned()));
                return Err(LayerError::Unknown { origin, found: name, meant });
            };
            let text = match value {
                toml::Value::String(text) => text.clone(),
                toml::Value::Integer(number) => number.to_string(),
                toml::Value::Boolean(truth) => truth.to_string(),
                toml::Value::Float(_) | toml::Value::Datetime(_) | toml::Value::Array(_) | toml::Value::Table(_) => {
                    return Err(LayerError::NotAValue { origin, key: name });
                }
            };
            values.insert(key, (origin, text));
        }
        Ok(Self { values })
    }

    /// A value with where it stands.
    pub(super) fn get(&self, key: Key) -> Option<(&str, &str)> {
        self.values.get(&key).map(|(origin, value)| (origin.as_str(), value.as_str()))
    }
}

/// The entries of a table, those of tables within it by a name with a dot.
fn flat(table: &toml::Table) -> Vec<(String, &toml::Value)> {
    let mut entries = Vec::new();
    for (name, value) in table {
        match value {
            toml::Value::Table(inner) if !inner.is_empty() => {
                entries.extend(inner.iter().map(|(within, value)| (format!("{name}.{within}"), value)));
            }
            value => entries.push((name.clone(), value)),
        }
    }
    entries
}

/// The line that a name stands on, as far as can be seen from the text.
fn line_of(text: &str, name: &str) -> usize {
    let last = name.rsplit('.').next().unwrap_or(name);
    text.lines().position(|line| line.trim_start().starts_with(last)).map_or(1, |line| line + 1)
}

/// What a name is most like, when it is like anything.
fn nearest(found: &str, names: impl Iterator<Item = String>) -> Option<String> {
    let alike = names.map(|name| (strsim::jaro_winkler(found, &name), name));
    let best = alike.filter(|(likeness, _)| *likeness > 0.8).max_by(|a, b| a.0.total_cmp(&b.0));
    best.map(|(_, name)| name)
}
