//! Histories as people read them.

use super::*;
use crate::domain::{Artifact, ClientRef, Digest, Doubt, FailureCause, OutputKey, TaskId};
use crate::store::contract::{account, at, filled, started};
use crate::store::sqlite::SqliteStore;
use crate::store::{Filter, Store};

async fn job() -> Job {
    let store = SqliteStore::open_in_memory().unwrap();
    filled(&store, "m", 1).await;
    store.jobs(Filter::default(), crate::domain::JobId(0), 1).await.unwrap().remove(0)
}

fn recorded(events: Vec<(i64, JobEvent)>) -> Vec<Recorded> {
    events.into_iter().map(|(second, event)| Recorded { seq: second, at: at(second), event }).collect()
}

#[tokio::test]
async fn a_night_of_one_row_is_told_in_plain_words() {
    let job = job().await;
    let task = || TaskId::new("867283741759111202").unwrap();
    let artifact = Artifact { key: job.output.clone(), bytes: 12_345_678, sha256: Digest::of(b"v") };
    let lost = Doubt::LostAnswer { words: "connection reset".into() };
    let history = recorded(vec![
        (0, started(&job)),
        (2, JobEvent::PutOff { due_at: at(5), words: "busy (1303)".into() }),
        (5, started(&job)),
        (8, JobEvent::Doubted { doubt: lost, due_at: at(68) }),
        (68, JobEvent::Found { task: task() }),
        (197, JobEvent::Succeeded { link: "http://x/v".into(), took_ms: Some(192_000), units: Some("2".into()) }),
        (198, JobEvent::FetchFailed { due_at: at(200), words: "cut off".into() }),
        (200, JobEvent::Stored { artifact }),
    ]);
    let told: Vec<String> = story(&history, &TimeZone::UTC)
        .into_iter()
        .map(|told| format!("{}|{}", told.after.map_or_else(String::new, spoken), told.words))
        .collect();
    let reference = format!("nr-{}-a1", job.id);
    assert_eq!(
        told,
        [
            format!("|sent to kling as {reference}, about USD 0.28"),
            "2 s|put off: busy (1303); nothing was made, sent again at 00:00:05".to_owned(),
            format!("3 s|sent again to kling as {reference}, about USD 0.28"),
            "3 s|the answer was lost (connection reset); asked at 00:01:08 whether it was made".to_owned(),
            "1 min|found: task 867283741759111202; it is not paid again".to_owned(),
            "2 min 9 s|made after 3 min 12 s; 2 units".to_owned(),
            "1 s|fetch failed: cut off; tried again at 00:00:00".replace("00:00:00", "00:03:20"),
            "2 s|stored as squish/r0.mp4, 12.3 MB".to_owned(),
        ]
    );
}

#[tokio::test]
async fn no_event_shows_its_name_of_the_ledger() {
    let job = job().await;
    let task = || TaskId::new("t").unwrap();
    let words = || "w".to_owned();
    let client_ref = ClientRef::new("nr-x-a1").unwrap();
    let events = vec![
        started(&job),
        JobEvent::Accepted { task: task(), request_id: Some("q".into()), handle: None },
        JobEvent::Refused { cause: FailureCause::Input { words: words() } },
        JobEvent::PutOff { due_at: at(9), words: words() },
        JobEvent::Doubted { doubt: Doubt::TimedOut, due_at: at(9) },
        JobEvent::LookedAbsent { due_at: at(9) },
        JobEvent::LookPutOff { due_at: at(9) },
        JobEvent::Found { task: task() },
        JobEvent::ResendAllowed { perhaps_paid: false },
        JobEvent::HeldForPerson,
        JobEvent::Succeeded { link: "l".into(), took_ms: None, units: None },
        JobEvent::TaskFailed { words: String::new(), units: Some("1".into()) },
        JobEvent::GaveUp { words: words() },
        JobEvent::Revived,
        JobEvent::FetchFailed { due_at: at(9), words: words() },
        JobEvent::LinkExpired,
        JobEvent::ArtifactLost { words: "missing from the output tree".into() },
        JobEvent::Resolved { verdict: Verdict::Made(task()) },
        JobEvent::Resolved { verdict: Verdict::NotMade },
        JobEvent::Resolved { verdict: Verdict::Drop },
        JobEvent::RetryAsked,
        JobEvent::Changed { effect: Box::new(job.effect.clone()), content: job.content },
        JobEvent::Moved { output: OutputKey::new("a/b.mp4").unwrap() },
        JobEvent::Routed { account: Some(account()) },
        JobEvent::Routed { account: None },
        JobEvent::Adopted { attempt: 1, client_ref, account: account(), task: task() },
    ];
    for event in events {
        let said = words_of(&event);
        assert!(said.contains(' ') || said == "made", "{said}");
        assert!(!said.contains('_') && !said.contains('{'), "{}: {said}", event.name());
    }
}

fn words_of(event: &JobEvent) -> String {
    words(event, at(0), &TimeZone::UTC)
}

#[tokio::test]
async fn what_to_type_names_the_row_as_a_shell_takes_it() {
    let mut job = job().await;
    job.label = "anna's cat".into();
    for event in [started(&job), JobEvent::Doubted { doubt: Doubt::TimedOut, due_at: at(1) }, JobEvent::HeldForPerson] {
        job = job.apply(&event, at(1)).unwrap();
    }
    let (words, next) = standing(&job, at(2), &TimeZone::UTC);
    assert_eq!(words, "held: no answer came in time; look for it at kling");
    assert_eq!(next[0], r"nightreel resolve 'anna'\''s cat' --made TASK_ID   (it was made)");
    assert_eq!([quoted("anna"), quoted(""), quoted("-x")], ["anna", "''", "'-x'"]);
}

#[test]
fn spans_are_said_with_their_two_largest_parts() {
    let said = |ms| spoken(SignedDuration::from_millis(ms));
    assert_eq!([said(80), said(59_000), said(192_000)], ["80 ms", "59 s", "3 min 12 s"]);
    assert_eq!([said(3_600_000), said(90_061_000)], ["1 h", "1 d 1 h"]);
}
