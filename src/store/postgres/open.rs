//! Opening a ledger: whether the database can be reached, whose tables are there, and which version their format has.

use std::error::Error;
use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;
use tokio_postgres::Client;

use crate::domain::Digest;
use crate::pace::Backoff;

use super::address::chain;
use super::link::{Failed, Target, classified, connect};
use super::{rows, sql};

/// The steps from nothing to the present format, in order; released ones are never edited.
pub(super) const MIGRATIONS: [(&str, &str); 1] = [("0001_ledger", include_str!("migrations/0001_ledger.sql"))];

/// How long a database that is just starting is waited for.
const STARTING: Duration = Duration::from_secs(20);
const AGAIN: Backoff = Backoff { first: Duration::from_millis(200), most: Duration::from_secs(2) };
/// Clocks that are further apart are told of.
const APART: Duration = Duration::from_secs(2);

/// A ledger could not be opened.
#[derive(Debug, thiserror::Error)]
pub enum OpenError {
    /// The address says nothing that could be meant.
    #[error("{place}: the address cannot be used: {words}")]
    Address {
        /// The address, without a password.
        place: String,
        /// Why.
        words: String,
    },
    /// The database cannot be reached.
    #[error("{place}: the database cannot be reached: {words}")]
    Unreachable {
        /// The address.
        place: String,
        /// What was said last.
        words: String,
    },
    /// The database is there, and could not be told anything in secret.
    #[error("{place}: the connection to the database cannot be kept secret: {words}")]
    Tls {
        /// The address.
        place: String,
        /// Why.
        words: String,
    },
    /// The database let nobody in, or not this user.
    #[error("{place}: the database refuses: {words}")]
    Refused {
        /// The address.
        place: String,
        /// Its words.
        words: String,
    },
    /// Something else has the schema `nightreel`.
    #[error("{place}: the schema nightreel of this database is not a ledger of nightreel's; it was left as it is")]
    NotALedger {
        /// The address.
        place: String,
    },
    /// A newer nightreel made it.
    #[error("{place}: the ledger's format is {found}, this nightreel knows up to {known}")]
    Newer {
        /// The address.
        place: String,
        /// Its format.
        found: i32,
        /// The newest format known here.
        known: i32,
    },
    /// An older nightreel made it, and it is only being read.
    #[error("{place}: the ledger's format is {found} and must be brought to {known} first")]
    Older {
        /// The address.
        place: String,
        /// Its format.
        found: i32,
        /// The format known here.
        known: i32,
    },
}

/// Whether there is a ledger; brings it to the present format, where it may be changed.
pub(super) async fn prepare(target: &Arc<Target>) -> Result<bool, OpenError> {
    let until = target.clock.now().checked_add(STARTING).unwrap_or(Timestamp::MAX);
    let mut failures = 0;
    loop {
        let failed = match attempt(target).await {
            Ok(prepared) => return prepared,
            Err(failed) => failed,
        };
        let place = target.address.shown.clone();
        let words = chain(&failed);
        if is_of_tls(&failed) {
            return Err(OpenError::Tls { place, words });
        }
        match classified(failed) {
            Failed::Away(_) if target.clock.now() < until => {
                failures += 1;
                target.clock.sleep(AGAIN.after(failures)).await;
            }
            Failed::Away(_) | Failed::GivenUp => return Err(OpenError::Unreachable { place, words }),
            Failed::Refused(_) => return Err(OpenError::Refused { place, words }),
        }
    }
}

/// Whether TLS came to nothing and will again, whom it trusts being a person's to say. A connection that only broke is none such.
fn is_of_tls(failed: &tokio_postgres::Error) -> bool {
    let broke = failed.source().and_then(|why| why.downcast_ref::<std::io::Error>());
    let is_lasting = broke.is_none_or(|why| why.get_ref().is_some_and(<dyn Error + Send + Sync>::is::<rustls::Error>));
    is_lasting && failed.to_string().starts_with("error performing TLS handshake")
}

async fn attempt(target: &Target) -> Result<Result<bool, OpenError>, tokio_postgres::Error> {
    let mut client = connect(target).await?;
    compare_clocks(target, &client).await?;
    if target.read_only { to_read(target, &client).await } else { to_write(target, &mut client).await }
}

/// Times of events are each machine's own: one that is off is told of.
async fn compare_clocks(target: &Target, client: &Client) -> Result<(), tokio_postgres::Error> {
    let theirs: i64 = client.query_one(sql::CLOCK, &[]).await?.get(0);
    let apart = Duration::from_millis(theirs.abs_diff(rows::millis(target.clock.now())));
    if apart > APART {
        let words = format!("by {} s", apart.as_secs());
        tracing::warn!(error = words, "this machine's clock and the database's are apart");
    }
    Ok(())
}

async fn to_read(target: &Target, client: &Client) -> Result<Result<bool, OpenError>, tokio_postgres::Error> {
    let there: i64 = client.query_one(sql::HAS_SCHEMA, &[]).await?.get(0);
    if there == 0 {
        return Ok(Ok(false));
    }
    let place = target.address.shown.clone();
    match found(client, &place).await? {
        Ok(0) => Ok(Ok(false)),
        Ok(found) if found < known() => Ok(Err(OpenError::Older { place, found, known: known() })),
        Ok(_) => Ok(Ok(true)),
        Err(refused) => Ok(Err(refused)),
    }
}

async fn to_write(target: &Target, client: &mut Client) -> Result<Result<bool, OpenError>, tokio_postgres::Error> {
    let step = client.transaction().await?;
    step.query(sql::LOCK_FORMAT, &[]).await?;
    let place = &target.address.shown;
    let there: i64 = step.query_one(sql::HAS_SCHEMA, &[]).await?.get(0);
    let found = if there == 0 { Ok(0) } else { found(step.client(), place).await? };
    let found = match found {
        Ok(found) => found,
        Err(refused) => return Ok(Err(refused)),
    };
    if found < known() {
        step.batch_execute(sql::MIGRATIONS_TABLE).await?;
        let begin = usize::try_from(found).unwrap_or(0);
        for (number, (name, statements)) in (1_i32..).zip(MIGRATIONS).skip(begin) {
            step.batch_execute(statements).await?;
            let digest = Digest::of(statements.as_bytes()).to_string();
            step.execute(sql::MIGRATED, &[&number, &name, &digest]).await?;
        }
    }
    step.commit().await?;
    Ok(Ok(true))
}

/// The format of what is there; 0 for an empty schema.
async fn found(client: &Client, place: &str) -> Result<Result<i32, OpenError>, tokio_postgres::Error> {
    let tables = client.query_one(sql::TABLES, &[]).await?;
    let place = || place.to_owned();
    match (tables.get::<_, i64>(0), tables.get::<_, i64>(1)) {
        (0, _) => return Ok(Ok(0)),
        (_, 0) => return Ok(Err(OpenError::NotALedger { place: place() })),
        _ => {}
    }
    let found: i32 = client.query_one(sql::FORMAT, &[]).await?.get(0);
    if found > known() {
        return Ok(Err(OpenError::Newer { place: place(), found, known: known() }));
    }
    Ok(Ok(found))
}

fn known() -> i32 {
    i32::try_from(MIGRATIONS.len()).unwrap_or(i32::MAX)
}
