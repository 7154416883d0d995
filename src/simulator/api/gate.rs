//! What every dialect's requests go through: the credentials, the faults on the way in and out, the making of a task.

use axum::http::{HeaderMap, HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use serde_json::Value;

use super::super::door::Cut;
use super::super::fault::Kind;
use super::super::refusal::Refusal;
use super::super::task::{Ms, Task, Told, Wanted};
use super::super::token;
use super::super::world::{Created, World};
use super::super::{Dialect, files};
use super::{Ground, html, refuse};

/// What a legacy path of Kling's says to a key that is none, where it expects a token (observed).
const NO_TOKEN: &str = "The token was expected to have 3 parts, but got 0";

/// Which question about a task is asked.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Question {
    /// How it fares.
    Status,
    /// What it came to, where that is another question.
    Result,
}

/// The word before a key.
const fn scheme(dialect: Dialect) -> &'static str {
    match dialect {
        Dialect::Kling | Dialect::Comet | Dialect::NewApi | Dialect::WaveSpeed => "Bearer ",
        Dialect::Fal => "Key ",
    }
}

/// What a request is refused for that does not carry what is demanded.
fn unauthorized(ground: &Ground, headers: &HeaderMap) -> Option<Response> {
    let bad = ground.shared.world().strikes(Kind::BadKey).is_some();
    let refusal = if bad { Some(Refusal::BadKey("Authorization is invalid")) } else { check(ground, headers).err() };
    refusal.map(|refusal| ground.refuse(&refusal))
}

/// What follows the scheme of the `Authorization` header.
pub(super) fn given<'a>(headers: &'a HeaderMap, scheme: &str) -> Option<&'a str> {
    headers.get(header::AUTHORIZATION)?.to_str().ok()?.strip_prefix(scheme)
}

fn check(ground: &Ground, headers: &HeaderMap) -> Result<(), Refusal> {
    let settings = &ground.shared.settings;
    let pair = settings.credentials.pair.as_ref().filter(|_| settings.dialect == Dialect::Kling);
    let key = settings.credentials.key.as_deref();
    if key.is_none() && pair.is_none() {
        return Ok(());
    }
    let given = given(headers, scheme(settings.dialect)).unwrap_or("");
    if key == Some(given) {
        return Ok(());
    }
    match pair {
        Some(pair) if token::is_token(given) => {
            let most_age = settings.token_age.map(|age| i64::try_from(age.as_secs()).unwrap_or(i64::MAX));
            token::check(given, pair, ground.seconds(), most_age).map_err(Refusal::from)
        }
        Some(_) => Err(Refusal::BadKey(NO_TOKEN)),
        None => Err(Refusal::BadKey("Authorization is invalid")),
    }
}

/// Whether a request that makes nothing may come in.
pub(super) fn closed(ground: &Ground, headers: &HeaderMap) -> Option<Response> {
    unauthorized(ground, headers).or_else(|| ground.shared.world().strikes(Kind::Html200).map(|_| html(200)))
}

/// A creation: the credentials, faults on the way in, the task, faults on the way out. `told` is how the dialect answers.
pub(super) async fn create(
    ground: &Ground,
    cut: &Cut,
    headers: &HeaderMap,
    wanted: Result<Wanted, Refusal>,
    told: impl FnOnce(&Task, Ms) -> Value,
) -> Response {
    let shared = &ground.shared;
    if let Some(refused) = unauthorized(ground, headers).or_else(|| before(ground, cut)) {
        return refused;
    }
    let wanted = match wanted {
        Ok(wanted) => shared.fetcher.fetch(wanted, &shared.clock).await,
        Err(refusal) => Err(refusal),
    };
    let now = shared.now();
    let wanted = wanted.map(|(wanted, fetched)| {
        shared.world().stats.pictures_fetched += fetched;
        wanted
    });
    let created = match wanted {
        Ok(wanted) => shared.world().create(wanted, now),
        Err(refusal) => {
            let mut world = shared.world();
            world.arrive(now);
            world.stats.refused_other += 1;
            Created::Refused(refusal)
        }
    };
    let task = match created {
        Created::Task(task) => task,
        Created::Refused(refusal) => return ground.refuse(&refusal),
    };
    if let Some(journal) = &shared.journal
        && journal.note(&task).is_err()
    {
        tracing::error!("the simulator's journal cannot be written");
    }
    ground.call_back(&task);
    after(ground, cut, told(&task, now)).await
}

