//! The remote API on loopback: the documented contract, its known quirks, and every fault on request. People rehearse a
//! night on it, and the tests are judged by it, so it is an independent witness: it uses nothing of nightreel's but the
//! clock.

mod account;
mod api;
mod callback;
#[cfg(test)]
pub(crate) mod direct;
mod door;
pub mod fault;
mod fetch;
mod files;
mod journal;
mod media;
mod refusal;
mod settings;
mod signer;
mod task;
mod token;
mod world;

use std::path::PathBuf;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::net::TcpListener;
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

use crate::pace::Clock;
use journal::Journal;
pub use settings::{Answers, Credentials, Dialect, Listing, Lookup, Settings};
use task::Ms;
pub use world::Stats;
use world::World;

/// The simulator could not start.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// The port cannot be had.
    #[error("port {port} on 127.0.0.1 cannot be had")]
    Port {
        /// Which.
        port: u16,
        /// What the system said.
        #[source]
        source: std::io::Error,
    },
    /// The journal cannot be read or written.
    #[error("{path}: the simulator's journal cannot be used")]
    Journal {
        /// Where.
        path: PathBuf,
        /// What the system said.
        #[source]
        source: std::io::Error,
    },
}

/// A running simulator.
#[derive(Debug)]
pub struct Simulator {
    state: Arc<State>,
    base_url: String,
    stop: CancellationToken,
    server: JoinHandle<()>,
}

/// What its handlers share.
#[derive(Debug)]
struct State {
    settings: Settings,
    clock: Clock,
    world: Mutex<World>,
    journal: Option<Journal>,
    callbacks: callback::Callbacks,
    fetcher: fetch::Fetcher,
    signer: signer::Signer,
}

impl State {
    fn world(&self) -> MutexGuard<'_, World> {
        self.world.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn now(&self) -> Ms {
        self.clock.now().as_millisecond()
    }
}

impl Simulator {
    /// Starts it, on loopback only.
    pub async fn start(settings: Settings, clock: Clock) -> Result<Self, StartError> {
        let (journal, tasks) = match &settings.journal {
            None => (None, Vec::new()),
            Some(path) => {
                let opened = Journal::open(path);
                let (journal, tasks) = opened.map_err(|source| StartError::Journal { path: path.clone(), source })?;
                (Some(journal), tasks)
            }
        };
        let port = settings.port;
        let bound = TcpListener::bind(("127.0.0.1", port)).await;
        let listener = bound.map_err(|source| StartError::Port { port, source })?;
        let address = listener.local_addr().map_err(|source| StartError::Port { port, source })?;
        let base_url = format!("http://{address}{}", settings.prefix);
        let stop = CancellationToken::new();
        let state = Arc::new(State {
            world: Mutex::new(World::new(settings.clone(), tasks)),
            callbacks: callback::Callbacks::new(clock.clone()),
            fetcher: fetch::Fetcher::default(),
            signer: signer::Signer::new(settings.seed),
            settings,
            clock,
            journal,
        });
        let routes = api::routes(Arc::clone(&state), &format!("http://{address}"));
        let service = routes.into_make_service_with_connect_info::<door::Cut>();
        let stopped = stop.clone();
        let server = tokio::spawn(async move {
            tokio::select! {
                // A listener that breaks is seen by its clients.
                _ended = async { axum::serve(door::Door(listener), service).await } => {}
                () = stopped.cancelled() => {}
            }
        });
        Ok(Self { state, base_url, stop, server })
    }

    /// Where it is, with its prefix: what a client is given as base URL.
    #[must_use]
    pub fn base_url(&self) -> &str {
        &self.base_url
    }

    /// What happened so far.
    #[must_use]
    pub fn stats(&self) -> Stats {
        self.state.world().stats(self.state.now())
    }

    /// Ends it.
    pub async fn shutdown(self) {
        self.stop.cancel();
        // A server that panicked has ended as well.
        drop(self.server.await);
    }
}

#[cfg(test)]
mod tests;
