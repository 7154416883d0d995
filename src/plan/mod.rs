//! What would be done: the rows of a manifest against what the ledger knows of them. Decides nothing that costs money and
//! changes nothing; a survey of a million rows holds a few thousand of them at a time.

mod ahead;
mod ask;
mod crosscheck;
mod estimate;
mod load;
mod prepare;
mod sender;
mod step;
mod warned;

use std::collections::{BTreeMap, HashSet};

use serde::Serialize;

use crate::domain::{AccountName, Digest, RowKey, StateCode};
use crate::manifest::{Manifest, OpenError, Opened, Problem};
use crate::sink::{BadTemplate, NameTemplate};
use crate::store::{Known, NewJob, StoreError};

use ahead::Ahead;
pub use ask::{Ask, Judge, Remember};
use crosscheck::Clashes;
pub use estimate::{Pace, USUAL_TASK, expected, usual};
use load::Kinds;
pub use load::{Bound, Cost, Load};
use prepare::{Candidate, Preparer};
pub use sender::{Sender, Senders};
pub use step::{Paid, Step};
pub use warned::{Decided, SentWarning, Warned, Warning};

/// Problems that are kept; all are counted.
const KEPT: usize = 100_000;
/// Conflicts that are kept by name; all are counted.
const NAMED: usize = 20;

