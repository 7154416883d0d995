//! Rows that clash with one another: repeated, or with the same output name. Memory stays the same however long the
//! manifest is: what has to be compared is kept as digests, which go to a file in sorted runs once there are many, and are merged
//! at the end.

use std::cmp::Reverse;
use std::collections::{BinaryHeap, HashSet};
use std::fs::File;
use std::io::{self, Write};
use std::os::unix::fs::FileExt;

use crate::manifest::Problem;

/// Records of a run, which are held before they go to a file.
const RUN: usize = 64_000;
/// Digest, line.
const RECORD: usize = 16 + 8;
/// Bytes of a run that are read at once.
const READ: usize = RECORD * 512;

/// A digest in two halves, and the line that it stands on.
type Record = (u64, u64, u64);

/// Digests with the lines that they stand on.
#[derive(Debug, Default)]
pub(super) struct Clashes {
    held: Vec<Record>,
    /// Runs of the same length, each sorted.
    spilled: Option<File>,
    runs: u64,
}

impl Clashes {
    /// Notes that `digest` stands on `line`.
    pub(super) fn note(&mut self, digest: [u8; 16], line: u64) -> io::Result<()> {
        let [high, low] = numbers(&digest);
        self.held.push((high, low, line));
        if self.held.len() < RUN {
            return Ok(());
        }
        self.held.sort_unstable();
        let mut bytes = Vec::with_capacity(RUN * RECORD);
        for (high, low, line) in self.held.drain(..) {
            for part in [high, low, line] {
                bytes.extend_from_slice(&part.to_le_bytes());
            }
        }
        let file = match &mut self.spilled {
            Some(file) => file,
            None => self.spilled.insert(tempfile::tempfile()?),
        };
        file.write_all(&bytes)?;
        self.runs += 1;
        Ok(())
    }

    /// Each line whose digest stood before, with the first line that it stood on; by line, at most `most` of them, and how
    /// many there are in all.
    pub(super) fn repeated(mut self, most: usize) -> io::Result<(Vec<(u64, u64)>, u64)> {
        self.held.sort_unstable();
        let mut runs = vec![Run::Held(self.held.into_iter())];
        if let Some(file) = &self.spilled {
            let length = (RUN * RECORD) as u64;
            runs.extend((0..self.runs).map(|run| Run::spilled(file, run * length, (run + 1) * length)));
        }
        let mut heads = BinaryHeap::with_capacity(runs.len());
        for (number, run) in runs.iter_mut().enumerate() {
            heads.extend(run.next()?.map(|record| Reverse((record, number))));
        }
        let (mut found, mut total, mut first): (_, _, Option<Record>) = (Vec::new(), 0, None);
        while let Some(Reverse((record @ (high, low, line), number))) = heads.pop() {
            heads.extend(runs[number].next()?.map(|record| Reverse((record, number))));
            match first {
                Some((before, and, at)) if (before, and) == (high, low) => {
                    total += 1;
                    found.push((line, at));
                    if found.len() >= 2 * most {
                        found.sort_unstable();
                        found.truncate(most);
                    }
                }
                _ => first = Some(record),
            }
        }
        found.sort_unstable();
        found.truncate(most);
        Ok((found, total))
    }
}

/// Sorted records.
enum Run<'a> {
    Held(std::vec::IntoIter<Record>),
    Spilled { file: &'a File, at: u64, end: u64, read: Vec<u8>, taken: usize },
}

impl<'a> Run<'a> {
    const fn spilled(file: &'a File, at: u64, end: u64) -> Self {
        Self::Spilled { file, at, end, read: Vec::new(), taken: 0 }
    }

