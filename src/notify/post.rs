//! One message over HTTP: two tries, no redirects (an address is a secret of its host's), and words that do not show where
//! to.

use std::error::Error as _;
use std::time::Duration;

use reqwest::header::CONTENT_TYPE;
use reqwest::{Client, StatusCode, Url};
use serde_json::Value;

use crate::pace::Clock;

/// How long one try may take. Two of them and the pause between end within what a notification may take.
const TRY: Duration = Duration::from_millis(4500);
const PAUSE: Duration = Duration::from_millis(500);

/// What is sent.
#[derive(Debug)]
pub(super) enum Body {
    Json(Value),
    Text { text: String, headers: &'static [(&'static str, &'static str)] },
}

/// Sends it; once more where that may help. What went wrong is in the answer, without the address.
pub(super) async fn send(clock: &Clock, url: Url, body: &Body) -> Result<(), String> {
    let client = client(&url).map_err(|error| format!("there is no HTTP client: {}", error.without_url()))?;
    match once(&client, url.clone(), body).await {
        Err(Refused { again: true, .. }) => {
            clock.sleep(PAUSE).await;
            once(&client, url, body).await.map_err(|refused| refused.words)
        }
        first => first.map_err(|refused| refused.words),
    }
}

/// Why a try came to nothing.
struct Refused {
    words: String,
    /// Whether another try may help.
    again: bool,
}

async fn once(client: &Client, url: Url, body: &Body) -> Result<(), Refused> {
    let request = client.post(url);
    let request = match body {
        Body::Json(value) => request.header(CONTENT_TYPE, "application/json").body(value.to_string()),
        Body::Text { text, headers } => {
            let request = request.header(CONTENT_TYPE, "text/plain; charset=utf-8").body(text.clone());
            headers.iter().fold(request, |request, (name, value)| request.header(*name, *value))
        }
    };
    let answer = request.send().await.map_err(|error| Refused { words: words(error), again: true })?;
    let status = answer.status();
    if status.is_success() {
        return Ok(());
    }
    let again = status.is_server_error() || status == StatusCode::TOO_MANY_REQUESTS;
    let moved = if status.is_redirection() { ", and redirects are not followed" } else { "" };
    Err(Refused { words: format!("it answered {}{moved}", status.as_u16()), again })
}

fn words(error: reqwest::Error) -> String {
    let error = error.without_url();
    let mut words = error.to_string();
    let mut cause = error.source();
    while let Some(inner) = cause {
        let text = inner.to_string();
        if !words.contains(&text) {
            words = format!("{words}: {text}");
        }
        cause = inner.source();
    }
    words
}

/// A client that goes to no other place than it is told. The proxy that the environment names is used, except for loopback.
fn client(url: &Url) -> Result<Client, reqwest::Error> {
    // An error says that the process has one already.
    drop(rustls::crypto::ring::default_provider().install_default());
    let builder = Client::builder()
        .user_agent(concat!("nightreel/", env!("CARGO_PKG_VERSION")))
        .timeout(TRY)
        .redirect(reqwest::redirect::Policy::none())
        .retry(reqwest::retry::never())
        .referer(false)
        .http1_only();
    match (is_loopback(url.host_str().unwrap_or_default()), url.scheme()) {
        // Without TLS no roots are needed.
        (true, "http") => builder.no_proxy().tls_certs_only([]),
        (true, _) => builder.no_proxy(),
        (false, _) => builder,
    }
    .build()
}

/// Whether a host is this very machine.
pub(super) fn is_loopback(host: &str) -> bool {
    let bare = host.trim_start_matches('[').trim_end_matches(']');
    bare.parse::<std::net::IpAddr>().map_or_else(|_| bare == "localhost", |address| address.is_loopback())
}
