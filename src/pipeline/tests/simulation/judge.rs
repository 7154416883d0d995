//! What must hold after everything that happens, and in the end.

use std::collections::BTreeMap;

use super::remote::{Remote, row_of};
use super::store::at_once;
use super::*;
use crate::domain::{FailureCause, Job, JobId, Money, State, StateCode};
use crate::simulator::direct::Known;
use crate::store::{Filter, Group};

/// What a ledger holds is held against what was admitted, against itself, against the remotes and against the disk.
pub(super) struct Judge<'a> {
    pub(super) store: &'a SqliteStore,
    pub(super) admitted: &'a BTreeMap<JobId, Job>,
    pub(super) remotes: &'a [Arc<Remote>],
    pub(super) witness: &'a Witness,
    pub(super) out: &'a std::path::Path,
    pub(super) budget: Option<Money>,
    /// How many attempts people asked for, beyond the first, by row.
    pub(super) wished: &'a BTreeMap<String, u32>,
}

macro_rules! must {
    ($holds:expr, $($words:tt)*) => {
        if !$holds {
            return Err(format!($($words)*));
        }
    };
}

pub(super) fn jobs(store: &SqliteStore) -> Vec<Job> {
    at_once(store.jobs(Filter::default(), JobId(0), 100_000)).unwrap()
}

