//! Surveys of whole manifests against a ledger.

use std::path::Path;
use std::sync::Arc;

use jiff::Timestamp;

use super::*;
use crate::catalogue::PriceTable;
use crate::domain::{AccountName, BatchName, ClientRef, Currency, JobEvent, TaskId};
use crate::gateway::{Parameters, Preset};
use crate::ledger::Ledger;
use crate::pace::Clock;
use crate::store::sqlite::SqliteStore;
use crate::store::{Batch, Store, Wanted};

/// An account at Kling's list; without a name, any.
fn sender(name: Option<&str>) -> Sender {
    let name = name.map(|name| AccountName::new(name).unwrap());
    let (parameters, prices) = (Parameters::Preset, PriceTable::kling_list());
    Sender { preset: name.as_ref().map(|_| Preset::Kling), name, parameters, prices }
}

fn ask(manifest: &Path, store: &Arc<dyn Store>, batch: Option<Batch>) -> Ask {
    Ask {
        manifest: manifest.to_path_buf(),
        store: Some(Arc::clone(store)),
        name: BatchName::new("m").unwrap(),
        batch,
        out: "/videos".into(),
        template: "{scene}/{id}.mp4".into(),
        senders: Senders { at_work: vec![sender(None)], named: Vec::new() },
        remember: Remember::Planned,
        judge: Judge::Rows,
    }
}

async fn survey(ask: Ask) -> (Plan, Vec<Step>) {
    let mut survey = Survey::begin(ask).unwrap();
    let mut steps = Vec::new();
    while let Some(some) = survey.next().await.unwrap() {
        steps.extend(some);
    }
    (survey.finish().await.unwrap(), steps)
}

fn rows(images: &[&str]) -> String {
    let lines = images.iter().map(|image| format!("{image},squish,https://example.com/{image}.jpg,5\n"));
    format!("id,scene,images,duration\n{}", lines.collect::<String>())
}

#[tokio::test]
async fn a_row_is_new_once_and_what_it_was_paid_for_is_known() {
    let folder = tempfile::tempdir().unwrap();
    let manifest = folder.path().join("m.csv");
    std::fs::write(&manifest, rows(&["a", "b"])).unwrap();
    let store: Arc<dyn Store> = Arc::new(SqliteStore::open_in_memory().unwrap());
    let ledger = Ledger::new(Arc::clone(&store), Clock::starting_at(Timestamp::UNIX_EPOCH));

    let (plan, steps) = survey(ask(&manifest, &store, None)).await;
    assert_eq!((plan.rows, plan.new, plan.to_send(), steps.len()), (2, 2, 2, 2));
    let batch =
        store.open_batch(BatchName::new("m").unwrap(), "/videos".into(), vec![], manifest.clone()).await.unwrap();
    let added = steps.into_iter().filter_map(|step| if let Step::Add(job) = step { Some(job) } else { None }).collect();
    store.admit(batch.id, added, Timestamp::UNIX_EPOCH).await.unwrap();

    let (plan, steps) = survey(ask(&manifest, &store, Some(batch.clone()))).await;
    assert_eq!((plan.new, plan.planned, steps.len(), plan.keys.len()), (0, 2, 0, 2));

    // One is sent; then both change: one was perhaps paid, the other certainly not.
    let account = AccountName::new("kling").unwrap();
    let wanted = Wanted { account: account.clone(), batch: None, closed: Vec::new() };
    let due = store.take_planned(wanted, Timestamp::UNIX_EPOCH, 1).await.unwrap();
    let client_ref = ClientRef::new("nr-a-a1").unwrap();
    let sent = ledger
        .record(&due.jobs[0], JobEvent::SubmitStarted { attempt: 1, client_ref, account, price: None })
        .await
        .unwrap();
    ledger
        .record(&sent, JobEvent::Accepted { task: TaskId::new("1").unwrap(), request_id: None, handle: None })
        .await
        .unwrap();
    std::fs::write(&manifest, rows(&["a", "b"]).replace(",5\n", ",10\n")).unwrap();
    let (plan, steps) = survey(ask(&manifest, &store, Some(batch.clone()))).await;
    assert_eq!((plan.changed, plan.updated, plan.conflicts.len()), (1, 1, 1));
    // Only what is not paid yet would be sent; ten seconds are taken to cost twice what five do.
    assert_eq!((plan.load.requests, plan.warnings[0].rows), (1, 1));
    assert_eq!(costs(&plan.load), ["USD 0.56 0.56"]);
    let paid = steps.iter().filter(|step| matches!(step, Step::Change { paid: Paid::Perhaps, .. })).count();
    assert_eq!((paid, steps.len()), (1, 2));

    // The same video under another id would be paid again.
    std::fs::write(&manifest, rows(&["a"]).replace("\na,", "\nanna,")).unwrap();
    let (plan, _) = survey(ask(&manifest, &store, Some(batch))).await;
    assert_eq!((plan.new, plan.paid_elsewhere.get("m")), (1, Some(&1)));
}

