//! Kling's wire, and what the gateways that speak it make of it: create, query by either id, list.
//!
//! Paths, fields and answers are as documented by Kling. `CometAPI` answers a creation with `message: "success"` and no
//! request id, and wants a duration in every one (documented; how it says so is a guess); new-api answers it with `OpenAI`'s video object, and wraps queries (read in its source).

use axum::extract::{ConnectInfo, Path, Query, State};
use axum::http::HeaderMap;
use axum::response::{IntoResponse, Response};
use bytes::Bytes;
use serde::Deserialize;
use serde_json::{Value, json};

use super::super::door::Cut;
use super::super::fault::Kind;
use super::super::refusal::Refusal;
use super::super::task::{Ms, Status, Task, Told, Wanted, units_text};
use super::super::{Answers, Dialect, Listing, Lookup};
use super::gate::{self, Question};
use super::image::{Form, images};
use super::{Ground, request_id};

pub(super) async fn create(
    State(ground): State<Ground>,
    ConnectInfo(cut): ConnectInfo<Cut>,
    headers: HeaderMap,
    body: Bytes,
) -> Response {
    let wanted = wanted(&body, ground.shared.settings.dialect);
    ground.note_creation(body.len());
    drop(body);
    gate::create(&ground, &cut, &headers, wanted, |task, now| created(&ground, task, now)).await
}

pub(super) async fn query(
    State(ground): State<Ground>,
    ConnectInfo(cut): ConnectInfo<Cut>,
    headers: HeaderMap,
    Path(id): Path<String>,
) -> Response {
    let told = match gate::ask(&ground, &cut, &headers, &id, Question::Status) {
        Ok(told) => told,
        Err(refused) => return refused,
    };
    let settings = &ground.shared.settings;
    let now = ground.shared.now();
    let answered = match (settings.dialect, settings.answers) {
        (Dialect::NewApi, _) | (_, Answers::Wrapped) => wrapped(&ground, &told),
        (_, Answers::Plain) => enveloped(now, &record(&ground, &told)),
    };
    axum::Json(answered).into_response()
}

#[derive(Debug, Deserialize)]
pub(super) struct Page {
    #[serde(rename = "pageNum")]
    number: Option<usize>,
    #[serde(rename = "pageSize")]
    size: Option<usize>,
}

pub(super) async fn list(State(ground): State<Ground>, headers: HeaderMap, Query(page): Query<Page>) -> Response {
    if let Some(refused) = gate::closed(&ground, &headers) {
        return refused;
    }
    if ground.shared.world().strikes(Kind::Query401).is_some() {
        return ground.refuse(&Refusal::BadKey("Authorization is invalid"));
    }
    if ground.shared.settings.listing == Listing::Missing {
        return ground.refuse(&Refusal::NoMethod);
    }
    let (number, size) = (page.number.unwrap_or(1), page.size.unwrap_or(30));
    if !(1..=1000).contains(&number) || !(1..=500).contains(&size) {
        return ground.refuse(&Refusal::invalid("pageNum must be 1 to 1000 and pageSize 1 to 500"));
    }
    let now = ground.shared.now();
    let listed = ground.shared.world().list(number, size, now, |_| true);
    let records: Vec<Value> = listed.iter().map(|told| record(&ground, told)).collect();
    axum::Json(enveloped(now, &records.into())).into_response()
}

/// What stands around an answer of Kling's.
pub(super) fn enveloped(now: Ms, data: &Value) -> Value {
    json!({ "code": 0, "message": "SUCCEED", "request_id": request_id(now), "data": data })
}

fn created(ground: &Ground, task: &Task, now: Ms) -> Value {
    let settings = &ground.shared.settings;
    let info = task.external.as_ref().map_or(json!({}), |external| json!({ "external_task_id": external }));
    let data = json!({
        "task_id": task.id,
        "task_status": "submitted",
        "task_info": info,
        "created_at": task.created_at,
        "updated_at": task.created_at,
    });
    match (settings.dialect, settings.answers) {
        (Dialect::NewApi, _) => json!({
            "id": task.id,
            "task_id": task.id,
            "object": "video",
            "model": "kling-effects",
            "status": "queued",
            "progress": 0,
            "created_at": task.created_at / 1000,
        }),
        (Dialect::Comet, _) | (_, Answers::Wrapped) => json!({ "code": 0, "message": "success", "data": data }),
        (_, Answers::Plain) => enveloped(now, &data),
    }
}

