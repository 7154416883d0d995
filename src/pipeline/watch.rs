//! The watch stage: asks the remote about tasks that it has, and is the only stage that learns how they ended.
//!
//! When to ask is kept in memory: asking twice costs nothing, so a restart simply asks again. Nothing that a remote
//! says or fails to say here fails a task, but its own word that the task failed.

mod called;
mod many;
mod probing;
mod status;
mod when;

use std::collections::{HashMap, HashSet};
use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;
use tokio::task::JoinSet;

use crate::domain::{Job, JobEvent, JobId, Observation, Progress, State, StateCode, TaskId};
use crate::gateway::{Asked, Listed, Observed};
use crate::ledger::RecordError;
use crate::pace::Backoff;

use self::called::Calls;
use super::lane::Lane;
use super::shared::{Shared, joined};
use super::{Gate, Notice};

/// Questions under way at the same time.
const AT_ONCE: usize = 8;
/// From this many due tasks on, one list is asked for instead of each task, where the remote lists.
const LIST_FROM: usize = 3;
/// Tasks on a page: the documented limit is 500.
const PAGE: u32 = 500;
/// Jobs taken from the ledger at once.
const TAKEN: usize = 512;
/// Strange statuses that are told, each once: a remote may have a new one in every answer.
const MOST_ODD: usize = 20;
/// Waits after answers that said nothing.
const UNCLEAR: Backoff = Backoff { first: Duration::from_secs(2), most: Duration::from_secs(120) };

/// A task and when to ask about it.
#[derive(Debug)]
struct Watched {
    job: Job,
    next_at: Timestamp,
    unclear: u32,
    /// When it was last seen not to have ended.
    asked_at: Option<Timestamp>,
    /// A callback named it.
    called: bool,
    /// A question about it is under way.
    asking: bool,
    /// A question about it was answered, or the attempt to ask failed, since the run began.
    asked: bool,
    /// How it is asked for next.
    way: Way,
}

impl Watched {
    fn new(job: Job, next_at: Timestamp) -> Self {
        let way = Way::Listed;
        Self { job, next_at, unclear: 0, asked_at: None, called: false, asking: false, asked: false, way }
    }
}

/// How a task is asked for: the shortest way first, the next one where that did not show it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Way {
    /// By a list, where there is one.
    Listed,
    /// By its id, with others where that can be.
    ById,
    /// By its id, by itself.
    Alone,
}

/// What came of one question.
enum Answer {
    One(JobId, Observed),
    Many(Vec<JobId>, Listed),
    Page(Listed),
}

struct Stage {
    shared: Arc<Shared>,
    place: usize,
    watched: HashMap<JobId, Watched>,
    questions: JoinSet<Answer>,
    listing: bool,
    /// Asking for several tasks at once brought nothing of use: each is asked for by itself.
    one_by_one: bool,
    /// Nothing is asked sooner: the remote asked for a pause.
    not_before: Timestamp,
    odd: HashSet<String>,
    calls: Calls,
    /// No question is asked sooner: the run before may have asked just before this one began.
    first_at: Timestamp,
    /// Tasks came, went or were seen: when to ask for all of them is to be thought over.
    unplanned: bool,
    /// While slots are filled by probes, and questions are few and for collecting: when to think over next whom to ask.
    beat_at: Option<Timestamp>,
}

/// Runs until the run stops.
pub(super) async fn run(shared: Arc<Shared>, place: usize) -> Result<(), RecordError> {
    let lane = &shared.lanes[place];
    let mut stage = Stage {
        shared: Arc::clone(&shared),
        place,
        watched: HashMap::new(),
        questions: JoinSet::new(),
        listing: false,
        one_by_one: false,
        not_before: Timestamp::MIN,
        odd: HashSet::new(),
        calls: Calls::default(),
        first_at: shared.after(lane.settings.min_poll),
        unplanned: false,
        beat_at: None,
    };
    let mut gate = shared.gate.clone();
    loop {
        stage.take_new().await?;
        stage.plan();
        stage.heed_calls();
        if *gate.borrow_and_update() == Gate::OneLook {
            stage.hurry();
        }
        let next_at = shared.look_by(stage.ask().min(stage.beat_at.unwrap_or(Timestamp::MAX)));
        lane.looked_once.send_if_modified(|looked| {
            let now = stage.watched.values().all(|watched| watched.asked);
            std::mem::replace(looked, now) != now
        });
        shared.progress.notify_one();
        tokio::select! {
            biased;
            () = shared.stop.cancelled() => break,
            Some(answer) = stage.questions.join_next() => {
                if let Some(answer) = joined(answer) {
                    stage.hear(answer).await?;
                }
            }
            () = lane.waiting.notified() => {}
            changed = gate.changed() => if changed.is_err() { break },
            () = shared.clock.sleep_until(next_at) => {}
        }
    }
    stage.questions.shutdown().await;
    Ok(())
}

