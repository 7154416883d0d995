//! What fal's bodies tell: a request in the queue, a response, an error.

use std::time::Duration;

use reqwest::Url;
use serde_json::{Map, Value};

use super::Places;
use crate::domain::{Observation, Progress, TaskId};
use crate::gateway::Observed;
use crate::gateway::rest::{Answer, Content, Line, Said, link, unclear, unseen};

/// The longest that a generation is believed to have taken.
const LONGEST: Duration = Duration::from_hours(24);

/// In which header of a response the charge is told, in the model's unit: for effects, seconds of video (observed).
const UNITS: &str = "x-fal-billable-units";

/// The infrastructure's error that may be the answering server's own, not the request's (documented).
const OF_NOBODY: &str = "internal_error";

/// A request as the queue shows it.
#[derive(Debug, Clone, Copy)]
pub(super) struct Queued<'a>(&'a Map<String, Value>);

impl<'a> Queued<'a> {
    /// The request in an answer, if it is an object at all.
    pub(super) fn of(content: &'a Content) -> Option<Self> {
        match content {
            Content::Json(Value::Object(object)) => Some(Self(object)),
            Content::Json(_) | Content::Page(_) | Content::Foreign(_) => None,
        }
    }

    /// Its id.
    pub(super) fn id(self) -> Option<&'a str> {
        text(self.0, "request_id")
    }

    /// Its status, as spelled.
    pub(super) fn status(self) -> Option<&'a str> {
        text(self.0, "status")
    }

    /// What went wrong with it, as its status tells.
    pub(super) fn error(self) -> Option<&'a str> {
        text(self.0, "error").or_else(|| text(self.0, "error_type"))
    }

    /// Where it is asked for, where both places are told.
    pub(super) fn places(self) -> Option<Places> {
        let place = |name| Url::parse(text(self.0, name)?).ok();
        Some(Places { status: place("status_url")?, response: place("response_url")? })
    }

    /// How long it ran (`metrics.inference_time`, in seconds, documented).
    pub(super) fn took(self) -> Option<Duration> {
        let seconds = self.0.get("metrics")?.get("inference_time")?.as_f64()?;
        Duration::try_from_secs_f64(seconds).ok().filter(|took| !took.is_zero() && *took <= LONGEST)
    }
}

/// How `task` ended, which the queue calls completed, by its response.
///
/// It fails only by a word about the request itself: an error of the model (`detail` as a list, or any 4xx with a
/// `detail` that is not about the asker), an error of the infrastructure that names what happened to it (`error_type`),
/// or an `error` in its status. A 5xx alone may be the answering server's own trouble, and the video be there.
pub(super) fn ended(task: &TaskId, queued: Queued<'_>, result: &Answer, remote: &Line) -> Observed {
    let said = said(&result.content, remote);
    let Content::Json(body) = &result.content else { return not_told(result, &said) };
    let video = || body.get("video")?.get("url")?.as_str().and_then(link);
    let units =
        remote.told(result, UNITS).filter(|units| units.parse::<f64>().is_ok_and(|units| (0.0..1e9).contains(&units)));
    let seen = |progress| {
        let (task, units, took) = (task.clone(), units.clone(), queued.took());
        Observed::Seen(Observation { task, client_ref: None, progress, took, units, created_at: None })
    };
    match (result.status, video()) {
        (200..=299, Some(link)) => return seen(Progress::Succeeded { link }),
        (401..=403, _) => return unseen(result, &said),
        (404 | 408 | 410 | 425 | 429, _) => return not_told(result, &said),
        _ => {}
    }
    let detail = body.get("detail").or_else(|| body.is_array().then_some(body));
    let of_the_model = match result.status {
        500.. => detail.is_some_and(Value::is_array),
        _ => detail.is_some_and(|detail| !detail.is_null()),
    };
    let named = body.get("error_type").and_then(Value::as_str).is_some_and(|kind| kind != OF_NOBODY);
    match queued.error() {
        _ if of_the_model || named => seen(Progress::Failed { words: said.words }),
        Some(error) => seen(Progress::Failed { words: remote.words(error) }),
        // A success without its link: perhaps it is there the next time.
        None if result.is_success() => seen(Progress::Pending { status: "COMPLETED".to_owned() }),
        None => not_told(result, &said),
    }
}

/// `task`, seen like this.
pub(super) fn seen(task: &TaskId, progress: Progress, took: Option<Duration>) -> Observed {
    let task = task.clone();
    Observed::Seen(Observation { task, client_ref: None, progress, took, units: None, created_at: None })
}

/// The request is over, and its response did not come: it is there, whatever the answer's status says of an address.
fn not_told(result: &Answer, said: &Said) -> Observed {
    unclear(result, &format!("completed, but its response is HTTP {}: {}", result.status, said.words))
}

/// What a body says that is no success.
pub(super) fn said(content: &Content, line: &Line) -> Said {
    let (words, code) = match content {
        Content::Page(words) | Content::Foreign(words) => (words.clone(), None),
        Content::Json(Value::Object(object)) => match object.get("detail") {
            Some(Value::Array(errors)) => of_errors(errors),
            detail => {
                let named = |name| text(object, name);
                let words = detail.and_then(Value::as_str).or_else(|| named("message")).or_else(|| named("error"));
                let words = words.map_or_else(|| Value::Object(object.clone()).to_string(), str::to_owned);
                (words, named("error_type"))
            }
        },
        Content::Json(Value::Array(errors)) => of_errors(errors),
        Content::Json(other) => (other.to_string(), None),
    };
    Said { words: line.words(&words), code: code.map(|code| line.words(code)) }
}

/// A model's errors: `[{"loc": ["body", "effect_scene"], "msg": "…", "type": "…"}]` (documented). The last of `loc`
/// names the field, without which "field required" says nothing.
fn of_errors(errors: &[Value]) -> (String, Option<&str>) {
    let words = errors.iter().map(|error| {
        let said = error.get("msg").and_then(Value::as_str).map_or_else(|| error.to_string(), str::to_owned);
        match error
            .get("loc")
            .and_then(Value::as_array)
            .and_then(|path| path.iter().filter_map(Value::as_str).next_back())
        {
            Some(field) if field != "body" => format!("{field}: {said}"),
            _ => said,
        }
    });
    let kind = errors.first().and_then(|error| error.get("type")).and_then(Value::as_str);
    (words.collect::<Vec<_>>().join("; "), kind)
}

fn text<'a>(object: &'a Map<String, Value>, name: &str) -> Option<&'a str> {
    object.get(name).and_then(Value::as_str).filter(|text| !text.is_empty())
}
