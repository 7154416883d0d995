//! Where remotes call back when a task has ended. A callback is a hint: it has its task asked for now, and nothing that it
//! claims is believed, so that a forged one costs a question and no more.
//!
//! Each account has a path of its own that nobody can guess, made from a random value beside the ledger: a run that goes on
//! hears what tasks of the run before tell. Where an account has a secret, what is not signed with it is refused.

use std::collections::VecDeque;
use std::fmt;
use std::io::{Read, Write};
use std::os::unix::fs::{MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use axum::extract::Request;
use axum::http::{HeaderMap, Method, StatusCode};
use axum::response::{IntoResponse, Response};
use jiff::Timestamp;
use secrecy::{ExposeSecret, SecretString};
use serde_json::Value;

use super::door::{same, unguessable};
use super::{Ground, line};
use crate::domain::{AccountName, Digest, TaskId};
use crate::gateway::published::{Keys, PublishedKeys};
use crate::gateway::webhook::{self, BadSignature};

/// The largest body that is read, in bytes.
const LARGEST: usize = 64 * 1024;
/// Signed callbacks that are remembered, so that one that is played back is no news.
const REMEMBERED: usize = 4096;
/// Hexadecimal digits of a path: 128 bits.
const DIGITS: usize = 32;
/// How remotes say that a task has not ended: no reason to ask. (Kling's test call says `submitted`.)
const UNDER_WAY: [&str; 8] =
    ["submitted", "processing", "pending", "queued", "created", "in_progress", "not_start", "in_queue"];

/// The value beside the ledger cannot be kept.
#[derive(Debug, thiserror::Error)]
pub enum HookError {
    /// It cannot be read or written.
    #[error("{path}: what callbacks are known by cannot be kept")]
    Unusable {
        /// The file.
        path: PathBuf,
        /// What the system said.
        #[source]
        source: std::io::Error,
    },
    /// Others can read it.
    #[error("{path}: what callbacks are known by can be read by others (mode {mode:o})")]
    Open {
        /// The file.
        path: PathBuf,
        /// Its permissions.
        mode: u32,
    },
    /// The system gives no random numbers.
    #[error("the system gives no random numbers")]
    NoRandomness,
}

/// How an account's remote signs its callbacks.
#[derive(Debug)]
pub enum Signature {
    /// As Standard Webhooks have it (Kling).
    Standard,
    /// As `WaveSpeed` does.
    WaveSpeed,
    /// As fal does, which publishes its keys. While they cannot be fetched, callbacks are taken as unsigned.
    Fal(Box<PublishedKeys>),
}

/// One account's ear.
pub struct Receiver {
    account: AccountName,
    path: String,
    signature: Signature,
    secrets: Vec<SecretString>,
}

/// Where remotes call back. Its `Debug` shows no secret.
pub struct Hooks {
    base: String,
    receivers: Vec<Arc<Receiver>>,
    seen: Mutex<VecDeque<Digest>>,
    pub(super) counts: Counts,
}

/// What callbacks came to.
#[derive(Debug, Default)]
pub(super) struct Counts {
    pub(super) heeded: AtomicU64,
    pub(super) ignored: AtomicU64,
    pub(super) refused: AtomicU64,
}

impl Hooks {
    /// Where `accounts` are called back, below the public address `base`. Makes the value beside the ledger where there is
    /// none yet, readable by its owner only.
    pub fn open(
        ledger: &Path,
        base: &str,
        accounts: impl IntoIterator<Item = (AccountName, Signature, Vec<SecretString>)>,
    ) -> Result<Self, HookError> {
        let key = key(ledger)?;
        let receivers = accounts.into_iter().map(|(account, signature, secrets)| {
            let parts = [b"callback".as_slice(), key.expose_secret().as_bytes(), account.as_str().as_bytes()];
            let path = Digest::of_parts(parts).short(DIGITS);
            Arc::new(Receiver { account, path, signature, secrets })
        });
        let base = base.trim_end_matches('/').to_owned();
        Ok(Self { base, receivers: receivers.collect(), seen: Mutex::default(), counts: Counts::default() })
    }

    /// What an account's remote is told to call.
    #[must_use]
    pub fn url_of(&self, account: &AccountName) -> Option<SecretString> {
        let receiver = self.receivers.iter().find(|receiver| receiver.account == *account)?;
        Some(SecretString::from(format!("{}/{}", self.base, receiver.path)))
    }

    /// The ear that a path's last part leads to.
    pub(super) fn receiver(&self, last: &str) -> Option<Arc<Receiver>> {
        if last.len() != DIGITS {
            return None;
        }
        self.receivers.iter().find(|receiver| same(&receiver.path, last)).cloned()
    }

    /// Whether a signed callback is news.
    fn is_news(&self, id: &str) -> bool {
        let id = Digest::of(id.as_bytes());
        let mut seen = self.seen.lock().unwrap_or_else(PoisonError::into_inner);
        if seen.contains(&id) {
            return false;
        }
        seen.truncate(REMEMBERED - 1);
        seen.push_front(id);
        true
    }
}

impl fmt::Debug for Hooks {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Hooks").field("base", &self.base).field("receivers", &self.receivers).finish_non_exhaustive()
    }
}

