//! One account at work in a run: its remote, its limits, and what was learned of it.

use std::collections::{HashMap, HashSet, VecDeque};
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use jiff::Timestamp;
use secrecy::SecretString;
use tokio::sync::{Notify, watch};

use crate::catalogue::PriceTable;
use crate::domain::{AccountName, JobId, TaskId};
use crate::gateway::{Gateway, Pause};
use crate::pace::{Expectation, Shift};
use crate::sink::Lender;
use crate::store::Account;

use super::InDoubt;
use super::meter::Meter;
use super::slots::Slots;
use super::unseen::Running;

/// A remote that refuses this many questions in a row, and answers none, is asked no more in this run.
const ENOUGH_DENIALS: u32 = 5;
/// Callbacks that wait to be heeded; more at once are lost, and their tasks are asked for in their time.
const CALLS: usize = 512;
/// A remote that says this often in a row that it does not know what it made is another account.
const ENOUGH_STRANGENESS: u32 = 6;

/// An account, as a run is told of it.
#[derive(Debug, Clone)]
pub struct LaneSettings {
    /// The account as the ledger remembers it.
    pub account: Account,
    /// Its remote.
    pub gateway: Arc<dyn Gateway>,
    /// The shortest span between two requests that may be paid.
    pub interval: Duration,
    /// Parallel generations.
    pub in_flight: usize,
    /// The shortest span between two questions about one task. Default 2 s.
    pub min_poll: Duration,
    /// What a task is taken to need while few were seen; for the run's end only.
    pub usual_task: Duration,
    /// What becomes of a row in doubt that cannot be looked up, or is absent where a second request could be paid.
    pub in_doubt: InDoubt,
    /// Its share of the rows that several accounts could send at the same moment; at least 1.
    pub weight: u32,
    /// Accounts of one pool share their parallel generations: the fewest that one of them is set to.
    pub pool: Option<String>,
    /// What it asks for effects.
    pub prices: PriceTable,
    /// Whether a slot that has probably come free is found out by the next request: `in_flight` is all that the account
    /// allows. Of use only where the remote refuses what goes beyond that, certainly.
    pub probe: bool,
    /// What lends local pictures to the remote; else they are sent within the request.
    pub lender: Option<Arc<dyn Lender>>,
    /// Where the remote is asked to tell of ends. Secret: whoever knows it can have tasks asked for.
    pub callback_url: Option<SecretString>,
}

/// An account at work.
#[derive(Debug)]
pub(super) struct Lane {
    pub(super) settings: LaneSettings,
    /// Shared by the accounts of one pool.
    pub(super) slots: Arc<Slots>,
    expectation: Mutex<Expectation>,
    /// Why it sends nothing more in this run.
    pub(super) pause: watch::Sender<Option<Pause>>,
    /// It was told that it is too late to send more.
    too_late: AtomicBool,
    /// How many questions in a row the remote refused to answer.
    denials: AtomicU32,
    /// The remote knew a task that was made before this run: it is the account that the ledger means.
    known: AtomicBool,
    /// How often in a row it did not.
    strange: AtomicU32,
    /// Every task that waits at the remote has been asked for at least once.
    pub(super) looked_once: watch::Sender<bool>,
    /// Each stage is woken when a job comes into its state.
    pub(super) doubted: Notify,
    pub(super) waiting: Notify,
    /// Slots are filled by probes now: that a task has ended need not be seen for that.
    probing: AtomicBool,
    /// Others may use its slots, too: what a refused probe would tell is not known then.
    together: bool,
    /// The tasks that wait at the remote, where slots are filled by probes.
    running: Mutex<Vec<Running>>,
    /// Rows that are held, and whose tasks may be running all the same: they keep their slots. With when they were sent.
    kept: Mutex<HashMap<JobId, Timestamp>>,
    /// The tasks that rows wait for.
    taken: Mutex<HashSet<TaskId>>,
    /// Tasks that callbacks named.
    calls: Mutex<VecDeque<TaskId>>,
    pub(super) meter: Meter,
}

impl Lane {
    pub(super) fn new(settings: LaneSettings, slots: Arc<Slots>, expectation: Expectation, together: bool) -> Self {
        Self {
            settings,
            slots,
            expectation: Mutex::new(expectation),
            pause: watch::Sender::new(None),
            too_late: AtomicBool::new(false),
            denials: AtomicU32::new(0),
            known: AtomicBool::new(false),
            strange: AtomicU32::new(0),
            looked_once: watch::Sender::new(false),
            doubted: Notify::new(),
            waiting: Notify::new(),
            probing: AtomicBool::new(false),
            together,
            running: Mutex::default(),
            kept: Mutex::default(),
            taken: Mutex::default(),
            calls: Mutex::default(),
            meter: Meter::default(),
        }
    }

    /// Its name.
    pub(super) const fn name(&self) -> &AccountName {
        &self.settings.account.name
    }

    /// Its remote.
    pub(super) fn gateway(&self) -> &Arc<dyn Gateway> {
        &self.settings.gateway
    }

    /// What is known of how long its tasks take.
    pub(super) fn expectation(&self) -> MutexGuard<'_, Expectation> {
        self.expectation.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Until when a task may be sent that is to be made and fetched before the run ends: nine of ten need no longer, with a
    /// quarter of that again and two questions' time to learn of it and to fetch it.
    pub(super) fn sends_until(&self, shift: &Shift) -> Timestamp {
        if shift.ends == Timestamp::MAX {
            return Timestamp::MAX;
        }
        let made = self.expectation().usually_within(self.settings.usual_task);
        let needs = made + made / 4 + 2 * self.settings.min_poll;
        shift.ends.checked_sub(needs).unwrap_or(Timestamp::MIN)
    }

