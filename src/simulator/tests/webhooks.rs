//! Webhooks, checked as their vendors document it.

use std::collections::HashMap;

use base64::prelude::BASE64_URL_SAFE_NO_PAD;
use ring::signature::{ED25519, UnparsedPublicKey};
use sha2::{Digest, Sha256};
use tokio::io::AsyncReadExt;
use tokio::net::TcpListener;

use super::super::media::hex;
use super::*;

/// The headers and the body of the next call.
async fn received(receiver: &TcpListener) -> (HashMap<String, String>, String) {
    let (mut call, _) = receiver.accept().await.unwrap();
    let mut text = Vec::new();
    loop {
        let read = call.read_buf(&mut text).await.unwrap();
        let told = String::from_utf8_lossy(&text).into_owned();
        if let Some((head, body)) = told.split_once("\r\n\r\n") {
            let headers: HashMap<String, String> = head
                .lines()
                .filter_map(|line| line.split_once(": "))
                .map(|(name, value)| (name.to_lowercase(), value.to_owned()))
                .collect();
            if body.len() >= headers["content-length"].parse().unwrap() {
                return (headers, body.to_owned());
            }
        }
        assert!(read > 0, "the call broke off: {told}");
    }
}

async fn receiver() -> (TcpListener, String) {
    let receiver = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}/hook", receiver.local_addr().unwrap());
    (receiver, url)
}

fn at_once(dialect: Dialect) -> Settings {
    let settings = Settings { fail_scenes: vec!["doomed".into()], ..Settings::speaking(dialect) };
    Settings { task_for: (Duration::ZERO, Duration::ZERO), ..settings }
}

fn bytes(hexadecimal: &str) -> Vec<u8> {
    (0..hexadecimal.len()).step_by(2).map(|at| u8::from_str_radix(&hexadecimal[at..at + 2], 16).unwrap()).collect()
}

#[tokio::test]
async fn fals_are_signed_with_a_key_that_it_publishes() {
    let (receiver, url) = receiver().await;
    let (simulator, client) = start(at_once(Dialect::Fal)).await;
    let (_, keys) = client.call("/.well-known/jwks.json", "", None).await;
    let key = BASE64_URL_SAFE_NO_PAD.decode(keys["keys"][0]["x"].as_str().unwrap()).unwrap();
    for (scene, status, key_of_payload) in [("squish", "OK", "video"), ("doomed", "ERROR", "detail")] {
        let body = json!({ "effect_scene": scene, "input_image_urls": ["https://example.com/a.jpg"] });
        let path = format!("/fal-ai/kling-video/v1.6/standard/effects?fal_webhook={url}");
        let (_, made) = client.call(&path, "", Some(&body)).await;
        let (headers, body) = received(&receiver).await;
        let header = |name: &str| headers[&format!("x-fal-webhook-{name}")].as_str();
        let digest = hex(&Sha256::digest(&body));
        let message = [header("request-id"), header("user-id"), header("timestamp"), &digest].join("\n");
        let signature = bytes(header("signature"));
        UnparsedPublicKey::new(&ED25519, &key).verify(message.as_bytes(), &signature).unwrap();
        let told: Value = serde_json::from_str(&body).unwrap();
        assert_eq!((&told["request_id"], &told["status"]), (&made["request_id"], &json!(status)));
        assert!(!told["payload"][key_of_payload].is_null(), "{told}");
    }
    simulator.shutdown().await;
}

#[tokio::test]
async fn wavespeeds_are_signed_with_the_text_of_their_secret() {
    let (receiver, url) = receiver().await;
    for secret in [Some("whsec_c2VjcmV0"), None] {
        let credentials = Credentials { webhook_secret: secret.map(str::to_owned), ..Credentials::default() };
        let (simulator, client) = start(Settings { credentials, ..at_once(Dialect::WaveSpeed) }).await;
        let body = json!({ "effect_scene": "doomed", "image": "https://example.com/a.jpg" });
        let path = format!("/api/v3/kwaivgi/kling-effects?webhook={url}");
        let (_, made) = client.call(&path, "", Some(&body)).await;
        let (headers, body) = received(&receiver).await;
        let signed = headers.get("webhook-signature").map(|signature| {
            let message = format!("{}.{}.{body}", headers["webhook-id"], headers["webhook-timestamp"]);
            assert_eq!(*signature, format!("v3,{}", hex(&hmac_sha256(b"c2VjcmV0", message.as_bytes()))));
        });
        assert_eq!(signed.is_some(), secret.is_some());
        let told: Value = serde_json::from_str(&body).unwrap();
        assert_eq!((&told["id"], &told["status"]), (&made["data"]["id"], &json!("failed")));
        assert!(told["error"].as_str().unwrap().contains("risk control"), "{told}");
        simulator.shutdown().await;
    }
}
