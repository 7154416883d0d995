//! `nightreel export`: the ledger as one file of one instant, checked, to be carried to another machine.

use serde_json::json;

use crate::config::Settings;
use crate::report;
use crate::report::story::{quoted, size};
use crate::store::sqlite::SqliteStore;

use super::super::args::{Export, Global};
use super::super::exit::Exit;
use super::super::failure::Failure;
use super::super::{terminal, wiring};

pub(in crate::cli) fn export(args: &Export, global: &Global, settings: &Settings) -> Result<Exit, Failure> {
    wiring::must_be_a_file(settings, "a copy", "pg_dump -n nightreel copies a ledger in PostgreSQL")?;
    if args.file.as_os_str() == "-" {
        return Err(Failure::new(Exit::Usage, "a ledger is written to a file, which is checked there")
            .hint("nightreel export ledger.db"));
    }
    if std::fs::metadata(&settings.state).map_or(true, |about| about.len() == 0) {
        return Err(wiring::no_ledger(settings));
    }
    let holder = SqliteStore::held_by(&settings.state);
    let copied = SqliteStore::export(&settings.state, &args.file)?;
    let file = args.file.display();
    if global.json {
        terminal::json(&json!({
            "file": args.file,
            "rows": copied.rows,
            "batches": copied.batches,
            "bytes": copied.bytes,
            "sha256": copied.sha256,
            "run_is_on": holder.is_some(),
        }));
        return Ok(Exit::Done);
    }
    if let Some(holder) = holder {
        let pid = holder.pid.map_or_else(String::new, |pid| format!(" (process {pid})"));
        terminal::err(&format!(
            "a run is on{pid}: what it sends from now on is not in the copy, which would pay for it again elsewhere\n"
        ));
    }
    if !global.quiet {
        terminal::tell(&format!(
            "{file}: {} in {}, {}, whole\nsha256 {}\n\
             to go on elsewhere:\n  \
             1. let no run go on here: each of the two would pay\n  \
             2. carry the file, the manifests, their images and the output trees there\n  \
             3. there: nightreel import {}\n",
            report::rows(copied.rows),
            report::batches(copied.batches),
            size(copied.bytes),
            copied.sha256,
            quoted(&args.file.file_name().map_or_else(String::new, |name| name.to_string_lossy().into_owned())),
        ));
    }
    Ok(Exit::Done)
}
