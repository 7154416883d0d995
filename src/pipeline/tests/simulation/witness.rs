//! Who watches what leaves and what is written down, and knows the rules: what was sent and may have been taken is not sent
//! again but by them. It believes neither the pipeline nor the ledger.

use std::collections::{BTreeMap, HashSet};
use std::sync::Mutex;

use super::*;
use crate::domain::ClientRef;
use crate::store::Change;

/// While fewer tasks than this were seen to end, one of which nothing is known takes as long as is usual for any.
const FEW: usize = 4;
const USUAL: Duration = Duration::from_secs(360);

/// What holds for all accounts of a case.
#[derive(Debug, Clone, Copy)]
pub(super) struct Rules {
    pub(super) able: Capabilities,
    pub(super) in_doubt: InDoubt,
    pub(super) settle_after: Duration,
    pub(super) interval: Duration,
    pub(super) in_flight: usize,
}

#[derive(Debug)]
pub(super) struct Witness {
    pub(super) rules: Rules,
    seen: Mutex<Seen>,
}

#[derive(Debug, Default)]
struct Seen {
    /// Requests of which the ledger does not know what became, by row.
    open: BTreeMap<String, Open>,
    /// Rows that were sent again by the user's own choice.
    risked: HashSet<ClientRef>,
    /// Attempts that the run does not count as running any more: a person settled them, or they were given up.
    let_go: HashSet<ClientRef>,
    /// Attempts that a person has and of which nothing can be learned, with when they were sent: they count until their tasks
    /// would surely have ended.
    held: BTreeMap<ClientRef, Timestamp>,
    /// How long the tasks took that were seen to end.
    took: Vec<Duration>,
    /// When each account last sent.
    left_at: BTreeMap<AccountName, Timestamp>,
    /// When somebody last set the clock.
    set_at: Option<Timestamp>,
    wrong: Vec<String>,
    requests: u64,
}

#[derive(Debug, Clone)]
struct Open {
    reference: ClientRef,
    account: AccountName,
    told: Told,
    left: Timestamp,
    /// Since when it is quiet.
    quiet_from: Timestamp,
    /// When the remote last said that it does not know it.
    absent_at: Option<Timestamp>,
    shown: bool,
}

/// What the client was told of a request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Told {
    Nothing,
    Clearly,
    Doubtfully,
}

impl Witness {
    pub(super) fn new(rules: Rules) -> Self {
        Self { rules, seen: Mutex::default() }
    }

