//! What only reads the ledger.

use std::collections::HashMap;
use std::path::Path;
use std::time::Duration;

use jiff::Timestamp;
use tokio_postgres::Row;

use crate::domain::{
    AccountName, Attempt, BatchId, BatchName, Currency, Digest, Job, JobId, Money, OutputKey, Price, RowKey, StateCode,
    Tally,
};
use crate::store::{
    Account, Batch, Ended, Filter, Group, Known, Left, OutputOwner, Recorded, RunEnd, Spent, StoreError,
};

use super::PostgresStore;
use super::rows::{
    self, account_name, bytes, count, damaged, each, get, instant, look_up, millis, output_hash, state_code,
};
use super::sql;

impl PostgresStore {
    pub(super) async fn read_batches(&self) -> Result<Vec<Batch>, StoreError> {
        each(&self.look(sql::BATCHES, &[]).await?, rows::batch)
    }

    pub(super) async fn read_accounts(&self) -> Result<Vec<Account>, StoreError> {
        each(&self.look(sql::ACCOUNTS, &[]).await?, rows::account)
    }

    pub(super) async fn read_known(&self, batch: BatchId, keys: Vec<RowKey>) -> Result<Vec<Option<Known>>, StoreError> {
        let asked: Vec<&[u8]> = keys.iter().map(|key| key.as_bytes().as_slice()).collect();
        let mut found = HashMap::with_capacity(keys.len());
        for row in self.look(sql::KNOWN, &[&batch.0, &asked]).await? {
            let known = Known {
                job: JobId(get(&row, 0)?),
                state: state_code(&row, 1)?,
                content: Digest::from_bytes(bytes(&row, 2)?),
                output: rows::parse(&row, 3, OutputKey::new)?,
                submissions: u32::try_from(get::<i64>(&row, 4)?).map_err(damaged)?,
                account: account_name(&row, 5)?,
            };
            found.insert(RowKey::from_bytes(bytes(&row, 6)?), known);
        }
        Ok(keys.iter().map(|key| found.get(key).cloned()).collect())
    }

    pub(super) async fn read_output_owners(
        &self,
        out: &Path,
        asks: &[(Option<BatchId>, RowKey, OutputKey)],
    ) -> Result<Vec<Option<OutputOwner>>, StoreError> {
        let out = out.to_string_lossy().into_owned();
        let hashes: Vec<i64> = asks.iter().map(|(_, _, output)| output_hash(output)).collect();
        let mut found: HashMap<i64, Vec<(String, BatchId, RowKey, OutputOwner)>> = HashMap::new();
        for row in self.look(sql::OUTPUT_OWNERS, &[&hashes, &out]).await? {
            let folded = rows::parse(&row, 0, OutputKey::new)?.folded();
            let owner = OutputOwner { batch: rows::parse(&row, 2, BatchName::new)?, label: get(&row, 1)? };
            let (batch, key) = (BatchId(get(&row, 3)?), RowKey::from_bytes(bytes(&row, 4)?));
            found.entry(get(&row, 5)?).or_default().push((folded, batch, key, owner));
        }
        let owner = |(batch, key, output): &(Option<BatchId>, RowKey, OutputKey), hash: &i64| {
            let theirs = found.get(hash)?.iter().rev();
            let mut others =
                theirs.filter(|(folded, of, its, _)| *folded == output.folded() && (Some(*of) != *batch || its != key));
            others.next().map(|(.., owner)| owner.clone())
        };
        Ok(asks.iter().zip(&hashes).map(|(ask, hash)| owner(ask, hash)).collect())
    }

    pub(super) async fn read_paid_elsewhere(&self, contents: &[Digest]) -> Result<Vec<Option<BatchName>>, StoreError> {
        let hashes: Vec<i64> = contents.iter().map(look_up).collect();
        let mut found: HashMap<[u8; 32], BatchName> = HashMap::new();
        for row in self.look(sql::PAID_ELSEWHERE, &[&hashes]).await? {
            found.insert(bytes(&row, 1)?, rows::parse(&row, 0, BatchName::new)?);
        }
        Ok(contents.iter().map(|content| found.get(content.as_bytes()).cloned()).collect())
    }

    pub(super) async fn read_job(&self, id: JobId) -> Result<Option<Job>, StoreError> {
        self.look(sql::JOB, &[&id.0]).await?.first().map(rows::job).transpose()
    }

    pub(super) async fn read_jobs(&self, filter: Filter, after: JobId, limit: usize) -> Result<Vec<Job>, StoreError> {
        const TROUBLED: [StateCode; 3] = [StateCode::Failed, StateCode::Held, StateCode::Stuck];
        let troubled = !filter.states.is_empty() && filter.states.iter().all(|state| TROUBLED.contains(state));
        let statement = if troubled { sql::JOBS_TROUBLED } else { sql::JOBS };
        let states: Vec<i16> = filter.states.iter().map(|state| i16::from(state.number())).collect();
        let batch = filter.batch.map(|batch| batch.0);
        each(&self.look(statement, &[&after.0, &batch, &states, &filter.named, &most(limit)]).await?, rows::job)
    }

    pub(super) async fn read_newest(&self, limit: usize) -> Result<Vec<Job>, StoreError> {
        each(&self.look(sql::NEWEST, &[&most(limit)]).await?, rows::job)
    }

    pub(super) async fn read_tally(&self, batch: Option<BatchId>) -> Result<Tally, StoreError> {
        tally(&self.look(sql::TALLY, &[&batch.map(|batch| batch.0)]).await?)
    }

