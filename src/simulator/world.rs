//! The world behind the API: which tasks exist, how they fare, what was asked of them. Pure but for the time that it is
//! told. It charges for every task it makes, whatever becomes of the answer, and keeps the account's limits.

use std::collections::{HashMap, VecDeque};

use serde::Serialize;
use serde_json::{Value, json};

use super::fault::{Fault, Kind};
use super::media::Video;
use super::refusal::Refusal;
use super::task::{Ms, Status, Task, Told, Wanted, new_id};
use super::{Dialect, Lookup, Settings};

/// Counts for whoever judges a run. Creations count whether or not their answer arrives.
#[derive(Debug, Clone, Default, PartialEq, Serialize)]
pub struct Stats {
    /// Tasks made: each would have been paid.
    pub charged: u64,
    /// Units charged: only tasks that ended well cost any.
    pub units_charged: f64,
    /// Creations that arrived, made or refused.
    pub creations: u64,
    /// Refused by the parallel limit.
    pub refused_parallel: u64,
    /// Refused by the rate limit.
    pub refused_rate: u64,
    /// Refused for any other reason.
    pub refused_other: u64,
    /// Refused because their external id was there already.
    pub duplicate_external_ids: u64,
    /// The most tasks that ran at once.
    pub peak_parallel: usize,
    /// The most creations in any second.
    pub peak_per_second: usize,
    /// The most creations in any minute.
    pub peak_per_minute: usize,
    /// Pictures that were fetched from this machine, because a creation named them by a link.
    pub pictures_fetched: u64,
    /// The largest body of a creation, in bytes.
    pub largest_creation: usize,
    /// Queries for one task.
    pub status_requests: u64,
    /// The shortest span between two queries for the same task, in milliseconds.
    pub closest_queries_ms: Option<i64>,
    /// Queries for a page of tasks.
    pub list_requests: u64,
    /// Queries for several tasks by their ids.
    pub task_pages: u64,
    /// Downloads begun.
    pub downloads: u64,
    /// Downloads that carried an `Authorization` header.
    pub keys_leaked: u64,
}

/// What a creation came to.
#[derive(Debug, Clone)]
pub(super) enum Created {
    Task(Task),
    Refused(Refusal),
}

#[derive(Debug)]
pub(super) struct World {
    pub(super) settings: Settings,
    pub(super) tasks: Vec<Task>,
    by_id: HashMap<String, usize>,
    by_external: HashMap<String, usize>,
    creations: VecDeque<Ms>,
    asked: HashMap<usize, Ms>,
    told: HashMap<usize, u32>,
    dice: fastrand::Rng,
    pub(super) stats: Stats,
}

impl World {
    pub(super) fn new(settings: Settings, tasks: Vec<Task>) -> Self {
        let dice = fastrand::Rng::with_seed(settings.seed.wrapping_add(tasks.len() as u64));
        let mut world = Self {
            settings,
            tasks: Vec::new(),
            by_id: HashMap::new(),
            by_external: HashMap::new(),
            creations: VecDeque::new(),
            asked: HashMap::new(),
            told: HashMap::new(),
            dice,
            stats: Stats::default(),
        };
        for task in tasks {
            world.add(task);
        }
        world
    }

    /// Whether a fault shows this time, and for how long.
    pub(super) fn strikes(&mut self, kind: Kind) -> Option<std::time::Duration> {
        let fault: &Fault = self.settings.faults.iter().find(|fault| fault.kind == kind)?;
        (self.dice.f64() < fault.chance).then_some(fault.lasts)
    }

    /// A creation arrives.
    pub(super) fn create(&mut self, wanted: Wanted, now: Ms) -> Created {
        self.arrive(now);
        let running = self.running(now);
        if let Err(refusal) = self.admit(&wanted, running, now) {
            match refusal {
                Refusal::Rate => self.stats.refused_rate += 1,
                Refusal::Busy => self.stats.refused_parallel += 1,
                Refusal::Duplicate(_) => self.stats.duplicate_external_ids += 1,
                _ => self.stats.refused_other += 1,
            }
            return Created::Refused(refusal);
        }
        let task = self.make(wanted, now);
        self.stats.charged += 1;
        self.stats.peak_parallel = self.stats.peak_parallel.max(task.parallel);
        self.add(task.clone());
        Created::Task(task)
    }

