//! Settings from `nightreel.toml`, the environment and flags, in rising order, to typed values. Says of every value that
//! is wrong where it stands and what would be accepted. Knows the key, and never shows it.

mod key;
mod layer;

use std::path::PathBuf;
use std::time::Duration;

use jiff::SignedDuration;
use secrecy::SecretString;

use crate::domain::AccountName;
use crate::gateway::{Capabilities, Preset};
use crate::pace::Rate;
use crate::pipeline::InDoubt;

pub use key::KeyError;
pub use layer::{Key, Layer, LayerError};

/// What a value would have to be.
#[derive(Debug, thiserror::Error)]
pub enum ConfigError {
    /// A layer cannot be read.
    #[error(transparent)]
    Layer(#[from] LayerError),
    /// A value is not valid.
    #[error("{origin}: {value:?} is not valid for {key}: {expected}")]
    Value {
        /// Where it stands: a file with its line, a variable, a flag.
        origin: String,
        /// Which setting.
        key: &'static str,
        /// What was found.
        value: String,
        /// What would be accepted.
        expected: String,
    },
    /// The key cannot be used.
    #[error("the key cannot be used")]
    Key(#[from] KeyError),
}

/// How logs are written.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum LogFormat {
    /// Lines for people.
    #[default]
    Text,
    /// One JSON object a line.
    Json,
}

/// Everything that can be set.
#[derive(Debug)]
pub struct Settings {
    /// The gateway, where one was named.
    pub gateway: Option<Preset>,
    /// Its base URL, where it is not the preset's own.
    pub base_url: Option<String>,
    /// The account's name, where it is not made from the gateway.
    pub account: Option<AccountName>,
    /// The key, where there is one.
    pub key: Option<SecretString>,
    /// What the gateway can do beyond its preset.
    pub capabilities: Capabilities,
    /// Requests that may be paid: how many in which time. Default 60/min.
    pub rate: Rate,
    /// Parallel generations. Default 5.
    pub in_flight: usize,
    /// The output tree. Default `videos`.
    pub out: PathBuf,
    /// Whether the output tree was named, or is the default.
    pub out_named: bool,
    /// The ledger. Default `state/nightreel.db`.
    pub state: PathBuf,
    /// The template of output names. Default `{scene}/{id}.mp4`.
    pub name: String,
    /// How long an answer to a request that may be paid is waited for. Default 2 min.
    pub request_timeout: Duration,
    /// How long a row in doubt must be quiet. Default 60 s.
    pub settle_after: Duration,
    /// The shortest span between two questions about a task. Default 2 s.
    pub min_poll: Duration,
    /// How long a task may take. Default 24 h.
    pub deadline: Duration,
    /// Parallel downloads. Default 4.
    pub downloads: usize,
    /// What becomes of rows that stay in doubt. Default hold.
    pub in_doubt: InDoubt,
    /// How logs are written. Default text.
    pub log_format: LogFormat,
}

impl Settings {
    /// Settles every setting: the last layer that has it wins.
    pub fn settle(layers: &[Layer]) -> Result<Self, ConfigError> {
        let find = |key: Key| layers.iter().rev().find_map(|layer| layer.get(key));
        let span = |key, default: u64| match find(key) {
            None => Ok(Duration::from_secs(default)),
            Some((origin, value)) => {
                parse_span(value).ok_or_else(|| wrong(origin, key, value, "a span such as 500ms, 60s, 2m or 24h"))
            }
        };
        let count = |key, default: usize, most: usize| match find(key) {
            None => Ok(default),
            Some((origin, value)) => value
                .parse()
                .ok()
                .filter(|count| (1..=most).contains(count))
                .ok_or_else(|| wrong(origin, key, value, &format!("a whole number from 1 to {most}"))),
        };
        let yes = |key, default: bool| match find(key) {
            None => Ok(default),
            Some((_, "true")) => Ok(true),
            Some((_, "false")) => Ok(false),
            Some((origin, value)) => Err(wrong(origin, key, value, "true or false")),
        };
        let gateway = match find(Key::Gateway) {
            None => None,
            Some((origin, value)) => {
                let expected = Preset::ALL.map(Preset::word).join(", ");
                Some(value.parse().map_err(|_| wrong(origin, Key::Gateway, value, &format!("one of {expected}")))?)
            }
        };
        let account = match find(Key::Account) {
            None => None,
            Some((origin, value)) => {
                let named = AccountName::new(value);
                Some(named.map_err(|bad| wrong(origin, Key::Account, value, bad.expected))?)
            }
        };
        let rate = match find(Key::Rate) {
            None => "60/min".parse().map_err(|_| wrong("default", Key::Rate, "60/min", "a rate"))?,
            Some((origin, value)) => {
                value.parse().map_err(|_| wrong(origin, Key::Rate, value, "a rate such as 20/min, 5/s or 300/h"))?
            }
        };
        let in_doubt = match find(Key::InDoubt) {
            None | Some((_, "hold")) => InDoubt::Hold,
            Some((_, "resend")) => InDoubt::Resend,
            Some((origin, value)) => return Err(wrong(origin, Key::InDoubt, value, "hold or resend")),
        };
        let log_format = match find(Key::LogFormat) {
            None | Some((_, "text")) => LogFormat::Text,
            Some((_, "json")) => LogFormat::Json,
            Some((origin, value)) => return Err(wrong(origin, Key::LogFormat, value, "text or json")),
        };
        let preset = gateway.map_or_else(Capabilities::default, Preset::capabilities);
        let text = |key, default: &str| find(key).map_or(default, |(_, value)| value).to_owned();
        Ok(Self {
            gateway,
            base_url: find(Key::BaseUrl).map(|(_, value)| value.trim_end_matches('/').to_owned()),
            account,
            key: key::load(find(Key::KeyFile).map(|(_, value)| PathBuf::from(value)).as_deref())?,
            capabilities: Capabilities {
                find: yes(Key::Find, preset.find)?,
                unique: yes(Key::Unique, preset.unique)?,
                list: yes(Key::List, preset.list)?,
                ..preset
            },
            rate,
            in_flight: count(Key::InFlight, 5, 10_000)?,
            out: text(Key::Out, "videos").into(),
            out_named: find(Key::Out).is_some(),
            state: text(Key::State, "state/nightreel.db").into(),
            name: text(Key::Name, "{scene}/{id}.mp4"),
            request_timeout: span(Key::RequestTimeout, 120)?,
            settle_after: span(Key::SettleAfter, 60)?,
            min_poll: span(Key::MinPoll, 2)?,
            deadline: span(Key::Deadline, 24 * 3600)?,
            downloads: count(Key::Downloads, 4, 1000)?,
            in_doubt,
            log_format,
        })
    }
}

/// A span as people write it; not negative, at most a year.
#[must_use]
pub fn parse_span(text: &str) -> Option<Duration> {
    let span: SignedDuration = text.trim().parse().ok()?;
    let span = Duration::try_from(span).ok()?;
    (span <= Duration::from_secs(366 * 24 * 3600)).then_some(span)
}

fn wrong(origin: &str, key: Key, value: &str, expected: &str) -> ConfigError {
    ConfigError::Value {
        origin: origin.to_owned(),
        key: key.word(),
        value: value.to_owned(),
        expected: expected.to_owned(),
    }
}

#[cfg(test)]
mod tests;
