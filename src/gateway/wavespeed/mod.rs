//! `WaveSpeed` (<https://wavespeed.ai>): Kling's effects as predictions.
//!
//! Documented: `POST {base}/api/v3/kwaivgi/kling-effects` with `effect_scene` and `image`, the image by its URL or as a
//! data URI; videos of 5 seconds from one image; every answer as `{code, message, data}` with `code` an HTTP status;
//! `GET {base}/api/v3/predictions/{id}/result` with `data.status` of `created`, `processing`, `completed` or `failed`,
//! `data.outputs[0]` the video, `data.error`, `data.created_at` and `data.timings.inference` in milliseconds; that a
//! failed prediction is paid back within hours. Read in source: that the client builds the address from the id; that
//! `cancelled`, `timeout` and `deleted` are ends too. Guessed: how it says that an account has no credits left, and
//! that there is no such prediction (404, or a 400 that says so).
//!
//! It takes no reference of ours, lists nothing and looks nothing up: a request whose answer is lost stays in doubt.

#[cfg(test)]
mod tests;

use std::fmt;
use std::time::Duration;

use futures::future::{BoxFuture, ready};
use jiff::Timestamp;
use reqwest::Url;
use reqwest::header::HeaderMap;
use serde_json::{Map, Value};

use super::rest::{Answer, Body, Content, Line, Said, link, not_taken, not_understood, refused_here, unseen};
use super::{Accepted, Asked, Capabilities, Gateway, Listed, Observed, Order, Probe, Submitted};
use crate::domain::{ClientRef, Observation, Picture, Progress, TaskId};
use crate::pace::Clock;

pub use super::rest::Settings;
use super::spec::BuildError;

/// Where `WaveSpeed` is (documented).
pub const BASE_URL: &str = "https://api.wavespeed.ai";

/// Where every path begins.
const API: [&str; 2] = ["api", "v3"];

/// The only length there is, in seconds (documented).
const DURATION: &str = "5";

/// The id that a harmless question asks for: no prediction has it.
const NO_TASK: &str = "nightreel-probe";

/// In which header a request's id may come (guessed).
const REQUEST_ID: &str = "x-request-id";

/// The longest that a generation is believed to have taken.
const LONGEST: Duration = Duration::from_hours(24);

/// `WaveSpeed`'s predictions. Its `Debug` shows no key.
pub struct WaveSpeedGateway {
    line: Line,
}

impl WaveSpeedGateway {
    /// A gateway with these settings. Nothing is sent.
    pub fn new(settings: Settings, clock: Clock) -> Result<Self, BuildError> {
        Ok(Self { line: Line::new(settings, "Bearer", clock)? })
    }

    async fn order(&self, order: Order<'_>) -> Submitted {
        let picture = match only_picture(order) {
            Ok(picture) => picture,
            Err(words) => return refused_here(&words),
        };
        let body = Body::new().text("effect_scene", &order.effect.scene).picture("image", picture);
        let mut url = self.line.at(API.into_iter().chain(["kwaivgi", "kling-effects"]));
        if let Some(callback) = order.callback_url {
            // Documented.
            url.query_pairs_mut().append_pair("webhook", callback);
        }
        match self.line.post(url, HeaderMap::new(), body).await {
            Ok(answer) => self.taken(&by_code(answer)),
            Err(submitted) => submitted,
        }
    }

    /// What became of a request that was answered with `answer`.
    fn taken(&self, answer: &Answer) -> Submitted {
        let said = self.said(answer);
        match prediction(&answer.content).and_then(|data| text(data, "id")) {
            Some(id) if answer.is_success() => match TaskId::new(id) {
                Ok(task) => {
                    let request_id = self.line.told(answer, REQUEST_ID);
                    Submitted::Accepted(Accepted { task, request_id, handle: None })
                }
                Err(_) => not_understood(answer.status, said.words),
            },
            // A prediction in an answer that is no success: something was made, whatever the status says.
            Some(_) => not_understood(answer.status, said.words),
            None => not_taken(answer, said),
        }
    }

    fn task_url(&self, id: &str) -> Url {
        self.line.at(API.into_iter().chain(["predictions", id, "result"]))
    }

    async fn look(&self, asked: Asked<'_>) -> Observed {
        match self.line.get(self.task_url(asked.task.as_str())).await {
            Ok(answer) => self.seen(asked.task, &by_code(answer)),
            Err(words) => Observed::Unclear { words, retry_after: None },
        }
    }

    fn seen(&self, task: &TaskId, answer: &Answer) -> Observed {
        let data = prediction(&answer.content).filter(|_| answer.is_success());
        let Some((data, status)) = data.and_then(|data| Some((data, text(data, "status")?))) else {
            return self.unseen(answer);
        };
        let output = || data.get("outputs")?.as_array()?.iter().filter_map(Value::as_str).find_map(link);
        let pending = || Progress::Pending { status: self.line.words(status) };
        let progress = match status.to_ascii_lowercase().as_str() {
            "completed" => output().map_or_else(pending, |link| Progress::Succeeded { link }),
            "failed" => Progress::Failed { words: self.line.words(text(data, "error").unwrap_or_default()) },
            "cancelled" | "canceled" | "timeout" | "deleted" => {
                Progress::Failed { words: self.line.words(text(data, "error").unwrap_or(status)) }
            }
            // An unknown word is never an end.
            _ => pending(),
        };
        let ended = !matches!(progress, Progress::Pending { .. });
        let took = took(data).filter(|_| ended);
        let created_at = text(data, "created_at").and_then(|at| at.parse::<Timestamp>().ok());
        let task = task.clone();
        Observed::Seen(Observation { task, client_ref: None, progress, took, units: None, created_at })
    }

