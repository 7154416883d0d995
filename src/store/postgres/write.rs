//! What changes the ledger besides commits: admission, what is taken and given back, what is remembered of runs.

use std::path::Path;
use std::sync::PoisonError;
use std::sync::atomic::Ordering;

use jiff::Timestamp;
use serde::Serialize;
use tokio_postgres::Row;
use tokio_postgres::types::ToSql;

use crate::domain::{AccountName, BatchId, BatchName, JobId, State, StateCode};
use crate::store::{Account, Batch, Due, NewJob, Pruned, Room, RunEnd, StoreError, Wanted};

use super::link::Failed;
use super::rows::{self, get, hex, instant, json, look_up, millis, output_hash};
use super::{PostgresStore, Work, sql};

/// The columns of `readable`: what comes with a job stands behind them.
const OF_A_JOB: usize = 14;

/// A row as `admit` is given it.
#[derive(Serialize)]
struct GivenRow<'a> {
    n: usize,
    key: String,
    label: &'a str,
    content: String,
    effect: String,
    scene: &'a str,
    output: &'a str,
    columns: &'a str,
    output_hash: i64,
    content_hash: i64,
    account: Option<&'a str>,
}

/// A scene that is closed, as `take_planned` is given it.
#[derive(Serialize)]
struct Closed<'a> {
    batch: i64,
    scene: &'a str,
}

impl PostgresStore {
    pub(super) async fn write_batch(
        &self,
        name: &BatchName,
        out: &Path,
        columns: &[String],
        manifest: &Path,
    ) -> Result<Batch, StoreError> {
        self.work()?;
        let columns = json(&columns)?;
        let made = self.look(sql::OPEN_BATCH, &[&name.as_str(), &text(out)?, &columns, &text(manifest)?]).await?;
        made.first().map_or(Err(StoreError::Closed), rows::batch)
    }

    pub(super) async fn write_account(&self, account: &Account) -> Result<Account, StoreError> {
        self.work()?;
        let values: super::Values<'_> = &[&account.name.as_str(), &account.gateway, &account.base_url];
        let made = self.look(sql::OPEN_ACCOUNT, values).await?;
        made.first().map_or(Err(StoreError::Closed), rows::account)
    }

    pub(super) async fn write_rows(&self, batch: BatchId, jobs: &[NewJob], at: Timestamp) -> Result<u64, StoreError> {
        self.work()?;
        let given = jobs.iter().enumerate().map(|(n, job)| {
            Ok(GivenRow {
                n,
                key: hex(job.key.as_bytes()),
                label: &job.label,
                content: hex(job.content.as_bytes()),
                effect: json(&job.effect)?,
                scene: &job.effect.scene,
                output: job.output.as_str(),
                columns: &job.columns,
                output_hash: output_hash(&job.output),
                content_hash: look_up(&job.content),
                account: job.account.as_ref().map(AccountName::as_str),
            })
        });
        let given = json(&given.collect::<Result<Vec<_>, StoreError>>()?)?;
        let detail = json(&State::Planned { due_at: at, resend: false, with: None })?;
        let added = self.look(sql::ADMIT, &[&batch.0, &given, &detail, &millis(at)]).await?;
        added.first().map_or(Ok(0), |row| rows::count(row, 0))
    }

    pub(super) async fn write_withdrawal(&self, batch: BatchId, jobs: &[JobId]) -> Result<u64, StoreError> {
        self.work()?;
        let jobs: Vec<i64> = jobs.iter().map(|job| job.0).collect();
        let gone = self.look(sql::WITHDRAW, &[&batch.0, &jobs]).await?;
        gone.first().map_or(Ok(0), |row| rows::count(row, 0))
    }

    pub(super) async fn write_pruned(&self, batch: BatchId, before: Timestamp) -> Result<Option<Pruned>, StoreError> {
        self.work()?;
        let pruned = self.look(sql::PRUNE, &[&batch.0, &millis(before)]).await?;
        let read = |row| Ok(Pruned { rows: rows::count(row, 0)?, events: rows::count(row, 1)? });
        pruned.first().map(read).transpose()
    }

    pub(super) async fn write_run(&self, ended: &RunEnd) -> Result<(), StoreError> {
        self.work()?;
        let (batch, submitted) = (ended.batch.map(|batch| batch.0), i64::try_from(ended.submitted).unwrap_or(i64::MAX));
        let (exit, notes) = (i16::from(ended.exit_code), json(&ended.notes)?);
        self.look(sql::NOTE_RUN, &[&batch, &millis(ended.at), &exit, &submitted, &notes]).await?;
        self.look(sql::FORGET_RUNS, &[]).await?;
        self.look(sql::FORGET_DURATIONS, &[]).await.map(drop)
    }

    /// Tells other processes that there may be something to do.
    pub(super) async fn tell_the_others(&self) -> Result<(), StoreError> {
        self.work()?;
        self.look(sql::NOTIFY, &[]).await.map(drop)
    }

