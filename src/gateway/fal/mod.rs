//! fal (<https://fal.ai>): Kling's effects behind a queue that answers with the addresses to ask at.
//!
//! Documented: `POST {base}/fal-ai/kling-video/v1.6/{standard|pro}/effects` with `effect_scene`, `input_image_urls`
//! (for one image as for two; there is no other field for images) and `duration` (`5`, `10`), each image by its URL or
//! as a data URI; the answer's `request_id`, `status_url` and `response_url`, which are not to be built by hand; 202
//! while a request is `IN_QUEUE` or `IN_PROGRESS`, 200 once it is `COMPLETED`; the response with the status and the body
//! that the model gave, its video at `video.url`, kept for 30 days (for an hour, and for minutes when it is large, where
//! the account stores no payloads); errors as `detail`, a list of `{loc, msg, type}` from the model or a text with
//! `error_type` from the infrastructure; that a 5xx is never charged, and a 422 may be where a runner had begun.
//!
//! Observed by others: 403 with "User is locked. Reason: Exhausted balance"; `x-fal-billable-units` with a response.
//! Guessed: that an unknown request is a 404 (anything else is unclear, and asked again).
//!
//! fal takes no reference of ours, lists nothing and looks nothing up: a request whose answer is lost stays in doubt.

mod reading;
#[cfg(test)]
mod tests;

use std::fmt;

use futures::future::{BoxFuture, ready};
use reqwest::Url;
use reqwest::header::{HeaderMap, HeaderName, HeaderValue};
use serde_json::{Value, json};

use self::reading::{Queued, seen};
use super::rest::{Answer, Body, Line, not_taken, not_understood, refused_here, unseen};
use super::{Accepted, Asked, Capabilities, Gateway, Listed, Observed, Order, Probe, Submitted};
use crate::domain::{ClientRef, Handle, Progress, TaskId};
use crate::pace::Clock;

pub use super::rest::Settings;
use super::spec::BuildError;

/// Where fal is (documented).
pub const BASE_URL: &str = "https://queue.fal.run";

/// The name under which every host of the queue is registered: its answers may name another host than was asked.
const REGISTERED: &str = "fal.run";

/// Owner and application: what the addresses of a request are made of, without the model's further path (documented).
const APPLICATION: [&str; 2] = ["fal-ai", "kling-video"];

/// The id that a harmless question asks for: of the right form, and nobody's.
const NO_TASK: &str = "00000000-0000-0000-0000-000000000000";

/// In which header fal says what it calls a request (read in its client's source).
const REQUEST_ID: &str = "x-fal-request-id";

/// Asks fal not to take another model where this one is not available (documented): what comes is what was ordered.
///
/// The queue's own retries are left on, although `x-fal-no-retry` (documented) would end them. They belong to one
/// request with one id, one response and one bill; what fails with a 5xx is never charged (documented); and they are
/// also how the queue waits for a free place where the account has too many requests at a time (documented), which without
/// them would be a failed task.
const NO_FALLBACKS: (HeaderName, HeaderValue) =
    (HeaderName::from_static("x-app-fal-disable-fallback"), HeaderValue::from_static("true"));

/// fal's queue. Its `Debug` shows no key.
pub struct FalGateway {
    line: Line,
}

/// Where one request is asked for: what a [`Handle`] holds, as JSON.
#[derive(Debug)]
struct Places {
    status: Url,
    response: Url,
}

impl Places {
    /// As they are kept; `None` where they are too long to be.
    fn handle(&self) -> Option<Handle> {
        let kept = json!({"status": self.status.as_str(), "response": self.response.as_str()});
        Handle::new(kept.to_string()).ok()
    }

    /// As they were kept; `None` where these are none.
    fn of(handle: &Handle) -> Option<Self> {
        let kept: Value = serde_json::from_str(handle.as_str()).ok()?;
        let place = |name: &str| Url::parse(kept.get(name)?.as_str()?).ok();
        Some(Self { status: place("status")?, response: place("response")? })
    }
}

impl FalGateway {
    /// A gateway with these settings. Nothing is sent.
    pub fn new(settings: Settings, clock: Clock) -> Result<Self, BuildError> {
        Ok(Self { line: Line::new(settings, "Key", clock)? })
    }

    async fn order(&self, order: Order<'_>) -> Submitted {
        let effect = order.effect;
        let tier = match effect.mode.as_deref() {
            None | Some("std" | "standard") => "standard",
            Some("pro") => "pro",
            Some(other) => return refused_here(&format!("fal knows the modes std and pro, not {other:?}")),
        };
        // The only one of fal's models that is both tiers' (documented); to ignore the row's would be to make another
        // video than was ordered.
        if let Some(model) = effect.model.as_deref().filter(|model| !matches!(*model, "kling-v1-6" | "kling-v1.6")) {
            return refused_here(&format!("fal makes effects with kling-v1-6, not with {model:?}"));
        }
        let mut body = Body::new().text("effect_scene", &effect.scene).pictures("input_image_urls", order.pictures);
        if let Some(duration) = &effect.duration {
            body = body.text("duration", duration);
        }
        let mut url = self.line.at(APPLICATION.into_iter().chain(["v1.6", tier, "effects"]));
        if let Some(callback) = order.callback_url {
            // Documented.
            url.query_pairs_mut().append_pair("fal_webhook", callback);
        }
        match self.line.post(url, HeaderMap::from_iter([NO_FALLBACKS]), body).await {
            Ok(answer) => self.taken(&answer),
            Err(submitted) => submitted,
        }
    }

