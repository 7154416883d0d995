//! How everything stands, gathered while somebody looks, and told to all who look by server-sent events.

use std::convert::Infallible;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use axum::extract::State;
use axum::http::{StatusCode, header};
use axum::response::sse::{Event, KeepAlive};
use axum::response::{IntoResponse, Response, Sse};
use futures::stream;
use tokio::sync::{Semaphore, watch};

use super::Ground;
use super::view::{Memory, View};
use crate::pace::Clock;
use crate::store::Store;
use crate::store::sqlite::{OpenError, SqliteStore};

/// How often it is gathered.
const EVERY: Duration = Duration::from_millis(500);
/// Of the time that gathering takes, so many times as much passes before it is gathered again: looking at a ledger of a
/// million failures must not keep a processor busy.
const REST: u32 = 10;
/// Visitors who look at the same time.
const VISITORS: usize = 64;
/// How often a connection on which nothing happens is kept open.
const KEEP: Duration = Duration::from_secs(15);

/// The ledger to be read, and the last that was read of it.
#[derive(Debug)]
pub(super) struct Live {
    ledger: PathBuf,
    clock: Clock,
    store: Mutex<Option<Arc<dyn Store>>>,
    memory: tokio::sync::Mutex<Memory>,
    told: watch::Sender<Arc<str>>,
    visitors: Arc<Semaphore>,
}

impl Live {
    pub(super) fn new(ledger: PathBuf, clock: Clock) -> Self {
        Self {
            ledger,
            clock,
            store: Mutex::default(),
            memory: tokio::sync::Mutex::default(),
            told: watch::Sender::new(Arc::from("")),
            visitors: Arc::new(Semaphore::new(VISITORS)),
        }
    }

    /// Where the ledger is.
    pub(super) const fn ledger(&self) -> &PathBuf {
        &self.ledger
    }

    /// The ledger, opened to be read beside a run; `None` while there is none.
    pub(super) fn store(&self) -> Result<Option<Arc<dyn Store>>, OpenError> {
        let mut standing = self.store.lock().unwrap_or_else(PoisonError::into_inner);
        if standing.is_none() {
            *standing = SqliteStore::open_to_read(&self.ledger)?.map(|store| -> Arc<dyn Store> { Arc::new(store) });
        }
        Ok(standing.clone())
    }
}

/// How everything stands now, as JSON; an error in words.
async fn look(ground: &Ground) -> Result<Arc<str>, String> {
    let now = ground.clock.now();
    let view = match ground.live.store().map_err(|error| error.to_string())? {
        None => View::empty(now),
        Some(store) => {
            let mut memory = ground.live.memory.lock().await;
            let view = View::gather(store.as_ref(), &ground.desk, &mut memory, now).await;
            view.map_err(|error| error.to_string())?
        }
    };
    serde_json::to_string(&view).map(Arc::from).map_err(|error| error.to_string())
}

/// Gathers for as long as the server lives, while somebody looks.
pub(super) async fn gather(ground: Arc<Ground>) {
    let clock = &ground.live.clock;
    loop {
        let begun = clock.now();
        if ground.live.told.receiver_count() > 0 {
            match look(&ground).await {
                Ok(view) => drop(ground.live.told.send_replace(view)),
                Err(error) => tracing::warn!(error, "the dashboard cannot read the ledger"),
            }
        }
        let took = Duration::try_from(clock.now().duration_since(begun)).unwrap_or_default();
        clock.sleep((took * REST).max(EVERY)).await;
    }
}

/// Tells how everything stands in the end.
pub(super) async fn last(ground: &Ground) {
    if ground.live.told.receiver_count() > 0
        && let Ok(view) = look(ground).await
    {
        ground.live.told.send_replace(view);
    }
}

/// How everything stands, once.
pub(super) async fn view(State(ground): State<Arc<Ground>>) -> Response {
    match look(&ground).await {
        Ok(view) => ([(header::CONTENT_TYPE, "application/json")], view.to_string()).into_response(),
        Err(words) => (StatusCode::SERVICE_UNAVAILABLE, words).into_response(),
    }
}

/// How everything stands, again and again.
pub(super) async fn events(State(ground): State<Arc<Ground>>) -> Response {
    let Ok(place) = Arc::clone(&ground.live.visitors).try_acquire_owned() else {
        return (StatusCode::SERVICE_UNAVAILABLE, "too many look at the same time\n").into_response();
    };
    let first = look(&ground).await.ok();
    let told = ground.live.told.subscribe();
    let stop = ground.stop.clone();
    let start = (first, told, stop, place);
    let stream = stream::unfold(start, |(mut first, mut told, stop, place)| async move {
        let view = if let Some(view) = first.take() {
            view
        } else {
            tokio::select! {
                // What was told last is still shown when the server ends.
                biased;
                changed = told.changed() => {
                    changed.ok()?;
                    told.borrow_and_update().clone()
                }
                () = stop.cancelled() => return None,
            }
        };
        let event = Event::default().event("view").data(&*view);
        Some((Ok::<_, Infallible>(event), (first, told, stop, place)))
    });
    Sse::new(stream).keep_alive(KeepAlive::new().interval(KEEP)).into_response()
}
