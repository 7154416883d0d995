//! The contract over SQLite, and what is SQLite's own: the file, its format, its lock.

mod power;

use std::sync::Arc;

use rusqlite::Connection;

use super::*;
use crate::domain::Digest;
use crate::store::contract;

#[tokio::test]
async fn the_contract_holds_in_memory_and_on_disk() {
    contract::holds_for(|| -> Arc<dyn Store> { Arc::new(SqliteStore::open_in_memory().unwrap()) }).await;
    let folder = tempfile::tempdir().unwrap();
    let number = std::cell::Cell::new(0);
    let next = || -> Arc<dyn Store> {
        number.set(number.get() + 1);
        let path = folder.path().join(format!("{}.db", number.get()));
        Arc::new(SqliteStore::open(&path, contract::at(0)).unwrap())
    };
    contract::holds_for(next).await;
}

#[tokio::test]
async fn a_ledger_is_the_same_after_it_was_closed() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("state/nightreel.db");
    let store = SqliteStore::open(&path, contract::at(0)).unwrap();
    let batch = contract::filled(&store, "m", 3).await;
    let before = store.jobs(Filter::default(), JobId(0), 10).await.unwrap();
    store.close().await.unwrap();
    assert!(matches!(store.batches().await, Err(StoreError::Closed)));
    drop(store);
    let store = SqliteStore::open(&path, contract::at(0)).unwrap();
    assert_eq!(store.jobs(Filter::default(), JobId(0), 10).await.unwrap(), before);
    assert_eq!(store.batches().await.unwrap(), [batch]);
}

#[tokio::test]
async fn one_process_works_on_a_ledger_and_others_may_read_it() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("nightreel.db");
    assert!(SqliteStore::open_to_read(&path).unwrap().is_none());
    let store = SqliteStore::open(&path, contract::at(60)).unwrap();
    contract::filled(&store, "m", 2).await;
    let link = folder.path().join("link.db");
    std::os::unix::fs::symlink(&path, &link).unwrap();
    for name in [&path, &link] {
        match SqliteStore::open(name, contract::at(61)) {
            Err(OpenError::Held { pid, since, .. }) => {
                assert_eq!((pid, since), (Some(std::process::id()), Some(contract::at(60))));
            }
            other => panic!("{other:?}"),
        }
    }
    let reader = SqliteStore::open_to_read(&path).unwrap().unwrap();
    assert_eq!(reader.tally(None).await.unwrap().rows, 2);
    let batch = reader.batches().await.unwrap()[0].id;
    let refused = reader.admit(batch, vec![contract::row("x")], contract::at(0)).await;
    assert!(matches!(refused, Err(StoreError::ReadOnly)), "{refused:?}");
}

#[test]
fn what_is_no_ledger_or_a_newer_one_is_refused_and_left_as_it_is() {
    let folder = tempfile::tempdir().unwrap();
    let text = folder.path().join("text.db");
    std::fs::write(&text, "not a database, but somebody's notes, and long enough to be one").unwrap();
    let foreign = folder.path().join("foreign.db");
    Connection::open(&foreign).unwrap().execute_batch("CREATE TABLE theirs (a)").unwrap();
    for path in [&text, &foreign] {
        let before = std::fs::read(path).unwrap();
        assert!(matches!(SqliteStore::open(path, contract::at(0)), Err(OpenError::NotALedger { .. })));
        assert_eq!(std::fs::read(path).unwrap(), before);
    }
    let newer = folder.path().join("newer.db");
    drop(SqliteStore::open(&newer, contract::at(0)).unwrap());
    Connection::open(&newer).unwrap().pragma_update(None, "user_version", 99).unwrap();
    assert!(matches!(SqliteStore::open(&newer, contract::at(0)), Err(OpenError::Newer { found: 99, .. })));
}

#[tokio::test]
async fn history_can_be_neither_changed_nor_removed() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("nightreel.db");
    let store = SqliteStore::open(&path, contract::at(0)).unwrap();
    contract::filled(&store, "m", 1).await;
    let job = store.job(JobId(1)).await.unwrap().unwrap();
    let event = contract::started(&job);
    store.commit(Change::of(&job, event, contract::at(1)).unwrap()).await.unwrap();
    drop(store);
    let raw = Connection::open(&path).unwrap();
    assert!(raw.execute_batch("UPDATE events SET at = 0").is_err());
    assert!(raw.execute_batch("DELETE FROM events").is_err());
    assert!(raw.execute_batch("UPDATE jobs SET state = 12").is_err());
}

