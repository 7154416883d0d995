//! One connection, made when it is needed and again when it broke. Whatever is asked by it may be asked twice: an answer that
//! was lost with the connection is asked for again, for as long as a database may be away.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use futures::StreamExt;
use futures::stream;
use jiff::Timestamp;
use tokio::sync::watch;
use tokio_postgres::error::SqlState;
use tokio_postgres::types::ToSql;
use tokio_postgres::{AsyncMessage, Client, Row, Statement};

use crate::pace::{Backoff, Clock};
use crate::store::StoreError;

use super::address::{Address, chain};
use super::sql;

/// How long a database may be away before a run gives up.
const PATIENCE: Duration = Duration::from_secs(600);
/// Longer than any statement may take: the connection itself is lost.
const CALL: Duration = Duration::from_secs(40);
/// Waits between attempts at a database that is away.
const AWAY: Backoff = Backoff { first: Duration::from_millis(100), most: Duration::from_secs(3) };
/// So that a worker which was given up is told: the migration says so, too.
const GIVEN_UP: &str = "NR001";

/// Values of a statement.
pub(super) type Values<'a> = &'a [&'a (dyn ToSql + Sync)];

/// What connections are made by.
pub(super) struct Target {
    pub(super) address: Address,
    pub(super) clock: Clock,
    pub(super) read_only: bool,
    /// Counts up with every word from another process.
    pub(super) news: watch::Sender<u64>,
}

impl std::fmt::Debug for Target {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Target").field("place", &self.address.shown).finish_non_exhaustive()
    }
}

/// Why a statement was not done, or perhaps not.
#[derive(Debug)]
pub(super) enum Failed {
    /// The connection, or the server, is gone for the moment: nobody knows whether it was done.
    Away(String),
    /// This worker was given up: it has to begin anew.
    GivenUp,
    /// The server refused it, and will again.
    Refused(StoreError),
}

/// A connection.
#[derive(Debug)]
pub(super) struct Link {
    target: Arc<Target>,
    listens: bool,
    live: tokio::sync::Mutex<Option<Arc<Live>>>,
}

struct Live {
    client: Client,
    prepared: Mutex<HashMap<&'static str, Statement>>,
}

impl std::fmt::Debug for Live {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Live")
    }
}

impl Link {
    pub(super) fn new(target: &Arc<Target>) -> Self {
        Self { target: Arc::clone(target), listens: false, live: tokio::sync::Mutex::default() }
    }

    /// One that hears from other processes.
    pub(super) fn listening(target: &Arc<Target>) -> Self {
        Self { listens: true, ..Self::new(target) }
    }

    /// Asks until there is an answer.
    pub(super) async fn rows(&self, statement: &'static str, values: Values<'_>) -> Result<Vec<Row>, StoreError> {
        match self.answer(statement, values).await {
            Ok(rows) => Ok(rows),
            Err(Failed::Refused(why)) => Err(why),
            Err(Failed::GivenUp) => Err(StoreError::Engine("the database gave this process up".into())),
            Err(Failed::Away(words)) => Err(StoreError::Engine(words.into())),
        }
    }

    /// The same, for whoever can begin anew when it was given up.
    pub(super) async fn answer(&self, statement: &'static str, values: Values<'_>) -> Result<Vec<Row>, Failed> {
        let clock = &self.target.clock;
        let until = clock.now().checked_add(PATIENCE).unwrap_or(Timestamp::MAX);
        let mut failures = 0;
        loop {
            match self.once(statement, values).await {
                Err(Failed::Away(words)) if clock.now() < until => {
                    failures += 1;
                    if failures == 1 {
                        tracing::warn!(error = words, "the database is away; it is tried again");
                    }
                    clock.sleep(AWAY.after(failures)).await;
                }
                other => {
                    if failures > 0 && other.is_ok() {
                        tracing::info!("the database is back");
                    }
                    return other;
                }
            }
        }
    }

