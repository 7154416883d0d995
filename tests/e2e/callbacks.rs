//! Callbacks: heeded as hints, never believed, not needed.

use std::net::TcpListener;
use std::time::{Duration, Instant};

use serde_json::json;
use sha2::{Digest, Sha256};

use crate::page::{Served, ask};
use crate::support::{A_KEY, KEY, Shown, World};

const SIGNED: Shown = &[
    ("NIGHTREEL_API_KEY", "NIGHTREEL_SIMULATOR_KEY", KEY),
    ("NIGHTREEL_WEBHOOK_SECRET", "NIGHTREEL_SIMULATOR_WEBHOOK_SECRET", "whsec_c2VjcmV0LXJlY29nbmlzYWJsZQ=="),
];
/// Far less than `min_poll`: whoever ends sooner was told.
const SOON: Duration = Duration::from_secs(18);

/// A port that was free a moment ago.
fn port() -> u16 {
    TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port()
}

/// A run that asks about a task after 20 seconds, unless it is told to.
fn called(world: &World, gateway: &str, rows: usize, more: &[&str]) -> Served {
    let manifest = world.manifest("m.csv", rows);
    let port = port();
    let (address, url) = (format!("127.0.0.1:{port}"), format!("http://127.0.0.1:{port}/hook/"));
    let common = [manifest.to_str().unwrap(), "--min-poll", "20s", "--dashboard", &address, "--callback-url", &url];
    let args = world.through(gateway, &[&common[..], more].concat());
    Served::start(world.command(&args))
}

/// Where the only account is called: made from what lies beside the ledger.
pub(crate) fn hook(world: &World, account: &str) -> String {
    let key = std::fs::read_to_string(world.path("state/nightreel.db.callbacks")).unwrap();
    let mut digest = Sha256::new();
    for part in ["callback", key.trim(), account] {
        digest.update((part.len() as u64).to_le_bytes());
        digest.update(part);
    }
    let hex: String = digest.finalize().iter().map(|byte| format!("{byte:02x}")).collect();
    format!("/hook/{}", &hex[..32])
}

#[test]
fn a_callback_has_its_task_asked_for_at_once() {
    for (gateway, shown, flags) in [
        ("kling", A_KEY, &[][..]),
        ("fal", A_KEY, &["--dialect", "fal"]),
        ("wavespeed", SIGNED, &["--dialect", "wavespeed"]),
    ] {
        let world = World::demanding(shown, &[&["--task-time", "400ms..600ms"], flags].concat());
        let begun = Instant::now();
        let run = called(&world, gateway, 5, &[]);
        let (code, told) = run.ended();
        assert_eq!(code, Some(0), "{gateway}: {told}");
        assert!(begun.elapsed() < SOON, "{gateway}: the callbacks changed nothing: {:?}", begun.elapsed());
        world.paid_once(5);
        world.no_file_holds_a_secret();
    }
}

#[test]
fn callbacks_that_never_come_cost_nothing() {
    let world = World::new(&[]);
    let manifest = world.manifest("m.csv", 6);
    let more = [manifest.to_str().unwrap(), "--dashboard", "127.0.0.1:0", "--callback-url", "http://127.0.0.1:9/hook"];
    world.run(&more).exits(0);
    world.paid_once(6);
}

#[test]
fn a_forged_callback_changes_nothing() {
    let world = World::new(&["--task-time", "1h"]);
    let run = called(&world, "kling", 2, &["--canary", "0"]);
    world.until_made(2);
    let view = run.until("both wait", |view| view["waiting"] == 2);
    let path = hook(&world, view["accounts"][0]["name"].as_str().unwrap());
    let task = world.tasks()[0]["task_id"].as_str().unwrap().to_owned();
    // Remotes call by the public name, which is not the dashboard's.
    let post = |path: &str, body: &str| {
        ask(&run.address, "POST", path, &[("Host", "public.example"), ("Content-Type", "application/json")], body)
            .status
    };
    let asked_before = world.stats()["status_requests"].clone();
    for body in [
        json!({ "task_id": task, "task_status": "succeed", "task_result": { "videos": [{ "url": "http://evil/x.mp4" }] } }),
        json!({ "task_id": task, "task_status": "failed", "task_status_msg": "no" }),
        json!({ "task_id": "no-such-task", "task_status": "succeed" }),
        json!({ "id": "1", "status": "submitted" }),
        json!([]),
    ] {
        assert_eq!(post(&path, &body.to_string()), 204);
    }
    assert_eq!(post(&path, "\u{0}"), 204);
    assert_eq!(post(&path, &"x".repeat(100_000)), 413);
    assert_eq!(ask(&run.address, "GET", &path, &[("Host", "public.example")], "").status, 405);
    let wrong = path.replace(&path[6..8], if &path[6..8] == "00" { "11" } else { "00" });
    assert_eq!(post(&wrong, "{}"), 421);
    let flood = json!({ "task_id": task, "task_status": "succeed" }).to_string();
    for _ in 0..50 {
        assert_eq!(post(&path, &flood), 204);
    }
    let view = run.view();
    assert_eq!((&view["waiting"], &view["failed"], &view["done"]), (&json!(2), &json!(0), &json!(0)));
    let text = run.get("/metrics").text();
    assert!(text.contains("nightreel_callbacks_total{outcome=\"heeded\"} 53\n"), "{text}");
    // A flood about one task is one question about it, or two.
    let asked = world.stats()["status_requests"].as_u64().unwrap() - asked_before.as_u64().unwrap();
    assert!(asked <= 3, "{asked} questions");
}

