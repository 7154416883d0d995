//! The API, one dialect at a time; and, for whoever judges a run, what was made and counted.
//!
//! Where each answer is from is said where it is made: documented by the vendor, observed by others, or a guess.

mod account;
mod comet;
mod fal;
mod gate;
mod image;
mod kling;
mod refuse;
mod wavespeed;

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{Duration, UNIX_EPOCH};

use axum::Router;
use axum::body::Body;
use axum::extract::{DefaultBodyLimit, Request, State};
use axum::http::{HeaderName, HeaderValue, StatusCode, header};
use axum::middleware::{Next, from_fn_with_state};
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use serde_json::Value;

use super::callback::Notice;
use super::refusal::Refusal;
use super::task::{Ms, Task, Told};
use super::{Dialect, State as Shared, files};

/// Two images of ten megabytes each, encoded, and some more.
const BODY: usize = 64 << 20;

/// What a handler works with.
#[derive(Debug, Clone)]
pub(super) struct Ground {
    pub(super) shared: Arc<Shared>,
    origin: Arc<str>,
}

/// All routes; links to files begin with `origin`.
pub(super) fn routes(shared: Arc<Shared>, origin: &str) -> Router {
    let prefix = shared.settings.prefix.clone();
    let ground = Ground { shared, origin: origin.into() };
    let effects = format!("{prefix}/v1/videos/effects");
    let wire = Router::new()
        .route(&effects, post(kling::create).get(kling::list))
        .route(&format!("{effects}/{{id}}"), get(kling::query));
    let dialect = match ground.shared.settings.dialect {
        Dialect::Kling => wire
            .route(&format!("{prefix}/tasks"), get(account::tasks))
            .route(&format!("{prefix}/account/costs"), get(account::costs))
            .route(&format!("{prefix}/account/billing/package"), post(account::charges)),
        Dialect::Comet => wire.route("/api/task/self", get(comet::tasks)).route("/user/quota", get(comet::quota)),
        Dialect::NewApi => wire,
        Dialect::Fal => Router::new()
            .route("/fal-ai/kling-video/v1.6/standard/effects", post(fal::create))
            .route("/fal-ai/kling-video/v1.6/pro/effects", post(fal::create))
            .route("/fal-ai/kling-video/requests/{id}/status", get(fal::status))
            .route("/fal-ai/kling-video/requests/{id}", get(fal::response))
            .route("/.well-known/jwks.json", get(fal::keys)),
        Dialect::WaveSpeed => Router::new()
            .route("/api/v3/kwaivgi/kling-effects", post(wavespeed::create))
            .route("/api/v3/predictions/{id}/result", get(wavespeed::result)),
    };
    dialect
        .route("/files/{name}", get(files::serve))
        .route("/_simulator/stats", get(stats))
        .route("/_simulator/tasks", get(judge))
        .fallback(nowhere)
        .layer(DefaultBodyLimit::max(BODY))
        .layer(from_fn_with_state(ground.clone(), headed))
        .with_state(ground)
}

async fn stats(State(ground): State<Ground>) -> Response {
    let stats = ground.shared.world().stats(ground.shared.now());
    axum::Json(stats).into_response()
}

async fn judge(State(ground): State<Ground>) -> Response {
    let now = ground.shared.now();
    let tasks = ground.shared.world().judge(now);
    axum::Json(tasks).into_response()
}

/// A path that is none of the API's.
async fn nowhere(State(ground): State<Ground>) -> Response {
    ground.refuse(&Refusal::NoMethod)
}

/// Dates an answer by the remote's clock, and names the request where the vendor's headers do: new-api and fal (read in
/// the source of the one, and in that of the other's client).
async fn headed(State(ground): State<Ground>, request: Request, next: Next) -> Response {
    let mut answer = next.run(request).await;
    let since = Duration::from_secs(u64::try_from(ground.seconds()).unwrap_or(0));
    if let Ok(date) = HeaderValue::try_from(httpdate::fmt_http_date(UNIX_EPOCH + since)) {
        answer.headers_mut().insert(header::DATE, date);
    }
    let name = match ground.shared.settings.dialect {
        Dialect::NewApi => "x-oneapi-request-id",
        Dialect::Fal => "x-fal-request-id",
        Dialect::Kling | Dialect::Comet | Dialect::WaveSpeed => return answer,
    };
    if let Ok(id) = HeaderValue::try_from(request_id(ground.shared.now())) {
        answer.headers_mut().insert(HeaderName::from_static(name), id);
    }
    answer
}

impl Ground {
    /// The remote's clock, in seconds since 1970: off by as much as it is set to be.
    fn seconds(&self) -> i64 {
        self.shared.now().div_euclid(1000) + self.shared.settings.clock_offset.as_secs()
    }

    /// A refusal, as the dialect words it.
    fn refuse(&self, refusal: &Refusal) -> Response {
        refuse::refuse(self.shared.settings.dialect, refusal)
    }

    /// A path on this host as a link.
    fn url(&self, path: &str) -> String {
        format!("{}{path}", self.origin)
    }

    /// A creation arrived whose body is so long.
    fn note_creation(&self, bytes: usize) {
        let mut world = self.shared.world();
        world.stats.largest_creation = world.stats.largest_creation.max(bytes);
    }

    /// Tells of the end of a task, when it comes, if somebody wants to be told.
    fn call_back(&self, task: &Task) {
        let Some(url) = task.callback.clone() else { return };
        let (ground, id, ends_at) = (self.clone(), task.id.clone(), task.ends_at.max(task.visible_at));
        tokio::spawn(async move {
            let ends_at = jiff::Timestamp::from_millisecond(ends_at).unwrap_or(jiff::Timestamp::MAX);
            ground.shared.clock.sleep_until(ends_at).await;
            let now = ground.shared.now();
            let told = ground.shared.world().look(&id, now);
            if let Some(told) = told {
                ground.shared.callbacks.post(&url, &ground.notice(&told, now)).await;
            }
        });
    }

    /// What a receiver is told.
    fn notice(&self, told: &Told, now: Ms) -> Notice {
        match self.shared.settings.dialect {
            Dialect::Kling | Dialect::Comet | Dialect::NewApi => Notice::plain(&kling::record(self, told)),
            Dialect::Fal => fal::notice(self, told),
            Dialect::WaveSpeed => wavespeed::notice(self, told, now),
        }
    }
}

fn answer(status: u16, body: Value) -> Response {
    (StatusCode::from_u16(status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR), axum::Json(body)).into_response()
}

/// A page of a proxy, or, with a 200, the dashboard that the new-api family answers unknown paths with.
fn html(status: u16) -> Response {
    let page = if status == 200 {
        "<!doctype html><html><head><title>New API</title></head><body><div id=\"root\"></div></body></html>"
    } else {
        "<html><head><title>502 Bad Gateway</title></head><body><center><h1>nginx</h1></center></body></html>"
    };
    let built = Response::builder().status(status).header(header::CONTENT_TYPE, "text/html").body(Body::from(page));
    built.unwrap_or_default()
}

/// What a request is called: each by a name of its own, however many come in a millisecond.
fn request_id(now: Ms) -> String {
    static ANSWERED: AtomicU32 = AtomicU32::new(0);
    format!("{:08x}-5eed-4000-8000-{now:012x}", ANSWERED.fetch_add(1, Ordering::Relaxed))
}
