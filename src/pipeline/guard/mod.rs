//! What keeps a night from spending money on what does not work: the first rows of each scene go ahead of the rest, and a
//! scene or an account whose tasks keep failing is paused. And the budget.
//!
//! It decides only whether a row may be sent now. What it knows it learned in this run, but for the rows that an earlier
//! run made; so a scene that was paused is tried again, with as few rows, by the next run.

mod budget;
mod record;

use std::collections::{HashMap, HashSet};
use std::sync::{Mutex, MutexGuard, PoisonError};

use jiff::Timestamp;

use crate::domain::{AccountName, BatchId, Job, State, StateCode};
use crate::store::Group;

pub(super) use budget::{Afford, Budget};
use record::Record;

/// A batch's scene.
pub(super) type Scene = (BatchId, String);

/// What a run watches out for.
#[derive(Debug, Clone, Copy)]
pub struct Caution {
    /// How many rows of a scene must be made before the rest of it is sent; 0 for no such rows. Default 2.
    pub canary: u64,
    /// How many of a hundred ended tasks may fail before a scene or an account is paused; `None` for any number. Default
    /// 50.
    pub most_failures: Option<u8>,
}

/// Something that was learned of a job's end.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Alarm {
    /// The rest of this scene is sent from now on; its first rows were made.
    Proven(Scene),
    /// Nothing more of this scene is sent in this run.
    Scene(Scene, String),
    /// Nothing more is sent by this account in this run.
    Account(AccountName, String),
}

/// Decides whether a row may be sent now.
#[derive(Debug)]
pub(super) struct Guard {
    caution: Caution,
    known: Mutex<Known>,
}

#[derive(Debug, Default)]
struct Known {
    scenes: HashMap<Scene, Standing>,
    accounts: HashMap<AccountName, Record>,
    /// Accounts whose rows under way are waited for.
    at_work: HashSet<AccountName>,
    /// What an account's price puts out of the budget's reach: the account's place, and the scene.
    dear: HashSet<(usize, Scene)>,
}

/// How a scene fares.
#[derive(Debug, Default)]
struct Standing {
    /// Rows that were made, in this run or an earlier one.
    made: u64,
    /// Rows that are being sent, in doubt, or run at the remote, by the account that they are at.
    running: HashMap<AccountName, Running>,
    /// How its tasks ended in this run.
    record: Record,
    /// Why nothing more is sent.
    paused: Option<String>,
    /// Since when the rest of it waits for its first rows.
    waits_since: Option<Timestamp>,
    /// How long the rest of it waited in the end.
    waited_for: Option<std::time::Duration>,
}

/// Rows that are under way at one account.
#[derive(Debug, Default, Clone, Copy)]
struct Running {
    rows: u64,
    /// Those of them that are in doubt.
    in_doubt: u64,
}

/// A scene of which rows stay behind.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Closed {
    pub(super) scene: Scene,
    pub(super) words: String,
}

impl Guard {
    pub(super) fn new(caution: Caution) -> Self {
        Self { caution, known: Mutex::default() }
    }

    /// Counts what earlier runs made.
    pub(super) fn count_made(&self, groups: &[Group]) {
        let mut known = self.known();
        for group in groups.iter().filter(|group| matches!(group.state, StateCode::Ready | StateCode::Done)) {
            known.scenes.entry((group.batch, group.scene.clone())).or_default().made += group.jobs;
        }
    }

    /// Counts what is under way at an account that is at work. What is at others is not waited for.
    pub(super) fn count_running(&self, account: &AccountName, open: &[Group]) {
        let mut known = self.known();
        known.at_work.insert(account.clone());
        for group in open.iter().filter(|group| group.state.runs()) {
            let standing = known.scenes.entry((group.batch, group.scene.clone())).or_default();
            let running = standing.running.entry(account.clone()).or_default();
            running.rows += group.jobs;
            if group.state == StateCode::InDoubt {
                running.in_doubt += group.jobs;
            }
        }
    }

