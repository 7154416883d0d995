//! Which ledger: a file that this process has to itself, or a database that many share.

use std::sync::Arc;

use crate::cli::exit::Exit;
use crate::cli::failure::Failure;
use crate::config::Settings;
use crate::ledger::Ledger;
use crate::pace::Clock;
use crate::store::sqlite::SqliteStore;
use crate::store::{self, Store};

/// A ledger that this process works on.
pub(in crate::cli) struct Opened {
    pub(in crate::cli) store: Arc<dyn Store>,
    pub(in crate::cli) ledger: Ledger,
    pub(in crate::cli) clock: Clock,
}

impl Opened {
    /// A ledger that is only read: whatever would change it is refused.
    pub(in crate::cli) fn to_read(store: Arc<dyn Store>) -> Self {
        Self::over(store, Clock::system())
    }

    fn over(store: Arc<dyn Store>, clock: Clock) -> Self {
        Self { ledger: Ledger::new(Arc::clone(&store), clock.clone()), store, clock }
    }
}

/// Opens the ledger to work on it.
pub(in crate::cli) async fn open(settings: &Settings) -> Result<Opened, Failure> {
    let clock = Clock::system();
    let store: Arc<dyn Store> = if store::is_shared(&settings.state) {
        shared(settings, &clock).await?
    } else {
        Arc::new(SqliteStore::open(&settings.state, clock.now())?)
    };
    Ok(Opened::over(store, clock))
}

/// Opens the ledger to read it, also beside a run; `None` when there is none.
pub(in crate::cli) async fn open_to_read(settings: &Settings) -> Result<Option<Arc<dyn Store>>, Failure> {
    if store::is_shared(&settings.state) {
        return shared_to_read(settings).await;
    }
    let store = SqliteStore::open_to_read(&settings.state)?;
    Ok(store.map(|store| -> Arc<dyn Store> { Arc::new(store) }))
}

/// Opens the ledger to read it, or says that there is none.
pub(in crate::cli) async fn must_read(settings: &Settings) -> Result<Arc<dyn Store>, Failure> {
    open_to_read(settings).await?.ok_or_else(|| no_ledger(settings))
}

/// Opens the ledger to work on it, or says that there is none.
pub(in crate::cli) async fn must_open(settings: &Settings) -> Result<Opened, Failure> {
    if is_there(settings).await? { open(settings).await } else { Err(no_ledger(settings)) }
}

/// Whether there is a ledger.
pub(in crate::cli) async fn is_there(settings: &Settings) -> Result<bool, Failure> {
    if store::is_shared(&settings.state) {
        return Ok(open_to_read(settings).await?.is_some());
    }
    Ok(settings.state.exists())
}

pub(in crate::cli) fn no_ledger(settings: &Settings) -> Failure {
    Failure::new(Exit::Usage, format!("{}: there is no ledger yet", settings.state.display()))
        .hint("`nightreel run MANIFEST` makes one; `--state PATH` names another")
}

/// Says of a ledger that many share that something needs a ledger in a file.
pub(in crate::cli) fn must_be_a_file(settings: &Settings, what: &str, hint: &str) -> Result<(), Failure> {
    if store::is_shared(&settings.state) {
        return Err(Failure::new(Exit::Usage, format!("{what} needs a ledger in a file")).hint(hint));
    }
    Ok(())
}

#[cfg(feature = "postgres")]
async fn shared(settings: &Settings, clock: &Clock) -> Result<Arc<dyn Store>, Failure> {
    use crate::store::postgres::PostgresStore;
    Ok(Arc::new(PostgresStore::open(&settings.state, settings.state_password.as_ref(), clock.clone()).await?))
}

#[cfg(feature = "postgres")]
async fn shared_to_read(settings: &Settings) -> Result<Option<Arc<dyn Store>>, Failure> {
    use crate::store::postgres::PostgresStore;
    let (state, password) = (&settings.state, settings.state_password.as_ref());
    let store = PostgresStore::open_to_read(state, password, Clock::system()).await?;
    Ok(store.map(|store| -> Arc<dyn Store> { Arc::new(store) }))
}

#[cfg(not(feature = "postgres"))]
#[expect(clippy::unused_async, reason = "it waits where it can do anything")]
async fn shared(settings: &Settings, _clock: &Clock) -> Result<Arc<dyn Store>, Failure> {
    Err(not_built(settings))
}

#[cfg(not(feature = "postgres"))]
#[expect(clippy::unused_async, reason = "it waits where it can do anything")]
async fn shared_to_read(settings: &Settings) -> Result<Option<Arc<dyn Store>>, Failure> {
    Err(not_built(settings))
}

#[cfg(not(feature = "postgres"))]
fn not_built(settings: &Settings) -> Failure {
    let words = format!("{}: this nightreel was built without ledgers in PostgreSQL", settings.state.display());
    Failure::new(Exit::Usage, words)
        .hint("build it with them: cargo install --path . --features cluster (postgres alone, without object stores)")
}
