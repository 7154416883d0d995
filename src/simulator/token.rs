//! Signed tokens, as Kling has them: HS256 over an issuer, a beginning and an end. Checked by hand, so that the simulator
//! does not vouch for the code that makes them.

use base64::Engine;
use base64::prelude::BASE64_URL_SAFE_NO_PAD;
use ring::hmac;
use serde_json::Value;

/// What is wrong with a token. The official table of errors has a code for each.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Flaw {
    /// It is no token, or not signed by this pair.
    Invalid,
    /// It does not count yet.
    TooEarly,
    /// It counts no longer.
    Expired,
}

/// Whether a text looks like a token: three parts.
pub(super) fn is_token(text: &str) -> bool {
    text.split('.').count() == 3
}

/// How long a token lives as Kling's documentation makes it: by this and its end it is known when it was made.
const LIFE: i64 = 1800;

/// Holds a token against the pair at `now`, in seconds since 1970, without any leeway (none is documented). One that was
/// made more than `most_age` seconds ago has expired, whatever it says of itself.
pub(super) fn check(token: &str, pair: &(String, String), now: i64, most_age: Option<i64>) -> Result<(), Flaw> {
    let (signed, signature) = token.rsplit_once('.').ok_or(Flaw::Invalid)?;
    let (head, claims) = signed.split_once('.').ok_or(Flaw::Invalid)?;
    let (access_key, secret_key) = pair;
    let signature = BASE64_URL_SAFE_NO_PAD.decode(signature).map_err(|_| Flaw::Invalid)?;
    let key = hmac::Key::new(hmac::HMAC_SHA256, secret_key.as_bytes());
    hmac::verify(&key, signed.as_bytes(), &signature).map_err(|_| Flaw::Invalid)?;
    let (head, claims) = (json(head)?, json(claims)?);
    if head["alg"] != "HS256" || claims["iss"] != access_key.as_str() {
        return Err(Flaw::Invalid);
    }
    let ends = claims["exp"].as_i64().ok_or(Flaw::Invalid)?;
    let begins = claims["nbf"].as_i64().unwrap_or(0);
    if begins > now {
        return Err(Flaw::TooEarly);
    }
    if ends <= now || most_age.is_some_and(|most| now - (ends - LIFE) > most) {
        return Err(Flaw::Expired);
    }
    Ok(())
}

fn json(part: &str) -> Result<Value, Flaw> {
    let bytes = BASE64_URL_SAFE_NO_PAD.decode(part).map_err(|_| Flaw::Invalid)?;
    serde_json::from_slice(&bytes).map_err(|_| Flaw::Invalid)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Made by Python's own `hmac`: issued by `ak`, signed with `sk`, from 995 to 2800.
    const MADE_ELSEWHERE: &str = "eyJhbGciOiJIUzI1NiIsInR5cCI6IkpXVCJ9.eyJpc3MiOiJhayIsImV4cCI6MjgwMCwibmJmIjo5OTV9.liyJBNcfwoeyG-Ryf7JxMpqt_oxeF6785mpUhMyH1is";

    #[test]
    fn a_token_is_taken_in_its_time_only() {
        let pair = ("ak".to_owned(), "sk".to_owned());
        for (now, most_age, found) in [
            (1_000, None, Ok(())),
            (994, None, Err(Flaw::TooEarly)),
            (2_800, None, Err(Flaw::Expired)),
            (2_799, None, Ok(())),
            (1_060, Some(60), Ok(())),
            (1_061, Some(60), Err(Flaw::Expired)),
            // That it counts a little before it was made does not make it older.
            (1_002, Some(2), Ok(())),
        ] {
            assert_eq!(check(MADE_ELSEWHERE, &pair, now, most_age), found, "{now}");
        }
        for (access, secret) in [("ak", "other"), ("other", "sk")] {
            let other = (access.to_owned(), secret.to_owned());
            assert_eq!(check(MADE_ELSEWHERE, &other, 1_000, None), Err(Flaw::Invalid));
        }
        assert_eq!(check("sk-plain", &pair, 1_000, None), Err(Flaw::Invalid));
    }
}
