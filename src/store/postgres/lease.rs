//! Whose each job is. A process at work has one row, whose expiry it puts off again and again by the database's clock; what it
//! has taken names that row. One that says nothing for long is given up by any other, and what it had taken is free again. It
//! finds out with its next word, and begins anew under another number: what it holds of before is not its own any more.

use std::collections::HashMap;
use std::sync::atomic::{AtomicI64, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use jiff::Timestamp;
use tokio::sync::Notify;

use crate::pace::Clock;
use crate::store::StoreError;

use super::link::{Failed, Link};
use super::{rows, sql};

/// How long a process may say nothing.
pub(super) const LEASE: Duration = Duration::from_secs(10);
/// How often it says something.
const BEAT: Duration = Duration::from_secs(2);
/// Nothing is sent in the last moments of a lease: what is sent may be slow to leave.
const MARGIN: Duration = Duration::from_secs(2);
/// Every so many beats, what was taken by calls whose answers were lost is given back.
const SWEEP_EACH: u64 = 5;

/// What this process has taken, and in whose name.
#[derive(Debug)]
pub(super) struct Lease {
    clock: Clock,
    /// What people call this process.
    name: String,
    me: AtomicI64,
    joining: tokio::sync::Mutex<()>,
    /// The jobs that are taken.
    held: Mutex<HashMap<i64, Held>>,
    takings: AtomicU64,
    /// Jobs that are to be given back, with that number.
    released: Mutex<Vec<(i64, i64)>>,
    pub(super) to_give_back: Notify,
    giving_back: tokio::sync::Mutex<()>,
    /// When the last word was sent that the database heard.
    heard_at: Mutex<Timestamp>,
}

/// A job that is taken.
#[derive(Debug, Clone, Copy)]
pub(super) struct Held {
    /// The number under which it was.
    pub(super) by: i64,
    /// Which taking it was: a job that was changed may be taken again before whoever changed it is told.
    taking: u64,
    /// Its intent is made, and what becomes of it is not recorded yet.
    is_sent: bool,
}

impl Lease {
    /// Joins those at work.
    pub(super) async fn begin(link: &Link, clock: &Clock) -> Result<Self, StoreError> {
        let host = rustix::system::uname().nodename().to_string_lossy().into_owned();
        let lease = Self {
            clock: clock.clone(),
            name: format!("{host} {}", std::process::id()),
            me: AtomicI64::new(0),
            joining: tokio::sync::Mutex::default(),
            held: Mutex::default(),
            takings: AtomicU64::new(0),
            released: Mutex::default(),
            to_give_back: Notify::new(),
            giving_back: tokio::sync::Mutex::default(),
            heard_at: Mutex::new(Timestamp::MIN),
        };
        lease.join(link, 0).await?;
        Ok(lease)
    }

    /// Begins anew, unless that was done since this process was `before`.
    pub(super) async fn join(&self, link: &Link, before: i64) -> Result<(), StoreError> {
        let _joining = self.joining.lock().await;
        if self.me() != before {
            return Ok(());
        }
        let sent_at = self.clock.now();
        let joined = link.rows(sql::JOIN, &[&self.name, &LEASE.as_secs_f64()]).await?;
        let me = joined.first().map(|row| rows::get(row, 0)).transpose()?.unwrap_or(0);
        self.me.store(me, Ordering::SeqCst);
        self.heard(sent_at);
        if before != 0 {
            tracing::warn!("this process was given up by the others, and begins anew");
        }
        Ok(())
    }

    /// The number of this process.
    pub(super) fn me(&self) -> i64 {
        self.me.load(Ordering::SeqCst)
    }

    /// How a job was taken, where it was.
    pub(super) fn holding(&self, job: i64) -> Option<Held> {
        self.held().get(&job).copied()
    }

    /// A job was taken under a number.
    pub(super) fn hold(&self, job: i64, me: i64) {
        self.held().insert(job, Held { by: me, taking: self.next(), is_sent: false });
    }

    /// A job that is taken was taken once more, under a number.
    pub(super) fn hold_on(&self, job: i64, me: i64) {
        self.held().entry(job).and_modify(|held| held.by = me);
    }

    /// The intent of a job was made under a number. From here on only what becomes of it lets it go.
    pub(super) fn send(&self, job: i64, me: i64) {
        self.held().insert(job, Held { by: me, taking: self.next(), is_sent: true });
    }

    /// A job that was taken so is nobody's any more.
    pub(super) fn let_go(&self, job: i64, of: Option<Held>) {
        let mut held = self.held();
        if held.get(&job).map(|held| held.taking) == of.map(|of| of.taking) {
            held.remove(&job);
        }
    }

    fn next(&self) -> u64 {
        self.takings.fetch_add(1, Ordering::Relaxed)
    }

    /// A job is to be given back. One that is being sent is not: somebody else here had it in hand as well.
    pub(super) fn release(&self, job: i64) {
        let mut held = self.held();
        if held.get(&job).is_none_or(|held| held.is_sent) {
            return;
        }
        if let Some(gone) = held.remove(&job) {
            locked(&self.released).push((job, gone.by));
            self.to_give_back.notify_one();
        }
    }

    /// Gives back what is to be given back. Once it returns, all that was released before is free.
    pub(super) async fn give_back(&self, link: &Link) -> Result<(), StoreError> {
        let _giving_back = self.giving_back.lock().await;
        let released = std::mem::take(&mut *locked(&self.released));
        if released.is_empty() {
            return Ok(());
        }
        let (jobs, owners): (Vec<i64>, Vec<i64>) = released.into_iter().unzip();
        link.rows(sql::GIVE_BACK, &[&jobs, &owners]).await.map(drop)
    }

    /// Whether what was taken is certainly still this process's own.
    pub(super) fn is_ours(&self) -> bool {
        let until = locked(&self.heard_at).checked_add(LEASE.saturating_sub(MARGIN)).unwrap_or(Timestamp::MIN);
        self.clock.now() < until
    }

    fn heard(&self, sent_at: Timestamp) {
        let mut heard_at = locked(&self.heard_at);
        *heard_at = sent_at.max(*heard_at);
    }

    fn held(&self) -> MutexGuard<'_, HashMap<i64, Held>> {
        locked(&self.held)
    }
}

