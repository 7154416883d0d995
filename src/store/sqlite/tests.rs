//! The contract over SQLite, and what is SQLite's own: the file, its format, its lock.

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
    let next = job.apply(&event, contract::at(1)).unwrap();
    store.commit(Change { expected_version: 0, job: next, event, at: contract::at(1) }).await.unwrap();
    drop(store);
    let raw = Connection::open(&path).unwrap();
    assert!(raw.execute_batch("UPDATE events SET at = 0").is_err());
    assert!(raw.execute_batch("DELETE FROM events").is_err());
    assert!(raw.execute_batch("UPDATE jobs SET state = 12").is_err());
}

#[tokio::test]
async fn a_ledger_of_the_first_format_is_brought_up_to_date_and_goes_on() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("nightreel.db");
    let old = Connection::open(&path).unwrap();
    old.execute_batch(open::MIGRATIONS[0].1).unwrap();
    old.execute_batch(include_str!("tests/first_format.sql")).unwrap();
    old.pragma_update(None, "application_id", 0x6e72_6c31).unwrap();
    old.pragma_update(None, "user_version", 1).unwrap();
    drop(old);
    assert!(matches!(SqliteStore::open_to_read(&path), Err(OpenError::Older { found: 1, known: 2, .. })));
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
    let job = planned.jobs[0].apply(&event, contract::at(1)).unwrap();
    store.commit(Change { expected_version: 0, job, event, at: contract::at(1) }).await.unwrap();
    assert_eq!(store.tally(None).await.unwrap().submitting, 1);
}

#[test]
fn released_migrations_are_never_edited() {
    let digests: Vec<String> = open::MIGRATIONS
        .iter()
        .map(|(name, text)| format!("{name} {}", Digest::of(text.as_bytes()).short(16)))
        .collect();
    assert_eq!(digests, ["0001_ledger 395e92232c5d4bf0", "0002_accounts_and_money c57e30e52e400555"]);
}
