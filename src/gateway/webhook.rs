//! Whether a callback comes from whom it says: the signatures of Kling, `WaveSpeed` and fal.
//!
//! Pure functions over what came: headers as texts, the body as its raw bytes (never as parsed and written again).
//! Nothing in a body is to be believed before its signature holds, and even then a callback is a hint: polling stays
//! the source of truth. Every comparison takes the same time whatever differs; no error says what was expected.

use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use jiff::Timestamp;
use ring::signature::{ED25519, UnparsedPublicKey};
use ring::{digest, hmac};
use secrecy::{ExposeSecret, SecretString};
use serde_json::Value;

/// How far a callback's instant may be from ours, in seconds: all three document five minutes.
const TOLERANCE: u64 = 300;

/// What every secret begins with.
const PREFIX: &str = "whsec_";

/// A callback that is not to be believed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum BadSignature {
    /// A header is missing, empty or of another form.
    #[error("a header of the callback is missing or of another form")]
    Malformed,
    /// It was signed more than five minutes ago, or in the future: perhaps it is played back.
    #[error("the callback was signed at another time than now")]
    Stale,
    /// Nobody who knows a secret signed this.
    #[error("the callback's signature does not hold")]
    Unsigned,
}

/// A document that holds no usable key.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the key set holds no Ed25519 key")]
pub struct NoKeys;

/// Checks a callback of Kling's, which follows Standard Webhooks (documented, with a test vector): `webhook-signature`
/// holds `v1,<base64>` one or more times, with spaces between; each is the HMAC-SHA256 of `{id}.{timestamp}.{body}`
/// under a secret whose part after `whsec_` is base64. One signature under one of `secrets` is enough, for both overlap for
/// days when a secret is replaced. A secret that is not base64 signs nothing.
pub fn verify_standard(
    secrets: &[SecretString],
    id: &str,
    timestamp: &str,
    signature_header: &str,
    body: &[u8],
    now: Timestamp,
) -> Result<(), BadSignature> {
    let signatures: Vec<Vec<u8>> = signature_header
        .split_whitespace()
        .filter_map(|signature| STANDARD.decode(signature.strip_prefix("v1,")?).ok())
        .collect();
    let keys = secrets.iter().filter_map(|secret| STANDARD.decode(bare(secret)).ok());
    verify_hmac(keys, id, timestamp, &signatures, body, now)
}

/// Checks a callback of `WaveSpeed`'s (documented): the same headers and the same signed content, but
/// `webhook-signature` is `v3,<hex>`, and the key is the text after `whsec_` itself, not what it decodes to. (The
/// signatures in its documentation do not follow from the secret that is printed beside them, whichever way it is read.)
pub fn verify_wavespeed(
    secrets: &[SecretString],
    id: &str,
    timestamp: &str,
    signature_header: &str,
    body: &[u8],
    now: Timestamp,
) -> Result<(), BadSignature> {
    let signatures: Vec<Vec<u8>> =
        signature_header.split_whitespace().filter_map(|signature| unhex(signature.strip_prefix("v3,")?)).collect();
    let keys = secrets.iter().map(|secret| bare(secret).as_bytes().to_vec());
    verify_hmac(keys, id, timestamp, &signatures, body, now)
}

/// Checks a callback of fal's (documented): `x-fal-webhook-signature` is the Ed25519 signature, in hex, of
/// `x-fal-webhook-request-id`, `-user-id`, `-timestamp` and the SHA-256 of the body in hex, with line feeds between,
/// under one of the keys that fal publishes ([`ed25519_keys`]).
pub fn verify_fal(
    keys: &[[u8; 32]],
    request_id: &str,
    user_id: &str,
    timestamp: &str,
    signature: &str,
    body: &[u8],
    now: Timestamp,
) -> Result<(), BadSignature> {
    check_instant(timestamp, now)?;
    // A line feed within a field would let one message pass for another.
    if [request_id, user_id].iter().any(|field| field.is_empty() || field.contains('\n')) {
        return Err(BadSignature::Malformed);
    }
    let signature = unhex(signature.trim()).ok_or(BadSignature::Malformed)?;
    let digest = hex(digest::digest(&digest::SHA256, body).as_ref());
    let message = [request_id, user_id, timestamp.trim(), &digest].join("\n");
    let holds = |key: &[u8; 32]| UnparsedPublicKey::new(&ED25519, key).verify(message.as_bytes(), &signature).is_ok();
    if keys.iter().any(holds) { Ok(()) } else { Err(BadSignature::Unsigned) }
}

