//! What `CometAPI` has beside Kling's wire: the account's own list of tasks, under another credential, and its balance.

use axum::extract::{Query, State};
use axum::http::HeaderMap;
use axum::response::{IntoResponse, Response};
use serde::Deserialize;
use serde_json::{Value, json};

use super::super::fault::Kind;
use super::super::task::{Status, Told};
use super::{Ground, answer, gate, html};

/// What a unit of Kling's costs, in dollars (documented).
const UNIT: f64 = 0.14;
/// Quota to a dollar, as the gateway counts it.
const QUOTA: f64 = 500_000.0;

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct Asked {
    #[serde(rename = "p")]
    page: Option<usize>,
    page_size: Option<usize>,
    platform: String,
    task_id: String,
    status: String,
    action: String,
    start_timestamp: Option<i64>,
    end_timestamp: Option<i64>,
}

/// The account's tasks, newest first. Path, parameters and the fields of a row are those of the gateway's own command line;
/// the envelope around them is a guess, after new-api's usual one, and so are the words of a refusal.
pub(super) async fn tasks(State(ground): State<Ground>, headers: HeaderMap, Query(asked): Query<Asked>) -> Response {
    let token = ground.shared.settings.credentials.account_token.as_deref();
    if token.is_none() || token != gate::given(&headers, "Bearer ") {
        return answer(401, json!({ "success": false, "message": "no access token, or a wrong one" }));
    }
    if ground.shared.world().strikes(Kind::Html200).is_some() {
        return html(200);
    }
    let (page, size) = (asked.page.unwrap_or(1).max(1), asked.page_size.unwrap_or(20).clamp(1, 100));
    let now = ground.shared.now();
    let any = |wanted: &str, found: &str| wanted.is_empty() || wanted == found;
    let mut world = ground.shared.world();
    let mut told = world.list(1, usize::MAX, now, |task| {
        let at = task.created_at / 1000;
        any(&asked.task_id, &task.id)
            && asked.start_timestamp.is_none_or(|from| at >= from)
            && asked.end_timestamp.is_none_or(|to| at <= to)
    });
    drop(world);
    told.retain(|told| {
        any(&asked.status, status(told)) && any(&asked.platform, "kling") && any(&asked.action, "effects")
    });
    let rows: Vec<Value> = told.iter().skip((page - 1).saturating_mul(size)).take(size).map(row).collect();
    let data = json!({ "page": page, "page_size": size, "total": told.len(), "items": rows });
    axum::Json(json!({ "success": true, "message": "", "data": data })).into_response()
}

const fn status(told: &Told) -> &'static str {
    match told.status {
        Status::Submitted => "SUBMITTED",
        Status::Processing | Status::Reviewing => "IN_PROGRESS",
        Status::Succeeded => "SUCCESS",
        Status::Failed => "FAILURE",
    }
}

fn row(told: &Told) -> Value {
    let task = &told.task;
    let ended = matches!(told.status, Status::Succeeded | Status::Failed);
    json!({
        "created_at": task.created_at / 1000,
        "platform": "kling",
        "task_id": task.id,
        "action": "effects",
        "status": status(told),
        "model_name": "kling_effects",
        "progress": if ended { "100%" } else { "30%" },
        "quota": task.units * UNIT * QUOTA,
        "submit_time": task.created_at / 1000,
        "finish_time": if ended { task.ends_at / 1000 } else { 0 },
    })
}

#[derive(Debug, Deserialize)]
pub(super) struct Whose {
    key: Option<String>,
}

/// The balance, in dollars (documented; the words of a refusal are a guess). The key is in the address.
pub(super) async fn quota(State(ground): State<Ground>, Query(whose): Query<Whose>) -> Response {
    let shared = &ground.shared;
    let key = shared.settings.credentials.key.as_deref();
    let bad = shared.world().strikes(Kind::BadKey).is_some();
    if bad || key.is_some() && key != whose.key.as_deref() {
        return answer(401, json!({ "success": false, "message": "no such key" }));
    }
    let now = shared.now();
    let world = shared.world();
    let (left, used) = ((world.pack() - world.units_charged(now)).max(0.0) * UNIT, world.units_charged(now) * UNIT);
    let requests = world.stats.creations;
    let endless = shared.settings.pack.is_none();
    drop(world);
    axum::Json(json!({
        "username": "simulated",
        "total_quota": left,
        "total_used_quota": used,
        "request_count": requests,
        "keys": [{
            "name": "simulated",
            "remain_quota": if endless { -1.0 } else { left },
            "used_quota": used,
        }],
    }))
    .into_response()
}
