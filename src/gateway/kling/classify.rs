//! Every answer's meaning, decided once: for a request that may cost money, and for a question.
//!
//! Whoever paid must never pay again: "nothing was made" is said only where it is certain, and everything else is
//! doubt. Of a question nothing but the task itself can be learned: no answer to one fails a task.

use std::time::Duration;

use jiff::SignedDuration;

use super::codes;
use super::shape::{self, Foreign, RemoteError, Shape};
use super::verdict::{Verdict, tells_empty_balance, verdict};
use crate::domain::{Doubt, FailureCause, TaskId};
use crate::gateway::words::Wording;
use crate::gateway::{Accepted, Limit, NotMade, Pause, PauseReason, Submitted};

/// An answer, read to its end.
#[derive(Debug, Clone, Default)]
pub(super) struct Answer {
    /// The HTTP status.
    pub(super) status: u16,
    /// How long it asks to wait.
    pub(super) retry_after: Option<Duration>,
    /// Where it sends us.
    pub(super) location: Option<String>,
    /// What the headers call the request.
    pub(super) request_id: Option<String>,
    /// How far the remote's clock is ahead of ours.
    pub(super) ahead: Option<SignedDuration>,
    /// What was asked: the method and the path.
    pub(super) asked: String,
    /// The gateway has shown in this process, by JSON, that there is an API behind its address.
    pub(super) spoken: bool,
    /// Its body.
    pub(super) body: Vec<u8>,
}

impl Answer {
    pub(super) fn is_success(&self) -> bool {
        (200..300).contains(&self.status)
    }

    /// What the remote calls the request, as it may be kept.
    fn request_id(&self, wording: &Wording) -> Option<String> {
        let id = shape::request_id(&self.body).or_else(|| self.request_id.clone())?;
        Some(wording.of(&id))
    }

    /// `words`, and what the remote calls the request, for whoever has to ask its support.
    fn named(&self, words: String, wording: &Wording) -> String {
        match self.request_id(wording) {
            Some(id) if !words.contains(&format!("request id: {id}")) => format!("{words} (request id: {id})"),
            Some(_) | None => words,
        }
    }

    /// What a web page in the place of an answer says, where that is certain: gateways of new-api's family show their
    /// dashboard under every path that they do not serve (read in their source). Once the API has spoken, a page is
    /// something that stands in front of it, and proves nothing.
    fn no_such_route(&self, shape: &Shape, wording: &Wording) -> Option<Pause> {
        match shape {
            Shape::Foreign(Foreign::Html { title }) if self.is_success() && !self.spoken => {
                let title = if title.is_empty() { String::new() } else { format!(": {title}") };
                let words = wording.of(&format!("{} was answered by a web page{title}", self.asked));
                Some(Pause { reason: PauseReason::Route, words })
            }
            _ => None,
        }
    }
}

/// Why a question brought no task.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum NoTask {
    /// There is none.
    NotVisible,
    /// Nobody can say.
    Unclear { words: String, retry_after: Option<Duration> },
    /// We may not ask.
    Paused(Pause),
}

/// Whether `answer` refuses the token, and nothing but the token, as too young or too old (Kling's 1003 and 1004,
/// documented to come with 401): nothing was made, and another token may be let in.
pub(super) fn refuses_token(answer: &Answer) -> bool {
    answer.status == 401
        && matches!(Shape::of(&answer.body), Shape::Error(error) if matches!(error.number(), Some(1003 | 1004)))
}

/// What became of a request for a task that was answered with `answer`.
pub(super) fn submitted(answer: &Answer, wording: &Wording) -> Submitted {
    let status = answer.status;
    let shape = Shape::of(&answer.body);
    if let Some(pause) = answer.no_such_route(&shape, wording) {
        return Submitted::Paused(pause);
    }
    let words = answer.named(wording.of(&shape_words(&shape)), wording);
    match status {
        // "See the result there" may follow a success.
        303 => not_understood(status, wording.of(&redirect_words(answer))),
        301 | 302 | 307 | 308 => paused(PauseReason::Route, wording.of(&redirect_words(answer))),
        // 499: something in front of the API saw us leave, and passed the request on perhaps.
        408 | 499 | 500..=599 => Submitted::InDoubt(Doubt::ServerError { status, words }),
        _ => match shape {
            Shape::Task(record) if answer.is_success() => match record.id.map(TaskId::new) {
                Some(Ok(task)) => {
                    let request_id = answer.request_id(wording);
                    Submitted::Accepted(Accepted { request_id, ..Accepted::plain(task) })
                }
                Some(Err(_)) | None => not_understood(status, words),
            },
            // A task in an answer that is no success: something was made, whatever the status says.
            Shape::Task(record) if record.id.is_some() => not_understood(status, words),
            Shape::Error(error) => refused(answer, &error, words, wording),
            Shape::Foreign(foreign) => refused_by_front(answer, &foreign, words),
            Shape::Task(_) | Shape::Tasks(_) | Shape::Nothing(_) => refused_by_status(answer, None, words),
        },
    }
}