/// A task as Kling tells it: in queries, in lists, and, bare, in callbacks.
pub(super) fn record(ground: &Ground, told: &Told) -> Value {
    let task = &told.task;
    let status = match told.status {
        Status::Submitted => "submitted",
        Status::Processing => "processing",
        Status::Reviewing => "reviewing",
        Status::Succeeded => "succeed",
        Status::Failed => "failed",
    };
    let info = match &task.external {
        Some(external) if ground.shared.settings.lookup == Lookup::ByExternalId => {
            json!({ "external_task_id": external })
        }
        _ => json!({}),
    };
    let mut record = json!({
        "task_id": task.id,
        "task_status": status,
        "task_info": info,
        "task_result": {},
        "created_at": task.created_at,
        "updated_at": told.updated_at,
    });
    if let Some(reason) = told.reason() {
        record["task_status_msg"] = json!(reason);
    }
    if told.status == Status::Succeeded {
        let video = |link: &String| json!({ "id": task.id, "url": ground.url(link), "duration": "2.0" });
        let videos: Vec<Value> = told.link.iter().map(video).collect();
        record["task_result"] = json!({ "videos": videos });
        record["final_unit_deduction"] = json!(units_text(task.units));
    }
    record
}

/// A task as the new-api family tells it: an outer status, and the remote's own answer within, which knows the task by the
/// remote's own id. Once it has failed, the link is the reason (read in its source).
fn wrapped(ground: &Ground, told: &Told) -> Value {
    let (status, progress) = match told.status {
        Status::Submitted => ("SUBMITTED", "10%"),
        Status::Processing => ("IN_PROGRESS", "30%"),
        Status::Reviewing => ("UNKNOWN", "30%"),
        Status::Succeeded => ("SUCCESS", "100%"),
        Status::Failed => ("FAILURE", "100%"),
    };
    let reason = told.reason().unwrap_or("");
    let mut inner = record(ground, told);
    let task = &told.task;
    let ended = matches!(told.status, Status::Succeeded | Status::Failed);
    let mut outer = json!({
        "task_id": task.id,
        "platform": "50",
        "action": "effects",
        "status": status,
        "fail_reason": reason,
        "submit_time": task.created_at / 1000,
        "start_time": task.created_at / 1000,
        "finish_time": if ended { task.ends_at / 1000 } else { 0 },
        "progress": progress,
    });
    if ground.shared.settings.dialect == Dialect::NewApi {
        inner["task_id"] = json!((860_000_000_000_000_000 + task.created_at).to_string());
        outer["created_at"] = json!(task.created_at / 1000);
        outer["updated_at"] = json!(told.updated_at / 1000);
        outer["result_url"] = told.link.as_ref().map_or(json!(reason), |link| json!(ground.url(link)));
        outer["properties"] = json!({});
    }
    outer["data"] = json!({ "code": 0, "message": "SUCCEED", "data": inner });
    json!({ "code": "success", "message": "", "data": outer })
}

/// What a creation asks for.
fn wanted(body: &[u8], dialect: Dialect) -> Result<Wanted, Refusal> {
    let body: Value = serde_json::from_slice(body).map_err(|_| Refusal::Malformed)?;
    let scene = body["effect_scene"].as_str().filter(|scene| !scene.is_empty());
    let scene = scene.ok_or_else(|| Refusal::invalid("effect_scene is required"))?.to_owned();
    let input = &body["input"];
    for (name, allowed) in [("duration", Some(["5", "10"])), ("mode", Some(["std", "pro"])), ("model_name", None)] {
        match (&input[name], allowed) {
            (Value::String(text), Some(allowed)) if !allowed.contains(&text.as_str()) => {
                return Err(Refusal::Invalid(format!("{name} {text} is not supported")));
            }
            (Value::Null | Value::String(_), _) => {}
            _ => return Err(Refusal::Invalid(format!("{name} must be a string"))),
        }
    }
    if dialect == Dialect::Comet && input["duration"].is_null() {
        return Err(Refusal::invalid("duration is required"));
    }
    let images = images(&scene, &input["image"], &input["images"], Form::Bare)?;
    let text = |name: &str| body[name].as_str().filter(|text| !text.is_empty()).map(str::to_owned);
    Ok(Wanted {
        external: text("external_task_id"),
        scene,
        images: images.names,
        too_small: images.too_small,
        callback: text("callback_url"),
    })
}