impl fmt::Debug for Receiver {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Receiver").field("account", &self.account).finish_non_exhaustive()
    }
}

/// The random value beside a ledger.
fn key(ledger: &Path) -> Result<SecretString, HookError> {
    let mut name = ledger.as_os_str().to_owned();
    name.push(".callbacks");
    let path = PathBuf::from(name);
    let unusable = |source| HookError::Unusable { path: path.clone(), source };
    let made = unguessable().zip(unguessable()).map(|(one, other)| one + &other).ok_or(HookError::NoRandomness)?;
    match std::fs::OpenOptions::new().write(true).create_new(true).mode(0o600).open(&path) {
        Ok(mut file) => {
            file.write_all(made.as_bytes()).and_then(|()| file.sync_all()).map_err(unusable)?;
            return Ok(SecretString::from(made));
        }
        Err(error) if error.kind() == std::io::ErrorKind::AlreadyExists => {}
        Err(error) => return Err(unusable(error)),
    }
    let file = std::fs::File::open(&path).map_err(unusable)?;
    let permissions = file.metadata().map_err(unusable)?.mode() & 0o777;
    if permissions & 0o077 != 0 {
        return Err(HookError::Open { path, mode: permissions });
    }
    let mut text = String::new();
    file.take(1024).read_to_string(&mut text).map_err(unusable)?;
    if text.trim().len() < DIGITS {
        // A kill between making and writing it: as good as none, and nobody was told of it.
        std::fs::write(&path, &made).map_err(unusable)?;
        text = made;
    }
    Ok(SecretString::from(text.trim().to_owned()))
}

/// Hears a callback. Every answer is the same, but for what is too large or not signed.
pub(super) async fn hear(ground: &Ground, receiver: &Receiver, request: Request) -> Response {
    let Some(hooks) = &ground.hooks else { return StatusCode::NOT_FOUND.into_response() };
    if request.method() != Method::POST {
        return StatusCode::METHOD_NOT_ALLOWED.into_response();
    }
    let (parts, body) = request.into_parts();
    let body = match line::gather(&ground.clock, body, LARGEST, ground.patience).await {
        Ok(body) => body,
        Err(refused) => return refused.into_response(),
    };
    match receiver.verify(&parts.headers, &body, ground.clock.now()).await {
        Err(error) => {
            hooks.counts.refused.fetch_add(1, Ordering::Relaxed);
            tracing::warn!(account = %receiver.account, %error, "a callback was refused");
            return StatusCode::UNAUTHORIZED.into_response();
        }
        Ok(Some(id)) if !hooks.is_news(id) => {
            hooks.counts.ignored.fetch_add(1, Ordering::Relaxed);
            return StatusCode::NO_CONTENT.into_response();
        }
        Ok(_) => {}
    }
    let tasks = named(&body);
    let counter = if tasks.is_empty() { &hooks.counts.ignored } else { &hooks.counts.heeded };
    counter.fetch_add(1, Ordering::Relaxed);
    if let Some(control) = ground.desk.control() {
        for task in tasks {
            control.task_moved(&receiver.account, task);
        }
    }
    StatusCode::NO_CONTENT.into_response()
}

