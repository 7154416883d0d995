//! Rows that clash with one another: repeated, or with the same output name. Memory stays the same however long the
//! manifest is: what has to be compared is kept as digests, in a file once there are many, and compared in portions.

use std::collections::HashSet;
use std::fs::File;
use std::io::{BufReader, BufWriter, Read, Seek, SeekFrom, Write};

use crate::manifest::Problem;

/// Records held before they go to a file, and compared at a time.
const PORTION: usize = 250_000;
/// Digest, line.
const RECORD: usize = 16 + 8;

/// Digests with the lines that they stand on.
#[derive(Debug, Default)]
pub(super) struct Clashes {
    held: Vec<(u128, u64)>,
    spilled: Option<BufWriter<File>>,
    count: usize,
}

impl Clashes {
    /// Notes that `digest` stands on `line`.
    pub(super) fn note(&mut self, digest: [u8; 16], line: u64) -> std::io::Result<()> {
        self.count += 1;
        self.held.push((u128::from_le_bytes(digest), line));
        if self.held.len() >= PORTION {
            let file = match &mut self.spilled {
                Some(file) => file,
                None => self.spilled.insert(BufWriter::with_capacity(1 << 16, tempfile::tempfile()?)),
            };
            for (digest, line) in self.held.drain(..) {
                file.write_all(&digest.to_le_bytes())?;
                file.write_all(&line.to_le_bytes())?;
            }
        }
        Ok(())
    }

    /// Each line whose digest stood before, with the first line that it stood on; by line, at most `most` of them, and how
    /// many there are in all.
    pub(super) fn repeated(mut self, most: usize) -> std::io::Result<(Vec<(u64, u64)>, u64)> {
        let portions = self.count.div_ceil(PORTION).max(1);
        let mut found = Vec::new();
        let mut total = 0;
        for portion in 0..portions {
            // By the first digits; those above them decide the order within a portion.
            let belongs = |digest: &u128| usize::try_from(digest & 0xFFFF).unwrap_or(0) % portions == portion;
            let mut records: Vec<(u128, u64)> =
                self.held.iter().filter(|(digest, _)| belongs(digest)).copied().collect();
            if let Some(file) = &mut self.spilled {
                file.flush()?;
                file.seek(SeekFrom::Start(0))?;
                let mut reader = BufReader::with_capacity(1 << 16, file.get_ref());
                let mut record = [0; RECORD];
                for _ in 0..self.count - self.held.len() {
                    reader.read_exact(&mut record)?;
                    let (mut digest, mut line) = ([0; 16], [0; 8]);
                    digest.copy_from_slice(&record[..16]);
                    line.copy_from_slice(&record[16..]);
                    let digest = u128::from_le_bytes(digest);
                    if belongs(&digest) {
                        records.push((digest, u64::from_le_bytes(line)));
                    }
                }
            }
            records.sort_unstable();
            let mut first = None;
            for (digest, line) in records {
                match first {
                    Some((before, at)) if before == digest => {
                        total += 1;
                        found.push((line, at));
                    }
                    _ => first = Some((digest, line)),
                }
            }
            found.sort_unstable();
            found.truncate(most);
        }
        Ok((found, total))
    }
}

/// The problems of rows that clash with one another, at most `most` of each kind by name, and how many more there are.
pub(super) fn clashing(
    ids: Clashes,
    contents: Clashes,
    outputs: Clashes,
    most: usize,
) -> std::io::Result<(Vec<Problem>, u64)> {
    // Names beside the rest, on a core of their own.
    let (rows, names) = std::thread::scope(|scope| {
        let names = scope.spawn(|| outputs.repeated(most));
        let rows = ids.repeated(most).and_then(|ids| Ok((ids, contents.repeated(most)?)));
        (rows, names.join().unwrap_or_else(|_| Err(std::io::Error::other("comparing names broke off"))))
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
        for rows in [10_u64, 600_000] {
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
}
