//! What was sent for a row, and what became of each request: read from its history, because a job itself knows only its
//! last attempt.

use jiff::Timestamp;

use crate::domain::{AccountName, ClientRef, JobEvent, Price, TaskId, Verdict};
use crate::store::Recorded;

/// A request that was sent, or whose intent was recorded.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Request {
    /// The number of its attempt. A request that was sent again under the same reference has the same.
    pub number: u32,
    /// What was sent as `external_task_id`.
    pub client_ref: ClientRef,
    /// Who sent it.
    pub account: AccountName,
    /// When its intent became durable; for one that was found at the remote, when it was found.
    pub sent: Timestamp,
    /// What it would probably cost.
    pub price: Option<Price>,
    /// What the remote calls the request.
    pub request_id: Option<String>,
    /// What the remote calls the task.
    pub task: Option<TaskId>,
    /// When its end was learned: made, failed or refused.
    pub ended: Option<Timestamp>,
    /// How long the generation took, in milliseconds.
    pub took_ms: Option<u64>,
    /// What the remote says that it charged, in its units.
    pub units: Option<String>,
    /// What became of it.
    pub outcome: Outcome,
}

/// What became of a request.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Outcome {
    /// Its intent is recorded, its answer is not.
    Sent,
    /// Nobody knows whether it made a task.
    InDoubt {
        /// Why.
        words: String,
    },
    /// The remote did not show it, and the same reference was sent again.
    SentAgain,
    /// It certainly made nothing.
    NotMade {
        /// Why.
        words: String,
    },
    /// The remote has its task, which has not ended as far as is known.
    Waiting {
        /// Why it is not waited for any more, where it is not.
        words: String,
    },
    /// Its task failed.
    Failed {
        /// The remote's words.
        words: String,
    },
    /// Its video was made, and is not in the output tree.
    Made {
        /// Why, where that is known.
        words: String,
    },
    /// Its video was put into the output tree.
    Collected,
}

/// The requests of one row by its history, oldest first: every one that may have been paid, and those that were refused.
/// Requests that were put off made nothing and are left out.
#[must_use]
pub fn requests(history: &[Recorded]) -> Vec<Request> {
    let mut requests: Vec<Request> = Vec::new();
    for Recorded { at, event, .. } in history {
        match event {
            JobEvent::SubmitStarted { attempt, client_ref, account, price } => {
                let sent = Request::new(*attempt, client_ref, account, *at);
                requests.push(Request { price: price.clone(), ..sent });
            }
            JobEvent::Adopted { attempt, client_ref, account, task } => {
                if requests.last().is_none_or(|last| last.client_ref != *client_ref || last.task.is_some()) {
                    requests.push(Request::new(*attempt, client_ref, account, *at));
                }
                requests.last_mut().into_iter().for_each(|last| last.has(task));
            }
            JobEvent::PutOff { .. } => drop(requests.pop()),
            other => requests.last_mut().into_iter().for_each(|last| last.learn(other, *at)),
        }
    }
    requests
}

impl Request {
    fn new(number: u32, client_ref: &ClientRef, account: &AccountName, sent: Timestamp) -> Self {
        Self {
            number,
            client_ref: client_ref.clone(),
            account: account.clone(),
            sent,
            price: None,
            request_id: None,
            task: None,
            ended: None,
            took_ms: None,
            units: None,
            outcome: Outcome::Sent,
        }
    }

    /// The remote has it as this task.
    fn has(&mut self, task: &TaskId) {
        self.task = Some(task.clone());
        self.outcome = Outcome::Waiting { words: String::new() };
    }

