//! Who is let in. A page on another site must not be able to read or to do anything here: not by asking from a visitor's
//! browser (its origin), nor by letting its own name lead here (the host), nor by framing the page.

use std::fmt;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::sync::Arc;

use axum::body::Body;
use axum::extract::{Request, State};
use axum::http::{HeaderMap, HeaderValue, Method, StatusCode, header};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use ring::rand::{SecureRandom, SystemRandom};
use secrecy::{ExposeSecret, SecretString};

use super::{Ground, LARGEST_BODY, hook, line, page};
use crate::domain::Digest;

/// The header that the page's own script sends with whatever changes something.
pub(super) const CSRF: &str = "x-nightreel-csrf";
/// What a proxy leaves behind.
const FORWARDED: [&str; 4] = ["forwarded", "x-forwarded-for", "x-forwarded-host", "cf-connecting-ip"];
/// What is served to anybody who names the right host: there is nothing in it.
const OPEN_TO_ALL: [&str; 3] = ["/login", "/dashboard.css", "/icon.svg"];

/// Who is let in. Its `Debug` shows no secret.
pub(super) struct Door {
    address: SocketAddr,
    names: Vec<String>,
    /// The digest of the token, where one is demanded.
    token: Option<Digest>,
    /// What a visitor's browser shows once the token was seen; new with each start.
    session: String,
    /// What the page sends with whatever changes something; new with each start.
    csrf: String,
}

/// Whether an address is exactly the loopback one, which no other machine can reach.
pub(super) fn is_loopback(ip: IpAddr) -> bool {
    ip == IpAddr::V4(Ipv4Addr::LOCALHOST) || ip == IpAddr::V6(Ipv6Addr::LOCALHOST)
}

/// 32 hexadecimal digits that nobody can guess.
pub(super) fn unguessable() -> Option<String> {
    let mut bytes = [0_u8; 16];
    SystemRandom::new().fill(&mut bytes).ok()?;
    Some(bytes.iter().map(|byte| format!("{byte:02x}")).collect())
}

/// Whether two secrets are the same; takes the same time whatever differs.
pub(super) fn same(one: &str, other: &str) -> bool {
    same_digest(&Digest::of(one.as_bytes()), &Digest::of(other.as_bytes()))
}

fn same_digest(one: &Digest, other: &Digest) -> bool {
    let differing = one.as_bytes().iter().zip(other.as_bytes()).fold(0, |all, (a, b)| all | (a ^ b));
    std::hint::black_box(differing) == 0
}

impl Door {
    /// A door at `address`; `None` where the system gives no random numbers.
    pub(super) fn new(address: SocketAddr, token: Option<&SecretString>, names: Vec<String>) -> Option<Self> {
        let token = token.map(|token| Digest::of(token.expose_secret().as_bytes()));
        let names = names.into_iter().map(|name| name.to_ascii_lowercase()).collect();
        Some(Self { address, names, token, session: unguessable()?, csrf: unguessable()? })
    }

    /// What the page sends with whatever changes something.
    pub(super) fn csrf(&self) -> &str {
        &self.csrf
    }

    /// The cookie that lets a browser in from now on, if `token` is the right one.
    pub(super) fn cookie_for(&self, token: &str) -> Option<HeaderValue> {
        let demanded = self.token.as_ref()?;
        let right = same_digest(&Digest::of(token.trim().as_bytes()), demanded);
        let cookie = format!("{}={}; Path=/; HttpOnly; SameSite=Strict", self.cookie_name(), self.session);
        right.then(|| HeaderValue::try_from(cookie).ok()).flatten()
    }

    /// Browsers share cookies between the ports of a host.
    fn cookie_name(&self) -> String {
        format!("nightreel_{}", self.address.port())
    }

    /// Whether a request names this place, and not that of a page elsewhere whose name leads here.
    fn knows_host(&self, headers: &HeaderMap) -> bool {
        let mut named = headers.get_all(header::HOST).iter();
        let (Some(host), None) = (named.next().and_then(|host| host.to_str().ok()), named.next()) else { return false };
        let name = host_name(host).to_ascii_lowercase();
        let bare = name.trim_start_matches('[').trim_end_matches(']');
        if let Ok(ip) = bare.parse::<IpAddr>() {
            // A name can be made to lead anywhere; an address cannot.
            return is_loopback(ip) || ip == self.address.ip() || self.address.ip().is_unspecified();
        }
        name == "localhost" || self.names.contains(&name)
    }