    fn seen(&self) -> std::sync::MutexGuard<'_, Seen> {
        self.seen.lock().unwrap()
    }

    /// Something must not have happened.
    pub(super) fn wrong(&self, words: String) {
        self.seen().wrong.push(words);
    }

    /// What must not have happened, so far.
    pub(super) fn found_wrong(&self) -> Option<String> {
        self.seen().wrong.first().cloned()
    }

    /// How many requests left.
    pub(super) fn requests(&self) -> u64 {
        self.seen().requests
    }

    /// Somebody set the clock.
    pub(super) fn clock_was_set(&self, now: Timestamp) {
        self.seen().set_at = Some(now);
    }

    /// A request leaves.
    pub(super) fn leaves(&self, row: &str, reference: &ClientRef, account: &AccountName, now: Timestamp) {
        let rules = self.rules;
        let mut seen = self.seen();
        seen.requests += 1;
        let set_at = seen.set_at;
        let was_set = |since: Timestamp| set_at.is_some_and(|at| at >= since);
        if let Some(last) = seen.left_at.insert(account.clone(), now)
            && !was_set(last)
            && now.duration_since(last).unsigned_abs() < rules.interval
        {
            let gap = now.duration_since(last);
            seen.wrong.push(format!("two requests of {account} left {gap:#} apart"));
        }
        let open = Open {
            reference: reference.clone(),
            account: account.clone(),
            told: Told::Nothing,
            left: now,
            quiet_from: now,
            absent_at: None,
            shown: false,
        };
        let Some(before) = seen.open.insert(row.to_owned(), open) else { return };
        let its_own = before.reference == *reference && before.account == *account;
        let settled = before.quiet_from.checked_add(rules.settle_after).unwrap();
        let quiet = before.absent_at.is_some_and(|at| at >= settled || was_set(before.quiet_from));
        let safe = rules.able.resend_is_safe() && its_own && quiet && before.told != Told::Clearly;
        let chosen = rules.in_doubt == InDoubt::Resend && its_own && seen.risked.insert(reference.clone());
        if !safe && !chosen {
            seen.wrong.push(format!("{row} was sent again at {now}, as {reference}, in spite of {before:?}"));
        }
    }

    /// The client was told something of its request.
    pub(super) fn told(&self, row: &str, told: Told, now: Timestamp) {
        if let Some(open) = self.seen().open.get_mut(row) {
            open.told = told;
            open.quiet_from = now;
        }
    }

    /// The client was told whether the remote knows a reference.
    pub(super) fn looked_up(&self, reference: &ClientRef, is_shown: bool, now: Timestamp) {
        let mut seen = self.seen();
        for open in seen.open.values_mut().filter(|open| open.reference == *reference) {
            if is_shown {
                open.shown = true;
            } else {
                open.absent_at = Some(now);
            }
        }
    }

    /// The process died: what it was told and had not written down is forgotten.
    pub(super) fn process_died(&self) {
        for open in self.seen().open.values_mut() {
            open.told = Told::Doubtfully;
            open.quiet_from = open.left;
        }
    }

    /// Whether the run has let go of an attempt by `now`, so that it may run beside the slots.
    pub(super) fn is_let_go(&self, reference: &str, now: Timestamp) -> bool {
        let seen = self.seen();
        let Ok(reference) = ClientRef::new(reference) else { return false };
        let Some(sent_at) = seen.held.get(&reference) else { return seen.let_go.contains(&reference) };
        let slowest = seen.took.iter().max().copied().unwrap_or_default().mul_f64(1.5);
        let surely = if seen.took.len() < FEW { slowest.max(USUAL) } else { slowest };
        // Its request left a moment after its intent.
        let ended_at = sent_at.checked_add(surely).unwrap();
        now >= ended_at || seen.set_at.is_some_and(|at| at >= *sent_at)
    }

    /// Something was written down, durably.
    pub(super) fn committed(&self, change: &Change) {
        use JobEvent as E;
        let mut seen = self.seen();
        let row = change.job.label.as_str();
        let told = seen.open.get(row).map(|open| (open.told, open.shown));
        let reference = change.job.attempt.as_ref().map(|attempt| attempt.client_ref.clone());
        match &change.event {
            E::Accepted { .. } | E::Refused { .. } | E::PutOff { .. } => match told {
                Some((Told::Clearly, _)) => drop(seen.open.remove(row)),
                // A row that was in doubt, was to be sent again, and was not.
                None | Some(_) if matches!(change.event, E::PutOff { .. }) => {}
                None => {}
                Some((told, _)) => {
                    let words =
                        format!("{row}: {} was written down, and the remote told {told:?}", change.event.name());
                    seen.wrong.push(words);
                }
            },
            E::Found { task } => match told {
                Some((_, true)) => drop(seen.open.remove(row)),
                _ => seen.wrong.push(format!("{row}: {task} was found, and nobody had shown it")),
            },
            E::Resolved { .. } => {
                seen.open.remove(row);
                if let Some(reference) = &reference {
                    seen.held.remove(reference);
                }
                seen.let_go.extend(reference);
            }
            E::HeldForPerson if !self.rules.able.find => {
                let attempt = change.job.attempt.as_ref();
                seen.held.extend(attempt.map(|attempt| (attempt.client_ref.clone(), attempt.started_at)));
            }
            E::HeldForPerson | E::GaveUp { .. } | E::ResendAllowed { .. } => seen.let_go.extend(reference),
            E::Succeeded { took_ms: Some(took_ms), .. } => seen.took.push(Duration::from_millis(*took_ms)),
            E::SubmitStarted { .. } => {
                if let Some(reference) = reference {
                    seen.let_go.remove(&reference);
                }
            }
            _ => {}
        }
    }
}