    /// Whether the account may have one more task, `running` of which run.
    fn admit(&self, wanted: &Wanted, running: usize, now: Ms) -> Result<(), Refusal> {
        let balance = self.settings.faults.iter().find(|fault| fault.kind == Kind::NoBalance);
        if balance.is_some_and(|balance| self.stats.charged as f64 + 1.0 >= balance.chance) || self.is_pack_empty(now) {
            return Err(Refusal::NoBalance);
        }
        if let Some((most, span)) = self.settings.rate {
            let since = now - i64::try_from(span.as_millis()).unwrap_or(i64::MAX);
            if self.creations.iter().filter(|at| **at > since).count() > most as usize {
                return Err(Refusal::Rate);
            }
        }
        if !self.waits() && self.settings.in_flight.is_some_and(|most| running >= most as usize) {
            return Err(Refusal::Busy);
        }
        match &wanted.external {
            Some(external)
                if self.settings.lookup == Lookup::ByExternalId && self.by_external.contains_key(external) =>
            {
                Err(Refusal::Duplicate(external.clone()))
            }
            _ => Ok(()),
        }
    }

    /// Whether tasks that are too many wait for a slot, as fal documents it, where others refuse them.
    fn waits(&self) -> bool {
        self.settings.dialect == Dialect::Fal
    }

    fn make(&mut self, wanted: Wanted, now: Ms) -> Task {
        let (least, most) = self.settings.task_for;
        let takes = least.as_secs_f64() + (most.as_secs_f64() - least.as_secs_f64()).max(0.0) * self.dice.f64();
        #[expect(clippy::cast_possible_truncation, reason = "milliseconds of a task, far below 2^52")]
        let takes = (takes * 1000.0 / self.settings.speed.max(0.001)) as Ms;
        let late = self.strikes(Kind::LateVisible).unwrap_or_default().max(self.settings.visible_after);
        let risky = self.settings.fail_scenes.contains(&wanted.scene);
        let fails = if wanted.too_small {
            Some("Image pixel is invalid".to_owned())
        } else if risky || self.strikes(Kind::Fail).is_some() {
            Some("Failure to pass the risk control system".to_owned())
        } else {
            None
        };
        let begins_at = self.free_slot(now);
        let begun = self.tasks.iter().filter(|task| task.begins_at <= now && task.ends_at > now).count();
        Task {
            id: new_id(self.settings.dialect, self.tasks.len() as u64, &mut self.dice),
            external: wanted.external,
            scene: wanted.scene,
            images: wanted.images,
            created_at: now,
            begins_at,
            ends_at: begins_at + takes,
            visible_at: now + i64::try_from(late.as_millis()).unwrap_or(0),
            fails,
            callback: wanted.callback,
            parallel: begun + usize::from(begins_at <= now),
            units: self.settings.units,
        }
    }

    /// When a slot is free for one more task: at once, unless tasks wait for theirs.
    fn free_slot(&self, now: Ms) -> Ms {
        let Some(slots) = self.settings.in_flight.filter(|_| self.waits()) else { return now };
        let mut ends: Vec<Ms> = self.tasks.iter().map(|task| task.ends_at).filter(|at| *at > now).collect();
        ends.sort_unstable();
        // It begins when so many of them have ended that fewer than there are slots are left.
        ends.len().checked_sub(slots.max(1) as usize).map_or(now, |over| ends[over])
    }

    /// Counts a creation that arrived, made or not.
    pub(super) fn arrive(&mut self, now: Ms) {
        self.stats.creations += 1;
        self.creations.push_back(now);
        while self.creations.front().is_some_and(|at| now - at >= 60_000) {
            self.creations.pop_front();
        }
        let last_second = self.creations.iter().rev().take_while(|at| now - **at < 1_000).count();
        self.stats.peak_per_second = self.stats.peak_per_second.max(last_second);
        self.stats.peak_per_minute = self.stats.peak_per_minute.max(self.creations.len());
    }

    fn add(&mut self, task: Task) {
        let at = self.tasks.len();
        self.by_id.insert(task.id.clone(), at);
        if let Some(external) = &task.external {
            self.by_external.entry(external.clone()).or_insert(at);
        }
        self.tasks.push(task);
    }

    fn running(&self, now: Ms) -> usize {
        self.tasks.iter().rev().filter(|task| task.ends_at > now).count()
    }

