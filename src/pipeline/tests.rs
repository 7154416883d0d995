//! Whole runs over a scripted remote, on virtual time.

use std::time::Duration;

use jiff::Timestamp;

use super::download::Downloader;
use super::*;
use crate::domain::{Doubt, Tally, TaskId};
use crate::gateway::scripted::{Asked, ScriptedGateway};
use crate::gateway::{Accepted, Capabilities, PauseReason, Submitted};
use crate::ledger::Ledger;
use crate::pace::Clock;
use crate::sink::LocalSink;
use crate::store::sqlite::SqliteStore;
use crate::store::{Account, Store, contract};

const ALL: Capabilities = Capabilities { find: true, unique: true, list: true, many: None };
const NONE: Capabilities = Capabilities { find: false, unique: false, list: false, many: None };

/// Runs a batch of `rows` rows until nothing is left to do.
async fn night(gateway: ScriptedGateway, rows: usize) -> (Ended, Tally, Vec<Asked>) {
    let clock = Clock::starting_at(Timestamp::UNIX_EPOCH);
    let store: Arc<dyn Store> = Arc::new(SqliteStore::open_in_memory().unwrap());
    contract::filled(store.as_ref(), "m", rows).await;
    let gateway = Arc::new(gateway);
    let parts = Parts {
        ledger: Ledger::new(Arc::clone(&store), clock.clone()),
        gateway: Arc::clone(&gateway) as Arc<dyn Gateway>,
        trees: Arc::new(Trees::new(Arc::clone(&store), |out| Arc::new(LocalSink::new(out)))),
        downloader: Arc::new(Downloader::new(clock, Downloader::STALL_AFTER, Downloader::MAX_BYTES).unwrap()),
    };
    let settings = Settings {
        account: contract::account(),
        interval: Duration::from_secs(1),
        in_flight: 2,
        settle_after: Duration::from_secs(60),
        min_poll: Duration::from_secs(2),
        deadline: Duration::from_secs(3600),
        downloads: 1,
        in_doubt: InDoubt::Hold,
    };
    let name = contract::account();
    let account = Account { name, gateway: "kling".into(), base_url: String::new(), last_submit_at: None };
    let (pipeline, _control) = Pipeline::prepare(parts, settings, account, Gate::Open(None)).await.unwrap();
    let ended = pipeline.run().await.unwrap();
    (ended, store.tally(None).await.unwrap(), gateway.asked())
}

fn submissions(asked: &[Asked]) -> usize {
    asked.iter().filter(|asked| matches!(asked, Asked::Submit(_))).count()
}

#[tokio::test(start_paused = true)]
async fn a_reference_that_is_there_and_cannot_be_found_is_held_and_not_sent_for_ever() {
    let gateway = ScriptedGateway::new(ALL).submit_says(Submitted::AlreadyThere);
    let (ended, tally, asked) = night(gateway, 1).await;
    assert_eq!((ended, tally.held, submissions(&asked)), (Ended::Finished, 1, 1));
}

#[tokio::test(start_paused = true)]
async fn a_lost_answer_is_looked_for_through_the_quiet_period_and_sent_again_under_its_own_reference() {
    let gateway = ScriptedGateway::new(ALL)
        .submit_says(Submitted::InDoubt(Doubt::TimedOut))
        .submit_says(Submitted::Accepted(Accepted::plain(TaskId::new("1").unwrap())));
    // The task never ends: it is given up at its deadline, and never paid again.
    let (ended, tally, asked) = night(gateway, 1).await;
    assert_eq!((ended, tally.stuck, tally.submissions), (Ended::Finished, 1, 1));
    let sent: Vec<&Asked> = asked.iter().filter(|asked| matches!(asked, Asked::Submit(_))).collect();
    assert!(sent.len() == 2 && sent[0] == sent[1], "{sent:?}");
    let found_out = asked.iter().position(|asked| matches!(asked, Asked::Find(_))).unwrap();
    let sent_again = asked.iter().rposition(|asked| matches!(asked, Asked::Submit(_))).unwrap();
    assert!(found_out < sent_again && asked[..sent_again].contains(&Asked::List(1)), "{asked:?}");
}

#[tokio::test(start_paused = true)]
async fn where_nothing_can_be_asked_doubt_is_held_and_its_slot_comes_free_in_the_end() {
    let doubt = || Submitted::InDoubt(Doubt::TimedOut);
    let gateway = ScriptedGateway::new(NONE).submit_says(doubt()).submit_says(doubt()).submit_says(doubt());
    let (ended, tally, asked) = night(gateway, 3).await;
    assert_eq!((ended, tally.held, submissions(&asked)), (Ended::Finished, 3, 3));
}

#[tokio::test(start_paused = true)]
async fn an_account_that_cannot_go_on_sends_nothing_more() {
    let pause = Pause { reason: PauseReason::Balance, words: "empty".into() };
    let gateway = ScriptedGateway::new(ALL).submit_says(Submitted::Paused(pause.clone()));
    let (ended, tally, asked) = night(gateway, 5).await;
    assert_eq!(ended, Ended::Paused(pause));
    assert!(submissions(&asked) <= 2, "{asked:?}");
    assert_eq!(tally.failed, 0);
}