#[tokio::test]
async fn a_name_that_another_batch_has_in_the_same_tree_is_a_problem() {
    let folder = tempfile::tempdir().unwrap();
    let manifest = folder.path().join("m.csv");
    std::fs::write(&manifest, rows(&["a"])).unwrap();
    let store: Arc<dyn Store> = Arc::new(SqliteStore::open_in_memory().unwrap());
    let (_, steps) = survey(ask(&manifest, &store, None)).await;
    let other =
        store.open_batch(BatchName::new("o").unwrap(), "/videos".into(), vec![], manifest.clone()).await.unwrap();
    let added = steps.into_iter().filter_map(|step| if let Step::Add(job) = step { Some(job) } else { None }).collect();
    store.admit(other.id, added, Timestamp::UNIX_EPOCH).await.unwrap();
    let (plan, _) = survey(ask(&manifest, &store, None)).await;
    assert_eq!((plan.problem_count, plan.problems[0].column.as_str()), (1, "output"));
    let elsewhere = Ask { out: "/other".into(), ..ask(&manifest, &store, None) };
    assert_eq!(survey(elsewhere).await.0.problem_count, 0);
}

fn table(amount: &str, currency: &str) -> PriceTable {
    let (default, currency) = (Some(amount.parse().unwrap()), Currency::new(currency).unwrap());
    PriceTable { default, currency, ..PriceTable::kling_list() }
}

fn costs(load: &Load) -> Vec<String> {
    load.cost.iter().map(|cost| format!("{} {} {}", cost.currency, cost.amount, cost.guessed)).collect()
}

async fn surveyed(text: &str, senders: Senders) -> Plan {
    let folder = tempfile::tempdir().unwrap();
    let manifest = folder.path().join("m.csv");
    std::fs::write(&manifest, text).unwrap();
    let store: Arc<dyn Store> = Arc::new(SqliteStore::open_in_memory().unwrap());
    survey(Ask { senders, store: None, ..ask(&manifest, &store, None) }).await.0
}

#[tokio::test]
async fn what_would_be_sent_is_priced_by_the_dearest_account_that_could_send_it() {
    let text = "id,scene,images,duration,account\n\
                1,bloombloom,https://e.com/1.jpg,5,\n\
                2,hug_pro,https://e.com/2.jpg,5,\n\
                3,hug_pro,https://e.com/3.jpg,5,cheap\n\
                4,hug_pro,https://e.com/4.jpg,5,other\n";
    // Nobody is named: by the list, of which one scene's price is derived, and any row may be sent.
    let any = Senders { at_work: vec![sender(None)], named: Vec::new() };
    let load = surveyed(text, any).await.load;
    assert_eq!((load.requests, load.shared, load.elsewhere, load.bound), (4, 4, 0, Bound::About));
    assert_eq!(costs(&load), ["USD 1.33 0.84"]);
    assert_eq!(load.scenes, [("bloombloom".to_owned(), 1), ("hug_pro".to_owned(), 3)].into());

    let named = ["cheap", "dear", "other"].map(|name| AccountName::new(name).unwrap()).to_vec();
    let priced =
        |name: &str, amount: &str, currency: &str| Sender { prices: table(amount, currency), ..sender(Some(name)) };
    let at_work = vec![priced("cheap", "0.10", "USD"), priced("dear", "0.30", "USD")];
    let plan = surveyed(text, Senders { at_work, named: named.clone() }).await;
    let load = &plan.load;
    // The row of an account that is not at work is left; those that both could send are the dear one's.
    assert_eq!((load.requests, load.shared, load.elsewhere, plan.problem_count), (3, 2, 1, 0));
    assert_eq!((load.pinned.values().sum::<u64>(), load.bound), (1, Bound::AtTheMost));
    assert_eq!(costs(load), ["USD 0.70 0.00"]);

    // In two currencies, it is at the most so much in each.
    let at_work = vec![priced("dear", "0.30", "USD"), priced("cheap", "9", "credits")];
    let load = surveyed(text, Senders { at_work, named }).await.load;
    assert_eq!(costs(&load), ["USD 0.60 0.00", "credits 27.00 0.00"]);
}

