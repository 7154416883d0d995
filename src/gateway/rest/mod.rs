//! What remotes have in common that use HTTP as it is meant (fal, `WaveSpeed`): one key in one header, one path per
//! model, JSON bodies, and statuses that say what became of a request.
//!
//! It sends one request per call and reads the answer. What a body tells, each remote's own module knows.

mod body;
#[cfg(test)]
pub(super) mod tests;
mod verdict;

use std::fmt;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use reqwest::header::{AUTHORIZATION, CONTENT_LENGTH, CONTENT_TYPE, HeaderMap, HeaderValue, LOCATION};
use reqwest::{RequestBuilder, Url};
use secrecy::SecretString;
use serde_json::Value;

use super::breakdown::Breakdown;
use super::http::{self, Broken, Clients};
use super::json;
use super::spec::BuildError;
use super::words::Wording;
use super::{Limit, NotMade, Observed, Probe, QUERY_TIMEOUT, REQUEST_TIMEOUT, Submitted};
use crate::domain::Doubt;
use crate::pace::Clock;

pub(super) use super::http::link;
pub(super) use body::Body;
pub(super) use verdict::{Said, not_taken, not_understood, refused_here, unclear, unseen};

/// The largest answer that is read, in bytes.
const LARGEST_ANSWER: usize = 1024 * 1024;

/// The longest text that is no JSON, in bytes: more than is ever looked at for words.
const LONGEST_TEXT: usize = 64 * 1024;

/// The longest part of a foreign body that is looked at for its title, in bytes.
const LOOKED_AT: usize = 8192;

/// Where a remote is, and how to speak to it.
#[derive(Debug, Clone)]
pub struct Settings {
    /// `http(s)://host[:port][/prefix]`, to which the API's own paths are appended.
    pub base_url: String,
    /// What is sent as `Authorization`; nothing when `None`.
    pub key: Option<SecretString>,
    /// How long a request for a task may take, upload and answer together.
    pub request_timeout: Duration,
    /// How long one request of a question may take.
    pub query_timeout: Duration,
}

impl Settings {
    /// Settings with the default time-outs.
    #[must_use]
    pub fn new(base_url: impl Into<String>, key: Option<SecretString>) -> Self {
        let (request_timeout, query_timeout) = (REQUEST_TIMEOUT, QUERY_TIMEOUT);
        Self { base_url: base_url.into(), key, request_timeout, query_timeout }
    }
}

/// An answer, read to its end.
#[derive(Debug, Clone)]
pub(super) struct Answer {
    /// The HTTP status.
    pub(super) status: u16,
    /// How long it asks to wait.
    pub(super) retry_after: Option<Duration>,
    /// Where it sends us, fit to be kept.
    pub(super) location: Option<String>,
    /// Its headers, as they came: read them by [`Line::told`].
    pub(super) headers: HeaderMap,
    /// How far its clock is ahead of ours, in seconds.
    pub(super) ahead: Option<i64>,
    /// Its body.
    pub(super) content: Content,
    /// Whether JSON was heard from this remote before, in this process.
    pub(super) known: Known,
}

/// An answer's body.
#[derive(Debug, Clone)]
pub(super) enum Content {
    /// JSON.
    Json(Value),
    /// A web page, and what it is.
    Page(String),
    /// Anything else, and what it is: nothing at all, or JSON that was cut off, which a task may stand behind.
    Foreign(String),
}

/// Whether this is known to be such a remote.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Known {
    /// JSON was heard from it before.
    Heard,
    /// Nothing but this was heard from it.
    Unheard,
}

impl Answer {
    /// Whether the status is a success.
    pub(super) fn is_success(&self) -> bool {
        (200..300).contains(&self.status)
    }
}

/// A remote, and how to ask it. Its `Debug` shows no key.
pub(super) struct Line {
    base: Url,
    authorization: Option<HeaderValue>,
    request_timeout: Duration,
    query_timeout: Duration,
    clients: Clients,
    wording: Wording,
    heard: AtomicBool,
    clock: Clock,
}

impl Line {
    /// A line to the remote of `settings`. The key goes out as `Authorization: {scheme} {key}`. Nothing is sent.
    pub(super) fn new(settings: Settings, scheme: &str, clock: Clock) -> Result<Self, BuildError> {
        let Settings { base_url, key, request_timeout, query_timeout } = settings;
        let base = http::base_url(&base_url).map_err(|why| BuildError::BaseUrl { why })?;
        let authorization = match &key {
            Some(key) => Some(http::authorization(scheme, key).ok_or(BuildError::Key)?),
            None => None,
        };
        let clients = Clients::new(&base, request_timeout).map_err(BuildError::Client)?;
        let (wording, heard) = (Wording::new(key), AtomicBool::new(false));
        Ok(Self { base, authorization, request_timeout, query_timeout, clients, wording, heard, clock })
    }

    /// The base URL.
    pub(super) const fn base(&self) -> &Url {
        &self.base
    }