#[tokio::test]
async fn history_is_protected_as_before_once_a_batch_was_taken_out() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("nightreel.db");
    let store = SqliteStore::open(&path, contract::at(0)).unwrap();
    let raw = Connection::open(&path).unwrap();
    let schema = || -> Vec<String> {
        let mut statement = raw.prepare("SELECT sql FROM sqlite_schema WHERE sql IS NOT NULL ORDER BY name").unwrap();
        statement.query_map([], |row| row.get(0)).unwrap().map(Result::unwrap).collect()
    };
    let before = schema();
    let batch = contract::filled(&store, "m", 0).await;
    assert_eq!(store.prune(batch.id, contract::at(1)).await.unwrap(), Some(Pruned { rows: 0, events: 0 }));
    assert_eq!(schema(), before);
    contract::filled(&store, "n", 1).await;
    let job = store.jobs(Filter::default(), JobId(0), 1).await.unwrap().remove(0);
    let event = contract::started(&job);
    store.commit(Change::of(&job, event, contract::at(1)).unwrap()).await.unwrap();
    assert!(raw.execute_batch("DELETE FROM events").is_err());
}

/// The whole schema of a ledger, as anybody finds it who opens it.
fn schema(path: &Path) -> Vec<String> {
    let raw = Connection::open(path).unwrap();
    let ours = "SELECT sql FROM sqlite_schema WHERE sql IS NOT NULL AND name NOT LIKE 'sqlite_%' ORDER BY name";
    let mut statement = raw.prepare(ours).unwrap();
    statement.query_map([], |row| row.get(0)).unwrap().map(Result::unwrap).collect()
}

fn rows(names: std::ops::Range<u32>) -> Vec<NewJob> {
    names.map(|number| contract::row(&format!("r{number}"))).collect()
}

#[tokio::test]
async fn many_rows_are_there_together_and_the_ledger_is_the_same_afterwards() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("nightreel.db");
    let store = SqliteStore::open(&path, contract::at(0)).unwrap();
    let whole = schema(&path);
    let reader = SqliteStore::open_to_read(&path).unwrap().unwrap();
    let seen = async || reader.tally(None).await.unwrap().rows;
    // Into an empty batch, and into one that has rows, two of which are admitted again.
    for (batch, named, added) in [("m", 0..50, 50), ("m", 48..90, 40), ("n", 0..60, 60)] {
        let batch = contract::filled(&store, batch, 0).await;
        let before = seen().await;
        store.expect_rows(batch.id, 1_000_000).await.unwrap();
        assert_eq!(store.admit(batch.id, rows(named), contract::at(1)).await.unwrap(), added);
        assert_eq!((seen().await, schema(&path)), (before, whole.clone()));
        // Whoever only looks, as stages do all the time, sees them and leaves them alone.
        assert_eq!(store.tally(None).await.unwrap().rows, before + added);
        let due = store.take_due(StateCode::Waiting, contract::account(), contract::at(9), 5).await.unwrap();
        assert!(due.jobs.is_empty() && store.take_ready(contract::at(9), 5).await.unwrap().jobs.is_empty());
        assert_eq!((seen().await, schema(&path)), (before, whole.clone()));
        let of_the_last = vec![(None, RowKey::of_id("x"), contract::row("r49").output)];
        assert!(store.output_owners("/videos".into(), of_the_last).await.unwrap()[0].is_some());
        store.all_admitted().await.unwrap();
        assert_eq!((seen().await, schema(&path)), (before + added, whole.clone()));
    }
    // A few are not worth it.
    let batch = contract::filled(&store, "few", 0).await;
    store.expect_rows(batch.id, 10).await.unwrap();
    store.admit(batch.id, rows(0..3), contract::at(1)).await.unwrap();
    assert_eq!(seen().await, 153);
    store.all_admitted().await.unwrap();
    let groups: u64 = store.groups(None).await.unwrap().iter().map(|group| group.jobs).sum();
    assert_eq!(groups, 153);
}

