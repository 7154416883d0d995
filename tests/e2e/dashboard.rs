//! The dashboard of a run and of a ledger: what it shows, what it does, and whom it refuses.

use serde_json::json;

use crate::page::{Served, ask};
use crate::support::{World, sha256};

const TOKEN: &str = "token-recognisable-5eed5eed";

fn shown(world: &World, more: &[&str]) -> Served {
    let manifest = world.path("m.csv");
    let common = ["--dashboard", "127.0.0.1:0", "--canary", "0", "--rate", "4/s"];
    let args = world.kling(&[&[manifest.to_str().unwrap()], &common[..], more].concat());
    Served::start(world.command(&args))
}

#[test]
fn a_run_is_shown_paused_and_resumed() {
    let world = World::new(&["--task-time", "150ms..300ms"]);
    world.manifest("m.csv", 14);
    let run = shown(&world, &["--budget", "50"]);
    let first = run.until_told("a video is done", |view| view["done"].as_u64().unwrap() > 0);
    assert_eq!((&first["phase"], &first["rows"], &first["batches"][0]), (&json!("running"), &json!(14), &json!("m")));
    assert_eq!(first["budget"], json!({ "amount": "50.00", "currency": "USD" }));
    assert_eq!((&first["accounts"][0]["slots_limit"], &first["accounts"][0]["per_minute"]), (&json!(8), &json!(240.0)));

    assert_eq!(run.click("/actions/hold", "{}").status, 204);
    let held = run.until("nothing is under way", |view| {
        view["phase"] == "held" && view["waiting"] == 0 && view["submitting"] == 0 && view["ready"] == 0
    });
    let sent = world.tasks().len();
    assert!(sent < 14 && held["planned"] == json!(14 - sent), "{held}");
    let text = run.get("/metrics").text();
    assert!(text.contains("\nnightreel_submitting 0.0\n"), "{text}");
    // Time enough for what would be sent at that rate: two beats of the page.
    run.until_told("a beat", |view| view["at"].as_str() > held["at"].as_str());
    run.until_told("another", |view| view["at"].as_str() > held["at"].as_str());
    assert_eq!(world.tasks().len(), sent);

    assert_eq!(run.click("/actions/resume", "{}").status, 204);
    let last = run.until_told("it has ended", |view| view["phase"] == "ended");
    assert_eq!(last["done"], 14);
    let (code, told) = run.ended();
    assert_eq!(code, Some(0), "{told}");
    world.paid_once(14);
}

#[test]
fn a_drained_run_collects_what_is_paid_and_the_same_command_goes_on() {
    let world = World::new(&["--task-time", "150ms..300ms"]);
    let manifest = world.manifest("m.csv", 16);
    let run = shown(&world, &[]);
    run.until("some are sent", |view| view["submissions"].as_u64().unwrap() >= 3);
    assert_eq!(run.click("/actions/drain", "{}").status, 204);
    let (code, told) = run.ended();
    assert!(code == Some(5) && told.contains("drained: all that was paid is collected"), "{code:?} {told}");
    let status = world.status();
    let done = status["done"].as_u64().unwrap();
    assert!(done < 16 && done == status["submissions"].as_u64().unwrap(), "{status}");
    world.run(&[manifest.to_str().unwrap()]).exits(0);
    world.paid_once(16);
}