/// An error that speaks the API's language.
fn refused(answer: &Answer, error: &RemoteError, words: String, wording: &Wording) -> Submitted {
    let status = answer.status;
    let code = error.code.as_deref().map(|code| wording.of(code));
    match verdict(error) {
        Verdict::AlreadyThere => Submitted::AlreadyThere,
        Verdict::Refused => Submitted::Refused(FailureCause::Refused { words, code, status }),
        Verdict::Limited(limit) => not_made(limit, answer, words),
        Verdict::Paused(PauseReason::Key) if tells_empty_balance(&words) => paused(PauseReason::Balance, words),
        Verdict::Paused(reason) => paused(reason, advised(words, error)),
        Verdict::Broken => Submitted::InDoubt(Doubt::ServerError { status, words }),
        // Kling's code for a wrong parameter, whose words happen to speak of a task.
        Verdict::Absent if error.number().is_some() => {
            Submitted::Refused(FailureCause::Refused { words, code, status })
        }
        // Else a request answered with "no such task" makes no sense; its status may.
        Verdict::Absent | Verdict::Unknown if status == 404 && code.is_none() => paused(PauseReason::Route, words),
        Verdict::Absent | Verdict::Unknown => refused_by_status(answer, code, words),
    }
}

/// An answer that is no JSON: something in front of the API, or in its place.
fn refused_by_front(answer: &Answer, foreign: &Foreign, words: String) -> Submitted {
    match (answer.status, foreign) {
        (404 | 405, _) => paused(PauseReason::Route, words),
        (413, _) => {
            let words = "the request is too large for this gateway: use URLs, or --images-via".to_owned();
            Submitted::Refused(FailureCause::Refused { words, code: None, status: 413 })
        }
        (_, Foreign::Empty | Foreign::Html { .. } | Foreign::Text(_)) => refused_by_status(answer, None, words),
    }
}

/// What only the status tells. Called for no 3xx but the odd ones, and for no 5xx.
fn refused_by_status(answer: &Answer, code: Option<String>, words: String) -> Submitted {
    let status = answer.status;
    match status {
        401..=403 | 429 if tells_empty_balance(&words) => paused(PauseReason::Balance, words),
        401 | 403 => paused(PauseReason::Key, words),
        402 => paused(PauseReason::Balance, words),
        405 | 407 => paused(PauseReason::Route, words),
        404 if code.is_none() => paused(PauseReason::Route, words),
        // A conflict is with something that is there: perhaps with the task that we want.
        409 => not_understood(status, words),
        425 | 429 => not_made(Limit::Rate, answer, words),
        400..=499 => Submitted::Refused(FailureCause::Refused { words, code, status }),
        _ => not_understood(status, words),
    }
}

/// Why a question that was answered with `answer`, of this shape, brought no task.
pub(super) fn no_task(answer: &Answer, shape: &Shape, wording: &Wording) -> NoTask {
    let status = answer.status;
    if let Some(pause) = answer.no_such_route(shape, wording) {
        return NoTask::Paused(pause);
    }
    let words = answer.named(wording.of(&shape_words(shape)), wording);
    let (said, advised) = match shape {
        Shape::Error(error) => (Some(verdict(error)), advised(words.clone(), error)),
        Shape::Foreign(_) | Shape::Task(_) | Shape::Tasks(_) | Shape::Nothing(_) => (None, words.clone()),
    };
    let pause = |reason| NoTask::Paused(Pause { reason, words: advised.clone() });
    match (status, said) {
        // Before anything else: a refused question says nothing about the task.
        (401 | 403, _) if tells_empty_balance(&words) => pause(PauseReason::Balance),
        (401 | 403, _) | (200..=299, Some(Verdict::Paused(PauseReason::Key))) => pause(PauseReason::Key),
        (200..=299 | 400 | 404 | 410 | 422, Some(Verdict::Absent))
        | (404 | 410, Some(Verdict::Unknown | Verdict::Refused)) => NoTask::NotVisible,
        (404, None) if matches!(shape, Shape::Nothing(_)) => NoTask::NotVisible,
        (300..=399, _) => unclear(answer, &wording.of(&redirect_words(answer))),
        _ => unclear(answer, &words),
    }
}

/// `words`, and what a person can do about this code.
fn advised(words: String, error: &RemoteError) -> String {
    match error.code.as_deref().and_then(codes::advice) {
        Some(advice) => format!("{words}; {}", advice.hint),
        None => words,
    }
}

fn shape_words(shape: &Shape) -> String {
    match shape {
        Shape::Foreign(foreign) => foreign.words(),
        Shape::Error(RemoteError { code: Some(code), words }) if words.is_empty() => code.clone(),
        Shape::Error(RemoteError { code: None, words }) if words.is_empty() => "an error without words".to_owned(),
        Shape::Error(error) => error.words.clone(),
        Shape::Task(_) => "a task without an id or a status".to_owned(),
        Shape::Tasks(_) => "a list of tasks".to_owned(),
        Shape::Nothing(text) => text.clone(),
    }
}

fn redirect_words(answer: &Answer) -> String {
    match &answer.location {
        Some(place) => format!("the base URL leads elsewhere: HTTP {} to {place}", answer.status),
        None => format!("the base URL leads elsewhere: HTTP {}", answer.status),
    }
}

fn unclear(answer: &Answer, words: &str) -> NoTask {
    NoTask::Unclear { words: format!("HTTP {}: {words}", answer.status), retry_after: answer.retry_after }
}

fn not_made(limit: Limit, answer: &Answer, words: String) -> Submitted {
    Submitted::NotMade(NotMade { words, retry_after: answer.retry_after, limit })
}

fn paused(reason: PauseReason, words: String) -> Submitted {
    Submitted::Paused(Pause { reason, words })
}

fn not_understood(status: u16, words: String) -> Submitted {
    Submitted::InDoubt(Doubt::NotUnderstood { status, words })
}
