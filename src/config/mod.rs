//! Settings from `nightreel.toml`, the environment and flags, in rising order, to typed values. Says of every value that
//! is wrong where it stands and what would be accepted. Knows the credentials, and never shows them.

mod account;
mod dashboard;
mod find;
mod layer;
mod notify;
mod secret;
mod setting;
mod template;

use std::path::PathBuf;
use std::time::Duration;

use jiff::SignedDuration;
use secrecy::SecretString;

use crate::domain::{AccountName, Money};
use crate::notify::Settings as NotifySettings;
use crate::pace::Hours;
use crate::pipeline::download::Downloader;
use crate::pipeline::{Caution, Stages};
use crate::store;

pub use account::{AccountSettings, Lends};
pub use dashboard::DashboardSettings;
use find::Find;
pub use layer::{Layer, LayerError};
pub use secret::{SecretError, Source, Sources};
pub use setting::Key;
pub use template::template;

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
    /// A value is not valid, and must not be shown.
    #[error("{origin}: what is set for {key} is not valid: {expected}")]
    Hidden {
        /// Where it stands.
        origin: String,
        /// Which setting.
        key: &'static str,
        /// What would be accepted.
        expected: &'static str,
    },
    /// A key cannot be used.
    #[error("the key cannot be used")]
    Key(#[from] SecretError),
    /// An account without a name.
    #[error("{origin}: the account has no name: write name = \"...\"")]
    NoName {
        /// Where its table begins.
        origin: String,
    },
    /// An account without a gateway.
    #[error("{origin}: account {name} names no gateway: write gateway = \"...\"")]
    NoGateway {
        /// Where its table begins.
        origin: String,
        /// Which.
        name: AccountName,
    },
    /// Two accounts of one name.
    #[error("two accounts have the name {name}: tasks are watched by the account of their name, so each needs its own")]
    NamedTwice {
        /// The name.
        name: AccountName,
    },
    /// A key, and an access key too.
    #[error("{}there is a key, and an access key or a secret key besides: one kind of credentials is enough", of(name.as_ref()))]
    TwoCredentials {
        /// Whose.
        name: Option<AccountName>,
    },
    /// An access key without its secret key, or the reverse.
    #[error("{}an access key needs its secret key, and the reverse", of(name.as_ref()))]
    HalfAPair {
        /// Whose.
        name: Option<AccountName>,
    },
}

impl ConfigError {
    /// What to do about it, where its own words do not say it.
    #[must_use]
    pub fn hint(&self) -> Option<String> {
        match self {
            Self::Key(secret) => Some(secret.hint()),
            Self::NamedTwice { .. } => Some("give one of them another name, or delete its table".to_owned()),
            Self::TwoCredentials { .. } => {
                Some("unset one: NIGHTREEL_API_KEY, or NIGHTREEL_ACCESS_KEY and NIGHTREEL_SECRET_KEY".to_owned())
            }
            Self::HalfAPair { .. } => Some("set both, or use an API key, which needs no second half".to_owned()),
            Self::Layer(LayerError::Unreadable { path, source }) if source.kind() == std::io::ErrorKind::NotFound => {
                Some(format!("`nightreel init --config {}` writes one", path.display()))
            }
            Self::Layer(_)
            | Self::Value { .. }
            | Self::Hidden { .. }
            | Self::NoName { .. }
            | Self::NoGateway { .. } => None,
        }
    }
}

