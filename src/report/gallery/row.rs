//! A row as the page reads it: short, with what many rows share told once.

use std::collections::HashMap;
use std::path::Path;

use serde::Serialize;
use serde::ser::SerializeStruct;

use crate::domain::{ImageSource, Job, State, StateCode};
use crate::gateway::advice_on;
use crate::store::Batch;

use super::super::results::cause;
use super::super::summary::plain;
use super::Place;

/// What a person does about a row that is held.
const SETTLE_HELD: &str = "look at the vendor's site whether the task is there, then: nightreel resolve ROW --made TASK_ID, \
                           --not-made or --drop";
/// The same of one that is stuck.
const SETTLE_STUCK: &str = "nightreel collect asks for it again; nothing is paid again";

/// What the rows of a batch share.
#[derive(Debug, Serialize)]
pub(super) struct OfBatch<'a> {
    name: &'a str,
    columns: &'a [String],
    /// Where its videos are, as an address.
    videos: String,
}

impl<'a> OfBatch<'a> {
    pub(super) fn of(batch: &'a Batch, place: &Place<'_>) -> Self {
        Self { name: batch.name.as_str(), columns: &batch.columns, videos: place.address_of(&batch.out) }
    }
}

/// A list without repeats.
#[derive(Debug, Default)]
struct Once<T> {
    numbers: HashMap<String, usize>,
    list: Vec<T>,
}

impl<T> Once<T> {
    fn number(&mut self, key: &str, make: impl FnOnce() -> T) -> usize {
        if let Some(number) = self.numbers.get(key) {
            return *number;
        }
        self.list.push(make());
        self.numbers.insert(key.to_owned(), self.list.len() - 1);
        self.list.len() - 1
    }
}

/// What rows name by its number.
#[derive(Debug, Default)]
pub(super) struct Words {
    scenes: Once<String>,
    accounts: Once<String>,
    /// Folders of pictures: their paths and their addresses.
    folders: Once<(String, String)>,
    causes: Once<Reason>,
}

impl Serialize for Words {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut words = serializer.serialize_struct("Words", 5)?;
        words.serialize_field("states", &StateCode::ALL.map(StateCode::word))?;
        words.serialize_field("scenes", &self.scenes.list)?;
        words.serialize_field("accounts", &self.accounts.list)?;
        words.serialize_field("folders", &self.folders.list)?;
        words.serialize_field("causes", &self.causes.list)?;
        words.end()
    }
}

/// Why rows are where they are.
#[derive(Debug, Default, Serialize)]
struct Reason {
    /// In plain words, where these are known.
    #[serde(skip_serializing_if = "Option::is_none")]
    meaning: Option<&'static str>,
    /// As it was said.
    said: String,
    /// What to do.
    #[serde(skip_serializing_if = "Option::is_none")]
    hint: Option<&'static str>,
}

