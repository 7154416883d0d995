//! What goes wrong at a remote, and what each gateway makes of it. The remote counts what it made, and so shows where
//! "nothing was made" would be a lie.

use super::*;

#[tokio::test]
async fn an_empty_balance_pauses_the_account() {
    for member in ALL {
        let empty = simulator::Settings { pack: Some(1.0), ..member.remote() };
        for pairing in [member.start_with(empty).await, member.faulty(&["no-balance-after=1"]).await] {
            let submitted = pairing.submit_link(1).await;
            let Submitted::Paused(Pause { reason: PauseReason::Balance, words }) = submitted else {
                panic!("{member:?}: {submitted:?}")
            };
            assert!(!words.is_empty());
            assert_eq!(pairing.stats().charged, 0);
            pairing.simulator.shutdown().await;
        }
    }
}

#[tokio::test]
async fn a_dead_key_pauses_the_account() {
    for member in ALL {
        let pairing = member.faulty(&["bad-key"]).await;
        let submitted = pairing.submit_link(1).await;
        assert!(matches!(submitted, Submitted::Paused(Pause { reason: PauseReason::Key, .. })), "{submitted:?}");
        let asked = Accepted::plain(TaskId::new("1").unwrap());
        let observed = pairing.observe(&asked).await;
        assert!(matches!(observed, Observed::Paused(Pause { reason: PauseReason::Key, .. })), "{observed:?}");
        pairing.simulator.shutdown().await;
    }
}

#[tokio::test]
async fn a_web_page_before_any_json_was_heard_is_a_wrong_route_for_requests_and_questions() {
    for member in ALL {
        let pairing = member.faulty(&["html-200"]).await;
        if member == (KlingPair { ahead: -10 }) {
            // The first token was refused by an API: what comes after that proves nothing.
            let submitted = pairing.submit_link(1).await;
            assert!(matches!(submitted, Submitted::InDoubt(_)), "{submitted:?}");
            continue;
        }
        let route =
            |pause: &Pause| pause.reason == PauseReason::Route && pause.words.to_lowercase().contains("new api");
        let probe = pairing.gateway.probe().await.unwrap();
        assert!(matches!(&probe.observed, Observed::Paused(pause) if route(pause)), "{member:?}: {probe:?}");
        let submitted = pairing.submit_link(1).await;
        assert!(matches!(&submitted, Submitted::Paused(pause) if route(pause)), "{member:?}: {submitted:?}");
        let stats = pairing.stats();
        assert_eq!((stats.creations, stats.charged), (1, 0));
        pairing.simulator.shutdown().await;
    }
}

#[tokio::test]
async fn a_base_url_that_is_a_little_wrong_is_a_wrong_route() {
    for member in ALL {
        let pairing = member.start().await;
        let beside = format!("{}/elsewhere", pairing.simulator.base_url());
        let astray = Pairing { gateway: built(member.spec(&beside)), ..pairing };
        let submitted = astray.submit_link(1).await;
        assert!(
            matches!(submitted, Submitted::Paused(Pause { reason: PauseReason::Route, .. })),
            "{member:?}: {submitted:?}"
        );
        assert_eq!(astray.stats().charged, 0);
        astray.simulator.shutdown().await;
    }
}

#[tokio::test]
async fn what_is_refused_for_now_may_be_sent_again_and_says_what_stood_in_its_way() {
    for member in ALL {
        // fal lets what is too much wait and new-api hides why, so neither says that anything is parallel.
        let parallel =
            if matches!(member.dialect(), Dialect::Fal | Dialect::NewApi) { Limit::Rate } else { Limit::Parallel };
        for (fault, limit, wait) in
            [("refuse-429", Limit::Rate, Some(Duration::from_secs(1))), ("busy-1303", parallel, None)]
        {
            let pairing = member.faulty(&[fault]).await;
            let submitted = pairing.submit_link(1).await;
            let Submitted::NotMade(refused) = submitted else { panic!("{member:?}: {fault}: {submitted:?}") };
            assert_eq!((refused.limit, refused.retry_after), (limit, wait), "{member:?}: {fault}");
            assert_eq!(pairing.stats().charged, 0);
            pairing.simulator.shutdown().await;
        }
        let rate = Some((1, Duration::from_hours(1)));
        let pairing = member.start_with(simulator::Settings { rate, ..member.remote() }).await;
        pairing.made(1).await;
        let submitted = pairing.submit_link(2).await;
        assert!(matches!(submitted, Submitted::NotMade(NotMade { limit: Limit::Rate, .. })), "{submitted:?}");
        pairing.simulator.shutdown().await;
    }
}

#[tokio::test]
async fn a_slot_too_many_is_refused_and_at_fal_waits() {
    for member in ALL {
        let hour = Duration::from_hours(1);
        let settings = simulator::Settings { in_flight: Some(1), task_for: (hour, hour), ..member.remote() };
        let pairing = member.start_with(settings).await;
        pairing.made(1).await;
        let second = pairing.submit_link(2).await;
        match member.dialect() {
            Dialect::Fal => assert!(matches!(second, Submitted::Accepted(_)), "{second:?}"),
            Dialect::NewApi => assert!(matches!(second, Submitted::NotMade(NotMade { limit: Limit::Rate, .. }))),
            Dialect::Kling | Dialect::Comet | Dialect::WaveSpeed => {
                assert!(matches!(second, Submitted::NotMade(NotMade { limit: Limit::Parallel, .. })), "{second:?}");
            }
        }
        pairing.simulator.shutdown().await;
    }
}

