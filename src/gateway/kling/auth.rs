//! What a request shows the remote: nothing, a key, or a token that is made of an access key and a secret key and lives
//! for half an hour (HS256, documented by Kling).
//!
//! A token is made by the remote's time where this machine's clock is wrong: a night is lost to a clock that is five
//! seconds ahead, for then every token is "not yet valid".

use std::sync::{Mutex, MutexGuard, PoisonError};

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use jiff::{SignedDuration, Timestamp};
use reqwest::header::HeaderValue;
use ring::hmac;
use secrecy::{ExposeSecret, SecretString};
use serde_json::json;

use crate::gateway::spec::{BuildError, Credentials};
use crate::gateway::{http, words::Wording};
use crate::pace::Clock;

/// How long a token lives: Kling's own sample (documented; a longest life is not).
const LIFE: i64 = 1800;

/// How long before its making a token is valid: Kling's own sample (documented).
const BACKDATED: i64 = 5;

/// When a token is made anew: well before its end.
const RENEW_AFTER: SignedDuration = SignedDuration::from_mins(20);

/// Clocks that differ by less are taken for equal: a `Date` has whole seconds, and the way takes its time.
const SAME: SignedDuration = SignedDuration::from_secs(3);

/// No remote is believed to be further away in time than this.
const FURTHEST: SignedDuration = SignedDuration::from_hours(24);

/// What a request shows the remote.
pub(super) enum Authorization {
    /// Nothing.
    Nothing,
    /// A key.
    Fixed(HeaderValue),
    /// Tokens.
    Signed(Box<Signer>),
}

impl Authorization {
    /// For `credentials`. Every token that is made is hidden by `wording`.
    pub(super) fn new(credentials: &Credentials, wording: &Wording, clock: &Clock) -> Result<Self, BuildError> {
        match credentials {
            Credentials::None => Ok(Self::Nothing),
            Credentials::Key(key) => http::authorization("Bearer", key).map(Self::Fixed).ok_or(BuildError::Key),
            Credentials::AccessKey { access, secret } => {
                Signer::new(access, secret, wording.clone(), clock.clone()).map(Box::new).map(Self::Signed)
            }
        }
    }

    /// The header of the next request.
    pub(super) fn header(&self) -> Option<HeaderValue> {
        match self {
            Self::Nothing => None,
            Self::Fixed(value) => Some(value.clone()),
            Self::Signed(signer) => Some(signer.header()),
        }
    }

    /// Hears from an answer how far the remote's clock is ahead of ours.
    pub(super) fn hear(&self, ahead: Option<SignedDuration>) {
        if let (Self::Signed(signer), Some(ahead)) = (self, ahead) {
            signer.hear(ahead);
        }
    }

    /// Whether there is something else to show after `refused` was refused as too old or too young by an answer whose
    /// clock is `ahead` of ours.
    pub(super) fn renews(&self, refused: Option<&HeaderValue>, ahead: Option<SignedDuration>) -> bool {
        match (self, refused) {
            (Self::Signed(signer), Some(refused)) => {
                signer.renew(refused, ahead);
                true
            }
            (Self::Nothing | Self::Fixed(_) | Self::Signed(_), _) => false,
        }
    }
}

/// Makes tokens and keeps the present one.
pub(super) struct Signer {
    access: SecretString,
    key: hmac::Key,
    wording: Wording,
    clock: Clock,
    state: Mutex<Present>,
}

#[derive(Default)]
struct Present {
    token: Option<Token>,
    /// How far the remote's clock is ahead of ours.
    ahead: SignedDuration,
    /// It was said that the clocks differ.
    told: bool,
}

struct Token {
    header: HeaderValue,
    made_at: Timestamp,
    /// How far ahead the remote's clock was thought to be.
    ahead: SignedDuration,
}

