//! From what a person set to a gateway that can be asked: which kind, where, with which credentials.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use reqwest::Url;
use secrecy::SecretString;

use super::fal::FalGateway;
use super::kling::{self, KlingGateway};
use super::preset::MANY;
use super::wavespeed::WaveSpeedGateway;
use super::{Capabilities, Gateway, Preset, QUERY_TIMEOUT, REQUEST_TIMEOUT, Region, http, rest};
use crate::pace::Clock;

/// What shows a remote who asks. `Debug` tells the kind and no secret.
#[derive(Clone, Default)]
pub enum Credentials {
    /// Nothing: only nightreel's simulator takes that.
    #[default]
    None,
    /// A key that is sent as it is.
    Key(SecretString),
    /// Kling's older pair, of which short-lived tokens are made.
    AccessKey {
        /// The access key, which names the account.
        access: SecretString,
        /// The secret key, which signs and is never sent.
        secret: SecretString,
    },
}

impl Credentials {
    /// All that must never be shown.
    pub(super) fn secrets(&self) -> Vec<SecretString> {
        match self {
            Self::None => Vec::new(),
            Self::Key(key) => vec![key.clone()],
            Self::AccessKey { access, secret } => vec![access.clone(), secret.clone()],
        }
    }
}

impl fmt::Debug for Credentials {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::None => "None",
            Self::Key(_) => "Key",
            Self::AccessKey { .. } => "AccessKey",
        })
    }
}

/// Which of a row's `duration`, `model_name` and `mode` are sent.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Parameters {
    /// What the preset says: none of them to Kling, all of them to others.
    #[default]
    Preset,
    /// Those that the row has.
    All,
    /// None.
    None,
}

/// What a person says that a gateway can do, against its preset; `None` leaves it to the preset.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Overrides {
    /// See [`Capabilities::find`].
    pub find: Option<bool>,
    /// See [`Capabilities::unique`].
    pub unique: Option<bool>,
    /// See [`Capabilities::list`].
    pub list: Option<bool>,
    /// Whether several tasks can be asked for at once; see [`Capabilities::many`].
    pub many: Option<bool>,
}

impl Overrides {
    fn over(self, preset: Capabilities) -> Capabilities {
        Capabilities {
            find: self.find.unwrap_or(preset.find),
            unique: self.unique.unwrap_or(preset.unique),
            list: self.list.unwrap_or(preset.list),
            many: match self.many {
                Some(true) => Some(MANY),
                Some(false) => None,
                None => preset.many,
            },
            refuses: preset.refuses,
        }
    }
}

/// A gateway as a person describes it.
#[derive(Debug, Clone)]
pub struct Spec {
    /// Its kind.
    pub preset: Preset,
    /// Where it is, where that is not its preset's own place.
    pub base_url: Option<String>,
    /// Where Kling is; of no meaning to others.
    pub region: Region,
    /// What shows it who asks.
    pub credentials: Credentials,
    /// What shows `CometAPI` whose list of tasks is asked for; never sent with a paid request.
    pub account_token: Option<SecretString>,
    /// What it can do, against its preset.
    pub overrides: Overrides,
    /// What of a row is sent.
    pub parameters: Parameters,
    /// How long a request for a task may take.
    pub request_timeout: Duration,
}

impl Spec {
    /// A gateway of this kind as its preset has it, without credentials.
    #[must_use]
    pub fn new(preset: Preset) -> Self {
        Self {
            preset,
            base_url: None,
            region: Region::default(),
            credentials: Credentials::None,
            account_token: None,
            overrides: Overrides::default(),
            parameters: Parameters::default(),
            request_timeout: REQUEST_TIMEOUT,
        }
    }
}

/// A gateway, and where it is.
#[derive(Debug, Clone)]
pub struct Built {
    /// The gateway.
    pub gateway: Arc<dyn Gateway>,
    /// Its base URL, without a slash at its end.
    pub base_url: String,
}

