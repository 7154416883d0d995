//! The one function that changes a job: used live, on replay, and by every store. Nothing else sets a state.
//!
//! It refuses what may not happen. Above all: a job leaves doubt only by what the remote or a person says, and no event
//! of watching or collecting leads back to a submission.

use jiff::Timestamp;

use super::{Attempt, Doubt, FailureCause, Job, JobEvent, State, StateCode, Verdict};

/// An event that may not happen to a job in its state.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{event} cannot happen to a job that is {}", .state.word())]
pub struct IllegalTransition {
    /// The job's state.
    pub state: StateCode,
    /// The event's name.
    pub event: &'static str,
}

impl Job {
    /// The job after `event`, which happened at `at`.
    pub fn apply(&self, event: &JobEvent, at: Timestamp) -> Result<Self, IllegalTransition> {
        let mut next = self.clone();
        next.state = next_state(&mut next, event, at)
            .ok_or(IllegalTransition { state: self.state.code(), event: event.name() })?;
        next.version += 1;
        next.finished_at = match (&next.state, next.finished_at) {
            (State::Done { .. } | State::Failed { .. }, Some(before)) if self.state.code() == next.state.code() => {
                Some(before)
            }
            (State::Done { .. } | State::Failed { .. }, _) => Some(at),
            _ => None,
        };
        Ok(next)
    }

    /// Whether `event` may happen to the job now.
    #[must_use]
    pub fn admits(&self, event: &JobEvent, at: Timestamp) -> bool {
        self.apply(event, at).is_ok()
    }
}