impl Stage {
    fn lane(&self) -> &Lane {
        &self.shared.lanes[self.place]
    }

    /// Every task that was not asked for yet is due now.
    fn hurry(&mut self) {
        let soon = self.shared.now().max(self.first_at);
        for watched in self.watched.values_mut().filter(|watched| !watched.asked) {
            watched.next_at = watched.next_at.min(soon);
        }
    }

    /// Takes what came into the waiting state.
    async fn take_new(&mut self) -> Result<(), RecordError> {
        loop {
            let account = self.lane().name().clone();
            let store = self.shared.parts.ledger.store();
            let new = store.take_due(StateCode::Waiting, account, self.shared.now(), TAKEN).await?.jobs;
            if new.is_empty() {
                return Ok(());
            }
            for job in new {
                let next_at = self.first_question(&job);
                let id = job.id;
                if let Some(task) = job.task() {
                    self.lane().takes(task);
                }
                self.watched.insert(id, Watched::new(job, next_at));
                self.unplanned = true;
                self.heed_early_call(id);
            }
        }
    }

    /// Sends the questions that are due, and says when the next one will be.
    fn ask(&mut self) -> Timestamp {
        let now = self.shared.now();
        if self.lane().is_denied() {
            return Timestamp::MAX;
        }
        if now < self.not_before {
            return self.not_before;
        }
        let mut due: Vec<(Timestamp, JobId)> = self.due(now).map(|watched| (watched.next_at, watched.job.id)).collect();
        let listable = self.due(now).filter(|watched| watched.way == Way::Listed).count();
        if self.lane().gateway().capabilities().list && listable >= LIST_FROM && !self.listing {
            self.listing = true;
            let gateway = Arc::clone(self.lane().gateway());
            let size = u32::try_from(self.watched.len() * 2).unwrap_or(PAGE).clamp(30, PAGE);
            self.questions.spawn(async move { Answer::Page(gateway.list(1, size).await) });
        }
        if self.listing {
            // What the page does not show is asked for one by one afterwards.
            return Timestamp::MAX;
        }
        due.sort_unstable();
        self.ask_many(&mut due);
        for (_, id) in due.into_iter().take(AT_ONCE.saturating_sub(self.questions.len())) {
            self.ask_one(id);
        }
        if self.questions.len() >= AT_ONCE {
            return Timestamp::MAX;
        }
        self.watched
            .values()
            .filter(|watched| !watched.asking)
            .map(|watched| watched.next_at)
            .min()
            .unwrap_or(Timestamp::MAX)
    }

    /// Tasks that may be asked about at `now`.
    fn due(&self, now: Timestamp) -> impl Iterator<Item = &Watched> {
        self.watched.values().filter(move |watched| !watched.asking && watched.next_at <= now)
    }

    fn ask_one(&mut self, id: JobId) {
        let Some(watched) = self.watched.get_mut(&id) else { return };
        let Some(attempt) = watched.job.attempt.as_ref() else { return };
        let (Some(task), handle) = (attempt.task.clone(), attempt.handle.clone()) else { return };
        watched.asking = true;
        watched.way = Way::Listed;
        let gateway = Arc::clone(self.lane().gateway());
        self.questions.spawn(async move {
            let asked = Asked { task: &task, handle: handle.as_ref() };
            Answer::One(id, gateway.observe(asked).await)
        });
    }

    async fn hear(&mut self, answer: Answer) -> Result<(), RecordError> {
        match answer {
            Answer::One(id, observed) => {
                if let Some(watched) = self.watched.get_mut(&id) {
                    watched.asking = false;
                    watched.asked = true;
                }
                match observed {
                    Observed::Seen(observation) => {
                        self.lane().answered();
                        self.learn(id, observation).await
                    }
                    Observed::NotVisible => {
                        self.lane().answered();
                        self.unclear(id, "the remote does not know the task", None).await
                    }
                    Observed::Unclear { words, retry_after } => self.unclear(id, &words, retry_after).await,
                    Observed::Paused(pause) => {
                        self.shared.deny(self.lane(), &pause);
                        self.unclear(id, "the account may not ask", None).await
                    }
                }
            }
            Answer::Many(ids, listed) => self.hear_many(&ids, listed).await,
            Answer::Page(listed) => {
                self.listing = false;
                self.hear_page(listed).await
            }
        }
    }

