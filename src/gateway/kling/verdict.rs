//! What an error's code and words mean, whatever HTTP status they came with (Kling answers 429 to three different
//! things, and 1201 to four): the words that were observed, and the table of codes.

use super::codes;
use super::shape::RemoteError;
use crate::gateway::{Limit, PauseReason};

/// What an error says about a request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Verdict {
    /// Our reference is known already: the task was made before.
    AlreadyThere,
    /// The request itself is at fault.
    Refused,
    /// Not now.
    Limited(Limit),
    /// Not until a person acts.
    Paused(PauseReason),
    /// The server failed in the midst of it.
    Broken,
    /// No such task.
    Absent,
    /// The code says nothing that we know.
    Unknown,
}

/// What `error` says.
pub(super) fn verdict(error: &RemoteError) -> Verdict {
    let words = error.words.to_lowercase();
    // Observed at Kling: 400/1201 "External_task_id <id> already exists".
    let names_reference = ["external_task_id", "external task id"].iter().any(|name| words.contains(name));
    if names_reference && ["already exist", "duplicate"].iter().any(|known| words.contains(known)) {
        return Verdict::AlreadyThere;
    }
    let code = error.code.as_deref().unwrap_or_default();
    match (error.number(), codes::advice(code).map(|advice| advice.class)) {
        (Some(1200 | 1201 | 1203), _) if tells_absence(&words) => Verdict::Absent,
        // Kling's fifth thousand is the server's own.
        (Some(5000..=5999), None) => Verdict::Broken,
        (Some(_), None) => Verdict::Unknown,
        (None, None | Some(Verdict::Unknown)) => of_words(&words),
        (_, Some(class)) => class,
    }
}

/// The words of gateways of new-api's family, where their code says nothing.
fn of_words(words: &str) -> Verdict {
    match words {
        // Kling's words of 1303, where a gateway dropped the number (guessed from new-api's source).
        _ if words.contains("parallel task over") => Verdict::Limited(Limit::Parallel),
        _ if tells_wrong_route(words) => Verdict::Paused(PauseReason::Route),
        _ if tells_absence(words) => Verdict::Absent,
        _ => Verdict::Unknown,
    }
}

/// Words for a task that is not known. Observed at Kling: "Task not found by id/external id: …".
fn tells_absence(words: &str) -> bool {
    ["task_not_exist", "record not found", "任务不存在"].iter().any(|known| words.contains(known))
        || (words.contains("task") && ["not found", "not exist", "no such"].iter().any(|known| words.contains(known)))
}

/// Words of gateways for a path that they do not serve. Observed at new-api ("Invalid URL (POST /…)") and CometAPI; not to
/// be taken for words about an image's URL.
fn tells_wrong_route(words: &str) -> bool {
    ["invalid url (", "unsupported relay mode", "no route matched"].iter().any(|known| words.contains(known))
}

/// Whether words tell of money: only to be asked of answers whose status is about the account (401, 402, 403, 429), for
/// a row's own error may speak of anything.
pub(super) fn tells_empty_balance(words: &str) -> bool {
    let words = words.to_lowercase();
    let has = |known: &[&str]| known.iter().any(|known| words.contains(known));
    has(&["arrears", "余额不足", "额度不足", "额度已用尽", "欠费"])
        || (has(&["balance", "quota", "credit", "funds", "resource pack"])
            && has(&["not enough", "insufficient", "exhaust", "used up", "run out", "exceeded your current"]))
}
