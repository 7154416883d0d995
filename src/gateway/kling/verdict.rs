//! What an error's code and words mean, whatever HTTP status they came with (Kling answers 429 to three different
//! things, and 1201 to four): documented codes first, then the words that were observed.

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
    if error.code.as_deref() == Some("task_not_exist") {
        return Verdict::Absent;
    }
    match error.number() {
        Some(number) => of_number(number, &words),
        None => of_text(error.code.as_deref().unwrap_or_default(), &words),
    }
}

/// Kling's codes (documented).
fn of_number(number: u32, words: &str) -> Verdict {
    match number {
        1000..=1004 | 1103 => Verdict::Paused(PauseReason::Key),
        1100 | 1304 => Verdict::Paused(PauseReason::Account),
        1101 | 1102 => Verdict::Paused(PauseReason::Balance),
        // The method is invalid: the address is wrong, not the row.
        1202 => Verdict::Paused(PauseReason::Route),
        1200 | 1201 | 1203 if tells_absence(words) => Verdict::Absent,
        1200 | 1201 | 1203 | 1300 | 1301 => Verdict::Refused,
        1302 => Verdict::Limited(Limit::Rate),
        1303 => Verdict::Limited(Limit::Parallel),
        5000..=5999 => Verdict::Broken,
        _ => Verdict::Unknown,
    }
}

/// The codes of gateways of new-api's family (read in its source), and its words.
fn of_text(code: &str, words: &str) -> Verdict {
    match code {
        "quota_not_enough" | "insufficient_user_quota" | "insufficient_quota" | "pre_consume_token_quota_failed" => {
            Verdict::Paused(PauseReason::Balance)
        }
        // The gateway asked its upstream and did not get, or not understand, the answer: the upstream may have a task.
        "do_request_failed" | "read_response_body_failed" | "unmarshal_response_failed" => Verdict::Broken,
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
