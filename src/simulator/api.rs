//! The API: create, query by either id, list; and, for whoever judges a run, what was made and counted.
//!
//! Paths, fields and answers are as documented by Kling; error codes as in its table.

use std::sync::Arc;

use axum::Router;
use axum::body::Body;
use axum::extract::{ConnectInfo, DefaultBodyLimit, Path, Query, State};
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use bytes::Bytes;
use serde::Deserialize;
use serde_json::{Value, json};
use sha2::{Digest, Sha256};

use super::door::Cut;
use super::fault::Kind;
use super::media::hex;
use super::world::{Created, Wanted};
use super::{Dialect, Listing, State as Shared, files};

/// Two images of ten megabytes each, encoded, and some more.
const BODY: usize = 64 << 20;
/// The documented least width and height.
const LEAST_PIXELS: usize = 300;
/// Scenes that take two images, as documented in September 2026.
const DUAL: [&str; 15] = [
    "pet_skateboard",
    "daily_ootd",
    "toss_run",
    "switch_to_silk",
    "studio_look",
    "french_elegance",
    "finger_swipe",
    "smooth_transition",
    "kiss_pro",
    "snow_night_kiss",
    "eternal_kiss",
    "cheers_2026",
    "fight_pro",
    "hug_pro",
    "heart_gesture_pro",
];

/// What a query is answered by, given the id that it asks for.
type Answer = fn(&str) -> Response;

/// What a handler works with.
#[derive(Debug, Clone)]
pub(super) struct Ground {
    pub(super) shared: Arc<Shared>,
    origin: Arc<str>,
}

/// All routes; links to files begin with `origin`.
pub(super) fn routes(shared: Arc<Shared>, origin: &str) -> Router {
    let effects = format!("{}/v1/videos/effects", shared.settings.prefix);
    Router::new()
        .route(&effects, post(create).get(list))
        .route(&format!("{effects}/{{id}}"), get(query))
        .route("/files/{name}", get(files::serve))
        .route("/_simulator/stats", get(stats))
        .route("/_simulator/tasks", get(judge))
        .layer(DefaultBodyLimit::max(BODY))
        .with_state(Ground { shared, origin: origin.into() })
}

async fn stats(State(ground): State<Ground>) -> Response {
    let stats = ground.shared.world().stats.clone();
    axum::Json(stats).into_response()
}

async fn judge(State(ground): State<Ground>) -> Response {
    let now = ground.shared.now();
    let tasks = ground.shared.world().judge(now);
    axum::Json(tasks).into_response()
}

async fn create(
    State(ground): State<Ground>,
    ConnectInfo(cut): ConnectInfo<Cut>,
    headers: HeaderMap,
    body: Bytes,
) -> Response {
    let shared = &ground.shared;
    if let Some(refused) = unauthorized(shared, &headers) {
        return refused;
    }
    if let Some(refused) = before(shared, &cut) {
        return refused;
    }
    let wanted = match wanted(&body) {
        Ok(wanted) => wanted,
        Err((code, words)) => {
            let now = shared.now();
            let mut world = shared.world();
            world.arrive(now);
            world.stats.refused_other += 1;
            return error(400, code, &words);
        }
    };
    drop(body);
    let now = shared.now();
    let created = shared.world().create(wanted, now);
    let task = match created {
        Created::Task(task) => task,
        Created::Refused(status, code, words) => return error(status, code, &words),
    };
    if let Some(journal) = &shared.journal
        && journal.note(&task).is_err()
    {
        tracing::error!("the simulator's journal cannot be written");
    }
    if let Some(url) = task.callback.clone() {
        call_back(&ground, task.id.clone(), task.ends_at, url);
    }
    let data = json!({
        "task_id": task.id,
        "task_status": "submitted",
        "task_info": task.external.map_or(json!({}), |external| json!({ "external_task_id": external })),
        "created_at": task.created_at,
        "updated_at": task.created_at,
    });
    let answer = match shared.settings.dialect {
        Dialect::Plain => json!({ "code": 0, "message": "SUCCEED", "request_id": request_id(now), "data": data }),
        Dialect::Wrapped => json!({ "code": 0, "message": "success", "data": data }),
    };
    after(shared, &cut, answer).await
}

/// Tells of the end of a task, when it comes.
fn call_back(ground: &Ground, id: String, ends_at: i64, url: String) {
    let ground = ground.clone();
    tokio::spawn(async move {
        let ends_at = jiff::Timestamp::from_millisecond(ends_at).unwrap_or(jiff::Timestamp::MAX);
        ground.shared.clock.sleep_until(ends_at).await;
        let now = ground.shared.now();
        let record = ground.shared.world().query(&id, now).map(|record| ground.with_links(record));
        if let Some(record) = record {
            ground.shared.callbacks.post(&url, &record).await;
        }
    });
}

