//! Each gateway's wire: what is made, what is told of it, and how every fault looks there.

use super::*;

const ALL: [Dialect; 5] = [Dialect::Kling, Dialect::Comet, Dialect::NewApi, Dialect::Fal, Dialect::WaveSpeed];
const LINK: &str = "https://example.com/a.jpg";

fn at_once(dialect: Dialect) -> Settings {
    Settings { task_for: (Duration::ZERO, Duration::ZERO), in_flight: None, ..Settings::speaking(dialect) }
}

/// Where a dialect makes tasks, and of what body.
fn creation(dialect: Dialect, scene: &str, image: &str) -> (&'static str, Value) {
    match dialect {
        Dialect::Kling | Dialect::Comet | Dialect::NewApi => {
            ("/v1/videos/effects", json!({ "effect_scene": scene, "input": { "image": image, "duration": "5" } }))
        }
        Dialect::Fal => (
            "/fal-ai/kling-video/v1.6/pro/effects",
            json!({ "effect_scene": scene, "input_image_urls": [image], "duration": "5" }),
        ),
        Dialect::WaveSpeed => {
            ("/api/v3/kwaivgi/kling-effects", json!({ "effect_scene": scene, "image": image, "duration": 5 }))
        }
    }
}

impl Client {
    async fn make(&self, dialect: Dialect, scene: &str) -> (u16, Value) {
        let (path, body) = creation(dialect, scene, LINK);
        self.call(path, "", Some(&body)).await
    }

    /// Asks for the task that `made` is the answer of.
    async fn ask(&self, dialect: Dialect, made: &Value) -> (u16, Value) {
        let text = |value: &Value| value.as_str().unwrap_or("none").to_owned();
        let path = match dialect {
            Dialect::Kling | Dialect::Comet => format!("/v1/videos/effects/{}", text(&made["data"]["task_id"])),
            Dialect::NewApi => format!("/v1/videos/effects/{}", text(&made["task_id"])),
            Dialect::Fal => text(&made["status_url"]),
            Dialect::WaveSpeed => text(&made["data"]["urls"]["get"]),
        };
        self.call(&path, "", None).await
    }

    async fn fetches(&self, link: &Value) {
        let answer = self.0.get(link.as_str().unwrap()).send().await.unwrap();
        assert_eq!((answer.status().as_u16(), &answer.headers()["content-type"]), (200, &"video/mp4".parse().unwrap()));
    }
}

#[tokio::test]
async fn cometapi_makes_tasks_that_only_their_own_id_finds() {
    let (simulator, client) = start(at_once(Dialect::Comet)).await;
    let (status, made) = client.create("nr-1").await.unwrap();
    assert_eq!((status, &made["message"], &made["request_id"]), (200, &json!("success"), &Value::Null));
    let (_, told) = client.ask(Dialect::Comet, &made).await;
    assert_eq!((&told["message"], &told["data"]["task_status"]), (&json!("SUCCEED"), &json!("succeed")));
    assert_eq!(told["data"]["task_info"], json!({}));
    client.fetches(&told["data"]["task_result"]["videos"][0]["url"]).await;
    let (status, unknown) = client.get("/nr-1").await;
    assert_eq!((status, &unknown["code"]), (400, &json!("task_not_exist")));
    let (status, refused) =
        client.post(&json!({ "effect_scene": "squish", "input": { "image": LINK } })).await.unwrap();
    assert_eq!((status, &refused["message"]), (400, &json!("duration is required")));
    let (status, list) = client.call("/v1/videos/effects?pageNum=1", "", None).await;
    assert!(status == 200 && list.as_str().unwrap().contains("<html>"), "{list}");
    client.create("nr-1").await.unwrap();
    assert_eq!(simulator.stats().charged, 2, "the external id is a label");
    simulator.shutdown().await;
}

