//! What a person can do from the page. Each request was let in by `door`: from this very page, with its token.

use std::sync::Arc;

use axum::Json;
use axum::extract::State;
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use serde::Deserialize;
use serde_json::json;

use super::{Desk, Ground};
use crate::domain::{Job, JobEvent, JobId, StateCode, TaskId, Verdict};
use crate::ledger::{Ledger, RecordError};
use crate::pipeline::{Control, ResolveError};
use crate::store::sqlite::{OpenError, SqliteStore};
use crate::store::{Filter, Store, StoreError};

/// What a person says of a row.
#[derive(Deserialize)]
pub(super) struct Said {
    /// What was sent as `external_task_id`.
    reference: String,
    verdict: Word,
    /// Which task, where it was made.
    task: Option<String>,
}

#[derive(Deserialize, Clone, Copy)]
#[serde(rename_all = "snake_case")]
enum Word {
    Made,
    NotMade,
    Drop,
}

pub(super) async fn hold(State(ground): State<Arc<Ground>>) -> Response {
    tell(&ground, Control::hold_submitting)
}

pub(super) async fn resume(State(ground): State<Arc<Ground>>) -> Response {
    tell(&ground, Control::resume)
}

pub(super) async fn drain(State(ground): State<Arc<Ground>>) -> Response {
    tell(&ground, Control::drain)
}

/// Settles one row that is held or stuck.
pub(super) async fn resolve(State(ground): State<Arc<Ground>>, Json(said): Json<Said>) -> Response {
    let verdict = match (said.verdict, said.task.as_deref().map(str::trim).filter(|task| !task.is_empty())) {
        (Word::Made, Some(task)) => match TaskId::new(task) {
            Ok(task) => Verdict::Made(task),
            Err(bad) => return refuse(StatusCode::UNPROCESSABLE_ENTITY, &bad.to_string()),
        },
        (Word::Made, None) => return refuse(StatusCode::UNPROCESSABLE_ENTITY, "which task was made?"),
        (Word::NotMade, _) => Verdict::NotMade,
        (Word::Drop, _) => Verdict::Drop,
    };
    match settle(&ground, said.reference, verdict).await {
        Ok(label) => Json(json!({ "resolved": label })).into_response(),
        Err(unsettled) => refuse(unsettled.status(), &unsettled.words()),
    }
}

/// Why a row was not settled.
#[derive(Debug, thiserror::Error)]
enum Unsettled {
    #[error("no such row is held or stuck")]
    NotThere,
    #[error(transparent)]
    Open(#[from] OpenError),
    #[error(transparent)]
    Store(#[from] StoreError),
    #[error(transparent)]
    Run(#[from] ResolveError),
    #[error(transparent)]
    Record(#[from] RecordError),
}

impl Unsettled {
    fn status(&self) -> StatusCode {
        match self {
            Self::NotThere => StatusCode::NOT_FOUND,
            Self::Open(OpenError::Held { .. })
            | Self::Run(ResolveError::NotHeld | ResolveError::Ended | ResolveError::Record(_))
            | Self::Record(_) => StatusCode::CONFLICT,
            Self::Open(_) | Self::Store(_) => StatusCode::SERVICE_UNAVAILABLE,
        }
    }

    fn words(&self) -> String {
        match self {
            Self::Open(held @ OpenError::Held { .. }) => {
                format!("{held}: rows are settled on its own dashboard, or once it has ended")
            }
            Self::NotThere | Self::Open(_) | Self::Store(_) | Self::Run(_) | Self::Record(_) => self.to_string(),
        }
    }
}

async fn settle(ground: &Ground, reference: String, verdict: Verdict) -> Result<String, Unsettled> {
    match &ground.desk {
        Desk::Run { control, .. } => {
            let store = ground.live.store()?.ok_or(Unsettled::NotThere)?;
            let job = find(store.as_ref(), reference).await?;
            Ok(control.resolve(&job, verdict).await?.label)
        }
        Desk::Ledger => {
            // Only for as long as this takes: a run may want to begin.
            let path = ground.live.ledger().clone();
            if !path.exists() {
                return Err(Unsettled::NotThere);
            }
            let now = ground.clock.now();
            let opened = tokio::task::spawn_blocking(move || SqliteStore::open(&path, now)).await;
            let store: Arc<dyn Store> = Arc::new(opened.map_err(|_| Unsettled::NotThere)??);
            let job = find(store.as_ref(), reference).await?;
            let ledger = Ledger::new(Arc::clone(&store), ground.clock.clone());
            let settled = ledger.record(&job, JobEvent::Resolved { verdict }).await;
            store.close().await?;
            Ok(settled?.label)
        }
    }
}

/// The one row of that reference that is held or stuck.
async fn find(store: &dyn Store, reference: String) -> Result<Job, Unsettled> {
    let states = vec![StateCode::Held, StateCode::Stuck];
    let found = store.jobs(Filter { batch: None, states, named: Some(reference.clone()) }, JobId(0), 2).await?;
    let mut exact = found
        .into_iter()
        .filter(|job| job.attempt.as_ref().is_some_and(|attempt| attempt.client_ref.as_str() == reference));
    exact.next().ok_or(Unsettled::NotThere)
}

fn tell(ground: &Ground, what: fn(&Control)) -> Response {
    match ground.desk.control() {
        Some(control) => {
            what(control);
            StatusCode::NO_CONTENT.into_response()
        }
        None => refuse(StatusCode::CONFLICT, "no run is on in this process"),
    }
}

fn refuse(status: StatusCode, words: &str) -> Response {
    (status, Json(json!({ "error": words }))).into_response()
}
