//! `WaveSpeed`'s predictions: made by one path, followed by another, the answer always in the same envelope.
//!
//! Documented: paths, `effect_scene`, `image` as a link or a `data:` link, the envelope, the states, what a webhook is told
//! and how it is signed. `images` and `duration` are guesses: the schema that was read has neither.

use axum::extract::{ConnectInfo, Path, Query, State};
use axum::http::HeaderMap;
use axum::response::{IntoResponse, Response};
use bytes::Bytes;
use serde::Deserialize;
use serde_json::{Value, json};

use super::super::callback::Notice;
use super::super::door::Cut;
use super::super::refusal::Refusal;
use super::super::signer;
use super::super::task::{Ms, Status, Task, Told, Wanted};
use super::Ground;
use super::gate::{self, Question};
use super::image::{Form, images};

const MODEL: &str = "kwaivgi/kling-effects";

#[derive(Debug, Deserialize)]
pub(super) struct Asked {
    webhook: Option<String>,
}

pub(super) async fn create(
    State(ground): State<Ground>,
    ConnectInfo(cut): ConnectInfo<Cut>,
    Query(asked): Query<Asked>,
    headers: HeaderMap,
    body: Bytes,
) -> Response {
    let wanted = wanted(&body, asked.webhook);
    ground.note_creation(body.len());
    drop(body);
    gate::create(&ground, &cut, &headers, wanted, |task, now| enveloped(&prediction(&ground, task, now, "created")))
        .await
}

pub(super) async fn result(
    State(ground): State<Ground>,
    ConnectInfo(cut): ConnectInfo<Cut>,
    headers: HeaderMap,
    Path(id): Path<String>,
) -> Response {
    match gate::ask(&ground, &cut, &headers, &id, Question::Status) {
        Ok(told) => axum::Json(enveloped(&told_of(&ground, &told, ground.shared.now()))).into_response(),
        Err(refused) => refused,
    }
}

fn enveloped(data: &Value) -> Value {
    json!({ "code": 200, "message": "success", "data": data })
}

fn prediction(ground: &Ground, task: &Task, now: Ms, status: &str) -> Value {
    let created = jiff::Timestamp::from_millisecond(task.created_at).unwrap_or(jiff::Timestamp::UNIX_EPOCH);
    json!({
        "id": task.id,
        "model": MODEL,
        "outputs": [],
        "urls": { "get": ground.url(&format!("/api/v3/predictions/{}/result", task.id)) },
        "has_nsfw_contents": [],
        "status": status,
        "created_at": created.to_string(),
        "error": "",
        "timings": { "inference": if task.ends_at <= now { task.ends_at - task.begins() } else { 0 } },
    })
}

fn told_of(ground: &Ground, told: &Told, now: Ms) -> Value {
    let status = match told.status {
        Status::Submitted => "created",
        Status::Processing => "processing",
        Status::Reviewing => "reviewing",
        Status::Succeeded => "completed",
        Status::Failed => "failed",
    };
    let mut data = prediction(ground, &told.task, now, status);
    data["outputs"] = told.link.iter().map(|link| ground.url(link)).collect();
    data["has_nsfw_contents"] = told.link.iter().map(|_| false).collect();
    data["error"] = json!(told.reason().unwrap_or(""));
    data
}

/// What a webhook is told: the same record without its envelope, and what was asked for.
pub(super) fn notice(ground: &Ground, told: &Told, now: Ms) -> Notice {
    let mut body = told_of(ground, told, now);
    body["input"] = json!({ "effect_scene": told.task.scene });
    let secret = ground.shared.settings.credentials.webhook_secret.as_deref();
    signer::wavespeed(secret, &told.task.id, ground.seconds(), body.to_string())
}

fn wanted(body: &[u8], callback: Option<String>) -> Result<Wanted, Refusal> {
    let body: Value = serde_json::from_slice(body).map_err(|_| Refusal::Malformed)?;
    let scene = body["effect_scene"].as_str().filter(|scene| !scene.is_empty());
    let scene = scene.ok_or_else(|| Refusal::invalid("effect_scene is required"))?.to_owned();
    let duration = &body["duration"];
    if !(duration.is_null() || [json!(5), json!(10), json!("5"), json!("10")].contains(duration)) {
        return Err(Refusal::invalid("duration must be 5 or 10"));
    }
    let images = images(&scene, &body["image"], &body["images"], Form::DataLink)?;
    Ok(Wanted { external: None, scene, images: images.names, too_small: images.too_small, callback })
}
