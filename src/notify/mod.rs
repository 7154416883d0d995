//! Telling someone who is not there: a webhook, a ping that says whether a job ran, a command. Each within a few seconds, and
//! what fails is only told: no run ends otherwise because of it.
//!
//! Addresses are secrets here, path and all: whoever knows one can write to it. Only their host is ever shown.

mod command;
mod examine;
mod post;

use std::fmt;
use std::str::FromStr;
use std::time::Duration;

use reqwest::Url;
use secrecy::{ExposeSecret, SecretString};

use crate::pace::Clock;

use post::Body;

pub use examine::{Examined, examine, rehearse};

/// How long one notification may take, a second try included.
const WITHIN: Duration = Duration::from_secs(10);
/// How many characters of a text are told.
const LONGEST: usize = 1000;

/// Whom to tell, and of what.
#[derive(Debug, Clone)]
pub struct Settings {
    /// Where messages are sent. Default: nowhere.
    pub webhook: Option<Address>,
    /// What the webhook understands. Default JSON.
    pub kind: Kind,
    /// Where it is said that a run started and how it ended: itself for success, with `/start` and `/fail` for the others (as
    /// healthchecks.io documents it). Default: nowhere.
    pub ping: Option<Address>,
    /// What is run through `sh -c`. Default: nothing.
    pub command: Option<String>,
    /// Of what webhook and command are told. Default: of everything.
    pub on: Vec<Occasion>,
    /// Variables that the command is not shown: they hold credentials.
    pub withheld: Vec<String>,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            webhook: None,
            kind: Kind::Json,
            ping: None,
            command: None,
            on: Occasion::ALL.to_vec(),
            withheld: Vec::new(),
        }
    }
}

/// An http(s) address that is a secret: never shown but for its host.
#[derive(Clone)]
pub struct Address(SecretString);

/// A text that is no such address. Does not repeat it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("no http(s) address")]
pub struct NotAnAddress;

impl FromStr for Address {
    type Err = NotAnAddress;

    fn from_str(text: &str) -> Result<Self, NotAnAddress> {
        let url = Url::parse(text.trim()).map_err(|_| NotAnAddress)?;
        let web = matches!(url.scheme(), "http" | "https") && url.has_host();
        if web { Ok(Self(SecretString::from(String::from(url)))) } else { Err(NotAnAddress) }
    }
}

impl fmt::Debug for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Address(hidden)")
    }
}

impl Address {
    /// With a further part of a path.
    fn url(&self, part: Option<&str>) -> Option<Url> {
        let mut url = Url::parse(self.0.expose_secret()).ok()?;
        if let Some(part) = part {
            url.path_segments_mut().ok()?.pop_if_empty().push(part);
        }
        Some(url)
    }

    /// All of it that may be shown.
    fn host(&self) -> String {
        self.url(None).and_then(|url| url.host_str().map(str::to_owned)).unwrap_or_default()
    }
}

/// What a webhook understands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// `{"event", "text", "summary", "exit_code"}`.
    Json,
    /// Slack's incoming webhooks: `{"text"}` (documented).
    Slack,
    /// ntfy: the text itself, to the address of a topic (documented).
    Ntfy,
}

impl Kind {
    /// All of them.
    pub const ALL: [Self; 3] = [Self::Json, Self::Slack, Self::Ntfy];

    /// Its name.
    #[must_use]
    pub const fn word(self) -> &'static str {
        match self {
            Self::Json => "json",
            Self::Slack => "slack",
            Self::Ntfy => "ntfy",
        }
    }
}

/// Something that people may want to be told of.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Occasion {
    /// A run ended.
    End,
    /// An account sends nothing more until a person acts.
    Pause,
    /// A scene or an account was paused because too many of its rows failed.
    Failures,
    /// Somebody wants to know whether it arrives. Told whenever it is asked for, and so not among those that are chosen.
    Test,
}

impl Occasion {
    /// All that can be chosen.
    pub const ALL: [Self; 3] = [Self::End, Self::Pause, Self::Failures];

    /// Its name.
    #[must_use]
    pub const fn word(self) -> &'static str {
        match self {
            Self::End => "end",
            Self::Pause => "pause",
            Self::Failures => "failures",
            Self::Test => "test",
        }
    }
}

/// What is told.
#[derive(Debug, Clone)]
pub struct Message {
    /// Of what.
    pub occasion: Occasion,
    /// The whole of it, in a line.
    pub text: String,
    /// How the rows stand, in a line.
    pub summary: String,
    /// What the run ends with, where it ended.
    pub exit_code: Option<u8>,
}

/// What a ping says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Beat {
    /// A run started.
    Start,
    /// It ended well.
    Success,
    /// It ended otherwise.
    Fail,
}

