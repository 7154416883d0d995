//! The simulated world without its HTTP, for tests that play whole nights on virtual time: it makes and charges, refuses and
//! forgets exactly as behind the wire. What a client is told of it is the caller's.

use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use bytes::Bytes;

use super::refusal::Refusal;
use super::task::{Status, Told, Wanted};
use super::world::{Created, World};
use super::{Settings, Stats};
use crate::pace::Clock;

/// A world that is called directly.
#[derive(Debug)]
pub(crate) struct Direct {
    world: Mutex<World>,
    clock: Clock,
}

/// What a creation came to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Made {
    /// This task.
    Task(String),
    /// Nothing: too many run.
    Busy,
    /// Nothing: too many came.
    Rate,
    /// Nothing: the external id is there.
    Duplicate,
    /// Nothing, for another reason.
    Refused,
}

/// A task, as it is told.
#[derive(Debug, Clone)]
pub(crate) struct Shown {
    pub(crate) id: String,
    pub(crate) external: Option<String>,
    /// How it ended.
    pub(crate) end: Option<End>,
    /// How long it took, once it has ended.
    pub(crate) took: Option<Duration>,
}

/// How a task ended.
#[derive(Debug, Clone)]
pub(crate) enum End {
    /// With a video, at this path.
    Well(String),
    /// With these words.
    Badly(String),
}

/// A task, for whoever judges.
#[derive(Debug, Clone)]
pub(crate) struct Known {
    pub(crate) id: String,
    pub(crate) external: Option<String>,
    pub(crate) image: String,
    /// The digest of its video, once it has one.
    pub(crate) sha256: Option<String>,
}

impl Direct {
    /// A world with a clock that nobody sets.
    pub(crate) fn new(settings: Settings, clock: Clock) -> Self {
        Self { world: Mutex::new(World::new(settings, Vec::new())), clock }
    }

    fn world(&self) -> MutexGuard<'_, World> {
        self.world.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn now(&self) -> i64 {
        self.clock.now().as_millisecond()
    }

    /// A creation arrives.
    pub(crate) fn create(&self, external: &str, scene: &str, image: &str) -> Made {
        let wanted = Wanted {
            external: Some(external.to_owned()),
            scene: scene.to_owned(),
            images: vec![image.to_owned()],
            ..Wanted::default()
        };
        let created = self.world().create(wanted, self.now());
        match created {
            Created::Task(task) => Made::Task(task.id),
            Created::Refused(Refusal::Busy) => Made::Busy,
            Created::Refused(Refusal::Rate) => Made::Rate,
            Created::Refused(Refusal::Duplicate(_)) => Made::Duplicate,
            Created::Refused(_) => Made::Refused,
        }
    }

    /// A question for one task, by either id.
    pub(crate) fn query(&self, id: &str) -> Option<Shown> {
        self.world().query(id, self.now()).map(shown)
    }

    /// A page of tasks, the newest first.
    pub(crate) fn list(&self, page: u32, size: u32) -> Vec<Shown> {
        let (page, size) = (page as usize, size as usize);
        self.world().list(page, size, self.now(), |_| true).into_iter().map(shown).collect()
    }

    /// The tasks that come from now on fail, or do not.
    pub(crate) fn fail(&self, scenes: Vec<String>) {
        self.world().settings.fail_scenes = scenes;
    }

    /// So many tasks may run from now on.
    pub(crate) fn allow(&self, in_flight: Option<u32>) {
        self.world().settings.in_flight = in_flight;
    }

    /// The bytes of a task's video.
    pub(crate) fn video(&self, id: &str) -> Option<Bytes> {
        let video = self.world().video(id, self.now())?;
        let mut bytes = Vec::new();
        while (bytes.len() as u64) < video.len() {
            bytes.extend_from_slice(&video.piece(bytes.len() as u64, u64::MAX));
        }
        Some(bytes.into())
    }

    /// The present instant in milliseconds, as links have it.
    pub(crate) fn milliseconds(&self) -> i64 {
        self.now()
    }

    /// What happened so far.
    pub(crate) fn stats(&self) -> Stats {
        self.world().stats(self.now())
    }

    /// The external ids of the tasks that run now.
    pub(crate) fn running(&self) -> Vec<Option<String>> {
        let (world, now) = (self.world(), self.now());
        world.tasks.iter().filter(|task| task.ends_at > now).map(|task| task.external.clone()).collect()
    }

    /// Everything that was ever made.
    pub(crate) fn tasks(&self) -> Vec<Known> {
        let (world, now) = (self.world(), self.now());
        let known = |task: &super::task::Task| Known {
            id: task.id.clone(),
            external: task.external.clone(),
            image: task.images[0].clone(),
            sha256: world.video(&task.id, now).map(|video| video.sha256()),
        };
        world.tasks.iter().map(known).collect()
    }
}

fn shown(told: Told) -> Shown {
    let end = match told.status {
        Status::Succeeded => told.link.clone().map(End::Well),
        Status::Failed => told.reason().map(|words| End::Badly(words.to_owned())),
        Status::Submitted | Status::Processing | Status::Reviewing => None,
    };
    let took = u64::try_from(told.task.ends_at - told.task.begins()).ok().map(Duration::from_millis);
    Shown { took: took.filter(|_| end.is_some()), id: told.task.id, external: told.task.external, end }
}
