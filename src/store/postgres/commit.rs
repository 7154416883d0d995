//! Group commit: what waits is committed by one statement, and each caller is answered after it. A group whose answer was lost
//! is asked for again; what of it was done before is known by its events' tokens.

use std::collections::HashSet;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use serde::Serialize;
use tokio::sync::{mpsc, oneshot, watch};

use crate::domain::{AccountName, JobEvent, JobId, StateCode, TaskId};
use crate::store::{Change, StoreError, kill};

use super::lease::{Held, Lease};
use super::link::{Failed, Link};
use super::rows::{self, hex, json, look_up, millis, output_hash};
use super::sql;

/// Changes that may wait before callers are held back.
const MAILBOX: usize = 1024;
/// Changes committed together.
const GROUP: usize = 256;

/// A change as the database is given it: its column names are those of `commit_changes`.
#[derive(Debug, Serialize)]
struct Given {
    n: usize,
    job: i64,
    token: i64,
    was_version: i64,
    was_state: u8,
    was_scene: String,
    was_sender: String,
    was_submissions: u32,
    /// Under which number the job was taken.
    owner: Option<i64>,
    #[serde(skip)]
    held: Option<Held>,
    /// It is what became of a request.
    sent: bool,
    state: u8,
    detail: String,
    due_at: Option<i64>,
    attempt: Option<String>,
    account: Option<String>,
    task: Option<String>,
    client_ref: Option<String>,
    started_at: Option<i64>,
    submissions: u32,
    version: i64,
    finished_at: Option<i64>,
    sender: String,
    scene: String,
    keeps_row: bool,
    content: Option<String>,
    effect: Option<String>,
    output: Option<String>,
    output_hash: Option<i64>,
    content_hash: Option<i64>,
    wanted_account: Option<String>,
    at: i64,
    name: &'static str,
    data: String,
    payer: Option<String>,
    currency: String,
    micros: i64,
    requests: i64,
    took_ms: Option<u64>,
}

impl Given {
    fn new(change: &Change) -> Result<Self, StoreError> {
        let Change { before, job, event, at } = change;
        let attempt = job.attempt.as_ref();
        let sender = |sender: Option<&AccountName>| sender.map_or("", AccountName::as_str).to_owned();
        let row = !before.keeps_row;
        let requests = i64::from(job.submissions) - i64::from(before.submissions);
        let payer = attempt.filter(|_| requests != 0);
        let price = payer.and_then(|attempt| attempt.price.as_ref());
        let micros = price.map_or(0, |price| i64::try_from(price.amount.micros()).unwrap_or(i64::MAX));
        Ok(Self {
            n: 0,
            job: job.id.0,
            // Any number that is hardly drawn twice for one job.
            token: fastrand::i64(1..),
            was_version: before.version.cast_signed(),
            was_state: before.state.number(),
            was_scene: before.scene.clone(),
            was_sender: sender(before.sender.as_ref()),
            was_submissions: before.submissions,
            owner: None,
            held: None,
            sent: before.state == StateCode::Submitting,
            state: job.state.code().number(),
            detail: json(&job.state)?,
            due_at: job.state.due_at().map(millis),
            attempt: attempt.map(json).transpose()?,
            account: attempt.map(|attempt| attempt.account.as_str().to_owned()),
            task: job.task().map(TaskId::as_str).map(str::to_owned),
            client_ref: attempt.map(|attempt| attempt.client_ref.as_str().to_owned()),
            started_at: attempt.map(|attempt| millis(attempt.started_at)),
            submissions: job.submissions,
            version: job.version.cast_signed(),
            finished_at: job.finished_at.map(millis),
            sender: sender(job.sender()),
            scene: job.effect.scene.clone(),
            keeps_row: before.keeps_row,
            content: row.then(|| hex(job.content.as_bytes())),
            effect: row.then(|| json(&job.effect)).transpose()?,
            output: row.then(|| job.output.as_str().to_owned()),
            output_hash: row.then(|| output_hash(&job.output)),
            content_hash: row.then(|| look_up(&job.content)),
            wanted_account: job.account.as_ref().map(|account| account.as_str().to_owned()),
            at: millis(*at),
            name: event.name(),
            data: json(event)?,
            payer: payer.map(|attempt| attempt.account.as_str().to_owned()),
            currency: price.map_or("", |price| price.currency.as_str()).to_owned(),
            micros: micros.saturating_mul(requests),
            requests,
            took_ms: if let JobEvent::Succeeded { took_ms, .. } = event { *took_ms } else { None },
        })
    }
}

type Committed = oneshot::Sender<Result<(), StoreError>>;

/// The callers' end.
#[derive(Debug)]
pub(super) struct Committer {
    sender: mpsc::Sender<(Box<Given>, Committed)>,
    queued: AtomicU64,
    done: watch::Receiver<u64>,
}

/// What commits.
pub(super) struct Desk {
    receiver: mpsc::Receiver<(Box<Given>, Committed)>,
    done: watch::Sender<u64>,
    link: Arc<Link>,
    lease: Arc<Lease>,
    events: u64,
    kill_after: Option<u64>,
}