impl Receiver {
    /// Whether a callback is signed as it must be; with what it is called, where it is signed.
    async fn verify<'a>(
        &self,
        headers: &'a HeaderMap,
        body: &[u8],
        now: Timestamp,
    ) -> Result<Option<&'a str>, BadSignature> {
        let text = |name: &str| headers.get(name).and_then(|value| value.to_str().ok()).unwrap_or_default();
        if let Signature::Fal(published) = &self.signature {
            let (id, user) = (text("x-fal-webhook-request-id"), text("x-fal-webhook-user-id"));
            let (at, signature) = (text("x-fal-webhook-timestamp"), text("x-fal-webhook-signature"));
            let holds = |keys: &Keys| webhook::verify_fal(keys, id, user, at, signature, body, now);
            let Some(keys) = published.now().await else { return Ok(None) };
            match holds(&keys) {
                // Perhaps another key has taken the place of those that were known.
                Err(BadSignature::Unsigned) => match published.anew().await {
                    Some(newer) if newer != keys => holds(&newer)?,
                    Some(_) | None => return Err(BadSignature::Unsigned),
                },
                checked => checked?,
            }
            return Ok(Some(id));
        }
        if self.secrets.is_empty() {
            return Ok(None);
        }
        let (id, at, signature) = (text("webhook-id"), text("webhook-timestamp"), text("webhook-signature"));
        match self.signature {
            Signature::WaveSpeed => webhook::verify_wavespeed(&self.secrets, id, at, signature, body, now)?,
            Signature::Standard | Signature::Fal(_) => {
                webhook::verify_standard(&self.secrets, id, at, signature, body, now)?;
            }
        }
        Ok(Some(id))
    }
}