/// The state that follows, with the attempt and its count brought up to date in `job`; `None` where the event is illegal.
#[expect(clippy::too_many_lines, reason = "the whole table of what may happen is read in one place")]
#[expect(clippy::match_same_arms, reason = "arms are grouped by what happened, not by what follows")]
fn next_state(job: &mut Job, event: &JobEvent, at: Timestamp) -> Option<State> {
    use JobEvent as E;
    use State as S;
    let planned = |resend| S::Planned { due_at: at, resend, with: None };
    match (job.state.clone(), event) {
        (S::Planned { .. }, E::SubmitStarted { attempt, client_ref, account, price })
            if *attempt == job.next_attempt() && job.sender().is_none_or(|only| only == account) =>
        {
            let mut sent = Attempt::new(*attempt, client_ref.clone(), account.clone(), at);
            sent.price.clone_from(price);
            if let Some(last) = job.attempt.as_ref().filter(|last| last.number == *attempt) {
                (sent.put_offs, sent.tied, sent.risks) = (last.put_offs, last.tied, last.risks);
            }
            job.attempt = Some(sent);
            job.submissions += 1;
            Some(S::Submitting)
        }
        (S::Planned { .. }, E::Refused { cause }) => Some(S::Failed { cause: cause.clone() }),

        (S::Submitting, E::Accepted { task, request_id, handle }) => {
            let attempt = job.attempt.as_mut()?;
            attempt.task = Some(task.clone());
            attempt.request_id.clone_from(request_id);
            attempt.handle.clone_from(handle);
            Some(S::Waiting { since: at })
        }
        (S::Submitting | S::InDoubt { .. } | S::Held { .. }, E::Found { task }) => {
            job.attempt.as_mut()?.task = Some(task.clone());
            Some(S::Waiting { since: at })
        }
        (S::Submitting, E::Refused { cause }) => {
            job.submissions = job.submissions.saturating_sub(1);
            Some(S::Failed { cause: cause.clone() })
        }
        (S::Submitting, E::PutOff { due_at, .. }) => {
            job.submissions = job.submissions.saturating_sub(1);
            let attempt = job.attempt.as_mut()?;
            attempt.put_offs += 1;
            let with = attempt.tied.then(|| attempt.account.clone());
            Some(S::Planned { due_at: *due_at, resend: true, with })
        }
        (S::Submitting, E::Doubted { doubt, due_at }) => {
            // A request of a run that was stopped is as old as its intent, however late we come back to it.
            let since = if *doubt == Doubt::Interrupted { job.attempt.as_ref()?.started_at } else { at };
            Some(S::InDoubt { doubt: doubt.clone(), since, due_at: *due_at, looks: 0 })
        }

        (S::InDoubt { doubt, since, looks, .. }, E::LookedAbsent { due_at }) => {
            Some(S::InDoubt { doubt, since, due_at: *due_at, looks: looks + 1 })
        }
        (S::InDoubt { doubt, since, looks, .. }, E::LookPutOff { due_at }) => {
            Some(S::InDoubt { doubt, since, due_at: *due_at, looks })
        }
        (S::InDoubt { .. }, E::ResendAllowed { perhaps_paid }) => {
            let attempt = job.attempt.as_mut()?;
            // Only where it may be already would it be refused the second time.
            attempt.tied = true;
            let with = Some(attempt.account.clone());
            if *perhaps_paid {
                attempt.risks += 1;
            } else {
                job.submissions = job.submissions.saturating_sub(1);
            }
            Some(S::Planned { due_at: at, resend: true, with })
        }
        (S::InDoubt { doubt, .. }, E::HeldForPerson) => Some(S::Held { doubt }),

        (S::InDoubt { .. } | S::Held { .. }, E::Resolved { verdict }) => match verdict {
            Verdict::Made(task) => {
                job.attempt.as_mut()?.task = Some(task.clone());
                Some(S::Waiting { since: at })
            }
            Verdict::NotMade => {
                job.submissions = job.submissions.saturating_sub(1);
                job.attempt.as_mut()?.tied = false;
                Some(planned(true))
            }
            Verdict::Drop => Some(S::Failed { cause: FailureCause::Dropped }),
        },
        (S::Stuck { .. }, E::Resolved { verdict: Verdict::Made(task) }) => {
            job.attempt.as_mut()?.task = Some(task.clone());
            Some(S::Waiting { since: at })
        }
        // The remote had the task: a person who gives it up and sends the row again pays again, under a new number.
        (S::Stuck { .. }, E::Resolved { verdict: Verdict::NotMade }) => Some(planned(false)),
        (S::Stuck { .. }, E::Resolved { verdict: Verdict::Drop }) => Some(S::Failed { cause: FailureCause::Dropped }),

        (S::Waiting { .. }, E::Succeeded { link, took_ms, units }) => {
            let attempt = job.attempt.as_mut()?;
            attempt.took_ms = took_ms.or(attempt.took_ms);
            attempt.units = units.clone().or(attempt.units.take());
            Some(S::Ready { link: link.clone(), due_at: at, tries: 0 })
        }
        (S::Waiting { .. }, E::TaskFailed { words, units }) => {
            job.attempt.as_mut()?.units.clone_from(units);
            Some(S::Failed { cause: FailureCause::TaskFailed { words: words.clone() } })
        }
        (S::Waiting { since }, E::GaveUp { words }) => Some(S::Stuck { since, words: words.clone() }),
        (S::Ready { .. }, E::GaveUp { words }) => {
            Some(S::Stuck { since: job.attempt.as_ref()?.started_at, words: words.clone() })
        }
        (S::Stuck { since, .. }, E::Revived) => {
            job.attempt.as_mut()?.dead_links = 0;
            Some(S::Waiting { since })
        }

        (S::Ready { link, tries, .. }, E::FetchFailed { due_at, .. }) => {
            Some(S::Ready { link, due_at: *due_at, tries: tries + 1 })
        }
        (S::Ready { .. }, E::LinkExpired) => {
            let attempt = job.attempt.as_mut()?;
            attempt.dead_links += 1;
            Some(S::Waiting { since: attempt.started_at })
        }
        (S::Ready { .. }, E::Stored { artifact }) => Some(S::Done { artifact: artifact.clone() }),
        (S::Done { .. }, E::ArtifactLost { .. }) => {
            let attempt = job.attempt.as_ref()?;
            attempt.task.as_ref()?;
            // As old as it is: a remote that has thrown it away is not waited for.
            Some(S::Waiting { since: attempt.started_at })
        }

        (S::Failed { .. }, E::RetryAsked) => Some(planned(false)),
        // A new content is a new attempt; one whose attempts are all unpaid starts like a new row.
        (S::Planned { .. } | S::Failed { .. } | S::Done { .. }, E::Changed { effect, content }) => {
            job.effect = (**effect).clone();
            job.content = *content;
            Some(planned(false))
        }
        (
            state @ (S::Planned { .. }
            | S::Submitting
            | S::InDoubt { .. }
            | S::Waiting { .. }
            | S::Ready { .. }
            | S::Failed { .. }
            | S::Held { .. }
            | S::Stuck { .. }),
            E::Moved { output },
        ) => {
            job.output = output.clone();
            Some(state)
        }
        (state @ (S::Planned { .. } | S::Failed { .. } | S::Held { .. }), E::Routed { account }) => {
            job.account.clone_from(account);
            Some(state)
        }
        // Paid for, and forgotten: by a ledger that was lost, or by a person who dropped it.
        (S::Planned { .. }, E::Adopted { attempt, client_ref, account, task }) if *attempt >= job.last_attempt() => {
            job.submissions += 1;
            job.attempt = Some(Attempt::adopted(*attempt, client_ref, account, task, at));
            Some(S::Waiting { since: at })
        }
        (S::Failed { cause: FailureCause::Dropped }, E::Adopted { client_ref, task, .. })
            if job.attempt.as_ref().is_some_and(|known| known.client_ref == *client_ref) =>
        {
            job.attempt.as_mut()?.task = Some(task.clone());
            Some(S::Waiting { since: at })
        }
        _ => None,
    }
}

#[cfg(test)]
mod tests;