#[tokio::test]
async fn new_api_makes_a_video_object_and_wraps_what_the_remote_says() {
    let settings = Settings { fail_scenes: vec!["doomed".into()], ..at_once(Dialect::NewApi) };
    let (simulator, client) = start(settings).await;
    let (_, made) = client.make(Dialect::NewApi, "squish").await;
    assert_eq!((&made["object"], &made["status"], &made["id"]), (&json!("video"), &json!("queued"), &made["task_id"]));
    assert!(
        made["id"].as_str().unwrap().starts_with("task_") && made["created_at"].as_i64().unwrap() < 100_000_000_000
    );
    let (_, told) = client.ask(Dialect::NewApi, &made).await;
    let outer = &told["data"];
    assert_eq!(
        (&told["code"], &outer["status"], &outer["progress"]),
        (&json!("success"), &json!("SUCCESS"), &json!("100%"))
    );
    let inner = &outer["data"]["data"];
    assert_eq!((&inner["task_status"], &outer["task_id"]), (&json!("succeed"), &made["id"]));
    assert_ne!(inner["task_id"], made["id"], "the remote knows it by another id");
    client.fetches(&outer["result_url"]).await;
    let (_, made) = client.make(Dialect::NewApi, "doomed").await;
    let (_, told) = client.ask(Dialect::NewApi, &made).await;
    assert_eq!(
        (&told["data"]["status"], &told["data"]["fail_reason"]),
        (&json!("FAILURE"), &told["data"]["result_url"])
    );
    let (status, unknown) = client.get("/task_x").await;
    assert_eq!(
        (status, unknown),
        (400, json!({ "code": "task_not_exist", "message": "task_not_exist", "data": null }))
    );
    let (status, page) = client.call("/tasks?task_ids=1", "", None).await;
    assert!(status == 200 && page.as_str().unwrap().contains("<html>"), "a path that it does not have: {page}");
    simulator.shutdown().await;
}

#[tokio::test]
async fn klings_wire_may_wrap_its_queries_only() {
    let (simulator, client) = start(Settings { answers: Answers::Wrapped, ..quick() }).await;
    let (_, made) = client.create("nr-1").await.unwrap();
    assert_eq!((&made["code"], &made["message"]), (&json!(0), &json!("success")));
    let (_, told) = client.get("/nr-1").await;
    assert_eq!((&told["code"], &told["data"]["status"]), (&json!("success"), &json!("SUCCESS")));
    assert_eq!(told["data"]["data"]["data"]["task_id"], made["data"]["task_id"]);
    simulator.shutdown().await;
}

#[tokio::test]
async fn at_fal_what_is_too_much_waits_its_turn() {
    let hundred = Duration::from_secs(100);
    let settings = Settings { in_flight: Some(1), task_for: (hundred, hundred), ..Settings::speaking(Dialect::Fal) };
    let (simulator, client) = start_at_noon(settings).await;
    let mut made = Vec::new();
    for position in [0, 0, 1] {
        let (status, told) = client.make(Dialect::Fal, "squish").await;
        assert_eq!((status, &told["status"], &told["queue_position"]), (200, &json!("IN_QUEUE"), &json!(position)));
        assert!(told["status_url"].as_str().unwrap().contains("/fal-ai/kling-video/requests/"), "{told}");
        made.push(told);
    }
    for (seconds, words) in [
        (30, ["IN_PROGRESS", "IN_QUEUE", "IN_QUEUE"]),
        (100, ["COMPLETED", "IN_PROGRESS", "IN_QUEUE"]),
        (100, ["COMPLETED", "COMPLETED", "IN_PROGRESS"]),
    ] {
        pass(seconds).await;
        for (made, word) in made.iter().zip(words) {
            let (status, told) = client.ask(Dialect::Fal, made).await;
            assert_eq!((status, &told["status"]), (if word == "COMPLETED" { 200 } else { 202 }, &json!(word)));
        }
    }
    let response = |made: &Value| made["response_url"].as_str().unwrap().to_owned();
    let (status, video) = client.call(&response(&made[0]), "", None).await;
    assert_eq!(status, 200);
    client.fetches(&video["video"]["url"]).await;
    assert_eq!(client.call(&response(&made[2]), "", None).await.0, 400, "it still runs");
    assert_eq!((simulator.stats().peak_parallel, simulator.stats().refused_parallel), (1, 0));
    simulator.shutdown().await;
}

