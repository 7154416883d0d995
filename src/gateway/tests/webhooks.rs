//! Callbacks as the remote signs them, held against the checks.

use serde_json::json;

use super::*;
use crate::gateway::rest::tests::{Call, Remote, reply};
use crate::gateway::webhook::{BadSignature, ed25519_keys, verify_fal, verify_wavespeed};

const SECRET: &str = "whsec_taint-0123456789";

impl Pairing {
    /// Has a task made by a request with a webhook, and gives what the webhook was told.
    async fn called_back(&self, path: &str, webhook: &str, body: &Value, authorization: &str) -> Call {
        let receiver = Remote::start(|_| reply(200, "")).await;
        let url = format!("{}{path}?{webhook}={}/hook", self.simulator.base_url(), receiver.base);
        http::ready_tls();
        let client = reqwest::Client::builder().no_proxy().build().unwrap();
        let made = client.post(url).header("authorization", authorization).body(body.to_string()).send().await.unwrap();
        assert_eq!(made.status(), 200);
        let clock = Clock::system();
        for _ in 0..1000 {
            if let Some(call) = receiver.calls().pop() {
                assert_eq!(call.header("authorization"), "", "the key went astray");
                return call;
            }
            clock.sleep(Duration::from_millis(2)).await;
        }
        panic!("nothing was told");
    }
}

#[tokio::test]
async fn fals_hold_under_the_keys_that_it_publishes_and_under_no_others() {
    let pairing = Fal.start().await;
    let body = json!({ "effect_scene": "squish", "input_image_urls": [LINK] });
    let path = "/fal-ai/kling-video/v1.6/standard/effects";
    let call = pairing.called_back(path, "fal_webhook", &body, &format!("Key {KEY}")).await;
    let published = |base: &str| format!("{base}/.well-known/jwks.json");
    let (_, keys) = pairing.fetch(&published(pairing.simulator.base_url())).await;
    let other = Fal.start_with(simulator::Settings { seed: 8, ..Fal.remote() }).await;
    let (_, others) = pairing.fetch(&published(other.simulator.base_url())).await;
    let header = |name: &str| call.header(&format!("x-fal-webhook-{name}")).to_owned();
    let holds = |keys: &[u8], body: &[u8], now: Timestamp| {
        let keys = ed25519_keys(keys).unwrap();
        let (id, user, at, signature) =
            (header("request-id"), header("user-id"), header("timestamp"), header("signature"));
        verify_fal(&keys, &id, &user, &at, &signature, body, now)
    };
    let now = Clock::system().now();
    assert_eq!(holds(&keys, &call.body, now), Ok(()));
    assert_eq!(holds(&others, &call.body, now), Err(BadSignature::Unsigned));
    assert_eq!(holds(&keys, b"{}", now), Err(BadSignature::Unsigned));
    assert_eq!(holds(&keys, &call.body, now + SignedDuration::from_mins(6)), Err(BadSignature::Stale));
    assert_eq!(call.json()["request_id"], pairing.judged().await[0]["task_id"]);
}

#[tokio::test]
async fn wavespeeds_hold_under_its_secret_and_under_no_other() {
    let mut settings = WaveSpeed.remote();
    settings.credentials.webhook_secret = Some(SECRET.to_owned());
    let pairing = WaveSpeed.start_with(settings).await;
    let body = json!({ "effect_scene": "squish", "image": LINK });
    let call = pairing.called_back("/api/v3/kwaivgi/kling-effects", "webhook", &body, &format!("Bearer {KEY}")).await;
    let holds = |secrets: &[&str], body: &[u8], now: Timestamp| {
        let secrets: Vec<SecretString> = secrets.iter().map(|secret| SecretString::from(*secret)).collect();
        let header = |name| call.header(name);
        let signature = header("webhook-signature");
        verify_wavespeed(&secrets, header("webhook-id"), header("webhook-timestamp"), signature, body, now)
    };
    let now = Clock::system().now();
    assert_eq!(holds(&["whsec_older", SECRET], &call.body, now), Ok(()));
    assert_eq!(holds(&["whsec_older"], &call.body, now), Err(BadSignature::Unsigned));
    assert_eq!(holds(&[SECRET], b"{}", now), Err(BadSignature::Unsigned));
    assert_eq!(holds(&[SECRET], &call.body, now - SignedDuration::from_mins(6)), Err(BadSignature::Stale));
    assert_eq!(call.json()["id"], pairing.judged().await[0]["task_id"]);
}
