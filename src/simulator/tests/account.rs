//! The account: many tasks at once, the pack, the charges; and what `CometAPI` has instead.

use super::*;

/// Made, ended well, and failed: in this order.
async fn three(client: &Client) -> [String; 3] {
    let mut ids = Vec::new();
    for (external, scene) in [("a", "squish"), ("b", "squish"), ("c", "doomed")] {
        let body = json!({ "effect_scene": scene, "input": { "image": png(400) }, "external_task_id": external });
        let (_, made) = client.post(&body).await.unwrap();
        ids.push(made["data"]["task_id"].as_str().unwrap().to_owned());
    }
    ids.try_into().unwrap()
}

fn doomed() -> Settings {
    Settings { fail_scenes: vec!["doomed".into()], units: 3.5, ..quick() }
}

#[tokio::test]
async fn many_tasks_are_told_at_once_by_either_kind_of_id() {
    let (simulator, client) = start(doomed()).await;
    let [a, b, c] = three(&client).await;
    let (status, told) = client.call(&format!("/tasks?task_ids={a},9,{c},{a}"), "", None).await;
    let data = told["data"].as_array().unwrap();
    assert_eq!((status, data.len()), (200, 2), "an unknown id is not told of: {told}");
    assert_eq!(
        (&data[0]["id"], &data[0]["status"], &data[0]["external_id"]),
        (&json!(a), &json!("succeeded"), &json!("a"))
    );
    assert!(data[0]["outputs"][0]["url"].as_str().unwrap().contains(&a));
    assert_eq!(data[0]["billing"], json!([{ "charge_type": "unit", "amount": "3.5" }]));
    assert_eq!((&data[1]["status"], &data[1]["billing"]), (&json!("failed"), &json!([])));
    assert_eq!(data[1]["message"], "Failure to pass the risk control system");
    let (_, told) = client.call(&format!("/tasks?external_task_ids=b,{b},x"), "", None).await;
    assert_eq!((told["data"].as_array().unwrap().len(), &told["data"][0]["id"]), (1, &json!(b)));
    let many: Vec<String> = (0..21).map(|i| i.to_string()).collect();
    assert_eq!(client.call(&format!("/tasks?task_ids={}", many[..20].join(",")), "", None).await.1["data"], json!([]));
    let (status, refused) = client.call(&format!("/tasks?task_ids={}", many.join(",")), "", None).await;
    assert_eq!((status, &refused["code"]), (400, &json!(1201)));
    assert_eq!(refused["message"], "task_ids and external_task_ids cannot exceed 20 in total");
    for wrong in ["/tasks", "/tasks?task_ids=1&external_task_ids=2"] {
        assert_eq!(client.call(wrong, "", None).await.0, 400, "{wrong}");
    }
    assert_eq!((simulator.stats().task_pages, simulator.stats().status_requests), (3, 0));
    simulator.shutdown().await;
}

#[tokio::test]
async fn many_tasks_are_told_of_as_badly_as_one() {
    for (fault, status) in [("query-500", 500), ("query-404", 404), ("query-401", 401), ("query-html", 200)] {
        let (simulator, client) = start(faulty(fault)).await;
        client.create("a").await.unwrap();
        let (answered, told) = client.call("/tasks?external_task_ids=a", "", None).await;
        assert_eq!((answered, told["data"].is_array()), (status, false), "{fault}");
        simulator.shutdown().await;
    }
    let hidden = Settings { visible_after: Duration::from_secs(3600), ..quick() };
    for settings in [faulty("query-not-found"), hidden, Settings { lookup: Lookup::Nothing, ..quick() }] {
        let (simulator, client) = start(settings).await;
        client.create("a").await.unwrap();
        let (_, told) = client.call("/tasks?external_task_ids=a", "", None).await;
        assert_eq!((&told["code"], &told["data"]), (&json!(0), &json!([])));
        simulator.shutdown().await;
    }
}

#[tokio::test]
async fn only_tasks_that_ended_well_are_charged() {
    let (simulator, client) = start(Settings { pack: Some(100.0), ..doomed() }).await;
    let [a, b, c] = three(&client).await;
    let (_, told) = client.get(&format!("/{a}")).await;
    assert_eq!(told["data"]["final_unit_deduction"], "3.5");
    let (_, costs) = client.call("/account/costs?start_time=0&end_time=1", "", None).await;
    let pack = &costs["data"]["resource_pack_subscribe_infos"][0];
    assert_eq!(
        (&costs["code"], &costs["data"]["code"], &pack["remaining_quantity"]),
        (&json!(0), &json!(0), &json!(93.0))
    );
    assert_eq!(client.call("/account/costs?start_time=0", "", None).await.1["code"], 1201);
    let span = json!({ "start_time": 0, "end_time": 9_000_000_000_000_i64, "limit": 1 });
    let (_, first) = client.call("/account/billing/package", "", Some(&span)).await;
    assert_eq!((&first["data"]["has_more"], &first["data"]["result"]["count"]), (&json!(true), &json!(1)));
    let cursor = json!({ "cursor": first["data"]["next_cursor"] });
    let (_, second) = client.call("/account/billing/package", "", Some(&cursor)).await;
    assert_eq!((&second["data"]["has_more"], &second["data"]["next_cursor"]), (&json!(false), &json!("")));
    let details = [&first["data"]["result"]["detail"][0], &second["data"]["result"]["detail"][0]];
    let mut charged: Vec<&str> = details.iter().map(|detail| detail["task_id"].as_str().unwrap()).collect();
    charged.sort_unstable();
    assert_eq!(charged, [&a, &b], "and not {c}");
    assert_eq!((&details[0]["deduction_amount"], &details[1]["unit_after_deduction"]), (&json!("3.5"), &json!("93")));
    for wrong in [json!({}), json!({ "start_time": 0, "end_time": 1, "limit": 501 }), json!({ "cursor": "no" })] {
        assert_eq!(client.call("/account/billing/package", "", Some(&wrong)).await.1["code"], 1201, "{wrong}");
    }
    assert!((simulator.stats().units_charged - 7.0).abs() < 0.01);
    let (_, judged) = client.call("/_simulator/tasks", "", None).await;
    let units: Vec<f64> = judged.as_array().unwrap().iter().map(|task| task["units"].as_f64().unwrap()).collect();
    assert_eq!(units, [3.5, 3.5, 0.0]);
    simulator.shutdown().await;
}

