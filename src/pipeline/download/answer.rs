//! What a file host's answer means for a download: status, lengths and versions, classified once. Reads headers only.

use std::time::Duration;

use jiff::Timestamp;
use reqwest::header::{
    CONTENT_ENCODING, CONTENT_LENGTH, CONTENT_RANGE, CONTENT_TYPE, DATE, ETAG, HeaderMap, HeaderName, LAST_MODIFIED,
    RETRY_AFTER,
};
use reqwest::{Response, StatusCode};

use crate::pace::Clock;

/// What an answer means.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Answer {
    /// The whole video follows, of this version.
    Whole { total: Option<u64>, validator: Option<String> },
    /// What is missing follows.
    Rest { total: Option<u64> },
    /// Nothing is missing.
    Complete,
    /// What is held is of no use: ask for the whole.
    Restart,
    /// The link is dead.
    Expired(String),
    /// Not this time.
    Failed { words: String, retry_after: Option<Duration> },
}

impl Answer {
    /// Reads the answer to a request for the whole, or for what follows the `held` bytes of a version.
    pub(super) fn of(response: &Response, asked: Option<(u64, &str)>, clock: &Clock) -> Self {
        let status = response.status();
        let headers = response.headers();
        let failed = |words: String| Self::Failed { words, retry_after: None };
        match status {
            StatusCode::OK | StatusCode::PARTIAL_CONTENT if is_page(headers) => {
                failed("a web page came instead of the video".to_owned())
            }
            StatusCode::OK | StatusCode::PARTIAL_CONTENT if is_encoded(headers) => {
                failed("the video came compressed, which was not asked for".to_owned())
            }
            StatusCode::OK => Self::Whole { total: number(headers, &CONTENT_LENGTH), validator: validator(headers) },
            StatusCode::PARTIAL_CONTENT => Self::of_part(headers, asked),
            StatusCode::RANGE_NOT_SATISFIABLE => match asked {
                Some((held, version))
                    if content_range(headers) == Some((None, Some(held))) && is_of(headers, version) =>
                {
                    Self::Complete
                }
                Some(_) => Self::Restart,
                None => failed(said(status)),
            },
            StatusCode::FORBIDDEN | StatusCode::NOT_FOUND | StatusCode::GONE => Self::Expired(said(status)),
            _ => Self::Failed { words: said(status), retry_after: retry_after(headers, clock.now()) },
        }
    }

    fn of_part(headers: &HeaderMap, asked: Option<(u64, &str)>) -> Self {
        let Some((held, version)) = asked else {
            return Self::Restart;
        };
        match content_range(headers) {
            Some((Some(start), total)) if start == held && is_of(headers, version) => {
                let length = number(headers, &CONTENT_LENGTH);
                Self::Rest { total: total.or(length.and_then(|length| held.checked_add(length))) }
            }
            Some(_) | None => Self::Restart,
        }
    }
}

fn said(status: StatusCode) -> String {
    format!("the file host answered {status}")
}

fn text<'a>(headers: &'a HeaderMap, name: &HeaderName) -> Option<&'a str> {
    headers.get(name)?.to_str().ok().map(str::trim)
}

fn number(headers: &HeaderMap, name: &HeaderName) -> Option<u64> {
    text(headers, name)?.parse().ok()
}

fn is_page(headers: &HeaderMap) -> bool {
    text(headers, &CONTENT_TYPE).is_some_and(|kind| {
        let kind = kind.to_ascii_lowercase();
        kind.starts_with("text/html") || kind.starts_with("application/xhtml")
    })
}

fn is_encoded(headers: &HeaderMap) -> bool {
    text(headers, &CONTENT_ENCODING)
        .is_some_and(|coding| !coding.is_empty() && !coding.eq_ignore_ascii_case("identity"))
}

/// The first byte and the whole length that `Content-Range` tells: `bytes 5-9/10`, `bytes */10`.
fn content_range(headers: &HeaderMap) -> Option<(Option<u64>, Option<u64>)> {
    let (range, total) = text(headers, &CONTENT_RANGE)?.strip_prefix("bytes ")?.split_once('/')?;
    let total = if total == "*" { None } else { Some(total.parse().ok()?) };
    if range == "*" {
        return Some((None, total));
    }
    let (start, end) = range.split_once('-')?;
    end.parse::<u64>().ok()?;
    Some((Some(start.parse().ok()?), total))
}

/// What names this version: a strong `ETag`, else a `Last-Modified` that is strong by RFC 9110, section 8.8.2.2 (at least a
/// second older than the answer, so that the file did not change again within it).
fn validator(headers: &HeaderMap) -> Option<String> {
    if let Some(tag) = text(headers, &ETAG).filter(|tag| tag.starts_with('"')) {
        return Some(tag.to_owned());
    }
    let modified = text(headers, &LAST_MODIFIED)?;
    let age = httpdate::parse_http_date(text(headers, &DATE)?)
        .ok()?
        .duration_since(httpdate::parse_http_date(modified).ok()?)
        .ok()?;
    (age >= Duration::from_secs(1)).then(|| modified.to_owned())
}

/// Whether an answer is of this version, as far as it says: some hosts take no notice of `If-Range`.
fn is_of(headers: &HeaderMap, version: &str) -> bool {
    let name = if version.starts_with('"') { ETAG } else { LAST_MODIFIED };
    text(headers, &name).is_none_or(|present| present == version)
}

fn retry_after(headers: &HeaderMap, now: Timestamp) -> Option<Duration> {
    let value = text(headers, &RETRY_AFTER)?;
    if let Ok(seconds) = value.parse() {
        return Some(Duration::from_secs(seconds));
    }
    let at = Timestamp::try_from(httpdate::parse_http_date(value).ok()?).ok()?;
    Duration::try_from(at.duration_since(now)).ok()
}
