//! The keys that fal publishes for its callbacks: fetched when a callback comes, and kept for a day at the most, as documented.

use std::fmt;
use std::time::Duration;

use jiff::Timestamp;
use reqwest::Url;
use tokio::sync::Mutex;

use super::http::{Clients, base_url, read_limited};
use super::{fal, webhook};
use crate::pace::Clock;

/// Where fal publishes its keys (documented). Whatever stands in for fal's queue publishes its own at the same path.
const KEYS_OF_FAL: &str = "https://rest.fal.ai/.well-known/jwks.json";
const PATH: &str = "/.well-known/jwks.json";
/// How long keys are believed (documented).
const DAY: Duration = Duration::from_hours(24);
/// The shortest time between two questions for keys: a flood of forged callbacks asks no more often.
const BETWEEN: Duration = Duration::from_mins(5);
/// How long an answer may take: whoever calls back waits 15 seconds for ours (documented).
const WITHIN: Duration = Duration::from_secs(5);
/// The largest set of keys that is read, in bytes.
const LARGEST: usize = 64 * 1024;

/// Ed25519 keys.
pub type Keys = Vec<[u8; 32]>;

/// The keys that fal publishes.
pub struct PublishedKeys {
    url: Url,
    clients: Clients,
    clock: Clock,
    kept: Mutex<Kept>,
}

#[derive(Debug, Default)]
struct Kept {
    keys: Option<(Keys, Timestamp)>,
    asked_at: Option<Timestamp>,
}

impl PublishedKeys {
    /// Those of the fal whose queue is at `base`, the real one's where that is nothing. `None` where they cannot be fetched from
    /// there. Nothing is sent.
    #[must_use]
    pub fn of_fal(base: &str, clock: Clock) -> Option<Self> {
        let url = match base {
            "" | fal::BASE_URL => Url::parse(KEYS_OF_FAL).ok()?,
            other => base_url(other).ok()?.join(PATH).ok()?,
        };
        let clients = Clients::new(&url, WITHIN).ok()?;
        Some(Self { url, clients, clock, kept: Mutex::default() })
    }

    /// The keys that hold now; `None` where nobody can tell.
    pub async fn now(&self) -> Option<Keys> {
        self.keys(DAY).await
    }

    /// The keys after a signature held under none of those that were known: perhaps there are new ones.
    pub async fn anew(&self) -> Option<Keys> {
        self.keys(BETWEEN).await
    }

    /// Keys that are no older than `most`, if there are any; else whatever is known and may still be believed.
    async fn keys(&self, most: Duration) -> Option<Keys> {
        let mut kept = self.kept.lock().await;
        let now = self.clock.now();
        let is_older =
            |at: Timestamp, than: Duration| Duration::try_from(now.duration_since(at)).is_ok_and(|age| age >= than);
        let old = kept.keys.as_ref().is_none_or(|(_, at)| is_older(*at, most));
        if old && kept.asked_at.is_none_or(|at| is_older(at, BETWEEN)) {
            kept.asked_at = Some(now);
            match self.clock.within(WITHIN, self.fetch()).await.unwrap_or_else(|| Err("it took too long".to_owned())) {
                Ok(keys) => kept.keys = Some((keys, now)),
                Err(error) => {
                    tracing::warn!(error, "fal's keys cannot be fetched: its callbacks are taken as unsigned");
                }
            }
        }
        kept.keys.as_ref().filter(|(_, at)| !is_older(*at, DAY)).map(|(keys, _)| keys.clone())
    }

    async fn fetch(&self) -> Result<Keys, String> {
        let answer = self.clients.asking.get(self.url.clone()).send().await;
        let answer = answer.map_err(|error| error.without_url().to_string())?;
        if !answer.status().is_success() {
            return Err(format!("it answered {}", answer.status().as_u16()));
        }
        let body = read_limited(answer, LARGEST).await.map_err(|_| "the answer broke off".to_owned())?;
        webhook::ed25519_keys(&body).map_err(|error| error.to_string())
    }
}

impl fmt::Debug for PublishedKeys {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("PublishedKeys").field("url", &self.url.as_str()).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;
    use std::sync::atomic::{AtomicU8, Ordering};

    use base64::Engine as _;
    use base64::engine::general_purpose::URL_SAFE_NO_PAD;

    use super::*;
    use crate::gateway::rest::tests::{Remote, clock, reply};

    /// A fal that publishes the key of this number; none answers at 0.
    async fn fal(number: &Arc<AtomicU8>) -> Remote {
        let number = Arc::clone(number);
        Remote::start(move |call| {
            assert_eq!((call.path.as_str(), call.header("authorization")), (PATH, ""));
            match number.load(Ordering::SeqCst) {
                0 => reply(500, ""),
                number => {
                    let key = URL_SAFE_NO_PAD.encode([number; 32]);
                    reply(200, format!(r#"{{"keys":[{{"kty":"OKP","crv":"Ed25519","x":"{key}"}}]}}"#))
                }
            }
        })
        .await
    }

    /// Time passes at once; the rest of it is real, for so are the sockets.
    async fn pass(span: Duration) {
        tokio::time::pause();
        tokio::time::advance(span).await;
        tokio::time::resume();
    }

    #[test]
    fn the_real_ones_are_where_they_are_documented_and_those_of_a_stand_in_are_its_own() {
        let url = |base: &str| PublishedKeys::of_fal(base, Clock::system()).map(|keys| keys.url.to_string());
        assert_eq!(url("").unwrap(), KEYS_OF_FAL);
        assert_eq!(url("https://queue.fal.run").unwrap(), KEYS_OF_FAL);
        assert_eq!(url("http://127.0.0.1:9/x").unwrap(), "http://127.0.0.1:9/.well-known/jwks.json");
        assert_eq!(url("nonsense"), None);
    }

    #[tokio::test]
    async fn keys_are_kept_for_a_day_and_asked_for_again_only_now_and_then() {
        let number = Arc::new(AtomicU8::new(1));
        let remote = fal(&number).await;
        let keys = PublishedKeys::of_fal(&remote.base, clock()).unwrap();
        let (one, two) = (Some(vec![[1; 32]]), Some(vec![[2; 32]]));
        assert_eq!((keys.now().await, keys.now().await), (one.clone(), one.clone()));
        assert_eq!(remote.calls().len(), 1);
        // Another key was put in its place: heard of by who asks anew, and not within the pause.
        number.store(2, Ordering::SeqCst);
        assert_eq!(keys.anew().await, one);
        pass(BETWEEN).await;
        assert_eq!(keys.now().await, one);
        assert_eq!((keys.anew().await, keys.anew().await), (two.clone(), two.clone()));
        assert_eq!(remote.calls().len(), 2);
        // What can no longer be fetched is believed until the day is over.
        number.store(0, Ordering::SeqCst);
        pass(BETWEEN).await;
        assert_eq!(keys.anew().await, two);
        pass(DAY).await;
        assert_eq!(keys.now().await, None);
        assert_eq!(remote.calls().len(), 4);
        number.store(1, Ordering::SeqCst);
        assert_eq!(keys.now().await, None);
        pass(BETWEEN).await;
        assert_eq!(keys.now().await, one);
    }
}