    /// A page answers for all that it shows; what was due and is not on it is asked for one by one.
    async fn hear_page(&mut self, listed: Listed) -> Result<(), RecordError> {
        let now = self.shared.now();
        for watched in self.watched.values_mut().filter(|watched| !watched.asking && watched.next_at <= now) {
            watched.way = watched.way.max(Way::ById);
        }
        let tasks = match listed {
            Listed::Page(tasks) => tasks,
            Listed::Unclear { words, retry_after } => {
                tracing::debug!(error = words, "the list gave no usable answer");
                self.not_before = self.not_before.max(self.shared.after(retry_after.unwrap_or_default()));
                return Ok(());
            }
            Listed::Paused(pause) => {
                self.shared.deny(self.lane(), &pause);
                self.not_before = self.not_before.max(self.shared.after(UNCLEAR.first));
                return Ok(());
            }
        };
        self.take_observations(tasks).await
    }

    /// Learns from what was seen of several tasks.
    async fn take_observations(&mut self, tasks: Vec<Observation>) -> Result<(), RecordError> {
        self.lane().answered();
        let by_task: HashMap<TaskId, JobId> =
            self.watched.values().filter_map(|watched| Some((watched.job.task()?.clone(), watched.job.id))).collect();
        for observation in tasks {
            if let Some(&id) = by_task.get(&observation.task) {
                if let Some(watched) = self.watched.get_mut(&id) {
                    watched.way = Way::Listed;
                    watched.asked = true;
                }
                self.learn(id, observation).await?;
            }
        }
        Ok(())
    }

    async fn learn(&mut self, id: JobId, observation: Observation) -> Result<(), RecordError> {
        let Some(watched) = self.watched.get_mut(&id) else { return Ok(()) };
        watched.unclear = 0;
        let first_time = watched.job.attempt.as_ref().is_some_and(|attempt| attempt.dead_links == 0);
        let event = match observation.progress {
            Progress::Pending { status } => return self.still_pending(id, &status).await,
            Progress::Failed { words } => JobEvent::TaskFailed { words, units: observation.units },
            Progress::Succeeded { link } => {
                // A task that nobody looked at for hours did not take hours.
                let took = observation.took.filter(|_| first_time);
                if let Some(took) = took {
                    self.lane().expectation().learn(took);
                }
                let took_ms = took.and_then(|took| u64::try_from(took.as_millis()).ok());
                JobEvent::Succeeded { link, took_ms, units: observation.units }
            }
        };
        let Some(watched) = self.watched.remove(&id) else { return Ok(()) };
        self.lane().leaves(watched.job.task());
        self.unplanned = true;
        self.ended(watched.called);
        self.shared.record_own(&watched.job, event).await.map(drop)
    }

    async fn still_pending(&mut self, id: JobId, status: &str) -> Result<(), RecordError> {
        if !status::is_known(status) && self.odd.len() < MOST_ODD && self.odd.insert(status.to_owned()) {
            let words = format!("the remote calls a task {status:?}: taken as not ended yet");
            self.shared.tell(Notice::Odd { words });
        }
        self.ask_again(id, None, "it had not ended").await
    }

    async fn unclear(&mut self, id: JobId, words: &str, retry_after: Option<Duration>) -> Result<(), RecordError> {
        let Some(watched) = self.watched.get_mut(&id) else { return Ok(()) };
        watched.unclear = watched.unclear.saturating_add(1);
        let wait = UNCLEAR.after(watched.unclear);
        if let Some(pause) = retry_after {
            self.not_before = self.not_before.max(self.shared.after(pause));
        }
        tracing::debug!(row = %watched.job.label, error = words, "no usable answer about a task");
        self.ask_again(id, Some(wait), words).await
    }

    /// Plans the next question, or gives the task up for this run when its deadline has passed.
    async fn ask_again(&mut self, id: JobId, least: Option<Duration>, words: &str) -> Result<(), RecordError> {
        let Some(watched) = self.watched.get(&id) else { return Ok(()) };
        let State::Waiting { since } = watched.job.state else { return Ok(()) };
        let deadline = since.checked_add(self.shared.settings.deadline).unwrap_or(Timestamp::MAX);
        let now = self.shared.now();
        if now >= deadline {
            let Some(watched) = self.watched.remove(&id) else { return Ok(()) };
            let words = format!("asked for until its deadline: {words}");
            return self.shared.record_own(&watched.job, JobEvent::GaveUp { words }).await.map(drop);
        }
        let min_poll = self.lane().settings.min_poll;
        let age = self.age(&watched.job);
        let wait = match least {
            // Soon after submission a remote may not know its own task yet: that is no reason to look away for long.
            Some(least) => least.min(self.wait_for(age).max(min_poll * 2)),
            None => self.calls.stretched(self.wait_for(age)),
        };
        let next_at = self.shared.after(wait.max(min_poll)).min(deadline.max(self.shared.after(min_poll)));
        let next_at = self.together(next_at);
        if let Some(watched) = self.watched.get_mut(&id) {
            watched.next_at = next_at;
            watched.asked_at = Some(now);
            self.unplanned = true;
        }
        Ok(())
    }
}
