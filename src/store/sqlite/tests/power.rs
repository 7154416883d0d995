//! The current goes. What was synced before is on the disk; of what was written since, anything may be, in pieces. A ledger
//! is copied with its log cut off at every frame, and within frames, and garbled behind: what was answered must be there, and
//! whatever else is there must be whole.

use std::fs;

use super::*;
use crate::domain::Tally;
use crate::ledger::Ledger;
use crate::pace::Clock;

/// What stands before the frames of a write-ahead log, and what before the page of each.
const HEAD: usize = 32;
const FRAME_HEAD: usize = 24;

/// A folder, in memory where there is room: what is synced is told by hand here.
fn in_memory() -> tempfile::TempDir {
    let memory = Path::new("/dev/shm");
    if memory.is_dir() { tempfile::tempdir_in(memory) } else { tempfile::tempdir() }.unwrap()
}

/// The file and its log, as they would be found.
fn laid_down(folder: &Path, number: usize, file: &[u8], log: &[u8]) -> PathBuf {
    let path = folder.join(format!("{number}.db"));
    fs::write(&path, file).unwrap();
    fs::write(folder.join(format!("{number}.db-wal")), log).unwrap();
    path
}

fn frames(log: &[u8]) -> impl Iterator<Item = usize> {
    let page = u32::from_be_bytes(log[8..12].try_into().unwrap()) as usize;
    (HEAD..=log.len()).step_by(FRAME_HEAD + page)
}

/// How many events a ledger has, once its projection and its counts are found to be what they say.
async fn is_whole(store: &SqliteStore, admitted: &[Job]) -> usize {
    let (mut events, mut tally) = (0, Tally::default());
    for before in admitted {
        let history = store.history(before.id).await.unwrap();
        events += history.len();
        let replayed = history.iter().fold(before.clone(), |job, line| job.apply(&line.event, line.at).unwrap());
        assert_eq!(store.job(before.id).await.unwrap(), Some(replayed.clone()));
        tally.add(replayed.state.code(), 1, u64::from(replayed.submissions));
    }
    assert_eq!(store.tally(None).await.unwrap(), tally);
    let spent: u64 = store.spent(None).await.unwrap().iter().map(|spent| spent.requests).sum();
    assert_eq!(spent, tally.submissions);
    events
}

#[test]
fn what_is_answered_is_synced() {
    let folder = tempfile::tempdir().unwrap();
    let path = open::create(&folder.path().join("nightreel.db")).unwrap();
    let conn = open::to_write(&path).unwrap();
    let synchronous: i64 = conn.pragma_query_value(None, "synchronous", |row| row.get(0)).unwrap();
    let mode: String = conn.pragma_query_value(None, "journal_mode", |row| row.get(0)).unwrap();
    assert_eq!((synchronous, mode.as_str()), (2, "wal"), "2 is FULL: the log is synced with each commit");
}

#[tokio::test]
async fn wherever_the_log_is_cut_off_what_was_answered_is_there_and_the_rest_is_whole() {
    let folder = in_memory();
    let path = folder.path().join("nightreel.db");
    let log = folder.path().join("nightreel.db-wal");
    drop(SqliteStore::open(&path, contract::at(0)).unwrap());
    let store: Arc<dyn Store> = Arc::new(SqliteStore::open(&path, contract::at(0)).unwrap());
    contract::filled(store.as_ref(), "m", 5).await;
    let admitted = store.jobs(Filter::default(), JobId(0), 10).await.unwrap();
    let ledger = Ledger::new(Arc::clone(&store), Clock::system());
    let mut dice = fastrand::Rng::with_seed(5);
    let mut jobs = admitted.clone();
    // How long the log was when so many events had been answered.
    let mut answered = vec![(fs::metadata(&log).unwrap().len(), 0_usize)];
    for events in 1..=40 {
        let which = dice.usize(0..jobs.len());
        jobs[which] = ledger.record(&jobs[which], contract::some_event(&jobs[which], &mut dice)).await.unwrap();
        answered.push((fs::metadata(&log).unwrap().len(), events));
    }
    let (file_bytes, log_bytes) = (fs::read(&path).unwrap(), fs::read(&log).unwrap());
    let least = |cut: usize| answered.iter().filter(|(len, _)| *len <= cut as u64).map(|(_, events)| *events).max();
    let mut number = 0;
    for at in frames(&log_bytes) {
        for (cut, garbled) in [(at, false), (at + 11, false), (at + 900, true)] {
            let mut rest = log_bytes[..cut.min(log_bytes.len())].to_vec();
            if garbled {
                rest.extend(std::iter::repeat_with(|| dice.u8(..)).take(5000));
            }
            number += 1;
            // Before the rows were admitted there is nothing to hold anything against.
            let Some(least) = least(cut.min(log_bytes.len())) else { continue };
            let found = laid_down(folder.path(), number, &file_bytes, &rest);
            let store = SqliteStore::open(&found, contract::at(0)).unwrap();
            let events = is_whole(&store, &admitted).await;
            assert!(events >= least, "{events} events of {least} that were answered, cut off at {cut}");
        }
    }
    assert!(number > 300, "{number}");
    // The current goes while the log is folded into the file: any of its pages may be old or new, and the log is there.
    drop((ledger, store));
    let whole = laid_down(folder.path(), 0, &file_bytes, &log_bytes);
    // The last connection that is closed folds the log in.
    Connection::open(&whole).unwrap().execute_batch("SELECT * FROM jobs").unwrap();
    let new = fs::read(&whole).unwrap();
    assert_ne!(new, file_bytes);
    for round in 0..20 {
        let mut torn = new.clone();
        for (place, page) in torn.chunks_mut(4096).enumerate() {
            if dice.bool() {
                match file_bytes.get(place * 4096..(place + 1) * 4096) {
                    Some(old) => page.copy_from_slice(old),
                    None => page.fill(0),
                }
            }
        }
        let found = laid_down(folder.path(), 1_000_000 + round, &torn, &log_bytes);
        let store = SqliteStore::open(&found, contract::at(0)).unwrap();
        assert_eq!(is_whole(&store, &admitted).await, 40);
    }
}