/// The Ed25519 keys of a JSON Web Key Set, as fal publishes them (documented: at
/// `https://rest.fal.ai/.well-known/jwks.json`, to be kept for a day at the most). Keys of other kinds are left out.
pub fn ed25519_keys(jwks: &[u8]) -> Result<Vec<[u8; 32]>, NoKeys> {
    let document: Value = serde_json::from_slice(jwks).map_err(|_| NoKeys)?;
    let listed = document.get("keys").and_then(Value::as_array).ok_or(NoKeys)?;
    let keys: Vec<[u8; 32]> = listed
        .iter()
        .filter(|key| key.get("kty").is_some_and(|kind| kind == "OKP"))
        .filter(|key| key.get("crv").is_some_and(|curve| curve == "Ed25519"))
        .filter_map(|key| {
            let text = key.get("x")?.as_str()?.trim_end_matches('=');
            URL_SAFE_NO_PAD.decode(text).ok()?.try_into().ok()
        })
        .collect();
    if keys.is_empty() { Err(NoKeys) } else { Ok(keys) }
}

fn verify_hmac(
    keys: impl Iterator<Item = Vec<u8>>,
    id: &str,
    timestamp: &str,
    signatures: &[Vec<u8>],
    body: &[u8],
    now: Timestamp,
) -> Result<(), BadSignature> {
    check_instant(timestamp, now)?;
    if id.is_empty() || signatures.is_empty() {
        return Err(BadSignature::Malformed);
    }
    let message = [id.as_bytes(), b".", timestamp.trim().as_bytes(), b".", body].concat();
    // An empty key would be one that everybody knows.
    let keys: Vec<hmac::Key> =
        keys.filter(|key| !key.is_empty()).map(|key| hmac::Key::new(hmac::HMAC_SHA256, &key)).collect();
    let holds = |key| signatures.iter().any(|signature| hmac::verify(key, &message, signature).is_ok());
    if keys.iter().any(holds) { Ok(()) } else { Err(BadSignature::Unsigned) }
}

/// Whether a callback was signed just now, by Unix seconds.
fn check_instant(timestamp: &str, now: Timestamp) -> Result<(), BadSignature> {
    let signed: i64 = timestamp.trim().parse().map_err(|_| BadSignature::Malformed)?;
    if now.as_second().abs_diff(signed) <= TOLERANCE { Ok(()) } else { Err(BadSignature::Stale) }
}

