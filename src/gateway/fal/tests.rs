//! fal's adapter against answers as they were documented or observed, and against the contract.

use std::sync::Mutex;

use serde_json::json;

use super::*;
use crate::domain::{Effect, Picture};
use crate::gateway::contract;
use crate::gateway::rest::tests::*;

const ROOT: &str = "/fal-ai/kling-video/requests/8";

fn gateway(base: &str) -> FalGateway {
    FalGateway::new(settings(base), clock()).unwrap()
}

/// What becomes of a request that is answered like this.
async fn submitted(status: u16, body: impl ToString) -> Submitted {
    let body = body.to_string();
    let remote = Remote::start(move |_| reply(status, &body)).await;
    submit(&gateway(&remote.base), &effect(), &[by_url()]).await
}

/// What a question comes to whose status and response are answered like this.
async fn observed(status: (u16, Value), response: (u16, &str)) -> String {
    let response = (response.0, response.1.to_owned());
    let remote = Remote::start(move |call| {
        let (status, body) = match call.path.strip_prefix(ROOT) {
            Some("/status") => (status.0, status.1.to_string()),
            Some("") => response.clone(),
            _ => (404, "<html>".to_owned()),
        };
        reply(status, body)
    })
    .await;
    let task = TaskId::new("8").unwrap();
    observe_says(&gateway(&remote.base).observe(Asked { task: &task, handle: None }).await)
}

fn completed() -> (u16, Value) {
    (200, json!({"status": "COMPLETED", "request_id": "8", "metrics": {"inference_time": 41.5}}))
}

fn handle(status: &str, response: &str) -> Handle {
    Handle::new(json!({"status": status, "response": response}).to_string()).unwrap()
}

#[tokio::test]
async fn a_row_is_asked_for_at_its_modes_path_with_what_it_sets() {
    let remote = Remote::start(|_| reply(200, json!({"request_id": "8"}))).await;
    let gateway = gateway(&remote.base);
    let two = [by_url(), Picture::Raw(vec![0xff, 0xd8].into())];
    let pro = Effect { mode: Some("pro".into()), model: Some("kling-v1-6".into()), duration: None, ..effect() };
    assert_eq!(submit_says(&submit(&gateway, &effect(), &two[..1]).await), "accepted 8");
    assert_eq!(submit_says(&submit(&gateway, &pro, &two).await), "accepted 8");

    let calls = remote.calls();
    let paths: Vec<&str> = calls.iter().map(|call| call.path.as_str()).collect();
    assert_eq!(paths, ["/fal-ai/kling-video/v1.6/standard/effects", "/fal-ai/kling-video/v1.6/pro/effects"]);
    assert_eq!(
        calls[0].json(),
        json!({"effect_scene": "squish", "input_image_urls": ["https://h/a.jpg"], "duration": "5"})
    );
    let images = json!(["https://h/a.jpg", "data:image/jpeg;base64,/9g="]);
    assert_eq!(calls[1].json(), json!({"effect_scene": "squish", "input_image_urls": images}));
    assert_eq!(calls[0].header("authorization"), format!("Key {KEY}"));
    assert_eq!((calls[0].header("x-app-fal-disable-fallback"), calls[0].header("x-fal-no-retry")), ("true", ""));
}

#[tokio::test]
async fn a_row_that_fal_would_make_otherwise_is_not_sent() {
    let remote = Remote::start(|_| reply(200, json!({"request_id": "8"}))).await;
    for effect in
        [Effect { mode: Some("master".into()), ..effect() }, Effect { model: Some("kling-v1-5".into()), ..effect() }]
    {
        let says = submit_says(&submit(&gateway(&remote.base), &effect, &[by_url()]).await);
        assert!(says.starts_with("not sent: fal "), "{says}");
    }
    assert!(remote.calls().is_empty());
}