#[test]
fn what_does_not_come_from_the_page_changes_nothing() {
    let world = World::new(&["--task-time", "150ms..300ms"]);
    world.manifest("m.csv", 40);
    let run = shown(&world, &["--rate", "60/min"]);
    let (host, csrf) = (run.address.clone(), run.csrf());
    let (own, other) = (format!("http://{host}"), "https://evil.example");
    let post = |headers: &[(&str, &str)]| ask(&host, "POST", "/actions/drain", headers, "{}").status;
    let token = ("X-Nightreel-Csrf", csrf.as_str());
    for (headers, expected) in [
        (vec![("Host", host.as_str()), ("Origin", own.as_str())], 403),
        (vec![("Host", host.as_str()), ("Origin", own.as_str()), ("X-Nightreel-Csrf", "0")], 403),
        (vec![("Host", host.as_str()), ("Origin", other), token], 403),
        (vec![("Host", host.as_str()), token], 403),
        (vec![("Host", host.as_str()), ("Sec-Fetch-Site", "cross-site"), ("Origin", own.as_str()), token], 403),
        (vec![("Host", "evil.example"), ("Origin", "http://evil.example"), token], 421),
        (vec![("Host", host.as_str()), ("X-Forwarded-For", "203.0.113.7"), ("Origin", own.as_str()), token], 403),
    ] {
        assert_eq!(post(&headers), expected, "{headers:?}");
    }
    assert_eq!(run.get("/actions/drain").status, 405);
    assert_eq!(ask(&host, "GET", "/view", &[("Host", "evil.example")], "").status, 421);
    for path in ["/videos/999", "/videos/..%2f..%2fetc%2fpasswd", "/videos/m.csv", "/state/nightreel.db", "/../m.csv"] {
        assert!(matches!(run.get(path).status, 400 | 404), "{path}");
    }
    assert_eq!(run.click("/actions/resolve", &"x".repeat(20_000)).status, 413);
    run.until("it runs", |view| view["phase"] == "running");
    let page = run.get("/");
    let policy = page.header("content-security-policy").unwrap();
    assert!(policy.contains("default-src 'none'") && !policy.contains("unsafe"), "{policy}");
    assert_eq!(page.header("x-content-type-options").unwrap(), "nosniff");
    assert!(!page.text().contains("http://") && !page.text().contains("https://"), "something comes from outside");
}

#[test]
fn where_others_can_reach_it_a_token_is_demanded() {
    let world = World::new(&[]);
    let refused = world.nightreel(&["serve", "0.0.0.0:0"]).exits(2);
    assert!(refused.err.contains("NIGHTREEL_DASHBOARD_TOKEN"), "{}", refused.err);
    let manifest = world.manifest("m.csv", 2);
    world.run(&[manifest.to_str().unwrap(), "--dashboard", "127.0.0.2:0"]).exits(2);
    assert_eq!(world.tasks().len(), 0);

    let mut command = world.command(&["serve", "0.0.0.0:0", "--state", "none/none.db"]);
    command.env("NIGHTREEL_DASHBOARD_TOKEN", TOKEN);
    let served = Served::start(command);
    let host = ("Host", served.address.as_str());
    let get = |path: &str, headers: &[(&str, &str)]| ask(&served.address, "GET", path, headers, "");
    for path in ["/", "/view", "/events", "/metrics", "/videos/1", "/dashboard.js"] {
        assert_eq!(get(path, &[host]).status, 401, "{path}");
    }
    assert!(get("/", &[host]).text().contains("type=\"password\""));
    assert_eq!(get("/login?token=wrong", &[host]).status, 401);
    let answer = get(&format!("/login?token={TOKEN}"), &[host]);
    assert_eq!((answer.status, answer.header("location")), (303, Some("/".to_owned())));
    let cookie = answer.header("set-cookie").unwrap();
    assert!(cookie.contains("HttpOnly") && cookie.contains("SameSite=Strict") && !cookie.contains(TOKEN), "{cookie}");
    let cookie = cookie.split(';').next().unwrap();
    assert_eq!(get("/view", &[host, ("Cookie", cookie)]).json()["phase"], "empty");
    assert_eq!(get("/metrics", &[host, ("Authorization", &format!("Bearer {TOKEN}"))]).status, 200);
    assert_eq!(get("/metrics", &[host, ("Authorization", "Bearer wrong")]).status, 401);
}

