//! What Kling's account tells: many tasks at once, what is left of the resource pack, what each task was charged.
//!
//! Paths and fields are documented, but for what is marked as a guess; that at most 20 ids may be asked for, and in which
//! words more are refused, was seen by others, on other products than effects.

use std::collections::HashSet;

use axum::extract::{ConnectInfo, Query, State};
use axum::http::HeaderMap;
use axum::response::{IntoResponse, Response};
use base64::Engine;
use base64::prelude::BASE64_URL_SAFE_NO_PAD;
use bytes::Bytes;
use serde::Deserialize;
use serde_json::{Value, json};

use super::super::account::Charge;
use super::super::door::Cut;
use super::super::fault::Kind;
use super::super::refusal::Refusal;
use super::super::task::{Ms, Status, Told, units_text};
use super::super::{Lookup, token};
use super::kling::enveloped;
use super::{Ground, gate};

/// How many ids one request may name (observed).
const MOST_IDS: usize = 20;
/// How many charges one request may ask for, and gets if it does not say.
const MOST_CHARGES: usize = 500;
/// What a signed token is told that comes where only a plain key may (observed).
const NO_SIGNED_TOKENS: &str = "Authentication error. The current API does not support AK/SK; please go to the console \
                                to create API key.";
/// The pack. Its name carries how many tasks may run, as names of real ones do.
const PACK: (&str, &str) = ("Simulated-Video-Pack", "5eed-pack-1");

#[derive(Debug, Deserialize)]
pub(super) struct Ids {
    task_ids: Option<String>,
    external_task_ids: Option<String>,
}

/// Many tasks, by their ids: those that there are not are not told of.
pub(super) async fn tasks(
    State(ground): State<Ground>,
    ConnectInfo(cut): ConnectInfo<Cut>,
    headers: HeaderMap,
    Query(ids): Query<Ids>,
) -> Response {
    let shared = &ground.shared;
    let credentials = &shared.settings.credentials;
    let given = gate::given(&headers, "Bearer ").unwrap_or("");
    let demanded = credentials.key.is_some() || credentials.pair.is_some();
    let right = if demanded { credentials.key.as_deref() == Some(given) } else { !token::is_token(given) };
    if !right {
        return ground.refuse(&Refusal::BadKey(NO_SIGNED_TOKENS));
    }
    if let Some(refused) = gate::closed(&ground, &headers) {
        return refused;
    }
    let external = ids.external_task_ids.is_some();
    let ((Some(list), None) | (None, Some(list))) = (ids.task_ids, ids.external_task_ids) else {
        return ground.refuse(&Refusal::invalid("either task_ids or external_task_ids is required"));
    };
    let list: Vec<&str> = list.split(',').filter(|id| !id.is_empty()).collect();
    if list.len() > MOST_IDS {
        return ground.refuse(&Refusal::invalid("task_ids and external_task_ids cannot exceed 20 in total"));
    }
    let now = shared.now();
    let mut world = shared.world();
    world.stats.task_pages += 1;
    if let Some(refused) = gate::asked_badly(&ground, &cut, &mut world) {
        return refused;
    }
    let mut seen = HashSet::new();
    let mut records = Vec::new();
    for id in list.into_iter().filter(|id| seen.insert(*id)) {
        if world.strikes(Kind::QueryNotFound).is_some() {
            continue;
        }
        let told = world.look(id, now).filter(|told| (told.task.id != id) == external);
        records.extend(told.map(|told| record(&ground, &told)));
    }
    axum::Json(enveloped(now, &records.into())).into_response()
}

/// A task in the newer form. That amounts are decimal texts is a guess, from `final_unit_deduction`.
fn record(ground: &Ground, told: &Told) -> Value {
    let task = &told.task;
    let status = match told.status {
        Status::Submitted => "submitted",
        Status::Processing => "processing",
        Status::Reviewing => "reviewing",
        Status::Succeeded => "succeeded",
        Status::Failed => "failed",
    };
    let video = |link: &String| json!({ "type": "video", "id": task.id, "url": ground.url(link), "duration": "2.0" });
    let outputs: Vec<Value> = told.link.iter().map(video).collect();
    let billed = told.status == Status::Succeeded;
    let billing: Vec<Value> =
        billed.then(|| json!({ "charge_type": "unit", "amount": units_text(task.units) })).into_iter().collect();
    let external = task.external.as_deref().filter(|_| ground.shared.settings.lookup == Lookup::ByExternalId);
    json!({
        "id": task.id,
        "status": status,
        "message": told.reason().unwrap_or(""),
        "create_time": task.created_at,
        "update_time": told.updated_at,
        "external_id": external.unwrap_or(""),
        "outputs": outputs,
        "billing": billing,
    })
}

