//! Signatures of webhooks, as their vendors document them.

use base64::Engine;
use base64::prelude::BASE64_URL_SAFE_NO_PAD;
use ring::hmac;
use ring::signature::{Ed25519KeyPair, KeyPair};
use serde_json::{Value, json};
use sha2::{Digest, Sha256};

use super::callback::Notice;
use super::media::hex;

/// Whose account fal's webhooks are said to be of.
const USER: &str = "simulated-user";

/// Signs webhooks.
#[derive(Debug)]
pub(super) struct Signer {
    pair: Option<Ed25519KeyPair>,
}

impl Signer {
    /// With a key that is the same for the same `seed`.
    pub(super) fn new(seed: u64) -> Self {
        let secret = Sha256::digest(format!("nightreel simulator {seed}"));
        Self { pair: Ed25519KeyPair::from_seed_unchecked(&secret).ok() }
    }

    /// fal's: Ed25519 over request, user, time and the digest of the body, a line each, in hexadecimal digits.
    pub(super) fn fal(&self, id: &str, now: i64, body: String) -> Notice {
        let message = format!("{id}\n{USER}\n{now}\n{}", hex(&Sha256::digest(&body)));
        let signature = self.pair.as_ref().map_or(String::new(), |pair| hex(pair.sign(message.as_bytes()).as_ref()));
        let headers = vec![
            ("x-fal-webhook-request-id", id.to_owned()),
            ("x-fal-webhook-user-id", USER.to_owned()),
            ("x-fal-webhook-timestamp", now.to_string()),
            ("x-fal-webhook-signature", signature),
        ];
        Notice { headers, body }
    }

    /// The key that [`fal`](Self::fal)'s signatures are checked with, as a set of one.
    pub(super) fn key_set(&self) -> Value {
        let key = |pair: &Ed25519KeyPair| {
            let public = BASE64_URL_SAFE_NO_PAD.encode(pair.public_key().as_ref());
            json!({ "kty": "OKP", "crv": "Ed25519", "alg": "EdDSA", "use": "sig", "kid": "simulated-1", "x": public })
        };
        let keys: Vec<Value> = self.pair.iter().map(key).collect();
        json!({ "keys": keys })
    }
}

/// `WaveSpeed`'s: HMAC-SHA256 over id, time and body, keyed with the secret's text behind its prefix, in hexadecimal
/// digits. Without a secret it is not signed.
pub(super) fn wavespeed(secret: Option<&str>, id: &str, now: i64, body: String) -> Notice {
    let Some(secret) = secret else { return Notice { headers: Vec::new(), body } };
    let key = hmac::Key::new(hmac::HMAC_SHA256, secret.strip_prefix("whsec_").unwrap_or(secret).as_bytes());
    let signature = hex(hmac::sign(&key, format!("{id}.{now}.{body}").as_bytes()).as_ref());
    let headers = vec![
        ("webhook-id", id.to_owned()),
        ("webhook-timestamp", now.to_string()),
        ("webhook-signature", format!("v3,{signature}")),
    ];
    Notice { headers, body }
}
