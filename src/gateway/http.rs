//! What every HTTP gateway needs of its transport: clients that send a request once and nowhere else, answers read up
//! to a limit, and the words of transport errors.
//!
//! It knows no protocol, follows no redirect and never sends anything twice.

use std::error::Error;
use std::net::IpAddr;
use std::sync::OnceLock;
use std::time::Duration;

use jiff::Timestamp;
use reqwest::header::{DATE, HeaderMap, HeaderValue, RETRY_AFTER};
use reqwest::{Client, ClientBuilder, Response, Url};
use secrecy::{ExposeSecret, SecretString};

/// How long connecting may take: name, TCP and TLS together.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(10);

/// The longest link that is taken for one, in bytes: signed ones come to some two thousand.
const LONGEST_LINK: usize = 16 * 1024;

/// The shortest and the longest that a `Retry-After` is believed to mean.
const RETRY_AFTER_RANGE: (Duration, Duration) = (Duration::from_secs(1), Duration::from_hours(1));

/// Makes TLS ready for this process: chooses the cryptography. Call it before building any client; more than once is
/// fine.
pub fn ready_tls() {
    static READY: OnceLock<()> = OnceLock::new();
    // An error only says that a provider is installed already, which is as good.
    READY.get_or_init(|| drop(rustls::crypto::ring::default_provider().install_default()));
}

/// The clients of one gateway.
#[derive(Clone)]
pub(super) struct Clients {
    /// For questions: keeps connections.
    pub(super) asking: Client,
    /// For paid requests: a new connection each. A kept connection that the other side closes at that moment loses the
    /// request *perhaps*, which is the one thing to avoid; a handshake more per video is cheap.
    pub(super) ordering: Client,
}

impl Clients {
    /// Clients for `base`. The proxy that the environment names is used, except for loopback.
    pub(super) fn new(base: &Url, request_timeout: Duration) -> Result<Self, reqwest::Error> {
        let asking = builder(base, request_timeout).build()?;
        let ordering = builder(base, request_timeout).pool_max_idle_per_host(0).build()?;
        Ok(Self { asking, ordering })
    }
}

fn builder(base: &Url, request_timeout: Duration) -> ClientBuilder {
    ready_tls();
    let builder = Client::builder()
        .user_agent(concat!("nightreel/", env!("CARGO_PKG_VERSION")))
        // In half of a request's time at the most: whoever is still connecting when that is over has certainly sent nothing.
        .connect_timeout(CONNECT_TIMEOUT.min(request_timeout / 2))
        .redirect(reqwest::redirect::Policy::none())
        .retry(reqwest::retry::never())
        .referer(false)
        .http1_only();
    match (is_loopback(base), base.scheme()) {
        // Without TLS no roots are needed: a machine without certificates can still play against a simulator.
        (true, "http") => builder.no_proxy().tls_certs_only([]),
        (true, _) => builder.no_proxy(),
        (false, _) => builder,
    }
}

/// Whether `url` names this very machine.
pub(super) fn is_loopback(url: &Url) -> bool {
    let Some(host) = url.host_str() else { return false };
    let bare = host.trim_start_matches('[').trim_end_matches(']');
    bare.parse::<IpAddr>().map_or_else(|_| bare == "localhost" || bare.ends_with(".localhost"), |ip| ip.is_loopback())
}

/// `text` as the base of a gateway's addresses: `http(s)://host[:port][/prefix]`, without a slash at its end. `Err` says
/// why it is none; it does not repeat it, for it may hold a password.
pub(super) fn base_url(text: &str) -> Result<Url, String> {
    let url = Url::parse(text.trim().trim_end_matches('/')).map_err(|error| error.to_string())?;
    let refuse = |why: &str| Err(why.to_owned());
    if !matches!(url.scheme(), "http" | "https") || !url.has_host() {
        return refuse("it does not begin with http:// or https:// and a host");
    }
    if !url.username().is_empty() || url.password().is_some() {
        return refuse("it holds a user name or a password");
    }
    if url.query().is_some() || url.fragment().is_some() {
        return refuse("it holds a query or a fragment");
    }
    Ok(url)
}

/// `text` as a link to a file, where it is an http(s) URL: as it will be asked for, so that neither control characters nor
/// spaces nor quotes are left in it.
pub(super) fn link(text: &str) -> Option<String> {
    let url = Url::parse(text).ok().filter(|_| text.len() <= LONGEST_LINK)?;
    (matches!(url.scheme(), "http" | "https") && url.has_host()).then(|| url.into())
}

/// `url` without the slash at its end, so that a path can be appended.
pub(super) fn without_slash(url: &Url) -> &str {
    url.as_str().trim_end_matches('/')
}

/// `secret` as a header says it (`Bearer …`, `Key …`), never to be shown; `None` when it is empty or no header can carry
/// it.
pub(super) fn authorization(scheme: &str, secret: &SecretString) -> Option<HeaderValue> {
    let secret = Some(secret.expose_secret().trim()).filter(|secret| !secret.is_empty())?;
    let mut value = HeaderValue::try_from(format!("{scheme} {secret}")).ok()?;
    value.set_sensitive(true);
    Some(value)
}

/// The remote's time, to the second, by the answer's `Date`.
pub(super) fn date(headers: &HeaderMap) -> Option<Timestamp> {
    let text = headers.get(DATE)?.to_str().ok()?;
    Timestamp::try_from(httpdate::parse_http_date(text).ok()?).ok()
}

