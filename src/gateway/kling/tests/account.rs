//! What is left, what was charged, several tasks at once: asked of a remote that answers as documented, and of one that
//! does not know the question.

use std::sync::{Arc, Mutex};

use axum::Router;
use axum::body::Bytes;
use axum::http::{HeaderMap, Method, StatusCode, Uri};
use tokio::net::TcpListener;

use super::*;
use crate::gateway::{Charge, PauseReason};

/// What a remote was asked: method, path with query, the header with the key, body.
type Heard = Arc<Mutex<Vec<(String, Option<String>, String)>>>;

/// A remote that gives this answer to everything.
async fn remote(status: u16, body: &'static str) -> (String, Heard) {
    let heard = Heard::default();
    let kept = Arc::clone(&heard);
    let app = Router::new().fallback(move |method: Method, uri: Uri, headers: HeaderMap, sent: Bytes| async move {
        let shown = headers.get("authorization").map(|value| value.to_str().unwrap().to_owned());
        kept.lock().unwrap().push((format!("{method} {uri}"), shown, String::from_utf8(sent.to_vec()).unwrap()));
        (StatusCode::from_u16(status).unwrap(), body)
    });
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let base = format!("http://{}", listener.local_addr().unwrap());
    tokio::spawn(async move { axum::serve(listener, app).await.unwrap() });
    (base, heard)
}

fn kling(base: &str) -> KlingGateway {
    let capabilities = Capabilities { many: Some(20), ..ABLE };
    gateway(Settings { account: Account::Kling, capabilities, ..settings(base) })
}

fn comet(base: &str) -> KlingGateway {
    let account = Account::Comet { token: Some("at-taint".into()), quota: format!("{base}/user/quota") };
    gateway(Settings { account, capabilities: Capabilities::default(), ..settings(format!("{base}/kling")) })
}

fn asked(heard: &Heard) -> Vec<String> {
    heard.lock().unwrap().iter().map(|(asked, ..)| asked.clone()).collect()
}

const PACKS: &str = r#"{"code":0,"message":"SUCCEED","request_id":"u","data":{"code":0,"msg":"SUCCEED","resource_pack_subscribe_infos":[
    {"resource_pack_name":"Video-1000Units","resource_pack_id":"1","resource_pack_type":"decreasing_total","total_quantity":1000,"remaining_quantity":700.1,"invalid_time":1798761600000,"status":"online"},
    {"resource_pack_name":"Trial","resource_pack_id":"2","resource_pack_type":"decreasing_total","total_quantity":100,"remaining_quantity":0.2,"invalid_time":1798848000000,"status":"online"},
    {"resource_pack_name":"Old","resource_pack_id":"3","resource_pack_type":"decreasing_total","total_quantity":100,"remaining_quantity":50,"invalid_time":1598848000000,"status":"expired"}]}}"#;

#[tokio::test]
async fn what_is_left_at_kling_is_the_sum_of_the_packs_that_can_be_used() {
    let (base, heard) = remote(200, PACKS).await;
    let Told::Answer(balance) = kling(&base).balance().await else { panic!() };
    assert_eq!((balance.left.as_deref(), balance.of.as_str()), (Some("700.3"), "units"));
    assert_eq!(balance.words, "Video-1000Units until 2027-01-01, Trial until 2027-01-02");
    let (asked, shown, _) = heard.lock().unwrap()[0].clone();
    let (path, query) = asked.split_once('?').unwrap();
    assert_eq!(path, "GET /account/costs");
    let times: Vec<i64> = query.split('&').map(|pair| pair.split_once('=').unwrap().1.parse().unwrap()).collect();
    assert_eq!(times[1] - times[0], 30 * 24 * 3_600_000);
    assert_eq!(shown.as_deref(), Some("Bearer sk-taint-0123456789"));
}

