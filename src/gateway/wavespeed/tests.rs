//! `WaveSpeed`'s adapter against answers as they were documented or guessed, and against the contract.

use std::sync::Mutex;

use serde_json::json;

use super::*;
use crate::domain::Effect;
use crate::gateway::contract;
use crate::gateway::rest::tests::*;

fn gateway(base: &str) -> WaveSpeedGateway {
    WaveSpeedGateway::new(settings(base), clock()).unwrap()
}

async fn submitted(status: u16, body: impl ToString) -> String {
    let body = body.to_string();
    let remote = Remote::start(move |_| reply(status, &body)).await;
    submit_says(&submit(&gateway(&remote.base), &effect(), &[by_url()]).await)
}

async fn observed(status: u16, body: impl ToString) -> Observed {
    let body = body.to_string();
    let remote = Remote::start(move |_| reply(status, &body)).await;
    let task = TaskId::new("8").unwrap();
    gateway(&remote.base).observe(Asked { task: &task, handle: None }).await
}

fn envelope(data: &Value) -> Value {
    json!({"code": 200, "message": "success", "data": data})
}

#[tokio::test]
async fn a_row_is_asked_for_by_its_scene_and_its_image() {
    let remote = Remote::start(|_| reply(200, envelope(&json!({"id": "8", "status": "created"})))).await;
    let gateway = gateway(&remote.base);
    let png = Picture::Raw(b"\x89PNG\r\n\x1a\n".as_slice().into());
    assert_eq!(submit_says(&submit(&gateway, &effect(), &[by_url()]).await), "accepted 8");
    assert_eq!(submit_says(&submit(&gateway, &Effect { duration: None, ..effect() }, &[png]).await), "accepted 8");
    let calls = remote.calls();
    assert!(calls.iter().all(|call| call.path == "/api/v3/kwaivgi/kling-effects" && call.method == "POST"));
    assert_eq!(calls[0].header("authorization"), format!("Bearer {KEY}"));
    assert_eq!(calls[0].json(), json!({"effect_scene": "squish", "image": "https://h/a.jpg"}));
    assert_eq!(calls[1].json(), json!({"effect_scene": "squish", "image": "data:image/png;base64,iVBORw0KGgo="}));
}

#[tokio::test]
async fn a_row_that_wavespeed_would_make_otherwise_is_not_sent() {
    let remote = Remote::start(|_| reply(200, envelope(&json!({"id": "8"})))).await;
    let gateway = gateway(&remote.base);
    for (effect, pictures) in [
        (effect(), &[by_url(), by_url()][..]),
        (Effect { duration: Some("10".into()), ..effect() }, &[by_url()]),
        (Effect { mode: Some("pro".into()), ..effect() }, &[by_url()]),
        (Effect { model: Some("kling-v1-6".into()), ..effect() }, &[by_url()]),
    ] {
        let says = submit_says(&submit(&gateway, &effect, pictures).await);
        assert!(says.starts_with("not sent: WaveSpeed "), "{says}");
    }
    assert!(remote.calls().is_empty());
}

#[tokio::test]
async fn every_answer_to_a_request_has_one_meaning() {
    let error = |code: u16, message: &str| json!({"code": code, "message": message, "data": null});
    for (status, body, expected) in [
        (400, error(400, "effect_scene is invalid"), "refused (HTTP 400): effect_scene is invalid"),
        // The envelope's code is a status, and the truer one.
        (200, error(400, "effect_scene is invalid"), "refused (HTTP 400): effect_scene is invalid"),
        (200, error(401, "invalid key"), "paused: Key"),
        (200, error(429, "Too many requests"), "not made: Rate"),
        (200, error(500, "oh"), "in doubt: HTTP 500"),
        (401, error(401, "invalid key"), "paused: Key"),
        (402, error(402, "x"), "paused: Balance"),
        (403, error(403, "Insufficient credits"), "paused: Balance"),
        (400, error(400, "Insufficient credits. Please top up."), "paused: Balance"),
        (404, error(404, "model not found"), "paused: Route"),
        (429, error(429, "max concurrent tasks reached"), "not made: Parallel"),
        (503, error(503, "busy"), "in doubt: HTTP 503"),
        (200, error(200, "success"), "in doubt: not understood"),
        (200, error(5004, "odd"), "in doubt: not understood"),
        (200, envelope(&json!({"id": ""})), "in doubt: not understood"),
        (
            200,
            json!({"code": 500, "message": "x", "data": {"id": "8", "status": "failed"}}),
            "in doubt: not understood",
        ),
        (200, json!({"id": "8", "status": "created"}), "accepted 8"),
    ] {
        assert_eq!(submitted(status, &body).await, expected, "{status} {body}");
    }
    assert_eq!(submitted(200, "<!doctype html><title>WaveSpeed</title>").await, "paused: Route");
    assert_eq!(submitted(524, "<html>").await, "in doubt: HTTP 524");
}