    /// Counts again what was made and what is under way, which others may have changed; whether a scene's first rows turn out
    /// to be made.
    pub(super) fn recount(&self, made: &[Group], running: &[(AccountName, Vec<Group>)]) -> bool {
        let mut known = self.known();
        let mut counted: HashMap<Scene, u64> = HashMap::new();
        for group in made.iter().filter(|group| matches!(group.state, StateCode::Ready | StateCode::Done)) {
            *counted.entry((group.batch, group.scene.clone())).or_default() += group.jobs;
        }
        let mut proven = false;
        for (scene, made) in counted {
            let standing = known.scenes.entry(scene).or_default();
            let unproven = self.is_unproven(standing);
            standing.made = standing.made.max(made);
            proven |= unproven && !self.is_unproven(standing);
        }
        for (account, groups) in running {
            for standing in known.scenes.values_mut() {
                standing.running.remove(account);
            }
            for group in groups.iter().filter(|group| group.state.runs()) {
                let standing = known.scenes.entry((group.batch, group.scene.clone())).or_default();
                let running = standing.running.entry(account.clone()).or_default();
                running.rows += group.jobs;
                if group.state == StateCode::InDoubt {
                    running.in_doubt += group.jobs;
                }
            }
        }
        proven
    }

    /// What is under way at an account is not waited for any more: its remote answers nothing.
    pub(super) fn leave_out(&self, account: &AccountName) {
        self.known().at_work.remove(account);
    }

    /// Scenes of which the account at `lane` sends nothing now.
    pub(super) fn closed(&self, lane: usize) -> Vec<Scene> {
        let known = self.known();
        let shut =
            known.scenes.iter().filter(|(_, standing)| !self.is_open(&known, standing)).map(|(scene, _)| scene.clone());
        let dear = known.dear.iter().filter(|(of, _)| *of == lane).map(|(_, scene)| scene.clone());
        shut.chain(dear).collect()
    }

    /// Takes a job in hand for an account, which counts as running there from now on; `false` where it may not be sent now.
    pub(super) fn admit(&self, account: &AccountName, job: &Job, now: Timestamp) -> bool {
        let mut known = self.known();
        let open = known.scenes.get(&scene(job)).is_none_or(|standing| self.is_open(&known, standing));
        if open {
            let standing = known.scenes.entry(scene(job)).or_default();
            standing.running.entry(account.clone()).or_default().rows += 1;
            if self.is_unproven(standing) {
                standing.waits_since.get_or_insert(now);
            }
        }
        open
    }

    /// Puts a job down that an account took in hand and did not send.
    pub(super) fn put_down(&self, account: &AccountName, job: &Job) {
        if let Some(standing) = self.known().scenes.get_mut(&scene(job)) {
            let running = standing.running.entry(account.clone()).or_default();
            running.rows = running.rows.saturating_sub(1);
        }
    }

    /// Learns from what happened to a job.
    pub(super) fn learn(&self, before: &Job, after: &Job, now: Timestamp) -> Option<Alarm> {
        let mut known = self.known();
        let scene = scene(after);
        let account = after.attempt.as_ref().map(|attempt| attempt.account.clone());
        let unproven = {
            let standing = known.scenes.entry(scene.clone()).or_default();
            if let Some(account) = &account {
                let running = standing.running.entry(account.clone()).or_default();
                match (before.state.code().runs(), after.state.code().runs()) {
                    (true, false) => running.rows = running.rows.saturating_sub(1),
                    // A submission was counted when its job was taken in hand.
                    (false, true) if after.state != State::Submitting => running.rows += 1,
                    (false, _) | (true, true) => {}
                }
                let is_in_doubt = |job: &Job| u64::from(job.state.code() == StateCode::InDoubt);
                running.in_doubt = (running.in_doubt + is_in_doubt(after)).saturating_sub(is_in_doubt(before));
            }
            self.is_unproven(standing)
        };
        let first_link = after.attempt.as_ref().is_some_and(|attempt| attempt.dead_links == 0);
        match (&before.state, &after.state) {
            (State::Waiting { .. }, State::Ready { .. }) if first_link => {
                if let Some(account) = account {
                    known.accounts.entry(account).or_default().note(&scene, None);
                }
                let standing = known.scenes.entry(scene.clone()).or_default();
                standing.made += 1;
                standing.record.note(&scene, None);
                let proven = unproven && !self.is_unproven(standing);
                if proven {
                    let since = standing.waits_since.unwrap_or(now);
                    standing.waited_for = now.duration_since(since).try_into().ok();
                }
                proven.then_some(Alarm::Proven(scene))
            }
            (State::Waiting { .. } | State::Submitting, State::Failed { cause }) => {
                self.failed(&mut known, scene, account, cause.to_string())
            }
            // Nobody knows whether it works: no reason to send the rest, and none to blame the account.
            (_, State::Held { doubt }) => self.failed(&mut known, scene, None, format!("in doubt: {doubt}")),
            (_, State::Stuck { words, .. }) => self.failed(&mut known, scene, None, words.clone()),
            _ => None,
        }
    }