/// Why a description makes no gateway.
#[derive(Debug, thiserror::Error)]
pub enum BuildError {
    /// There is no one place where such a gateway is.
    #[error("a gateway of the kind {preset} needs a base URL")]
    NeedsBaseUrl {
        /// Its kind.
        preset: Preset,
    },
    /// It lets nobody in without a key.
    #[error("a gateway of the kind {preset} needs a key")]
    NeedsKey {
        /// Its kind.
        preset: Preset,
    },
    /// It does not know Kling's access keys.
    #[error("a gateway of the kind {preset} cannot use an access key and a secret key")]
    NoAccessKeys {
        /// Its kind.
        preset: Preset,
    },
    /// The base URL is none. It is not repeated: it may hold a password.
    #[error("the base URL is not usable: {why}")]
    BaseUrl {
        /// What is wrong with it.
        why: String,
    },
    /// A secret cannot be sent in a header.
    #[error("the key is empty or holds a character that no HTTP header can carry")]
    Key,
    /// The HTTP client could not be made: no certificates on this machine, or an unusable proxy.
    #[error("the HTTP client could not be made")]
    Client(#[source] reqwest::Error),
}

impl BuildError {
    /// What to type instead, where that can be said.
    #[must_use]
    pub fn hint(&self) -> Option<String> {
        Some(match self {
            Self::NeedsBaseUrl { preset: Preset::Simulator } => {
                "start one with `nightreel simulate`, and name the address that it prints: --base-url URL".to_owned()
            }
            Self::NeedsBaseUrl { .. } => "the gateway's documentation names it: --base-url URL, without what begins \
                                          with /v1"
                .to_owned(),
            Self::NeedsKey { .. } => {
                "export NIGHTREEL_API_KEY=…, or name a file with key_file in nightreel.toml".to_owned()
            }
            Self::NoAccessKeys { .. } => {
                "use the gateway's own API key: export NIGHTREEL_API_KEY=…; an access key and \
                                          its secret are for --gateway kling"
                    .to_owned()
            }
            Self::BaseUrl { .. } => {
                "a base URL looks like https://gateway.example/kling; keys are never part of it".to_owned()
            }
            Self::Key => "copy the key again, as one line without spaces: export NIGHTREEL_API_KEY=…".to_owned(),
            Self::Client(_) => {
                "install the system's root certificates (ca-certificates), and look at HTTPS_PROXY".to_owned()
            }
        })
    }
}

/// The gateway that `spec` describes. Nothing is sent.
pub fn build(spec: Spec, clock: Clock) -> Result<Built, BuildError> {
    let preset = spec.preset;
    let given = spec.base_url.as_deref().or_else(|| preset.default_base_url(spec.region));
    let base = given.ok_or(BuildError::NeedsBaseUrl { preset })?;
    let base = http::base_url(base).map_err(|why| BuildError::BaseUrl { why })?;
    let base_url = http::without_slash(&base).to_owned();
    match (preset, &spec.credentials) {
        (Preset::Simulator, _) | (_, Credentials::Key(_)) | (Preset::Kling, Credentials::AccessKey { .. }) => {}
        (_, Credentials::None) => return Err(BuildError::NeedsKey { preset }),
        (_, Credentials::AccessKey { .. }) => return Err(BuildError::NoAccessKeys { preset }),
    }
    let gateway: Arc<dyn Gateway> = match preset {
        Preset::Simulator | Preset::Kling | Preset::KlingCompatible | Preset::CometApi | Preset::Kkiai => {
            Arc::new(KlingGateway::new(kling_settings(spec, &base, base_url.clone()), clock)?)
        }
        Preset::Fal => Arc::new(FalGateway::new(rest_settings(&spec, &base_url), clock)?),
        Preset::WaveSpeed => Arc::new(WaveSpeedGateway::new(rest_settings(&spec, &base_url), clock)?),
    };
    Ok(Built { gateway, base_url })
}

/// The settings of a vendor with a protocol of its own.
fn rest_settings(spec: &Spec, base_url: &str) -> rest::Settings {
    let key = if let Credentials::Key(key) = &spec.credentials { Some(key.clone()) } else { None };
    rest::Settings { request_timeout: spec.request_timeout, ..rest::Settings::new(base_url, key) }
}

/// The settings of everything that speaks Kling's wire format.
fn kling_settings(spec: Spec, base: &Url, base_url: String) -> kling::Settings {
    let preset = spec.preset;
    let mut capabilities = spec.overrides.over(preset.capabilities());
    if matches!(spec.credentials, Credentials::AccessKey { .. }) {
        // Documented: the newer questions take plain API keys only.
        capabilities.many = None;
    }
    let sent = match spec.parameters {
        Parameters::Preset => preset.sends_parameters(),
        Parameters::All => true,
        Parameters::None => false,
    };
    let parameters = match (sent, preset.requires_duration()) {
        (true, true) => kling::Sent::RowsOr { duration: "5" },
        (true, false) => kling::Sent::Rows,
        (false, _) => kling::Sent::Nothing,
    };
    let account = match preset {
        Preset::Simulator | Preset::Kling => kling::Account::Kling,
        Preset::CometApi => kling::Account::Comet { token: spec.account_token, quota: comet_quota(base) },
        Preset::KlingCompatible | Preset::Kkiai | Preset::Fal | Preset::WaveSpeed => kling::Account::Silent,
    };
    kling::Settings {
        base_url,
        credentials: spec.credentials,
        capabilities,
        parameters,
        account,
        request_timeout: spec.request_timeout,
        query_timeout: QUERY_TIMEOUT,
    }
}

/// Where `CometAPI` tells what is left: a host of its own (documented). Where somebody else stands in for it, nobody but
/// that one is shown the key.
fn comet_quota(base: &Url) -> String {
    if base.host_str() == Some("api.cometapi.com") {
        return kling::COMET_QUOTA.to_owned();
    }
    let mut there = base.clone();
    there.set_path("/user/quota");
    there.into()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn key() -> Credentials {
        Credentials::Key(SecretString::from("sk-taint"))
    }

    fn pair() -> Credentials {
        Credentials::AccessKey { access: SecretString::from("ak-taint"), secret: SecretString::from("sk-taint") }
    }

    fn built(spec: Spec) -> Result<Built, BuildError> {
        build(spec, Clock::system())
    }

    #[test]
    fn a_preset_knows_its_place_and_asks_for_what_it_needs() {
        for (preset, credentials, expected) in [
            (Preset::Kling, key(), "https://api-singapore.klingai.com"),
            (Preset::Kling, pair(), "https://api-singapore.klingai.com"),
            (Preset::CometApi, key(), "https://api.cometapi.com/kling"),
            (Preset::Kkiai, key(), "https://www.kkiai.com/kling"),
            (Preset::Kling, Credentials::None, "a gateway of the kind kling needs a key"),
            (Preset::CometApi, pair(), "a gateway of the kind cometapi cannot use an access key and a secret key"),
            (Preset::KlingCompatible, key(), "a gateway of the kind kling-compatible needs a base URL"),
            (Preset::Simulator, Credentials::None, "a gateway of the kind simulator needs a base URL"),
        ] {
            let found = match built(Spec { credentials, ..Spec::new(preset) }) {
                Ok(built) => built.base_url,
                Err(error) => {
                    assert!(error.hint().is_some(), "{error}");
                    error.to_string()
                }
            };
            assert_eq!(found, expected);
        }
    }

    #[test]
    fn a_base_url_comes_out_as_it_is_used() {
        let at =
            |url: &str| Spec { base_url: Some(url.into()), credentials: key(), ..Spec::new(Preset::KlingCompatible) };
        assert_eq!(built(at(" https://h:1/kling// ")).unwrap().base_url, "https://h:1/kling");
        let error = built(at("https://u:taint@h")).unwrap_err();
        assert!(!format!("{error} {error:?}").contains("taint"), "{error:?}");
        let beijing = Spec { region: Region::Beijing, credentials: key(), ..Spec::new(Preset::Kling) };
        assert_eq!(built(beijing).unwrap().base_url, "https://api-beijing.klingai.com");
    }

    #[test]
    fn what_a_person_says_goes_over_the_preset_and_a_pair_of_keys_asks_for_one_task_at_a_time() {
        let able = |spec: Spec| built(spec).unwrap().gateway.capabilities();
        let kling = || Spec { credentials: key(), ..Spec::new(Preset::Kling) };
        assert_eq!(able(kling()), Preset::Kling.capabilities());
        let overrides = Overrides { find: Some(false), many: Some(false), ..Overrides::default() };
        let less = Capabilities { find: false, many: None, ..Preset::Kling.capabilities() };
        assert_eq!(able(Spec { overrides, ..kling() }), less);
        let overrides = Overrides { many: Some(true), ..Overrides::default() };
        assert_eq!(able(Spec { overrides, credentials: pair(), ..kling() }).many, None);
        let comet = Spec { overrides, credentials: key(), ..Spec::new(Preset::CometApi) };
        assert_eq!(able(comet), Capabilities { many: Some(MANY), ..Capabilities::default() });
    }

    #[test]
    fn whoever_stands_in_for_cometapi_is_the_only_one_who_is_shown_the_key() {
        let quota = |base: &str| comet_quota(&Url::parse(base).unwrap());
        let own = Preset::CometApi.default_base_url(Region::default()).unwrap();
        assert_eq!(quota(own), "https://query.cometapi.com/user/quota");
        assert_eq!(quota("http://127.0.0.1:8080/kling"), "http://127.0.0.1:8080/user/quota");
    }

    #[test]
    fn nothing_shows_a_secret() {
        let spec = Spec {
            credentials: pair(),
            account_token: Some(SecretString::from("at-taint")),
            ..Spec::new(Preset::Kling)
        };
        assert!(!format!("{spec:?} {:?} {:?}", key(), built(spec.clone()).unwrap()).contains("taint"));
    }
}
