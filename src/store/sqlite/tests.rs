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

#[tokio::test]
async fn look_up_tables_that_were_left_out_for_many_rows_are_made_again_whatever_comes_between() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("nightreel.db");
    let schema = || -> Vec<String> {
        let raw = Connection::open(&path).unwrap();
        let ours = "SELECT sql FROM sqlite_schema WHERE sql IS NOT NULL AND name NOT LIKE 'sqlite_%' ORDER BY name";
        let mut statement = raw.prepare(ours).unwrap();
        statement.query_map([], |row| row.get(0)).unwrap().map(Result::unwrap).collect()
    };
    let store = SqliteStore::open(&path, contract::at(0)).unwrap();
    let (whole, batch) = (schema(), contract::filled(&store, "m", 2).await);
    let owner = async |store: &SqliteStore| {
        let asks = vec![(None, RowKey::of_id("r1"), contract::row("r1").output)];
        store.output_owners("/videos".into(), asks).await.unwrap()[0].as_ref().map(|owner| owner.label.clone())
    };
    store.expect_rows(10).await.unwrap();
    assert_eq!(schema(), whole, "a few rows are not worth it");
    store.expect_rows(1_000_000).await.unwrap();
    assert_eq!(whole.len() - schema().len(), 2);
    assert_eq!(store.admit(batch.id, vec![contract::row("r2")], contract::at(1)).await.unwrap(), 1);
    assert_eq!(owner(&store).await.as_deref(), Some("r1"));
    store.all_admitted().await.unwrap();
    assert_eq!(schema(), whole);
    // The same where the process ended before it came so far.
    store.expect_rows(1_000_000).await.unwrap();
    drop(store);
    let store = SqliteStore::open(&path, contract::at(0)).unwrap();
    assert_eq!(schema(), whole);
    assert_eq!(owner(&store).await.as_deref(), Some("r1"));
    assert_eq!(store.tally(None).await.unwrap().planned, 3);
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
    assert!(matches!(SqliteStore::open_to_read(&path), Err(OpenError::Older { found: 1, known: 3, .. })));
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
    let schema = |path: &Path| -> Vec<String> {
        let raw = Connection::open(path).unwrap();
        let ours = "SELECT sql FROM sqlite_schema WHERE sql IS NOT NULL AND name NOT LIKE 'sqlite_%' ORDER BY name";
        let mut statement = raw.prepare(ours).unwrap();
        statement.query_map([], |row| row.get(0)).unwrap().map(Result::unwrap).collect()
    };
    assert_eq!(schema(&path), schema(&new));
    let raw = Connection::open(&path).unwrap();
    for state in [2, 3, 4, 5, 6, 8, 9] {
        let without_attempt = format!("UPDATE jobs SET attempt = NULL, state = {state} WHERE id = 1");
        assert!(raw.execute_batch(&without_attempt).is_err(), "{state}");
    }
    raw.execute_batch("BEGIN; UPDATE jobs SET attempt = NULL, state = 7 WHERE id = 1; ROLLBACK").unwrap();
    let whole: String = raw.query_row("PRAGMA integrity_check", [], |row| row.get(0)).unwrap();
    assert_eq!(whole, "ok");
    // No list of values is left that a table would be made for with each step.
    let plan = format!("EXPLAIN {}", sql::STEP_ON);
    let mut explained = raw.prepare(&plan).unwrap();
    let nothing = rusqlite::params_from_iter(std::iter::repeat_n(None::<i64>, 13));
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
            "0003_conditions f59118a22494a16d"
        ]
    );
}