/// A source picture.
#[derive(Debug, Serialize)]
#[serde(untagged)]
enum Picture<'a> {
    /// Its address, which is shown and never asked for.
    Address(&'a str),
    /// A file: its folder and its name.
    File(usize, &'a str),
}

/// A row.
#[derive(Debug, Serialize)]
pub(super) struct Row<'a> {
    n: i64,
    id: &'a str,
    batch: usize,
    scene: usize,
    state: usize,
    images: Vec<Picture<'a>>,
    requests: u32,
    #[serde(skip_serializing_if = "Option::is_none")]
    file: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    bytes: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    sha256: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    duration: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    model: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    mode: Option<&'a str>,
    /// The only account that may send it.
    #[serde(skip_serializing_if = "Option::is_none")]
    only: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    account: Option<usize>,
    #[serde(skip_serializing_if = "Option::is_none")]
    task: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    request: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    sent: Option<i64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    ended: Option<i64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    took: Option<u64>,
    /// Millionths, and of what.
    #[serde(skip_serializing_if = "Option::is_none")]
    price: Option<(u64, &'a str)>,
    #[serde(skip_serializing_if = "Option::is_none")]
    cause: Option<usize>,
    #[serde(skip_serializing_if = "is_empty")]
    own: serde_json::Value,
}

impl<'a> Row<'a> {
    pub(super) fn of(job: &'a Job, batches: &[Batch], place: &Place<'_>, words: &mut Words) -> Self {
        let artifact = job.artifact();
        let attempt = job.attempt.as_ref();
        Self {
            n: job.id.0,
            id: &job.label,
            batch: batches.iter().position(|batch| batch.id == job.batch).unwrap_or_default(),
            scene: words.scenes.number(&job.effect.scene, || job.effect.scene.clone()),
            state: StateCode::ALL.iter().position(|code| *code == job.state.code()).unwrap_or_default(),
            images: job.effect.images.iter().map(|image| picture(image, place, words)).collect(),
            requests: job.submissions,
            file: artifact.map(|artifact| artifact.key.as_str()),
            bytes: artifact.map(|artifact| artifact.bytes),
            sha256: artifact.map(|artifact| artifact.sha256.to_string()),
            duration: job.effect.duration.as_deref(),
            model: job.effect.model.as_deref(),
            mode: job.effect.mode.as_deref(),
            only: job.account.as_ref().map(crate::domain::AccountName::as_str),
            account: attempt.map(|attempt| {
                let name = attempt.account.as_str();
                words.accounts.number(name, || name.to_owned())
            }),
            task: job.task().map(ToString::to_string),
            request: attempt.and_then(|attempt| attempt.request_id.as_deref()),
            sent: attempt.map(|attempt| attempt.started_at.as_millisecond()),
            ended: job.finished_at.map(jiff::Timestamp::as_millisecond),
            took: attempt.and_then(|attempt| attempt.took_ms),
            price: attempt
                .and_then(|attempt| attempt.price.as_ref())
                .map(|price| (price.amount.micros(), price.currency.as_str())),
            cause: reason(&job.state, cause(job), words),
            own: serde_json::from_str(&job.columns).unwrap_or_default(),
        }
    }
}

fn picture<'a>(image: &'a ImageSource, place: &Place<'_>, words: &mut Words) -> Picture<'a> {
    let path = match image {
        ImageSource::Url(url) => return Picture::Address(url),
        // No page in a bucket can show what lies on this machine.
        ImageSource::File { path, .. } if place.is_remote() => {
            return Picture::Address(path.to_str().unwrap_or_default());
        }
        ImageSource::File { path, .. } => path,
    };
    let (folder, name) = (path.parent().unwrap_or_else(|| Path::new("/")), path.file_name().unwrap_or_default());
    let shown = folder.to_str().unwrap_or_default();
    let number = words.folders.number(shown, || {
        let slash = if shown.ends_with('/') { "" } else { "/" };
        (format!("{shown}{slash}"), place.address_of(folder))
    });
    Picture::File(number, name.to_str().unwrap_or_default())
}

fn reason(state: &State, said: String, words: &mut Words) -> Option<usize> {
    if said.is_empty() {
        return None;
    }
    // Rows that failed alike share their words, without what the remote calls each request.
    let said = if let State::Failed { cause } = state { plain(cause) } else { said };
    let key = format!("{}: {said}", state.code().word());
    let meaning = match state {
        State::Failed { cause } => advice_on(cause.code(), &said).map(|advice| advice.meaning),
        _ => None,
    };
    Some(words.causes.number(&key, || Reason { meaning, said, hint: hint(state) }))
}

/// What a person can do about a row in this state.
pub(super) fn hint(state: &State) -> Option<&'static str> {
    match state {
        State::Failed { cause } => advice_on(cause.code(), &cause.to_string()).map(|advice| advice.hint),
        State::Held { .. } => Some(SETTLE_HELD),
        State::Stuck { .. } => Some(SETTLE_STUCK),
        State::Planned { .. }
        | State::Submitting
        | State::InDoubt { .. }
        | State::Waiting { .. }
        | State::Ready { .. }
        | State::Done { .. } => None,
    }
}

fn is_empty(own: &serde_json::Value) -> bool {
    own.as_object().is_none_or(serde_json::Map::is_empty)
}
