//! `nightreel import`: an exported ledger in place as this machine's, and what it speaks of that is not here.

use std::collections::BTreeSet;
use std::path::PathBuf;

use serde_json::json;

use crate::config::Settings;
use crate::domain::{ImageSource, StateCode};
use crate::pace::Clock;
use crate::report;
use crate::report::story::quoted;
use crate::sink::is_address;
use crate::store::sqlite::{Moves, SqliteStore};
use crate::store::{Batch, Filter, Pages, Store};

use super::super::args::{Global, Import};
use super::super::exit::Exit;
use super::super::failure::Failure;
use super::super::{terminal, wiring};

/// Rows that are read at a time.
const PAGE: usize = 1000;
/// Paths that are named, of each kind.
const SHOWN: usize = 10;

/// What the ledger speaks of, and this machine does not have.
#[derive(Debug, Default)]
struct Missing {
    /// Output trees.
    trees: BTreeSet<PathBuf>,
    /// Manifests.
    manifests: BTreeSet<PathBuf>,
    /// Images of rows that are still to be sent.
    images: BTreeSet<PathBuf>,
    /// How many rows would fail for want of an image.
    rows: u64,
}

pub(in crate::cli) async fn import(args: &Import, global: &Global, settings: &Settings) -> Result<Exit, Failure> {
    wiring::must_be_a_file(settings, "an import", "pg_dump -n nightreel copies a ledger in PostgreSQL")?;
    let moves = args.out_maps.iter().map(|text| moved(text)).collect::<Result<Moves, _>>()?;
    let copied = SqliteStore::import(&args.file, &settings.state, &moves, Clock::system().now())?;
    // Opened to work on it, an older format is brought up to date.
    let opened = wiring::open(settings).await?;
    let store = opened.store.as_ref();
    let batches = store.batches().await?;
    let missing = missing(store, &batches).await?;
    store.close().await?;
    if global.json {
        terminal::json(&json!({
            "ledger": settings.state,
            "rows": copied.rows,
            "batches": batches.iter().map(|batch| batch.name.as_str()).collect::<Vec<_>>(),
            "sha256": copied.sha256,
            "missing_output_trees": missing.trees,
            "missing_manifests": missing.manifests,
            "missing_images": missing.images,
            "rows_without_images": missing.rows,
        }));
    } else {
        let words = format!(
            "{} in {} are in {}\n",
            report::rows(copied.rows),
            report::batches(copied.batches),
            settings.state.display()
        );
        let told = missing.text(&args.file, settings);
        if !global.quiet {
            terminal::tell(&words);
        }
        if !global.quiet || !missing.is_nothing() {
            terminal::tell(&told);
        }
    }
    Ok(Exit::Done)
}

/// `OLD=NEW`, both absolute.
fn moved(text: &str) -> Result<(PathBuf, PathBuf), Failure> {
    let wrong = || {
        Failure::new(Exit::Usage, format!("--out-map {text:?} is not OLD=NEW"))
            .hint("both from the root on, or addresses: --out-map /home/anna/videos=/srv/videos")
    };
    let (old, new) = text.split_once('=').ok_or_else(wrong)?;
    let (old, new) = (PathBuf::from(old), PathBuf::from(new));
    if !(old.is_absolute() || is_address(&old)) || new.as_os_str().is_empty() {
        return Err(wrong());
    }
    let old = if is_address(&old) { wiring::tree(&old)? } else { old };
    Ok((old, wiring::tree(&new)?))
}

async fn missing(store: &dyn Store, batches: &[Batch]) -> Result<Missing, Failure> {
    let mut missing = Missing::default();
    for batch in batches {
        // What lies in an object store is as near from here; `nightreel verify` looks.
        if !is_address(&batch.out) && !batch.out.exists() {
            missing.trees.insert(batch.out.clone());
        }
        if !batch.manifest.exists() {
            missing.manifests.insert(batch.manifest.clone());
        }
    }
    let mut pages = Pages::of(store, Filter { states: vec![StateCode::Planned], ..Filter::default() }, PAGE);
    while let Some(planned) = pages.next().await? {
        for job in planned {
            let mut lacks = false;
            for image in job.effect.images.iter() {
                if let ImageSource::File { path, .. } = image
                    && !path.exists()
                {
                    lacks = true;
                    missing.images.insert(path.clone());
                }
            }
            missing.rows += u64::from(lacks);
        }
    }
    Ok(missing)
}

impl Missing {
    fn is_nothing(&self) -> bool {
        self.trees.is_empty() && self.manifests.is_empty() && self.images.is_empty()
    }

    /// For people: what is not here, and what to type.
    fn text(&self, file: &std::path::Path, settings: &Settings) -> String {
        let mut text = String::new();
        let mut list = |heading: &str, paths: &BTreeSet<PathBuf>| {
            if paths.is_empty() {
                return;
            }
            text.push_str(&format!("{heading}\n"));
            text.extend(paths.iter().take(SHOWN).map(|path| format!("  {}\n", path.display())));
            if paths.len() > SHOWN {
                text.push_str(&format!("  … and {} more\n", paths.len() - SHOWN));
            }
        };
        list("output trees that are not on this machine:", &self.trees);
        list("manifests that are not on this machine:", &self.manifests);
        let rows = if self.rows == 1 { "1 row".to_owned() } else { format!("{} rows", self.rows) };
        let heading = format!("images of {rows} to be sent that are not on this machine:");
        list(&heading, &self.images);
        if let Some(tree) = self.trees.first() {
            text.push_str(&format!(
                "  carry the videos there, or import once more with the new place of the tree:\n    \
                 rm {}\n    nightreel import {} --out-map {}=NEW\n",
                quoted(&settings.state.display().to_string()),
                quoted(&file.display().to_string()),
                quoted(&tree.display().to_string()),
            ));
        }
        if self.rows > 0 {
            text.push_str(&format!(
                "  {} would fail, and cost nothing: carry the images to these places before the next run; a link to where \
                 they are will do:\n    ln -s NEW_FOLDER OLD_FOLDER\n",
                if self.rows == 1 { "that row".to_owned() } else { format!("those {} rows", self.rows) }
            ));
        }
        text.push_str(
            "let no run go on where this ledger came from: each of the two would pay\n\
             next:\n  nightreel status\n  nightreel verify   (are the videos here?)\n  nightreel run   (goes on)\n",
        );
        text
    }
}