/// Faults on the way in: nothing is made.
fn before(shared: &Shared, cut: &Cut) -> Option<Response> {
    let now = shared.now();
    let mut world = shared.world();
    let refused = if world.strikes(Kind::DropBefore).is_some() {
        cut.now();
        Some(StatusCode::OK.into_response())
    } else if world.strikes(Kind::Refuse429).is_some() {
        world.stats.refused_rate += 1;
        let mut refused = error(429, 1302, "Too many requests; rate limit exceeded");
        refused.headers_mut().insert(header::RETRY_AFTER, header::HeaderValue::from_static("1"));
        Some(refused)
    } else if world.strikes(Kind::Busy1303).is_some() {
        world.stats.refused_parallel += 1;
        Some(error(429, 1303, "parallel task over resource pack limit"))
    } else if world.strikes(Kind::Error500Before).is_some() {
        Some(error(500, 5000, "Server internal error"))
    } else if world.strikes(Kind::Html502Before).is_some() {
        Some(html(502))
    } else if world.strikes(Kind::Reject).is_some() {
        world.stats.refused_other += 1;
        Some(error(400, 1301, "Trigger the platform's content security policy"))
    } else {
        None
    };
    if refused.is_some() {
        world.arrive(now);
    }
    refused
}

/// Faults on the way out: the task is made.
async fn after(shared: &Shared, cut: &Cut, answer: Value) -> Response {
    let strikes = |kind| shared.world().strikes(kind);
    if strikes(Kind::LoseAnswer).is_some() {
        cut.now();
    } else if strikes(Kind::Error500After).is_some() {
        return error(500, 5000, "Server internal error");
    } else if strikes(Kind::Html502After).is_some() {
        return html(502);
    } else if strikes(Kind::Empty200After).is_some() {
        return StatusCode::OK.into_response();
    } else if strikes(Kind::GarbageAfter).is_some() {
        return (StatusCode::OK, "{\"code\":0,\"mess").into_response();
    } else if strikes(Kind::HangAnswer).is_some() {
        std::future::pending::<()>().await;
    }
    let slow = strikes(Kind::SlowAnswer);
    if let Some(slow) = slow {
        shared.clock.sleep(slow).await;
    }
    axum::Json(answer).into_response()
}

async fn query(
    State(ground): State<Ground>,
    ConnectInfo(cut): ConnectInfo<Cut>,
    headers: HeaderMap,
    Path(id): Path<String>,
) -> Response {
    let shared = &ground.shared;
    if let Some(refused) = unauthorized(shared, &headers) {
        return refused;
    }
    let now = shared.now();
    let mut world = shared.world();
    let told = world.query(&id, now);
    let fault = |world: &mut super::world::World| {
        let answers: [(Kind, Answer); 8] = [
            (Kind::Query404, |_| error(404, 1203, "The requested resource does not exist, such as the model")),
            (Kind::QueryNotFound, |id| error(400, 1201, &format!("Task not found by id/external id: {id}"))),
            (Kind::QueryTaskNotExist, |_| {
                answer(400, json!({ "code": "task_not_exist", "message": "task_not_exist", "data": null }))
            }),
            (Kind::QueryGarbage, |_| (StatusCode::OK, "\u{1}{not json").into_response()),
            (Kind::QueryHtml, |_| html(200)),
            (Kind::Query500, |_| error(500, 5000, "Server internal error")),
            (Kind::Query429, |_| error(429, 1302, "Too many requests; rate limit exceeded")),
            (Kind::Query401, |_| error(401, 1002, "Authorization is invalid")),
        ];
        answers.into_iter().find(|(kind, _)| world.strikes(*kind).is_some()).map(|(_, answer)| answer(&id))
    };
    if let Some(response) = fault(&mut world) {
        return response;
    }
    if world.strikes(Kind::QueryDrop).is_some() {
        cut.now();
    }
    drop(world);
    match told {
        None => error(400, 1201, &format!("Task not found by id/external id: {id}")),
        Some(record) => ok(shared, &ground.with_links(record), now),
    }
}

#[derive(Debug, Deserialize)]
struct Page {
    #[serde(rename = "pageNum")]
    number: Option<usize>,
    #[serde(rename = "pageSize")]
    size: Option<usize>,
}

async fn list(State(ground): State<Ground>, headers: HeaderMap, Query(page): Query<Page>) -> Response {
    let shared = &ground.shared;
    if let Some(refused) = unauthorized(shared, &headers) {
        return refused;
    }
    if shared.settings.listing == Listing::Missing {
        return error(404, 1202, "The requested method is invalid");
    }
    let (number, size) = (page.number.unwrap_or(1), page.size.unwrap_or(30));
    if !(1..=1000).contains(&number) || !(1..=500).contains(&size) {
        return error(400, 1201, "pageNum must be 1 to 1000 and pageSize 1 to 500");
    }
    let now = shared.now();
    let records = shared.world().list(number, size, now);
    let records: Vec<Value> = records.into_iter().map(|record| ground.with_links(record)).collect();
    axum::Json(json!({ "code": 0, "message": "SUCCEED", "request_id": request_id(now), "data": records }))
        .into_response()
}

