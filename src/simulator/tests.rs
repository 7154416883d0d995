//! The simulator as a client sees it.

mod account;
mod credentials;
mod dialects;
mod webhooks;

use std::time::Duration;

use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use serde_json::{Value, json};

use super::*;

fn png(side: u32) -> String {
    let mut bytes = b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR".to_vec();
    bytes.extend(side.to_be_bytes());
    bytes.extend(side.to_be_bytes());
    bytes.extend([8, 2, 0, 0, 0, 0, 0, 0, 0]);
    BASE64_STANDARD.encode(bytes)
}

fn quick() -> Settings {
    Settings { task_for: (Duration::ZERO, Duration::ZERO), in_flight: None, ..Settings::default() }
}

struct Client(reqwest::Client, String);

impl Client {
    fn of(simulator: &Simulator) -> Self {
        drop(rustls::crypto::ring::default_provider().install_default());
        Self(reqwest::Client::builder().no_proxy().build().unwrap(), simulator.base_url().to_owned())
    }

    /// Any request, by its path from the host's root; a body makes it a POST.
    async fn call(&self, path: &str, authorization: &str, body: Option<&Value>) -> (u16, Value) {
        let (status, _, body) = self.call_dated(path, authorization, body).await;
        (status, body)
    }

    /// The same, with the date that the answer carries, in seconds since 1970.
    async fn call_dated(&self, path: &str, authorization: &str, body: Option<&Value>) -> (u16, i64, Value) {
        let url = if path.starts_with("http") { path.to_owned() } else { format!("{}{path}", self.1) };
        let request = body.map_or_else(|| self.0.get(&url), |body| self.0.post(&url).body(body.to_string()));
        let answer = request.header("authorization", authorization).send().await.unwrap();
        let status = answer.status().as_u16();
        let date = httpdate::parse_http_date(answer.headers()["date"].to_str().unwrap()).unwrap();
        let date = date.duration_since(std::time::UNIX_EPOCH).unwrap().as_secs();
        let text = answer.text().await.unwrap();
        let body = serde_json::from_str(&text).unwrap_or(Value::String(text));
        (status, i64::try_from(date).unwrap(), body)
    }

    async fn create(&self, external: &str) -> Result<(u16, Value), reqwest::Error> {
        let input = json!({ "image": png(400), "duration": "5" });
        let body = json!({ "effect_scene": "squish", "input": input, "external_task_id": external });
        self.post(&body).await
    }

    async fn post(&self, body: &Value) -> Result<(u16, Value), reqwest::Error> {
        let url = format!("{}/v1/videos/effects", self.1);
        let answer = self.0.post(url).body(body.to_string()).send().await?;
        let status = answer.status().as_u16();
        let text = answer.text().await?;
        Ok((status, serde_json::from_str(&text).unwrap_or(Value::String(text))))
    }

    async fn get(&self, path: &str) -> (u16, Value) {
        let answer = self.0.get(format!("{}/v1/videos/effects{path}", self.1)).send().await.unwrap();
        let status = answer.status().as_u16();
        (status, answer.text().await.map(|text| serde_json::from_str(&text).unwrap_or(Value::Null)).unwrap())
    }

    async fn link(&self, external: &str) -> String {
        let (_, told) = self.get(&format!("/{external}")).await;
        told["data"]["task_result"]["videos"][0]["url"].as_str().unwrap().to_owned()
    }
}

async fn start(settings: Settings) -> (Simulator, Client) {
    let simulator = Simulator::start(settings, Clock::system()).await.unwrap();
    let client = Client::of(&simulator);
    (simulator, client)
}

/// On a clock that only [`pass`] moves far.
async fn start_at_noon(settings: Settings) -> (Simulator, Client) {
    let noon = jiff::Timestamp::from_second(NOON).unwrap();
    let simulator = Simulator::start(settings, Clock::starting_at(noon)).await.unwrap();
    let client = Client::of(&simulator);
    (simulator, client)
}

/// 2026-11-01 12:00 UTC.
const NOON: i64 = 1_793_534_400;

/// Time passes for everybody, without waiting for it.
async fn pass(seconds: u64) {
    tokio::time::pause();
    tokio::time::advance(Duration::from_secs(seconds)).await;
    tokio::time::resume();
}