/// Faults on the way in: nothing is made.
fn before(ground: &Ground, cut: &Cut) -> Option<Response> {
    let now = ground.shared.now();
    let mut world = ground.shared.world();
    let refused = if world.strikes(Kind::DropBefore).is_some() {
        cut.now();
        Some(StatusCode::OK.into_response())
    } else if world.strikes(Kind::Html200).is_some() {
        Some(html(200))
    } else if world.strikes(Kind::Refuse429).is_some() {
        world.stats.refused_rate += 1;
        let mut refused = ground.refuse(&Refusal::Rate);
        refused.headers_mut().insert(header::RETRY_AFTER, HeaderValue::from_static("1"));
        Some(refused)
    } else if world.strikes(Kind::Busy1303).is_some() {
        world.stats.refused_parallel += 1;
        Some(ground.refuse(&Refusal::Busy))
    } else if world.strikes(Kind::Error500Before).is_some() {
        Some(ground.refuse(&Refusal::Internal))
    } else if world.strikes(Kind::Html502Before).is_some() {
        Some(html(502))
    } else if world.strikes(Kind::Reject).is_some() {
        world.stats.refused_other += 1;
        Some(ground.refuse(&Refusal::Policy))
    } else {
        None
    };
    if refused.is_some() {
        world.arrive(now);
    }
    refused
}

/// Faults on the way out: the task is made.
async fn after(ground: &Ground, cut: &Cut, answer: Value) -> Response {
    let strikes = |kind| ground.shared.world().strikes(kind);
    if strikes(Kind::LoseAnswer).is_some() {
        cut.now();
    } else if strikes(Kind::Error500After).is_some() {
        return ground.refuse(&Refusal::Internal);
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
        ground.shared.clock.sleep(slow).await;
    }
    axum::Json(answer).into_response()
}

/// A question about one task, by either id; or what it is answered by when something is wrong.
#[expect(clippy::result_large_err, reason = "an answer either way, made once a request")]
pub(super) fn ask(
    ground: &Ground,
    cut: &Cut,
    headers: &HeaderMap,
    id: &str,
    question: Question,
) -> Result<Told, Response> {
    if let Some(refused) = closed(ground, headers) {
        return Err(refused);
    }
    let now = ground.shared.now();
    let mut world = ground.shared.world();
    let told = match question {
        Question::Status => world.query(id, now),
        Question::Result => world.look(id, now),
    };
    let badly = asked_badly(ground, cut, &mut world).or_else(|| not_found(ground, id, &mut world));
    drop(world);
    if let Some(refused) = badly {
        return Err(refused);
    }
    told.ok_or_else(|| ground.refuse(&Refusal::NoTask(id.to_owned())))
}

/// A task that is there, and of which it is said that it is not.
fn not_found(ground: &Ground, id: &str, world: &mut World) -> Option<Response> {
    let nothing = Refusal::NoTask(id.to_owned());
    if world.strikes(Kind::QueryNotFound).is_some() {
        Some(ground.refuse(&nothing))
    } else if world.strikes(Kind::QueryTaskNotExist).is_some() {
        Some(match ground.shared.settings.dialect {
            Dialect::Kling | Dialect::Comet | Dialect::NewApi => refuse::task_not_exist(),
            Dialect::Fal | Dialect::WaveSpeed => ground.refuse(&nothing),
        })
    } else {
        None
    }
}

/// Faults of a question, be it about one task or about many.
pub(super) fn asked_badly(ground: &Ground, cut: &Cut, world: &mut World) -> Option<Response> {
    let mut strikes = |kind| world.strikes(kind).is_some();
    if strikes(Kind::Query404) {
        Some(ground.refuse(&Refusal::NoResource))
    } else if strikes(Kind::QueryEndless) {
        Some(files::endless("application/json", b"{\"code\":0,\"data\":{\"words\":\""))
    } else if strikes(Kind::QueryGarbage) {
        Some((StatusCode::OK, "\u{1}{not json").into_response())
    } else if strikes(Kind::QueryHtml) {
        Some(html(200))
    } else if strikes(Kind::Query500) {
        Some(ground.refuse(&Refusal::Internal))
    } else if strikes(Kind::Query429) {
        Some(ground.refuse(&Refusal::Rate))
    } else if strikes(Kind::Query401) {
        Some(ground.refuse(&Refusal::BadKey("Authorization is invalid")))
    } else {
        if strikes(Kind::QueryDrop) {
            cut.now();
        }
        None
    }
}