    fn next(&mut self) -> io::Result<Option<Record>> {
        let (file, at, end, read, taken) = match self {
            Self::Held(held) => return Ok(held.next()),
            Self::Spilled { file, at, end, read, taken } => (file, at, end, read, taken),
        };
        if *taken == read.len() {
            let left = usize::try_from(*end - *at).unwrap_or(READ).min(READ);
            read.resize(left, 0);
            file.read_exact_at(read, *at)?;
            (*at, *taken) = (*at + left as u64, 0);
        }
        let Some((record, _)) = read[*taken..].split_first_chunk::<RECORD>() else { return Ok(None) };
        *taken += RECORD;
        let (digest, line) = record.split_at(16);
        let ([high, low], [line]) = (numbers(digest), numbers(line));
        Ok(Some((high, low, line)))
    }
}

/// The numbers that these bytes are.
fn numbers<const COUNT: usize>(bytes: &[u8]) -> [u64; COUNT] {
    let mut parts = bytes.as_chunks::<8>().0.iter();
    std::array::from_fn(|_| parts.next().map_or(0, |part| u64::from_le_bytes(*part)))
}

/// The problems of rows that clash with one another, at most `most` of each kind by name, and how many more there are.
pub(super) fn clashing(
    ids: Clashes,
    contents: Clashes,
    outputs: Clashes,
    most: usize,
) -> io::Result<(Vec<Problem>, u64)> {
    // Names beside the rest, on a core of their own.
    let (rows, names) = std::thread::scope(|scope| {
        let names = scope.spawn(|| outputs.repeated(most));
        let rows = ids.repeated(most).and_then(|ids| Ok((ids, contents.repeated(most)?)));
        (rows, names.join().unwrap_or_else(|_| Err(io::Error::other("comparing names broke off"))))
    });
    let (ids, contents) = rows?;
    let mut repeated = HashSet::new();
    let mut problems = Vec::new();
    let (found, total) = ids;
    let mut beyond = total - found.len() as u64;
    for (line, first) in found {
        repeated.insert(line);
        let what = format!("the id stands on line {first} already");
        problems.push(Problem::new(line, "id", what, "", "an id of its own for every row"));
    }
    let (found, total) = contents;
    beyond += total - found.len() as u64;
    for (line, first) in found {
        repeated.insert(line);
        let what = format!("the row asks for the same video as line {first}");
        let expected = "one row for each video, or an id for each row to have both made";
        problems.push(Problem::whole(line, what, "", expected));
    }
    // A row that stands twice has the same name twice: that is told once.
    let (found, _) = names?;
    for (line, first) in found.into_iter().filter(|(line, _)| !repeated.contains(line)) {
        let what = format!("its video has the same name as that of line {first}");
        let expected = "another output, or a name template that tells rows apart";
        problems.push(Problem::new(line, "output", what, "", expected));
    }
    Ok((problems, beyond))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn repeats_are_found_in_memory_and_on_disk() {
        for rows in [10_u64, 64_000, 64_001, 600_000] {
            let mut clashes = Clashes::default();
            for line in 0..rows {
                let distinct = if line == rows - 1 { 3 } else { line };
                let mut digest = [0; 16];
                digest[..8].copy_from_slice(&distinct.wrapping_mul(0x9E37_79B9_7F4A_7C15).to_le_bytes());
                clashes.note(digest, line).unwrap();
            }
            assert_eq!(clashes.repeated(100).unwrap(), (vec![(rows - 1, 3)], 1));
        }
    }

    #[test]
    fn of_many_repeats_the_first_are_named_and_all_counted() {
        let rows = 200_000_u64;
        let mut clashes = Clashes::default();
        for line in 0..rows {
            // Each two lines of one digest, far from one another.
            let mut digest = [0; 16];
            digest[..8].copy_from_slice(&(line % (rows / 2)).wrapping_mul(0x9E37_79B9_7F4A_7C15).to_le_bytes());
            clashes.note(digest, line).unwrap();
        }
        let (found, total) = clashes.repeated(10).unwrap();
        assert_eq!(total, rows / 2);
        assert_eq!(found, (rows / 2..rows / 2 + 10).map(|line| (line, line - rows / 2)).collect::<Vec<_>>());
    }
}