/// The tasks that a callback may be about: Kling's records name `task_id` or, newer, `id`; fal `request_id`; `WaveSpeed`
/// `id`; some gateways wrap them in `data`.
fn named(body: &[u8]) -> Vec<TaskId> {
    let Ok(said) = serde_json::from_slice::<Value>(body) else { return Vec::new() };
    let mut tasks = Vec::new();
    for record in [Some(&said), said.get("data")].into_iter().flatten() {
        let text = |name: &str| record.get(name).and_then(Value::as_str);
        let status = text("task_status").or_else(|| text("status")).unwrap_or_default();
        if UNDER_WAY.contains(&status.to_ascii_lowercase().as_str()) {
            continue;
        }
        let names = ["task_id", "id", "request_id"].into_iter().filter_map(text);
        tasks.extend(names.filter_map(|name| TaskId::new(name).ok()));
    }
    tasks
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt;

    use super::*;

    fn hooks(ledger: &Path, secrets: &[&str]) -> Hooks {
        let secrets = secrets.iter().map(|secret| SecretString::from(*secret)).collect();
        let account = AccountName::new("studio").unwrap();
        let other = (AccountName::new("spare").unwrap(), Signature::Standard, Vec::new());
        Hooks::open(ledger, "https://public.example/hook/", [(account, Signature::Standard, secrets), other]).unwrap()
    }

    #[test]
    fn paths_are_the_accounts_own_stay_the_same_and_are_shown_nowhere() {
        let folder = tempfile::tempdir().unwrap();
        let ledger = folder.path().join("nightreel.db");
        let url = |name: &str| {
            let hooks = hooks(&ledger, &[]);
            hooks.url_of(&AccountName::new(name).unwrap()).unwrap().expose_secret().to_owned()
        };
        let studio = url("studio");
        assert_eq!(studio, url("studio"));
        assert_ne!(studio, url("spare"));
        let path = studio.strip_prefix("https://public.example/hook/").unwrap();
        assert!(path.len() == DIGITS && path.bytes().all(|b| b.is_ascii_hexdigit()), "{path}");
        let hooks = hooks(&ledger, &[]);
        assert_eq!(hooks.receiver(path).unwrap().account.as_str(), "studio");
        assert!(hooks.receiver(&path[1..]).is_none() && hooks.receiver(&path.replace(&path[..1], "x")).is_none());
        assert!(!format!("{hooks:?}").contains(path));
        let mode = std::fs::metadata(folder.path().join("nightreel.db.callbacks")).unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o600);
    }

    #[test]
    fn a_value_that_others_can_read_is_refused_and_a_torn_one_is_made_again() {
        let folder = tempfile::tempdir().unwrap();
        let (ledger, file) = (folder.path().join("l"), folder.path().join("l.callbacks"));
        std::fs::write(&file, "").unwrap();
        std::fs::set_permissions(&file, std::fs::Permissions::from_mode(0o644)).unwrap();
        assert!(matches!(key(&ledger), Err(HookError::Open { mode: 0o644, .. })));
        std::fs::set_permissions(&file, std::fs::Permissions::from_mode(0o600)).unwrap();
        let made = key(&ledger).unwrap();
        assert_eq!(made.expose_secret(), key(&ledger).unwrap().expose_secret());
    }

    #[tokio::test]
    async fn the_published_vector_is_heard_once_and_not_under_another_secret() {
        let folder = tempfile::tempdir().unwrap();
        let secret = "whsec_dGVzdHNlY3JldHRlc3RzZWNyZXR0ZXN0c2VjcmV0MTI=";
        let body = r#"{"id":"1234567890","status":"succeeded","message":"","create_time":1781080778802,"update_time":1781080794151}"#;
        let headers: HeaderMap = [
            ("webhook-id", "9876543210"),
            ("webhook-timestamp", "1781080794"),
            ("webhook-signature", "v1,UsKlJP00XoQyOn410NM9xv34sP+Gl0jnOO9Lcpr7NJ4="),
        ]
        .into_iter()
        .map(|(name, value)| (axum::http::HeaderName::from_static(name), value.parse().unwrap()))
        .collect();
        let check = async |secret: &str, headers: &HeaderMap, at: i64| {
            let hooks = hooks(&folder.path().join("l"), &[secret]);
            let now = Timestamp::from_second(at).unwrap();
            let verified = hooks.receivers[0].verify(headers, body.as_bytes(), now).await;
            verified.map(|id| id.map(|id| (hooks.is_news(id), hooks.is_news(id))))
        };
        assert_eq!(check(secret, &headers, 1_781_080_800).await, Ok(Some((true, false))));
        assert_eq!(check(secret, &headers, 1_781_081_800).await, Err(BadSignature::Stale));
        assert_eq!(check("whsec_b3RoZXI=", &headers, 1_781_080_800).await, Err(BadSignature::Unsigned));
        assert!(check(secret, &HeaderMap::new(), 1_781_080_800).await.is_err());
        assert_eq!(named(body.as_bytes()), [TaskId::new("1234567890").unwrap()]);
    }

    #[test]
    fn a_callback_names_tasks_that_may_have_ended() {
        let names = |body: &str| named(body.as_bytes()).iter().map(ToString::to_string).collect::<Vec<_>>();
        assert_eq!(names(r#"{"task_id":"86","task_status":"succeed"}"#), ["86"]);
        assert_eq!(names(r#"{"request_id":"r-1","status":"OK","payload":{}}"#), ["r-1"]);
        assert_eq!(names(r#"{"code":200,"data":{"id":"w","status":"completed"}}"#), ["w"]);
        for nothing in [r#"{"id":"86","status":"submitted"}"#, "{}", "", "[1]", r#"{"task_id":86}"#, "\u{0}"] {
            assert_eq!(names(nothing), Vec::<String>::new(), "{nothing}");
        }
    }
}