#[derive(Debug, Deserialize)]
pub(super) struct Span {
    start_time: Option<Ms>,
    end_time: Option<Ms>,
}

/// What is left of the resource pack. The real counts lag by up to twelve hours; these do not.
pub(super) async fn costs(State(ground): State<Ground>, headers: HeaderMap, Query(span): Query<Span>) -> Response {
    if let Some(refused) = gate::closed(&ground, &headers) {
        return refused;
    }
    let (Some(_), Some(_)) = (span.start_time, span.end_time) else {
        return ground.refuse(&Refusal::invalid("start_time and end_time are required"));
    };
    let now = ground.shared.now();
    let world = ground.shared.world();
    let (pack, charged) = (world.pack(), world.units_charged(now));
    drop(world);
    let year = 365 * 24 * 3_600_000;
    let pack = json!({
        "resource_pack_name": PACK.0,
        "resource_pack_id": PACK.1,
        "resource_pack_type": "decreasing_total",
        "total_quantity": pack,
        "remaining_quantity": (pack - charged).max(0.0),
        "purchase_time": now - year,
        "effective_time": now - year,
        "invalid_time": now + year,
        "status": if charged >= pack { "runOut" } else { "online" },
    });
    let inner = json!({ "code": 0, "msg": "SUCCEED", "resource_pack_subscribe_infos": [pack] });
    axum::Json(enveloped(now, &inner)).into_response()
}

/// Where a request for charges goes on: the span, and how many were told.
type Place = (Ms, Ms, usize);

/// What each task was charged, oldest first. That quantities are decimal texts, that the last page has an empty cursor, and
/// the word for effects, are guesses.
pub(super) async fn charges(State(ground): State<Ground>, headers: HeaderMap, body: Bytes) -> Response {
    if let Some(refused) = gate::closed(&ground, &headers) {
        return refused;
    }
    let Ok(asked) = serde_json::from_slice::<Value>(&body) else {
        return ground.refuse(&Refusal::Malformed);
    };
    let place = match (asked["cursor"].as_str(), asked["start_time"].as_i64(), asked["end_time"].as_i64()) {
        (Some(cursor), _, _) if !cursor.is_empty() => opened(cursor),
        (_, Some(from), Some(to)) => Some((from, to, 0)),
        _ => None,
    };
    let Some((from, to, told)) = place else {
        return ground.refuse(&Refusal::invalid("start_time and end_time, or a cursor, are required"));
    };
    let limit = asked["limit"].as_u64().map_or(Some(MOST_CHARGES), |limit| usize::try_from(limit).ok());
    let Some(limit) = limit.filter(|limit| (1..=MOST_CHARGES).contains(limit)) else {
        return ground.refuse(&Refusal::invalid("limit must be 1 to 500"));
    };
    let now = ground.shared.now();
    let world = ground.shared.world();
    let (pack, charges) = (world.pack(), world.charges(now));
    drop(world);
    let mut rest = charges.into_iter().filter(|charge| (from..=to).contains(&charge.at)).skip(told);
    let page: Vec<Value> = rest.by_ref().take(limit).map(|charge| detail(&charge, pack)).collect();
    let more = rest.next().is_some();
    let cursor = if more { sealed((from, to, told + page.len())) } else { String::new() };
    let inner = json!({
        "result": { "detail": page, "count": page.len() },
        "next_cursor": cursor,
        "has_more": more,
    });
    axum::Json(enveloped(now, &inner)).into_response()
}

fn detail(charge: &Charge, pack: f64) -> Value {
    json!({
        "task_id": charge.task,
        "api_key_name": "simulated",
        "product_function": "video_effects",
        "model_name": "",
        "resolution": "720p",
        "duration": "5",
        "deduction_time": charge.at,
        "unit_before_deduction": units_text(pack - charge.before),
        "deduction_amount": units_text(charge.units),
        "unit_after_deduction": units_text(pack - charge.before - charge.units),
        "package_name": PACK.0,
        "package_id": PACK.1,
    })
}

fn sealed(place: Place) -> String {
    BASE64_URL_SAFE_NO_PAD.encode(serde_json::to_vec(&place).unwrap_or_default())
}

fn opened(cursor: &str) -> Option<Place> {
    serde_json::from_slice(&BASE64_URL_SAFE_NO_PAD.decode(cursor).ok()?).ok()
}
