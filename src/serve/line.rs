//! The connections, with bounds on how many are open and on how long each may take to say what it wants: neither a flood nor
//! a visitor who dribbles costs more than the other visitors' patience.

use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::body::{Body, Bytes, to_bytes};
use axum::http::StatusCode;
use axum::serve::Listener;
use hyper::server::conn::http1;
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::service::TowerToHyperService;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

use crate::pace::Clock;

/// Connections that are open at the same time.
const MOST: usize = 256;
/// How long the head of a request may take to come whole, and how long a connection may be open without one.
pub(super) const PATIENCE: Duration = Duration::from_secs(10);

/// Answers all who come, until `stop`; then what is being answered is still answered. Who has not said within `patience` what
/// it wants is cut off.
pub(super) async fn serve(mut listener: TcpListener, router: Router, patience: Duration, stop: CancellationToken) {
    let places = Arc::new(Semaphore::new(MOST));
    let mut connections = JoinSet::new();
    loop {
        let (stream, place) = tokio::select! {
            come = next(&mut listener, &places) => come,
            () = stop.cancelled() => break,
            // Those that ended are forgotten.
            Some(_) = connections.join_next() => continue,
        };
        let (router, stop) = (router.clone(), stop.clone());
        connections.spawn(async move {
            answer(stream, router, patience, stop).await;
            drop(place);
        });
    }
    while connections.join_next().await.is_some() {}
}

/// Who comes next, with a place.
async fn next(listener: &mut TcpListener, places: &Arc<Semaphore>) -> (TcpStream, Option<OwnedSemaphorePermit>) {
    // The semaphore is never closed.
    let place = Arc::clone(places).acquire_owned().await.ok();
    let (stream, _) = Listener::accept(listener).await;
    (stream, place)
}

async fn answer(stream: TcpStream, router: Router, patience: Duration, stop: CancellationToken) {
    let connection = http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(patience)
        .serve_connection(TokioIo::new(stream), TowerToHyperService::new(router));
    let mut connection = std::pin::pin!(connection);
    let ended = tokio::select! {
        ended = connection.as_mut() => ended,
        () = stop.cancelled() => {
            connection.as_mut().graceful_shutdown();
            connection.await
        }
    };
    if let Err(error) = ended {
        tracing::trace!(%error, "a visitor's connection ended");
    }
}

/// A body that must come whole, within `patience`; else what is said instead.
pub(super) async fn gather(clock: &Clock, body: Body, largest: usize, patience: Duration) -> Result<Bytes, StatusCode> {
    match clock.within(patience, to_bytes(body, largest)).await {
        Some(Ok(body)) => Ok(body),
        Some(Err(_)) => Err(StatusCode::PAYLOAD_TOO_LARGE),
        None => Err(StatusCode::REQUEST_TIMEOUT),
    }
}