    /// Takes in what happened to the row while this was its last request.
    fn learn(&mut self, event: &JobEvent, at: Timestamp) {
        match event {
            JobEvent::Accepted { task, request_id, .. } => {
                self.has(task);
                self.request_id.clone_from(request_id);
            }
            JobEvent::Found { task } | JobEvent::Resolved { verdict: Verdict::Made(task) } => self.has(task),
            // A row that fails before it is sent again says nothing of the request before.
            JobEvent::Refused { cause } if self.outcome == Outcome::Sent => {
                self.end(at, Outcome::NotMade { words: cause.to_string() });
            }
            JobEvent::Doubted { doubt, .. } => self.outcome = Outcome::InDoubt { words: doubt.to_string() },
            JobEvent::ResendAllowed { perhaps_paid: false } => self.outcome = Outcome::SentAgain,
            JobEvent::Succeeded { took_ms, units, .. } => {
                self.took_ms = took_ms.or(self.took_ms);
                self.units = units.clone().or(self.units.take());
                // A link that died and came again ended when it first did.
                let ended = self.ended.unwrap_or(at);
                self.end(ended, Outcome::Made { words: String::new() });
            }
            JobEvent::TaskFailed { words, units } => {
                self.units.clone_from(units);
                self.end(at, Outcome::Failed { words: words.clone() });
            }
            JobEvent::GaveUp { words } | JobEvent::ArtifactLost { words } => self.say(words.clone()),
            JobEvent::Revived => self.say(String::new()),
            JobEvent::Resolved { verdict: Verdict::NotMade } => match &self.outcome {
                Outcome::InDoubt { .. } => {
                    self.end(at, Outcome::NotMade { words: "settled by hand: it was not made".to_owned() });
                }
                _ => self.say("given up by hand".to_owned()),
            },
            JobEvent::Resolved { verdict: Verdict::Drop } => self.say("dropped by hand".to_owned()),
            JobEvent::Stored { .. } => self.outcome = Outcome::Collected,
            JobEvent::Refused { .. }
            | JobEvent::LookedAbsent { .. }
            | JobEvent::LookPutOff { .. }
            | JobEvent::ResendAllowed { perhaps_paid: true }
            | JobEvent::HeldForPerson
            | JobEvent::FetchFailed { .. }
            | JobEvent::LinkExpired
            | JobEvent::RetryAsked
            | JobEvent::Changed { .. }
            | JobEvent::Moved { .. }
            | JobEvent::Routed { .. }
            | JobEvent::SubmitStarted { .. }
            | JobEvent::Adopted { .. }
            | JobEvent::PutOff { .. } => {}
        }
    }

    fn end(&mut self, at: Timestamp, outcome: Outcome) {
        self.ended = Some(at);
        self.outcome = outcome;
    }

