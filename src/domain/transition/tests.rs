//! The whole matrix of states and events, and what holds for every history.

use std::fmt::Write as _;

use proptest::prelude::*;

use super::*;
use crate::domain::{
    AccountName, Artifact, BatchId, ClientRef, Currency, Digest, Doubt, Effect, ImageSource, Images, JobId, OutputKey,
    Price, RowKey, TaskId,
};

fn at(seconds: i64) -> Timestamp {
    Timestamp::from_second(seconds).unwrap()
}

fn effect(scene: &str) -> Effect {
    let image = ImageSource::Url("https://example.com/a.jpg".into());
    Effect { scene: scene.into(), images: Images::One(image), duration: None, model: None, mode: None }
}

fn task() -> TaskId {
    TaskId::new("867283741759111202").unwrap()
}

fn new_job() -> Job {
    let effect = effect("squish");
    Job {
        id: JobId(1),
        batch: BatchId(1),
        key: RowKey::of_id("anna"),
        label: "anna".into(),
        content: effect.content(),
        effect,
        output: OutputKey::new("anna.mp4").unwrap(),
        columns: "{}".into(),
        account: None,
        state: State::Planned { due_at: at(0), resend: false, with: None },
        attempt: None,
        submissions: 0,
        version: 0,
        finished_at: None,
    }
}

fn artifact() -> Artifact {
    Artifact { key: OutputKey::new("anna.mp4").unwrap(), bytes: 3, sha256: Digest::of(b"abc") }
}

/// One event of each kind, as it would come to `job`.
fn events(job: &Job) -> Vec<JobEvent> {
    let changed = effect("other");
    vec![
        JobEvent::SubmitStarted {
            attempt: job.next_attempt(),
            client_ref: ClientRef::new(format!("nr-x-a{}", job.next_attempt())).unwrap(),
            account: AccountName::new("kling").unwrap(),
            price: Some(Price { amount: "0.28".parse().unwrap(), currency: Currency::default() }),
        },
        JobEvent::Accepted { task: task(), request_id: Some("r".into()), handle: None },
        JobEvent::Refused { cause: FailureCause::Dropped },
        JobEvent::PutOff { due_at: at(9), words: String::new() },
        JobEvent::Doubted { doubt: Doubt::TimedOut, due_at: at(9) },
        JobEvent::LookedAbsent { due_at: at(9) },
        JobEvent::LookPutOff { due_at: at(9) },
        JobEvent::Found { task: task() },
        JobEvent::ResendAllowed { perhaps_paid: false },
        JobEvent::ResendAllowed { perhaps_paid: true },
        JobEvent::HeldForPerson,
        JobEvent::Succeeded { link: "http://127.0.0.1/v".into(), took_ms: Some(5), units: Some("2".into()) },
        JobEvent::TaskFailed { words: "no".into(), units: None },
        JobEvent::GaveUp { words: "late".into() },
        JobEvent::Revived,
        JobEvent::FetchFailed { due_at: at(9), words: String::new() },
        JobEvent::LinkExpired,
        JobEvent::Stored { artifact: artifact() },
        JobEvent::ArtifactLost { words: String::new() },
        JobEvent::Resolved { verdict: Verdict::Made(task()) },
        JobEvent::Resolved { verdict: Verdict::NotMade },
        JobEvent::Resolved { verdict: Verdict::Drop },
        JobEvent::RetryAsked,
        JobEvent::Changed { content: changed.content(), effect: Box::new(changed) },
        JobEvent::Moved { output: OutputKey::new("bert.mp4").unwrap() },
        JobEvent::Routed { account: Some(AccountName::new("kling").unwrap()) },
        JobEvent::Adopted {
            attempt: job.next_attempt(),
            client_ref: ClientRef::new(format!("nr-x-a{}", job.next_attempt())).unwrap(),
            account: AccountName::new("kling").unwrap(),
            task: task(),
        },
    ]
}

fn name(event: &JobEvent) -> String {
    match event {
        JobEvent::Resolved { verdict } => format!(
            "resolved({})",
            serde_json::to_value(verdict).unwrap().to_string().split(':').next().unwrap().trim_matches(['{', '"'])
        ),
        JobEvent::ResendAllowed { perhaps_paid: true } => "resend_allowed(perhaps paid)".to_owned(),
        other => other.name().to_owned(),
    }
}

