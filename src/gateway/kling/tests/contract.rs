//! The contract, kept against a small remote that plays by Kling's documented rules.

use std::sync::{Arc, Mutex};

use axum::extract::{Path, Query, Request, State};
use axum::http::{HeaderMap, StatusCode};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use axum::{Json, Router};
use serde_json::{Value, json};
use tokio::net::TcpListener;

use super::*;
use crate::gateway::contract;

/// The external ids of the tasks; a task's id is its place, counted from 1, after `t`.
#[derive(Debug, Default)]
struct World {
    tasks: Vec<String>,
    unique: bool,
    requests: usize,
}

type Shared = State<Arc<Mutex<World>>>;
type Reply = (StatusCode, Json<Value>);

fn record(place: usize, external: &str) -> Value {
    json!({"task_id": format!("t{place}"), "task_status": "processing", "task_info": {"external_task_id": external},
        "task_result": {}, "created_at": 1_774_805_076_166_u64, "updated_at": 1_774_805_076_166_u64})
}

/// The newer question's form.
fn plain(place: usize, external: &str) -> Value {
    json!({"id": format!("t{place}"), "status": "processing", "message": "", "external_id": external, "outputs": [],
        "create_time": 1_774_805_076_166_u64, "update_time": 1_774_805_076_166_u64, "billing": []})
}

fn reply(world: &mut World, data: &Value) -> Reply {
    world.requests += 1;
    let id = format!("r{}", world.requests);
    (StatusCode::OK, Json(json!({"code": 0, "message": "SUCCEED", "request_id": id, "data": data})))
}

fn refusal(status: StatusCode, code: u32, message: &str) -> Reply {
    (status, Json(json!({"code": code, "message": message, "request_id": "r"})))
}

async fn let_in(headers: HeaderMap, request: Request, next: Next) -> Response {
    if headers["authorization"] == format!("Bearer {KEY}") {
        next.run(request).await
    } else {
        refusal(StatusCode::UNAUTHORIZED, 1002, "Authorization is invalid").into_response()
    }
}

async fn create(State(world): Shared, Json(body): Json<Value>) -> Reply {
    let external = body["external_task_id"].as_str().unwrap().to_owned();
    let mut world = world.lock().unwrap();
    if world.unique && world.tasks.contains(&external) {
        return refusal(StatusCode::BAD_REQUEST, 1201, &format!("External_task_id {external} already exists"));
    }
    world.tasks.push(external);
    let made = record(world.tasks.len(), &world.tasks[world.tasks.len() - 1]);
    reply(&mut world, &made)
}

async fn one(State(world): Shared, Path(id): Path<String>) -> Reply {
    let mut world = world.lock().unwrap();
    let known = world.tasks.iter().enumerate().find(|(i, external)| **external == id || format!("t{}", i + 1) == id);
    match known.map(|(i, external)| record(i + 1, external)) {
        Some(known) => reply(&mut world, &known),
        None => refusal(StatusCode::BAD_REQUEST, 1201, &format!("Task not found by id/external id: {id}")),
    }
}

async fn several(State(world): Shared, Query(query): Query<Vec<(String, String)>>) -> Reply {
    let [(name, ids)] = query.as_slice() else { panic!("{query:?}") };
    assert_eq!(name, "task_ids");
    let asked: Vec<&str> = ids.split(',').collect();
    assert!(asked.len() <= 20);
    let mut world = world.lock().unwrap();
    let known = world.tasks.iter().enumerate().filter(|(i, _)| asked.contains(&format!("t{}", i + 1).as_str()));
    let known = known.map(|(i, external)| plain(i + 1, external)).collect();
    reply(&mut world, &known)
}

async fn list(State(world): Shared, Query(query): Query<Vec<(String, usize)>>) -> Reply {
    let value = |name: &str| query.iter().find(|(key, _)| key == name).unwrap().1;
    let (page, size) = (value("pageNum"), value("pageSize"));
    let mut world = world.lock().unwrap();
    let all = world.tasks.iter().enumerate().map(|(i, external)| record(i + 1, external));
    let page = all.rev().skip((page - 1) * size).take(size).collect();
    reply(&mut world, &page)
}

/// new-api's list of tasks, which knows no references, for whoever comes with the token.
async fn rows(State(world): Shared, headers: HeaderMap, Query(query): Query<Vec<(String, String)>>) -> Reply {
    assert!(query.contains(&("platform".into(), "kling".into())), "{query:?}");
    if headers["authorization"] != "Bearer at-taint-0123456789" {
        return (StatusCode::OK, Json(json!({"success": false, "message": "无权进行此操作，access token 无效"})));
    }
    let row = |i: usize| json!({"task_id": format!("t{i}"), "status": "IN_PROGRESS", "submit_time": 1_774_805_076});
    let rows: Vec<Value> = (1..=world.lock().unwrap().tasks.len()).map(row).collect();
    let data = json!({"page": 1, "page_size": 100, "total": rows.len(), "items": rows});
    (StatusCode::OK, Json(json!({"success": true, "message": "", "data": data})))
}

async fn remote(unique: bool) -> String {
    let world = Arc::new(Mutex::new(World { unique, ..World::default() }));
    let app = Router::new()
        .route("/kling/v1/videos/effects", get(list).post(create))
        .route("/kling/v1/videos/effects/{id}", get(one))
        .route("/kling/tasks", get(several))
        .layer(axum::middleware::from_fn(let_in))
        .route("/api/task/self", get(rows))
        .with_state(world);
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let base = format!("http://{}/kling", listener.local_addr().unwrap());
    tokio::spawn(async move { axum::serve(listener, app).await.unwrap() });
    base
}

#[tokio::test]
async fn a_remote_like_kling_keeps_the_contract() {
    let capabilities = Capabilities { many: Some(20), ..ABLE };
    contract::holds_for(&gateway(Settings { capabilities, ..settings(remote(true).await) })).await;
}

#[tokio::test]
async fn a_gateway_of_unknown_abilities_keeps_the_contract() {
    let settings = Settings { capabilities: Capabilities::default(), ..settings(remote(false).await) };
    contract::holds_for(&gateway(settings)).await;
}

#[tokio::test]
async fn a_gateway_whose_tasks_are_told_to_another_token_keeps_the_contract_and_a_wrong_token_pauses_nothing() {
    let base = remote(false).await;
    let with = |token: &str| {
        let account = Account::Comet { token: Some(token.into()), quota: COMET_QUOTA.into() };
        gateway(Settings { account, capabilities: Capabilities::default(), ..settings(&base) })
    };
    contract::holds_for(&with("at-taint-0123456789")).await;
    let Told::Unclear { words } = with("at-other").recent(1, 20).await else { panic!() };
    assert!(words.contains("access token"), "{words}");
}

#[tokio::test]
async fn a_wrong_key_pauses_the_account() {
    let settings = Settings { credentials: Credentials::Key("sk-other".into()), ..settings(remote(true).await) };
    contract::a_stranger_is_not_let_in(&gateway(settings)).await;
}

#[tokio::test]
async fn a_task_of_somebody_else_is_never_adopted() {
    let base = remote(true).await;
    let gateway = gateway(settings(base));
    submit(&gateway, by_url()).await;
    // The remote answers to its own ids on the same path: `t1` is a task, but not one of this reference.
    assert_eq!(gateway.find(&client_ref("t1")).await, Observed::NotVisible);
    assert_eq!(observe_says(&gateway.find(&client_ref("nr-1-a1")).await), "pending processing");
}