/// A survey could not be made.
#[derive(Debug, thiserror::Error)]
pub enum SurveyError {
    /// The manifest cannot be read.
    #[error("the manifest cannot be opened")]
    Manifest(#[from] OpenError),
    /// The template of output names is not valid.
    #[error("the template of output names is not valid")]
    Template(#[from] BadTemplate),
    /// The ledger failed.
    #[error("the ledger could not be asked")]
    Store(#[from] StoreError),
    /// No room for what has to be compared.
    #[error("the temporary file for comparing rows cannot be used")]
    Scratch(#[source] std::io::Error),
    /// The reader broke.
    #[error("reading the manifest broke off")]
    Broken,
}

/// What a survey found.
#[derive(Debug, Clone, Default, Serialize)]
pub struct Plan {
    /// Rows that could be read.
    pub rows: u64,
    /// Not in the ledger yet.
    pub new: u64,
    /// In the ledger, not sent yet.
    pub planned: u64,
    /// At the remote, in doubt, or to be fetched.
    pub running: u64,
    /// In the output tree.
    pub done: u64,
    /// Failed.
    pub failed: u64,
    /// In doubt, for a person.
    pub held: u64,
    /// Given up for now.
    pub stuck: u64,
    /// Changed, and perhaps paid as they were: not sent again unless asked.
    pub changed: u64,
    /// Changed before anything was paid: taken as they are now.
    pub updated: u64,
    /// Rows whose video goes elsewhere and is not there yet, or that are for another account.
    pub moved: u64,
    /// The first changed rows, by line and name.
    pub conflicts: Vec<(u64, String)>,
    /// New rows whose very video was perhaps paid for already: in another batch, or in this one under another id; by the
    /// batch's name.
    pub paid_elsewhere: BTreeMap<String, u64>,
    /// Problems, by line; the first hundred thousand.
    pub problems: Vec<Problem>,
    /// How many problems there are.
    pub problem_count: u64,
    /// What there is to say of rows that a run would send, each thing once; the first thousand.
    pub warnings: Vec<Warned>,
    /// Rows of which other things are to be said.
    pub warned_beyond: u64,
    /// What a run would send, and what that would probably cost.
    #[serde(skip)]
    pub load: Load,
    /// The manifest's own columns.
    pub columns: Vec<String>,
    /// Keys of rows that are planned or new, where they were to be remembered.
    #[serde(skip)]
    pub keys: HashSet<RowKey>,
}

/// A manifest being held against the ledger.
#[derive(Debug)]
pub struct Survey {
    ask: Ask,
    ahead: Ahead,
    plan: Plan,
    ids: Clashes,
    contents: Clashes,
    outputs: Clashes,
    kinds: Kinds,
}

impl Survey {
    /// Opens the manifest.
    pub fn begin(ask: Ask) -> Result<Self, SurveyError> {
        let mut plan = Plan::default();
        let (manifest, columns) = match Manifest::open(&ask.manifest)? {
            Opened::Manifest(manifest) => {
                let columns = manifest.own_columns().to_vec();
                (Some(manifest), columns)
            }
            Opened::Bad(problems) => {
                plan.note(problems);
                (None, Vec::new())
            }
        };
        let template = match NameTemplate::parse(&ask.template, &columns) {
            // Without a header nobody knows which columns there are.
            Err(BadTemplate::Unknown { .. }) if manifest.is_none() => NameTemplate::parse("{scene}/{id}", &columns)?,
            parsed => parsed?,
        };
        plan.columns.clone_from(&columns);
        let preparer = Preparer::new(&ask.manifest, ask.name.clone(), template, columns);
        let (ids, contents, outputs) = (Clashes::default(), Clashes::default(), Clashes::default());
        let ahead = Ahead::begin(manifest, preparer);
        Ok(Self { ask, ahead, plan, ids, contents, outputs, kinds: Kinds::default() })
    }

    /// What would be done with the next rows; `None` at the end. Rows that stay as they are need no step.
    pub async fn next(&mut self) -> Result<Option<Vec<Step>>, SurveyError> {
        let Some(chunk) = self.ahead.next().await? else { return Ok(None) };
        self.plan.note(chunk.problems);
        self.steps(chunk.candidates).await.map(Some)
    }

    /// What was found, with the rows that clash with one another.
    pub async fn finish(self) -> Result<Plan, SurveyError> {
        let Self { ask, mut plan, ids, contents, outputs, kinds, .. } = self;
        let (load, warnings) = kinds.finish(&ask.senders.at_work);
        plan.load = load;
        (plan.warnings, plan.warned_beyond) = warnings.told();
        let compared = tokio::task::spawn_blocking(move || crosscheck::clashing(ids, contents, outputs, KEPT))
            .await
            .map_err(|_| SurveyError::Broken)?;
        let (problems, beyond) = compared.map_err(SurveyError::Scratch)?;
        plan.note(problems);
        plan.problem_count += beyond;
        plan.problems.sort();
        Ok(plan)
    }

    async fn steps(&mut self, candidates: Vec<Candidate>) -> Result<Vec<Step>, SurveyError> {
        let known = match (&self.ask.store, &self.ask.batch) {
            (Some(store), Some(batch)) => {
                store.known(batch.id, candidates.iter().map(|candidate| candidate.job.key).collect()).await?
            }
            _ => vec![None; candidates.len()],
        };
        let mut steps = Vec::new();
        let mut added = Vec::new();
        for (candidate, known) in candidates.into_iter().zip(known) {
            self.plan.rows += 1;
            self.compare_later(&candidate).map_err(SurveyError::Scratch)?;
            match known {
                None => {
                    self.plan.new += 1;
                    self.count(&candidate);
                    self.remember(candidate.job.key);
                    added.push((candidate.line, candidate.job.content));
                    steps.push((candidate.line, candidate.job.key, Step::Add(candidate.job)));
                }
                Some(known) => {
                    let (line, key) = (candidate.line, candidate.job.key);
                    steps.extend(self.step(candidate, &known).into_iter().map(|step| (line, key, step)));
                }
            }
        }
        if self.ask.judge == Judge::Rows {
            self.ask_for_owners(&steps).await?;
            self.ask_elsewhere(added).await?;
        }
        Ok(steps.into_iter().map(|(_, _, step)| step).collect())
    }

    /// Notes what has to be compared with the other rows.
    fn compare_later(&mut self, candidate: &Candidate) -> std::io::Result<()> {
        if self.ask.judge == Judge::Nothing {
            return Ok(());
        }
        let key = *candidate.job.key.as_bytes();
        if candidate.has_id {
            self.ids.note(key, candidate.line)?;
        } else {
            self.contents.note(key, candidate.line)?;
        }
        self.outputs.note(candidate.name, candidate.line)
    }

    /// Counts a row that a run would send.
    fn count(&mut self, candidate: &Candidate) {
        if self.ask.judge == Judge::Nothing {
            return;
        }
        self.judge_account(candidate);
        self.kinds.add(candidate.line, &candidate.job, &self.ask.senders.at_work);
    }

    /// A row that may yet be sent, and names an account that there is not, is a problem.
    fn judge_account(&mut self, candidate: &Candidate) {
        let named = &self.ask.senders.named;
        let Some(account) = candidate.job.account.as_ref().filter(|account| !named.contains(account)) else { return };
        if named.is_empty() {
            return;
        }
        let known: Vec<&str> = named.iter().map(AccountName::as_str).collect();
        let expected = if let [only] = known[..] {
            format!("{only}, which is configured, or nothing")
        } else {
            format!("one of those that are configured, {}, or nothing", known.join(", "))
        };
        let what = "no account of this name is configured";
        self.plan.note(vec![Problem::new(candidate.line, "account", what, account.as_str(), expected)]);
    }

    fn remember(&mut self, key: RowKey) {
        if self.ask.remember == Remember::Planned {
            self.plan.keys.insert(key);
        }
    }

    /// What would be done with a row that the ledger has.
    fn step(&mut self, candidate: Candidate, known: &Known) -> Vec<Step> {
        let same = known.content == candidate.job.content;
        let free = known.submissions == 0 && matches!(known.state, StateCode::Planned | StateCode::Failed);
        let unsent = matches!(known.state, StateCode::Planned | StateCode::Failed | StateCode::Held);
        let sent = if same { known.state == StateCode::Planned } else { free };
        if sent {
            self.count(&candidate);
        } else if unsent {
            self.judge_account(&candidate);
        }
        let plan = &mut self.plan;
        match known.state {
            _ if !same && free => plan.updated += 1,
            _ if !same => {
                plan.changed += 1;
                if plan.conflicts.len() < NAMED {
                    plan.conflicts.push((candidate.line, candidate.job.label.clone()));
                }
            }
            StateCode::Planned => plan.planned += 1,
            StateCode::Submitting | StateCode::InDoubt | StateCode::Waiting | StateCode::Ready => plan.running += 1,
            StateCode::Done => plan.done += 1,
            StateCode::Failed => plan.failed += 1,
            StateCode::Held => plan.held += 1,
            StateCode::Stuck => plan.stuck += 1,
        }
        let mut steps = Vec::new();
        if !same {
            let paid = if free { Paid::Never } else { Paid::Perhaps };
            let NewJob { effect, content, .. } = candidate.job.clone();
            steps.push(Step::Change { job: known.job, effect, content, paid });
        }
        if known.state == StateCode::Planned {
            self.remember(candidate.job.key);
        }
        if known.account != candidate.job.account && unsent {
            self.plan.moved += 1;
            steps.push(Step::Route { job: known.job, account: candidate.job.account.clone() });
        }
        if known.output != candidate.job.output && known.state != StateCode::Done {
            self.plan.moved += 1;
            steps.push(Step::Move { job: known.job, output: candidate.job.output });
        }
        steps
    }

    /// A name that another job of the ledger has in the same tree is a problem.
    async fn ask_for_owners(&mut self, steps: &[(u64, RowKey, Step)]) -> Result<(), SurveyError> {
        let Some(store) = &self.ask.store else { return Ok(()) };
        let batch = self.ask.batch.as_ref().map(|batch| batch.id);
        let (mut lines, mut asks) = (Vec::new(), Vec::new());
        for (line, key, step) in steps {
            let output = match step {
                Step::Add(job) => &job.output,
                Step::Move { output, .. } => output,
                Step::Change { .. } | Step::Route { .. } => continue,
            };
            lines.push((*line, output.as_str().to_owned()));
            asks.push((batch, *key, output.clone()));
        }
        let owners = store.output_owners(self.ask.out.clone(), asks).await?;
        for ((line, output), owner) in lines.into_iter().zip(owners) {
            if let Some(owner) = owner.filter(|owner| owner.batch != self.ask.name) {
                let what = format!("its video has the name of row {:?} of batch {}", owner.label, owner.batch);
                self.plan.note(vec![Problem::new(line, "output", what, &output, "another name, or another --out")]);
            }
        }
        Ok(())
    }

    async fn ask_elsewhere(&mut self, added: Vec<(u64, Digest)>) -> Result<(), SurveyError> {
        let Some(store) = &self.ask.store else { return Ok(()) };
        let contents = added.iter().map(|(_, content)| *content).collect();
        for elsewhere in store.paid_elsewhere(contents).await?.into_iter().flatten() {
            *self.plan.paid_elsewhere.entry(elsewhere.to_string()).or_default() += 1;
        }
        Ok(())
    }
}

impl Plan {
    /// Rows that a run would send, as things stand.
    #[must_use]
    pub const fn to_send(&self) -> u64 {
        self.new + self.planned + self.updated
    }

    fn note(&mut self, problems: Vec<Problem>) {
        self.problem_count += problems.len() as u64;
        let room = KEPT.saturating_sub(self.problems.len());
        self.problems.extend(problems.into_iter().take(room));
    }
}

#[cfg(test)]
mod tests;
