//! This machine: where the ledger and the videos go, how much room there is, and what the system allows a process.

use std::collections::BTreeMap;
use std::fs::OpenOptions;
use std::io::{ErrorKind, Write};
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use jiff::Timestamp;
use rustix::process::{Resource, getrlimit};

use crate::config::Settings;
use crate::sink::{self, is_address};
use crate::store::sqlite::{SqliteStore, is_on_network};

use super::super::super::failure::Failure;
use super::finding::Findings;
use super::work::Work;

/// What a video is taken to need, in bytes; nobody publishes sizes, and those seen were 3 to 15 MB.
const VIDEO: u64 = 10_000_000;
/// What a row is taken to need in the ledger with its history, in bytes, and what the ledger needs at least.
const ROW: u64 = 8_000;
const LEDGER: u64 = 32_000_000;
/// Less free room than this is worth a word, whatever is to be made.
const LITTLE: u64 = 1_000_000_000;
/// Open files of a process that does nothing yet: the ledger, logs, sockets of the runtime.
const FILES: u64 = 64;
/// A clock that shows another year was never set.
const YEARS: std::ops::Range<i32> = 2025..2100;

/// Looks at everything, and leaves nothing behind.
pub(super) async fn examine(settings: &Settings, work: &Work, now: Timestamp, findings: &mut Findings) {
    let mut needs = Needs::default();
    state(&settings.state, work, &mut needs, findings);
    for (out, videos) in &work.trees {
        if is_address(out) {
            bucket(out, settings, findings).await;
            // Of a bucket's videos, those that are under way lie in the spool, in the ledger's folder.
            let spooled = (*videos).min(settings.downloads as u64);
            let place = std::path::absolute(&settings.state).unwrap_or_else(|_| settings.state.clone());
            if let Some(folder) = place.ancestors().skip(1).find(|above| above.is_dir()) {
                needs.add(folder, spooled.saturating_mul(VIDEO), spooled);
            }
        } else if let Some(folder) = writable("output", out, "name another folder with --out DIR", findings) {
            if folder == *out {
                findings.good("output", format!("{}: can be written", out.display()));
            } else {
                findings.good("output", format!("{}: is made when it is needed", out.display()));
            }
            needs.add(&folder, videos.saturating_mul(VIDEO), *videos);
        }
    }
    needs.tell(findings);
    let temporary = std::env::temp_dir();
    if let Some(folder) = writable("temporary", &temporary, "name another folder: export TMPDIR=DIR", findings) {
        findings.good("temporary", format!("{}: can be written", folder.display()));
    }
    files(getrlimit(Resource::Nofile).current, settings, findings);
    date(now, findings);
}

/// A part of a bucket: is it there, and can it be written.
async fn bucket(out: &Path, settings: &Settings, findings: &mut Findings) {
    let shown = out.display();
    match sink::open(out, &sink::spool(&settings.state)) {
        Err(why) => findings.bad("output", why.to_string(), why.hint()),
        Ok(sink) => match sink.ready().await {
            Ok(()) => findings.good("output", format!("{shown}: is there and can be written")),
            Err(error) => {
                let failure = Failure::from(error);
                findings.bad("output", failure.words(), failure.hints().join("\n"));
            }
        },
    }
}

/// The ledger's place.
fn state(state: &Path, work: &Work, needs: &mut Needs, findings: &mut Findings) {
    const ELSEWHERE: &str = "name another place with --state PATH";
    let path = std::path::absolute(state).unwrap_or_else(|_| state.to_path_buf());
    let shown = state.display();
    // A link leads to where it really is.
    let real = path.canonicalize().unwrap_or(path);
    let Some(folder) = writable("state", real.parent().unwrap_or(&real), ELSEWHERE, findings) else { return };
    needs.add(&folder, LEDGER + work.trees.values().sum::<u64>().saturating_mul(ROW), 0);
    if is_on_network(if real.exists() { &real } else { &folder }) {
        let words = format!("{shown} is on a network file system, which keeps no ledger safe");
        findings.bad("state", words, "name a place on a local disk with --state PATH");
        return;
    }
    if !real.exists() {
        findings.good("state", format!("{shown}: no ledger yet; the first run makes it"));
        return;
    }
    if let Err(error) = OpenOptions::new().append(true).open(&real) {
        let hint = format!("look whose it is: ls -l {shown}; run as its owner, or {ELSEWHERE}");
        findings.bad("state", format!("{shown}: the ledger cannot be written: {error}"), hint);
        return;
    }
    if work.store.is_some() {
        findings.good("state", format!("{shown}: a ledger, {} videos still to come", work.trees.values().sum::<u64>()));
    } else if real.metadata().is_ok_and(|about| about.len() == 0) {
        findings.good("state", format!("{shown}: empty; the first run makes a ledger of it"));
    }
    if let Some(holder) = SqliteStore::held_by(&real) {
        let who = holder.pid.map_or_else(|| "another process".to_owned(), |pid| format!("process {pid}"));
        let since = holder.since.map_or_else(String::new, |since| format!(" since {since:.0}"));
        let words = format!("a run is at work: {who} holds the ledger{since}");
        findings.note("lock", words, "another run on this ledger has to wait for it; nightreel status works meanwhile");
    }
}