    pub(super) async fn read_open_of(&self, account: &AccountName) -> Result<Tally, StoreError> {
        tally(&self.look(sql::OPEN_OF, &[&account.as_str()]).await?)
    }

    pub(super) async fn read_left(
        &self,
        accounts: Vec<AccountName>,
        batch: Option<BatchId>,
    ) -> Result<Left, StoreError> {
        let names: Vec<&str> = accounts.iter().map(AccountName::as_str).collect();
        let mut left = Left { at_remote: vec![0; accounts.len()], ..Left::default() };
        for row in self.look(sql::LEFT, &[&names, &batch.map(|batch| batch.0)]).await? {
            match get::<i32>(&row, 0)? {
                1 => {
                    let account: &str = get(&row, 3)?;
                    let place = names.iter().position(|name| *name == account);
                    if let Some(running) = place.and_then(|place| left.at_remote.get_mut(place)) {
                        *running = count(&row, 5)?;
                    }
                }
                2 => left.ready = count(&row, 5)?,
                _ => left.planned.push(rows::group(&row, 1)?),
            }
        }
        Ok(left)
    }

    pub(super) async fn read_groups(&self, batch: Option<BatchId>) -> Result<Vec<Group>, StoreError> {
        each(&self.look(sql::GROUPS, &[&batch.map(|batch| batch.0)]).await?, |row| rows::group(row, 0))
    }

    pub(super) async fn read_open_groups(&self, account: &AccountName) -> Result<Vec<Group>, StoreError> {
        each(&self.look(sql::OPEN_GROUPS, &[&account.as_str()]).await?, |row| rows::group(row, 0))
    }

    pub(super) async fn read_claimed(&self, accounts: &[AccountName]) -> Result<Vec<Group>, StoreError> {
        let names: Vec<&str> = accounts.iter().map(AccountName::as_str).collect();
        each(&self.look(sql::CLAIMED, &[&names]).await?, |row| rows::group(row, 0))
    }

    pub(super) async fn read_spent(&self, batch: Option<BatchId>) -> Result<Vec<Spent>, StoreError> {
        each(&self.look(sql::SPENT, &[&batch.map(|batch| batch.0)]).await?, |row| {
            let currency: String = get(row, 1)?;
            let price = if currency.is_empty() {
                None
            } else {
                let amount = Money::from_micros(count(row, 2)?);
                Some(Price { amount, currency: Currency::new(currency).map_err(damaged)? })
            };
            Ok(Spent { account: rows::parse(row, 0, AccountName::new)?, price, requests: count(row, 3)? })
        })
    }

    pub(super) async fn read_open_before(
        &self,
        account: &AccountName,
        before: Timestamp,
        limit: usize,
    ) -> Result<Vec<Job>, StoreError> {
        let values: super::link::Values<'_> = &[&account.as_str(), &millis(before), &most(limit)];
        each(&self.look(sql::OPEN_BEFORE, values).await?, rows::job)
    }

    pub(super) async fn read_history(&self, job: JobId) -> Result<Vec<Recorded>, StoreError> {
        each(&self.look(sql::HISTORY, &[&job.0]).await?, |row| {
            Ok(Recorded { seq: get(row, 0)?, at: instant(get(row, 1)?)?, event: rows::read(row, 2)? })
        })
    }

    pub(super) async fn read_once_called(&self, name: &str, limit: usize) -> Result<Vec<JobId>, StoreError> {
        each(&self.look(sql::ONCE_CALLED, &[&name, &most(limit)]).await?, |row| Ok(JobId(get(row, 0)?)))
    }

    pub(super) async fn read_ended(&self) -> Result<Vec<Ended>, StoreError> {
        each(&self.look(sql::ENDED, &[]).await?, |row| {
            let last: Option<i64> = get(row, 2)?;
            Ok(Ended { batch: BatchId(get(row, 0)?), rows: count(row, 1)?, last_end: last.map(instant).transpose()? })
        })
    }

    pub(super) async fn read_recent_durations(
        &self,
        account: &AccountName,
        limit: usize,
    ) -> Result<Vec<Duration>, StoreError> {
        let took = self.look(sql::RECENT, &[&account.as_str(), &most(limit)]).await?;
        each(&took, |row| Ok(Duration::from_millis(count(row, 0)?)))
    }

    pub(super) async fn read_last_run(&self, batch: Option<BatchId>) -> Result<Option<RunEnd>, StoreError> {
        let read = |row: &Row| {
            Ok(RunEnd {
                batch: get::<Option<i64>>(row, 0)?.map(BatchId),
                at: instant(get(row, 1)?)?,
                exit_code: u8::try_from(get::<i16>(row, 2)?).map_err(damaged)?,
                submitted: count(row, 3)?,
                notes: rows::read(row, 4)?,
            })
        };
        self.look(sql::LAST_RUN, &[&batch.map(|batch| batch.0)]).await?.first().map(read).transpose()
    }

    pub(super) async fn read_recent_task(
        &self,
        account: &AccountName,
        since: Timestamp,
        before: Timestamp,
    ) -> Result<Option<Attempt>, StoreError> {
        let found = self.look(sql::RECENT_TASK, &[&account.as_str(), &millis(since), &millis(before)]).await?;
        found.first().map(|row| rows::read(row, 0)).transpose()
    }
}

fn tally(counted: &[Row]) -> Result<Tally, StoreError> {
    let mut tally = Tally::default();
    for row in counted {
        tally.add(state_code(row, 0)?, count(row, 1)?, count(row, 2)?);
    }
    Ok(tally)
}

/// A limit as the database takes it.
fn most(limit: usize) -> i64 {
    i64::try_from(limit).unwrap_or(i64::MAX)
}