    /// Whether it is said for the first time that it is too late to send more.
    pub(super) fn first_too_late(&self) -> bool {
        !self.too_late.swap(true, Ordering::Relaxed)
    }

    /// Whether slots may be filled by probes: where that is wanted, and a refusal leaves no doubt.
    pub(super) fn may_probe(&self) -> bool {
        self.settings.probe && !self.together && self.gateway().capabilities().refuses
    }

    /// Whether others may use its slots, too.
    pub(super) const fn is_together(&self) -> bool {
        self.together
    }

    /// Whether slots are filled by probes now.
    pub(super) fn is_probing(&self) -> bool {
        self.probing.load(Ordering::Relaxed)
    }

    /// Whether slots are filled by probes from now on.
    pub(super) fn set_probing(&self, probing: bool) {
        if self.probing.swap(probing, Ordering::Relaxed) != probing {
            self.waiting.notify_one();
        }
    }

    /// The tasks that wait at the remote, as they were last seen.
    pub(super) fn running(&self) -> Vec<Running> {
        self.running.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Takes note of the tasks that wait at the remote.
    pub(super) fn set_running(&self, tasks: Vec<Running>) {
        *self.running.lock().unwrap_or_else(PoisonError::into_inner) = tasks;
        self.slots.reckon();
    }

    /// When the task of a row that was sent at `started_at`, and of which nothing more can be learned, will surely have ended.
    pub(super) fn surely_ended_at(&self, started_at: Timestamp) -> Timestamp {
        whole(started_at.checked_add(self.expectation().surely_ended_after()).unwrap_or(Timestamp::MAX))
    }

    /// A row that was sent at `started_at` is held: its slot is kept until its task would surely have ended.
    pub(super) fn keep_slot(&self, job: JobId, started_at: Timestamp) {
        if self.kept().insert(job, started_at).is_none() {
            self.slots.occupy(1);
        }
    }

    /// The row is not held any more; whether its slot was kept until now.
    pub(super) fn lets_go(&self, job: JobId) -> bool {
        self.kept().remove(&job).is_some()
    }

    /// Gives back the slots of held rows whose tasks would surely have ended, and says when the next one would.
    pub(super) fn give_back_kept(&self, now: Timestamp) -> Option<Timestamp> {
        let mut kept = self.kept();
        let mut next_at: Option<Timestamp> = None;
        kept.retain(|_, started_at| {
            let ended_at = self.surely_ended_at(*started_at);
            if ended_at <= now {
                self.slots.give_back();
                return false;
            }
            next_at = Some(next_at.map_or(ended_at, |next_at| next_at.min(ended_at)));
            true
        });
        next_at
    }

    fn kept(&self) -> MutexGuard<'_, HashMap<JobId, Timestamp>> {
        self.kept.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// A row waits for a task from now on; whether none did so far.
    pub(super) fn takes(&self, task: &TaskId) -> bool {
        self.taken.lock().unwrap_or_else(PoisonError::into_inner).insert(task.clone())
    }

    /// No row waits for a task any more.
    pub(super) fn leaves(&self, task: Option<&TaskId>) {
        if let Some(task) = task {
            self.taken.lock().unwrap_or_else(PoisonError::into_inner).remove(task);
        }
    }

    /// A callback named a task.
    pub(super) fn called(&self, task: TaskId) {
        let mut calls = self.calls.lock().unwrap_or_else(PoisonError::into_inner);
        if calls.len() < CALLS && !calls.contains(&task) {
            calls.push_back(task);
            self.waiting.notify_one();
        }
    }

    /// Takes the tasks that callbacks named since this was asked last.
    pub(super) fn take_calls(&self) -> Vec<TaskId> {
        self.calls.lock().unwrap_or_else(PoisonError::into_inner).drain(..).collect()
    }

    /// The remote refused a question.
    pub(super) fn denied(&self) {
        self.denials.fetch_add(1, Ordering::Relaxed);
    }

    /// The remote answered a question.
    pub(super) fn answered(&self) {
        self.denials.store(0, Ordering::Relaxed);
    }

    /// Whether the remote answers no more: what waits there is left for the next run.
    pub(super) fn is_denied(&self) -> bool {
        self.denials.load(Ordering::Relaxed) >= ENOUGH_DENIALS
    }

    /// The remote knew a task that was made before.
    pub(super) fn know(&self) {
        self.known.store(true, Ordering::Relaxed);
    }

    /// Whether it did.
    pub(super) fn is_known(&self) -> bool {
        self.known.load(Ordering::Relaxed)
    }

    /// Counts one more word that a task is not known which was made before; whether that is enough to believe it.
    pub(super) fn is_strange(&self) -> bool {
        self.strange.fetch_add(1, Ordering::Relaxed) + 1 >= ENOUGH_STRANGENESS
    }

    /// Whether it sends nothing more in this run.
    pub(super) fn is_paused(&self) -> bool {
        self.pause.borrow().is_some()
    }
}

/// The next whole millisecond. The ledger knows no smaller ones: a row that is due within one is given out at its beginning,
/// and would be put off to the same instant again and again until that has come.
pub(super) fn whole(at: Timestamp) -> Timestamp {
    let begun = i64::from(at.subsec_nanosecond() % 1_000_000 != 0);
    Timestamp::from_millisecond(at.as_millisecond() + begun).unwrap_or(at)
}
