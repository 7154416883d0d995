//! The world behind the API: which tasks exist, how they fare, what was asked of them. Pure but for the time that it is
//! told. It charges for every task it makes, whatever becomes of the answer, and keeps the account's limits.

use std::collections::{HashMap, VecDeque};

use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use super::fault::{Fault, Kind};
use super::media::Video;
use super::{Lookup, Settings};

/// Milliseconds since 1970.
pub(super) type Ms = i64;

/// A task.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(super) struct Task {
    pub(super) id: String,
    pub(super) external: Option<String>,
    pub(super) scene: String,
    /// SHA-256 of each image, or its URL.
    pub(super) images: Vec<String>,
    pub(super) created_at: Ms,
    pub(super) ends_at: Ms,
    pub(super) visible_at: Ms,
    /// What it fails with, when it fails.
    pub(super) fails: Option<String>,
    pub(super) callback: Option<String>,
    /// How many tasks ran when it was made, itself among them.
    pub(super) parallel: usize,
}

/// Counts for whoever judges a run. Creations count whether or not their answer arrives.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct Stats {
    /// Tasks made: each would have been paid.
    pub charged: u64,
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
    /// Queries for one task.
    pub status_requests: u64,
    /// The shortest span between two queries for the same task, in milliseconds.
    pub closest_queries_ms: Option<i64>,
    /// Queries for a page of tasks.
    pub list_requests: u64,
    /// Downloads begun.
    pub downloads: u64,
    /// Downloads that carried an `Authorization` header.
    pub keys_leaked: u64,
}

/// What a creation came to.
#[derive(Debug, Clone)]
pub(super) enum Created {
    Task(Task),
    /// Status, code, message.
    Refused(u16, u32, String),
}

/// What is asked for.
#[derive(Debug, Clone, Default)]
pub(super) struct Wanted {
    pub(super) external: Option<String>,
    pub(super) scene: String,
    pub(super) images: Vec<String>,
    pub(super) too_small: bool,
    pub(super) callback: Option<String>,
}