    /// What became of a request that was answered with `answer`.
    fn taken(&self, answer: &Answer) -> Submitted {
        let said = reading::said(&answer.content, &self.line);
        let Some(queued) = Queued::of(&answer.content) else { return not_taken(answer, said) };
        let places = queued.places();
        if !answer.is_success() {
            // Many errors name the request; only one that is in the queue has places to be asked for at.
            return match places {
                Some(_) => not_understood(answer.status, said.words),
                None => not_taken(answer, said),
            };
        }
        let Some(Ok(task)) = queued.id().map(TaskId::new) else { return not_understood(answer.status, said.words) };
        let handle = places.and_then(|places| places.handle());
        let request_id = self.line.told(answer, REQUEST_ID);
        Submitted::Accepted(Accepted { task, request_id, handle })
    }

    /// Where `asked` is to be asked for, or why it must not be.
    fn places(&self, asked: Asked<'_>) -> Result<Places, String> {
        let Some(places) = asked.handle.and_then(Places::of) else { return Ok(self.built(asked.task.as_str())) };
        let strange = [&places.status, &places.response].into_iter().find(|url| !self.is_theirs(url));
        if let Some(url) = strange {
            let host = url.host_str().unwrap_or("nowhere");
            let words = format!("the address kept for this task leads to {host}, not to this gateway: it is not asked");
            return Err(self.line.words(&words));
        }
        Ok(places)
    }

    /// Where a request is asked for by the documented form of the addresses.
    fn built(&self, id: &str) -> Places {
        let path = || APPLICATION.into_iter().chain(["requests", id]);
        Places { status: self.line.at(path().chain(["status"])), response: self.line.at(path()) }
    }

    /// Whether `url` leads to the remote that the key is for: a handle is what an answer said, and not to be believed
    /// further than that.
    fn is_theirs(&self, url: &Url) -> bool {
        let base = self.line.base();
        let registered = |url: &Url| {
            let host = url.host_str().unwrap_or_default();
            host.strip_suffix(REGISTERED).is_some_and(|before| before.is_empty() || before.ends_with('.'))
        };
        url.scheme() == base.scheme()
            && url.port_or_known_default() == base.port_or_known_default()
            && url.username().is_empty()
            && url.password().is_none()
            && (url.host_str() == base.host_str() || (registered(url) && registered(base)))
    }

    /// Asks for the status of one request and, once it is over, for its response: two requests at the most.
    async fn look(&self, asked: Asked<'_>) -> Observed {
        let Places { status, response } = match self.places(asked) {
            Ok(places) => places,
            Err(words) => return Observed::Unclear { words, retry_after: None },
        };
        let answer = match self.line.get(status).await {
            Ok(answer) => answer,
            Err(words) => return Observed::Unclear { words, retry_after: None },
        };
        let queued = Queued::of(&answer.content).filter(|_| answer.is_success());
        let Some((queued, status)) = queued.and_then(|queued| Some((queued, queued.status()?))) else {
            return unseen(&answer, &reading::said(&answer.content, &self.line));
        };
        let task = asked.task;
        match status {
            "COMPLETED" => match self.line.get(response).await {
                Ok(result) => reading::ended(task, queued, &result, &self.line),
                // Over, and its end not known yet: asked for again.
                Err(words) => Observed::Unclear { words, retry_after: None },
            },
            // Not documented of the queue, and read in others' code: ends all the same, should they come.
            "FAILED" | "ERROR" | "CANCELED" | "CANCELLED" => {
                let words = queued.error().unwrap_or(status);
                seen(task, Progress::Failed { words: self.line.words(words) }, queued.took())
            }
            status => seen(task, Progress::Pending { status: self.line.words(status) }, None),
        }
    }
}

impl Gateway for FalGateway {
    fn capabilities(&self) -> Capabilities {
        Capabilities::default()
    }

    fn submit<'a>(&'a self, order: Order<'a>) -> BoxFuture<'a, Submitted> {
        Box::pin(self.order(order))
    }

    fn find<'a>(&'a self, _client_ref: &'a ClientRef) -> BoxFuture<'a, Observed> {
        let words = "fal keeps no reference of ours".to_owned();
        Box::pin(ready(Observed::Unclear { words, retry_after: None }))
    }

    fn observe<'a>(&'a self, asked: Asked<'a>) -> BoxFuture<'a, Observed> {
        Box::pin(self.look(asked))
    }

    fn list(&self, _page: u32, _size: u32) -> BoxFuture<'_, Listed> {
        let words = "fal lists no requests".to_owned();
        Box::pin(ready(Listed::Unclear { words, retry_after: None }))
    }

    fn probe(&self) -> BoxFuture<'_, Result<Probe, String>> {
        let status = self.built(NO_TASK).status;
        Box::pin(async move {
            self.line.probe(status, |answer| unseen(answer, &reading::said(&answer.content, &self.line))).await
        })
    }
}

impl fmt::Debug for FalGateway {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("FalGateway").field("line", &self.line).finish_non_exhaustive()
    }
}