#[tokio::test]
async fn a_charge_lands_when_its_task_ends() {
    let hour = Duration::from_secs(3600);
    let (simulator, client) = start_at_noon(Settings { task_for: (hour, hour), ..quick() }).await;
    client.create("a").await.unwrap();
    let span = json!({ "start_time": 0, "end_time": (NOON + 90_000) * 1000 });
    let (_, none) = client.call("/account/billing/package", "", Some(&span)).await;
    assert_eq!((&none["data"]["result"]["detail"], simulator.stats().units_charged), (&json!([]), 0.0));
    pass(3601).await;
    let (_, one) = client.call("/account/billing/package", "", Some(&span)).await;
    assert_eq!(
        (&one["data"]["result"]["detail"][0]["deduction_amount"], simulator.stats().units_charged),
        (&json!("2"), 2.0)
    );
    simulator.shutdown().await;
}

#[tokio::test]
async fn an_empty_pack_pays_for_nothing() {
    let (simulator, client) = start(Settings { pack: Some(11.0), ..doomed() }).await;
    three(&client).await;
    assert_eq!(client.create("d").await.unwrap().0, 200, "what failed is paid back");
    let (status, refused) = client.create("e").await.unwrap();
    assert_eq!((status, &refused["code"], simulator.stats().charged), (429, &json!(1102), 4));
    simulator.shutdown().await;
}

#[tokio::test]
async fn cometapi_shows_an_accounts_tasks_to_its_own_token_only() {
    let credentials =
        Credentials { key: Some("sk-1".into()), account_token: Some("account".into()), ..Credentials::default() };
    let settings = Settings { credentials, prefix: "/kling".into(), ..Settings::speaking(Dialect::Comet) };
    let settings = Settings { fail_scenes: vec!["doomed".into()], pack: Some(100.0), ..settings };
    let (simulator, client) = start(Settings { task_for: (Duration::ZERO, Duration::ZERO), ..settings }).await;
    for scene in ["squish", "doomed", "squish"] {
        let body = json!({ "effect_scene": scene, "input": { "image": png(400), "duration": "5" } });
        assert_eq!(client.call("/v1/videos/effects", "Bearer sk-1", Some(&body)).await.0, 200);
    }
    let host = client.1.strip_suffix("/kling").unwrap().to_owned();
    let list = format!("{host}/api/task/self?p=1&page_size=2&platform=kling");
    for wrong in ["", "Bearer sk-1", "account"] {
        assert_eq!(client.call(&list, wrong, None).await.0, 401, "{wrong:?}");
    }
    let (_, listed) = client.call(&list, "Bearer account", None).await;
    assert_eq!((&listed["success"], &listed["data"]["total"]), (&json!(true), &json!(3)));
    let statuses: Vec<_> =
        listed["data"]["items"].as_array().unwrap().iter().map(|row| row["status"].clone()).collect();
    assert_eq!(statuses, ["SUCCESS", "FAILURE"], "newest first");
    for (narrowed, total) in
        [("&status=FAILURE", 1), ("&action=text2video", 0), ("&end_timestamp=1", 0), ("&start_timestamp=1", 3)]
    {
        let (_, listed) = client.call(&format!("{list}{narrowed}"), "Bearer account", None).await;
        assert_eq!(listed["data"]["total"], total, "{narrowed}");
    }
    assert_eq!(client.call(&list.replace("=kling", "=suno"), "Bearer account", None).await.1["data"]["total"], 0);
    assert_eq!(client.call(&format!("{host}/user/quota?key=sk-2"), "", None).await.0, 401);
    let (_, balance) = client.call(&format!("{host}/user/quota?key=sk-1"), "", None).await;
    assert!((balance["total_quota"].as_f64().unwrap() - 96.0 * 0.14).abs() < 0.001, "{balance}");
    assert!((balance["total_used_quota"].as_f64().unwrap() - 4.0 * 0.14).abs() < 0.001, "{balance}");
    simulator.shutdown().await;
    let (simulator, client) = start(Settings::speaking(Dialect::Comet)).await;
    assert_eq!(client.call("/api/task/self", "Bearer ", None).await.0, 401, "where there is no token, nobody has it");
    simulator.shutdown().await;
}
