//! One task as a remote's JSON shows it, wherever in its wrappings the facts lie: Kling's own record, new-api's task
//! row around it, and flat ones.
//!
//! The outer status wins over the inner one: a gateway that gave a task up and refunded it says so only outside. A link
//! is believed only on success and only when it is an http(s) URL: some put error texts where links go, and links where
//! error texts go.

use std::time::Duration;

use serde_json::{Map, Value};

use crate::domain::{ClientRef, Observation, Progress, TaskId};
use crate::gateway::words::Wording;

type Object = Map<String, Value>;

/// Instants below this are seconds, others milliseconds (seconds reach it in the year 5138, milliseconds in 1973).
const SECONDS_BELOW: f64 = 1e11;

/// A generation that took longer than this is a mistake in the clocks.
const LONGEST: Duration = Duration::from_hours(24);

/// What was found of one task. Nothing in it is checked yet.
#[derive(Debug, Clone, PartialEq, Default)]
pub(super) struct Record {
    /// The task's id.
    pub(super) id: Option<String>,
    /// Our reference.
    pub(super) external: Option<String>,
    /// The status, as spelled.
    pub(super) status: Option<String>,
    link: Option<String>,
    words: String,
    took: Option<Duration>,
}

/// What a status word means.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Phase {
    Pending,
    Success,
    Failure,
}

impl Phase {
    /// Of all spellings met in documentation and source code. An unknown word is never an end.
    fn of(status: &str) -> Self {
        match status.trim().to_ascii_lowercase().as_str() {
            "succeed" | "succeeded" | "success" | "completed" | "complete" => Self::Success,
            "fail" | "failed" | "failure" | "error" | "canceled" | "cancelled" | "timeout" | "expired" | "deleted"
            | "aborted" => Self::Failure,
            _ => Self::Pending,
        }
    }
}

impl Record {
    /// The task in an envelope's `data`; `top` is the envelope. `None` when nothing in there tells of a task.
    pub(super) fn of(data: &Object, top: Option<&Object>) -> Option<Self> {
        // From the outside in. `data.data.data` is Kling's record within Kling's envelope within new-api's row.
        let mut levels = vec![data];
        while let Some(inner) = levels.last().and_then(|level| level.get("data")).and_then(Value::as_object) {
            levels.push(inner);
        }
        let record = Self::gather(&levels, top);
        (record.id.is_some() || record.status.is_some()).then_some(record)
    }

    /// A task without an envelope (the video object of `OpenAI`, a callback's body): an id *and* a status at the top.
    pub(super) fn flat(object: &Object) -> Option<Self> {
        let record = Self::gather(&[object], None);
        (record.id.is_some() && record.status.is_some()).then_some(record)
    }

    fn gather(levels: &[&Object], top: Option<&Object>) -> Self {
        let id_levels = || levels.iter().copied().take(1).chain(top);
        let ids = |key: &'static str| id_levels().find_map(|level| id(level.get(key)));
        // new-api's row has a number of its own as `id`: only a text is an id there.
        let own_id = || id_levels().find_map(|level| text(level.get("id")));
        let external = levels.iter().find_map(|level| {
            let info = level.get("task_info").and_then(Value::as_object);
            text(info.and_then(|info| info.get("external_task_id")))
                .or_else(|| text(level.get("external_task_id")))
                .or_else(|| text(level.get("external_id")))
        });
        let status =
            levels.iter().find_map(|level| text(level.get("task_status")).or_else(|| text(level.get("status"))));
        let inside_out = || levels.iter().rev();
        Self {
            id: ids("task_id").or_else(own_id),
            external,
            status,
            link: inside_out()
                .find_map(|level| video(level))
                .or_else(|| inside_out().find_map(|level| misplaced(level))),
            words: levels.iter().find_map(|level| reason(level)).unwrap_or_default(),
            took: levels.iter().find_map(|level| took(level)),
        }
    }