/// A job in each state, reached by its shortest legal history.
fn one_of_each() -> Vec<Job> {
    let go = |job: &Job, wanted: &[&str]| {
        wanted.iter().fold(job.clone(), |job, wanted| {
            let event = events(&job).into_iter().find(|event| name(event) == *wanted).unwrap();
            job.apply(&event, at(1)).unwrap()
        })
    };
    let planned = new_job();
    vec![
        go(&planned, &[]),
        go(&planned, &["submit_started"]),
        go(&planned, &["submit_started", "doubted"]),
        go(&planned, &["submit_started", "accepted"]),
        go(&planned, &["submit_started", "accepted", "succeeded"]),
        go(&planned, &["submit_started", "accepted", "succeeded", "stored"]),
        go(&planned, &["submit_started", "accepted", "task_failed"]),
        go(&planned, &["submit_started", "doubted", "held_for_person"]),
        go(&planned, &["submit_started", "accepted", "gave_up"]),
    ]
}

#[test]
fn the_whole_matrix_of_states_and_events() {
    let mut table = String::new();
    for job in one_of_each() {
        writeln!(table, "{}", job.state.code().word()).unwrap();
        for event in events(&job) {
            if let Ok(next) = job.apply(&event, at(2)) {
                let paid = i64::from(next.submissions) - i64::from(job.submissions);
                let paid = if paid == 0 { String::new() } else { format!(" (may have been paid: {paid:+})") };
                writeln!(table, "  {} -> {}{paid}", name(&event), next.state.code().word()).unwrap();
            }
        }
    }
    insta::assert_snapshot!(table);
}

#[test]
fn a_request_that_made_nothing_goes_out_again_under_its_own_reference() {
    let job = new_job();
    let put_off = ["submit_started", "put_off", "submit_started", "put_off"].iter().fold(job, |job, wanted| {
        let event = events(&job).into_iter().find(|event| name(event) == *wanted).unwrap();
        job.apply(&event, at(1)).unwrap()
    });
    assert_eq!(put_off.next_attempt(), 1);
    assert_eq!((put_off.submissions, put_off.attempt.unwrap().put_offs), (0, 2));
}

#[test]
fn a_row_that_ended_keeps_when_it_did_and_names_its_video() {
    for job in one_of_each() {
        let has_ended = matches!(job.state, State::Done { .. } | State::Failed { .. });
        assert_eq!(job.finished_at, has_ended.then(|| at(1)), "{:?}", job.state);
        let video = matches!(job.state, State::Done { .. }).then(artifact);
        assert_eq!(job.artifact(), video.as_ref());
        for event in events(&job) {
            let Ok(next) = job.apply(&event, at(2)) else { continue };
            let ended_now = matches!(next.state, State::Done { .. } | State::Failed { .. });
            let stays = next.state.code() == job.state.code();
            let when = ended_now.then(|| if stays { at(1) } else { at(2) });
            assert_eq!(next.finished_at, when, "{} after {:?}", name(&event), job.state);
        }
    }
}

#[test]
fn doubt_is_told_in_words() {
    let words = || "reset".to_owned();
    for (doubt, told) in [
        (Doubt::LostAnswer { words: words() }, "the answer was lost (reset)"),
        (Doubt::TimedOut, "no answer came in time"),
        (Doubt::ServerError { status: 502, words: words() }, "the answer was HTTP 502 (reset)"),
        (Doubt::NotUnderstood { status: 200, words: words() }, "the answer made no sense (HTTP 200: reset)"),
        (Doubt::AlreadyThere, "the remote has this row already"),
        (Doubt::Interrupted, "nightreel was stopped before the answer"),
    ] {
        assert_eq!(doubt.to_string(), told);
    }
}

#[test]
fn what_may_be_at_an_account_already_is_sent_again_by_that_account_only() {
    let job = ["submit_started", "doubted", "resend_allowed"].iter().fold(new_job(), |job, wanted| {
        let event = events(&job).into_iter().find(|event| name(event) == *wanted).unwrap();
        job.apply(&event, at(1)).unwrap()
    });
    let send = |account: &str| JobEvent::SubmitStarted {
        attempt: 1,
        client_ref: ClientRef::new("nr-x-a1").unwrap(),
        account: AccountName::new(account).unwrap(),
        price: None,
    };
    assert!(job.apply(&send("other"), at(2)).is_err());
    assert!(job.apply(&send("kling"), at(2)).is_ok());
    // However often it is put off there.
    let submitting = job.apply(&send("kling"), at(2)).unwrap();
    let put_off = submitting.apply(&JobEvent::PutOff { due_at: at(3), words: "busy".into() }, at(3)).unwrap();
    assert!(put_off.apply(&send("other"), at(4)).is_err());
    assert!(put_off.apply(&send("kling"), at(4)).is_ok());
    // A row that is routed elsewhere meanwhile still goes where it may be.
    let routed = job.apply(&JobEvent::Routed { account: AccountName::new("other").ok() }, at(2)).unwrap();
    assert!(routed.apply(&send("other"), at(3)).is_err());
}