#[tokio::test]
async fn a_prediction_ends_only_by_its_own_status() {
    let told = |status: &str, more: Value| {
        let mut data = json!({"id": "8", "status": status, "outputs": [], "error": "", "timings": {"inference": 6710}});
        data.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        envelope(&data)
    };
    let nothing = json!({});
    let video = json!({"outputs": ["https://cdn.wavespeed.ai/a.mp4"]});
    for (body, says) in [
        (told("created", nothing.clone()), "pending created"),
        (told("processing", video.clone()), "pending processing"),
        (told("warming_up", nothing.clone()), "pending warming_up"),
        (told("completed", video), "succeeded https://cdn.wavespeed.ai/a.mp4 after 6710 ms"),
        (told("completed", nothing.clone()), "pending completed"),
        (told("completed", json!({"outputs": ["ftp://h/a", 1]})), "pending completed"),
        (told("failed", json!({"error": "no face"})), "failed: no face after 6710 ms"),
        (told("failed", nothing.clone()), "failed:  after 6710 ms"),
        (told("cancelled", nothing.clone()), "failed: cancelled after 6710 ms"),
        (told("timeout", json!({"error": "too long"})), "failed: too long after 6710 ms"),
        (told("deleted", nothing), "failed: deleted after 6710 ms"),
    ] {
        assert_eq!(observe_says(&observed(200, &body).await), says, "{body}");
    }
    let error = |code: u16, message: &str| json!({"code": code, "message": message});
    for (status, body, says) in [
        (404, error(404, "prediction not found"), "not visible"),
        (200, error(404, "prediction not found"), "not visible"),
        (400, error(400, "task does not exist"), "not visible"),
        (400, error(400, "odd"), "unclear: HTTP 400: odd"),
        (401, error(401, "no"), "paused: Key"),
        (429, error(429, "slow"), "unclear: HTTP 429: slow"),
        (500, error(500, "task not found"), "unclear: HTTP 500: task not found"),
        // A failure that comes with an error's status is not believed.
        (500, told_failed(), "unclear: HTTP 500: gone"),
    ] {
        assert_eq!(observe_says(&observed(status, &body).await), says, "{status} {body}");
    }
    assert_eq!(observe_says(&observed(404, "<html>").await), "unclear: HTTP 404: an HTML page");
}

fn told_failed() -> Value {
    json!({"code": 500, "message": "gone", "data": {"id": "8", "status": "failed"}})
}

#[tokio::test]
async fn the_instant_of_its_making_is_told() {
    let data = json!({"id": "8", "status": "processing", "created_at": "2026-11-24T08:00:00.5Z"});
    let Observed::Seen(seen) = observed(200, envelope(&data)).await else { panic!() };
    assert_eq!(seen.created_at, Some("2026-11-24T08:00:00.5Z".parse().unwrap()));
    assert_eq!(seen.took, None);
}

#[tokio::test]
async fn a_key_that_wavespeed_echoes_comes_out_nowhere() {
    for (status, body) in [
        (400, json!({"code": 400, "message": KEY})),
        (401, json!({"code": 401, "message": format!("bad key {KEY}")})),
        (200, json!({"unexpected": KEY})),
        (200, envelope(&json!({"id": "8", "status": "failed", "error": KEY}))),
        (200, envelope(&json!({"id": "8", "status": KEY}))),
    ] {
        let remote = Remote::start(move |_| with(reply(status, &body), REQUEST_ID, KEY)).await;
        let gateway = gateway(&remote.base);
        let task = TaskId::new("8").unwrap();
        let said = format!(
            "{:?} {:?} {:?} {gateway:?}",
            submit(&gateway, &effect(), &[by_url()]).await,
            gateway.observe(Asked { task: &task, handle: None }).await,
            gateway.probe().await,
        );
        assert!(!said.contains("taint"), "{said}");
    }
}

#[tokio::test]
async fn a_remote_like_wavespeed_keeps_the_contract() {
    let tasks = Mutex::new(0_u32);
    let remote = Remote::start(move |call| {
        let mut tasks = tasks.lock().unwrap();
        if call.method == "POST" {
            *tasks += 1;
            return reply(200, envelope(&json!({"id": format!("t{tasks}"), "status": "created"})));
        }
        let id = call.path.strip_prefix("/api/v3/predictions/").and_then(|path| path.strip_suffix("/result"));
        match id.and_then(|id| id.strip_prefix('t')?.parse::<u32>().ok()) {
            Some(number) if number <= *tasks => {
                reply(200, envelope(&json!({"id": id, "status": "processing", "outputs": []})))
            }
            _ => reply(404, json!({"code": 404, "message": "prediction not found"})),
        }
    })
    .await;
    let gateway = gateway(&remote.base);
    contract::holds_for(&gateway).await;
    assert_eq!(gateway.probe().await.unwrap().observed, Observed::NotVisible);
}