    /// The address below the base whose path goes on with these segments, whatever they hold.
    pub(super) fn at<'a>(&self, segments: impl IntoIterator<Item = &'a str>) -> Url {
        let mut url = self.base.clone();
        if let Ok(mut path) = url.path_segments_mut() {
            path.pop_if_empty().extend(segments);
        }
        url
    }

    /// `text` as it may be kept.
    pub(super) fn words(&self, text: &str) -> String {
        self.wording.of(text)
    }

    /// What a header of `answer` says, as it may be kept.
    pub(super) fn told(&self, answer: &Answer, name: &str) -> Option<String> {
        self.header(&answer.headers, name)
    }

    fn header(&self, headers: &HeaderMap, name: &str) -> Option<String> {
        let text = headers.get(name)?.to_str().ok()?;
        Some(self.words(text)).filter(|text| !text.is_empty())
    }

    /// Sends `body`, once; without an answer, says what became of the request.
    pub(super) async fn post(&self, url: Url, headers: HeaderMap, body: Body) -> Result<Answer, Submitted> {
        let request = self
            .clients
            .ordering
            .post(url)
            .headers(headers)
            .header(CONTENT_TYPE, "application/json")
            .header(CONTENT_LENGTH, body.len())
            .body(reqwest::Body::wrap_stream(body.into_stream()));
        match self.clock.within(self.request_timeout, self.exchange(request)).await {
            Some(Ok(answer)) => Ok(answer),
            Some(Err(Broken::Unsent(words))) => {
                let words = self.words(&words);
                Err(Submitted::NotMade(NotMade { words, retry_after: None, limit: Limit::Unreachable }))
            }
            Some(Err(Broken::Lost(words))) => Err(Submitted::InDoubt(Doubt::LostAnswer { words: self.words(&words) })),
            None => Err(Submitted::InDoubt(Doubt::TimedOut)),
        }
    }

    /// Asks, once; without an answer, says why in words.
    pub(super) async fn get(&self, url: Url) -> Result<Answer, String> {
        match self.clock.within(self.query_timeout, self.exchange(self.clients.asking.get(url))).await {
            Some(Ok(answer)) => Ok(answer),
            Some(Err(Broken::Unsent(words) | Broken::Lost(words))) => Err(self.words(&words)),
            None => Err("no answer came in time".to_owned()),
        }
    }

    /// Asks a harmless question, and says what came of it; `Err` says why nothing came at all.
    pub(super) async fn probe(&self, url: Url, read: impl FnOnce(&Answer) -> Observed) -> Result<Probe, String> {
        let begun = self.clock.now();
        let answer = self.get(url).await?;
        let took = Duration::try_from(self.clock.now().duration_since(begun)).unwrap_or_default();
        Ok(Probe { took, ahead: answer.ahead, observed: read(&answer) })
    }

    async fn exchange(&self, request: RequestBuilder) -> Result<Answer, Broken> {
        let request = match &self.authorization {
            Some(value) => request.header(AUTHORIZATION, value.clone()),
            None => request,
        };
        let (client, request) = request.build_split();
        let request = request.map_err(Broken::of)?;
        let breakdown = Breakdown::of(&request);
        let response = client.execute(request).await.map_err(Broken::of)?;
        breakdown.may_happen();
        let (status, now) = (response.status().as_u16(), self.clock.now());
        let headers = response.headers().clone();
        let location = self.header(&headers, LOCATION.as_str());
        let ahead = http::date(&headers).map(|theirs| theirs.as_second() - now.as_second());
        let retry_after = http::retry_after(&headers, now);
        let content = Content::of(&http::read_limited(response, LARGEST_ANSWER).await?);
        let json = matches!(content, Content::Json(_));
        let known = if self.heard.fetch_or(json, Ordering::Relaxed) { Known::Heard } else { Known::Unheard };
        Ok(Answer { status, headers, retry_after, location, ahead, content, known })
    }
}

impl fmt::Debug for Line {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.base.as_str())
    }
}

impl Content {
    fn of(body: &[u8]) -> Self {
        match json::read(body) {
            Some(value @ (Value::Object(_) | Value::Array(_))) => Self::Json(value),
            // A lone text or number is no answer of an API, though it is JSON.
            Some(_) | None => Self::without_json(&String::from_utf8_lossy(body)),
        }
    }

    /// What a body is that is no JSON.
    fn without_json(text: &str) -> Self {
        let text = text.trim();
        if text.is_empty() {
            return Self::Foreign("an empty body".to_owned());
        }
        // Nobody keeps more of it than its first words.
        let start = || text[..text.floor_char_boundary(LONGEST_TEXT)].to_owned();
        page(text).map_or_else(|| Self::Foreign(start()), Self::Page)
    }
}

/// What a web page is, where it is one.
fn page(text: &str) -> Option<String> {
    let lower = text.get(..text.floor_char_boundary(LOOKED_AT)).unwrap_or_default().to_ascii_lowercase();
    if !["<!doctype html", "<html", "<body"].iter().any(|mark| lower.contains(mark)) {
        return None;
    }
    let title = lower.find("<title>").and_then(|start| text.get(start + "<title>".len()..)?.split('<').next());
    Some(match title.map(str::trim).filter(|title| !title.is_empty()) {
        Some(title) => format!("an HTML page: {title}"),
        None => "an HTML page".to_owned(),
    })
}