#[tokio::test]
async fn what_is_not_wanted_there_fails_the_row_with_the_remotes_words() {
    for member in ALL {
        let pairing = member.faulty(&["reject"]).await;
        let submitted = pairing.submit_link(1).await;
        let Submitted::Refused(cause @ FailureCause::Refused { .. }) = submitted else {
            panic!("{member:?}: {submitted:?}")
        };
        assert!(cause.to_string().contains("content"), "{member:?}: {cause}");
        assert_eq!(cause.to_string().contains("1301"), member.is_klings_wire(), "{member:?}: {cause}");
        assert_eq!(pairing.stats().charged, 0);
        pairing.simulator.shutdown().await;
    }
}

#[tokio::test]
async fn an_answer_that_is_lost_late_or_not_understood_is_doubt_even_the_first_one() {
    // Whether something was made, nobody can tell by the answer.
    let faults = [
        ("drop-before", 0),
        ("error-500-before", 0),
        ("html-502-before", 0),
        ("lose-answer", 1),
        ("error-500-after", 1),
        ("html-502-after", 1),
        ("empty-200-after", 1),
        ("garbage-after", 1),
    ];
    for member in ALL {
        for (fault, charged) in faults {
            let pairing = member.faulty(&[fault]).await;
            let submitted = pairing.submit_link(1).await;
            assert!(matches!(submitted, Submitted::InDoubt(_)), "{member:?}: {fault}: {submitted:?}");
            assert_eq!(pairing.stats().charged, charged, "{member:?}: {fault}");
            if charged == 1 && pairing.gateway.capabilities().resend_is_safe() {
                let Observed::Seen(found) = pairing.gateway.find(&client_ref(1)).await else { panic!("{fault}") };
                assert_eq!(found.client_ref, Some(client_ref(1)));
                assert_eq!(pairing.submit_link(1).await, Submitted::AlreadyThere);
                assert_eq!(pairing.stats().charged, 1, "{member:?}: {fault}");
            }
            pairing.simulator.shutdown().await;
        }
    }
}

#[tokio::test]
async fn an_answer_that_never_comes_is_doubt_once_the_time_is_up() {
    for member in EACH {
        let pairing = member.faulty(&["hang-answer"]).await;
        let spec = Spec { request_timeout: Duration::from_millis(400), ..member.spec(pairing.simulator.base_url()) };
        let pairing = Pairing { gateway: built(spec), ..pairing };
        assert_eq!(pairing.submit_link(1).await, Submitted::InDoubt(Doubt::TimedOut), "{member:?}");
        assert_eq!(pairing.stats().charged, 1);
        pairing.simulator.shutdown().await;
    }
}

#[tokio::test]
async fn nobody_listening_makes_nothing() {
    for member in ALL {
        let pairing = member.start().await;
        let base_url = pairing.simulator.base_url().to_owned();
        pairing.simulator.shutdown().await;
        let simulator = member.start().await.simulator;
        let pairing = Pairing { member, simulator, gateway: built(member.spec(&base_url)) };
        let submitted = pairing.submit_link(1).await;
        assert!(
            matches!(submitted, Submitted::NotMade(NotMade { limit: Limit::Unreachable, .. })),
            "{member:?}: {submitted:?}"
        );
        pairing.simulator.shutdown().await;
    }
}

/// What a question may come to.
#[derive(Debug, PartialEq, Eq)]
enum Heard {
    NotVisible,
    Unclear,
    Pending,
    Key,
}

#[tokio::test]
async fn no_answer_to_a_question_fails_a_task() {
    let faults = [
        ("query-404", Heard::NotVisible),
        ("query-not-found", Heard::NotVisible),
        ("query-task-not-exist", Heard::NotVisible),
        ("query-garbage", Heard::Unclear),
        ("query-html", Heard::Unclear),
        ("query-500", Heard::Unclear),
        ("query-429", Heard::Unclear),
        ("query-drop", Heard::Unclear),
        ("query-unknown-status", Heard::Pending),
        ("query-401", Heard::Key),
        ("late-visible=1:1h", Heard::NotVisible),
    ];
    for member in ALL {
        for (fault, expected) in &faults {
            let hour = Duration::from_hours(1);
            let settings =
                simulator::Settings { faults: vec![fault.parse().unwrap()], task_for: (hour, hour), ..member.remote() };
            let pairing = member.start_with(settings).await;
            let accepted = pairing.made(1).await;
            let heard = match pairing.observe(&accepted).await {
                Observed::NotVisible => Heard::NotVisible,
                Observed::Unclear { .. } => Heard::Unclear,
                Observed::Seen(Observation { progress: Progress::Pending { .. }, .. }) => Heard::Pending,
                Observed::Paused(Pause { reason: PauseReason::Key, .. }) => Heard::Key,
                other => panic!("{member:?}: {fault}: {other:?}"),
            };
            assert_eq!(heard, *expected, "{member:?}: {fault}");
            pairing.simulator.shutdown().await;
        }
    }
}

#[tokio::test]
async fn a_success_without_a_link_is_asked_for_again() {
    for member in ALL {
        let pairing = member.faulty(&["success-without-url"]).await;
        let accepted = pairing.made(1).await;
        let Observed::Seen(first) = pairing.observe(&accepted).await else { panic!("{member:?}") };
        assert!(matches!(first.progress, Progress::Pending { .. }), "{member:?}: {first:?}");
        assert!(matches!(pairing.ended(&accepted).await.progress, Progress::Succeeded { .. }), "{member:?}");
        pairing.simulator.shutdown().await;
    }
}