/// HMAC-SHA256 from its definition, so that no library vouches for itself.
fn hmac_sha256(key: &[u8], message: &[u8]) -> Vec<u8> {
    use sha2::{Digest, Sha256};
    let pad = |byte: u8| (0..64).map(|i| key.get(i).copied().unwrap_or(0) ^ byte).collect::<Vec<u8>>();
    let inner = Sha256::digest([pad(0x36), message.to_vec()].concat());
    Sha256::digest([pad(0x5c), inner.to_vec()].concat()).to_vec()
}

fn faulty(fault: &str) -> Settings {
    Settings { faults: vec![fault.parse().unwrap()], ..quick() }
}

#[tokio::test]
async fn a_task_is_made_found_by_both_ids_listed_and_fetched() {
    let (simulator, client) = start(quick()).await;
    let (status, made) = client.create("nr-1").await.unwrap();
    assert_eq!((status, &made["code"]), (200, &json!(0)));
    let id = made["data"]["task_id"].as_str().unwrap();
    for path in [format!("/{id}"), "/nr-1".into()] {
        let (_, told) = client.get(&path).await;
        assert_eq!(told["data"]["task_status"], "succeed");
        assert_eq!(told["data"]["task_info"]["external_task_id"], "nr-1");
    }
    let (_, listed) = client.get("?pageNum=1&pageSize=30").await;
    assert_eq!(listed["data"][0]["task_id"], id);
    let link = client.link("nr-1").await;
    let whole = client.0.get(&link).send().await.unwrap();
    let tag = whole.headers()["etag"].clone();
    let whole = whole.bytes().await.unwrap();
    let rest = client.0.get(&link).header("range", "bytes=1000-").header("if-range", tag).send().await.unwrap();
    assert_eq!(rest.status(), 206);
    assert_eq!(rest.bytes().await.unwrap(), whole[1000..]);
    let other = client.0.get(&link).header("range", "bytes=1000-").header("if-range", "\"x\"").send().await.unwrap();
    assert_eq!(other.status(), 200, "another version is sent whole");
    let leaked = client.0.get(&link).header("authorization", "Bearer k").send().await.unwrap();
    assert_eq!((leaked.status().as_u16(), simulator.stats().keys_leaked), (400, 1));
    simulator.shutdown().await;
}

#[tokio::test]
async fn what_is_refused_makes_nothing() {
    let (simulator, client) =
        start(Settings { in_flight: Some(1), task_for: (Duration::from_secs(99), Duration::from_secs(99)), ..quick() })
            .await;
    assert_eq!(client.create("nr-1").await.unwrap().0, 200);
    assert_eq!(client.create("nr-2").await.unwrap().1["code"], 1303);
    for (body, code) in [
        (json!({ "effect_scene": "hug_pro", "input": { "image": png(400) } }), 1201),
        (json!({ "effect_scene": "x", "input": { "image": "data:image/png;base64,xx" } }), 1201),
        (json!({ "effect_scene": "x", "input": { "image": png(400), "duration": 5 } }), 1201),
        (json!({ "input": {} }), 1201),
    ] {
        assert_eq!(client.post(&body).await.unwrap().1["code"], code, "{body}");
    }
    assert_eq!(simulator.stats().charged, 1);
    simulator.shutdown().await;
}

#[tokio::test]
async fn an_external_id_makes_one_task_for_ever() {
    let (simulator, client) = start(quick()).await;
    client.create("nr-1").await.unwrap();
    let (status, again) = client.create("nr-1").await.unwrap();
    assert_eq!((status, &again["code"]), (400, &json!(1201)));
    assert!(again["message"].as_str().unwrap().contains("already exists"));
    assert_eq!(simulator.stats().charged, 1);
    simulator.shutdown().await;
    let (simulator, client) = start(Settings { lookup: Lookup::Nothing, listing: Listing::Missing, ..quick() }).await;
    client.create("nr-1").await.unwrap();
    client.create("nr-1").await.unwrap();
    assert_eq!(simulator.stats().charged, 2, "where it is only a label it is paid twice");
    assert_eq!(client.get("/nr-1").await.0, 400);
    assert_eq!(client.get("?pageNum=1").await.0, 404);
    simulator.shutdown().await;
}