impl Ground {
    /// The world does not know where its files are served from.
    fn with_links(&self, mut record: Value) -> Value {
        if let Some(videos) = record["task_result"]["videos"].as_array_mut() {
            for video in videos {
                let link = video["url"].as_str().map(|link| link.replacen('@', &self.origin, 1));
                video["url"] = json!(link);
            }
        }
        record
    }
}

/// The `Authorization` header, checked where a key is demanded.
fn unauthorized(shared: &Shared, headers: &HeaderMap) -> Option<Response> {
    let given = headers.get(header::AUTHORIZATION).and_then(|value| value.to_str().ok());
    let right = match &shared.settings.key {
        None => true,
        Some(key) => given.and_then(|given| given.strip_prefix("Bearer ")) == Some(key.as_str()),
    };
    let bad = shared.world().strikes(Kind::BadKey).is_some();
    (!right || bad).then(|| error(401, 1002, "Authorization is invalid"))
}

/// What a creation asks for, or the code and words it is refused with.
fn wanted(body: &[u8]) -> Result<Wanted, (u32, String)> {
    let invalid = |words: &str| (1201, words.to_owned());
    let body: Value = serde_json::from_slice(body).map_err(|_| (1200, "Invalid request parameters".to_owned()))?;
    let scene = body["effect_scene"].as_str().filter(|scene| !scene.is_empty());
    let scene = scene.ok_or_else(|| invalid("effect_scene is required"))?.to_owned();
    let input = &body["input"];
    for (name, allowed) in [("duration", Some(["5", "10"])), ("mode", Some(["std", "pro"])), ("model_name", None)] {
        match (&input[name], allowed) {
            (Value::String(text), Some(allowed)) if !allowed.contains(&text.as_str()) => {
                return Err(invalid(&format!("{name} {text} is not supported")));
            }
            (Value::Null | Value::String(_), _) => {}
            _ => return Err(invalid(&format!("{name} must be a string"))),
        }
    }
    let given: Vec<&str> = match (input["image"].as_str(), input["images"].as_array()) {
        (Some(image), None) => vec![image],
        (None, Some(images)) if images.len() == 2 => images.iter().filter_map(Value::as_str).collect(),
        (None, Some(_)) => return Err(invalid("images must have a length of 2")),
        _ => return Err(invalid("image or images is required")),
    };
    // Scenes that are not listed may take either.
    if given.len() == 1 && DUAL.contains(&scene.as_str()) {
        return Err(invalid("this effect_scene takes two images"));
    }
    let mut images = Vec::new();
    let mut too_small = false;
    for image in given {
        if image.starts_with("http://") || image.starts_with("https://") {
            images.push(image.to_owned());
            continue;
        }
        let not_base64 = |_| invalid("File is not in a valid base64 format");
        let bytes = BASE64_STANDARD.decode(image).map_err(not_base64)?;
        let size = imagesize::blob_size(&bytes).map_err(|_| invalid("File is not a valid image"))?;
        too_small |= size.width < LEAST_PIXELS || size.height < LEAST_PIXELS;
        images.push(hex(&Sha256::digest(&bytes)));
    }
    let text = |name: &str| body[name].as_str().filter(|text| !text.is_empty()).map(str::to_owned);
    Ok(Wanted { external: text("external_task_id"), scene, images, too_small, callback: text("callback_url") })
}

fn ok(shared: &Shared, record: &Value, now: i64) -> Response {
    let answered = match shared.settings.dialect {
        Dialect::Plain => json!({ "code": 0, "message": "SUCCEED", "request_id": request_id(now), "data": record }),
        Dialect::Wrapped => {
            let status = match record["task_status"].as_str() {
                Some("succeed") => "SUCCESS",
                Some("failed") => "FAILURE",
                Some("submitted") => "SUBMITTED",
                _ => "IN_PROGRESS",
            };
            let reason = record["task_status_msg"].as_str().unwrap_or("");
            let inner = json!({ "code": 0, "message": "SUCCEED", "data": record });
            json!({ "code": "success", "message": "", "data": {
                "task_id": record["task_id"], "platform": "50", "action": "effects", "status": status,
                "fail_reason": reason, "submit_time": now / 1000, "progress": "30%", "data": inner,
            }})
        }
    };
    axum::Json(answered).into_response()
}

fn error(status: u16, code: u32, words: &str) -> Response {
    answer(status, json!({ "code": code, "message": words, "request_id": "5eed0000-0000-4000-8000-000000000000" }))
}

fn answer(status: u16, body: Value) -> Response {
    (StatusCode::from_u16(status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR), axum::Json(body)).into_response()
}

fn html(status: u16) -> Response {
    let page = "<html><head><title>502 Bad Gateway</title></head><body><center><h1>nginx</h1></center></body></html>";
    let built = Response::builder().status(status).header(header::CONTENT_TYPE, "text/html").body(Body::from(page));
    built.unwrap_or_default()
}

fn request_id(now: i64) -> String {
    format!("5eed0000-0000-4000-8000-{now:012x}")
}