/// Puts the expiry off, gives up those who did not, gives back what nobody knows of; until it is dropped.
pub(super) async fn keep(lease: Arc<Lease>, link: Arc<Link>) {
    for beat in 1_u64.. {
        lease.clock.sleep(BEAT).await;
        let (me, sent_at) = (lease.me(), lease.clock.now());
        // Asked again and again, and dated by when it was asked last: a late answer must not be taken for a fresh one.
        let heard = match link.once(sql::BEAT, &[&me, &LEASE.as_secs_f64()]).await {
            Ok(rows) => !rows.is_empty(),
            Err(Failed::Away(words)) => {
                tracing::debug!(error = words, "the lease could not be put off");
                continue;
            }
            Err(Failed::GivenUp) => false,
            Err(Failed::Refused(why)) => {
                tracing::warn!(error = %why, "the lease could not be put off");
                continue;
            }
        };
        let kept = async {
            if heard {
                lease.heard(sent_at);
            } else {
                lease.join(&link, me).await?;
            }
            let freed = link.rows(sql::GIVE_UP, &[&LEASE.as_secs_f64()]).await?;
            let freed: i64 = freed.first().map(|row| rows::get(row, 0)).transpose()?.unwrap_or(0);
            if freed > 0 {
                let words = format!("{freed} rows");
                tracing::warn!(error = words, "a process at work was given up; what it had taken is free again");
            }
            if beat % SWEEP_EACH == 0 {
                let held: Vec<i64> = lease.held().keys().copied().collect();
                link.rows(sql::SWEEP, &[&lease.me(), &held]).await?;
            }
            Ok::<(), StoreError>(())
        };
        if let Err(why) = kept.await {
            tracing::warn!(error = %why, "the leases could not be looked after");
        }
    }
}

/// Gives back what was released, soon.
pub(super) async fn keep_giving_back(lease: Arc<Lease>, link: Arc<Link>) {
    loop {
        lease.to_give_back.notified().await;
        if let Err(why) = lease.give_back(&link).await {
            tracing::warn!(error = %why, "jobs could not be given back yet");
        }
    }
}

fn locked<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
