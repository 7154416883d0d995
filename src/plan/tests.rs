//! Surveys of whole manifests against a ledger.

use std::path::Path;

use jiff::Timestamp;

use super::*;
use crate::domain::{AccountName, ClientRef, JobEvent, TaskId};
use crate::ledger::Ledger;
use crate::pace::Clock;
use crate::store::Wanted;
use crate::store::sqlite::SqliteStore;

fn ask(manifest: &Path, store: &Arc<dyn Store>, batch: Option<Batch>) -> Ask {
    Ask {
        manifest: manifest.to_path_buf(),
        store: Some(Arc::clone(store)),
        name: BatchName::new("m").unwrap(),
        batch,
        out: "/videos".into(),
        template: "{scene}/{id}.mp4".into(),
        remember: Remember::Planned,
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
