//! What there is to do: by the ledger, which is only read, and by a manifest, whose rows are only counted.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use crate::config::Settings;
use crate::manifest::{Manifest, Opened, Record};
use crate::store::sqlite::{OpenError, SqliteStore};
use crate::store::{Account, Store, StoreError};

use super::super::super::failure::Failure;
use super::super::super::wiring;
use super::finding::Findings;

/// What is to be made and fetched.
#[derive(Debug, Default)]
pub(super) struct Work {
    /// The ledger, where there is one that can be read.
    pub(super) store: Option<Arc<dyn Store>>,
    /// There is a ledger, and it cannot be read.
    pub(super) unreadable: bool,
    /// The accounts that the ledger knows.
    pub(super) accounts: Vec<Account>,
    /// How many videos each output tree still gets, as far as that is known.
    pub(super) trees: BTreeMap<PathBuf, u64>,
    /// How many videos are still to be made.
    pub(super) to_make: u64,
}

impl Work {
    /// What ledger and manifest tell; what cannot be read of them is a finding.
    pub(super) async fn of(
        manifest: Option<&Path>,
        settings: &Settings,
        about_manifest: &mut Findings,
        about_machine: &mut Findings,
    ) -> Self {
        let mut work = Self::default();
        // The batch of the manifest, where the ledger has it already: its output tree and its rows.
        let mut known = None;
        let path = manifest.and_then(|manifest| std::path::absolute(manifest).ok());
        let opened = open(&settings.state, about_machine);
        work.unreadable = opened.is_err();
        if let Some(store) = opened.ok().flatten() {
            match work.read(store.as_ref(), path.as_deref()).await {
                Ok(batch) => known = batch,
                Err(error) => {
                    let hint =
                        "copy the ledger and its -wal file away before anything else; then ask for help with both";
                    about_machine.bad("ledger", Failure::from(error).words(), hint);
                }
            }
            work.store = Some(store);
        }
        let rows = manifest.and_then(|manifest| count(manifest, about_manifest));
        let out = wiring::tree(&settings.out).unwrap_or_else(|_| settings.out.clone());
        let (out, had) = known.unwrap_or((out, 0));
        let more = rows.map_or(0, |rows| rows.saturating_sub(had));
        *work.trees.entry(out).or_default() += more;
        work.to_make += more;
        work
    }

    async fn read(&mut self, store: &dyn Store, manifest: Option<&Path>) -> Result<Option<(PathBuf, u64)>, StoreError> {
        self.accounts = store.accounts().await?;
        let mut known = None;
        for batch in store.batches().await? {
            let tally = store.tally(Some(batch.id)).await?;
            let missing = tally.rows - tally.done - tally.failed;
            if missing > 0 {
                *self.trees.entry(batch.out.clone()).or_default() += missing;
            }
            self.to_make += tally.planned;
            if Some(batch.manifest.as_path()) == manifest {
                known = Some((batch.out, tally.rows));
            }
        }
        Ok(known)
    }
}

/// What cannot be read, and was told.
struct Unreadable;

/// The ledger, to read it; that there is none is no finding.
fn open(state: &Path, findings: &mut Findings) -> Result<Option<Arc<dyn Store>>, Unreadable> {
    match SqliteStore::open_to_read(state) {
        Ok(store) => Ok(store.map(|store| -> Arc<dyn Store> { Arc::new(store) })),
        Err(error @ OpenError::Older { .. }) => {
            let failure = Failure::from(error);
            findings.note("ledger", failure.words(), failure.hints().join("\n"));
            Err(Unreadable)
        }
        Err(
            error @ (OpenError::Held { .. }
            | OpenError::Unusable { .. }
            | OpenError::NetworkFilesystem { .. }
            | OpenError::NoLocks { .. }
            | OpenError::NotALedger { .. }
            | OpenError::Newer { .. }
            | OpenError::Damaged { .. }
            | OpenError::Engine { .. }),
        ) => {
            let failure = Failure::from(error);
            let hint = match failure.hints() {
                [] => "look whose file it is and whether it may be read: ls -l; or name another with --state PATH"
                    .to_owned(),
                hints => hints.join("\n"),
            };
            findings.bad("ledger", failure.words(), hint);
            Err(Unreadable)
        }
    }
}

/// The records of a manifest; what is wrong with them is `check`'s to tell.
fn count(path: &Path, findings: &mut Findings) -> Option<u64> {
    let shown = path.display();
    let check = format!("to see what is wrong: nightreel check {shown}");
    match Manifest::open(path) {
        Err(error) => {
            findings.bad("file", Failure::from(crate::plan::SurveyError::from(error)).words(), "check the path");
            None
        }
        Ok(Opened::Bad(problems)) => {
            let first = problems.first().map_or_else(String::new, |first| match first.column.as_str() {
                "" => format!(": {}", first.what),
                column => format!(": {column}: {}", first.what),
            });
            findings.bad("rows", format!("{shown} cannot be used{first}"), check);
            None
        }
        Ok(Opened::Manifest(mut manifest)) => {
            let (mut rows, mut bad) = (0_u64, 0_u64);
            while let Some(record) = manifest.next_record() {
                match record {
                    Record::Row(_) => rows += 1,
                    Record::Bad(_) => bad += 1,
                }
            }
            if bad > 0 {
                findings.bad("rows", format!("{shown}: {bad} of {} rows have problems", rows + bad), check);
            } else {
                findings.good("rows", format!("{shown}: {rows} rows"));
            }
            Some(rows)
        }
    }
}
