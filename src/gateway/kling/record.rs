//! One task as a remote's JSON shows it, wherever in its wrappings the facts lie: Kling's own record, new-api's task
//! row around it, and flat ones.
//!
//! The outer status wins over the inner one: a gateway that gave a task up and refunded it says so only outside. A link
//! is believed only on success and only when it is an http(s) URL: some put error texts where links go, and links where
//! error texts go.

use std::time::Duration;

use jiff::{SignedDuration, Timestamp, Unit};
use serde_json::{Map, Value};

use crate::domain::{ClientRef, Observation, Progress, TaskId};
use crate::gateway::http;
use crate::gateway::words::Wording;

type Object = Map<String, Value>;

/// Instants below this are seconds, others milliseconds (seconds reach it in the year 5138, milliseconds in 1973).
const SECONDS_BELOW: f64 = 1e11;

/// The longest text that is taken for a charge, in bytes.
const LONGEST_UNITS: usize = 32;

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
    units: Option<String>,
    created_at: Option<Timestamp>,
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
            units: levels.iter().find_map(|level| units(level)),
            created_at: levels.iter().find_map(|level| created_at(level)),
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
        let ended = !matches!(progress, Progress::Pending { .. });
        let took = self.took.filter(|_| phase != Phase::Pending);
        // Before the end it is absent, empty or 0 (observed): what was charged is not known then.
        let units = self.units.filter(|_| ended);
        Some(Observation { task, client_ref, progress, took, units, created_at: self.created_at })
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
    value.and_then(Value::as_str).and_then(http::link)
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

/// What was charged, in Kling's units: a decimal as a text (documented), or as a number.
fn units(level: &Object) -> Option<String> {
    let decimal = |value: &Value| {
        let text = match value {
            Value::String(text) => text.trim().to_owned(),
            Value::Number(number) => number.to_string(),
            _ => return None,
        };
        let is_decimal = text.parse::<f64>().is_ok_and(|units| units.is_finite() && units >= 0.0);
        (is_decimal && text.len() <= LONGEST_UNITS).then_some(text)
    };
    // The newer question's form: one entry for each kind of charge (documented).
    let billed = || {
        let entries = level.get("billing")?.as_array()?;
        let unit = entries.iter().find(|entry| entry.get("charge_type").and_then(Value::as_str) == Some("unit"))?;
        unit.get("amount").and_then(decimal)
    };
    level.get("final_unit_deduction").and_then(decimal).or_else(billed)
}

/// An instant in seconds or in milliseconds, as seconds.
fn instant(level: &Object, key: &str) -> Option<f64> {
    let number = level.get(key)?.as_f64().filter(|number| *number > 0.0)?;
    Some(if number < SECONDS_BELOW { number } else { number / 1000.0 })
}

/// When it was begun.
fn created_at(level: &Object) -> Option<Timestamp> {
    let seconds = ["created_at", "create_time", "submit_time"].iter().find_map(|key| instant(level, key))?;
    let since = SignedDuration::try_from_secs_f64((seconds * 1000.0).round() / 1000.0).ok()?;
    Timestamp::from_duration(since).ok()?.round(Unit::Millisecond).ok()
}

/// How long it took by the remote's clock. An ended row of new-api is touched later on, so its own instants come first.
fn took(level: &Object) -> Option<Duration> {
    let between = |from: &str, to: &str| Duration::try_from_secs_f64(instant(level, to)? - instant(level, from)?).ok();
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
    fn a_charge_and_a_beginning_are_read_in_every_form_and_a_charge_only_once_the_task_has_ended() {
        let of = |value: Value| {
            let record = Record::of(value.as_object().unwrap(), None).unwrap();
            let seen = record.observation(TaskId::new("8").unwrap(), &Wording::new(None)).unwrap();
            (seen.units, seen.created_at.map(Timestamp::as_millisecond))
        };
        let ended = |units: Value| of(json!({"task_status": "failed", "final_unit_deduction": units})).0;
        assert_eq!(ended(json!("3.5")).as_deref(), Some("3.5"));
        assert_eq!(ended(json!(2)).as_deref(), Some("2"));
        assert_eq!(ended(json!("0")).as_deref(), Some("0"));
        for nonsense in
            [json!("0".repeat(33)), json!(""), json!("free"), json!("-1"), json!("NaN"), json!(null), json!({})]
        {
            assert_eq!(ended(nonsense), None);
        }
        assert_eq!(of(json!({"task_status": "processing", "final_unit_deduction": "0"})).0, None);
        let billing = json!([{"charge_type": "cash", "amount": "9"}, {"charge_type": "unit", "amount": "2"}]);
        let newer = json!({"id": "8", "status": "failed", "billing": billing, "create_time": 1_774_805_076_166_u64});
        assert_eq!(of(newer), (Some("2".into()), Some(1_774_805_076_166)));
        let row = json!({"task_id": "t", "status": "QUEUED", "submit_time": 1_774_805_076, "created_at": 0});
        assert_eq!(of(row), (None, Some(1_774_805_076_000)));
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
