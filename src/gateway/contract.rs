//! What every gateway must do, as a suite that each one runs against a remote that plays by the rules of its protocol.
//!
//! The remote is the member's own affair; it starts without tasks, takes any effect, and keeps every task pending.

use super::{Accepted, Asked, Gateway, Listed, Observed, Order, Pause, PauseReason, Submitted, Told};
use crate::domain::{ClientRef, Effect, ImageSource, Images, Observation, Picture, Progress, TaskId};

fn client_ref(number: u32) -> ClientRef {
    ClientRef::new(format!("nr-contract-{number}-a1")).unwrap()
}

async fn submit(gateway: &dyn Gateway, number: u32) -> Submitted {
    let images = Images::One(ImageSource::Url("https://h/a.jpg".into()));
    let effect = Effect { scene: "s".into(), images, duration: None, model: None, mode: None };
    let pictures = [Picture::Url("https://h/a.jpg".into())];
    gateway
        .submit(Order { effect: &effect, pictures: &pictures, client_ref: &client_ref(number), callback_url: None })
        .await
}

async fn made(gateway: &dyn Gateway, number: u32) -> Accepted {
    match submit(gateway, number).await {
        Submitted::Accepted(accepted) => accepted,
        other => panic!("not accepted: {other:?}"),
    }
}

/// Runs the suite on a gateway to a fresh remote that can do all that `gateway` says it can.
pub(super) async fn holds_for(gateway: &dyn Gateway) {
    a_task_is_seen_by_its_id(gateway).await;
    an_unknown_task_is_not_visible(gateway).await;
    a_reference_leads_to_its_task_and_to_no_other(gateway).await;
    a_reference_makes_one_task_where_they_are_unique(gateway).await;
    the_list_tells_whose_the_tasks_are(gateway).await;
    a_request_has_a_name_of_its_own_where_it_has_one(gateway).await;
    several_tasks_are_told_of_and_no_others(gateway).await;
    what_was_made_is_among_the_latest_where_they_are_told(gateway).await;
    a_harmless_question_is_let_in(gateway).await;
}

/// Runs what must hold for whoever comes with a wrong key to a remote that demands the right one.
pub(super) async fn a_stranger_is_not_let_in(stranger: &dyn Gateway) {
    let probe = stranger.probe().await.expect("nothing came back");
    let refused = |pause: &Pause| pause.reason == PauseReason::Key && !pause.words.is_empty();
    assert!(matches!(&probe.observed, Observed::Paused(pause) if refused(pause)), "{probe:?}");
    let submitted = submit(stranger, 1).await;
    assert!(matches!(&submitted, Submitted::Paused(pause) if refused(pause)), "{submitted:?}");
}

async fn a_task_is_seen_by_its_id(gateway: &dyn Gateway) {
    let (one, two) = (made(gateway, 1).await, made(gateway, 2).await);
    assert_ne!(one.task, two.task);
    for Accepted { task, handle, .. } in [one, two] {
        let observed = gateway.observe(Asked { task: &task, handle: handle.as_ref() }).await;
        let Observed::Seen(Observation { task: seen, progress: Progress::Pending { .. }, .. }) = observed else {
            panic!("{observed:?}")
        };
        assert_eq!(seen, task);
    }
}

async fn an_unknown_task_is_not_visible(gateway: &dyn Gateway) {
    for unknown in ["unknown", "a/b?c#d%20"] {
        let asked = Asked { task: &TaskId::new(unknown).unwrap(), handle: None };
        assert_eq!(gateway.observe(asked).await, Observed::NotVisible, "{unknown}");
    }
}

async fn a_reference_leads_to_its_task_and_to_no_other(gateway: &dyn Gateway) {
    let find = gateway.capabilities().find;
    let task = made(gateway, 3).await.task;
    let (known, unknown) = (gateway.find(&client_ref(3)).await, gateway.find(&client_ref(999)).await);
    if find {
        let Observed::Seen(found) = known else { panic!("{known:?}") };
        assert_eq!(found.task, task);
        assert_eq!(unknown, Observed::NotVisible);
    } else {
        // Never "not visible": that would be taken for "was not made".
        assert!(matches!(known, Observed::Unclear { .. }), "{known:?}");
        assert!(matches!(unknown, Observed::Unclear { .. }), "{unknown:?}");
    }
}

async fn a_reference_makes_one_task_where_they_are_unique(gateway: &dyn Gateway) {
    let first = made(gateway, 4).await.task;
    let second = submit(gateway, 4).await;
    if gateway.capabilities().unique {
        assert_eq!(second, Submitted::AlreadyThere);
    } else {
        assert!(
            !matches!(second, Submitted::Accepted(Accepted { task, .. }) if task == first),
            "two requests share a task"
        );
    }
}

async fn the_list_tells_whose_the_tasks_are(gateway: &dyn Gateway) {
    let task = made(gateway, 5).await.task;
    let page = gateway.list(1, 100).await;
    if gateway.capabilities().list {
        let Listed::Page(tasks) = page else { panic!("{page:?}") };
        let listed = tasks.iter().find(|listed| listed.task == task).expect("the task is not in the list");
        assert_eq!(listed.client_ref, Some(client_ref(5)));
        assert_eq!(gateway.list(1000, 100).await, Listed::Page(Vec::new()));
    } else {
        assert!(matches!(page, Listed::Unclear { .. }), "{page:?}");
    }
}

async fn a_request_has_a_name_of_its_own_where_it_has_one(gateway: &dyn Gateway) {
    let (one, two) = (made(gateway, 6).await.request_id, made(gateway, 7).await.request_id);
    for id in [&one, &two].into_iter().flatten() {
        assert!(!id.is_empty() && !id.chars().any(|c| c.is_whitespace() || c.is_control()), "{id:?}");
    }
    assert!(one.is_none() || one != two, "two requests are called {one:?}");
}

async fn several_tasks_are_told_of_and_no_others(gateway: &dyn Gateway) {
    let (one, two) = (made(gateway, 8).await.task, made(gateway, 9).await.task);
    let asked = [one.clone(), TaskId::new("unknown").unwrap(), two.clone()];
    let told = gateway.observe_many(&asked).await;
    match gateway.capabilities().many {
        Some(most) => {
            assert!(most >= asked.len(), "{most} is not worth asking for");
            let Listed::Page(tasks) = told else { panic!("{told:?}") };
            let mut seen: Vec<TaskId> = tasks.into_iter().map(|seen| seen.task).collect();
            seen.sort_by_key(|task| *task != one);
            assert_eq!(seen, [one, two]);
            assert_eq!(gateway.observe_many(&[]).await, Listed::Page(Vec::new()));
        }
        None => assert!(matches!(told, Listed::Unclear { .. }), "{told:?}"),
    }
}

async fn what_was_made_is_among_the_latest_where_they_are_told(gateway: &dyn Gateway) {
    let task = made(gateway, 10).await.task;
    match gateway.recent(1, 100).await {
        Told::Answer(tasks) => assert!(tasks.iter().any(|seen| seen.task == task), "{task} is not in {tasks:?}"),
        Told::NotOffered => assert!(!gateway.capabilities().list, "it lists tasks, and does not tell the latest"),
        other => panic!("{other:?}"),
    }
}

async fn a_harmless_question_is_let_in(gateway: &dyn Gateway) {
    let probe = gateway.probe().await.expect("nothing came back");
    assert_eq!(probe.observed, Observed::NotVisible);
}
