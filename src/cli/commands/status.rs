//! `nightreel status`: what was made, what failed and why, what is in doubt. Reads only, also beside a run.

use comfy_table::{CellAlignment, Table, presets};

use crate::config::Settings;
use crate::pace::Clock;
use crate::report::{Ending, Show, Summary};

use super::super::args::{Global, Status};
use super::super::exit::Exit;
use super::super::failure::Failure;
use super::super::{terminal, wiring};

pub(in crate::cli) async fn status(args: &Status, global: &Global, settings: &Settings) -> Result<Exit, Failure> {
    let store = wiring::must_read(settings).await?;
    let batch = wiring::named_batch(store.as_ref(), args.batch.as_deref()).await?;
    let show = if args.all || global.json { Show::All } else { Show::First };
    let mut summary = Summary::gather(store.as_ref(), batch.as_ref().map(|batch| batch.id), show).await?;
    summary.ending =
        Ending::gather(store.as_ref(), batch.as_ref().map(|batch| batch.id), Clock::system().now()).await?;
    summary.next.extend(summary.ending.iter().find_map(Ending::next));
    if global.json {
        terminal::json(&summary);
        return Ok(Exit::Done);
    }
    if let Some(last) = summary.last_run.as_ref().filter(|last| last.exit_code != 0) {
        let at = last.at.to_zoned_datetime(jiff::tz::TimeZone::system()).strftime("%Y-%m-%d %H:%M").to_string();
        summary.notes.push(format!("the last run ended at {at} with code {}", last.exit_code));
        summary.notes.extend(last.notes.iter().cloned());
    }
    let batches = store.batches().await?;
    if batch.is_none() && batches.len() > 1 {
        let mut table = Table::new();
        table.load_style(presets::NOTHING).set_header(["batch", "rows", "done", "open", "failed", "held", "stuck"]);
        for batch in batches {
            let tally = store.tally(Some(batch.id)).await?;
            let counts = [tally.rows, tally.done, tally.open(), tally.failed, tally.held, tally.stuck];
            let counts = counts.map(|count| count.to_string());
            table.add_row(std::iter::once(batch.name.to_string()).chain(counts));
        }
        table.column_iter_mut().skip(1).for_each(|column| column.set_cell_alignment(CellAlignment::Right));
        terminal::tell(&format!("{table}\n"));
    }
    if summary.tally.held > 0 {
        summary.next.push("nightreel resolve ROW --made TASK_ID | --not-made | --drop".to_owned());
    }
    if summary.tally.planned > 0 {
        summary.next.push("nightreel run   (sends what is planned)".to_owned());
    } else if summary.tally.open() + summary.tally.stuck > 0 {
        summary.next.push("nightreel collect   (fetches what is paid for)".to_owned());
    }
    if summary.tally.failed > 0 {
        summary.next.push("nightreel retry --all   (pays for another attempt at each)".to_owned());
    }
    terminal::tell(&summary.text());
    Ok(Exit::Done)
}