#[test]
fn a_ledger_is_shown_without_a_run_its_videos_play_and_its_metrics_can_be_read() {
    let world = World::new(&[]);
    let manifest = world.manifest("m.csv", 3);
    world.run(&[manifest.to_str().unwrap()]).exits(0);
    let served = Served::start(world.command(&["serve", "127.0.0.1:0"]));
    let view = served.view();
    assert_eq!((&view["phase"], &view["done"]), (&json!("ledger"), &json!(3)));
    let video = &view["videos"][0];
    let path = format!("/videos/{}", video["job"]);
    let whole = served.get(&path);
    assert_eq!((whole.status, whole.header("content-type")), (200, Some("video/mp4".into())));
    assert_eq!(sha256(&whole.body), world.results("videos")[video["id"].as_str().unwrap()]["sha256"]);
    let range = |range: &str| ask(&served.address, "GET", &path, &[("Host", &served.address), ("Range", range)], "");
    let part = range("bytes=4-7");
    assert_eq!((part.status, part.body.as_slice()), (206, &whole.body[4..8]));
    assert_eq!(part.header("content-range").unwrap(), format!("bytes 4-7/{}", whole.body.len()));
    assert_eq!(range("bytes=99999999-").status, 416);

    let metrics = served.get("/metrics");
    assert!(metrics.header("content-type").unwrap().starts_with("application/openmetrics-text"));
    let text = metrics.text();
    assert!(text.ends_with("# EOF\n"), "{text}");
    let mut rows = 0.0;
    for line in text.lines().filter(|line| !line.starts_with('#')) {
        let (name, value) = line.rsplit_once(' ').unwrap();
        let value: f64 = value.parse().unwrap();
        assert!(name.starts_with("nightreel_"), "{line}");
        if name.starts_with("nightreel_rows{") {
            rows += value;
        }
    }
    assert!((rows - 3.0).abs() < 0.1 && text.contains("nightreel_rows{state=\"done\"} 3.0"), "{text}");
    // No run is on that could be paused.
    assert_eq!(served.click("/actions/hold", "{}").status, 409);
}

#[test]
fn held_rows_are_settled_on_the_page_beside_a_run_and_without_one() {
    let world = World::new(&["--no-lookup", "--no-list", "--fault", "lose-answer=0.4"]);
    let manifest = world.manifest("m.csv", 12);
    let more = ["--dashboard", "127.0.0.1:0", "--canary", "0", "--rate", "3/s", manifest.to_str().unwrap()];
    let run = Served::start(world.command(&world.compatible(&more)));
    let seen = run.until("a row is held", |view| view["held"].as_u64().unwrap() > 0);
    let reference = seen["troubles"][0]["external_task_id"].as_str().unwrap().to_owned();
    let said = |reference: &str, verdict: &str, task: &str| {
        json!({ "reference": reference, "verdict": verdict, "task": task }).to_string()
    };
    // Another process does not get in the way of a run.
    let beside = Served::start(world.command(&["serve", "127.0.0.1:0"]));
    let refused = beside.click("/actions/resolve", &said(&reference, "drop", ""));
    assert!(refused.status == 409 && refused.text().contains("holds the ledger"), "{refused:?}");

    let row = seen["troubles"][0]["id"].as_str().unwrap().trim_start_matches("row").to_owned();
    let image = format!("https://example.com/m.csv/{row}.jpg");
    let task = world.tasks().into_iter().find(|task| task["images"][0] == image.as_str()).unwrap();
    let task = task["task_id"].as_str().unwrap();
    assert_eq!(run.click("/actions/resolve", &said(&reference, "made", "")).status, 422);
    assert_eq!(run.click("/actions/resolve", &said("nr-none-a1", "drop", "")).status, 404);
    let settled = run.click("/actions/resolve", &said(&reference, "made", task));
    assert_eq!(settled.status, 200, "{settled:?}");
    assert_eq!(run.click("/actions/resolve", &said(&reference, "not_made", "")).status, 404);
    let (code, told) = run.ended();
    assert!(matches!(code, Some(0 | 4)), "{told}");

    let view = beside.view();
    let (left, done) = (view["held"].as_u64().unwrap(), view["done"].as_u64().unwrap());
    assert_eq!((left + done, world.tasks().len()), (12, 12), "{view}");
    for row in view["troubles"].as_array().unwrap() {
        let reference = row["external_task_id"].as_str().unwrap();
        assert_eq!(beside.click("/actions/resolve", &said(reference, "drop", "")).status, 200);
    }
    assert_eq!(beside.view()["held"], 0);
    assert_eq!(world.status()["failed"], left);
}
