//! The simulated world on disk: one line a task, so that a rehearsal that was interrupted finds its tasks again.

use std::fs::{File, OpenOptions};
use std::io::{self, BufRead, BufReader, Write};
use std::path::Path;
use std::sync::{Mutex, PoisonError};

use super::task::Task;

/// Where tasks are written down.
#[derive(Debug)]
pub(super) struct Journal(Mutex<File>);

impl Journal {
    /// Opens or makes it, with the tasks that it holds. A line that was cut off while it was written is passed over.
    pub(super) fn open(path: &Path) -> io::Result<(Self, Vec<Task>)> {
        if let Some(folder) = path.parent() {
            std::fs::create_dir_all(folder)?;
        }
        let mut file = OpenOptions::new().read(true).append(true).create(true).open(path)?;
        let mut tasks = Vec::new();
        let mut torn = false;
        for line in BufReader::new(&file).lines() {
            let line = line?;
            match serde_json::from_str(&line) {
                Ok(task) => tasks.push(task),
                Err(_) => torn = true,
            }
        }
        if torn {
            file.write_all(b"\n")?;
        }
        Ok((Self(Mutex::new(file)), tasks))
    }

    /// Writes a task down.
    pub(super) fn note(&self, task: &Task) -> io::Result<()> {
        let mut line = serde_json::to_vec(task)?;
        line.push(b'\n');
        self.0.lock().unwrap_or_else(PoisonError::into_inner).write_all(&line)
    }
}