#[tokio::test]
async fn a_small_image_is_taken_and_fails_later() {
    let (simulator, client) = start(quick()).await;
    let body = json!({ "effect_scene": "x", "input": { "image": png(200) }, "external_task_id": "nr-1" });
    assert_eq!(client.post(&body).await.unwrap().0, 200);
    let (_, told) = client.get("/nr-1").await;
    assert_eq!(
        (&told["data"]["task_status"], &told["data"]["task_status_msg"]),
        (&json!("failed"), &json!("Image pixel is invalid"))
    );
    simulator.shutdown().await;
}

#[tokio::test]
async fn answers_are_lost_before_and_after_the_task_is_made() {
    for (fault, made) in [("drop-before", 0), ("lose-answer", 1)] {
        let (simulator, client) = start(faulty(fault)).await;
        assert!(client.create("nr-1").await.is_err(), "{fault}");
        assert_eq!(simulator.stats().charged, made, "{fault}");
        simulator.shutdown().await;
    }
    for (fault, status, made) in [
        ("error-500-before", 500, 0),
        ("error-500-after", 500, 1),
        ("html-502-after", 502, 1),
        ("empty-200-after", 200, 1),
        ("reject", 400, 0),
    ] {
        let (simulator, client) = start(faulty(fault)).await;
        assert_eq!(client.create("nr-1").await.unwrap().0, status, "{fault}");
        assert_eq!(simulator.stats().charged, made, "{fault}");
        simulator.shutdown().await;
    }
}

#[tokio::test]
async fn downloads_go_wrong_as_told() {
    for fault in ["truncate", "file-drop"] {
        let (simulator, client) = start(faulty(fault)).await;
        client.create("nr-1").await.unwrap();
        let link = client.link("nr-1").await;
        let whole = async { client.0.get(&link).send().await?.bytes().await }.await;
        assert!(whole.is_err(), "{fault}");
        simulator.shutdown().await;
    }
    for (fault, status) in [("file-500", 500), ("link-expired", 403), ("file-html", 200), ("short-file", 200)] {
        let (simulator, client) = start(faulty(fault)).await;
        client.create("nr-1").await.unwrap();
        let link = client.link("nr-1").await;
        assert_eq!(client.0.get(&link).send().await.unwrap().status().as_u16(), status, "{fault}");
        simulator.shutdown().await;
    }
}

#[tokio::test]
async fn a_restart_has_its_tasks_again() {
    let folder = tempfile::tempdir().unwrap();
    let journal = folder.path().join("world.jsonl");
    let settings = Settings { journal: Some(journal.clone()), ..quick() };
    let (simulator, client) = start(settings.clone()).await;
    client.create("nr-1").await.unwrap();
    simulator.shutdown().await;
    let mut text = std::fs::read(&journal).unwrap();
    text.extend(b"{\"id\":\"torn");
    std::fs::write(&journal, text).unwrap();
    let (simulator, client) = start(settings).await;
    assert_eq!(client.create("nr-1").await.unwrap().1["code"], 1201);
    assert_eq!(client.create("nr-2").await.unwrap().0, 200);
    simulator.shutdown().await;
}

#[tokio::test]
async fn a_key_is_demanded_where_one_is_set() {
    let (simulator, client) =
        start(Settings { credentials: Credentials { key: Some("k".into()), ..Credentials::default() }, ..quick() })
            .await;
    assert_eq!(client.create("nr-1").await.unwrap().0, 401);
    simulator.shutdown().await;
}

#[tokio::test]
async fn a_callback_tells_of_the_end() {
    use tokio::io::AsyncReadExt;
    let receiver = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}/hook", receiver.local_addr().unwrap());
    let (simulator, client) = start(quick()).await;
    let body = json!({ "effect_scene": "x", "input": { "image": png(400) }, "callback_url": url });
    let (_, made) = client.post(&body).await.unwrap();
    let (mut call, _) = receiver.accept().await.unwrap();
    let mut text = vec![0; 4096];
    let mut read = 0;
    while !String::from_utf8_lossy(&text[..read]).contains("task_result") {
        read += call.read(&mut text[read..]).await.unwrap();
    }
    let told = String::from_utf8_lossy(&text[..read]).into_owned();
    assert!(told.starts_with("POST /hook") && told.contains(made["data"]["task_id"].as_str().unwrap()), "{told}");
    simulator.shutdown().await;
}