#[tokio::test]
async fn wherever_a_migration_is_cut_off_the_next_run_brings_it_to_its_end() {
    let folder = in_memory();
    let path = folder.path().join("old.db");
    first_format(&path);
    let conn = Connection::open(&path).unwrap();
    conn.pragma_update(None, "journal_mode", "wal").unwrap();
    drop(conn);
    let old = fs::read(&path).unwrap();
    let conn = open::to_write(&path).unwrap();
    let log = fs::read(folder.path().join("old.db-wal")).unwrap();
    assert_eq!(fs::read(&path).unwrap(), old, "all of it is in the log");
    drop(conn);
    let newest = i64::try_from(open::MIGRATIONS.len()).unwrap();
    let mut found = std::collections::BTreeSet::new();
    for (number, at) in frames(&log).enumerate() {
        for (more, cut) in [at, (at + 1700).min(log.len())].into_iter().enumerate() {
            let path = laid_down(folder.path(), number * 2 + more, &old, &log[..cut]);
            let raw = Connection::open(&path).unwrap();
            found.insert(raw.pragma_query_value(None, "user_version", |row| row.get::<_, i64>(0)).unwrap());
            drop(raw);
            fs::write(folder.path().join(format!("{}.db-wal", number * 2 + more)), &log[..cut]).unwrap();
            fs::write(&path, &old).unwrap();
            let store = SqliteStore::open(&path, contract::at(0)).unwrap();
            let tally = store.tally(None).await.unwrap();
            assert_eq!((tally.planned, tally.waiting, tally.done, tally.submissions), (1, 1, 1, 2), "cut off at {cut}");
            drop(store);
            let raw = Connection::open(&path).unwrap();
            assert_eq!(raw.pragma_query_value(None, "user_version", |row| row.get::<_, i64>(0)).unwrap(), newest);
            let whole: String = raw.query_row("PRAGMA integrity_check", [], |row| row.get(0)).unwrap();
            assert_eq!(whole, "ok");
        }
    }
    assert_eq!(found.into_iter().collect::<Vec<_>>(), (1..=newest).collect::<Vec<_>>(), "each format was met");
}

#[tokio::test]
async fn a_look_up_table_that_does_not_go_with_its_rows_is_found_when_the_ledger_is_opened() {
    let folder = in_memory();
    let path = folder.path().join("nightreel.db");
    let store = SqliteStore::open(&path, contract::at(0)).unwrap();
    contract::filled(&store, "m", 3).await;
    let key = crate::domain::RowKey::of_id("r1");
    drop(store);
    let mut bytes = fs::read(&path).unwrap();
    let places: Vec<usize> = (0..bytes.len() - 16).filter(|at| bytes[*at..*at + 16] == *key.as_bytes()).collect();
    assert_eq!(places.len(), 2, "it stands in its row and in the table of keys");
    for place in places {
        bytes[place + 3] ^= 1;
        fs::write(&path, &bytes).unwrap();
        let opened = SqliteStore::open(&path, contract::at(1));
        assert!(matches!(opened, Err(OpenError::Damaged { .. })), "{opened:?}");
        bytes[place + 3] ^= 1;
    }
    fs::write(&path, &bytes).unwrap();
    drop(SqliteStore::open(&path, contract::at(2)).unwrap());
}