#[tokio::test]
async fn a_row_for_an_account_that_there_is_not_is_a_problem_at_its_place() {
    let text = "id,scene,images,duration,account\n\
                1,hug_pro,https://e.com/1.jpg|https://e.com/2.jpg,5,klign\n\
                2,hug_pro,https://e.com/1.jpg|https://e.com/3.jpg,5,kling\n";
    let named = vec![AccountName::new("kling").unwrap(), AccountName::new("spare").unwrap()];
    let plan = surveyed(text, Senders { at_work: vec![sender(Some("kling"))], named }).await;
    let [problem] = plan.problems.as_slice() else { panic!("{:?}", plan.problems) };
    assert_eq!((problem.line, problem.column.as_str(), problem.found.as_str()), (2, "account", "klign"));
    assert!(problem.expected.contains("kling, spare"), "{}", problem.expected);
    // Where nothing is configured, nobody knows which accounts there will be.
    let plan = surveyed(text, Senders { at_work: vec![sender(None)], named: Vec::new() }).await;
    assert_eq!((plan.problem_count, plan.load.requests), (0, 2));
}

#[tokio::test]
async fn each_thing_is_told_once_with_its_rows_and_rejects_nothing() {
    let mut text = "id,scene,images,duration,mode\n".to_owned();
    for row in 0..7 {
        text.push_str(&format!("s{row},squish,https://e.com/{row}.jpg,{},\n", if row < 4 { "5" } else { "" }));
    }
    text.push_str("m,hug_prp,https://e.com/m.jpg|https://e.com/n.jpg,,pro\n");
    text.push_str("o,hug_pro,https://e.com/o.jpg,,\n");
    let told = |plan: &Plan| plan.warnings.iter().map(ToString::to_string).collect::<Vec<_>>();
    let any = Senders { at_work: vec![sender(None)], named: Vec::new() };
    let plan = surveyed(&text, any).await;
    assert_eq!(
        told(&plan),
        [
            "7 rows (line 2, 3, 4 …): squish is gone from the vendor's newest pages; gateways may still offer it",
            "1 row (line 9): \"hug_prp\" is not among the scenes that nightreel knows; did you mean \"hug_pro\"?",
            "1 row (line 10): hug_pro takes two images, and is given one",
        ]
    );
    assert_eq!((plan.problem_count, plan.warned_beyond), (0, 0));
    assert_eq!(plan.warnings[0].lines, [2, 3, 4, 5, 6]);

    let sent = |preset, parameters| {
        let account = |name| Sender { preset: Some(preset), parameters, ..sender(Some(name)) };
        Senders { at_work: vec![account("a"), account("b")], named: Vec::new() }
    };
    for (preset, parameters, expected) in [
        (
            Preset::Kling,
            Parameters::Preset,
            Some("does not take duration, model or mode for effects: 5 rows have them"),
        ),
        (Preset::Kling, Parameters::All, None),
        (Preset::Kkiai, Parameters::Preset, None),
        (Preset::Kkiai, Parameters::None, Some("5 rows have a duration, a model or a mode, and they are not sent")),
        (
            Preset::CometApi,
            Parameters::Preset,
            Some("cometapi requires a duration: 5 rows have none and are sent with 5"),
        ),
        (Preset::WaveSpeed, Parameters::None, None),
    ] {
        let told = told(&surveyed(&text, sent(preset, parameters)).await);
        let notes: Vec<&String> = told.iter().filter(|told| told.starts_with("note: ")).collect();
        match expected {
            Some(words) => assert!(notes.len() == 1 && notes[0].contains(words), "{preset}: {notes:?}"),
            None => assert_eq!(notes, [""; 0], "{preset}"),
        }
    }
}

#[tokio::test]
async fn what_is_kept_of_many_different_rows_is_bounded_and_all_are_priced() {
    let mut text = "id,scene,images,duration\n".to_owned();
    for row in 0..12_000 {
        text.push_str(&format!("r{row},zz{row},https://e.com/{row}.jpg,5\n"));
    }
    let plan = surveyed(&text, Senders { at_work: vec![sender(None)], named: Vec::new() }).await;
    assert_eq!((plan.warnings.len(), plan.warned_beyond), (1000, 11_000));
    assert_eq!((plan.load.requests, plan.load.scenes.len()), (12_000, 10_000));
    assert_eq!(costs(&plan.load), ["USD 3360.00 3360.00"]);
}