    fn unseen(&self, answer: &Answer) -> Observed {
        let said = self.said(answer);
        let json = matches!(answer.content, Content::Json(_));
        if answer.status == 400 && json && tells_absence(&said.words) {
            return Observed::NotVisible;
        }
        unseen(answer, &said)
    }

    /// What a body says that is no success.
    fn said(&self, answer: &Answer) -> Said {
        let (words, code) = match &answer.content {
            Content::Page(words) | Content::Foreign(words) => (words.clone(), None),
            Content::Json(Value::Object(object)) => {
                let told = |object, name| text(object, name).filter(|words| !words.eq_ignore_ascii_case("success"));
                let words = told(object, "message")
                    .or_else(|| told(prediction(&answer.content)?, "error"))
                    .or_else(|| told(object, "error"))
                    .or_else(|| told(object, "detail"));
                let words = words.map_or_else(|| Value::Object(object.clone()).to_string(), str::to_owned);
                let code = object.get("code").and_then(Value::as_u64).map(|code| code.to_string());
                (words, code.filter(|code| *code != answer.status.to_string()))
            }
            Content::Json(other) => (other.to_string(), None),
        };
        Said { words: self.line.words(&words), code }
    }
}

/// The row's picture, or why `WaveSpeed` cannot make this effect: what a request cannot say is not left out of it, or
/// another video would be paid for than was ordered.
fn only_picture(order: Order<'_>) -> Result<&Picture, String> {
    let effect = order.effect;
    let [picture] = order.pictures else {
        return Err("WaveSpeed makes effects from one image, and this row has two".to_owned());
    };
    if let Some(duration) = effect.duration.as_deref().filter(|duration| *duration != DURATION) {
        return Err(format!("WaveSpeed makes effects of {DURATION} seconds, not of {duration:?}"));
    }
    for (what, set) in [("mode", &effect.mode), ("model", &effect.model)] {
        if let Some(set) = set {
            return Err(format!("WaveSpeed lets nobody choose the {what} of an effect: leave out {set:?}"));
        }
    }
    Ok(picture)
}

/// `answer` with the status that its envelope tells, where HTTP called a success what is none.
fn by_code(answer: Answer) -> Answer {
    let told = match &answer.content {
        Content::Json(body) => body.get("code").and_then(Value::as_u64).and_then(|code| u16::try_from(code).ok()),
        Content::Page(_) | Content::Foreign(_) => None,
    };
    match told {
        Some(status @ 400..=599) if answer.is_success() => Answer { status, ..answer },
        _ => answer,
    }
}

/// The prediction in an answer: within its envelope, or without one (as webhooks bring it).
fn prediction(content: &Content) -> Option<&Map<String, Value>> {
    let Content::Json(Value::Object(object)) = content else { return None };
    match object.get("data") {
        Some(data) => data.as_object(),
        None => object.contains_key("status").then_some(object),
    }
}

fn text<'a>(object: &'a Map<String, Value>, name: &str) -> Option<&'a str> {
    object.get(name).and_then(Value::as_str).filter(|text| !text.is_empty())
}

fn took(data: &Map<String, Value>) -> Option<Duration> {
    let took = Duration::from_millis(data.get("timings")?.get("inference")?.as_u64()?);
    (!took.is_zero() && took <= LONGEST).then_some(took)
}

fn tells_absence(words: &str) -> bool {
    let words = words.to_lowercase();
    ["not found", "not exist", "no such"].iter().any(|known| words.contains(known))
}

impl Gateway for WaveSpeedGateway {
    fn capabilities(&self) -> Capabilities {
        Capabilities::default()
    }

    fn submit<'a>(&'a self, order: Order<'a>) -> BoxFuture<'a, Submitted> {
        Box::pin(self.order(order))
    }

    fn find<'a>(&'a self, _client_ref: &'a ClientRef) -> BoxFuture<'a, Observed> {
        let words = "WaveSpeed keeps no reference of ours".to_owned();
        Box::pin(ready(Observed::Unclear { words, retry_after: None }))
    }

    fn observe<'a>(&'a self, asked: Asked<'a>) -> BoxFuture<'a, Observed> {
        Box::pin(self.look(asked))
    }

    fn list(&self, _page: u32, _size: u32) -> BoxFuture<'_, Listed> {
        let words = "WaveSpeed lists no predictions".to_owned();
        Box::pin(ready(Listed::Unclear { words, retry_after: None }))
    }

    fn probe(&self) -> BoxFuture<'_, Result<Probe, String>> {
        Box::pin(self.line.probe(self.task_url(NO_TASK), |answer| self.unseen(&by_code(answer.clone()))))
    }
}

impl fmt::Debug for WaveSpeedGateway {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("WaveSpeedGateway").field("line", &self.line).finish_non_exhaustive()
    }
}
