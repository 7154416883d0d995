//! `results.csv`: one line a row, of all batches whose videos go to one output tree, with the manifests' own columns.

use std::collections::HashMap;
use std::fs::File;
use std::io::{BufWriter, Read, Seek, Write};
use std::path::{Path, PathBuf};

use jiff::Timestamp;

use crate::domain::{BatchId, Job, State};
use crate::sink::{Sink, SinkError};
use crate::store::{Batch, Filter, Pages, Store, StoreError};

/// The document's name in the output tree.
pub const RESULTS: &str = "results.csv";
/// The columns that every row has.
pub(super) const COLUMNS: [&str; 16] = [
    "batch",
    "id",
    "scene",
    "state",
    "file",
    "sha256",
    "bytes",
    "task_id",
    "submitted",
    "finished",
    "cause",
    "account",
    "request_id",
    "units",
    "price",
    "currency",
];
/// Jobs that are held at a time.
pub(super) const PAGE: usize = 1000;

/// A document could not be written.
#[derive(Debug, thiserror::Error)]
pub enum ReportError {
    /// The ledger failed.
    #[error("the ledger could not be read")]
    Store(#[from] StoreError),
    /// The output tree cannot be written.
    #[error("the document could not be put into the output tree")]
    Sink(#[from] SinkError),
    /// The temporary file failed.
    #[error("the document could not be written")]
    Write(#[from] std::io::Error),
    /// A line could not be written.
    #[error("a line could not be written")]
    Line(#[from] csv::Error),
    /// The folder for it holds what is somebody else's.
    #[error("{} holds other files than a report's", .0.display())]
    Taken(PathBuf),
}

/// Writes `results.csv` of the output tree at `out`.
pub async fn write(store: &dyn Store, out: &Path, sink: &dyn Sink) -> Result<(), ReportError> {
    let batches: Vec<Batch> = store.batches().await?.into_iter().filter(|batch| batch.out == out).collect();
    let own = own_columns(&batches);
    let names: HashMap<BatchId, &str> = batches.iter().map(|batch| (batch.id, batch.name.as_str())).collect();
    let mut lines = csv::Writer::from_writer(BufWriter::new(tempfile::tempfile()?));
    lines.write_record(COLUMNS.into_iter().chain(own.iter().map(|column| column.as_str())))?;
    for batch in &batches {
        let mut pages = Pages::of(store, Filter { batch: Some(batch.id), ..Filter::default() }, PAGE);
        while let Some(jobs) = pages.next().await? {
            for job in &jobs {
                let values: serde_json::Map<String, serde_json::Value> =
                    serde_json::from_str(&job.columns).unwrap_or_default();
                let name = names.get(&job.batch).copied().unwrap_or_default();
                let own = own
                    .iter()
                    .map(|column| values.get(*column).and_then(|value| value.as_str()).unwrap_or("").to_owned());
                lines.write_record(line(name, job).into_iter().chain(own))?;
            }
        }
    }
    put(sink, RESULTS, lines.into_inner().map_err(csv::IntoInnerError::into_error)?).await
}

/// The manifests' own columns, each once.
pub(super) fn own_columns(batches: &[Batch]) -> Vec<&String> {
    let mut own: Vec<&String> = Vec::new();
    for column in batches.iter().flat_map(|batch| &batch.columns) {
        if !own.contains(&column) {
            own.push(column);
        }
    }
    own
}

/// Puts what a temporary file holds into the output tree.
pub(super) async fn put(sink: &dyn Sink, name: &str, file: BufWriter<File>) -> Result<(), ReportError> {
    let mut file = file.into_inner().map_err(std::io::IntoInnerError::into_error)?;
    file.rewind()?;
    let mut copy = |into: &mut dyn Write| {
        let mut piece = vec![0; 1 << 16];
        loop {
            match file.read(&mut piece)? {
                0 => return Ok(()),
                read => into.write_all(&piece[..read])?,
            }
        }
    };
    Ok(sink.document(name, &mut copy).await?)
}

/// A row's values, in the order of [`COLUMNS`].
pub(super) fn line(batch: &str, job: &Job) -> [String; COLUMNS.len()] {
    let instant = |at: Option<Timestamp>| at.map_or_else(String::new, |at| format!("{at:.0}"));
    let (file, sha256, bytes) = match &job.state {
        State::Done { artifact } => (artifact.key.to_string(), artifact.sha256.to_string(), artifact.bytes.to_string()),
        _ => Default::default(),
    };
    let attempt = job.attempt.as_ref();
    let price = attempt.and_then(|attempt| attempt.price.as_ref());
    [
        batch.to_owned(),
        job.label.clone(),
        job.effect.scene.clone(),
        job.state.code().word().to_owned(),
        file,
        sha256,
        bytes,
        job.task().map(ToString::to_string).unwrap_or_default(),
        instant(attempt.map(|attempt| attempt.started_at)),
        instant(job.finished_at),
        cause(job),
        attempt.map(|attempt| attempt.account.to_string()).unwrap_or_default(),
        attempt.and_then(|attempt| attempt.request_id.clone()).unwrap_or_default(),
        attempt.and_then(|attempt| attempt.units.clone()).unwrap_or_default(),
        price.map(|price| price.amount.to_string()).unwrap_or_default(),
        price.map(|price| price.currency.to_string()).unwrap_or_default(),
    ]
}

/// Why a row is where it is, where that needs saying.
pub(super) fn cause(job: &Job) -> String {
    match &job.state {
        State::Failed { cause } => cause.to_string(),
        State::InDoubt { doubt, .. } | State::Held { doubt } => doubt.to_string(),
        State::Stuck { words, .. } => words.clone(),
        State::Planned { .. }
        | State::Submitting
        | State::Waiting { .. }
        | State::Ready { .. }
        | State::Done { .. } => String::new(),
    }
}
