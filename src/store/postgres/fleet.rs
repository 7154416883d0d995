//! What processes keep through the database: the slots, the pace and the budget of an account.

use std::time::Duration;

use futures::FutureExt;
use futures::future::BoxFuture;
use jiff::Timestamp;
use tokio::sync::watch;

use crate::domain::{AccountName, JobId};
use crate::store::{Claim, Fleet, Group, Reserved, Room, StoreError, Wanted, Weighed, Weight};

use super::{PostgresStore, rows, sql};

impl Fleet for PostgresStore {
    fn claim(
        &self,
        wanted: Wanted,
        room: Room,
        now: Timestamp,
        limit: usize,
    ) -> BoxFuture<'_, Result<Claim, StoreError>> {
        async move {
            let (due, is_full) = self.take_wanted(&wanted, Some(&room), now, limit).await?;
            Ok(if !due.jobs.is_empty() {
                Claim::Jobs(due.jobs)
            } else if is_full {
                Claim::Full
            } else {
                Claim::Nothing(due.next_at)
            })
        }
        .boxed()
    }

    fn afford(&self, job: JobId, weighed: Weighed) -> BoxFuture<'_, Result<Weight, StoreError>> {
        async move {
            let micros = |money: crate::domain::Money| i64::try_from(money.micros()).unwrap_or(i64::MAX);
            let (price, most, typical) = (micros(weighed.price), micros(weighed.most), micros(weighed.typical));
            let (owner, batch) =
                (self.work()?.lease.holding(job.0).map(|held| held.by), weighed.batch.map(|batch| batch.0));
            // What is on its way to be committed is reserved until it is.
            let told = self.link()?.rows(sql::AFFORD, &[&owner, &job.0, &price, &batch, &most, &typical]).await?;
            Ok(match told.first().map(|row| rows::get::<i32>(row, 0)).transpose()? {
                Some(0) => Weight::Affordable,
                Some(2) => Weight::TooDear,
                _ => Weight::NotNow,
            })
        }
        .boxed()
    }

    fn reserve(
        &self,
        account: AccountName,
        interval: Duration,
        requests: u32,
    ) -> BoxFuture<'_, Result<Reserved, StoreError>> {
        async move {
            self.work()?;
            let requests = i32::try_from(requests).unwrap_or(i32::MAX);
            let told =
                self.link()?.rows(sql::RESERVE, &[&account.as_str(), &interval.as_secs_f64(), &requests]).await?;
            let missing = || StoreError::Damaged(format!("account {account} is missing"));
            let row = told.first().ok_or_else(missing)?;
            let instant = |at| -> Result<Timestamp, StoreError> {
                let beyond = |why: jiff::Error| StoreError::Damaged(format!("the pace of account {account}: {why}"));
                Timestamp::from_microsecond(rows::get(row, at)?).map_err(beyond)
            };
            Ok(Reserved { first: instant(0)?, now: instant(1)? })
        }
        .boxed()
    }

    fn claimed(&self, accounts: Vec<AccountName>) -> BoxFuture<'_, Result<Vec<Group>, StoreError>> {
        async move { self.read_claimed(&accounts).await }.boxed()
    }

    fn is_ours(&self) -> bool {
        self.work.as_ref().is_some_and(|work| work.lease.is_ours())
    }

    fn news(&self) -> watch::Receiver<u64> {
        self.news.subscribe()
    }
}