#[derive(Debug)]
pub(super) struct World {
    settings: Settings,
    tasks: Vec<Task>,
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
        if let Some(balance) = self.settings.faults.iter().find(|fault| fault.kind == Kind::NoBalance)
            && self.stats.charged as f64 + 1.0 >= balance.chance
        {
            self.stats.refused_other += 1;
            return Created::Refused(429, 1102, "Resource pack exhausted or expired (prepaid scenario)".into());
        }
        if let Some((most, span)) = self.settings.rate {
            let since = now - i64::try_from(span.as_millis()).unwrap_or(i64::MAX);
            if self.creations.iter().filter(|at| **at > since).count() > most as usize {
                self.stats.refused_rate += 1;
                return Created::Refused(429, 1302, "Too many requests; rate limit exceeded".into());
            }
        }
        let running = self.running(now);
        if self.settings.in_flight.is_some_and(|most| running >= most as usize) {
            self.stats.refused_parallel += 1;
            return Created::Refused(429, 1303, "parallel task over resource pack limit".into());
        }
        if let Some(external) = &wanted.external
            && self.settings.lookup == Lookup::ByExternalId
            && self.by_external.contains_key(external)
        {
            self.stats.duplicate_external_ids += 1;
            return Created::Refused(400, 1201, format!("External_task_id {external} already exists"));
        }
        let task = self.make(wanted, running, now);
        self.stats.charged += 1;
        self.stats.peak_parallel = self.stats.peak_parallel.max(running + 1);
        self.add(task.clone());
        Created::Task(task)
    }

    fn make(&mut self, wanted: Wanted, running: usize, now: Ms) -> Task {
        let (least, most) = self.settings.task_for;
        let takes = least.as_secs_f64() + (most.as_secs_f64() - least.as_secs_f64()).max(0.0) * self.dice.f64();
        #[expect(clippy::cast_possible_truncation, reason = "milliseconds of a task, far below 2^52")]
        let takes = (takes * 1000.0 / self.settings.speed.max(0.001)) as Ms;
        let late = self.strikes(Kind::LateVisible).unwrap_or_default().max(self.settings.visible_after);
        let fails = if wanted.too_small {
            Some("Image pixel is invalid".to_owned())
        } else {
            self.strikes(Kind::Fail).map(|_| "Failure to pass the risk control system".to_owned())
        };
        let number = 860_000_000_000_000_000 + self.tasks.len() as u64 * 1_000 + self.dice.u64(0..1_000);
        Task {
            id: number.to_string(),
            external: wanted.external,
            scene: wanted.scene,
            images: wanted.images,
            created_at: now,
            ends_at: now + takes,
            visible_at: now + i64::try_from(late.as_millis()).unwrap_or(0),
            fails,
            callback: wanted.callback,
            parallel: running + 1,
        }
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

    /// A query for one task, by either id.
    pub(super) fn query(&mut self, id: &str, now: Ms) -> Option<Value> {
        self.stats.status_requests += 1;
        let by_external = self.by_external.get(id).filter(|_| self.settings.lookup == Lookup::ByExternalId);
        let at = *self.by_id.get(id).or(by_external)?;
        if let Some(before) = self.asked.insert(at, now) {
            let span = now - before;
            self.stats.closest_queries_ms = Some(self.stats.closest_queries_ms.map_or(span, |least| least.min(span)));
        }
        if self.tasks[at].visible_at > now {
            return None;
        }
        Some(self.tell(at, now))
    }

    /// A page of tasks, newest first.
    pub(super) fn list(&mut self, page: usize, size: usize, now: Ms) -> Vec<Value> {
        self.stats.list_requests += 1;
        let visible: Vec<usize> = (0..self.tasks.len())
            .rev()
            .filter(|at| self.tasks[*at].visible_at <= now)
            .skip((page - 1) * size)
            .take(size)
            .collect();
        visible.into_iter().map(|at| self.tell(at, now)).collect()
    }

    /// A task as the API tells it.
    fn tell(&mut self, at: usize, now: Ms) -> Value {
        let told = *self.told.entry(at).and_modify(|told| *told += 1).or_insert(0);
        let unknown = self.tasks[at].ends_at > now && self.strikes(Kind::QueryUnknownStatus).is_some();
        let without = told < 2 && self.strikes(Kind::SuccessWithoutUrl).is_some();
        let link_until = now + i64::try_from(self.settings.link_for.as_millis()).unwrap_or(i64::MAX / 2);
        let task = &self.tasks[at];
        let ended = task.ends_at <= now;
        let status = match (ended, &task.fails) {
            (true, Some(_)) => "failed",
            (true, None) => "succeed",
            (false, _) if unknown => "reviewing",
            (false, _) if now - task.created_at < (task.ends_at - task.created_at) / 5 => "submitted",
            (false, _) => "processing",
        };
        let echo = self.settings.lookup == Lookup::ByExternalId;
        let info = match &task.external {
            Some(external) if echo => json!({ "external_task_id": external }),
            _ => json!({}),
        };
        let mut record = json!({
            "task_id": task.id,
            "task_status": status,
            "task_info": info,
            "task_result": {},
            "created_at": task.created_at,
            "updated_at": if ended { task.ends_at } else { now.min(task.created_at + 1) },
        });
        match (status, &task.fails) {
            ("failed", Some(words)) => record["task_status_msg"] = json!(words),
            ("succeed", _) => {
                let url = format!("@/files/{}.mp4?Expires={link_until}&Signature=5eed", task.id);
                let videos =
                    if without { json!([]) } else { json!([{ "id": task.id, "url": url, "duration": "2.0" }]) };
                record["task_result"] = json!({ "videos": videos });
                record["final_unit_deduction"] = json!("2");
            }
            _ => {}
        }
        record
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
                "parallel_at_creation": task.parallel,
                "video_bytes": video.as_ref().map(Video::len),
                "video_sha256": video.as_ref().map(Video::sha256),
            })
        };
        self.tasks.iter().map(tell).collect()
    }
}