#[tokio::test]
async fn what_was_taken_is_kept_with_the_addresses_that_fal_told() {
    let places = json!({"request_id": "8", "status": "IN_QUEUE", "status_url": "https://queue.fal.run/x/8/status",
        "response_url": "https://queue.fal.run/x/8", "cancel_url": "https://queue.fal.run/x/8/cancel"});
    let remote = Remote::start(move |_| with(reply(200, &places), REQUEST_ID, "gr-1")).await;
    let submitted = submit(&gateway(&remote.base), &effect(), &[by_url()]).await;
    let kept = handle("https://queue.fal.run/x/8/status", "https://queue.fal.run/x/8");
    let task = TaskId::new("8").unwrap();
    assert_eq!(submitted, Submitted::Accepted(Accepted { task, request_id: Some("gr-1".into()), handle: Some(kept) }));
}

#[tokio::test]
async fn every_answer_to_a_request_has_one_meaning() {
    let invalid = json!({"detail": [
        {"loc": ["body", "effect_scene"], "msg": "Input should be 'hug'", "type": "literal_error"},
        {"loc": ["body"], "msg": "Field required", "type": "missing"},
    ]});
    let locked = |reason: &str| json!({"detail": format!("User is locked. Reason: {reason}.")});
    let refused = "refused (literal_error): effect_scene: Input should be 'hug'; Field required";
    for (status, body, expected) in [
        (422, invalid, refused),
        (400, json!({"detail": "bad timeout", "error_type": "bad_request"}), "refused (bad_request): bad timeout"),
        (401, json!({"detail": "Authentication is required"}), "paused: Key"),
        (403, locked("Exhausted balance"), "paused: Balance"),
        (403, locked("Admin lock"), "paused: Account"),
        (404, json!({"detail": "Path /v1.6/standard/effects not found"}), "paused: Route"),
        (429, json!({"detail": "Too many concurrent requests"}), "not made: Parallel"),
        (504, json!({"detail": "Request timed out", "error_type": "request_timeout"}), "in doubt: HTTP 504"),
        (200, json!({"status": "IN_QUEUE"}), "in doubt: not understood"),
        (200, json!({"request_id": ""}), "in doubt: not understood"),
        (200, json!([]), "in doubt: not understood"),
        // An error names its request, too; one with an address is in the queue.
        (422, json!({"request_id": "8", "detail": "no"}), "refused (HTTP 422): no"),
        (
            400,
            json!({"request_id": "8", "status_url": "https://h/s", "response_url": "https://h/r"}),
            "in doubt: not understood",
        ),
    ] {
        assert_eq!(submit_says(&submitted(status, &body).await), expected, "{status} {body}");
    }
    assert_eq!(submit_says(&submitted(200, "<html><title>Welcome</title>").await), "paused: Route");
    assert_eq!(submit_says(&submitted(502, "<html><title>Bad</title>").await), "in doubt: HTTP 502");
}

#[tokio::test]
async fn a_page_from_a_remote_that_has_spoken_leaves_doubt() {
    let answers = Mutex::new(vec![reply(200, "<html>"), reply(200, json!({"request_id": "8"}))]);
    let remote = Remote::start(move |_| answers.lock().unwrap().pop().unwrap()).await;
    let gateway = gateway(&remote.base);
    assert_eq!(submit_says(&submit(&gateway, &effect(), &[by_url()]).await), "accepted 8");
    assert_eq!(submit_says(&submit(&gateway, &effect(), &[by_url()]).await), "in doubt: not understood");
}