    /// The record as an observation of `task`; `None` when it tells no status.
    pub(super) fn observation(self, task: TaskId, wording: &Wording) -> Option<Observation> {
        let status = self.status?;
        let phase = Phase::of(&status);
        let pending = |status: &str| Progress::Pending { status: wording.of(status) };
        let progress = match (phase, self.link) {
            (Phase::Success, Some(link)) => Progress::Succeeded { link },
            (Phase::Success, None) | (Phase::Pending, _) => pending(&status),
            (Phase::Failure, _) => Progress::Failed { words: wording.of(&self.words) },
        };
        let client_ref = self.external.and_then(|external| ClientRef::new(external).ok());
        let took = self.took.filter(|_| phase != Phase::Pending);
        Some(Observation { task, client_ref, progress, took, units: None, created_at: None })
    }
}

fn text(value: Option<&Value>) -> Option<String> {
    value.and_then(Value::as_str).filter(|text| !text.is_empty()).map(str::to_owned)
}

/// An id: a text, or a whole number where a gateway sends one.
fn id(value: Option<&Value>) -> Option<String> {
    text(value).or_else(|| value.and_then(Value::as_u64).map(|number| number.to_string()))
}

fn url(value: Option<&Value>) -> Option<String> {
    text(value).filter(|text| {
        reqwest::Url::parse(text).is_ok_and(|url| matches!(url.scheme(), "http" | "https") && url.has_host())
    })
}

/// The link where links belong.
fn video(level: &Object) -> Option<String> {
    let listed = |list: Option<&Value>| list?.as_array()?.iter().find_map(|video| url(video.get("url")));
    listed(level.get("task_result").and_then(|result| result.get("videos")))
        .or_else(|| listed(level.get("outputs")))
        .or_else(|| url(level.get("result_url")))
        .or_else(|| url(level.get("url")))
}

/// The link where older versions of new-api put it.
fn misplaced(level: &Object) -> Option<String> {
    url(level.get("fail_reason"))
}

fn reason(level: &Object) -> Option<String> {
    let error = level.get("error");
    text(level.get("task_status_msg"))
        .or_else(|| text(level.get("fail_reason")))
        .or_else(|| text(error.and_then(|error| error.get("message"))))
        .or_else(|| text(error))
        .or_else(|| text(level.get("message")))
}

/// How long it took by the remote's clock. An ended row of new-api is touched later on, so its own instants come first.
fn took(level: &Object) -> Option<Duration> {
    let instant = |key: &str| {
        let number = level.get(key)?.as_f64().filter(|number| *number > 0.0)?;
        Some(if number < SECONDS_BELOW { number } else { number / 1000.0 })
    };
    let between = |from: &str, to: &str| Duration::try_from_secs_f64(instant(to)? - instant(from)?).ok();
    between("submit_time", "finish_time")
        .or_else(|| between("created_at", "updated_at"))
        .or_else(|| between("create_time", "update_time"))
        .filter(|took| !took.is_zero() && *took <= LONGEST)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn took_of(value: &Value) -> Option<u128> {
        took(value.as_object().unwrap()).map(|took| took.as_millis())
    }

    #[test]
    fn durations_are_told_from_seconds_and_from_milliseconds_and_nonsense_is_ignored() {
        let at = |from: u64, to: u64| took_of(&json!({"created_at": from, "updated_at": to}));
        assert_eq!(at(1_774_805_076_166, 1_774_805_313_166), Some(237_000));
        assert_eq!(at(1_774_805_076, 1_774_805_313), Some(237_000));
        for (from, to) in [(0, 1_774_805_313), (1_774_805_313, 1_774_805_076), (5, 5), (1_774_805_076, 1_974_805_076)] {
            assert_eq!(at(from, to), None, "{from}..{to}");
        }
        assert_eq!(took_of(&json!({"created_at": "soon", "updated_at": null})), None);
    }

    #[test]
    fn an_unknown_status_is_never_an_end() {
        for status in ["submitted", "NOT_START", "in_queue", "rendering", "UNKNOWN", "", "succeedish"] {
            assert_eq!(Phase::of(status), Phase::Pending, "{status}");
        }
        assert_eq!(Phase::of(" SUCCESS"), Phase::Success);
        assert_eq!(Phase::of("Cancelled"), Phase::Failure);
    }
}