/// Tells.
#[derive(Debug)]
pub struct Notifier {
    settings: Settings,
    clock: Clock,
}

impl Notifier {
    /// `None` where nobody is to be told.
    #[must_use]
    pub fn new(settings: &Settings, clock: &Clock) -> Option<Self> {
        let someone = settings.webhook.is_some() || settings.ping.is_some() || settings.command.is_some();
        someone.then(|| Self { settings: settings.clone(), clock: clock.clone() })
    }

    /// Says that a run started or ended, with a line for whoever looks. What went wrong is in the answer.
    pub async fn ping(&self, beat: Beat, line: &str) -> Option<String> {
        let address = self.settings.ping.as_ref()?;
        let part = match beat {
            Beat::Start => Some("start"),
            Beat::Success => None,
            Beat::Fail => Some("fail"),
        };
        self.post("ping", address, part, &Body::Text { text: plain(line), headers: &[] }).await
    }

    /// Tells webhook and command, both at once, where they are to be told of this. What went wrong is in the answer.
    pub async fn tell(&self, message: &Message) -> Vec<String> {
        if !self.settings.on.contains(&message.occasion) {
            return Vec::new();
        }
        let (webhook, command) = futures::future::join(self.webhook(message), self.command(message)).await;
        webhook.into_iter().chain(command).collect()
    }

    async fn webhook(&self, message: &Message) -> Option<String> {
        let address = self.settings.webhook.as_ref()?;
        let text = plain(&message.text);
        let body = match self.settings.kind {
            Kind::Json => Body::Json(serde_json::json!({
                "event": message.occasion.word(),
                "text": text,
                "summary": message.summary,
                "exit_code": message.exit_code,
            })),
            // A remote's words must not address a channel or hide a link (Slack documents these three).
            Kind::Slack => Body::Json(serde_json::json!({
                "text": text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;"),
            })),
            Kind::Ntfy if message.exit_code == Some(0) || message.occasion == Occasion::Test => {
                Body::Text { text, headers: &[("Title", "nightreel"), ("Tags", "white_check_mark")] }
            }
            Kind::Ntfy => {
                Body::Text { text, headers: &[("Title", "nightreel"), ("Tags", "warning"), ("Priority", "high")] }
            }
        };
        self.post("webhook", address, None, &body).await
    }

    async fn post(&self, what: &str, address: &Address, part: Option<&str>, body: &Body) -> Option<String> {
        let url = address.url(part)?;
        let host = address.host();
        let sent = self.clock.within(WITHIN, post::send(&self.clock, url, body)).await;
        let words = sent.unwrap_or_else(|| Err("it took too long".to_owned())).err()?;
        Some(format!("notify: the {what} at {host} was not told: {words}"))
    }

    async fn command(&self, message: &Message) -> Option<String> {
        let command = self.settings.command.as_ref()?;
        let exit_code = message.exit_code.map_or_else(String::new, |code| code.to_string());
        let shown = [
            ("NIGHTREEL_EVENT", message.occasion.word().to_owned()),
            ("NIGHTREEL_SUMMARY", plain(&message.text)),
            ("NIGHTREEL_EXIT_CODE", exit_code),
        ];
        let words = command::run(&self.clock, command, shown, &self.settings.withheld, WITHIN).await.err()?;
        Some(format!("notify: the command {words}"))
    }
}

/// A text as one line of bearable length, without what a terminal or a header would obey.
fn plain(text: &str) -> String {
    let line: String = text.chars().map(|c| if c.is_control() { ' ' } else { c }).take(LONGEST).collect();
    line.trim().to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_shows_itself_nowhere() {
        let address: Address = "https://hooks.example/recognisable".parse().unwrap();
        assert!(!format!("{address:?}").contains("recognisable"));
        let settings = Settings { ping: Some(address), ..Settings::default() };
        assert!(!format!("{settings:?}").contains("recognisable"));
        for text in ["recognisable", "ftp://x/recognisable", "http://", "file:///recognisable"] {
            let refused = text.parse::<Address>().unwrap_err();
            assert!(!format!("{refused}{refused:?}").contains("recognisable"));
        }
    }

    #[test]
    fn a_ping_keeps_its_query_and_takes_a_part_at_its_end() {
        let url = |text: &str, part| text.parse::<Address>().unwrap().url(part).unwrap().to_string();
        assert_eq!(url("https://hc.example/abc/?create=1", Some("fail")), "https://hc.example/abc/fail?create=1");
        assert_eq!(url("https://hc.example/abc", Some("start")), "https://hc.example/abc/start");
        assert_eq!(url("https://hc.example/abc/", None), "https://hc.example/abc/");
    }
}
