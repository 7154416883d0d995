//! Which line of the file a record begins at. The CSV reader says only where it began to look for it, which is before
//! blank lines and, in files with CRLF, still on the line before.

use std::collections::VecDeque;
use std::io::Read;
use std::sync::{Arc, Mutex, PoisonError};

use csv::ByteRecord;

/// How much of a file is read in search of one record's end.
const LONGEST: u64 = 1 << 20;

/// Passes a file on and notes where its newlines are.
#[derive(Debug)]
pub(super) struct Noted<R> {
    inner: R,
    at: u64,
    notes: Arc<Mutex<Notes>>,
}

#[derive(Debug, Default)]
struct Notes {
    newlines: VecDeque<u64>,
    /// Where the last record ended.
    ended_at: u64,
}

/// Where the newlines are that were read and not yet passed.
#[derive(Debug)]
pub(super) struct Lines(Arc<Mutex<Notes>>);

/// A file that notes its newlines, and the notes.
pub(super) fn noted<R: Read>(inner: R) -> (Noted<R>, Lines) {
    let notes = Arc::new(Mutex::new(Notes::default()));
    (Noted { inner, at: 0, notes: Arc::clone(&notes) }, Lines(notes))
}

impl<R: Read> Read for Noted<R> {
    fn read(&mut self, into: &mut [u8]) -> std::io::Result<usize> {
        let mut notes = self.notes.lock().unwrap_or_else(PoisonError::into_inner);
        if self.at - notes.ended_at > LONGEST {
            return Err(std::io::Error::other("a row does not end: is a quote not closed?"));
        }
        let read = self.inner.read(into)?;
        for (place, _) in into[..read].iter().enumerate().filter(|(_, byte)| **byte == b'\n') {
            notes.newlines.push_back(self.at + place as u64);
        }
        self.at += read as u64;
        Ok(read)
    }
}

impl Lines {
    /// The line at which a record begins that the reader has just read, standing where it ended.
    pub(super) fn start_of(&self, record: &ByteRecord, ended: &csv::Position) -> u64 {
        let mut notes = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        notes.ended_at = ended.byte();
        let newlines = &mut notes.newlines;
        while newlines.front().is_some_and(|at| at + 1 < ended.byte()) {
            newlines.pop_front();
        }
        // Of CRLF the reader takes the second half only with the next record.
        let passed = u64::from(newlines.front().is_some_and(|at| at + 1 == ended.byte()));
        let within = record.as_slice().iter().filter(|byte| **byte == b'\n').count() as u64;
        ended.line().saturating_sub(passed + within)
    }
}