/// What the headers call the request: `X-Oneapi-Request-Id` (new-api, read in its source), `x-request-id` (usual).
pub(super) fn request_id(headers: &HeaderMap) -> Option<String> {
    ["x-oneapi-request-id", "x-request-id"].into_iter().find_map(|name| {
        let id = headers.get(name)?.to_str().ok()?.trim();
        (!id.is_empty()).then(|| id.to_owned())
    })
}

/// How a transport failed, as far as it matters to a request that may cost money.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Broken {
    /// Certainly before a byte of the request was sent: refused, no such host, TLS, proxy.
    Unsent(String),
    /// Later, or nobody knows when.
    Lost(String),
}

impl Broken {
    /// What `error` means.
    pub(super) fn of(error: reqwest::Error) -> Self {
        let unsent = error.is_connect();
        // The URL is the user's own, and long; what follows it is what matters.
        let words = chain(&error.without_url());
        if unsent { Self::Unsent(words) } else { Self::Lost(words) }
    }
}

/// The last and most telling words of an error's chain, with those before them where they add something.
fn chain(error: &dyn Error) -> String {
    let mut words = error.to_string();
    let mut source = error.source();
    while let Some(cause) = source {
        let text = cause.to_string();
        if !words.contains(&text) {
            words.push_str(": ");
            words.push_str(&text);
        }
        source = cause.source();
    }
    words
}

/// Reads an answer's body, up to `limit` bytes; what is beyond is not read.
pub(super) async fn read_limited(mut response: Response, limit: usize) -> Result<Vec<u8>, Broken> {
    let announced = response.content_length().and_then(|length| usize::try_from(length).ok()).unwrap_or(0);
    let mut body = Vec::with_capacity(announced.min(limit));
    // Once an answer began, the request was sent: a break is never `Unsent`.
    while let Some(chunk) = response.chunk().await.map_err(|error| Broken::Lost(chain(&error.without_url())))? {
        let room = limit - body.len();
        body.extend_from_slice(&chunk[..chunk.len().min(room)]);
        if body.len() == limit {
            break;
        }
    }
    Ok(body)
}

/// What a `Retry-After` asks for, in seconds or as an instant, brought into 1 second to 1 hour. `None` without one, or
/// with one that makes no sense. No gateway documents it; it is honoured where it comes.
pub(super) fn retry_after(headers: &HeaderMap, now: Timestamp) -> Option<Duration> {
    let text = headers.get(RETRY_AFTER)?.to_str().ok()?.trim();
    let asked = if let Ok(seconds) = text.parse::<u64>() {
        Duration::from_secs(seconds)
    } else {
        let at = Timestamp::try_from(httpdate::parse_http_date(text).ok()?).ok()?;
        Duration::try_from(at.duration_since(now)).unwrap_or_default()
    };
    let (least, most) = RETRY_AFTER_RANGE;
    Some(asked.clamp(least, most))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn asked(value: &'static str) -> Option<u64> {
        let mut headers = HeaderMap::new();
        headers.insert(RETRY_AFTER, value.parse().unwrap());
        retry_after(&headers, "2026-11-24T08:00:00Z".parse().unwrap()).map(|span| span.as_secs())
    }

    #[test]
    fn retry_after_is_read_in_both_forms_and_kept_within_reason() {
        assert_eq!(asked("7"), Some(7));
        assert_eq!(asked("0"), Some(1));
        assert_eq!(asked("99999999"), Some(3600));
        assert_eq!(asked("Tue, 24 Nov 2026 08:00:30 GMT"), Some(30));
        assert_eq!(asked("Tue, 24 Nov 2026 07:00:00 GMT"), Some(1));
        assert_eq!(asked("soon"), None);
        assert_eq!(asked("-5"), None);
    }

    #[test]
    fn a_link_is_kept_as_it_will_be_asked_for() {
        for (told, kept) in [
            ("https://cdn.example/v.mp4?x=1&sig=a%2Fb", Some("https://cdn.example/v.mp4?x=1&sig=a%2Fb")),
            ("http://h/a/../../../etc/passwd", Some("http://h/etc/passwd")),
            ("http://h/a\0b c\u{1b}[2J\"<x>", Some("http://h/a%00b%20c%1B[2J%22%3Cx%3E")),
            ("http://h/a\r\nHost: evil\r\n\r\n", Some("http://h/aHost:%20evil")),
            ("file:///etc/passwd", None),
            ("data:video/mp4;base64,AAAA", None),
            ("//h/v.mp4", None),
            ("http://", None),
            ("no link", None),
        ] {
            assert_eq!(link(told).as_deref(), kept, "{told:?}");
        }
        assert_eq!(link(&format!("http://h/{}", "x".repeat(5_000))).map(|link| link.len()), Some(5_009));
        assert_eq!(link(&format!("http://h/{}", "x".repeat(LONGEST_LINK))), None);
    }

    #[test]
    fn loopback_is_known_by_name_and_by_number() {
        let loopback = |text: &str| is_loopback(&Url::parse(text).unwrap());
        assert!(loopback("http://127.0.0.1:8080/kling") && loopback("http://[::1]:1") && loopback("http://localhost"));
        assert!(!loopback("https://api-singapore.klingai.com") && !loopback("http://localhost.example.com"));
    }
}
