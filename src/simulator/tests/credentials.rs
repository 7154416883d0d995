//! Who is let in: plain keys, signed tokens, each dialect's scheme.

use base64::prelude::BASE64_URL_SAFE_NO_PAD;

use super::*;

const TASK: &str = "/v1/videos/effects/1";

fn demanding(key: Option<&str>, pair: Option<(&str, &str)>) -> Credentials {
    let pair = pair.map(|(access, secret)| (access.to_owned(), secret.to_owned()));
    Credentials { key: key.map(str::to_owned), pair, ..Credentials::default() }
}

fn token(claims: &Value, secret: &str) -> String {
    token_of(&json!({ "alg": "HS256", "typ": "JWT" }), claims, secret)
}

fn token_of(head: &Value, claims: &Value, secret: &str) -> String {
    let part = |value: &Value| BASE64_URL_SAFE_NO_PAD.encode(value.to_string());
    let signed = format!("{}.{}", part(head), part(claims));
    let signature = BASE64_URL_SAFE_NO_PAD.encode(hmac_sha256(secret.as_bytes(), signed.as_bytes()));
    format!("Bearer {signed}.{signature}")
}

/// As Kling's documentation makes one, at `at`.
fn usual(at: i64) -> String {
    token(&json!({ "iss": "ak", "exp": at + 1800, "nbf": at - 5 }), "sk")
}

/// 1201 is the answer of somebody who was let in and asked for a task that is not there.
async fn code(client: &Client, authorization: &str) -> (u16, i64) {
    let (status, told) = client.call(TASK, authorization, None).await;
    (status, told["code"].as_i64().unwrap())
}

#[tokio::test]
async fn a_token_opens_only_when_it_is_signed_right_and_in_its_time() {
    let credentials = demanding(None, Some(("ak", "sk")));
    let (simulator, client) = start_at_noon(Settings { credentials, ..quick() }).await;
    let plain = token_of(&json!({ "alg": "none" }), &json!({ "iss": "ak", "exp": NOON + 1800, "nbf": NOON - 5 }), "sk");
    for (what, authorization, expected) in [
        ("right", usual(NOON), (400, 1201)),
        (
            "signed by another",
            token(&json!({ "iss": "ak", "exp": NOON + 1800, "nbf": NOON - 5 }), "other"),
            (401, 1002),
        ),
        ("another's", token(&json!({ "iss": "other", "exp": NOON + 1800, "nbf": NOON - 5 }), "sk"), (401, 1002)),
        ("without an end", token(&json!({ "iss": "ak", "nbf": NOON - 5 }), "sk"), (401, 1002)),
        ("unsigned", plain, (401, 1002)),
        ("from a clock ahead", usual(NOON + 60), (401, 1003)),
        ("from yesterday", usual(NOON - 86_400), (401, 1004)),
        ("a plain key", "Bearer sk-plain".to_owned(), (401, 1002)),
        ("nothing", String::new(), (401, 1002)),
        ("another scheme", usual(NOON).replace("Bearer", "Key"), (401, 1002)),
    ] {
        assert_eq!(code(&client, &authorization).await, expected, "{what}");
    }
    let (_, told) = client.call(TASK, "Bearer garbage", None).await;
    assert_eq!(told["message"], "The token was expected to have 3 parts, but got 0");
    pass(1_800).await;
    assert_eq!(code(&client, &usual(NOON)).await, (401, 1004), "a night is longer than a token");
    assert_eq!(code(&client, &usual(NOON + 1_800)).await, (400, 1201));
    simulator.shutdown().await;
}