    fn shows_token(&self, headers: &HeaderMap) -> bool {
        let Some(demanded) = &self.token else { return true };
        let bearer = headers.get(header::AUTHORIZATION).and_then(|value| value.to_str().ok()?.strip_prefix("Bearer "));
        if bearer.is_some_and(|token| same_digest(&Digest::of(token.trim().as_bytes()), demanded)) {
            return true;
        }
        let name = self.cookie_name();
        let cookies = headers.get_all(header::COOKIE).iter().filter_map(|value| value.to_str().ok());
        cookies
            .flat_map(|cookies| cookies.split(';'))
            .filter_map(|cookie| cookie.trim().split_once('='))
            .any(|(found, value)| found == name && same(value, &self.session))
    }
}

impl fmt::Debug for Door {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Door").field("address", &self.address).field("names", &self.names).finish_non_exhaustive()
    }
}

/// Whether a request that changes something comes from this very page.
fn is_from_here(headers: &HeaderMap) -> bool {
    let text = |name: &str| headers.get(name).map(|value| value.to_str().unwrap_or_default());
    let host = text("host").unwrap_or_default();
    let site = text("sec-fetch-site").map(|site| site == "same-origin");
    let origin = text("origin").map(|origin| origin.split_once("://").is_some_and(|(_, at)| at == host));
    // One of them is sent by every browser; neither may say otherwise.
    site.or(origin).is_some() && site.unwrap_or(true) && origin.unwrap_or(true)
}

/// The host without its port.
fn host_name(host: &str) -> &str {
    match host.rfind(':') {
        Some(colon) if !host[colon..].contains(']') => &host[..colon],
        _ => host,
    }
}

/// Lets a request in, or says why not.
pub(super) async fn admit(State(ground): State<Arc<Ground>>, request: Request, next: Next) -> Response {
    let last = request.uri().path().rsplit('/').next().unwrap_or_default();
    if let Some(receiver) = ground.hooks.as_ref().and_then(|hooks| hooks.receiver(last)) {
        return hook::hear(&ground, &receiver, request).await;
    }
    let mut answer = match refusal(&ground.door, &request) {
        Some((StatusCode::UNAUTHORIZED, _)) if request.uri().path() == "/" => page::ask_for_token(),
        Some(refusal) => refusal.into_response(),
        None => match whole(&ground, request).await {
            Ok(request) => next.run(request).await,
            Err(refused) => refused.into_response(),
        },
    };
    for (name, value) in HEADERS {
        answer.headers_mut().entry(name).or_insert(HeaderValue::from_static(value));
    }
    answer
}

/// The request with its body read, so that nobody waits for one that does not come.
async fn whole(ground: &Ground, request: Request) -> Result<Request, StatusCode> {
    if reads(&request) {
        return Ok(request);
    }
    let (parts, body) = request.into_parts();
    let body = line::gather(&ground.clock, body, LARGEST_BODY, ground.patience).await?;
    Ok(Request::from_parts(parts, Body::from(body)))
}

/// Whether it asks for something, and changes nothing.
fn reads(request: &Request) -> bool {
    matches!(*request.method(), Method::GET | Method::HEAD)
}

/// What every answer says to browsers.
const HEADERS: [(header::HeaderName, &str); 6] = [
    (
        header::CONTENT_SECURITY_POLICY,
        "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; media-src 'self'; connect-src 'self'; \
         form-action 'self'; base-uri 'none'; frame-ancestors 'none'",
    ),
    (header::X_CONTENT_TYPE_OPTIONS, "nosniff"),
    (header::X_FRAME_OPTIONS, "DENY"),
    (header::REFERRER_POLICY, "no-referrer"),
    (header::HeaderName::from_static("cross-origin-resource-policy"), "same-origin"),
    (header::CACHE_CONTROL, "no-store"),
];

