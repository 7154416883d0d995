//! The adapter with an access key and a secret key, against a remote that judges tokens by its own clock.

use std::sync::{Arc, Mutex};
use std::time::SystemTime;

use axum::Router;
use axum::extract::State;
use axum::http::{HeaderMap, Method, StatusCode};
use axum::response::{IntoResponse, Response};
use jiff::SignedDuration;
use jsonwebtoken::{Algorithm, DecodingKey, Validation, decode};
use serde_json::Value;
use tokio::net::TcpListener;

use super::*;
use crate::gateway::PauseReason;

const ACCESS: &str = "ak-taint-0123456789";
const SECRET: &str = "sk-taint-9876543210";

/// A remote whose clock is `ahead` of the client's.
struct Remote {
    clock: Clock,
    ahead: SignedDuration,
    /// It tells its time.
    dated: bool,
    /// What it was asked, and the code that it answered with.
    heard: Mutex<Vec<(Method, u32)>>,
}

impl Remote {
    /// The code for this token: Kling's documented ones.
    fn judge(&self, token: &str) -> u32 {
        let mut validation = Validation::new(Algorithm::HS256);
        validation.validate_exp = false;
        let Ok(token) = decode::<Value>(token, &DecodingKey::from_secret(SECRET.as_bytes()), &validation) else {
            return 1002;
        };
        let now = (self.clock.now() + self.ahead).as_second();
        match (&token.claims["iss"], token.claims["nbf"].as_i64().unwrap(), token.claims["exp"].as_i64().unwrap()) {
            (iss, ..) if iss != ACCESS => 1002,
            (_, nbf, _) if nbf > now => 1003,
            (_, _, exp) if exp <= now => 1004,
            _ => 0,
        }
    }
}

async fn answer(State(remote): State<Arc<Remote>>, method: Method, headers: HeaderMap) -> Response {
    let shown = headers["authorization"].to_str().unwrap().strip_prefix("Bearer ").unwrap().to_owned();
    let code = remote.judge(&shown);
    remote.heard.lock().unwrap().push((method, code));
    let (status, body) = match code {
        0 => (StatusCode::OK, r#"{"code":0,"data":{"task_id":"8","task_status":"processing"}}"#.to_owned()),
        code => (StatusCode::UNAUTHORIZED, format!(r#"{{"code":{code},"message":"not with {shown}"}}"#)),
    };
    let now = (remote.clock.now() + remote.ahead).as_second();
    let now = SystemTime::UNIX_EPOCH + Duration::from_secs(now.try_into().unwrap());
    let date = if remote.dated { httpdate::fmt_http_date(now) } else { "yesterday".into() };
    (status, [("date", date)], body).into_response()
}

async fn remote(ahead: i64, dated: bool) -> (KlingGateway, Arc<Remote>) {
    let clock = Clock::starting_at("2026-11-24T08:00:00Z".parse().unwrap());
    let ahead = SignedDuration::from_secs(ahead);
    let remote = Arc::new(Remote { clock: clock.clone(), ahead, dated, heard: Mutex::default() });
    let app = Router::new().fallback(answer).with_state(Arc::clone(&remote));
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let base = format!("http://{}", listener.local_addr().unwrap());
    tokio::spawn(async move { axum::serve(listener, app).await.unwrap() });
    let credentials = Credentials::AccessKey { access: ACCESS.into(), secret: SECRET.into() };
    (KlingGateway::new(Settings { credentials, ..settings(base) }, clock).unwrap(), remote)
}

fn heard(remote: &Remote) -> Vec<(Method, u32)> {
    remote.heard.lock().unwrap().clone()
}

async fn observe(gateway: &KlingGateway) -> Observed {
    gateway.observe(Asked { task: &TaskId::new("8").unwrap(), handle: None }).await
}

/// Lets time pass without waiting for it.
async fn pass(span: Duration) {
    tokio::time::pause();
    tokio::time::advance(span).await;
    tokio::time::resume();
}

#[tokio::test]
async fn a_night_goes_by_with_tokens_that_are_always_valid() {
    let (gateway, remote) = remote(0, true).await;
    for _ in 0..24 {
        assert_eq!(observe_says(&observe(&gateway).await), "pending processing");
        pass(Duration::from_mins(19)).await;
    }
    assert_eq!(submit_says(&submit(&gateway, by_url()).await), "accepted 8");
    assert!(heard(&remote).iter().all(|(_, code)| *code == 0));
}

#[tokio::test]
async fn a_clock_that_is_an_hour_off_costs_one_request_that_made_nothing() {
    for (ahead, code) in [(-3600, 1003), (3600, 1004), (-8, 1003)] {
        let (gateway, remote) = remote(ahead, true).await;
        assert_eq!(submit_says(&submit(&gateway, by_url()).await), "accepted 8", "{ahead}");
        assert_eq!(observe_says(&observe(&gateway).await), "pending processing");
        assert_eq!(heard(&remote), [(Method::POST, code), (Method::POST, 0), (Method::GET, 0)]);
        assert_eq!(gateway.probe().await.unwrap().ahead.map(|seen| (seen - ahead).abs() <= 1), Some(true));
    }
}

#[tokio::test]
async fn a_second_refusal_pauses_the_account_and_shows_no_secret() {
    let (gateway, remote) = remote(-3600, false).await;
    let submitted = submit(&gateway, by_url()).await;
    let Submitted::Paused(Pause { reason: PauseReason::Key, words }) = &submitted else { panic!("{submitted:?}") };
    assert!(words.contains("put this machine's clock right") && words.contains("[key]"), "{words}");
    assert!(!words.contains("eyJ") && !words.contains("taint"), "{words}");
    assert_eq!(heard(&remote), [(Method::POST, 1003), (Method::POST, 1003)]);
    let observed = observe(&gateway).await;
    assert_eq!(observe_says(&observed), "paused: Key");
    assert_eq!(heard(&remote).len(), 4);
}

#[tokio::test]
async fn a_wrong_pair_of_keys_is_not_tried_twice() {
    let (other, remote) = remote(0, true).await;
    let credentials = Credentials::AccessKey { access: ACCESS.into(), secret: "sk-other".into() };
    let gateway = gateway(Settings { credentials, ..settings(http::without_slash(&other.base)) });
    assert_eq!(submit_says(&submit(&gateway, by_url()).await), "paused: Key");
    assert_eq!(heard(&remote), [(Method::POST, 1002)]);
}
