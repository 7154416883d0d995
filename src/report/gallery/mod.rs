//! The gallery: a folder with one page that shows every video beside its picture, what failed and why, and what it cost;
//! `results.csv` and `results.json` lie beside it. It works as files from a disk and asks nobody outside for anything.

mod chosen;
mod night;
mod page;
mod place;
mod record;
mod row;

use std::io::{BufWriter, Write};
use std::path::PathBuf;

use jiff::Timestamp;
use serde::Serialize;

use crate::domain::{FailureCause, Job, Price, State, Tally};
use crate::store::{Batch, Filter, Pages, Spent, Store};

use self::chosen::Chosen;
use self::night::{Hours, Night, SceneTimes, Times};
use self::record::Record;
use self::row::Words;
use super::results::{COLUMNS, PAGE, RESULTS, ReportError, line, own_columns, put};

pub use place::Place;

/// Rows that a page shows at the most: a browser holds them all at once. The documents beside it have every row.
const MOST_SHOWN: usize = 20_000;
/// What the page reads.
const ROWS: &str = "data.js";
/// The rows for programs.
const RESULTS_JSON: &str = "results.json";

/// A gallery that was written.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Gallery {
    /// The page.
    pub index: PathBuf,
    /// How many rows there are.
    pub rows: u64,
    /// How many of them the page shows: those that need a person first, then the newest. The documents have all.
    pub shown: u64,
}

/// What the page shows besides its rows.
#[derive(Debug, Serialize)]
struct Facts<'a> {
    generated: i64,
    version: &'static str,
    batches: Vec<row::OfBatch<'a>>,
    tally: Tally,
    spent: Vec<Spent>,
    perhaps_refunded: Vec<Price>,
    hours: Hours,
    times: Vec<SceneTimes>,
    words: &'a Words,
}

impl Gallery {
    /// Writes the gallery of some batches. Reads the ledger page by page and holds no more than the rows that are shown.
    pub async fn write(
        store: &dyn Store,
        batches: &[Batch],
        place: &Place<'_>,
        at: Timestamp,
    ) -> Result<Self, ReportError> {
        place.must_be_free().await?;
        // First: it is what shows that the folder is ours, should the rest not come to be.
        let frame = page::page();
        place.sink().document(&place.document(page::INDEX), &mut |into| into.write_all(frame.as_bytes())).await?;
        let mut pass = Pass::new(batches)?;
        let mut spent = Vec::new();
        for batch in batches {
            let mut pages = Pages::of(store, Filter { batch: Some(batch.id), ..Filter::default() }, PAGE);
            while let Some(jobs) = pages.next().await? {
                for job in jobs {
                    pass.take(batch, job)?;
                }
            }
            spent.extend(store.spent(Some(batch.id)).await?);
        }
        pass.end(batches, place, spent, at).await
    }
}

/// One way through all rows.
struct Pass<'a> {
    own: Vec<&'a String>,
    csv: csv::Writer<BufWriter<std::fs::File>>,
    json: BufWriter<std::fs::File>,
    tally: Tally,
    night: Night,
    times: Times,
    chosen: Chosen,
    refunded: Vec<Price>,
}

impl<'a> Pass<'a> {
    fn new(batches: &'a [Batch]) -> Result<Self, ReportError> {
        let own = own_columns(batches);
        let mut csv = csv::Writer::from_writer(BufWriter::new(tempfile::tempfile()?));
        csv.write_record(COLUMNS.into_iter().chain(own.iter().map(|column| column.as_str())))?;
        let mut json = BufWriter::new(tempfile::tempfile()?);
        json.write_all(b"{\"rows\":[")?;
        let (night, times, chosen) = (Night::default(), Times::default(), Chosen::new(MOST_SHOWN));
        let (tally, refunded) = (Tally::default(), Vec::new());
        Ok(Self { own, csv, json, tally, night, times, chosen, refunded })
    }

    fn take(&mut self, batch: &Batch, job: Job) -> Result<(), ReportError> {
        let values: serde_json::Map<String, serde_json::Value> = serde_json::from_str(&job.columns).unwrap_or_default();
        let own = self.own.iter().map(|column| values.get(*column).and_then(|value| value.as_str()).unwrap_or(""));
        self.csv.write_record(line(batch.name.as_str(), &job).into_iter().chain(own.map(str::to_owned)))?;
        self.json.write_all(if self.tally.rows == 0 { b"\n" } else { b",\n" })?;
        serde_json::to_writer(&mut self.json, &Record::of(batch, &job, &values)).map_err(std::io::Error::from)?;
        self.tally.add(job.state.code(), 1, u64::from(job.submissions));
        self.night.count(&job);
        self.times.count(&job);
        let price = job.attempt.as_ref().and_then(|attempt| attempt.price.as_ref());
        if let (State::Failed { cause: FailureCause::TaskFailed { .. } }, Some(price)) = (&job.state, price) {
            price.add_to(&mut self.refunded);
        }
        self.chosen.offer(job);
        Ok(())
    }

    async fn end(
        mut self,
        batches: &'a [Batch],
        place: &Place<'_>,
        spent: Vec<Spent>,
        at: Timestamp,
    ) -> Result<Gallery, ReportError> {
        self.json.write_all(b"\n]}\n")?;
        let jobs = self.chosen.in_order();
        let mut words = Words::default();
        let rows: Vec<row::Row<'_>> = jobs.iter().map(|job| row::Row::of(job, batches, place, &mut words)).collect();
        let facts = Facts {
            generated: at.as_millisecond(),
            version: env!("CARGO_PKG_VERSION"),
            batches: batches.iter().map(|batch| row::OfBatch::of(batch, place)).collect(),
            tally: self.tally,
            spent,
            perhaps_refunded: self.refunded,
            hours: self.night.hours(),
            times: self.times.scenes(),
            words: &words,
        };
        let sink = place.sink();
        put(sink, &place.document(RESULTS), self.csv.into_inner().map_err(csv::IntoInnerError::into_error)?).await?;
        put(sink, &place.document(RESULTS_JSON), self.json).await?;
        let mut write = |into: &mut dyn Write| {
            into.write_all(b"window.NIGHTREEL = {\"facts\":")?;
            serde_json::to_writer(&mut *into, &facts)?;
            into.write_all(b",\"rows\":[")?;
            for (number, row) in rows.iter().enumerate() {
                into.write_all(if number == 0 { b"\n" } else { b",\n" })?;
                serde_json::to_writer(&mut *into, row)?;
            }
            into.write_all(b"\n]};\n")
        };
        sink.document(&place.document(ROWS), &mut write).await?;
        Ok(Gallery { index: place.index(), rows: self.tally.rows, shown: jobs.len() as u64 })
    }
}