/// The folder at `path`, or the nearest one above it that is there, when a file can be made in it; else a finding.
fn writable(what: &'static str, path: &Path, elsewhere: &str, findings: &mut Findings) -> Option<PathBuf> {
    let Some(standing) = path.ancestors().find(|above| above.symlink_metadata().is_ok()) else {
        findings.bad(what, format!("{}: no part of this path is there", path.display()), elsewhere);
        return None;
    };
    let shown = standing.display();
    match standing.metadata() {
        Ok(about) if about.is_dir() => {}
        Ok(_) => {
            findings.bad(
                what,
                format!("{shown} is a file, where a folder has to be"),
                format!("move it away, or {elsewhere}"),
            );
            return None;
        }
        Err(error) => {
            findings.bad(what, format!("{shown} cannot be entered: {error}"), elsewhere);
            return None;
        }
    }
    let tried =
        tempfile::tempfile_in(standing).and_then(|mut file| file.write_all(&[0; 4096]).and_then(|()| file.sync_all()));
    match tried {
        Ok(()) => Some(standing.to_path_buf()),
        Err(error) => {
            let hint = match error.kind() {
                ErrorKind::StorageFull | ErrorKind::QuotaExceeded => format!("make room there, or {elsewhere}"),
                ErrorKind::ReadOnlyFilesystem => format!("it is mounted read-only: mount it writable, or {elsewhere}"),
                _ => format!("look whose it is: ls -ld {shown}; run as its owner, or {elsewhere}"),
            };
            findings.bad(what, format!("{shown} cannot be written: {error}"), hint);
            None
        }
    }
}

/// What is to be put on each file system.
#[derive(Debug, Default)]
struct Needs {
    /// By device: a folder on it, bytes, videos.
    of: BTreeMap<u64, (PathBuf, u64, u64)>,
}

impl Needs {
    fn add(&mut self, folder: &Path, bytes: u64, videos: u64) {
        let Ok(about) = folder.metadata() else { return };
        let place = self.of.entry(about.dev()).or_insert_with(|| (folder.to_path_buf(), 0, 0));
        place.1 = place.1.saturating_add(bytes);
        place.2 += videos;
        if videos > 0 {
            folder.clone_into(&mut place.0);
        }
    }

    fn tell(&self, findings: &mut Findings) {
        for (folder, bytes, videos) in self.of.values() {
            if let Ok(about) = rustix::fs::statvfs(folder) {
                let free = about.f_bavail.saturating_mul(about.f_frsize);
                room(folder, free, *bytes, *videos, findings);
                if about.f_files > 0 && about.f_favail < videos + FILES {
                    let words = format!(
                        "{}: room for {} more files, {videos} videos are to come",
                        folder.display(),
                        about.f_favail
                    );
                    findings.bad("disk", words, "remove small files, or name another disk with --out DIR");
                }
            }
        }
    }
}

/// The free room of one file system against what is to come.
fn room(folder: &Path, free: u64, bytes: u64, videos: u64, findings: &mut Findings) {
    let shown = folder.display();
    let to_come = match videos {
        0 => "for the ledger".to_owned(),
        1 => "for 1 video, taken for 10 MB,".to_owned(),
        _ => format!("for {videos} videos, taken for 10 MB each,"),
    };
    let words = format!("{shown}: {} free; {to_come} about {} are needed", size(free), size(bytes));
    if free < bytes {
        let hint = if videos > 0 {
            "make room, or name another disk with --out DIR"
        } else {
            "make room, or name another disk with --state PATH"
        };
        findings.bad("disk", words, hint);
    } else if free < LITTLE || free < bytes.saturating_add(bytes / 4) {
        findings.note(
            "disk",
            words,
            "that is tight: a run stops in order when it is full, and goes on when there is room",
        );
    } else {
        findings.good("disk", words);
    }
}