#[tokio::test]
async fn a_balance_that_nobody_tells_is_unclear_and_pauses_only_whose_key_is_refused() {
    for (status, body) in [
        (404, "<html><title>404</title></html>"),
        (200, "<html><title>New API</title></html>"),
        (200, r#"{"code":0,"data":{"code":5000,"msg":"busy"}}"#),
        (200, r#"{"code":0,"data":{}}"#),
        (200, r#"{"code":0}"#),
        (500, r#"{"code":5000,"message":"x"}"#),
    ] {
        let (base, _) = remote(status, body).await;
        let told = kling(&base).balance().await;
        assert!(matches!(told, Told::Unclear { .. }), "{body}: {told:?}");
    }
    let (base, _) = remote(401, r#"{"code":1002,"message":"Authorization is invalid"}"#).await;
    assert!(matches!(kling(&base).balance().await, Told::Paused(Pause { reason: PauseReason::Key, .. })));
    let silent = gateway(settings(&base));
    assert_eq!(silent.balance().await, Told::NotOffered);
    assert!(matches!(silent.charges((Timestamp::MIN, Timestamp::MAX), None).await, Told::NotOffered));
}

#[tokio::test]
async fn what_is_left_at_cometapi_is_asked_with_the_key_which_is_shown_nowhere() {
    let body = r#"{"username":"u","total_quota":12.5,"total_used_quota":7.25,"request_count":9,"keys":[{"name":"a","remain_quota":-1,"used_quota":1}]}"#;
    let (base, heard) = remote(200, body).await;
    let Told::Answer(balance) = comet(&base).balance().await else { panic!() };
    assert_eq!((balance.left.as_deref(), balance.of.as_str()), (Some("12.5"), "USD"));
    assert_eq!(balance.words, "7.25 USD used so far");
    let (asked, shown, _) = heard.lock().unwrap()[0].clone();
    assert_eq!((asked.as_str(), shown), ("GET /user/quota?key=sk-taint-0123456789", None));

    // A key that has a limit of its own ends with it, whatever the account has.
    let limited = r#"{"total_quota":12.5,"keys":[{"name":"a","remain_quota":3}]}"#;
    let (base, _) = remote(200, limited).await;
    let Told::Answer(balance) = comet(&base).balance().await else { panic!() };
    assert_eq!(balance.left.as_deref(), Some("3"));

    let mut said = Vec::new();
    for (status, body) in [
        (401, "no such key sk-taint-0123456789"),
        (200, "<html>"),
        (200, "{}"),
        (302, ""),
        (200, r#"{"success":false,"total_quota":12.5}"#),
        (500, r#"{"total_quota":12.5}"#),
    ] {
        let (base, _) = remote(status, body).await;
        said.push(format!("{:?}", comet(&base).balance().await));
    }
    // Nobody listens: the transport's own words would have the address.
    let free = TcpListener::bind("127.0.0.1:0").await.unwrap().local_addr().unwrap();
    said.push(format!("{:?} {:?}", comet(&format!("http://{free}")).balance().await, comet("http://h")));
    // One that an address cannot carry as it is, by a server that shows the address.
    let (base, _) = remote(404, "Cannot GET /user/quota?key=sk%2Ftaint%2B1").await;
    let account = Account::Comet { token: None, quota: format!("{base}/user/quota") };
    let odd = Settings { account, credentials: Credentials::Key("sk/taint+1".into()), ..settings(&base) };
    said.push(format!("{:?}", gateway(odd).balance().await));
    for text in said {
        assert!(text.contains("Unclear") && !text.contains("taint"), "{text}");
    }
}

#[tokio::test]
async fn charges_come_page_by_page_until_there_are_no_more() {
    let body = r#"{"code":0,"message":"SUCCEED","request_id":"u","data":{"result":{"detail":[
        {"task_id":"8","api_key_name":"k","deduction_time":1774805313166,"unit_before_deduction":"10","deduction_amount":"3.5","unit_after_deduction":"6.5"},
        {"task_id":"9","deduction_amount":2,"deduction_time":0},
        {"task_id":"","deduction_amount":"1"},{"task_id":"10","deduction_amount":"free"}],"count":4},"next_cursor":"c2","has_more":true}}"#;
    let (base, heard) = remote(200, body).await;
    let gateway = kling(&base);
    let span = ("2026-11-01T00:00:00Z".parse().unwrap(), "2026-11-24T00:00:00Z".parse().unwrap());
    let Told::Answer(first) = gateway.charges(span, None).await else { panic!() };
    let charge = |task: &str, units: &str, at: Option<i64>| Charge {
        task: TaskId::new(task).unwrap(),
        units: units.into(),
        at: at.map(|at| Timestamp::from_millisecond(at).unwrap()),
    };
    assert_eq!(first.charges, [charge("8", "3.5", Some(1_774_805_313_166)), charge("9", "2", None)]);
    assert_eq!(first.next.as_deref(), Some("c2"));
    // A cursor that leads to itself is an end.
    let Told::Answer(second) = gateway.charges(span, first.next.as_deref()).await else { panic!() };
    assert_eq!(second.next, None);
    let heard = heard.lock().unwrap();
    let sent = |i: usize| serde_json::from_str::<serde_json::Value>(&heard[i].2).unwrap();
    assert_eq!(heard[0].0, "POST /account/billing/package");
    let (start, end) = (1_793_491_200_000_i64, 1_795_478_400_000_i64);
    assert_eq!(sent(0), serde_json::json!({"start_time": start, "end_time": end, "limit": 500}));
    assert_eq!(sent(1), serde_json::json!({"cursor": "c2", "limit": 500}));
}

#[tokio::test]
async fn several_tasks_are_asked_for_once_in_vain_and_never_again() {
    for (status, body) in [
        (401, r#"{"code":1002,"message":"The current API does not support AK/SK"}"#),
        (404, r#"{"code":1203,"message":"The requested resource does not exist"}"#),
        (404, "404 page not found"),
        (200, "<html><title>New API</title></html>"),
    ] {
        let (base, heard) = remote(status, body).await;
        let gateway = kling(&format!("{base}/kling"));
        let tasks = ["8", "9,10", "11"].map(|id| TaskId::new(id).unwrap());
        for _ in 0..2 {
            let listed = gateway.observe_many(&tasks).await;
            assert!(matches!(listed, Listed::Unclear { .. }), "{body}: {listed:?}");
        }
        assert_eq!(asked(&heard), ["GET /kling/tasks?task_ids=8,11"]);
        assert_eq!(gateway.capabilities().many, Some(20));
    }
    // It knows the question, and none of the tasks.
    let (base, heard) = remote(200, r#"{"code":0,"data":[{"id":"other","status":"processing"}]}"#).await;
    let blind = kling(&base);
    let tasks = [TaskId::new("8").unwrap()];
    assert_eq!(blind.observe_many(&tasks).await, Listed::Page(Vec::new()));
    assert!(matches!(blind.observe_many(&tasks).await, Listed::Unclear { .. }));
    assert_eq!(asked(&heard).len(), 1);
    // A bad moment is none.
    let (base, heard) = remote(502, "<html><title>502</title></html>").await;
    let gateway = kling(&base);
    gateway.observe_many(&tasks).await;
    gateway.observe_many(&tasks).await;
    assert_eq!(asked(&heard).len(), 2);
}

#[tokio::test]
async fn no_more_tasks_are_asked_for_at_once_than_the_remote_takes_and_no_others_come_out() {
    let body = r#"{"code":0,"data":[{"id":"t1","status":"processing"},{"id":"other","status":"processing"}]}"#;
    let (base, heard) = remote(200, body).await;
    let tasks: Vec<TaskId> = (1..=21).map(|i| TaskId::new(format!("t{i}")).unwrap()).collect();
    let Listed::Page(seen) = kling(&base).observe_many(&tasks).await else { panic!() };
    assert_eq!(seen.len(), 1);
    assert_eq!(asked(&heard)[0].matches(',').count(), 19);
}

#[tokio::test]
async fn the_latest_tasks_are_read_from_both_forms_of_the_list() {
    for body in [
        r#"{"success":true,"data":[{"id":1,"task_id":"a","status":"SUCCESS","created_at":1774805076}]}"#,
        r#"{"code":0,"data":{"items":[{"id":1,"task_id":"a","status":"SUCCESS","created_at":1774805076},{"id":2}]}}"#,
    ] {
        let (base, heard) = remote(200, body).await;
        let Told::Answer(tasks) = comet(&base).recent(2, 50).await else { panic!("{body}") };
        assert_eq!(tasks.iter().map(|seen| seen.task.as_str()).collect::<Vec<_>>(), ["a"]);
        assert_eq!(tasks[0].created_at.map(Timestamp::as_second), Some(1_774_805_076));
        let (asked, shown, _) = heard.lock().unwrap()[0].clone();
        assert_eq!(asked, "GET /api/task/self?p=2&page_size=50&platform=kling");
        assert_eq!(shown.as_deref(), Some("Bearer at-taint"), "the key was shown, or nothing");
    }
    let (base, _) = remote(401, r#"{"success":false,"message":"at-taint is wrong"}"#).await;
    let Told::Unclear { words } = comet(&base).recent(1, 50).await else { panic!() };
    assert!(words.starts_with("the account token was not accepted") && !words.contains("taint"), "{words}");
}