    /// How many tasks wait that came before this one.
    pub(super) fn waiting_before(&self, task: &Task, now: Ms) -> usize {
        let ahead = self.tasks.iter().take_while(|other| other.id != task.id);
        ahead.filter(|other| other.begins_at > now).count()
    }

    /// A query for one task, by either id.
    pub(super) fn query(&mut self, id: &str, now: Ms) -> Option<Told> {
        self.stats.status_requests += 1;
        let at = self.find(id)?;
        if let Some(before) = self.asked.insert(at, now) {
            let span = now - before;
            self.stats.closest_queries_ms = Some(self.stats.closest_queries_ms.map_or(span, |least| least.min(span)));
        }
        self.look(id, now)
    }

    /// A task by either id, without counting it as a query.
    pub(super) fn look(&mut self, id: &str, now: Ms) -> Option<Told> {
        let at = self.find(id).filter(|at| self.tasks[*at].visible_at <= now)?;
        Some(self.tell(at, now))
    }

    fn find(&self, id: &str) -> Option<usize> {
        let by_external = self.by_external.get(id).filter(|_| self.settings.lookup == Lookup::ByExternalId);
        self.by_id.get(id).or(by_external).copied()
    }

    /// A page of the tasks that `wanted` takes, newest first.
    pub(super) fn list(&mut self, page: usize, size: usize, now: Ms, wanted: impl Fn(&Task) -> bool) -> Vec<Told> {
        self.stats.list_requests += 1;
        let visible: Vec<usize> = (0..self.tasks.len())
            .rev()
            .filter(|at| self.tasks[*at].visible_at <= now && wanted(&self.tasks[*at]))
            .skip(page.saturating_sub(1).saturating_mul(size))
            .take(size)
            .collect();
        visible.into_iter().map(|at| self.tell(at, now)).collect()
    }

    /// A task as the API tells it.
    fn tell(&mut self, at: usize, now: Ms) -> Told {
        let told = *self.told.entry(at).and_modify(|told| *told += 1).or_insert(0);
        let unknown = self.tasks[at].ends_at > now && self.strikes(Kind::QueryUnknownStatus).is_some();
        let without = told < 2 && self.strikes(Kind::SuccessWithoutUrl).is_some();
        let link_until = now + i64::try_from(self.settings.link_for.as_millis()).unwrap_or(i64::MAX / 2);
        let task = self.tasks[at].clone();
        let ended = task.ends_at <= now;
        let begins_at = task.begins();
        let status = match (ended, &task.fails) {
            (true, Some(_)) => Status::Failed,
            (true, None) => Status::Succeeded,
            (false, _) if unknown => Status::Reviewing,
            (false, _) if now - begins_at < (task.ends_at - begins_at) / 5 => Status::Submitted,
            (false, _) => Status::Processing,
        };
        let link = (status == Status::Succeeded && !without)
            .then(|| format!("/files/{}.mp4?Expires={link_until}&Signature=5eed", task.id));
        let updated_at = if ended { task.ends_at } else { now.min(task.created_at + 1) };
        Told { task, status, link, updated_at }
    }

    /// The counts, as they stand now.
    pub(super) fn stats(&self, now: Ms) -> Stats {
        Stats { units_charged: self.units_charged(now), ..self.stats.clone() }
    }

    /// The video of a task that ended well.
    pub(super) fn video(&self, id: &str, now: Ms) -> Option<Video> {
        let task = &self.tasks[*self.by_id.get(id)?];
        (task.ends_at <= now && task.fails.is_none()).then(|| Video::of(&task.id, self.settings.video_bytes))
    }

    /// Everything that was ever made, for whoever judges a run.
    pub(super) fn judge(&self, now: Ms) -> Vec<Value> {
        let tell = |task: &Task| {
            let video = self.video(&task.id, now);
            json!({
                "task_id": task.id,
                "external_task_id": task.external,
                "scene": task.scene,
                "images": task.images,
                "created_at": task.created_at,
                "ends_at": task.ends_at,
                "fails": task.fails,
                "units": task.charged(now),
                "parallel_at_creation": task.parallel,
                "video_bytes": video.as_ref().map(Video::len),
                "video_sha256": video.as_ref().map(Video::sha256),
            })
        };
        self.tasks.iter().map(tell).collect()
    }
}
