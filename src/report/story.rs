//! One row's history in plain words: what happened when, how things stand, what to type.

use jiff::tz::TimeZone;
use jiff::{SignedDuration, Timestamp};

use crate::domain::{Effect, Job, JobEvent, State, Verdict};
use crate::gateway::advice_on;
use crate::store::Recorded;

/// One thing that happened.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Told {
    /// When.
    pub at: Timestamp,
    /// How long after the one before it; `None` for the first.
    pub after: Option<SignedDuration>,
    /// What, in plain words.
    pub words: String,
}

/// A history in plain words, oldest first. Clock times within the words are those of `zone`.
#[must_use]
pub fn story(history: &[Recorded], zone: &TimeZone) -> Vec<Told> {
    let mut told: Vec<Told> = Vec::with_capacity(history.len());
    let mut sent = None;
    for Recorded { at, event, .. } in history {
        let mut words = words(event, *at, zone);
        if let JobEvent::SubmitStarted { client_ref, .. } = event {
            if sent == Some(client_ref) {
                words = words.replacen("sent", "sent again", 1);
            }
            sent = Some(client_ref);
        }
        let after = told.last().map(|before| at.duration_since(before.at));
        told.push(Told { at: *at, after, words });
    }
    told
}

/// What an event says, without its time.
fn words(event: &JobEvent, now: Timestamp, zone: &TimeZone) -> String {
    let clock = |at: &Timestamp| clock(*at, now, zone);
    match event {
        JobEvent::SubmitStarted { client_ref, account, price, .. } => {
            let price = price.as_ref().map_or_else(String::new, |price| format!(", about {price}"));
            format!("sent to {account} as {client_ref}{price}")
        }
        JobEvent::Accepted { task, request_id, .. } => {
            let request = request_id.as_ref().map_or_else(String::new, |id| format!(" (request {id})"));
            format!("taken as task {task}{request}")
        }
        JobEvent::Refused { cause } => format!("{cause}; nothing was made"),
        JobEvent::PutOff { due_at, words } => {
            format!("put off: {words}; nothing was made, sent again {}", clock(due_at))
        }
        JobEvent::Doubted { doubt, due_at } => format!("{doubt}; asked {} whether it was made", clock(due_at)),
        JobEvent::LookedAbsent { due_at } => format!("asked: no such task is known; asked again {}", clock(due_at)),
        JobEvent::LookPutOff { due_at } => {
            format!("nobody could say whether it was made; asked again {}", clock(due_at))
        }
        JobEvent::Found { task } => format!("found: task {task}; it is not paid again"),
        JobEvent::ResendAllowed { perhaps_paid: false } => {
            "it was not made; to be sent again under the same reference".to_owned()
        }
        JobEvent::ResendAllowed { perhaps_paid: true } => {
            "nobody could say whether it was made; to be sent once more as you wanted, which may pay twice".to_owned()
        }
        JobEvent::HeldForPerson => "held: only a person can say whether it was made".to_owned(),
        JobEvent::Succeeded { took_ms, units, .. } => {
            let took = took_ms.and_then(|ms| i64::try_from(ms).ok()).map(SignedDuration::from_millis);
            let took = took.map_or_else(String::new, |took| format!(" after {}", spoken(took)));
            format!("made{took}{}", charged(units.as_deref(), ""))
        }
        JobEvent::TaskFailed { words, units } => {
            let words = if words.is_empty() { "without a reason" } else { words };
            format!("the task failed: {words}{}", charged(units.as_deref(), " charged all the same"))
        }
        JobEvent::GaveUp { words } => format!("given up for now: {words}; the next run asks again"),
        JobEvent::Revived => "asked for again".to_owned(),
        JobEvent::FetchFailed { due_at, words } => format!("fetch failed: {words}; tried again {}", clock(due_at)),
        JobEvent::LinkExpired => "the link was dead; a fresh one is asked for, nothing is paid again".to_owned(),
        JobEvent::Stored { artifact } => format!("stored as {}, {}", artifact.key, size(artifact.bytes)),
        JobEvent::ArtifactLost { words } => format!("the video was {words}; fetched again, not paid again"),
        JobEvent::Resolved { verdict: Verdict::Made(task) } => format!("a person said that it was made: task {task}"),
        JobEvent::Resolved { verdict: Verdict::NotMade } => "a person said that it was not made".to_owned(),
        JobEvent::Resolved { verdict: Verdict::Drop } => "a person gave it up".to_owned(),
        JobEvent::RetryAsked => "another attempt was asked for".to_owned(),
        JobEvent::Changed { effect, .. } => format!("the row asks for something else from now on: {}", asked(effect)),
        JobEvent::Moved { output } => format!("its video goes to {output} from now on"),
        JobEvent::Routed { account: Some(account) } => format!("only {account} may send it from now on"),
        JobEvent::Routed { account: None } => "any account may send it from now on".to_owned(),
        JobEvent::Adopted { account, client_ref, task, .. } => {
            format!("found in the list of {account} as {client_ref}: task {task}; it was paid for already")
        }
    }
}