fn refusal(door: &Door, request: &Request) -> Option<(StatusCode, &'static str)> {
    let headers = request.headers();
    let path = request.uri().path();
    if !door.knows_host(headers) {
        return Some((
            StatusCode::MISDIRECTED_REQUEST,
            "this dashboard does not go by that name; dashboard_hosts in nightreel.toml names more\n",
        ));
    }
    if door.token.is_none() && FORWARDED.iter().any(|name| headers.contains_key(*name)) {
        // Whoever is behind a proxy is not on this machine.
        return Some((StatusCode::FORBIDDEN, "through a proxy, the dashboard needs a token\n"));
    }
    let reads = reads(request);
    if path == "/login" && !reads && !is_from_here(headers) {
        return Some((StatusCode::FORBIDDEN, "that did not come from this page\n"));
    }
    if OPEN_TO_ALL.contains(&path) {
        return None;
    }
    if !door.shows_token(headers) {
        return Some((StatusCode::UNAUTHORIZED, "the dashboard's token is needed\n"));
    }
    if reads {
        return None;
    }
    let token = headers.get(CSRF).and_then(|value| value.to_str().ok()).unwrap_or_default();
    if !is_from_here(headers) || !same(token, &door.csrf) {
        return Some((StatusCode::FORBIDDEN, "that did not come from this page\n"));
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    fn door(address: &str, names: &[&str]) -> Door {
        Door::new(address.parse().unwrap(), None, names.iter().map(|name| (*name).to_owned()).collect()).unwrap()
    }

    fn headers(pairs: &[(&'static str, &str)]) -> HeaderMap {
        pairs.iter().map(|(name, value)| (header::HeaderName::from_static(name), value.parse().unwrap())).collect()
    }

    #[test]
    fn a_name_that_was_made_to_lead_here_is_not_known() {
        let here = door("127.0.0.1:8787", &["Night.example"]);
        for host in ["localhost:8787", "127.0.0.1:8787", "[::1]:8787", "night.example", "LOCALHOST"] {
            assert!(here.knows_host(&headers(&[("host", host)])), "{host}");
        }
        for host in ["evil.example", "127.0.0.1.evil.example:8787", "192.168.0.7:8787", "", "localhost.evil", "[::2]:1"]
        {
            assert!(!here.knows_host(&headers(&[("host", host)])), "{host}");
        }
        assert!(!here.knows_host(&HeaderMap::new()));
        // Bound to all of a machine's addresses: none of them can be faked by a name.
        assert!(door("0.0.0.0:1", &[]).knows_host(&headers(&[("host", "192.168.0.7:1")])));
        assert!(!door("0.0.0.0:1", &[]).knows_host(&headers(&[("host", "evil.example:1")])));
    }

    #[test]
    fn what_changes_something_comes_from_the_page_itself() {
        let from = |pairs: &[(&'static str, &str)]| {
            let mut headers = headers(pairs);
            headers.insert(header::HOST, HeaderValue::from_static("localhost:8787"));
            is_from_here(&headers)
        };
        assert!(from(&[("origin", "http://localhost:8787")]));
        assert!(from(&[("origin", "http://localhost:8787"), ("sec-fetch-site", "same-origin")]));
        assert!(from(&[("sec-fetch-site", "same-origin")]));
        assert!(!from(&[]));
        assert!(!from(&[("origin", "http://localhost:8788")]));
        assert!(!from(&[("origin", "null")]));
        assert!(!from(&[("origin", "http://localhost:8787"), ("sec-fetch-site", "cross-site")]));
        assert!(!from(&[("sec-fetch-site", "same-site")]));
    }

    #[test]
    fn only_exact_loopback_needs_no_token() {
        for (ip, is) in [("127.0.0.1", true), ("::1", true), ("127.0.0.2", false), ("0.0.0.0", false), ("::", false)] {
            assert_eq!(is_loopback(ip.parse().unwrap()), is, "{ip}");
        }
    }

    #[test]
    fn the_right_token_makes_a_cookie_that_opens_and_nothing_shows_either() {
        let token = SecretString::from("taint-taint-taint-taint");
        let door = Door::new("0.0.0.0:9".parse().unwrap(), Some(&token), Vec::new()).unwrap();
        assert!(door.cookie_for("taint-taint-taint-tain").is_none());
        let cookie = door.cookie_for("taint-taint-taint-taint").unwrap();
        let cookie = cookie.to_str().unwrap().split(';').next().unwrap();
        assert!(door.shows_token(&headers(&[("cookie", &format!("a=b; {cookie}"))])));
        assert!(!door.shows_token(&headers(&[("cookie", "nightreel_9=0")])));
        assert!(door.shows_token(&headers(&[("authorization", "Bearer taint-taint-taint-taint")])));
        assert!(!door.shows_token(&headers(&[("authorization", "Bearer taint")])));
        assert!(!format!("{door:?} {cookie}").contains("taint"));
    }
}
