//! Manifests: CSV to rows, with every problem at its line and column. Reads one record at a time, so memory does not grow
//! with the file; it knows nothing of images' contents, of the ledger, or of what a row costs.

mod header;
mod lines;
mod problem;
mod row;

use std::fs::File;
use std::io::Read;
use std::path::{Path, PathBuf};

use csv::{ByteRecord, ReaderBuilder};

pub use header::Header;
pub use problem::Problem;
pub use row::{RawImage, Row};

/// A manifest could not be opened as one.
#[derive(Debug, thiserror::Error)]
pub enum OpenError {
    /// The file cannot be read.
    #[error("{path}: the manifest cannot be read")]
    Unreadable {
        /// The manifest.
        path: PathBuf,
        /// What the system said.
        #[source]
        source: std::io::Error,
    },
}

/// One record, read.
#[derive(Debug)]
pub enum Record {
    /// A row.
    Row(Box<Row>),
    /// What is wrong with it, one or more.
    Bad(Vec<Problem>),
}

/// A manifest being read.
#[derive(Debug)]
pub struct Manifest {
    reader: csv::Reader<lines::Noted<File>>,
    lines: lines::Lines,
    header: Header,
    record: ByteRecord,
    rows: u64,
    /// The file could not be read on.
    torn: bool,
}

/// How a manifest begins.
#[derive(Debug)]
pub enum Opened {
    /// With a header that can be read by.
    Manifest(Box<Manifest>),
    /// With problems that make it useless to read on.
    Bad(Vec<Problem>),
}

impl Manifest {
    /// Opens the file and reads its header.
    pub fn open(path: &Path) -> Result<Opened, OpenError> {
        let unreadable = |source| OpenError::Unreadable { path: path.to_path_buf(), source };
        let mut file = File::open(path).map_err(unreadable)?;
        if file.metadata().map_err(unreadable)?.is_dir() {
            return Err(unreadable(std::io::ErrorKind::IsADirectory.into()));
        }
        let mut start = [0; 4];
        let read = file.read(&mut start).map_err(unreadable)?;
        if matches!(&start[..read.min(2)], [0xFF, 0xFE] | [0xFE, 0xFF]) {
            return Ok(Opened::Bad(vec![Problem::whole(1, "the file is UTF-16", "", "a CSV file in UTF-8")]));
        }
        let file = File::open(path).map_err(unreadable)?;
        let (noted, lines) = lines::noted(file);
        let mut reader =
            ReaderBuilder::new().has_headers(false).flexible(true).buffer_capacity(1 << 16).from_reader(noted);
        let mut record = ByteRecord::new();
        match reader.read_byte_record(&mut record) {
            Ok(true) => {}
            Ok(false) => return Ok(Opened::Bad(vec![header::empty()])),
            Err(error) => return Ok(Opened::Bad(vec![torn(1, &error)])),
        }
        Ok(match Header::read(&record) {
            Ok(header) => Opened::Manifest(Box::new(Self { reader, lines, header, record, rows: 0, torn: false })),
            Err(problems) => Opened::Bad(problems),
        })
    }

    /// The manifest's own columns, in order.
    #[must_use]
    pub fn own_columns(&self) -> &[String] {
        &self.header.own
    }

    /// The next record; `None` at the end. A manifest without any row ends with a problem that says so.
    pub fn next_record(&mut self) -> Option<Record> {
        if self.torn {
            return None;
        }
        loop {
            let begun = self.reader.position().line();
            match self.reader.read_byte_record(&mut self.record) {
                Ok(true) => {}
                Ok(false) if self.rows == 0 => {
                    self.rows = 1;
                    let problem =
                        Problem::whole(2, "the manifest has no rows", "", "at least one row below the header");
                    return Some(Record::Bad(vec![problem]));
                }
                Ok(false) => return None,
                Err(error) => {
                    self.rows += 1;
                    self.torn = true;
                    return Some(Record::Bad(vec![torn(begun, &error)]));
                }
            }
            if self.record.iter().all(|cell| cell.trim_ascii().is_empty()) {
                continue;
            }
            self.rows += 1;
            let line = self.lines.start_of(&self.record, self.reader.position());
            return Some(match row::read(&self.header, &self.record, line) {
                Ok(row) => Record::Row(Box::new(row)),
                Err(problems) => Record::Bad(problems),
            });
        }
    }
}

/// The reader itself gave up on the file.
fn torn(line: u64, error: &csv::Error) -> Problem {
    Problem::whole(
        line,
        "the file cannot be read on from here",
        &error.to_string(),
        "rows that end, in a readable file",
    )
}

#[cfg(test)]
mod tests;