fn of(name: Option<&AccountName>) -> String {
    name.map_or_else(String::new, |name| format!("account {name}: "))
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
    /// The accounts that pay; at least one, perhaps without a gateway.
    pub accounts: Vec<AccountSettings>,
    /// The names of all `[[account]]` tables, those that are not chosen too: rows may name them.
    pub tables: Vec<AccountName>,
    /// The output tree. Default `videos`.
    pub out: PathBuf,
    /// Whether the output tree was named, or is the default.
    pub out_named: bool,
    /// The ledger: a file, or a database's address, never with a password. Default `state/nightreel.db`.
    pub state: PathBuf,
    /// The password of that address, where it had one.
    pub state_password: Option<SecretString>,
    /// What of the work a run does. Default: all.
    pub stages: Stages,
    /// The template of output names. Default `{scene}/{id}.mp4`.
    pub name: String,
    /// How long a row in doubt must be quiet. Default 60 s.
    pub settle_after: Duration,
    /// How long a task may take. Default 24 h.
    pub deadline: Duration,
    /// Parallel downloads. Default 4.
    pub downloads: usize,
    /// The largest video that is taken, in bytes. Default 1 GiB.
    pub max_video: u64,
    /// When scenes and accounts are paused. Default: 2 rows ahead of each scene, half of the tasks may fail.
    pub caution: Caution,
    /// The most that may be paid in all runs of a batch. Default: no such limit.
    pub budget: Option<Money>,
    /// The hours that a run may use. Default: all.
    pub hours: Hours,
    /// Whom a run tells. Default: nobody.
    pub notify: NotifySettings,
    /// How logs are written. Default text.
    pub log_format: LogFormat,
    /// Where the run is shown, and where remotes call back.
    pub dashboard: DashboardSettings,
}

/// What the hours would have to be.
const DAYTIME: &str = "a time of day such as 06:00";
const WINDOW: &str = "two times of day such as 22:00-06:00";

/// What cannot be settled.
#[derive(Debug)]
pub struct Unsettled {
    /// Whose setting it is, where it is one account's.
    pub account: Option<AccountName>,
    /// What is wrong with it.
    pub error: ConfigError,
}

impl Settings {
    /// Settles every setting: the last layer that has it wins. The first layer is the file; only a file has accounts.
    pub fn settle(layers: &[Layer]) -> Result<Self, ConfigError> {
        let (settings, unsettled) = Self::examine(layers);
        unsettled.into_iter().next().map_or(Ok(settings), |first| Err(first.error))
    }

    /// Settles what can be settled: what cannot has its default, an account that cannot is left out, and each is told.
    #[must_use]
    pub fn examine(layers: &[Layer]) -> (Self, Vec<Unsettled>) {
        let find = Find::over(layers.iter().collect());
        let mut unsettled = Vec::new();
        let accounts = account::settle(layers, &mut unsettled);
        let log_format = |text: &str| match text {
            "text" => Some(LogFormat::Text),
            "json" => Some(LogFormat::Json),
            _ => None,
        };
        let text = |key, default: &str| find.text(key).unwrap_or(default).to_owned();
        let canary = |text: &str| text.parse::<u64>().ok().filter(|rows| *rows <= 1000);
        let canary = find.parse(Key::Canary, canary, "a whole number from 0 to 1000");
        let most_failures = find.parse(Key::MaxFailures, percentage, "a percentage such as 50%, or off");
        let hours = Hours {
            until: kept(find.parse(Key::Until, |text| text.parse().ok(), DAYTIME), &mut unsettled),
            max_runtime: kept(find.span(Key::MaxRuntime), &mut unsettled),
            window: kept(find.parse(Key::Window, |text| text.parse().ok(), WINDOW), &mut unsettled),
        };
        let (state, state_password) = kept(ledger(&find).map(Some), &mut unsettled).unwrap_or_default();
        let settings = Self {
            hours,
            notify: notify::settle(&find, &accounts, &mut unsettled),
            accounts,
            tables: account::tables(layers),
            out: text(Key::Out, "videos").into(),
            out_named: find.text(Key::Out).is_some(),
            state: state.into(),
            state_password: state_password.map(Into::into),
            stages: kept(find.parse(Key::Stages, stages, "all, submit,watch or collect"), &mut unsettled)
                .unwrap_or_default(),
            name: text(Key::Name, "{scene}/{id}.mp4"),
            settle_after: kept(find.span(Key::SettleAfter), &mut unsettled).unwrap_or(Duration::from_secs(60)),
            deadline: kept(find.span(Key::Deadline), &mut unsettled).unwrap_or(Duration::from_hours(24)),
            downloads: kept(find.count(Key::Downloads, 1000), &mut unsettled).unwrap_or(4),
            max_video: kept(find.size(Key::MaxVideo), &mut unsettled).unwrap_or(Downloader::MAX_BYTES),
            caution: Caution {
                canary: kept(canary, &mut unsettled).unwrap_or(2),
                most_failures: kept(most_failures, &mut unsettled).unwrap_or(Some(50)),
            },
            budget: kept(
                find.parse(Key::Budget, |text| text.parse().ok(), "an amount such as 50 or 12.50"),
                &mut unsettled,
            ),
            dashboard: kept(dashboard::settle(&find).map(Some), &mut unsettled).unwrap_or_default(),
            log_format: kept(find.parse(Key::LogFormat, log_format, "text or json"), &mut unsettled)
                .unwrap_or_default(),
        };
        (settings, unsettled)
    }
}

