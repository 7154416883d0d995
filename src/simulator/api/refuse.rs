//! Refusals, in each dialect's words.

use axum::http::{HeaderName, HeaderValue};
use axum::response::Response;
use serde_json::{Value, json};

use super::super::Dialect;
use super::super::refusal::Refusal;
use super::{answer, html};

/// The id that is told with every error.
const REQUEST: &str = "5eed0000-0000-4000-8000-000000000000";
/// That new-api puts one text in place of every 429's message, whatever the remote said, was read in its source: that the
/// groups are saturated. The exact words do not matter.
const SATURATED: &str = "当前分组上游负载已饱和,请稍后再试";

/// A refusal in the dialect's words.
pub(super) fn refuse(dialect: Dialect, refusal: &Refusal) -> Response {
    match dialect {
        Dialect::Kling => kling(refusal),
        Dialect::Comet => comet(refusal),
        Dialect::NewApi => new_api(refusal),
        Dialect::Fal => fal(refusal),
        Dialect::WaveSpeed => wavespeed(refusal),
    }
}

/// Status, code and words as Kling's table of errors has them; those that are not in it were seen by others. What is said
/// of a full rate and of a parallel limit was seen as well.
fn official(refusal: &Refusal) -> (u16, u32, String) {
    let (status, code, words) = match refusal {
        Refusal::BadKey(words) => (401, 1002, *words),
        Refusal::TooEarly => (401, 1003, "Authorization is not yet valid"),
        Refusal::Expired => (401, 1004, "Authorization has expired"),
        Refusal::Rate => (429, 1302, "Too many requests; rate limit exceeded"),
        Refusal::Busy => (429, 1303, "parallel task over resource pack limit"),
        Refusal::NoBalance => (429, 1102, "Resource pack exhausted or expired (prepaid scenario)"),
        Refusal::Internal => (500, 5000, "Server internal error"),
        Refusal::Policy => (400, 1301, "Trigger the platform's content security policy"),
        Refusal::Duplicate(id) => return (400, 1201, format!("External_task_id {id} already exists")),
        Refusal::NoTask(id) => return (400, 1201, format!("Task not found by id/external id: {id}")),
        Refusal::NoResource => (404, 1203, "The requested resource does not exist, such as the model"),
        Refusal::NoMethod => (404, 1202, "The requested method is invalid"),
        Refusal::Invalid(words) => return (400, 1201, words.clone()),
        Refusal::Malformed => (400, 1200, "Invalid request parameters"),
    };
    (status, code, words.to_owned())
}

fn official_body(refusal: &Refusal) -> Value {
    let (_, code, words) = official(refusal);
    json!({ "code": code, "message": words, "request_id": REQUEST })
}

fn kling(refusal: &Refusal) -> Response {
    answer(official(refusal).0, official_body(refusal))
}

/// `CometAPI`'s own envelope is documented, and that a body it cannot read comes back as 500 with `invalid_request`; that
/// what Kling itself says is passed through, and the code of an empty balance, are guesses.
fn comet(refusal: &Refusal) -> Response {
    let own = |status, code: &str, words: &str| {
        let message = format!("{words} (request id: {REQUEST})");
        let error = json!({ "message": message, "type": "comet_api_error", "param": "", "code": code });
        answer(status, json!({ "error": error }))
    };
    match refusal {
        Refusal::BadKey(_) | Refusal::TooEarly | Refusal::Expired => own(401, "", "Invalid token"),
        Refusal::Rate => own(429, "", "Too many requests"),
        Refusal::NoBalance => own(403, "insufficient_user_quota", "the balance is not enough"),
        Refusal::Internal => own(500, "", "internal error"),
        Refusal::Malformed => own(500, "invalid_request", "the body cannot be read"),
        Refusal::NoTask(_) => task_not_exist(),
        Refusal::NoMethod => html(200),
        Refusal::Busy | Refusal::Policy | Refusal::Duplicate(_) | Refusal::NoResource | Refusal::Invalid(_) => {
            kling(refusal)
        }
    }
}

