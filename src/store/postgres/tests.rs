//! The contract over PostgreSQL, and what is PostgreSQL's own: many processes, leases, answers that were lost, its format.

#[path = "../../../tests/cluster/server.rs"]
mod server;

use std::io::{Read, Write};
use std::os::unix::net::{UnixListener, UnixStream};

use futures::future::join_all;

use super::*;
use crate::domain::{JobEvent, TaskId};
use crate::store::contract::{self, account, at, row, started};
use crate::store::{Claim, Room, Weighed, Weight};
use server::Server;

async fn open(address: &str) -> PostgresStore {
    PostgresStore::open(Path::new(address), None, Clock::system()).await.unwrap()
}

/// With the account that the contract's jobs are sent by.
async fn with_account(address: &str) -> PostgresStore {
    let store = open(address).await;
    let (gateway, base_url) = ("kling".to_owned(), String::new());
    store.open_account(Account { name: account(), gateway, base_url, last_submit_at: None }).await.unwrap();
    store
}

fn anything() -> Wanted {
    Wanted { account: account(), batch: None, closed: Vec::new() }
}

fn room(most: usize) -> Room {
    Room { accounts: vec![account()], most }
}

fn step(job: &Job, event: JobEvent) -> Change {
    Change::of(job, event, at(2)).unwrap()
}

fn accepted(job: &Job) -> JobEvent {
    JobEvent::Accepted { task: TaskId::new(format!("t{}", job.id)).unwrap(), request_id: None, handle: None }
}

/// What a process that is killed leaves: its leases, and nobody who puts them off.
fn die(store: PostgresStore) {
    drop(store);
}