#[tokio::test]
async fn fal_tells_of_a_failure_with_the_response_only() {
    let settings = Settings { fail_scenes: vec!["doomed".into()], ..at_once(Dialect::Fal) };
    let (simulator, client) = start(settings).await;
    let (_, made) = client.make(Dialect::Fal, "doomed").await;
    assert_eq!(client.ask(Dialect::Fal, &made).await.0, 200);
    let (status, told) = client.call(made["response_url"].as_str().unwrap(), "", None).await;
    assert_eq!((status, &told["detail"][0]["type"]), (422, &json!("content_policy_violation")));
    for (body, status) in [
        (json!({ "effect_scene": "hug", "input_image_urls": [LINK] }), 422),
        (json!({ "effect_scene": "hug", "input_image_urls": [LINK, LINK] }), 200),
        (json!({ "effect_scene": "squish", "image_url": LINK }), 200),
        (json!({ "effect_scene": "squish", "image_url": png(400) }), 422),
        (json!({ "effect_scene": "squish", "image_url": format!("data:image/png;base64,{}", png(400)) }), 200),
        (json!({ "input_image_urls": [LINK] }), 422),
        (json!({ "effect_scene": "squish", "image_url": LINK, "duration": 5 }), 422),
    ] {
        assert_eq!(client.call(creation(Dialect::Fal, "", "").0, "", Some(&body)).await.0, status, "{body}");
    }
    simulator.shutdown().await;
}

#[tokio::test]
async fn wavespeed_makes_predictions() {
    let hundred = Duration::from_secs(100);
    let settings = Settings {
        task_for: (hundred, hundred),
        fail_scenes: vec!["doomed".into()],
        ..Settings::speaking(Dialect::WaveSpeed)
    };
    let (simulator, client) = start_at_noon(settings).await;
    let (_, made) = client.make(Dialect::WaveSpeed, "squish").await;
    assert_eq!(
        (&made["code"], &made["data"]["status"], &made["data"]["outputs"]),
        (&json!(200), &json!("created"), &json!([]))
    );
    let small = format!("data:image/png;base64,{}", png(200));
    let (path, body) = creation(Dialect::WaveSpeed, "squish", &small);
    let (_, too_small) = client.call(path, "", Some(&body)).await;
    let (_, failing) = client.make(Dialect::WaveSpeed, "doomed").await;
    pass(50).await;
    assert_eq!(client.ask(Dialect::WaveSpeed, &made).await.1["data"]["status"], "processing");
    pass(60).await;
    let (_, told) = client.ask(Dialect::WaveSpeed, &made).await;
    assert_eq!(
        (&told["data"]["status"], &told["data"]["timings"]["inference"]),
        (&json!("completed"), &json!(100_000))
    );
    client.fetches(&told["data"]["outputs"][0]).await;
    for (made, words) in [(failing, "Failure to pass the risk control system"), (too_small, "Image pixel is invalid")] {
        let (status, told) = client.ask(Dialect::WaveSpeed, &made).await;
        assert_eq!((status, &told["data"]["status"], &told["data"]["error"]), (200, &json!("failed"), &json!(words)));
    }
    assert_eq!(client.call(path, "", Some(&json!({ "effect_scene": "squish" }))).await.0, 400);
    simulator.shutdown().await;
}