/// As read in new-api's source; the 404 is one-hub's. The status of an empty balance is a guess.
fn new_api(refusal: &Refusal) -> Response {
    match refusal {
        Refusal::BadKey(_) | Refusal::TooEarly | Refusal::Expired => {
            let message = format!("Invalid token (request id: {REQUEST})");
            answer(401, json!({ "error": { "message": message, "type": "new_api_error", "code": "" } }))
        }
        Refusal::Rate | Refusal::Busy => task_error(429, "fail_to_fetch_task", SATURATED),
        Refusal::NoBalance => task_error(403, "quota_not_enough", "user quota is not enough"),
        Refusal::Internal => task_error(500, "do_request_failed", "do request failed"),
        Refusal::Malformed => task_error(400, "invalid_request", "the body cannot be read"),
        Refusal::NoTask(_) => task_not_exist(),
        Refusal::NoResource => answer(404, json!({ "code": "task_not_exist", "message": "" })),
        Refusal::NoMethod => html(200),
        // What the remote said, as text within the text.
        Refusal::Policy | Refusal::Duplicate(_) | Refusal::Invalid(_) => {
            task_error(official(refusal).0, "fail_to_fetch_task", &official_body(refusal).to_string())
        }
    }
}

fn task_error(status: u16, code: &str, message: &str) -> Response {
    answer(status, json!({ "code": code, "message": message, "data": null }))
}

/// How the new-api family says that there is no such task: a 400.
pub(super) fn task_not_exist() -> Response {
    task_error(400, "task_not_exist", "task_not_exist")
}

/// fal documents two shapes: a list of errors from the model, one text with an `error_type` from the platform. The words
/// for an empty balance were seen by others; those for a wrong key, for too many requests and for an unknown request are
/// guesses.
fn fal(refusal: &Refusal) -> Response {
    let platform = |status, kind: &'static str, words: &str| {
        let mut refused = answer(status, json!({ "detail": words, "error_type": kind }));
        refused.headers_mut().insert(HeaderName::from_static("x-fal-error-type"), HeaderValue::from_static(kind));
        refused
    };
    match refusal {
        Refusal::BadKey(_) | Refusal::TooEarly | Refusal::Expired => {
            answer(401, json!({ "detail": "Authentication is required to access this application" }))
        }
        Refusal::Rate | Refusal::Busy => answer(429, json!({ "detail": "Too many requests" })),
        Refusal::NoBalance => {
            let words = "User is locked. Reason: Exhausted balance. Top up your balance at fal.ai/dashboard/billing.";
            answer(403, json!({ "detail": words }))
        }
        Refusal::Internal => platform(500, "internal_error", "An unexpected internal error occurred"),
        Refusal::Malformed => platform(400, "bad_request", "The body is not valid JSON"),
        Refusal::Policy => answer(422, fal_detail("content_policy_violation", "The content could not be processed")),
        Refusal::Invalid(words) => answer(422, fal_detail("value_error", words)),
        Refusal::Duplicate(id) => answer(422, fal_detail("value_error", id)),
        Refusal::NoTask(_) | Refusal::NoResource => answer(404, json!({ "detail": "Request not found" })),
        Refusal::NoMethod => answer(404, json!({ "detail": "Path not found" })),
    }
}

/// A model's error, as fal documents it.
pub(super) fn fal_detail(kind: &str, words: &str) -> Value {
    let url = format!("https://docs.fal.ai/errors/#{kind}");
    json!({ "detail": [{ "loc": ["body"], "msg": words, "type": kind, "url": url }] })
}

/// The envelope is documented, and that a wrong key is a 401; the other statuses and all words are guesses.
fn wavespeed(refusal: &Refusal) -> Response {
    let (status, words) = match refusal {
        Refusal::BadKey(_) | Refusal::TooEarly | Refusal::Expired => (401, "invalid authentication"),
        Refusal::Rate => (429, "too many requests"),
        Refusal::Busy => (429, "too many concurrent tasks"),
        Refusal::NoBalance => (402, "insufficient credits"),
        Refusal::Internal => (500, "internal server error"),
        Refusal::Policy => (400, "the content was flagged as potentially sensitive"),
        Refusal::Malformed => (400, "the body is not valid JSON"),
        Refusal::Invalid(words) | Refusal::Duplicate(words) => (400, words.as_str()),
        Refusal::NoTask(_) | Refusal::NoResource => (404, "prediction not found"),
        Refusal::NoMethod => (404, "product not found"),
    };
    answer(status, json!({ "code": status, "message": words, "data": null }))
}
