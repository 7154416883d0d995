//! A fleet on virtual time: accounts with their slots and pace, one database that does one thing after another, workers that
//! share the downloads. What each costs is measured elsewhere; what comes of it all together is counted here, row by row.

use std::cmp::Reverse;
use std::collections::BinaryHeap;
use std::time::Duration;

/// What a fleet is made of.
#[derive(Clone)]
pub(crate) struct Fleet {
    pub(crate) accounts: usize,
    pub(crate) workers: usize,
    /// Parallel generations of an account.
    pub(crate) slots: usize,
    /// Seconds between two requests of an account.
    pub(crate) interval: f64,
    /// Seconds that a task takes, on average: from two thirds to four thirds of it.
    pub(crate) task: f64,
    /// Seconds between two questions about a task.
    pub(crate) poll: f64,
    /// Takings, and changes, that the database gets done in a second.
    pub(crate) takings: f64,
    pub(crate) changes: f64,
    /// Bytes of a video, and what a worker fetches and stores in a second.
    pub(crate) video: f64,
    pub(crate) bandwidth: f64,
}

/// What came of it.
pub(crate) struct Told {
    pub(crate) rows_a_day: f64,
    /// How busy each was: pace, slots, database, downloads.
    pub(crate) busy: [(&'static str, f64); 4],
}

impl Told {
    /// What was busiest.
    pub(crate) fn bound_by(&self) -> &'static str {
        self.busy.iter().max_by(|a, b| a.1.total_cmp(&b.1)).map_or("", |(name, _)| name)
    }
}

/// What happens next to a row, by its account.
#[derive(PartialEq, Eq, PartialOrd, Ord, Clone, Copy)]
enum Step {
    /// The account has a slot, and a place in its pace.
    Send(usize),
    /// The task has been made.
    Run(usize),
    /// It was asked for, and had ended.
    Ended(usize),
    /// Its video may be fetched.
    Fetch,
    /// It was fetched.
    Fetched,
    /// That was written down.
    Done,
}

struct Night<'a> {
    fleet: &'a Fleet,
    dice: fastrand::Rng,
    /// Microseconds, and what happens then.
    next: BinaryHeap<Reverse<(u64, Step)>>,
    database_free: f64,
    database_busy: f64,
    workers_free: BinaryHeap<Reverse<u64>>,
    fetching: f64,
    running: f64,
    paced: Vec<f64>,
    sent: u64,
    done: u64,
}

fn micros(seconds: f64) -> u64 {
    u64::try_from(Duration::from_secs_f64(seconds).as_micros()).unwrap_or(u64::MAX)
}

impl Night<'_> {
    fn at(&mut self, seconds: f64, step: Step) {
        self.next.push(Reverse((micros(seconds), step)));
    }

    /// The database takes and changes so much; when it has.
    fn database(&mut self, now: f64, takings: f64, changes: f64) -> f64 {
        let work = takings / self.fleet.takings + changes / self.fleet.changes;
        self.database_free = self.database_free.max(now) + work;
        self.database_busy += work;
        self.database_free
    }

    /// A slot of an account is free: the next request leaves when its pace allows.
    fn free(&mut self, now: f64, account: usize) {
        let place = self.paced[account].max(now);
        self.paced[account] = place + self.fleet.interval;
        self.at(place, Step::Send(account));
    }

    fn step(&mut self, now: f64, step: Step) {
        match step {
            // Its claim, its intent, and what became of it.
            Step::Send(account) => {
                self.sent += 1;
                let made = self.database(now, 1.0, 2.0);
                self.at(made, Step::Run(account));
            }
            Step::Run(account) => {
                let task = self.fleet.task * (2.0 / 3.0 + self.dice.f64() * 2.0 / 3.0);
                let seen = task + self.dice.f64() * self.fleet.poll;
                self.running += seen;
                self.at(now + seen, Step::Ended(account));
            }
            Step::Ended(account) => {
                let told = self.database(now, 1.0, 1.0);
                self.free(told, account);
                self.at(told, Step::Fetch);
            }
            Step::Fetch => {
                let taken = self.database(now, 1.0, 0.0);
                let Reverse(free) = self.workers_free.pop().unwrap();
                let lasts = self.fleet.video / self.fleet.bandwidth;
                let ends = taken.max(free as f64 / 1e6) + lasts;
                self.fetching += lasts;
                self.workers_free.push(Reverse(micros(ends)));
                self.at(ends, Step::Fetched);
            }
            Step::Fetched => {
                let stored = self.database(now, 0.0, 1.0);
                self.at(stored, Step::Done);
            }
            Step::Done => self.done += 1,
        }
    }
}

/// Has a fleet work for so many seconds, after a while in which it comes into step.
pub(crate) fn work(fleet: &Fleet, seconds: f64) -> Told {
    let settles = 4.0 * fleet.task;
    let mut night = Night {
        fleet,
        dice: fastrand::Rng::with_seed(1),
        next: BinaryHeap::new(),
        database_free: 0.0,
        database_busy: 0.0,
        workers_free: (0..fleet.workers).map(|_| Reverse(0)).collect(),
        fetching: 0.0,
        running: 0.0,
        paced: vec![0.0; fleet.accounts],
        sent: 0,
        done: 0,
    };
    for account in 0..fleet.accounts {
        for _ in 0..fleet.slots {
            night.free(0.0, account);
        }
    }
    let mut before = (0.0, 0.0, 0.0, 0, 0);
    let mut settled = false;
    while let Some(Reverse((at, step))) = night.next.pop() {
        let now = at as f64 / 1e6;
        if now >= settles && !settled {
            settled = true;
            before = (night.database_busy, night.fetching, night.running, night.sent, night.done);
        }
        if now >= settles + seconds {
            break;
        }
        night.step(now, step);
    }
    let (database, fetching, running, sent, done) = before;
    let of = |busy: f64, places: f64| (busy / places / seconds).min(1.0);
    let accounts = fleet.accounts as f64;
    Told {
        rows_a_day: (night.done - done) as f64 * 86_400.0 / seconds,
        busy: [
            ("pace", of((night.sent - sent) as f64 * fleet.interval, accounts)),
            ("slots", of(night.running - running, accounts * fleet.slots as f64)),
            ("database", of(night.database_busy - database, 1.0)),
            ("downloads", of(night.fetching - fetching, fleet.workers as f64)),
        ],
    }
}