#[tokio::test]
async fn creations_go_wrong_in_every_dialect_as_told() {
    // Kling, CometAPI, new-api, fal, WaveSpeed.
    for (fault, statuses, made) in [
        ("refuse-429", [429; 5], 0),
        ("busy-1303", [429; 5], 0),
        ("reject", [400, 400, 400, 422, 400], 0),
        ("no-balance-after=1", [429, 403, 403, 403, 402], 0),
        ("bad-key", [401; 5], 0),
        ("html-200", [200; 5], 0),
        ("error-500-before", [500; 5], 0),
        ("html-502-before", [502; 5], 0),
        ("error-500-after", [500; 5], 1),
        ("html-502-after", [502; 5], 1),
        ("empty-200-after", [200; 5], 1),
        ("garbage-after", [200; 5], 1),
    ] {
        for (dialect, status) in ALL.into_iter().zip(statuses) {
            let settings = Settings { faults: vec![fault.parse().unwrap()], ..at_once(dialect) };
            let (simulator, client) = start(settings).await;
            let (answered, told) = client.make(dialect, "squish").await;
            assert_eq!((answered, simulator.stats().charged), (status, made), "{fault}: {dialect:?}: {told}");
            simulator.shutdown().await;
        }
    }
    for dialect in ALL {
        for (fault, made) in [("drop-before", 0), ("lose-answer", 1)] {
            let settings = Settings { faults: vec![fault.parse().unwrap()], ..at_once(dialect) };
            let (simulator, client) = start(settings).await;
            let (path, body) = creation(dialect, "squish", LINK);
            let lost = client.0.post(format!("{}{path}", client.1)).body(body.to_string()).send().await;
            assert!(lost.is_err() && simulator.stats().charged == made, "{fault}: {dialect:?}");
            simulator.shutdown().await;
        }
    }
}

#[tokio::test]
async fn refusals_are_in_each_dialects_words() {
    for (dialect, fault, at, words) in [
        (Dialect::Kling, "busy-1303", "/code", json!(1303)),
        (Dialect::Comet, "refuse-429", "/error/type", json!("comet_api_error")),
        (Dialect::Comet, "reject", "/code", json!(1301)),
        (Dialect::NewApi, "no-balance-after=1", "/code", json!("quota_not_enough")),
        (Dialect::NewApi, "error-500-before", "/code", json!("do_request_failed")),
        (Dialect::NewApi, "bad-key", "/error/code", json!("")),
        (Dialect::Fal, "reject", "/detail/0/type", json!("content_policy_violation")),
        (Dialect::Fal, "error-500-before", "/error_type", json!("internal_error")),
        (Dialect::WaveSpeed, "reject", "/code", json!(400)),
    ] {
        let settings = Settings { faults: vec![fault.parse().unwrap()], ..at_once(dialect) };
        let (simulator, client) = start(settings).await;
        let (_, told) = client.make(dialect, "squish").await;
        assert_eq!(told.pointer(at), Some(&words), "{dialect:?}: {told}");
        simulator.shutdown().await;
    }
    let settings = Settings { faults: vec!["reject".parse().unwrap()], ..at_once(Dialect::NewApi) };
    let (simulator, client) = start(settings).await;
    let (_, told) = client.make(Dialect::NewApi, "squish").await;
    let within: Value = serde_json::from_str(told["message"].as_str().unwrap()).unwrap();
    assert_eq!((&told["code"], &within["code"]), (&json!("fail_to_fetch_task"), &json!(1301)));
    simulator.shutdown().await;
}