/// What an effect asks for: `squish, 5 s`.
#[must_use]
pub fn asked(effect: &Effect) -> String {
    let seconds = effect.duration.as_ref().map(|seconds| format!("{seconds} s"));
    let further = [seconds, effect.model.clone(), effect.mode.clone()];
    further.into_iter().flatten().fold(effect.scene.clone(), |words, word| format!("{words}, {word}"))
}

/// How a row stands, and what to type about it; nothing where nothing is to be done.
#[must_use]
pub fn standing(job: &Job, now: Timestamp, zone: &TimeZone) -> (String, Vec<String>) {
    let row = quoted(&job.label);
    let since = |since: &Timestamp| spoken(now.duration_since(*since));
    let task = job.task().map_or_else(String::new, |task| format!(" as task {task}"));
    let by = job.attempt.as_ref().map_or_else(String::new, |attempt| format!(" at {}", attempt.account));
    match &job.state {
        State::Planned { due_at, .. } => {
            let due = if *due_at > now { format!(", not before {}", clock(*due_at, now, zone)) } else { String::new() };
            (format!("planned{due}"), vec!["nightreel run   (sends it, and pays for it)".to_owned()])
        }
        State::Submitting => (
            "its request is on its way, or nightreel was stopped before the answer".to_owned(),
            vec!["nightreel collect   (asks whether it was made, where no run is on)".to_owned()],
        ),
        State::InDoubt { doubt, .. } => (
            format!("in doubt: {doubt}"),
            vec!["nightreel collect   (asks whether it was made, where no run is on)".to_owned()],
        ),
        State::Waiting { since: from } => (
            format!("being made{by}{task}, for {}", since(from)),
            vec!["nightreel collect   (waits for it and fetches it, where no run is on)".to_owned()],
        ),
        State::Ready { tries, .. } => {
            let tries = if *tries > 0 { format!("; fetching failed {tries} times") } else { String::new() };
            (format!("made, not fetched yet{tries}"), vec!["nightreel collect   (fetches it)".to_owned()])
        }
        State::Done { artifact } => (format!("done: {}, {}", artifact.key, size(artifact.bytes)), Vec::new()),
        State::Failed { cause } => {
            let mut next =
                vec![format!("nightreel retry {row}   (the next run sends it again, and pays for it again)")];
            if let Some(advice) = advice_on(cause.code(), &cause.to_string()) {
                next.insert(0, advice.hint.to_owned());
            }
            (format!("failed: {cause}"), next)
        }
        State::Held { doubt } => (
            format!("held: {doubt}; look for it{by}"),
            vec![
                format!("nightreel resolve {row} --made TASK_ID   (it was made)"),
                format!("nightreel resolve {row} --not-made   (it was not: the next run sends it)"),
                format!("nightreel resolve {row} --drop   (gives it up)"),
            ],
        ),
        State::Stuck { words, since: from } => (
            format!("stuck{by}{task} for {}: {words}", since(from)),
            vec![
                "nightreel collect   (asks for it again; nothing is paid again)".to_owned(),
                format!("nightreel resolve {row} --drop   (gives it up)"),
            ],
        ),
    }
}

fn charged(units: Option<&str>, how: &str) -> String {
    match units {
        Some("1") => format!("; 1 unit{how}"),
        Some(units) => format!("; {units} units{how}"),
        None => String::new(),
    }
}

/// `12.3 MB`.
#[must_use]
pub fn size(bytes: u64) -> String {
    match bytes {
        ..1_000 => format!("{bytes} bytes"),
        1_000..1_000_000 => format!("{:.1} kB", bytes as f64 / 1e3),
        _ => format!("{:.1} MB", bytes as f64 / 1e6),
    }
}

/// A span with its two largest parts: `3 min 12 s`.
#[must_use]
pub fn spoken(span: SignedDuration) -> String {
    let ms = span.as_millis().max(0);
    let s = ms / 1000;
    let two = |whole: i128, unit: &str, rest: i128, smaller: &str| {
        if rest == 0 { format!("{whole} {unit}") } else { format!("{whole} {unit} {rest} {smaller}") }
    };
    match s {
        0 => format!("{ms} ms"),
        1..60 => format!("{s} s"),
        60..3600 => two(s / 60, "min", s % 60, "s"),
        3600..86_400 => two(s / 3600, "h", s % 3600 / 60, "min"),
        _ => two(s / 86_400, "d", s % 86_400 / 3600, "h"),
    }
}

/// When something is due, seen from `now`: `at once`, `at 03:12:40`, or with its day.
fn clock(at: Timestamp, now: Timestamp, zone: &TimeZone) -> String {
    let away = at.duration_since(now);
    if away < SignedDuration::from_secs(1) {
        return "at once".to_owned();
    }
    let form = if away < SignedDuration::from_hours(24) { "at %H:%M:%S" } else { "on %Y-%m-%d at %H:%M" };
    at.to_zoned_datetime(zone.clone()).strftime(form).to_string()
}

/// A row's name as a shell takes it for one word.
#[must_use]
pub fn quoted(word: &str) -> String {
    let is_plain = |c: char| c.is_alphanumeric() || "._-/:@%+,".contains(c);
    if !word.is_empty() && !word.starts_with('-') && word.chars().all(is_plain) {
        word.to_owned()
    } else {
        format!("'{}'", word.replace('\'', r"'\''"))
    }
}

#[cfg(test)]
mod tests;
