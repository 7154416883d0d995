//! fal's queue: whatever comes is taken and waits for its turn; a request is followed by the links that it is answered with.
//!
//! Documented: paths, `effect_scene`, `input_image_urls` for one image as for two, `duration`, the three states, the links
//! without the endpoint's sub-path, 202 while it runs, `metrics.inference_time` of one that ended, the shape of errors,
//! webhooks and their signature. `x-fal-billable-units` with a response was seen by others. `image_url` is from an older
//! schema. When files are refused, and what is said to whoever asks for a result too early, are guesses.

use std::time::Duration;

use axum::extract::{ConnectInfo, Path, Query, State};
use axum::http::{HeaderMap, HeaderName, HeaderValue, StatusCode};
use axum::response::{IntoResponse, Response};
use bytes::Bytes;
use serde::Deserialize;
use serde_json::{Value, json};

use super::super::callback::Notice;
use super::super::door::Cut;
use super::super::refusal::Refusal;
use super::super::task::{Status, Task, Told, Wanted, units_text};
use super::gate::{self, Question};
use super::image::{Form, images};
use super::refuse::fal_detail;
use super::{Ground, answer};

#[derive(Debug, Deserialize)]
pub(super) struct Asked {
    fal_webhook: Option<String>,
}

pub(super) async fn create(
    State(ground): State<Ground>,
    ConnectInfo(cut): ConnectInfo<Cut>,
    Query(asked): Query<Asked>,
    headers: HeaderMap,
    body: Bytes,
) -> Response {
    let wanted = wanted(&body, asked.fal_webhook);
    ground.note_creation(body.len());
    drop(body);
    gate::create(&ground, &cut, &headers, wanted, |task, _| state(&ground, task, "IN_QUEUE")).await
}

pub(super) async fn status(
    State(ground): State<Ground>,
    ConnectInfo(cut): ConnectInfo<Cut>,
    headers: HeaderMap,
    Path(id): Path<String>,
) -> Response {
    let told = match gate::ask(&ground, &cut, &headers, &id, Question::Status) {
        Ok(told) => told,
        Err(refused) => return refused,
    };
    let (code, word) = match told.status {
        Status::Submitted => (202, "IN_QUEUE"),
        Status::Processing => (202, "IN_PROGRESS"),
        Status::Reviewing => (202, "REVIEWING"),
        Status::Succeeded | Status::Failed => (200, "COMPLETED"),
    };
    let mut told_state = state(&ground, &told.task, word);
    if word == "COMPLETED" {
        let took = Duration::from_millis(u64::try_from(told.task.ends_at - told.task.begins()).unwrap_or(0));
        told_state["metrics"] = json!({ "inference_time": took.as_secs_f64() });
    }
    if let Some(reason) = told.reason() {
        told_state["error"] = json!(reason);
        told_state["error_type"] = json!(kind(reason));
    }
    answer(code, told_state)
}

pub(super) async fn response(
    State(ground): State<Ground>,
    ConnectInfo(cut): ConnectInfo<Cut>,
    headers: HeaderMap,
    Path(id): Path<String>,
) -> Response {
    match gate::ask(&ground, &cut, &headers, &id, Question::Result) {
        Ok(told) if told.status == Status::Succeeded => {
            let mut answered = answer(200, payload(&ground, &told));
            if let Ok(units) = HeaderValue::try_from(units_text(told.task.units)) {
                answered.headers_mut().insert(HeaderName::from_static("x-fal-billable-units"), units);
            }
            answered
        }
        Ok(told) if told.status == Status::Failed => answer(422, payload(&ground, &told)),
        Ok(_) => answer(400, json!({ "detail": "Request is still in progress" })),
        Err(refused) => refused,
    }
}

/// The keys that webhooks are signed with.
pub(super) async fn keys(State(ground): State<Ground>) -> Response {
    axum::Json(ground.shared.signer.key_set()).into_response()
}

/// A request as the queue tells it.
fn state(ground: &Ground, task: &Task, word: &str) -> Value {
    let link = ground.url(&format!("/fal-ai/kling-video/requests/{}", task.id));
    let mut state = json!({
        "status": word,
        "request_id": task.id,
        "response_url": link,
        "status_url": format!("{link}/status"),
        "cancel_url": format!("{link}/cancel"),
    });
    if word == "IN_QUEUE" {
        let now = ground.shared.now();
        state["queue_position"] = json!(ground.shared.world().waiting_before(task, now));
    }
    state
}

/// What it came to: the video, or why there is none.
fn payload(ground: &Ground, told: &Told) -> Value {
    match (told.reason(), &told.link) {
        (Some(reason), _) => fal_detail(kind(reason), reason),
        (None, Some(link)) => {
            let name = format!("{}.mp4", told.task.id);
            json!({ "video": { "url": ground.url(link), "content_type": "video/mp4", "file_name": name } })
        }
        (None, None) => json!({ "video": null }),
    }
}

/// The type of an error, of those that are documented.
fn kind(reason: &str) -> &'static str {
    if reason.contains("pixel") { "image_too_small" } else { "content_policy_violation" }
}

/// What a webhook is told, signed.
pub(super) fn notice(ground: &Ground, told: &Told) -> Notice {
    let mut body = json!({
        "request_id": told.task.id,
        "gateway_request_id": told.task.id,
        "status": "OK",
        "error": null,
        "payload": payload(ground, told),
    });
    if told.reason().is_some() {
        body["status"] = json!("ERROR");
        body["error"] = json!(format!("Invalid status code: {}", StatusCode::UNPROCESSABLE_ENTITY.as_u16()));
    }
    ground.shared.signer.fal(&told.task.id, ground.seconds(), body.to_string())
}

fn wanted(body: &[u8], callback: Option<String>) -> Result<Wanted, Refusal> {
    let body: Value = serde_json::from_slice(body).map_err(|_| Refusal::Malformed)?;
    let scene = body["effect_scene"].as_str().filter(|scene| !scene.is_empty());
    let scene = scene.ok_or_else(|| Refusal::invalid("effect_scene: field required"))?.to_owned();
    if !(body["duration"].is_null() || body["duration"] == "5" || body["duration"] == "10") {
        return Err(Refusal::invalid("duration: must be \"5\" or \"10\""));
    }
    let images = images(&scene, &body["image_url"], &body["input_image_urls"], Form::DataLink)?;
    Ok(Wanted { external: None, scene, images: images.names, too_small: images.too_small, callback })
}