#[test]
fn a_resend_that_may_be_paid_twice_counts_twice() {
    let after = |resend: &str| {
        ["submit_started", "doubted", resend, "submit_started"].iter().fold(new_job(), |job, wanted| {
            let event = events(&job).into_iter().find(|event| name(event) == *wanted).unwrap();
            job.apply(&event, at(1)).unwrap()
        })
    };
    let (safe, risked) = (after("resend_allowed"), after("resend_allowed(perhaps paid)"));
    assert_eq!((safe.submissions, risked.submissions), (1, 2));
    assert_eq!((safe.attempt.unwrap().risks, risked.attempt.unwrap().risks), (0, 1));
}

#[test]
fn another_attempt_never_takes_the_number_of_one_that_was_made() {
    let failed = &one_of_each()[6];
    let again = failed.apply(&JobEvent::RetryAsked, at(3)).unwrap();
    assert_eq!(again.next_attempt(), 2);
    let old = JobEvent::SubmitStarted {
        attempt: 1,
        client_ref: ClientRef::new("nr-x-a1").unwrap(),
        account: AccountName::new("kling").unwrap(),
        price: None,
    };
    assert!(again.apply(&old, at(4)).is_err());
}

/// The job after these events, one after the other.
fn after(wanted: &[&str]) -> Job {
    wanted.iter().fold(new_job(), |job, wanted| {
        let event = events(&job).into_iter().find(|event| name(event) == *wanted).unwrap();
        job.apply(&event, at(1)).unwrap()
    })
}

#[test]
fn a_row_that_a_person_dropped_is_adopted_under_its_own_reference_only() {
    let dropped = after(&["submit_started", "doubted", "held_for_person"])
        .apply(&JobEvent::Resolved { verdict: Verdict::Drop }, at(2))
        .unwrap();
    let known = dropped.attempt.clone().unwrap();
    let adopted = |reference: &str| JobEvent::Adopted {
        attempt: known.number,
        client_ref: ClientRef::new(reference).unwrap(),
        account: known.account.clone(),
        task: task(),
    };
    assert!(dropped.apply(&adopted("nr-y-a1"), at(3)).is_err(), "that is another row's task");
    let waiting = dropped.apply(&adopted(known.client_ref.as_str()), at(3)).unwrap();
    assert_eq!((waiting.task(), waiting.submissions), (Some(&task()), 1));
}

#[test]
fn each_download_that_fails_is_counted() {
    let twice = after(&["submit_started", "accepted", "succeeded", "fetch_failed", "fetch_failed"]);
    assert!(matches!(twice.state, State::Ready { tries: 2, .. }), "{:?}", twice.state);
}

proptest! {
    #[test]
    fn every_history_keeps_the_promises(choices in proptest::collection::vec(0_usize..27, 0..60)) {
        let mut job = new_job();
        let mut replayed = new_job();
        for (second, choice) in choices.into_iter().enumerate() {
            let event = events(&job).swap_remove(choice);
            let before = job.clone();
            let when = at(i64::try_from(second).unwrap());
            let Ok(next) = job.apply(&event, when) else { continue };
            job = next;
            replayed = replayed.apply(&event, when).unwrap();
            prop_assert_eq!(job.version, before.version + 1);
            // Only an intent makes a job submitting, and only from planned.
            if before.state.code() != job.state.code() && job.state == State::Submitting {
                prop_assert_eq!(before.state.code(), StateCode::Planned);
                prop_assert_eq!(job.submissions, before.submissions + 1);
            }
            // Watching and collecting never lead to a submission.
            if matches!(before.state, State::Waiting { .. } | State::Ready { .. }) {
                prop_assert!(![StateCode::Planned, StateCode::Submitting].contains(&job.state.code()));
            }
            // What runs at the remote has an attempt; what the remote has, has a task.
            if job.state.code().runs() {
                prop_assert!(job.attempt.is_some());
            }
            if matches!(job.state, State::Waiting { .. } | State::Ready { .. } | State::Done { .. } | State::Stuck { .. }) {
                prop_assert!(job.task().is_some());
            }
        }
        prop_assert_eq!(job, replayed);
    }

    #[test]
    fn states_and_events_read_back_what_they_write(choice in 0_usize..27) {
        for job in one_of_each() {
            let event = events(&job).swap_remove(choice);
            let text = serde_json::to_string(&event).unwrap();
            prop_assert_eq!(serde_json::from_str::<JobEvent>(&text).unwrap(), event);
            let text = serde_json::to_string(&job.state).unwrap();
            prop_assert_eq!(serde_json::from_str::<State>(&text).unwrap(), job.state);
        }
    }
}