#[tokio::test]
async fn a_key_and_a_pair_are_taken_beside_each_other() {
    let credentials = demanding(Some("plain"), Some(("ak", "sk")));
    let (simulator, client) = start_at_noon(Settings { credentials, ..quick() }).await;
    assert_eq!(code(&client, "Bearer plain").await, (400, 1201));
    assert_eq!(code(&client, &usual(NOON)).await, (400, 1201));
    assert_eq!(code(&client, "Bearer other").await, (401, 1002));
    let (status, told) = client.call("/tasks?task_ids=1", &usual(NOON), None).await;
    assert_eq!((status, &told["code"]), (401, &json!(1002)));
    assert!(told["message"].as_str().unwrap().contains("does not support AK/SK"), "{told}");
    assert_eq!(client.call("/tasks?task_ids=1", "Bearer other", None).await.0, 401);
    assert_eq!(client.call("/tasks?task_ids=1", "Bearer plain", None).await.0, 200);
    simulator.shutdown().await;
}

#[tokio::test]
async fn a_clock_that_is_off_shows_in_every_date_and_judges_tokens() {
    for (offset, expected) in [(600, (401, 1004)), (0, (400, 1201)), (-600, (401, 1003))] {
        let settings = Settings {
            credentials: demanding(None, Some(("ak", "sk"))),
            clock_offset: jiff::SignedDuration::from_secs(offset),
            ..quick()
        };
        let (simulator, client) = start_at_noon(settings).await;
        let short = token(&json!({ "iss": "ak", "exp": NOON + 300, "nbf": NOON - 5 }), "sk");
        assert_eq!(code(&client, &short).await, expected, "{offset}");
        for path in [TASK, "/_simulator/stats", "/files/x.mp4", "/nowhere"] {
            let (_, date, _) = client.call_dated(path, "", None).await;
            assert!((date - NOON - offset).abs() < 60, "{path}: {date}");
        }
        let corrected = usual(NOON + offset);
        assert_eq!(code(&client, &corrected).await, (400, 1201), "{offset}: by the date that it was told");
        simulator.shutdown().await;
    }
}

#[tokio::test]
async fn a_token_may_be_taken_for_a_shorter_time_than_it_says() {
    let settings = Settings {
        credentials: demanding(None, Some(("ak", "sk"))),
        token_age: Some(Duration::from_secs(60)),
        ..quick()
    };
    let (simulator, client) = start_at_noon(settings).await;
    assert_eq!(code(&client, &usual(NOON)).await, (400, 1201));
    pass(90).await;
    assert_eq!(code(&client, &usual(NOON)).await, (401, 1004));
    assert_eq!(code(&client, &usual(NOON + 90)).await, (400, 1201));
    simulator.shutdown().await;
}

#[tokio::test]
async fn every_gateway_has_its_scheme_and_its_words_for_a_wrong_key() {
    for (dialect, path, scheme, unknown, words) in [
        (Dialect::Comet, TASK, "Bearer", 400, json!({ "type": "comet_api_error" })),
        (Dialect::NewApi, TASK, "Bearer", 400, json!({ "type": "new_api_error" })),
        (Dialect::Fal, "/fal-ai/kling-video/requests/1/status", "Key", 404, Value::Null),
        (Dialect::WaveSpeed, "/api/v3/predictions/1/result", "Bearer", 404, Value::Null),
    ] {
        let credentials = demanding(Some("k"), Some(("ak", "sk")));
        let (simulator, client) = start_at_noon(Settings { credentials, ..Settings::speaking(dialect) }).await;
        assert_eq!(client.call(path, &format!("{scheme} k"), None).await.0, unknown, "{dialect:?}");
        let other = if scheme == "Key" { "Bearer k" } else { "Key k" };
        for wrong in [other, "Bearer other", "Key other", "", &usual(NOON)] {
            let (status, told) = client.call(path, wrong, None).await;
            assert_eq!(status, 401, "{dialect:?}: {wrong}");
            assert_eq!(told["error"]["type"], words["type"], "{dialect:?}: {told}");
        }
        simulator.shutdown().await;
    }
}

#[test]
fn credentials_are_not_shown() {
    let settings = Settings { credentials: demanding(Some("hush"), Some(("ak", "hush"))), ..quick() };
    assert!(!format!("{settings:?}").contains("hush"));
}