#[tokio::test(flavor = "multi_thread")]
async fn the_contract_holds() {
    let server = Server::start();
    let number = AtomicUsize::new(0);
    let fresh = || -> Arc<dyn Store> {
        let address = server.database(&format!("c{}", number.fetch_add(1, Ordering::SeqCst)));
        let opened = async { Arc::new(open(&address).await) };
        tokio::task::block_in_place(|| tokio::runtime::Handle::current().block_on(opened))
    };
    contract::holds_for(fresh).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_ledger_is_made_once_and_a_newer_or_foreign_one_is_left_alone() {
    let server = Server::start();
    let address = server.database("m");
    let reader = async || PostgresStore::open_to_read(Path::new(&address), None, Clock::system()).await;
    assert!(reader().await.unwrap().is_none(), "looking makes nothing");
    let stores = join_all((0..8).map(|_| open(&address))).await;
    assert_eq!(server.sql("m", "SELECT count(*), max(number) FROM nightreel.migrations"), "1|1\n");
    let batch = contract::filled(&stores[0], "m", 2).await;
    let refused = reader().await.unwrap().unwrap().admit(batch.id, vec![row("x")], at(0)).await;
    assert!(matches!(refused, Err(StoreError::ReadOnly)), "{refused:?}");
    let job = stores[0].job(JobId(1)).await.unwrap().unwrap();
    stores[0].commit(step(&job, started(&job))).await.unwrap();
    for change in ["UPDATE nightreel.events SET at = 0", "DELETE FROM nightreel.events", "TRUNCATE nightreel.events"] {
        assert_eq!(server.sql_or_none("m", change), None, "history is never changed: {change}");
    }
    server.sql("m", "INSERT INTO nightreel.migrations (number, name, digest) VALUES (99, 'later', '')");
    let newer = PostgresStore::open(Path::new(&address), None, Clock::system()).await;
    assert!(matches!(newer, Err(OpenError::Newer { found: 99, .. })), "{newer:?}");
    assert!(matches!(reader().await, Err(OpenError::Newer { .. })));
    let foreign = server.database("f");
    server.sql("f", "CREATE SCHEMA nightreel; CREATE TABLE nightreel.theirs (a int)");
    let foreign = PostgresStore::open(Path::new(&foreign), None, Clock::system()).await;
    assert!(matches!(foreign, Err(OpenError::NotALedger { .. })), "{foreign:?}");
    let nowhere = PostgresStore::open_to_read(Path::new(&server.address("nobody", "m")), None, Clock::system()).await;
    assert!(matches!(nowhere, Err(OpenError::Refused { .. })), "{nowhere:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn many_admit_and_take_at_once_and_no_job_has_two_owners() {
    let server = Server::start();
    let address = server.database("m");
    let stores = join_all((0..4).map(|_| with_account(&address))).await;
    let batch = contract::filled(&stores[0], "m", 0).await;
    let rows = || (0..300).map(|number| row(&format!("r{number}"))).collect::<Vec<_>>();
    let added = join_all(stores.iter().map(|store| store.admit(batch.id, rows(), at(0)))).await;
    assert_eq!(added.into_iter().map(Result::unwrap).sum::<u64>(), 300);
    assert_eq!(stores[1].tally(None).await.unwrap().planned, 300);
    // The slots are never passed, however many ask at once.
    let claims = join_all((0..40).map(|n| stores[n % 4].claim(anything(), room(7), at(1), 1))).await;
    let mut jobs: Vec<i64> = claims
        .into_iter()
        .filter_map(|claim| if let Claim::Jobs(jobs) = claim.unwrap() { Some(jobs[0].id.0) } else { None })
        .collect();
    jobs.sort_unstable();
    jobs.dedup();
    assert_eq!(jobs.len(), 7);
    assert!(matches!(stores[2].claim(anything(), room(7), at(1), 1).await.unwrap(), Claim::Full));
    let claimed = stores[3].claimed(vec![account()]).await.unwrap();
    assert_eq!(claimed.iter().map(|group| group.jobs).sum::<u64>(), 7);
    // One that is put down makes room for one.
    for store in &stores {
        store.release(JobId(jobs[0]));
    }
    let again = join_all(stores.iter().map(|store| store.claim(anything(), room(7), at(1), 1))).await;
    let again = again.into_iter().filter(|claim| matches!(claim, Ok(Claim::Jobs(_)))).count();
    assert_eq!(again, 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_budget_and_a_pace_are_kept_together() {
    let server = Server::start();
    let address = server.database("m");
    let stores = join_all((0..3).map(|_| with_account(&address))).await;
    let batch = contract::filled(&stores[0], "m", 9).await;
    let weighed = Weighed {
        price: "0.28".parse().unwrap(),
        batch: Some(batch.id),
        most: "1.20".parse().unwrap(),
        typical: "0.28".parse().unwrap(),
    };
    let mut sent = 0;
    let mut not_now = 0;
    for n in 0..9 {
        let store = &stores[n % 3];
        let Claim::Jobs(jobs) = store.claim(anything(), room(100), at(1), 1).await.unwrap() else {
            panic!("nothing is due")
        };
        let job = &jobs[0];
        match store.afford(job.id, weighed).await.unwrap() {
            Weight::Affordable => {
                sent += 1;
                if sent == 2 {
                    store.commit(step(job, started(job))).await.unwrap();
                }
            }
            Weight::NotNow => not_now += 1,
            Weight::TooDear => panic!("little is paid yet"),
        }
    }
    assert_eq!((sent, not_now), (4, 5), "four requests of 0.28 go into 1.20, one of them paid");
    let paid = stores[1].spent(None).await.unwrap();
    assert_eq!(paid.iter().map(|spent| spent.requests).sum::<u64>(), 1);
    let second = Duration::from_secs(1);
    let mut places = Vec::new();
    for _ in 0..3 {
        places.extend(join_all(stores.iter().map(|store| store.reserve(account(), second, 2))).await);
    }
    let mut places: Vec<i64> = places.into_iter().map(|place| place.unwrap().first.as_microsecond()).collect();
    places.sort_unstable();
    let begun = places[0];
    let places: Vec<i64> = places.into_iter().map(|place| place - begun).collect();
    assert_eq!(places, (0..9).map(|n| n * 2_000_000).collect::<Vec<_>>(), "each two seconds after the one before");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_the_dead_had_taken_comes_back_and_their_late_words_change_nothing() {
    let server = Server::start();
    let address = server.database("m");
    let (dead, alive) = (with_account(&address).await, with_account(&address).await);
    contract::filled(&dead, "m", 3).await;
    let mut jobs = Vec::new();
    for _ in 0..3 {
        let Claim::Jobs(claimed) = dead.claim(anything(), room(3), at(1), 1).await.unwrap() else {
            panic!("nothing is due")
        };
        jobs.extend(claimed);
    }
    for job in &jobs[..2] {
        dead.commit(step(job, started(job))).await.unwrap();
    }
    let sent = dead.job(jobs[0].id).await.unwrap().unwrap();
    let waiting = step(&sent, accepted(&sent));
    dead.commit(waiting.clone()).await.unwrap();
    let watched = dead.take_due(StateCode::Waiting, account(), at(9), 5).await.unwrap().jobs.remove(0);
    let takes = async |state| alive.take_due(state, account(), at(9), 5).await.unwrap().jobs;
    assert!(takes(StateCode::Waiting).await.is_empty() && takes(StateCode::Submitting).await.is_empty());
    assert!(alive.take_planned(anything(), at(9), 5).await.unwrap().jobs.is_empty());
    // It is as if it had said nothing for long: nobody has to wait for that here.
    let give_up = "SET search_path = nightreel; UPDATE workers SET expires_at = '-infinity' WHERE id = 1;
        SELECT give_up('0 seconds')";
    let freed = server.sql("m", give_up);
    assert_eq!(freed, "3\n");
    assert_eq!(takes(StateCode::Submitting).await.len(), 1, "in doubt, and never simply planned");
    assert_eq!(takes(StateCode::Waiting).await.len(), 1);
    // An intent whose claim is over must not be made: its slot may be another's.
    let late = dead.commit(step(&jobs[2], started(&jobs[2]))).await;
    assert!(matches!(late, Err(StoreError::Conflict { .. })), "{late:?}");
    let late = dead.commit(step(&watched, JobEvent::GaveUp { words: "late".into() })).await;
    assert!(matches!(late, Err(StoreError::Conflict { .. })), "{late:?}");
    assert_eq!(alive.take_planned(anything(), at(9), 5).await.unwrap().jobs.len(), 1);
    // It begins anew, and works like any other.
    let fresh = contract::filled(&dead, "n", 1).await;
    let wanted = Wanted { batch: Some(fresh.id), ..anything() };
    assert!(matches!(dead.claim(wanted, room(9), at(1), 1).await.unwrap(), Claim::Jobs(_)));
    die(dead);
    alive.close().await.unwrap();
    assert_eq!(server.sql("m", "SELECT count(*) FROM nightreel.workers"), "1\n", "who leaves takes its leases along");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_taking_that_a_crash_forgot_is_nobodys_and_no_slot_is_passed_by_it() {
    let server = Server::start();
    let address = server.database("m");
    let (store, other) = (with_account(&address).await, with_account(&address).await);
    contract::filled(&store, "m", 9).await;
    let claim = async |store: &PostgresStore, most| match store.claim(anything(), room(4), at(1), most).await.unwrap() {
        Claim::Jobs(jobs) => jobs,
        Claim::Full | Claim::Nothing(_) => Vec::new(),
    };
    let held = claim(&store, 3).await;
    assert_eq!((held.len(), claim(&other, 3).await.len()), (3, 1), "as many as there are slots for");
    server.sql("m", "UPDATE nightreel.jobs SET owner = NULL, claimed_for = NULL");
    let theirs = claim(&other, 1).await;
    assert_eq!(theirs[0].id, held[0].id);
    let late = store.commit(step(&held[0], started(&held[0]))).await;
    assert!(matches!(late, Err(StoreError::Conflict { .. })), "{late:?}");
    // What it takes again it has already: nobody is given it a second time, and it is sent once.
    assert!(claim(&store, 2).await.is_empty());
    assert_eq!(server.sql("m", "SELECT count(*) FROM nightreel.jobs WHERE claimed_for IS NOT NULL"), "3\n");
    for job in &held[1..] {
        store.commit(step(job, started(job))).await.unwrap();
        store.release(job.id);
    }
    // Whatever a crash forgets of what was just taken, no more run than may.
    let before = claim(&store, 1).await;
    server.crash();
    server.up();
    let mut all: Vec<_> = before.iter().map(|job| (&store, job.clone())).collect();
    all.extend(claim(&other, 4).await.into_iter().map(|job| (&other, job)));
    all.extend(theirs.iter().map(|job| (&other, job.clone())));
    for (store, job) in all {
        drop(store.commit(step(&job, started(&job))).await);
    }
    let running = store.tally(None).await.unwrap().submitting;
    assert!((3..=4).contains(&running), "{running} run");
    assert_eq!(
        server.sql("m", "SELECT count(*), count(DISTINCT job) FROM nightreel.events"),
        format!("{running}|{running}\n")
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_crash_of_the_database_gives_nobody_up_and_loses_nothing() {
    let server = Server::start();
    let address = server.database("m");
    let store = Arc::new(with_account(&address).await);
    contract::filled(store.as_ref(), "m", 60).await;
    let due = store.take_planned(anything(), at(1), 60).await.unwrap();
    // Takings are not synced: what was just taken may be forgotten, and is not meant here.
    server.sql("m", "CHECKPOINT");
    server.crash();
    let commits = due.jobs.iter().map(|job| {
        let (store, change) = (Arc::clone(&store), step(job, started(job)));
        tokio::spawn(async move { store.commit(change).await })
    });
    let commits: Vec<_> = commits.collect();
    server.sql_is_away();
    server.up();
    for commit in commits {
        commit.await.unwrap().unwrap();
    }
    assert_eq!(store.tally(None).await.unwrap().submitting, 60);
    assert_eq!(server.sql("m", "SELECT count(*), count(DISTINCT job) FROM nightreel.events"), "60|60\n");
    assert_eq!(server.sql("m", "SELECT count(*) FROM nightreel.jobs WHERE owner = 1"), "60\n");
}

/// A socket before the server's: now and then an answer of some length is lost with its connection.
fn losing_answers(server: &Server) -> (tempfile::TempDir, Arc<AtomicUsize>) {
    let folder = tempfile::tempdir().unwrap();
    let listener = UnixListener::bind(folder.path().join(".s.PGSQL.5432")).unwrap();
    let (behind, lost) = (server.socket(), Arc::new(AtomicUsize::new(0)));
    let counted = Arc::clone(&lost);
    std::thread::spawn(move || {
        for (number, visitor) in listener.incoming().enumerate() {
            let (Ok(mut visitor), Ok(mut upstream)) = (visitor, UnixStream::connect(&behind)) else { return };
            let (Ok(mut asks), Ok(mut hears)) = (visitor.try_clone(), upstream.try_clone()) else { return };
            let counted = Arc::clone(&counted);
            std::thread::spawn(move || {
                drop(std::io::copy(&mut asks, &mut hears));
                drop(hears.shutdown(std::net::Shutdown::Both));
            });
            std::thread::spawn(move || {
                let mut dice = fastrand::Rng::with_seed(number as u64);
                // The first words of a connection are let through, or nobody would ever get anywhere.
                let (mut spared, mut bytes) = (12, vec![0; 65536]);
                while let Ok(read @ 1..) = upstream.read(&mut bytes) {
                    spared -= 1;
                    if spared < 0 && dice.u8(0..4) == 0 {
                        counted.fetch_add(1, Ordering::SeqCst);
                        break;
                    }
                    if visitor.write_all(&bytes[..read]).is_err() {
                        break;
                    }
                }
                drop(visitor.shutdown(std::net::Shutdown::Both));
                drop(upstream.shutdown(std::net::Shutdown::Both));
            });
        }
    });
    (folder, lost)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_commit_whose_answer_was_lost_is_found_out_and_made_once() {
    let server = Server::start();
    let address = server.database("m");
    let (folder, lost) = losing_answers(&server);
    let flaky = format!("postgres:///m?host={}&user=night", folder.path().display());
    let (store, judge) = (with_account(&flaky).await, open(&address).await);
    contract::filled(&judge, "m", 120).await;
    let mut jobs = judge.jobs(Filter::default(), JobId(0), 200).await.unwrap();
    // The one writer of all of them is never told of a conflict, however many answers are lost.
    for group in jobs.chunks_mut(2) {
        let intents = join_all(group.iter().map(|job| store.commit(step(job, started(job))))).await;
        assert!(intents.iter().all(Result::is_ok), "{intents:?}");
        for job in group.iter_mut() {
            *job = step(job, started(job)).job;
        }
        let outcomes = join_all(group.iter().map(|job| store.commit(step(job, accepted(job))))).await;
        assert!(outcomes.iter().all(Result::is_ok), "{outcomes:?}");
    }
    assert!(lost.load(Ordering::SeqCst) >= 4, "hardly any answer was lost");
    let tally = judge.tally(None).await.unwrap();
    assert_eq!((tally.waiting, tally.submissions), (120, 120));
    let told = server.sql("m", "SELECT count(*), count(DISTINCT (job, name)) FROM nightreel.events");
    assert_eq!(told, "240|240\n");
}

#[test]
fn released_migrations_are_never_edited() {
    let digests: Vec<String> = open::MIGRATIONS
        .iter()
        .map(|(name, text)| format!("{name} {}", Digest::of(text.as_bytes()).short(16)))
        .collect();
    assert_eq!(digests, ["0001_ledger c453ebd5a214661f"]);
}