impl Signer {
    fn new(access: &SecretString, secret: &SecretString, wording: Wording, clock: Clock) -> Result<Self, BuildError> {
        let (access, secret) = (access.expose_secret().trim(), secret.expose_secret().trim());
        // They go over the wire within base64 or not at all; what no header could carry was not copied whole.
        let unfit = |key: &str| key.is_empty() || key.chars().any(|c| c.is_control() || c.is_whitespace());
        if unfit(access) || unfit(secret) {
            return Err(BuildError::Key);
        }
        let key = hmac::Key::new(hmac::HMAC_SHA256, secret.as_bytes());
        Ok(Self { access: SecretString::from(access), key, wording, clock, state: Mutex::default() })
    }

    fn present(&self) -> MutexGuard<'_, Present> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn header(&self) -> HeaderValue {
        let now = self.clock.now();
        let mut present = self.present();
        let ahead = present.ahead;
        if let Some(token) = &present.token
            && now.duration_since(token.made_at) < RENEW_AFTER
            && differ_little(token.ahead, ahead)
        {
            return token.header.clone();
        }
        let header = self.make(now, ahead);
        present.token = Some(Token { header: header.clone(), made_at: now, ahead });
        header
    }

    fn make(&self, now: Timestamp, ahead: SignedDuration) -> HeaderValue {
        let now = now.as_second().saturating_add(ahead.as_secs());
        let head = URL_SAFE_NO_PAD.encode(r#"{"alg":"HS256","typ":"JWT"}"#);
        let claims = json!({"iss": self.access.expose_secret(), "exp": now + LIFE, "nbf": now - BACKDATED});
        let signed = format!("{head}.{}", URL_SAFE_NO_PAD.encode(claims.to_string()));
        let signature = URL_SAFE_NO_PAD.encode(hmac::sign(&self.key, signed.as_bytes()));
        let token = SecretString::from(format!("{signed}.{signature}"));
        let header = http::authorization("Bearer", &token);
        self.wording.also(token);
        // Base64 and dots: every header can carry them.
        header.unwrap_or_else(|| HeaderValue::from_static("Bearer"))
    }

    fn hear(&self, ahead: SignedDuration) {
        if ahead.abs() > FURTHEST {
            return;
        }
        let mut present = self.present();
        present.ahead = if ahead.abs() <= SAME { SignedDuration::ZERO } else { ahead };
        if !present.ahead.is_zero() && !present.told {
            present.told = true;
            let (seconds, way) = (ahead.as_secs().abs(), if ahead.is_negative() { "ahead of" } else { "behind" });
            tracing::warn!(
                "this machine's clock is {seconds} s {way} the remote's: tokens are made by the remote's time"
            );
        }
    }

    /// Forgets the token that was refused, unless another one has taken its place already.
    fn renew(&self, refused: &HeaderValue, ahead: Option<SignedDuration>) {
        let mut present = self.present();
        if present.token.as_ref().is_some_and(|token| token.header == *refused) {
            present.token = None;
        }
        // What is too little to matter otherwise may have been what it was refused for.
        if let Some(ahead) = ahead.filter(|ahead| ahead.abs() <= FURTHEST) {
            present.ahead = ahead;
        }
    }
}