#[test]
fn where_a_secret_is_set_what_is_not_signed_is_refused() {
    let world = World::demanding(SIGNED, &["--task-time", "1h"]);
    let run = called(&world, "kling", 1, &[]);
    let view = run.until("it waits", |view| view["waiting"] == 1);
    let path = hook(&world, view["accounts"][0]["name"].as_str().unwrap());
    let body = json!({ "task_id": world.tasks()[0]["task_id"], "task_status": "succeed" }).to_string();
    let post = |headers: &[(&str, &str)]| {
        ask(&run.address, "POST", &path, &[&[("Host", "public.example")], headers].concat(), &body).status
    };
    assert_eq!(post(&[]), 401);
    let signature = "v1,UsKlJP00XoQyOn410NM9xv34sP+Gl0jnOO9Lcpr7NJ4=";
    let headers = [("webhook-id", "1"), ("webhook-timestamp", "1781080794"), ("webhook-signature", signature)];
    assert_eq!(post(&headers), 401);
    let text = run.get("/metrics").text();
    assert!(text.contains("nightreel_callbacks_total{outcome=\"refused\"} 2\n"), "{text}");
    assert!(text.contains("nightreel_callbacks_total{outcome=\"heeded\"} 0\n"), "{text}");
    assert_eq!(run.view()["waiting"], 1);
}

#[test]
fn what_fal_did_not_sign_is_refused_unless_its_keys_cannot_be_had() {
    let world = World::new(&["--dialect", "fal", "--task-time", "1h"]);
    let run = called(&world, "fal", 1, &[]);
    let view = run.until("it waits", |view| view["waiting"] == 1);
    let account = view["accounts"][0]["name"].as_str().unwrap();
    let path = hook(&world, account);
    let body = json!({ "request_id": world.tasks()[0]["task_id"], "status": "OK" }).to_string();
    let forged = "00".repeat(64);
    let headers = [
        ("Host", "public.example"),
        ("x-fal-webhook-request-id", "1"),
        ("x-fal-webhook-user-id", "1"),
        ("x-fal-webhook-timestamp", &jiff::Timestamp::now().as_second().to_string()),
        ("x-fal-webhook-signature", &forged),
    ];
    assert_eq!(ask(&run.address, "POST", &path, &headers, &body).status, 401);
    assert_eq!(ask(&run.address, "POST", &path, &headers[..1], &body).status, 401);
    let text = run.get("/metrics").text();
    assert!(text.contains("nightreel_callbacks_total{outcome=\"refused\"} 2\n"), "{text}");
    drop(run);

    // One that speaks as fal does, and publishes no key: the Kling dialect knows no such path.
    let mut world = World::new(&["--dialect", "fal", "--task-time", "1h", "--world", "tasks.jsonl"]);
    let run = called(&world, "fal", 1, &[]);
    let view = run.until("it waits", |view| view["waiting"] == 1);
    let account = view["accounts"][0]["name"].as_str().unwrap();
    world.replace(&["--dialect", "kling", "--task-time", "1h", "--world", "tasks.jsonl"]);
    assert_eq!(ask(&run.address, "POST", &hook(&world, account), &headers, &body).status, 204);
    let text = run.get("/metrics").text();
    assert!(text.contains("nightreel_callbacks_total{outcome=\"heeded\"} 1\n"), "{text}");
    drop(run);
}