impl Committer {
    /// The two ends.
    pub(super) fn new(link: &Arc<Link>, lease: &Arc<Lease>) -> (Self, Desk) {
        let (sender, receiver) = mpsc::channel(MAILBOX);
        let (told, done) = watch::channel(0);
        let kill_after = kill::after_event();
        let (link, lease) = (Arc::clone(link), Arc::clone(lease));
        let desk = Desk { receiver, done: told, link, lease, events: 0, kill_after };
        (Self { sender, queued: AtomicU64::new(0), done }, desk)
    }

    /// Has a change committed; the answer comes after that.
    pub(super) async fn commit(&self, change: &Change) -> Result<(), StoreError> {
        let given = Box::new(Given::new(change)?);
        let (sender, answer) = oneshot::channel();
        let place = self.sender.reserve().await.map_err(|_| StoreError::Closed)?;
        self.queued.fetch_add(1, Ordering::SeqCst);
        place.send((given, sender));
        answer.await.map_err(|_| StoreError::Closed)?
    }

    /// Waits until all that was given before has been done.
    pub(super) async fn settled(&self) {
        let queued = self.queued.load(Ordering::SeqCst);
        // Where nothing commits any more, nothing is waited for.
        drop(self.done.clone().wait_for(|done| *done >= queued).await);
    }
}

impl Desk {
    /// Commits until nobody is left who could ask for it.
    pub(super) async fn serve(mut self) {
        let mut waiting: Vec<(Box<Given>, Committed)> = Vec::with_capacity(GROUP);
        while self.receiver.recv_many(&mut waiting, GROUP).await > 0 {
            while !waiting.is_empty() {
                // Two changes of one job are made one after the other.
                let mut jobs = HashSet::new();
                let together = waiting.iter().take_while(|(given, _)| jobs.insert(given.job)).count();
                let group: Vec<_> = waiting.drain(..together).collect();
                self.group(group).await;
                self.done.send_modify(|done| *done += together as u64);
            }
        }
    }

    async fn group(&mut self, group: Vec<(Box<Given>, Committed)>) {
        let (mut given, senders): (Vec<Box<Given>>, Vec<Committed>) = group.into_iter().unzip();
        let mut verdicts = match self.commit(&mut given).await {
            Ok(verdicts) => verdicts,
            // Where the engine refuses one, none of them was made: it is to fail alone.
            Err(_) if given.len() > 1 => {
                let mut each = Vec::with_capacity(given.len());
                for one in &mut given {
                    each.push(match self.commit(std::slice::from_mut(one)).await {
                        Ok(mut verdict) => verdict.pop().unwrap_or(Err(StoreError::Closed)),
                        Err(why) => Err(why),
                    });
                }
                each
            }
            Err(why) => vec![Err(why)],
        };
        for (given, verdict) in given.iter().zip(&verdicts) {
            match verdict {
                Ok(()) if given.state == StateCode::Submitting.number() => {
                    self.lease.send(given.job, given.owner.unwrap_or_else(|| self.lease.me()));
                    self.events += 1;
                }
                Ok(()) => {
                    self.lease.let_go(given.job, given.held);
                    self.events += 1;
                }
                // What became of it is for others to find out.
                Err(_) if given.sent => self.lease.let_go(given.job, given.held),
                Err(_) => {}
            }
        }
        if self.kill_after.is_some_and(|after| self.events >= after) {
            kill::this_process();
        }
        for (sender, verdict) in senders.into_iter().zip(verdicts.drain(..)) {
            // A caller that is gone needs no answer.
            drop(sender.send(verdict));
        }
    }

    /// Commits a group; says of each what came of it.
    async fn commit(&self, group: &mut [Box<Given>]) -> Result<Vec<Result<(), StoreError>>, StoreError> {
        for (n, given) in group.iter_mut().enumerate() {
            given.n = n;
            given.held = self.lease.holding(given.job);
            given.owner = given.held.map(|held| held.by);
        }
        let jobs: Vec<i64> = group.iter().map(|given| given.job).collect();
        let text = json(&group)?;
        let told = loop {
            let me = self.lease.me();
            match self.link.answer(sql::COMMIT, &[&me, &jobs, &text]).await {
                Ok(told) => break told,
                Err(Failed::GivenUp) => self.lease.join(&self.link, me).await?,
                Err(Failed::Refused(why)) => return Err(why),
                // Nobody knows what was made of them: none is asked for again by itself.
                Err(Failed::Away(words)) => {
                    return Ok(group.iter().map(|_| Err(StoreError::Engine(words.clone().into()))).collect());
                }
            }
        };
        let mut verdicts: Vec<Result<(), StoreError>> =
            group.iter().map(|given| Err(StoreError::Conflict { job: JobId(given.job) })).collect();
        for row in &told {
            let n = usize::try_from(rows::get::<i32>(row, 0)?).map_err(rows::damaged)?;
            let Some(verdict) = verdicts.get_mut(n) else { continue };
            match rows::get::<i32>(row, 1)? {
                0 => *verdict = Ok(()),
                2 => *verdict = Err(StoreError::Damaged(format!("job {} is missing", group[n].job))),
                _ => {}
            }
        }
        Ok(verdicts)
    }
}