    /// Says why it is where it is, without moving it; but that a video that was lost is no longer collected.
    fn say(&mut self, why: String) {
        match &mut self.outcome {
            Outcome::InDoubt { words } if !words.is_empty() && !why.is_empty() => words.push_str(&format!("; {why}")),
            Outcome::InDoubt { words } | Outcome::Waiting { words } | Outcome::Made { words } => *words = why,
            Outcome::Collected => self.outcome = Outcome::Made { words: why },
            Outcome::Sent | Outcome::SentAgain | Outcome::NotMade { .. } | Outcome::Failed { .. } => {}
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::{Artifact, Digest, Doubt, FailureCause, OutputKey};

    fn at(seconds: usize) -> Timestamp {
        Timestamp::from_second(i64::try_from(seconds).unwrap()).unwrap()
    }

    fn task(name: &str) -> TaskId {
        TaskId::new(name).unwrap()
    }

    fn started(attempt: u32) -> JobEvent {
        let price = Some(Price { amount: "0.28".parse().unwrap(), currency: crate::domain::Currency::default() });
        let (client_ref, account) = (reference(attempt), AccountName::new("kling").unwrap());
        JobEvent::SubmitStarted { attempt, client_ref, account, price }
    }

    fn reference(attempt: u32) -> ClientRef {
        ClientRef::new(format!("nr-x-a{attempt}")).unwrap()
    }

    fn accepted(name: &str) -> JobEvent {
        JobEvent::Accepted { task: task(name), request_id: Some(format!("r-{name}")), handle: None }
    }

    fn succeeded() -> JobEvent {
        JobEvent::Succeeded { link: "http://127.0.0.1/v".into(), took_ms: Some(1500), units: Some("2".into()) }
    }

    fn stored() -> JobEvent {
        let artifact = Artifact { key: OutputKey::new("a.mp4").unwrap(), bytes: 3, sha256: Digest::of(b"abc") };
        JobEvent::Stored { artifact }
    }

    fn put_off() -> JobEvent {
        JobEvent::PutOff { due_at: at(0), words: "busy".into() }
    }

    fn doubted() -> JobEvent {
        JobEvent::Doubted { doubt: Doubt::TimedOut, due_at: at(0) }
    }

    /// The requests of a history whose events came a second apart.
    fn read(events: &[JobEvent]) -> Vec<Request> {
        let record = |(seq, event): (usize, &JobEvent)| Recorded { seq: 0, at: at(seq), event: event.clone() };
        requests(&events.iter().enumerate().map(record).collect::<Vec<_>>())
    }

    #[test]
    fn every_attempt_that_was_paid_is_there_and_what_was_put_off_is_not() {
        let failed = JobEvent::TaskFailed { words: "risk".into(), units: Some("1".into()) };
        let history = [
            started(1),
            put_off(),
            started(1),
            accepted("t1"),
            failed,
            JobEvent::RetryAsked,
            started(2),
            accepted("t2"),
            succeeded(),
            JobEvent::LinkExpired,
            succeeded(),
            stored(),
        ];
        let [first, second] = read(&history).try_into().unwrap();
        assert_eq!(first.outcome, Outcome::Failed { words: "risk".into() });
        assert_eq!((first.number, first.sent, first.ended), (1, at(2), Some(at(4))));
        assert_eq!(
            (first.units.as_deref(), first.task, first.request_id.as_deref()),
            (Some("1"), Some(task("t1")), Some("r-t1"))
        );
        assert_eq!((second.number, second.ended, second.took_ms), (2, Some(at(8)), Some(1500)));
        assert_eq!((second.outcome, second.price.unwrap().to_string().as_str()), (Outcome::Collected, "USD 0.28"));
    }

    #[test]
    fn a_request_that_was_sent_again_or_settled_by_hand_is_not_forgotten() {
        let outcomes =
            |events: &[JobEvent]| read(events).into_iter().map(|request| request.outcome).collect::<Vec<_>>();
        let in_doubt = |words: &str| Outcome::InDoubt { words: words.into() };
        let resolved = |verdict| JobEvent::Resolved { verdict };
        assert_eq!(
            outcomes(&[
                started(1),
                doubted(),
                JobEvent::ResendAllowed { perhaps_paid: false },
                started(1),
                accepted("t"),
                succeeded(),
                stored()
            ]),
            [Outcome::SentAgain, Outcome::Collected]
        );
        let held = [started(1), doubted(), JobEvent::HeldForPerson];
        assert_eq!(outcomes(&held), [in_doubt("no answer came in time")]);
        let with = |more: &[JobEvent]| outcomes(&[&held[..], more].concat());
        assert_eq!(with(&[resolved(Verdict::Drop)]), [in_doubt("no answer came in time; dropped by hand")]);
        assert!(matches!(
            with(&[resolved(Verdict::NotMade), started(1)])[..],
            [Outcome::NotMade { .. }, Outcome::Sent]
        ));
        assert_eq!(with(&[resolved(Verdict::Made(task("t"))), succeeded()]), [Outcome::Made { words: String::new() }]);
        // What was dropped and found again is one request, not two.
        let adopted = JobEvent::Adopted {
            attempt: 1,
            client_ref: reference(1),
            account: AccountName::new("kling").unwrap(),
            task: task("t"),
        };
        assert_eq!(with(&[resolved(Verdict::Drop), adopted]), [Outcome::Waiting { words: String::new() }]);
    }

    #[test]
    fn a_refusal_is_of_the_request_that_got_it_and_a_lost_file_is_no_longer_collected() {
        let refused = || JobEvent::Refused { cause: FailureCause::Dropped };
        let [one] = read(&[started(1), refused()]).try_into().unwrap();
        assert_eq!((one.outcome, one.ended), (Outcome::NotMade { words: "dropped by hand".into() }, Some(at(1))));
        let paid = [started(1), accepted("t"), succeeded(), stored()];
        let never_sent = [&paid[..], &[JobEvent::RetryAsked, refused()]].concat();
        assert_eq!(read(&never_sent)[0].outcome, Outcome::Collected);
        let lost = [&paid[..], &[JobEvent::ArtifactLost { words: "missing".into() }]].concat();
        assert_eq!(read(&lost)[0].outcome, Outcome::Made { words: "missing".into() });
    }
}