    fn failed(&self, known: &mut Known, scene: Scene, account: Option<AccountName>, words: String) -> Option<Alarm> {
        let most = self.caution.most_failures?;
        let standing = known.scenes.entry(scene.clone()).or_default();
        standing.record.note(&scene, Some(words.clone()));
        let told = match standing.paused {
            None => standing.record.tells_against_scene(most, (standing.made == 0).then_some(self.caution.canary)),
            Some(_) => None,
        };
        if let Some(told) = &told {
            standing.paused = Some(told.clone());
        }
        if let Some(account) = account {
            let record = known.accounts.entry(account.clone()).or_default();
            record.note(&scene, Some(words));
            if let Some(told) = record.tells_against_account(most) {
                return Some(Alarm::Account(account, told));
            }
        }
        told.map(|told| Alarm::Scene(scene, told))
    }

    /// The price of an account puts a scene out of the budget's reach, until something comes back.
    pub(super) fn too_dear(&self, lane: usize, job: &Job) {
        self.known().dear.insert((lane, scene(job)));
    }

    /// Something came back to the budget.
    pub(super) fn came_back(&self) {
        self.known().dear.clear();
    }

    /// Whether the account at `lane` will send anything of a scene, if nothing else happens.
    pub(super) fn reaches(&self, lane: usize, scene: &Scene) -> bool {
        let known = self.known();
        let open = known.scenes.get(scene).is_none_or(|standing| self.is_open(&known, standing));
        open && !known.dear.contains(&(lane, scene.clone()))
    }

    /// Whether anything is out of the budget's reach.
    pub(super) fn has_dear(&self) -> bool {
        !self.known().dear.is_empty()
    }

    /// The scenes that were paused.
    pub(super) fn paused(&self) -> Vec<Closed> {
        let known = self.known();
        let paused = known
            .scenes
            .iter()
            .filter_map(|(scene, standing)| Some(Closed { scene: scene.clone(), words: standing.paused.clone()? }));
        let mut paused: Vec<Closed> = paused.collect();
        paused.sort_by(|a, b| a.scene.cmp(&b.scene));
        paused
    }

    /// The longest that the rest of a scene waited for its first rows, and how many scenes did.
    pub(super) fn waited(&self) -> Option<(std::time::Duration, usize)> {
        let known = self.known();
        let spans: Vec<_> = known.scenes.values().filter_map(|standing| standing.waited_for).collect();
        Some((*spans.iter().max()?, spans.len()))
    }

    fn is_unproven(&self, standing: &Standing) -> bool {
        standing.made < self.caution.canary
    }

    fn is_open(&self, known: &Known, standing: &Standing) -> bool {
        let under_way = || standing.running.iter().filter(|(account, _)| known.at_work.contains(*account));
        let running: u64 = under_way().map(|(_, running)| running.rows).sum();
        let in_doubt: u64 = under_way().map(|(_, running)| running.in_doubt).sum();
        let first = || {
            // What failed is replaced one by one, so that a scene that never works costs no more than its first rows.
            let gone = standing.made + standing.record.failed();
            // One in doubt may take long to settle, and holds nobody up; as many again as there are first rows do.
            let most = self.caution.canary + in_doubt.min(self.caution.canary);
            running == 0 || gone + running < most
        };
        standing.paused.is_none() && (!self.is_unproven(standing) || first())
    }

    /// Whether nothing more of a scene is sent in this run.
    pub(super) fn is_paused(&self, scene: &Scene) -> bool {
        self.known().scenes.get(scene).is_some_and(|standing| standing.paused.is_some())
    }

    fn known(&self) -> MutexGuard<'_, Known> {
        self.known.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn scene(job: &Job) -> Scene {
    (job.batch, job.effect.scene.clone())
}

#[cfg(test)]
mod tests;
