//! `nightreel verify`: the output tree against the ledger. What is missing is planned to be collected again, never paid
//! again; what changed and what is foreign is told and left alone.

use std::collections::{BTreeMap, HashSet};
use std::path::PathBuf;
use std::sync::Arc;

use futures::StreamExt;
use serde::Serialize;

use crate::config::Settings;
use crate::domain::{BatchId, Digest, Job, JobEvent, StateCode};
use crate::sink::{Found, Sink, SinkError};
use crate::store::{Filter, Pages};

use super::super::args::{Global, Verify};
use super::super::exit::Exit;
use super::super::failure::Failure;
use super::super::terminal;
use super::super::wiring::{self, Opened};

/// Jobs that are held at a time.
const PAGE: usize = 500;
/// Files that are read at the same time.
const AT_ONCE: usize = 4;
/// Files that are named in the terminal, of each kind.
const SHOWN: usize = 20;

/// What was found.
#[derive(Debug, Default, Serialize)]
struct Findings {
    /// Files that are as recorded.
    whole: u64,
    /// Files that are gone; they are collected again.
    missing: Vec<String>,
    /// Files whose content is another.
    changed: Vec<String>,
    /// Files that no row has made.
    foreign: Vec<String>,
}

pub(in crate::cli) async fn verify(args: &Verify, global: &Global, settings: &Settings) -> Result<Exit, Failure> {
    let opened = wiring::must_open(settings).await?;
    let wanted = wiring::named_batch(opened.store.as_ref(), args.batch.as_deref()).await?;
    let mut trees: BTreeMap<PathBuf, Vec<BatchId>> = BTreeMap::new();
    for batch in opened.store.batches().await? {
        trees.entry(batch.out).or_default().push(batch.id);
    }
    let mut findings = Findings::default();
    for (out, batches) in trees {
        let sink = wiring::sink(settings, &out)?;
        if wanted.as_ref().is_none_or(|wanted| batches.contains(&wanted.id)) {
            // A bucket that is not there would have every video missing.
            sink.ready().await?;
        }
        // Foreign is what no batch of the tree has made, whichever batch is asked about.
        let mut known = HashSet::new();
        for batch in &batches {
            let looked_at = wanted.as_ref().is_none_or(|wanted| wanted.id == *batch);
            look_at(&opened, &sink, *batch, looked_at.then_some(&mut findings), &mut known).await?;
        }
        if wanted.as_ref().is_none_or(|wanted| batches.contains(&wanted.id)) {
            sink.walk(&mut |file| {
                if !known.contains(&short(&file)) {
                    findings.foreign.push(file);
                }
            })
            .await?;
        }
    }
    findings.foreign.sort();
    tell(&findings, global);
    Ok(if findings.missing.is_empty() && findings.changed.is_empty() { Exit::Done } else { Exit::Failed })
}

/// Notes the files of a batch as known, and looks at each where that is asked for.
async fn look_at(
    opened: &Opened,
    sink: &Arc<dyn Sink>,
    batch: BatchId,
    mut findings: Option<&mut Findings>,
    known: &mut HashSet<u64>,
) -> Result<(), Failure> {
    let filter = Filter { batch: Some(batch), states: vec![StateCode::Done], named: None };
    let mut pages = Pages::of(opened.store.as_ref(), filter, PAGE);
    while let Some(done) = pages.next().await? {
        known.extend(done.iter().filter_map(Job::artifact).map(|artifact| short(artifact.key.as_str())));
        let Some(findings) = findings.as_deref_mut() else { continue };
        let mut looks = futures::stream::iter(done)
            .map(|job| async {
                let found = match job.artifact() {
                    Some(artifact) => sink.look(&artifact.key).await?,
                    None => Found::Missing,
                };
                Ok::<(Job, Found), SinkError>((job, found))
            })
            .buffered(AT_ONCE);
        while let Some(looked) = looks.next().await {
            let (job, found) = looked?;
            let Some(artifact) = job.artifact() else { continue };
            match found {
                Found::File { sha256, bytes } if sha256 == artifact.sha256 && bytes == artifact.bytes => {
                    findings.whole += 1;
                }
                Found::File { .. } => findings.changed.push(artifact.key.to_string()),
                Found::Missing => {
                    findings.missing.push(artifact.key.to_string());
                    let words = "missing from the output tree".to_owned();
                    opened.ledger.record(&job, JobEvent::ArtifactLost { words }).await?;
                }
            }
        }
    }
    Ok(())
}

/// A file's name as eight bytes: a million of them are held while the tree is walked.
fn short(file: &str) -> u64 {
    let mut first = [0; 8];
    first.copy_from_slice(&Digest::of(file.as_bytes()).as_bytes()[..8]);
    u64::from_le_bytes(first)
}

fn tell(findings: &Findings, global: &Global) {
    if global.json {
        return terminal::json(findings);
    }
    let mut text = String::new();
    for (word, files) in
        [("missing", &findings.missing), ("changed", &findings.changed), ("foreign", &findings.foreign)]
    {
        for file in files.iter().take(SHOWN) {
            text.push_str(&format!("{word}: {file}\n"));
        }
        if files.len() > SHOWN {
            text.push_str(&format!("… and {} more {word}\n", files.len() - SHOWN));
        }
    }
    let Findings { whole, missing, changed, foreign } = findings;
    text.push_str(&format!(
        "{whole} whole, {} missing, {} changed, {} foreign\n",
        missing.len(),
        changed.len(),
        foreign.len()
    ));
    if !missing.is_empty() {
        text.push_str("next: nightreel collect   (fetches what is missing; nothing is paid again)\n");
    }
    if !changed.is_empty() {
        text.push_str("a changed file is left alone: move it away and verify again to have its video back\n");
    }
    if !global.quiet || !missing.is_empty() || !changed.is_empty() {
        terminal::tell(&text);
    }
}