fn differ_little(one: SignedDuration, other: SignedDuration) -> bool {
    one.saturating_sub(other).abs() <= SAME
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use jsonwebtoken::{Algorithm, DecodingKey, Validation, decode, decode_header};
    use serde_json::Value;

    use super::*;

    const SECRET: &str = "sk-taint/+=é";

    fn signer() -> Signer {
        let clock = Clock::starting_at("2026-11-24T08:00:00Z".parse().unwrap());
        let (access, secret) = (SecretString::from("ak-taint \n".trim()), SecretString::from(SECRET));
        Signer::new(&access, &secret, Wording::new(None), clock).unwrap()
    }

    /// The claims of a token whose signature another library has checked.
    fn claims(header: &HeaderValue) -> Value {
        let token = header.to_str().unwrap().strip_prefix("Bearer ").unwrap();
        assert_eq!(decode_header(token).unwrap().typ.as_deref(), Some("JWT"));
        let mut validation = Validation::new(Algorithm::HS256);
        // By the test's clock, below.
        validation.validate_exp = false;
        decode::<Value>(token, &DecodingKey::from_secret(SECRET.as_bytes()), &validation).unwrap().claims
    }

    /// Whether a remote whose clock is `ahead` of the signer's would let it in.
    fn let_in(signer: &Signer, ahead: i64) -> bool {
        let claims = claims(&signer.header());
        let theirs = signer.clock.now().as_second() + ahead;
        claims["nbf"].as_i64().unwrap() <= theirs && theirs < claims["exp"].as_i64().unwrap()
    }

    #[tokio::test(start_paused = true)]
    async fn a_token_says_what_is_documented_and_is_never_shown() {
        let signer = signer();
        let header = signer.header();
        let now = signer.clock.now().as_second();
        assert_eq!(claims(&header), json!({"iss": "ak-taint", "exp": now + 1800, "nbf": now - 5}));
        assert!(header.is_sensitive() && !format!("{header:?}").contains("ey"));
        let echoed = format!("no such token: {}", header.to_str().unwrap());
        assert_eq!(signer.wording.of(&echoed), "no such token: Bearer [key]");
    }

    #[tokio::test(start_paused = true)]
    async fn a_token_is_kept_and_made_anew_well_before_its_end() {
        let signer = signer();
        let first = signer.header();
        let mut made = 1;
        let mut present = first.clone();
        for _ in 0..8 * 60 {
            signer.clock.sleep(Duration::from_secs(60)).await;
            let token = signer.header();
            made += u32::from(token != present);
            present = token;
            let left = claims(&present)["exp"].as_i64().unwrap() - signer.clock.now().as_second();
            assert!(left > 600, "{left} s are left");
        }
        assert_eq!(made, 1 + 8 * 3);
    }

    #[tokio::test(start_paused = true)]
    async fn a_clock_that_is_off_does_not_matter_once_an_answer_came() {
        for ahead in [3600, -3600, 7, -1790, -1810] {
            let signer = signer();
            let before = signer.header();
            signer.hear(SignedDuration::from_secs(ahead));
            assert!(let_in(&signer, ahead), "{ahead}");
            assert_ne!(signer.header(), before);
            // Nor when it was put right meanwhile.
            signer.hear(SignedDuration::ZERO);
            assert!(let_in(&signer, 0), "{ahead}");
        }
    }

    #[tokio::test(start_paused = true)]
    async fn a_little_and_a_nonsensical_difference_change_nothing() {
        let signer = signer();
        let first = signer.header();
        for ahead in [1, -2, 3, 100_000_000, -90_000] {
            signer.hear(SignedDuration::from_secs(ahead));
            assert_eq!(signer.header(), first, "{ahead}");
        }
    }

    #[tokio::test(start_paused = true)]
    async fn a_refused_token_is_made_anew_once_however_many_requests_carried_it() {
        let signer = signer();
        let refused = signer.header();
        signer.clock.sleep(Duration::from_secs(1)).await;
        signer.renew(&refused, Some(SignedDuration::from_secs(-2)));
        let second = signer.header();
        assert_ne!(second, refused);
        assert_eq!(claims(&second)["nbf"], signer.clock.now().as_second() - 2 - 5);
        signer.clock.sleep(Duration::from_secs(1)).await;
        signer.renew(&refused, None);
        assert_eq!(signer.header(), second);
    }

    #[test]
    fn half_a_pair_of_keys_is_refused() {
        for (access, secret) in [("", "s"), ("a", " "), ("a b", "s"), ("a", "s\ns")] {
            let made = Signer::new(&access.into(), &secret.into(), Wording::new(None), Clock::system());
            assert!(matches!(made, Err(BuildError::Key)), "{access:?} {secret:?}");
        }
    }
}
