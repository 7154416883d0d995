//! A row for programs: one object of `results.json`.

use serde::Serialize;
use serde_json::{Map, Value};

use crate::domain::{Digest, ImageSource, Job, Price};
use crate::store::Batch;

use super::super::results::cause;
use super::row::hint;

/// A row, with the names of `results.csv`. What is not known is left out.
#[derive(Debug, Serialize)]
pub(super) struct Record<'a> {
    batch: &'a str,
    id: &'a str,
    scene: &'a str,
    images: Vec<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    duration: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    model: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    mode: Option<&'a str>,
    state: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    file: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    sha256: Option<&'a Digest>,
    #[serde(skip_serializing_if = "Option::is_none")]
    bytes: Option<u64>,
    #[serde(skip_serializing_if = "String::is_empty")]
    cause: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    hint: Option<&'static str>,
    requests: u32,
    #[serde(skip_serializing_if = "Option::is_none")]
    account: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    task_id: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    request_id: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    submitted: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    finished: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    took_ms: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    units: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    price: Option<&'a Price>,
    #[serde(skip_serializing_if = "Map::is_empty")]
    columns: &'a Map<String, Value>,
}

impl<'a> Record<'a> {
    pub(super) fn of(batch: &'a Batch, job: &'a Job, columns: &'a Map<String, Value>) -> Self {
        let artifact = job.artifact();
        let attempt = job.attempt.as_ref();
        let image = |image: &'a ImageSource| match image {
            ImageSource::Url(url) => url.as_str(),
            ImageSource::File { path, .. } => path.to_str().unwrap_or_default(),
        };
        Self {
            batch: batch.name.as_str(),
            id: &job.label,
            scene: &job.effect.scene,
            images: job.effect.images.iter().map(image).collect(),
            duration: job.effect.duration.as_deref(),
            model: job.effect.model.as_deref(),
            mode: job.effect.mode.as_deref(),
            state: job.state.code().word(),
            file: artifact.map(|artifact| artifact.key.as_str()),
            sha256: artifact.map(|artifact| &artifact.sha256),
            bytes: artifact.map(|artifact| artifact.bytes),
            cause: cause(job),
            hint: hint(&job.state),
            requests: job.submissions,
            account: attempt.map(|attempt| attempt.account.as_str()),
            task_id: job.task().map(ToString::to_string),
            request_id: attempt.and_then(|attempt| attempt.request_id.as_deref()),
            submitted: attempt.map(|attempt| format!("{:.0}", attempt.started_at)),
            finished: job.finished_at.map(|at| format!("{at:.0}")),
            took_ms: attempt.and_then(|attempt| attempt.took_ms),
            units: attempt.and_then(|attempt| attempt.units.as_deref()),
            price: attempt.and_then(|attempt| attempt.price.as_ref()),
            columns,
        }
    }
}