/// `41.2 GB`, as disks are sold.
fn size(bytes: u64) -> String {
    match bytes {
        0..1_000_000 => format!("{} kB", bytes / 1000),
        1_000_000..1_000_000_000 => format!("{} MB", bytes / 1_000_000),
        _ => format!("{:.1} GB", bytes as f64 / 1e9),
    }
}

/// The limit of open files; `None` is none.
fn files(limit: Option<u64>, settings: &Settings, findings: &mut Findings) {
    let in_flight: usize = settings.accounts.iter().map(|account| account.in_flight).sum();
    let needed = 2 * settings.downloads as u64 + in_flight as u64 + FILES;
    match limit {
        Some(limit) if limit < needed => {
            let words = format!("a process may open {limit} files; about {needed} are needed");
            let hint =
                format!("ulimit -n {} in the same shell, before nightreel", needed.next_power_of_two().max(1024));
            findings.bad("files", words, hint);
        }
        Some(limit) => findings.good("files", format!("a process may open {limit} files; about {needed} are needed")),
        None => findings.good("files", "a process may open any number of files"),
    }
}

/// The year, which a machine without a battery gets wrong.
fn date(now: Timestamp, findings: &mut Findings) {
    let shown = now.strftime("%Y-%m-%d %H:%M UTC").to_string();
    let year = now.strftime("%Y").to_string().parse();
    if year.is_ok_and(|year: i32| YEARS.contains(&year)) {
        findings.good("date", shown);
    } else {
        let hint = "set it: timedatectl set-ntp true; until then TLS refuses every remote";
        findings.bad("date", format!("this machine's clock shows {shown}"), hint);
    }
}

#[cfg(test)]
mod tests {
    use super::super::finding::{About, Finding, Mark};
    use super::*;
    use crate::config::{Key, Layer};

    fn found(look: impl FnOnce(&mut Findings)) -> Vec<Finding> {
        let mut findings = Findings::new(About::Machine);
        look(&mut findings);
        findings.list
    }

    #[test]
    fn room_is_held_against_what_is_to_come() {
        for (free, videos, mark, expected) in [
            (
                50_000_000_000,
                600,
                Mark::Good,
                "/d: 50.0 GB free; for 600 videos, taken for 10 MB each, about 6.0 GB are needed",
            ),
            (6_500_000_000, 600, Mark::Note, "6.5 GB free"),
            (5_999_999_999, 600, Mark::Bad, "6.0 GB free"),
            (900_000_000, 1, Mark::Note, "900 MB free; for 1 video, taken for 10 MB, about 10 MB are needed"),
        ] {
            let found = found(|findings| room(Path::new("/d"), free, videos * VIDEO, videos, findings));
            assert!(found[0].mark == mark && found[0].words.contains(expected), "{found:?}");
        }
    }

    #[test]
    fn open_files_are_held_against_downloads_and_tasks() {
        let flags = [(Key::Downloads, "100"), (Key::InFlight, "50")].map(|(key, text)| (key, Some(text.to_owned())));
        let (settings, _) = Settings::examine(&[Layer::from_flags(flags)]);
        for (limit, mark) in [(Some(313), Mark::Bad), (Some(314), Mark::Good), (None, Mark::Good)] {
            assert_eq!(found(|findings| files(limit, &settings, findings))[0].mark, mark, "{limit:?}");
        }
    }

    #[test]
    fn a_clock_that_was_never_set_is_seen() {
        for (now, mark) in [("1970-01-01T00:00:09Z", Mark::Bad), ("2026-11-24T08:00:00Z", Mark::Good)] {
            assert_eq!(found(|findings| date(now.parse().unwrap(), findings))[0].mark, mark);
        }
    }

    #[test]
    fn a_file_in_the_way_of_a_folder_is_named_and_looking_leaves_nothing_behind() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("file");
        std::fs::write(&file, "").unwrap();
        let list = found(|findings| assert_eq!(writable("output", &file.join("a/b"), "x", findings), None));
        assert!(list[0].words.ends_with("file is a file, where a folder has to be"), "{list:?}");
        let list = found(|findings| {
            assert_eq!(writable("output", &folder.path().join("a/b"), "x", findings).as_deref(), Some(folder.path()));
        });
        assert!(list.is_empty());
        assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 1);
    }
}
