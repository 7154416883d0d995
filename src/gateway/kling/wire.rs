//! Requests and their answers: one request each, but for the one that is sent again because the token of the first was
//! refused, which made nothing.

use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use jiff::Timestamp;
use reqwest::header::{AUTHORIZATION, CONTENT_TYPE, HeaderMap, HeaderValue, LOCATION};
use reqwest::{Request, RequestBuilder, Url};
use serde::de::IgnoredAny;
use serde_json::Value;

use super::auth::Authorization;
use super::classify::{self, Answer};
use super::shape::Shape;
use crate::gateway::breakdown::Breakdown;
use crate::gateway::http::{self, Broken, Clients};
use crate::gateway::words::Wording;
use crate::pace::Clock;

/// The way to one remote.
pub(super) struct Wire {
    pub(super) clients: Clients,
    pub(super) authorization: Authorization,
    pub(super) wording: Wording,
    pub(super) clock: Clock,
    pub(super) query_timeout: Duration,
    /// An answer was JSON: there is an API behind the address.
    spoken: AtomicBool,
}

impl Wire {
    /// A way that nothing was sent on yet.
    pub(super) fn new(
        clients: Clients,
        authorization: Authorization,
        wording: Wording,
        clock: Clock,
        query_timeout: Duration,
    ) -> Self {
        Self { clients, authorization, wording, clock, query_timeout, spoken: AtomicBool::new(false) }
    }

    /// Sends what `request` makes and reads the answer; once more, with another token, when the first was refused as too
    /// old or too young.
    pub(super) async fn exchange(
        &self,
        request: impl Fn() -> RequestBuilder + Send + Sync,
        limit: usize,
    ) -> Result<Answer, Broken> {
        let shown = self.authorization.header();
        let answer = self.once(request(), shown.clone(), limit).await?;
        self.note(&answer);
        if classify::refuses_token(&answer) && self.authorization.renews(shown.as_ref(), answer.ahead) {
            return self.once(request(), self.authorization.header(), limit).await;
        }
        self.authorization.hear(answer.ahead);
        Ok(answer)
    }

    /// Sends one request that shows `shown`, and reads the answer.
    pub(super) async fn once(
        &self,
        request: RequestBuilder,
        shown: Option<HeaderValue>,
        limit: usize,
    ) -> Result<Answer, Broken> {
        let request = match shown {
            Some(value) => request.header(AUTHORIZATION, value),
            None => request,
        };
        let (client, request) = request.build_split();
        let request = request.map_err(Broken::of)?;
        let (asked, breakdown) = (asked(&request), Breakdown::of(&request));
        let response = client.execute(request).await.map_err(Broken::of)?;
        breakdown.may_happen();
        let now = self.clock.now();
        let heard = heard(response.status().as_u16(), response.headers(), now);
        let body = http::read_limited(response, limit).await?;
        Ok(Answer { asked, spoken: self.spoken.load(Ordering::Relaxed), body, ..heard })
    }

    /// Asks, and gives the answer with its shape, or says why nothing came back.
    pub(super) async fn ask(
        &self,
        request: impl Fn() -> RequestBuilder + Send + Sync,
        limit: usize,
    ) -> Result<(Answer, Shape), String> {
        let answer = self.in_time(self.exchange(request, limit)).await?;
        let shape = Shape::of(&answer.body);
        Ok((answer, shape))
    }

    /// Waits for an answer to a question, for so long.
    pub(super) async fn in_time(
        &self,
        exchange: impl Future<Output = Result<Answer, Broken>>,
    ) -> Result<Answer, String> {
        match self.clock.within(self.query_timeout, exchange).await {
            Some(Ok(answer)) => Ok(answer),
            Some(Err(Broken::Unsent(words) | Broken::Lost(words))) => Err(self.wording.of(&words)),
            None => Err("no answer came in time".to_owned()),
        }
    }

    /// Keeps in mind that there is an API, when an answer is JSON.
    fn note(&self, answer: &Answer) {
        if !answer.spoken && serde_json::from_slice::<IgnoredAny>(&answer.body).is_ok() {
            self.spoken.store(true, Ordering::Relaxed);
        }
    }

    /// A question.
    pub(super) fn get(&self, url: &Url) -> RequestBuilder {
        self.clients.asking.get(url.clone())
    }

    /// A question that needs a body.
    pub(super) fn post(&self, url: &Url, body: &Value) -> RequestBuilder {
        self.clients.asking.post(url.clone()).header(CONTENT_TYPE, "application/json").body(body.to_string())
    }
}

/// What is to be known of an answer before its body.
pub(super) fn heard(status: u16, headers: &HeaderMap, now: Timestamp) -> Answer {
    Answer {
        status,
        retry_after: http::retry_after(headers, now),
        location: headers.get(LOCATION).and_then(|place| place.to_str().ok()).map(str::to_owned),
        request_id: http::request_id(headers),
        ahead: http::date(headers).map(|date| date.duration_since(now)),
        ..Answer::default()
    }
}

/// What a request asks, for people: no query, which may hold anything.
fn asked(request: &Request) -> String {
    format!("{} {}", request.method(), request.url().path())
}