fn bare(secret: &SecretString) -> &str {
    let secret = secret.expose_secret().trim();
    secret.strip_prefix(PREFIX).unwrap_or(secret)
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

fn unhex(text: &str) -> Option<Vec<u8>> {
    let digits: Vec<u8> = text.chars().map(|c| u8::try_from(c.to_digit(16)?).ok()).collect::<Option<_>>()?;
    let pairs = digits.chunks_exact(2);
    (pairs.remainder().is_empty() && !digits.is_empty()).then(|| pairs.map(|pair| pair[0] << 4 | pair[1]).collect())
}

#[cfg(test)]
mod tests {
    use ring::signature::{Ed25519KeyPair, KeyPair};

    use super::BadSignature::{Malformed, Stale, Unsigned};
    use super::*;

    /// Kling's own test vector.
    const KLING: (&str, &str, &str, &str) = (
        "whsec_dGVzdHNlY3JldHRlc3RzZWNyZXR0ZXN0c2VjcmV0MTI=",
        "9876543210",
        "1781080794",
        r#"{"id":"1234567890","status":"succeeded","message":"","create_time":1781080778802,"update_time":1781080794151}"#,
    );
    const KLING_SIGNATURE: &str = "v1,UsKlJP00XoQyOn410NM9xv34sP+Gl0jnOO9Lcpr7NJ4=";

    fn at(seconds: i64) -> Timestamp {
        Timestamp::from_second(seconds).unwrap()
    }

    fn kling(secrets: &[&str], header: &str, body: &str, now: i64) -> Result<(), BadSignature> {
        let secrets: Vec<SecretString> = secrets.iter().map(|secret| SecretString::from(*secret)).collect();
        verify_standard(&secrets, KLING.1, KLING.2, header, body.as_bytes(), at(now))
    }

    #[test]
    fn the_published_vector_of_kling_holds() {
        let (secret, .., body) = KLING;
        let now = 1_781_080_794;
        assert_eq!(kling(&[secret], KLING_SIGNATURE, body, now), Ok(()));
        // While a secret is replaced there are two of each.
        let other = "whsec_b3RoZXI=";
        let wrong = "v1,AAAAJP00XoQyOn410NM9xv34sP+Gl0jnOO9Lcpr7NJ4=";
        for header in [format!("{wrong} {KLING_SIGNATURE}"), format!("{KLING_SIGNATURE} v2,x")] {
            assert_eq!(kling(&[other, secret], &header, body, now), Ok(()));
        }
    }

    #[test]
    fn what_is_not_signed_like_that_is_refused() {
        let (secret, .., body) = KLING;
        let now = 1_781_080_794;
        let tampered = body.replace("succeeded", "failed");
        for (secrets, header, body, now, why) in [
            (&[secret][..], KLING_SIGNATURE, tampered.as_str(), now, Unsigned),
            (&["whsec_b3RoZXI="], KLING_SIGNATURE, body, now, Unsigned),
            (&[], KLING_SIGNATURE, body, now, Unsigned),
            (&["whsec_"], KLING_SIGNATURE, body, now, Unsigned),
            (&["whsec_not base64"], KLING_SIGNATURE, body, now, Unsigned),
            (&[secret], &KLING_SIGNATURE[..20], body, now, Malformed),
            (&[secret], "", body, now, Malformed),
            (&[secret], &KLING_SIGNATURE["v1,".len()..], body, now, Malformed),
            (&[secret], KLING_SIGNATURE, body, now + 301, Stale),
            (&[secret], KLING_SIGNATURE, body, now - 301, Stale),
        ] {
            assert_eq!(kling(secrets, header, body, now), Err(why), "{secrets:?} {header} {now}");
        }
        assert_eq!(kling(&[secret], KLING_SIGNATURE, body, now + 300), Ok(()));
        let secrets = [SecretString::from(secret)];
        let asked = |id, timestamp| verify_standard(&secrets, id, timestamp, KLING_SIGNATURE, body.as_bytes(), at(now));
        assert_eq!(asked("9876543211", KLING.2), Err(Unsigned));
        assert_eq!(asked(KLING.1, "1781080795"), Err(Unsigned));
        assert_eq!(asked("", KLING.2), Err(Malformed));
        assert_eq!(asked(KLING.1, "now"), Err(Malformed));
    }

    #[test]
    fn an_empty_secret_signs_nothing() {
        let empty = hmac::sign(&hmac::Key::new(hmac::HMAC_SHA256, b""), b"i.1758798328.{}");
        let (base64, hex) = (format!("v1,{}", STANDARD.encode(empty.as_ref())), format!("v3,{}", hex(empty.as_ref())));
        let secrets = ["", "whsec_"].map(SecretString::from);
        let now = at(1_758_798_328);
        assert_eq!(verify_standard(&secrets, "i", "1758798328", &base64, b"{}", now), Err(Unsigned));
        assert_eq!(verify_wavespeed(&secrets, "i", "1758798328", &hex, b"{}", now), Err(Unsigned));
    }

    #[test]
    fn wavespeed_signs_in_hex_under_the_text_of_its_secret() {
        let (secret, id, body) =
            ("whsec_e9EE3BdyXSxcB4ZyZUKjQUEoQX4sF9P1+eMpb/KluCM=", "45b392b2", b"{\"id\":\"45b392b2\"}");
        let key = hmac::Key::new(hmac::HMAC_SHA256, b"e9EE3BdyXSxcB4ZyZUKjQUEoQX4sF9P1+eMpb/KluCM=");
        let message = [b"45b392b2.1758798328.".as_slice(), body].concat();
        let signature = hex(hmac::sign(&key, &message).as_ref());
        let secrets = [SecretString::from(secret)];
        let check = |header: &str| verify_wavespeed(&secrets, id, "1758798328", header, body, at(1_758_798_400));
        assert_eq!(check(&format!("v3,{signature}")), Ok(()));
        assert_eq!(check(&format!("v3,{}", signature.to_uppercase())), Ok(()));
        assert_eq!(check(&format!("v3,{}", signature.replace('a', "b"))), Err(Unsigned));
        for malformed in [signature.clone(), format!("v1,{signature}"), "v3,".to_owned(), format!("v3,{signature}é")] {
            assert_eq!(check(&malformed), Err(Malformed), "{malformed}");
        }
        // What Standard Webhooks would make of the same secret is another signature.
        let standard = hmac::Key::new(hmac::HMAC_SHA256, &STANDARD.decode(&secret[PREFIX.len()..]).unwrap());
        let signature = hex(hmac::sign(&standard, &message).as_ref());
        assert_eq!(check(&format!("v3,{signature}")), Err(Unsigned));
    }

    #[test]
    fn fal_signs_with_a_key_of_its_published_set() {
        let [pair, other] = [1, 2].map(|seed| Ed25519KeyPair::from_seed_unchecked(&[seed; 32]).unwrap());
        let jwks = serde_json::json!({"keys": [
            {"kty": "RSA", "n": "AQAB", "e": "AQAB"},
            {"kty": "OKP", "crv": "X25519", "x": URL_SAFE_NO_PAD.encode([9; 32])},
            {"kty": "OKP", "crv": "Ed25519", "x": "c2hvcnQ"},
            {"kty": "OKP", "crv": "Ed25519", "kid": "a", "x": URL_SAFE_NO_PAD.encode(other.public_key())},
            {"kty": "OKP", "crv": "Ed25519", "kid": "b", "x": URL_SAFE_NO_PAD.encode(pair.public_key())},
        ]});
        let keys = ed25519_keys(jwks.to_string().as_bytes()).unwrap();
        assert_eq!(keys.len(), 2);
        let body = br#"{"request_id":"r","status":"OK"}"#;
        let digest = hex(digest::digest(&digest::SHA256, body).as_ref());
        let signature = hex(pair.sign(format!("r\nu\n1758798328\n{digest}").as_bytes()).as_ref());

        let check = |keys: &[[u8; 32]], request_id: &str, timestamp: &str, signature: &str, body: &[u8]| {
            verify_fal(keys, request_id, "u", timestamp, signature, body, at(1_758_798_400))
        };
        assert_eq!(check(&keys, "r", "1758798328", &signature, body), Ok(()));
        assert_eq!(check(&keys[..1], "r", "1758798328", &signature, body), Err(Unsigned));
        assert_eq!(check(&[], "r", "1758798328", &signature, body), Err(Unsigned));
        assert_eq!(check(&keys, "q", "1758798328", &signature, body), Err(Unsigned));
        assert_eq!(check(&keys, "r", "1758798329", &signature, body), Err(Unsigned));
        assert_eq!(check(&keys, "r", "1758798328", &signature, b"{}"), Err(Unsigned));
        assert_eq!(check(&keys, "r", "1758798328", &signature[2..], body), Err(Unsigned));
        assert_eq!(check(&keys, "r", "1758798328", &signature[1..], body), Err(Malformed));
        assert_eq!(check(&keys, "r\nu", "1758798328", &signature, body), Err(Malformed));
        assert_eq!(check(&keys, "r", "1758790000", &signature, body), Err(Stale));
    }

    #[test]
    fn a_document_without_a_key_is_none() {
        for jwks in ["", "{}", "[]", r#"{"keys":[]}"#, r#"{"keys":[{"kty":"OKP","crv":"Ed25519","x":"!"}]}"#] {
            assert_eq!(ed25519_keys(jwks.as_bytes()), Err(NoKeys), "{jwks}");
        }
    }
}