#[tokio::test]
async fn a_request_is_pending_until_the_queue_says_that_it_is_completed() {
    let never = (500, "");
    for status in ["IN_QUEUE", "IN_PROGRESS", "RENDERING"] {
        assert_eq!(observed((202, json!({"status": status})), never).await, format!("pending {status}"));
    }
    let video = r#"{"video":{"url":"https://v3.fal.media/files/a.mp4","content_type":"video/mp4"}}"#;
    let says = observed(completed(), (200, video)).await;
    assert_eq!(says, "succeeded https://v3.fal.media/files/a.mp4 after 41500 ms");
    for (status, says) in [
        ((404, json!({"detail": "Request not found"})), "not visible"),
        ((401, json!({"detail": "no"})), "paused: Key"),
        ((403, json!({"detail": "User is locked. Reason: Exhausted balance."})), "paused: Balance"),
        ((422, json!({"detail": "bad id"})), "unclear: HTTP 422: bad id"),
        ((500, json!({"detail": "x", "error_type": "internal_error"})), "unclear: HTTP 500: x"),
        ((200, json!({"queue_position": 1})), r#"unclear: HTTP 200: {"queue_position":1}"#),
    ] {
        assert_eq!(observed(status, never).await, says);
    }
}

#[tokio::test]
async fn what_fal_says_that_it_charged_is_kept() {
    for (told, units) in [("5.04", Some("5.04")), ("0", Some("0")), ("-1", None), ("inf", None), ("much", None)] {
        let remote = Remote::start(move |call| {
            if call.path.ends_with("/status") {
                return reply(200, json!({"status": "COMPLETED"}));
            }
            with(reply(200, json!({"video": {"url": "https://v/a.mp4"}})), "x-fal-billable-units", told)
        })
        .await;
        let task = TaskId::new("8").unwrap();
        let observed = gateway(&remote.base).observe(Asked { task: &task, handle: None }).await;
        let Observed::Seen(seen) = observed else { panic!("{observed:?}") };
        assert_eq!(seen.units.as_deref(), units, "{told}");
    }
}

#[tokio::test]
async fn a_completed_request_fails_only_by_a_word_about_itself() {
    let moderated =
        r#"{"detail":[{"loc":["body","input_image_urls"],"msg":"flagged","type":"content_policy_violation"}]}"#;
    for (status, body, says) in [
        (422, moderated, "failed: input_image_urls: flagged after 41500 ms"),
        (422, &moderated[10..moderated.len() - 1], "failed: input_image_urls: flagged after 41500 ms"),
        (400, r#"{"detail":"face not found"}"#, "failed: face not found after 41500 ms"),
        (
            500,
            r#"{"detail":[{"msg":"Internal error","type":"internal_server_error"}]}"#,
            "failed: Internal error after 41500 ms",
        ),
        (504, r#"{"detail":"timed out","error_type":"request_timeout"}"#, "failed: timed out after 41500 ms"),
        (499, r#"{"detail":"cancelled","error_type":"client_cancelled"}"#, "failed: cancelled after 41500 ms"),
        // Perhaps the answering server's own trouble, or an address that is gone: the video may be there.
        (
            500,
            r#"{"detail":"oh","error_type":"internal_error"}"#,
            "unclear: completed, but its response is HTTP 500: oh",
        ),
        (502, "<html><title>Bad</title>", "unclear: completed, but its response is HTTP 502: an HTML page: Bad"),
        (404, r#"{"detail":"expired"}"#, "unclear: completed, but its response is HTTP 404: expired"),
        (429, r#"{"detail":"slow"}"#, "unclear: completed, but its response is HTTP 429: slow"),
        (200, "{", "unclear: completed, but its response is HTTP 200: {"),
        (401, r#"{"detail":"no"}"#, "paused: Key"),
        (200, r#"{"video":null}"#, "pending COMPLETED"),
        (200, r#"{"video":{"url":"javascript:alert(1)"}}"#, "pending COMPLETED"),
    ] {
        assert_eq!(observed(completed(), (status, body)).await, says, "{status} {body}");
    }
    let failed = (200, json!({"status": "COMPLETED", "error": "Runner gone", "error_type": "runner_disconnected"}));
    assert_eq!(observed(failed, (503, r#"{"message":"x"}"#)).await, "failed: Runner gone");
}

#[tokio::test]
async fn a_handle_is_followed_to_this_gateway_and_to_no_other() {
    let stranger = Remote::start(|_| reply(200, json!({"status": "COMPLETED"}))).await;
    let remote = Remote::start(|call| match call.path.as_str() {
        "/kept/status" => reply(200, json!({"status": "COMPLETED"})),
        "/kept" => reply(200, json!({"video": {"url": "https://v/a.mp4"}})),
        _ => reply(404, "{}"),
    })
    .await;
    let gateway = gateway(&remote.base);
    let task = TaskId::new("8").unwrap();
    let ask = async |handle: Handle| observe_says(&gateway.observe(Asked { task: &task, handle: Some(&handle) }).await);
    let (status, response) = (format!("{}/kept/status", remote.base), format!("{}/kept", remote.base));
    assert_eq!(ask(handle(&status, &response)).await, "succeeded https://v/a.mp4");
    for (status, response) in [
        (format!("{}/kept/status", stranger.base), response.clone()),
        (status.clone(), format!("{}/kept", stranger.base)),
        (status.replace("http:", "https:"), response.clone()),
        (status.replace("127.0.0.1", "127.0.0.1.evil.example"), response.clone()),
        (status.replace("//", "//user:word@"), response.clone()),
    ] {
        let says = ask(handle(&status, &response)).await;
        assert!(says.starts_with("unclear: the address kept for this task leads to "), "{status} {response}: {says}");
    }
    assert!(stranger.calls().is_empty());
    assert_eq!(remote.calls().len(), 2);
    // What is no handle of ours says nothing: the documented address is asked.
    assert_eq!(ask(Handle::new("{}").unwrap()).await, "not visible");
    assert_eq!(remote.calls()[2].path, format!("{ROOT}/status"));
}

#[test]
fn the_hosts_of_fal_are_one_remote() {
    let fal = gateway(BASE_URL);
    let theirs = |text: &str| fal.is_theirs(&Url::parse(text).unwrap());
    for url in ["https://queue.fal.run/x", "https://fal.run/x", "https://eu.queue.fal.run/x"] {
        assert!(theirs(url), "{url}");
    }
    for url in [
        "http://queue.fal.run/x",
        "https://queue.fal.run:8443/x",
        "https://my-fal.run/x",
        "https://queue.fal.run.evil.example/x",
        "https://fal.run@evil.example/x",
        "https://queue.falrun.com/x",
    ] {
        assert!(!theirs(url), "{url}");
    }
    // A base URL elsewhere trusts nothing but itself.
    assert!(!gateway("https://proxy.example").is_theirs(&Url::parse(BASE_URL).unwrap()));
}

#[tokio::test]
async fn a_key_that_fal_echoes_comes_out_nowhere() {
    let mut said = Vec::new();
    for (status, body) in [
        (422, json!({"detail": [{"loc": [KEY], "msg": KEY, "type": KEY}]}).to_string()),
        (401, json!({"detail": format!("bad key {KEY}")}).to_string()),
        (500, format!("<html><title>{KEY}</title>")),
        (200, json!({"unexpected": KEY}).to_string()),
        (200, json!({"status": KEY}).to_string()),
        (200, json!({"status": "FAILED", "error": KEY}).to_string()),
    ] {
        let remote = Remote::start(move |_| with(reply(status, &body), REQUEST_ID, KEY)).await;
        let gateway = gateway(&remote.base);
        let task = TaskId::new("8").unwrap();
        said.push(format!("{:?}", submit(&gateway, &effect(), &[by_url()]).await));
        said.push(format!("{:?}", gateway.observe(Asked { task: &task, handle: None }).await));
        said.push(format!("{:?} {gateway:?}", gateway.probe().await));
    }
    for text in said {
        assert!(!text.contains("taint"), "{text}");
    }
}

#[tokio::test]
async fn a_remote_like_fal_keeps_the_contract() {
    let tasks = Mutex::new(0_u32);
    let remote = Remote::start(move |call| {
        if call.header("authorization") != format!("Key {KEY}") {
            return reply(401, json!({"detail": "no"}));
        }
        let mut tasks = tasks.lock().unwrap();
        if call.method == "POST" && call.path.ends_with("/standard/effects") {
            *tasks += 1;
            let root = format!("http://{}/fal-ai/kling-video/requests/{tasks}", call.header("host"));
            return reply(
                200,
                json!({"request_id": tasks.to_string(), "status": "IN_QUEUE", "status_url": format!("{root}/status"),
                    "response_url": root}),
            );
        }
        let id = call.path.strip_prefix("/fal-ai/kling-video/requests/").and_then(|path| path.strip_suffix("/status"));
        match id.and_then(|id| id.parse::<u32>().ok()) {
            Some(id) if id <= *tasks => reply(202, json!({"status": "IN_QUEUE", "queue_position": 0})),
            _ => reply(404, json!({"detail": "Request not found"})),
        }
    })
    .await;
    let gateway = gateway(&remote.base);
    contract::holds_for(&gateway).await;
    assert_eq!(gateway.probe().await.unwrap().observed, Observed::NotVisible);
}