impl Judge<'_> {
    /// What holds at any time.
    pub(super) fn holds(&self) -> Result<(), String> {
        if let Some(wrong) = self.witness.found_wrong() {
            return Err(wrong);
        }
        let (jobs, made) = (jobs(self.store), self.made());
        self.replays(&jobs)?;
        self.adds_up(&jobs)?;
        self.is_paid_for(&jobs, &made)?;
        self.lies_there(&jobs, &made)
    }

    /// The history of a job leads to the job.
    fn replays(&self, jobs: &[Job]) -> Result<(), String> {
        for job in jobs {
            let mut replayed = self.admitted[&job.id].clone();
            for line in at_once(self.store.history(job.id)).unwrap() {
                replayed = replayed
                    .apply(&line.event, line.at)
                    .map_err(|illegal| format!("{}: {illegal} in its history", job.label))?;
            }
            must!(replayed == *job, "{} replays to {replayed:?}, and is {job:?}", job.label);
        }
        Ok(())
    }

    /// What is counted beside the jobs is what a walk of them counts.
    fn adds_up(&self, jobs: &[Job]) -> Result<(), String> {
        let mut tally = Tally::default();
        let mut groups: BTreeMap<_, (u64, u64)> = BTreeMap::new();
        for job in jobs {
            tally.add(job.state.code(), 1, u64::from(job.submissions));
            let group = (job.effect.scene.clone(), job.sender().cloned(), job.state.code());
            let sum = groups.entry(group).or_default();
            (sum.0, sum.1) = (sum.0 + 1, sum.1 + u64::from(job.submissions));
        }
        let counted = at_once(self.store.tally(None)).unwrap();
        must!(counted == tally, "counted are {counted:?}, there are {tally:?}");
        let by_group = |found: Vec<Group>| -> BTreeMap<_, (u64, u64)> {
            let keyed = |group: Group| ((group.scene, group.sender, group.state), (group.jobs, group.submissions));
            found.into_iter().map(keyed).filter(|(_, sums)| *sums != (0, 0)).collect()
        };
        let counted = by_group(at_once(self.store.groups(None)).unwrap());
        must!(counted == groups, "the groups are {counted:?}, and should be {groups:?}");
        let spent = at_once(self.store.spent(None)).unwrap();
        let requests: u64 = spent.iter().map(|spent| spent.requests).sum();
        must!(requests == tally.submissions, "{requests} requests are paid for, {} were counted", tally.submissions);
        for remote in self.remotes {
            let mut open = Tally::default();
            let of_account = |job: &&Job| job.attempt.as_ref().is_some_and(|attempt| attempt.account == remote.account);
            let ended = [StateCode::Planned, StateCode::Done, StateCode::Failed];
            for job in jobs.iter().filter(of_account).filter(|job| !ended.contains(&job.state.code())) {
                open.add(job.state.code(), 1, u64::from(job.submissions));
            }
            let counted = at_once(self.store.open_of(remote.account.clone())).unwrap();
            must!(counted == open, "open at {} are {counted:?}, and should be {open:?}", remote.account);
        }
        Ok(())
    }

    /// What was made, by row.
    fn made(&self) -> BTreeMap<String, Vec<Known>> {
        let mut made: BTreeMap<String, Vec<Known>> = BTreeMap::new();
        for task in self.remotes.iter().flat_map(|remote| remote.world.tasks()) {
            made.entry(row_of(&task.image).to_owned()).or_default().push(task);
        }
        made
    }

    /// The remotes made no more than may have been paid, and that is within the budget.
    fn is_paid_for(&self, jobs: &[Job], made: &BTreeMap<String, Vec<Known>>) -> Result<(), String> {
        for job in jobs {
            let made = made.get(&job.label).map_or(0, Vec::len);
            // What is to be sent again to the one account that may have it is counted again when it is.
            let perhaps = usize::from(matches!(job.state, State::Planned { with: Some(_), .. }));
            let paid = job.submissions as usize + perhaps;
            must!(made <= paid, "{} was made {made} times, and counts as paid {paid} times: {job:?}", job.label);
        }
        if let Some(most) = self.budget {
            let spent: Money = at_once(self.store.spent(None))
                .unwrap()
                .iter()
                .filter_map(|spent| Some(spent.price.as_ref()?.amount))
                .sum();
            must!(spent <= most, "{spent} was spent of {most}");
        }
        Ok(())
    }

    /// Each video that is done lies where it should, is the one that was made for its task, and is nobody else's.
    fn lies_there(&self, jobs: &[Job], made: &BTreeMap<String, Vec<Known>>) -> Result<(), String> {
        let mut owners: BTreeMap<String, &str> = BTreeMap::new();
        for job in jobs {
            let Some(artifact) = job.artifact() else { continue };
            if let Some(other) = owners.insert(artifact.key.to_string(), &job.label) {
                return Err(format!("{other} and {} are both at {}", job.label, artifact.key));
            }
            let path = self.out.join(artifact.key.as_str());
            let Ok(bytes) = std::fs::read(&path) else {
                return Err(format!("{} is done, and {} is not there", job.label, artifact.key));
            };
            let digest = crate::domain::Digest::of(&bytes);
            must!(digest == artifact.sha256, "{} is not what was recorded", artifact.key);
            let task = job.task().ok_or_else(|| format!("{} is done without a task", job.label))?;
            let made = made.get(&job.label).and_then(|made| made.iter().find(|made| made.id == task.as_str()));
            let made = made.ok_or_else(|| format!("{} has another row's task", job.label))?;
            must!(made.sha256 == Some(digest.to_string()), "{} is not the video of its task", artifact.key);
        }
        Ok(())
    }

    /// What holds in the end, once nothing goes wrong any more.
    pub(super) fn is_over(&self) -> Result<(), String> {
        self.holds()?;
        let (jobs, all) = (jobs(self.store), self.made());
        let rejected: u32 = self.remotes.iter().map(|remote| remote.rejected()).sum();
        let mut refused = 0;
        for job in &jobs {
            let made = all.get(&job.label).map_or(&[][..], Vec::as_slice);
            let wished = self.wished.get(&job.label).copied().unwrap_or(0) as usize;
            let risked = job.attempt.as_ref().map_or(0, |attempt| attempt.risks) as usize;
            // Each attempt may have been risked once, those before the last one too.
            let risked = if self.witness.rules.in_doubt == InDoubt::Resend { risked + wished } else { 0 };
            must!(
                made.len() <= 1 + wished + risked,
                "{} was paid {} times, and wished for {}: {job:?}",
                job.label,
                made.len(),
                1 + wished
            );
            let ours = |task: &&Known| {
                let reference = job.attempt.as_ref().map(|attempt| attempt.client_ref.as_str());
                task.external.as_deref() == reference
            };
            let good = made.iter().filter(ours).any(|task| task.sha256.is_some());
            match &job.state {
                State::Failed { cause: FailureCause::TaskFailed { .. } } => {
                    must!(!good || risked > 0, "{} failed, and its video is lost", job.label);
                }
                State::Failed { cause: FailureCause::Refused { .. } } => refused += 1,
                State::Done { .. } | State::Failed { cause: FailureCause::Input { .. } } => {}
                State::Planned { .. } if self.budget.is_some() => {}
                other => return Err(format!("{} comes to no end: {other:?}", job.label)),
            }
        }
        must!(refused <= rejected, "{refused} rows were refused, the remotes refused {rejected}");
        self.nothing_else_lies_there(&jobs)
    }

    /// Every file that is shown was made by a row; one that a row has left behind it (its video goes elsewhere, or it asks for
    /// something else now) may be there.
    fn nothing_else_lies_there(&self, jobs: &[Job]) -> Result<(), String> {
        let mut stray = Vec::new();
        for file in files(self.out) {
            let row = file.rsplit('/').next().unwrap().split(['.', '~']).next().unwrap().to_owned();
            let owner = jobs.iter().find(|job| job.label == row);
            let is_its_own = owner.and_then(Job::artifact).is_some_and(|artifact| artifact.key.as_str() == file);
            if !is_its_own && self.wished.get(&row).is_none_or(|wished| *wished == 0) {
                stray.push(file);
            }
        }
        must!(stray.is_empty(), "nobody made {stray:?}");
        Ok(())
    }
}

/// The files of a tree that are shown, as paths from its root.
fn files(root: &std::path::Path) -> Vec<String> {
    let mut found = Vec::new();
    let mut folders = vec![root.to_path_buf()];
    while let Some(folder) = folders.pop() {
        let Ok(entries) = std::fs::read_dir(folder) else { continue };
        for path in entries.map(|entry| entry.unwrap().path()) {
            let shown = !path.file_name().unwrap().to_str().unwrap().starts_with('.');
            if path.is_dir() {
                folders.push(path);
            } else if shown {
                found.push(path.strip_prefix(root).unwrap().to_str().unwrap().to_owned());
            }
        }
    }
    found
}