#[tokio::test]
async fn a_row_among_many_is_kept_as_one_that_is_admitted_by_itself() {
    let folder = tempfile::tempdir().unwrap();
    let mut kept = Vec::new();
    for (name, expected) in [("alone.db", 3), ("many.db", 1_000_000)] {
        let store = SqliteStore::open(&folder.path().join(name), contract::at(0)).unwrap();
        let batch = contract::filled(&store, "m", 0).await;
        let mut given = rows(0..70);
        for (row, number) in given.iter_mut().zip(0..) {
            row.columns = format!("{{\"guest\":\"number {number}\"}}");
            row.effect.scene = ["squish", "hug"][number % 2].into();
            row.account = (number % 3 == 0).then(contract::account);
        }
        store.expect_rows(batch.id, expected).await.unwrap();
        assert_eq!(store.admit(batch.id, given, contract::at(1)).await.unwrap(), 70);
        store.all_admitted().await.unwrap();
        let mut jobs = Vec::new();
        for id in 1..=71 {
            jobs.push(store.job(JobId(id)).await.unwrap());
        }
        assert_eq!(jobs.iter().flatten().count(), 70);
        kept.push((jobs, store.groups(None).await.unwrap()));
    }
    assert_eq!(kept[0], kept[1]);
}

#[tokio::test]
async fn whatever_else_is_asked_while_many_rows_are_admitted_commits_them_first() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("nightreel.db");
    let store = SqliteStore::open(&path, contract::at(0)).unwrap();
    let whole = schema(&path);
    let reader = SqliteStore::open_to_read(&path).unwrap().unwrap();
    let begun = async |batch: &str| {
        let batch = contract::filled(&store, batch, 0).await;
        store.expect_rows(batch.id, 1_000_000).await.unwrap();
        store.admit(batch.id, rows(0..3), contract::at(1)).await.unwrap();
        batch.id
    };
    begun("changed").await;
    let job = store.job(JobId(1)).await.unwrap().unwrap();
    store.commit(Change::of(&job, contract::started(&job), contract::at(2)).unwrap()).await.unwrap();
    assert_eq!((reader.tally(None).await.unwrap().rows, schema(&path)), (3, whole.clone()));
    let batch = begun("noted").await;
    let end = RunEnd { batch: Some(batch), at: contract::at(3), exit_code: 0, submitted: 0, notes: Vec::new() };
    store.note_run(end).await.unwrap();
    assert_eq!((reader.tally(None).await.unwrap().rows, schema(&path)), (6, whole.clone()));
    // Rows that come after it are admitted as ever.
    store.admit(batch, rows(3..5), contract::at(1)).await.unwrap();
    store.all_admitted().await.unwrap();
    begun("closed").await;
    store.close().await.unwrap();
    assert_eq!((reader.tally(None).await.unwrap().rows, schema(&path)), (11, whole));
}

#[tokio::test]
async fn a_row_that_is_admitted_twice_among_many_leaves_none_of_them() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("nightreel.db");
    let store = SqliteStore::open(&path, contract::at(0)).unwrap();
    let (whole, batch) = (schema(&path), contract::filled(&store, "m", 0).await);
    store.expect_rows(batch.id, 1_000_000).await.unwrap();
    store.admit(batch.id, rows(0..3), contract::at(1)).await.unwrap();
    store.admit(batch.id, rows(2..4), contract::at(1)).await.unwrap();
    let refused = store.all_admitted().await.unwrap_err();
    assert!(matches!(&refused, StoreError::Engine(why) if why.to_string().contains("twice")), "{refused:?}");
    assert_eq!((store.tally(None).await.unwrap().rows, schema(&path)), (0, whole));
    // And it goes on.
    store.all_admitted().await.unwrap();
    assert_eq!(store.admit(batch.id, rows(0..3), contract::at(1)).await.unwrap(), 3);
    assert_eq!(store.tally(None).await.unwrap().rows, 3);
}

