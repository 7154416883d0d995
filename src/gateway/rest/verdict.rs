//! What a status means, for a request that may cost money and for a question, once the remote's own module has found no
//! task in the answer.
//!
//! "Nothing was made" is said only where it is certain. No answer to a question fails a task here: only the remote's
//! word about the task does, and that its module reads.

use super::{Answer, Content, Known};
use crate::domain::{Doubt, FailureCause};
use crate::gateway::{Limit, NotMade, Observed, Pause, PauseReason, Submitted};

/// What an answer says, fit to be kept.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(in crate::gateway) struct Said {
    /// The remote's words.
    pub(in crate::gateway) words: String,
    /// The remote's code, where it gave one.
    pub(in crate::gateway) code: Option<String>,
}

/// What became of a request whose answer names no task.
pub(in crate::gateway) fn not_taken(answer: &Answer, said: Said) -> Submitted {
    let status = answer.status;
    let Said { words, code } = said;
    if matches!(status, 400..=403 | 429)
        && let Some(reason) = account(&words)
    {
        return paused(reason, words);
    }
    match status {
        301 | 302 | 307 | 308 => paused(PauseReason::Route, elsewhere(answer)),
        // "See the result there" may follow a success.
        303 => not_understood(status, elsewhere(answer)),
        // 499: something in front of the API saw us leave, and passed the request on perhaps.
        408 | 499 | 500.. => Submitted::InDoubt(Doubt::ServerError { status, words }),
        401 | 403 => paused(PauseReason::Key, words),
        402 => paused(PauseReason::Balance, words),
        404 | 405 | 407 => paused(PauseReason::Route, words),
        // A conflict is with something that is there: perhaps with the task that we want.
        409 => not_understood(status, words),
        425 | 429 => {
            let limit = if tells_concurrency(&words) { Limit::Parallel } else { Limit::Rate };
            Submitted::NotMade(NotMade { words, retry_after: answer.retry_after, limit })
        }
        413 => {
            let words = "the request is too large for this gateway: use URLs, or --images-via".to_owned();
            Submitted::Refused(FailureCause::Refused { words, code, status })
        }
        400..=498 => Submitted::Refused(FailureCause::Refused { words, code, status }),
        // A remote that spoke before may have taken this request and lost its tongue.
        200..=299 if is_no_such_api(answer) => paused(PauseReason::Route, words),
        _ => not_understood(status, words),
    }
}

/// Why a question brought no task.
pub(in crate::gateway) fn unseen(answer: &Answer, said: &Said) -> Observed {
    let words = &said.words;
    let pause = |reason| Observed::Paused(Pause { reason, words: words.clone() });
    match (answer.status, &answer.content) {
        (401 | 403, _) => pause(account(words).unwrap_or(PauseReason::Key)),
        (402, _) => pause(PauseReason::Balance),
        (404 | 410, Content::Json(_)) => Observed::NotVisible,
        (300..=399, _) => unclear(answer, &elsewhere(answer)),
        (200..=299, _) if is_no_such_api(answer) => pause(PauseReason::Route),
        _ => unclear(answer, &format!("HTTP {}: {words}", answer.status)),
    }
}

/// No usable answer.
pub(in crate::gateway) fn unclear(answer: &Answer, words: &str) -> Observed {
    Observed::Unclear { words: words.to_owned(), retry_after: answer.retry_after }
}

/// An answer that says neither yes nor no.
pub(in crate::gateway) fn not_understood(status: u16, words: String) -> Submitted {
    Submitted::InDoubt(Doubt::NotUnderstood { status, words })
}

/// A row that the remote's API cannot express: nothing is sent.
pub(in crate::gateway) fn refused_here(words: &str) -> Submitted {
    Submitted::Refused(FailureCause::Input { words: words.to_owned() })
}

fn paused(reason: PauseReason, words: String) -> Submitted {
    Submitted::Paused(Pause { reason, words })
}

fn elsewhere(answer: &Answer) -> String {
    match &answer.location {
        Some(place) => format!("the base URL leads elsewhere: HTTP {} to {place}", answer.status),
        None => format!("the base URL leads elsewhere: HTTP {}", answer.status),
    }
}

/// Whether a web page stands where JSON belongs, and nothing else was ever heard: this is no such API, and cannot have
/// made a task. An empty body or half an answer proves nothing: a task may stand behind it.
fn is_no_such_api(answer: &Answer) -> bool {
    matches!((&answer.content, answer.known), (Content::Page(_), Known::Unheard))
}

/// What is wrong with the account, by words that speak of nothing else. Observed at fal (HTTP 403): "User is locked.
/// Reason: Exhausted balance. Top up your balance …", "… Reason: `TOP_UP`.", "… Reason: Admin lock. …".
fn account(words: &str) -> Option<PauseReason> {
    let words = words.to_lowercase();
    let has = |known: &[&str]| known.iter().any(|known| words.contains(known));
    let money = ["balance", "credit", "funds", "quota"];
    if has(&["top up", "top_up", "exhausted balance"])
        || (has(&money) && has(&["insufficient", "exhausted", "not enough", "used up"]))
    {
        return Some(PauseReason::Balance);
    }
    has(&["user is locked", "account is locked", "account is suspended"]).then_some(PauseReason::Account)
}

/// Whether words tell of too many tasks at a time, rather than of too many requests (guessed: none documents them).
fn tells_concurrency(words: &str) -> bool {
    let words = words.to_lowercase();
    ["concurren", "parallel", "simultaneous"].iter().any(|known| words.contains(known))
}