/// The ledger, and its password. One on the command line would be shown to everybody who lists processes.
fn ledger(find: &Find<'_>) -> Result<(String, Option<String>), ConfigError> {
    let Some((origin, text)) = find.told(Key::State) else { return Ok(("state/nightreel.db".to_owned(), None)) };
    let (place, password) = store::without_password(text);
    if password.is_some() && origin.starts_with("--") {
        let expected = "a password on the command line is seen by all; set PGPASSWORD, write it into ~/.pgpass (PGPASSFILE), \
                        or set state in nightreel.toml or NIGHTREEL_STATE";
        return Err(ConfigError::Hidden { origin: origin.to_owned(), key: Key::State.word(), expected });
    }
    Ok((place, password))
}

/// What of the work a run does.
fn stages(text: &str) -> Option<Stages> {
    match text {
        "all" => Some(Stages::All),
        "submit,watch" => Some(Stages::SubmitAndWatch),
        "collect" => Some(Stages::Collect),
        _ => None,
    }
}

/// What was found; what is wrong with it is told.
fn kept<T>(found: Result<Option<T>, ConfigError>, unsettled: &mut Vec<Unsettled>) -> Option<T> {
    found.unwrap_or_else(|error| {
        unsettled.push(Unsettled { account: None, error });
        None
    })
}

/// A percentage below a hundred; or `off`.
#[expect(clippy::option_option, reason = "off is a value, and so is nothing at all")]
fn percentage(text: &str) -> Option<Option<u8>> {
    if text == "off" {
        return Some(None);
    }
    text.trim_end_matches('%').parse::<u8>().ok().filter(|percent| *percent < 100).map(Some)
}

/// A span as people write it; not negative, at most a year.
#[must_use]
pub fn parse_span(text: &str) -> Option<Duration> {
    let span: SignedDuration = text.trim().parse().ok()?;
    let span = Duration::try_from(span).ok()?;
    (span <= Duration::from_secs(366 * 24 * 3600)).then_some(span)
}

/// A size as people write it, in bytes: `500MB`, `1GiB`, or a number; from 1 byte to 1 TiB.
fn parse_size(text: &str) -> Option<u64> {
    let text = text.trim();
    let digits = text.find(|c: char| !c.is_ascii_digit()).unwrap_or(text.len());
    let unit: u64 = match text[digits..].trim_start().to_ascii_lowercase().as_str() {
        "" | "b" => 1,
        "kb" => 1_000,
        "mb" => 1_000_000,
        "gb" => 1_000_000_000,
        "kib" => 1 << 10,
        "mib" => 1 << 20,
        "gib" => 1 << 30,
        _ => return None,
    };
    let size = text[..digits].parse::<u64>().ok()?.checked_mul(unit)?;
    (1..=1 << 40).contains(&size).then_some(size)
}

#[cfg(test)]
mod tests;