#[tokio::test]
async fn a_change_that_the_engine_refuses_fails_alone() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("nightreel.db");
    let store = Arc::new(SqliteStore::open(&path, contract::at(0)).unwrap());
    contract::filled(store.as_ref(), "m", 40).await;
    let raw = Connection::open(&path).unwrap();
    raw.execute_batch(
        "CREATE TRIGGER broken BEFORE INSERT ON events WHEN NEW.job IN (7, 31) BEGIN SELECT RAISE(ABORT, 'broken'); END",
    )
    .unwrap();
    let jobs = store.jobs(Filter::default(), JobId(0), 100).await.unwrap();
    let commit = |job: &Job| store.commit(Change::of(job, contract::started(job), contract::at(1)).unwrap());
    let done = futures::future::join_all(jobs.iter().map(commit)).await;
    let failed: Vec<i64> = jobs.iter().zip(&done).filter(|(_, done)| done.is_err()).map(|(job, _)| job.id.0).collect();
    assert_eq!(failed, [7, 31]);
    let tally = store.tally(None).await.unwrap();
    assert_eq!((tally.submitting, tally.planned, tally.submissions), (38, 2, 38));
    let events: i64 = raw.query_row("SELECT count(*) FROM events", [], |row| row.get(0)).unwrap();
    assert_eq!(events, 38);
    assert_eq!(store.spent(None).await.unwrap().iter().map(|spent| spent.requests).sum::<u64>(), 38);
    // A job that was changed meanwhile is told so, and the others are changed.
    let all = store.jobs(Filter::default(), JobId(0), 100).await.unwrap();
    assert!(matches!(commit(&jobs[0]).await, Err(StoreError::Conflict { .. })));
    assert_eq!(store.jobs(Filter::default(), JobId(0), 100).await.unwrap(), all);
}

#[tokio::test]
async fn rows_are_known_in_any_order_and_beside_those_of_other_batches() {
    let store = SqliteStore::open_in_memory().unwrap();
    let batch = contract::filled(&store, "m", 6).await;
    let other = contract::filled(&store, "n", 3).await;
    let more = (6..9).map(|number| contract::row(&format!("r{number}"))).collect();
    store.admit(batch.id, more, contract::at(0)).await.unwrap();
    let known = async |batch: &Batch, names: &[&str]| {
        let keys = names.iter().map(|name| RowKey::of_id(name)).collect();
        let known = store.known(batch.id, keys).await.unwrap();
        known.into_iter().map(|known| known.map(|known| known.job.0)).collect::<Vec<_>>()
    };
    let in_order = ["r0", "r1", "r2", "r3", "r4", "r5", "r6", "r7", "r8"];
    let numbers = [1, 2, 3, 4, 5, 6, 10, 11, 12].map(Some);
    assert_eq!(known(&batch, &in_order).await, numbers);
    assert_eq!(known(&other, &in_order[..4]).await, [Some(7), Some(8), Some(9), None]);
    let mixed = ["r8", "new", "r1", "r2", "r2", "r0", "gone", "r7"];
    assert_eq!(known(&batch, &mixed).await, [Some(12), None, Some(2), Some(3), Some(3), Some(1), None, Some(11)]);
    assert_eq!(known(&batch, &[]).await, []);
}

