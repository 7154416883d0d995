//! The contract, kept against a small remote that plays by Kling's documented rules.

use std::sync::{Arc, Mutex};

use axum::extract::{Path, Query, State};
use axum::http::{HeaderMap, StatusCode};
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
}

type Shared = State<Arc<Mutex<World>>>;
type Reply = (StatusCode, Json<Value>);

fn record(place: usize, external: &str) -> Value {
    json!({"task_id": format!("t{place}"), "task_status": "processing", "task_info": {"external_task_id": external},
        "task_result": {}, "created_at": 1_774_805_076_166_u64, "updated_at": 1_774_805_076_166_u64})
}

fn reply(data: &Value) -> Reply {
    (StatusCode::OK, Json(json!({"code": 0, "message": "SUCCEED", "request_id": "r", "data": data})))
}

fn refusal(status: StatusCode, code: u32, message: &str) -> Reply {
    (status, Json(json!({"code": code, "message": message, "request_id": "r"})))
}

async fn create(State(world): Shared, headers: HeaderMap, Json(body): Json<Value>) -> Reply {
    if headers["authorization"] != format!("Bearer {KEY}") {
        return refusal(StatusCode::UNAUTHORIZED, 1002, "Authorization is invalid");
    }
    let external = body["external_task_id"].as_str().unwrap().to_owned();
    let mut world = world.lock().unwrap();
    if world.unique && world.tasks.contains(&external) {
        return refusal(StatusCode::BAD_REQUEST, 1201, &format!("External_task_id {external} already exists"));
    }
    world.tasks.push(external);
    reply(&record(world.tasks.len(), &world.tasks[world.tasks.len() - 1]))
}

async fn one(State(world): Shared, Path(id): Path<String>) -> Reply {
    let world = world.lock().unwrap();
    let known = world.tasks.iter().enumerate().find(|(i, external)| **external == id || format!("t{}", i + 1) == id);
    match known {
        Some((i, external)) => reply(&record(i + 1, external)),
        None => refusal(StatusCode::BAD_REQUEST, 1201, &format!("Task not found by id/external id: {id}")),
    }
}

async fn list(State(world): Shared, Query(query): Query<Vec<(String, usize)>>) -> Reply {
    let value = |name: &str| query.iter().find(|(key, _)| key == name).unwrap().1;
    let (page, size) = (value("pageNum"), value("pageSize"));
    let world = world.lock().unwrap();
    let all = world.tasks.iter().enumerate().map(|(i, external)| record(i + 1, external));
    reply(&all.rev().skip((page - 1) * size).take(size).collect())
}

async fn remote(unique: bool) -> String {
    let world = Arc::new(Mutex::new(World { unique, ..World::default() }));
    let app = Router::new()
        .route("/kling/v1/videos/effects", get(list).post(create))
        .route("/kling/v1/videos/effects/{id}", get(one))
        .with_state(world);
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let base = format!("http://{}/kling", listener.local_addr().unwrap());
    tokio::spawn(async move { axum::serve(listener, app).await.unwrap() });
    base
}

#[tokio::test]
async fn a_remote_like_kling_keeps_the_contract() {
    contract::holds_for(&gateway(settings(remote(true).await))).await;
}

#[tokio::test]
async fn a_gateway_of_unknown_abilities_keeps_the_contract() {
    let settings = Settings { capabilities: Capabilities::default(), ..settings(remote(false).await) };
    contract::holds_for(&gateway(settings)).await;
}

#[tokio::test]
async fn a_wrong_key_pauses_the_account() {
    let settings = Settings { credentials: Credentials::Key("sk-other".into()), ..settings(remote(true).await) };
    assert_eq!(submit_says(&submit(&gateway(settings), by_url()).await), "paused: Key");
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