    /// Asks once.
    pub(super) async fn once(&self, statement: &'static str, values: Values<'_>) -> Result<Vec<Row>, Failed> {
        let live = self.live().await.map_err(classified)?;
        let asked = self.target.clock.within(CALL, async {
            let known = live.prepared().get(statement).cloned();
            let prepared = if let Some(prepared) = known {
                prepared
            } else {
                let prepared = live.client.prepare(statement).await?;
                live.prepared().insert(statement, prepared.clone());
                prepared
            };
            live.client.query(&prepared, values).await
        });
        let failed = match asked.await {
            Some(Ok(rows)) => return Ok(rows),
            Some(Err(failed)) => classified(failed),
            None => Failed::Away("the database does not answer".to_owned()),
        };
        if matches!(failed, Failed::Away(_)) {
            self.forget(&live).await;
        }
        Err(failed)
    }

    async fn live(&self) -> Result<Arc<Live>, tokio_postgres::Error> {
        let mut standing = self.live.lock().await;
        if let Some(live) = standing.as_ref().filter(|live| !live.client.is_closed()) {
            return Ok(Arc::clone(live));
        }
        *standing = None;
        let live = Arc::new(Live { client: connect(&self.target).await?, prepared: Mutex::default() });
        if self.listens {
            live.client.batch_execute(sql::LISTEN).await?;
        }
        *standing = Some(Arc::clone(&live));
        Ok(live)
    }

    async fn forget(&self, broken: &Arc<Live>) {
        let mut standing = self.live.lock().await;
        if standing.as_ref().is_some_and(|live| Arc::ptr_eq(live, broken)) {
            *standing = None;
        }
    }
}

impl Live {
    fn prepared(&self) -> std::sync::MutexGuard<'_, HashMap<&'static str, Statement>> {
        self.prepared.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A connection that is ready to work. What drives it ends with it.
pub(super) async fn connect(target: &Target) -> Result<Client, tokio_postgres::Error> {
    let (client, mut connection) = target.address.config.connect(target.address.tls.clone()).await?;
    let news = target.news.clone();
    tokio::spawn(async move {
        let mut messages = stream::poll_fn(move |context| connection.poll_message(context));
        while let Some(Ok(message)) = messages.next().await {
            if matches!(message, AsyncMessage::Notification(_)) {
                news.send_modify(|count| *count = count.wrapping_add(1));
            }
        }
    });
    client.batch_execute(sql::USE_SCHEMA).await?;
    if target.read_only {
        client.batch_execute(sql::READ_ONLY).await?;
    }
    Ok(client)
}

/// What a failure means.
pub(super) fn classified(failed: tokio_postgres::Error) -> Failed {
    let Some(code) = failed.code() else {
        let mut causes = std::iter::successors(std::error::Error::source(&failed), |cause| cause.source());
        let of_system = causes.any(<dyn std::error::Error>::is::<std::io::Error>);
        let words = chain(&failed);
        // Anything else is wrong on this side, and stays so.
        let passes = failed.is_closed() || of_system || words.contains("timeout");
        return if passes { Failed::Away(words) } else { Failed::Refused(StoreError::Engine(Box::new(failed))) };
    };
    // Connections that break, servers that start, stop or are full, and statements that stood in each other's way.
    let away = [
        SqlState::ADMIN_SHUTDOWN,
        SqlState::CRASH_SHUTDOWN,
        SqlState::CANNOT_CONNECT_NOW,
        SqlState::TOO_MANY_CONNECTIONS,
        SqlState::T_R_SERIALIZATION_FAILURE,
        SqlState::T_R_DEADLOCK_DETECTED,
        SqlState::QUERY_CANCELED,
        SqlState::LOCK_NOT_AVAILABLE,
        SqlState::IDLE_IN_TRANSACTION_SESSION_TIMEOUT,
    ];
    match code.code() {
        GIVEN_UP => Failed::GivenUp,
        text if text.starts_with("08") || away.contains(code) => Failed::Away(chain(&failed)),
        // A plan or a statement that the server does not know any more.
        "26000" => Failed::Away(chain(&failed)),
        _ if *code == SqlState::DISK_FULL => Failed::Refused(StoreError::Full),
        _ if *code == SqlState::READ_ONLY_SQL_TRANSACTION => Failed::Refused(StoreError::ReadOnly),
        _ if *code == SqlState::DATA_CORRUPTED || *code == SqlState::INDEX_CORRUPTED => {
            Failed::Refused(StoreError::Damaged(chain(&failed)))
        }
        _ => Failed::Refused(StoreError::Engine(Box::new(failed))),
    }
}