    /// Takes planned jobs; whether there was no room for any.
    pub(super) async fn take_wanted(
        &self,
        wanted: &Wanted,
        room: Option<&Room>,
        now: Timestamp,
        limit: usize,
    ) -> Result<(Due, bool), StoreError> {
        let closed: Vec<Closed<'_>> =
            wanted.closed.iter().map(|(batch, scene)| Closed { batch: batch.0, scene }).collect();
        let (closed, batch, now) = (json(&closed)?, wanted.batch.map(|batch| batch.0), millis(now));
        let limit = i32::try_from(limit).unwrap_or(i32::MAX - 1).min(i32::MAX - 1);
        let pool: Vec<&str> =
            room.map(|room| room.accounts.iter().map(AccountName::as_str).collect()).unwrap_or_default();
        let most = room.map(|room| i32::try_from(room.most).unwrap_or(i32::MAX));
        let account = wanted.account.as_str();
        let mut taken = self.taken(sql::TAKE_PLANNED, &[&account, &batch, &closed, &now, &limit, &pool, &most]).await?;
        let is_full = taken.last().is_some_and(|(_, row)| row.try_get::<_, bool>(OF_A_JOB + 1).unwrap_or(false));
        let Work { lease, committer, .. } = self.work()?;
        let is_held = |row: &Row| {
            Ok::<_, StoreError>(get::<Option<i64>>(row, 0)?.is_some_and(|job| lease.holding(job).is_some()))
        };
        let mut news = Vec::with_capacity(taken.len());
        for (me, row) in taken.drain(..) {
            if is_held(&row)? {
                // It may have been put off, and whoever did is not told yet.
                committer.settled().await;
            }
            if is_held(&row)? {
                // A crash forgot that it is this process's, and now it is again: whoever has it here goes on with it.
                lease.hold_on(get(&row, 0)?, me);
            } else {
                news.push((me, row));
            }
        }
        Ok((self.due(&news)?, is_full))
    }

    pub(super) async fn take(
        &self,
        state: StateCode,
        account: Option<&AccountName>,
        now: Timestamp,
        limit: usize,
    ) -> Result<Due, StoreError> {
        let (state, account, now) = (i16::from(state.number()), account.map(AccountName::as_str), millis(now));
        let limit = i32::try_from(limit).unwrap_or(i32::MAX - 1).min(i32::MAX - 1);
        let taken = self.taken(sql::TAKE_DUE, &[&state, &account, &now, &limit]).await?;
        self.due(&taken)
    }

    /// Has jobs taken, after all that was released before has been given back. The first value is this process's number. What
    /// is on its way to be committed is not waited for: its jobs are taken, and counted as what they were.
    async fn taken(
        &self,
        statement: &'static str,
        values: &[&(dyn ToSql + Sync)],
    ) -> Result<Vec<(i64, Row)>, StoreError> {
        let lease = &self.work()?.lease;
        lease.give_back(self.link()?).await?;
        loop {
            let me = lease.me();
            let mut all: Vec<&(dyn ToSql + Sync)> = vec![&me];
            all.extend(values);
            match self.link()?.answer(statement, &all).await {
                Ok(taken) => return Ok(taken.into_iter().map(|row| (me, row)).collect()),
                Err(Failed::GivenUp) => lease.join(self.link()?, me).await?,
                Err(Failed::Refused(why)) => return Err(why),
                Err(Failed::Away(words)) => return Err(StoreError::Engine(words.into())),
            }
        }
    }

    fn due(&self, taken: &[(i64, Row)]) -> Result<Due, StoreError> {
        let lease = &self.work()?.lease;
        let mut due = Due::default();
        for (me, row) in taken {
            if let Some(job) = get::<Option<i64>>(row, 0)? {
                lease.hold(job, *me);
                due.jobs.push(rows::job(row)?);
            } else if let Some(next) = get::<Option<i64>>(row, OF_A_JOB)? {
                due.next_at = Some(instant(next)?);
            }
        }
        Ok(due)
    }

    /// Leaves those at work, and gives back what is still taken.
    pub(super) async fn leave(&self) -> Result<(), StoreError> {
        if self.closed.load(Ordering::SeqCst) {
            return Ok(());
        }
        if let Some(work) = &self.work {
            work.committer.settled().await;
            // Before it leaves, so that it is not taken for one that was given up.
            self.tasks.lock().unwrap_or_else(PoisonError::into_inner).abort_all();
            let me = work.lease.me();
            work.own.rows(sql::LEAVE, &[&me]).await?;
        }
        self.closed.store(true, Ordering::SeqCst);
        Ok(())
    }
}

fn text(path: &Path) -> Result<&str, StoreError> {
    path.to_str().ok_or_else(|| StoreError::Engine(format!("{} is not valid Unicode", path.display()).into()))
}