#[tokio::test]
async fn questions_go_wrong_in_every_dialect_as_told() {
    for (fault, statuses) in [
        ("query-404", [404; 5]),
        ("query-not-found", [400, 400, 400, 404, 404]),
        ("query-task-not-exist", [400, 400, 400, 404, 404]),
        ("query-500", [500; 5]),
        ("query-429", [429; 5]),
        ("query-401", [401; 5]),
        ("query-html", [200; 5]),
        ("query-garbage", [200; 5]),
        ("late-visible=1:1h", [400, 400, 400, 404, 404]),
    ] {
        for (dialect, status) in ALL.into_iter().zip(statuses) {
            let settings = Settings { faults: vec![fault.parse().unwrap()], ..at_once(dialect) };
            let (simulator, client) = start(settings).await;
            let (_, made) = client.make(dialect, "squish").await;
            let (answered, told) = client.ask(dialect, &made).await;
            assert_eq!(answered, status, "{fault}: {dialect:?}: {told}");
            assert!(status != 200 || told.is_string(), "{fault}: {dialect:?}: {told}");
            simulator.shutdown().await;
        }
    }
}

#[tokio::test]
async fn a_success_may_come_without_its_link_and_a_status_may_be_unknown() {
    for dialect in ALL {
        let faults = vec!["success-without-url".parse().unwrap()];
        let (simulator, client) = start(Settings { faults, ..at_once(dialect) }).await;
        let (_, made) = client.make(dialect, "squish").await;
        let answers = if dialect == Dialect::Fal {
            let path = made["response_url"].as_str().unwrap();
            [
                client.call(path, "", None).await.1,
                client.call(path, "", None).await.1,
                client.call(path, "", None).await.1,
            ]
        } else {
            [client.ask(dialect, &made).await.1, client.ask(dialect, &made).await.1, client.ask(dialect, &made).await.1]
        };
        let linked = answers.map(|told| told.to_string().contains("/files/"));
        assert_eq!(linked, [false, false, true], "{dialect:?}");
        simulator.shutdown().await;
        let hour = Duration::from_secs(3600);
        let faults = vec!["query-unknown-status".parse().unwrap()];
        let (simulator, client) = start(Settings { faults, task_for: (hour, hour), ..at_once(dialect) }).await;
        let (_, made) = client.make(dialect, "squish").await;
        let (_, told) = client.ask(dialect, &made).await;
        assert!(told.to_string().to_lowercase().contains("reviewing"), "{dialect:?}: {told}");
        simulator.shutdown().await;
    }
}

#[tokio::test]
async fn only_the_scenes_that_are_named_fail() {
    for dialect in ALL {
        let (simulator, client) = start(Settings { fail_scenes: vec!["doomed".into()], ..at_once(dialect) }).await;
        for scene in ["squish", "doomed", "squish"] {
            client.make(dialect, scene).await;
        }
        let (_, judged) = client.call("/_simulator/tasks", "", None).await;
        let failed: Vec<bool> = judged.as_array().unwrap().iter().map(|task| task["fails"].is_string()).collect();
        assert_eq!(failed, [false, true, false], "{dialect:?}");
        simulator.shutdown().await;
    }
}

#[tokio::test]
async fn every_request_may_be_answered_by_a_web_page() {
    let credentials = Credentials { account_token: Some("t".into()), ..Credentials::default() };
    for (dialect, paths) in [
        (Dialect::Kling, &["/v1/videos/effects/1", "/v1/videos/effects", "/tasks?task_ids=1"][..]),
        (Dialect::Kling, &["/account/costs?start_time=0&end_time=1"]),
        (Dialect::Comet, &["/v1/videos/effects/1", "/api/task/self"]),
        (Dialect::Fal, &["/fal-ai/kling-video/requests/1/status", "/fal-ai/kling-video/requests/1"]),
        (Dialect::WaveSpeed, &["/api/v3/predictions/1/result"]),
    ] {
        let faults = vec!["html-200".parse().unwrap()];
        let (simulator, client) =
            start(Settings { faults, credentials: credentials.clone(), ..at_once(dialect) }).await;
        for path in paths {
            let (status, page) = client.call(path, "Bearer t", None).await;
            assert!(status == 200 && page.as_str().unwrap().contains("<html>"), "{dialect:?}: {path}: {page}");
        }
        simulator.shutdown().await;
    }
}