#[tokio::test]
async fn a_copy_is_whole_and_takes_the_place_of_no_ledger_that_knows_a_batch() {
    let folder = tempfile::tempdir().unwrap();
    let name = |name: &str| folder.path().join(name);
    let (path, copy, there) = (name("nightreel.db"), name("copy.db"), name("there/nightreel.db"));
    let store = SqliteStore::open(&path, contract::at(0)).unwrap();
    let batch = contract::filled(&store, "m", 3).await;
    // Beside whoever works on it.
    let copied = SqliteStore::export(&path, &copy).unwrap();
    assert_eq!((copied.rows, copied.batches), (3, 1));
    assert_eq!(copied.sha256, Digest::of(&std::fs::read(&copy).unwrap()));
    assert!(matches!(SqliteStore::export(&path, &copy), Err(CopyError::Exists { .. })));
    let moves = vec![("/videos".into(), "/elsewhere/videos".into())];
    SqliteStore::import(&copy, &there, &moves, contract::at(0)).unwrap();
    let other = SqliteStore::open(&there, contract::at(0)).unwrap();
    assert_eq!(other.batches().await.unwrap(), [Batch { out: "/elsewhere/videos".into(), ..batch }]);
    let (ours, theirs) =
        (store.jobs(Filter::default(), JobId(0), 9).await, other.jobs(Filter::default(), JobId(0), 9).await);
    assert_eq!(ours.unwrap(), theirs.unwrap());
    // In use, then with rows, then a log without its ledger: nothing is replaced.
    let again = || SqliteStore::import(&copy, &there, &Vec::new(), contract::at(0));
    assert!(matches!(again(), Err(CopyError::Open(OpenError::Held { .. }))));
    drop(other);
    assert!(matches!(again(), Err(CopyError::HasRows { rows: 3, batches: 1, .. })));
    std::fs::remove_file(&there).unwrap();
    std::fs::write(name("there/nightreel.db-wal"), "the last that is left").unwrap();
    assert!(matches!(again(), Err(CopyError::LeftOver { .. })));
    std::fs::remove_file(name("there/nightreel.db-wal")).unwrap();
    drop(SqliteStore::open(&there, contract::at(0)).unwrap());
    again().unwrap();
    let left: Vec<_> = std::fs::read_dir(name("there")).unwrap().map(|file| file.unwrap().file_name()).collect();
    assert!(!left.iter().any(|file| file.to_string_lossy().contains(".part")), "{left:?}");
    // A log with nothing in it is none.
    std::fs::remove_file(&there).unwrap();
    std::fs::write(name("there/nightreel.db-wal"), "").unwrap();
    again().unwrap();
}

#[test]
fn unused_room_is_given_back_to_the_disk_where_it_is_a_quarter() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("nightreel.db");
    drop(SqliteStore::open(&path, contract::at(0)).unwrap());
    assert!(!SqliteStore::compact(&path, contract::at(1)).unwrap());
    let conn = Connection::open(&path).unwrap();
    conn.execute_batch("CREATE TABLE filler (b); INSERT INTO filler VALUES (zeroblob(100000)); DROP TABLE filler")
        .unwrap();
    conn.close().unwrap();
    let before = std::fs::metadata(&path).unwrap().len();
    assert!(SqliteStore::compact(&path, contract::at(2)).unwrap());
    let after = std::fs::metadata(&path).unwrap().len();
    assert!(after + 100_000 <= before, "{before} became {after}");
    assert!(!SqliteStore::compact(&path, contract::at(3)).unwrap());
}

#[test]
fn what_is_no_ledger_a_newer_one_or_a_damaged_one_is_not_put_in_place() {
    let folder = tempfile::tempdir().unwrap();
    let name = |name: &str| folder.path().join(name);
    let import = |from: &str| SqliteStore::import(&name(from), &name("place/n.db"), &Vec::new(), contract::at(0));
    std::fs::write(name("text.db"), "not a database, but somebody's notes, and long enough to be one").unwrap();
    std::fs::write(name("empty.db"), "").unwrap();
    for from in ["text.db", "empty.db"] {
        assert!(matches!(import(from), Err(CopyError::Open(OpenError::NotALedger { .. }))), "{from}");
    }
    drop(SqliteStore::open(&name("newer.db"), contract::at(0)).unwrap());
    Connection::open(name("newer.db")).unwrap().pragma_update(None, "user_version", 99).unwrap();
    assert!(matches!(import("newer.db"), Err(CopyError::Open(OpenError::Newer { found: 99, .. }))));
    // Bytes of a page that holds rows.
    drop(SqliteStore::open(&name("whole.db"), contract::at(0)).unwrap());
    SqliteStore::export(&name("whole.db"), &name("torn.db")).unwrap();
    let mut bytes = std::fs::read(name("torn.db")).unwrap();
    let (from, to) = (4096, bytes.len() - 4096);
    bytes[from..to].fill(0x5e);
    std::fs::write(name("torn.db"), bytes).unwrap();
    assert!(matches!(import("torn.db"), Err(CopyError::Damaged { .. } | CopyError::Open(OpenError::Damaged { .. }))));
    assert!(!name("place").exists());
}

