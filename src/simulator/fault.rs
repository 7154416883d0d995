//! Faults that the simulator can be told to show: on the way in, on the way out, at the queries, at the file host.

use std::str::FromStr;
use std::time::Duration;

use jiff::SignedDuration;

/// Kinds of faults.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[expect(missing_docs, reason = "each is described in `FAULTS`, which people read")]
pub enum Kind {
    DropBefore,
    Refuse429,
    Busy1303,
    Error500Before,
    Html502Before,
    LoseAnswer,
    Error500After,
    Html502After,
    SlowAnswer,
    HangAnswer,
    Empty200After,
    GarbageAfter,
    Query404,
    QueryNotFound,
    QueryTaskNotExist,
    QueryGarbage,
    QueryHtml,
    Query500,
    Query429,
    QueryDrop,
    QueryEndless,
    QueryUnknownStatus,
    Query401,
    LateVisible,
    NoBalance,
    BadKey,
    Reject,
    Fail,
    SuccessWithoutUrl,
    Truncate,
    ShortFile,
    FileHtml,
    FileDrop,
    File500,
    FileSlow,
    LinkExpired,
    FileHang,
    FileEndless,
    FileLoop,
    Html200,
}

/// Every fault: its name, its kind, and what it does.
pub const FAULTS: [(&str, Kind, &str); 40] = [
    ("drop-before", Kind::DropBefore, "the connection breaks before a creation is taken"),
    ("refuse-429", Kind::Refuse429, "a creation is refused: 429, code 1302, Retry-After: 1"),
    ("busy-1303", Kind::Busy1303, "a creation is refused: 429, code 1303"),
    ("error-500-before", Kind::Error500Before, "a creation is answered by a 500, and nothing is made"),
    ("html-502-before", Kind::Html502Before, "a creation is answered by an HTML 502, and nothing is made"),
    ("lose-answer", Kind::LoseAnswer, "the task is made, the connection breaks before the answer"),
    ("error-500-after", Kind::Error500After, "the task is made, the answer is a 500"),
    ("html-502-after", Kind::Html502After, "the task is made, the answer is an HTML 502"),
    ("slow-answer", Kind::SlowAnswer, "the task is made, the answer comes late (=p:duration)"),
    ("hang-answer", Kind::HangAnswer, "the task is made, the answer never comes"),
    ("empty-200-after", Kind::Empty200After, "the task is made, the answer is an empty 200"),
    ("garbage-after", Kind::GarbageAfter, "the task is made, the answer is garbage"),
    ("query-404", Kind::Query404, "a query is answered by a 404"),
    ("query-not-found", Kind::QueryNotFound, "a query is answered by 400, Task not found"),
    ("query-task-not-exist", Kind::QueryTaskNotExist, "a query is answered by 400, task_not_exist"),
    ("query-garbage", Kind::QueryGarbage, "a query is answered by garbage"),
    ("query-html", Kind::QueryHtml, "a query is answered by HTML"),
    ("query-500", Kind::Query500, "a query is answered by a 500"),
    ("query-429", Kind::Query429, "a query is answered by a 429"),
    ("query-drop", Kind::QueryDrop, "the connection of a query breaks"),
    ("query-endless", Kind::QueryEndless, "the answer to a query never ends"),
    ("query-unknown-status", Kind::QueryUnknownStatus, "a task that has not ended is told with an unknown status"),
    ("query-401", Kind::Query401, "a query is answered by a 401"),
    ("late-visible", Kind::LateVisible, "a task can be neither queried nor listed at first (=p:duration)"),
    ("no-balance-after", Kind::NoBalance, "creations are refused from the n-th on: 429, code 1102 (=n)"),
    ("bad-key", Kind::BadKey, "everything is refused: 401, code 1002"),
    ("reject", Kind::Reject, "a creation is refused: 400, code 1301, content policy"),
    ("fail", Kind::Fail, "a task fails"),
    ("success-without-url", Kind::SuccessWithoutUrl, "a success is first told without a link"),
    ("truncate", Kind::Truncate, "a download breaks off midway"),
    ("short-file", Kind::ShortFile, "a download is complete, and too short for its video"),
    ("file-html", Kind::FileHtml, "a download is a web page"),
    ("file-drop", Kind::FileDrop, "the connection of a download breaks at once"),
    ("file-500", Kind::File500, "a download is answered by a 500"),
    ("file-slow", Kind::FileSlow, "a download pauses midway (=p:duration)"),
    ("link-expired", Kind::LinkExpired, "a link is dead the first time"),
    ("file-hang", Kind::FileHang, "a download stops midway and never goes on"),
    ("file-endless", Kind::FileEndless, "a download never ends, and its length is not told"),
    ("file-loop", Kind::FileLoop, "a download is led in a circle"),
    (
        "html-200",
        Kind::Html200,
        "any request is answered by a web page, as gateways answer where they have no such path",
    ),
];

/// A fault with how often it shows.
#[derive(Debug, Clone, PartialEq)]
pub struct Fault {
    /// Which.
    pub kind: Kind,
    /// How likely it is each time, 0 to 1; for `no-balance-after` the number of creations.
    pub chance: f64,
    /// How long it lasts, for those that last.
    pub lasts: Duration,
}

/// A fault that is none.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum NotAFault {
    /// No fault has this name.
    #[error("there is no fault named {0:?}")]
    Unknown(String),
    /// What follows the name is not valid.
    #[error("{0:?} is not a valid fault: write NAME, NAME=0.1 or NAME=0.1:2s")]
    Malformed(String),
}

impl FromStr for Fault {
    type Err = NotAFault;

    fn from_str(text: &str) -> Result<Self, NotAFault> {
        let malformed = || NotAFault::Malformed(text.to_owned());
        let (name, rest) = text.split_once('=').map_or((text, None), |(name, rest)| (name, Some(rest)));
        let (_, kind, _) =
            FAULTS.into_iter().find(|(known, ..)| *known == name).ok_or_else(|| NotAFault::Unknown(name.to_owned()))?;
        let (chance, lasts) = match rest.map(|rest| rest.split_once(':').unwrap_or((rest, ""))) {
            None => (1.0, ""),
            Some((chance, lasts)) => (chance.parse().map_err(|_| malformed())?, lasts),
        };
        let most = if kind == Kind::NoBalance { f64::MAX } else { 1.0 };
        if !(0.0..=most).contains(&chance) {
            return Err(malformed());
        }
        let lasts = if lasts.is_empty() { "2s" } else { lasts };
        let lasts: SignedDuration = lasts.parse().map_err(|_| malformed())?;
        Ok(Self { kind, chance, lasts: Duration::try_from(lasts).map_err(|_| malformed())? })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn faults_are_read_with_their_chance_and_their_length() {
        let slow: Fault = "slow-answer=0.25:500ms".parse().unwrap();
        assert_eq!((slow.kind, slow.chance, slow.lasts), (Kind::SlowAnswer, 0.25, Duration::from_millis(500)));
        assert!((("bad-key".parse::<Fault>().unwrap()).chance - 1.0).abs() < f64::EPSILON);
        assert!("no-balance-after=12".parse::<Fault>().is_ok());
        for bad in ["nothing", "reject=2", "reject=x", "slow-answer=0.1:soon"] {
            assert!(bad.parse::<Fault>().is_err(), "{bad}");
        }
    }
}