/// A ledger as the first format had it.
fn first_format(path: &Path) {
    let old = Connection::open(path).unwrap();
    old.execute_batch(open::MIGRATIONS[0].1).unwrap();
    old.execute_batch(include_str!("tests/first_format.sql")).unwrap();
    old.pragma_update(None, "application_id", 0x6e72_6c31).unwrap();
    old.pragma_update(None, "user_version", 1).unwrap();
}

#[tokio::test]
async fn a_ledger_of_the_first_format_is_brought_up_to_date_and_goes_on() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("nightreel.db");
    first_format(&path);
    assert!(matches!(SqliteStore::open_to_read(&path), Err(OpenError::Older { found: 1, known: 4, .. })));
    let store = SqliteStore::open(&path, contract::at(0)).unwrap();
    let tally = store.tally(None).await.unwrap();
    assert_eq!((tally.planned, tally.waiting, tally.done, tally.submissions), (1, 1, 1, 2));
    let spent = store.spent(None).await.unwrap();
    assert_eq!(spent.len(), 1);
    assert_eq!((spent[0].account.as_str(), &spent[0].price, spent[0].requests), ("kling", &None, 2));
    let scenes: Vec<String> = store.groups(None).await.unwrap().into_iter().map(|group| group.scene).collect();
    assert_eq!(scenes, ["hug_pro", "squish", "squish"]);
    let account = contract::account();
    let waiting = store.take_due(StateCode::Waiting, account.clone(), contract::at(9_999_999_999), 5).await.unwrap();
    assert_eq!(waiting.jobs[0].task().unwrap().as_str(), "867283741759111202");
    let wanted = Wanted { account, batch: None, closed: Vec::new() };
    let planned = store.take_planned(wanted, contract::at(9_999_999_999), 5).await.unwrap();
    assert_eq!((planned.jobs.len(), planned.jobs[0].label.as_str()), (1, "bert"));
    let event = contract::started(&planned.jobs[0]);
    store.commit(Change::of(&planned.jobs[0], event, contract::at(1)).unwrap()).await.unwrap();
    assert_eq!(store.tally(None).await.unwrap().submitting, 1);
    // It is the same as one that was made today, and refuses what that one refuses.
    let new = folder.path().join("new.db");
    drop(SqliteStore::open(&new, contract::at(0)).unwrap());
    assert_eq!(schema(&path), schema(&new));
    let raw = Connection::open(&path).unwrap();
    for state in [2, 3, 4, 5, 6, 8, 9] {
        let without_attempt = format!("UPDATE jobs SET attempt = NULL, state = {state} WHERE id = 1");
        assert!(raw.execute_batch(&without_attempt).is_err(), "{state}");
    }
    raw.execute_batch("BEGIN; UPDATE jobs SET attempt = NULL, state = 7 WHERE id = 1; ROLLBACK").unwrap();
    let read_as_written =
        "SELECT group_concat(scene || ' ' || ifnull(started_at, '-')) FROM jobs WHERE id < 4 ORDER BY id";
    let read: String = raw.query_row(read_as_written, [], |row| row.get(0)).unwrap();
    assert!(read.starts_with("squish 1795549440945,hug_pro 1795549441956,squish "), "{read}");
    let whole: String = raw.query_row("PRAGMA integrity_check", [], |row| row.get(0)).unwrap();
    assert_eq!(whole, "ok");
    // No list of values is left that a table would be made for with each step.
    let plan = format!("EXPLAIN {}", sql::STEP_ON);
    let mut explained = raw.prepare(&plan).unwrap();
    let nothing = rusqlite::params_from_iter(std::iter::repeat_n(None::<i64>, 14));
    let steps = explained.query_map(nothing, |row| row.get::<_, String>(1)).unwrap();
    assert!(steps.map(Result::unwrap).all(|step| step != "OpenEphemeral"));
}

#[test]
fn released_migrations_are_never_edited() {
    let digests: Vec<String> = open::MIGRATIONS
        .iter()
        .map(|(name, text)| format!("{name} {}", Digest::of(text.as_bytes()).short(16)))
        .collect();
    assert_eq!(
        digests,
        [
            "0001_ledger 395e92232c5d4bf0",
            "0002_accounts_and_money c57e30e52e400555",
            "0003_conditions f59118a22494a16d",
            "0004_read_as_written 7328589df9d2d2da"
        ]
    );
}
