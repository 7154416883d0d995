//! The remote API on loopback: the documented contract, its known quirks, and every fault on request. People rehearse a
//! night on it, and the tests are judged by it, so it is an independent witness: it uses nothing of nightreel's but the
//! clock.

mod api;
mod callback;
mod door;
pub mod fault;
mod files;
mod journal;
mod media;
mod world;

use std::path::PathBuf;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::net::TcpListener;
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

use crate::pace::Clock;
use fault::Fault;
use journal::Journal;
pub use world::Stats;
use world::{Ms, World};

/// What the simulated remote is like.
#[derive(Debug, Clone)]
pub struct Settings {
    /// The port on 127.0.0.1; 0 takes a free one.
    pub port: u16,
    /// Tasks take this many times less. Default 1.
    pub speed: f64,
    /// The shortest and longest time of a task. Default 2 s to 6 s.
    pub task_for: (Duration, Duration),
    /// Tasks that may run at once; `None` for any number. Default 5.
    pub in_flight: Option<u32>,
    /// Creations allowed in a span; `None` for any number. Default `None`.
    pub rate: Option<(u32, Duration)>,
    /// What goes wrong.
    pub faults: Vec<Fault>,
    /// What chance begins with. Default 7.
    pub seed: u64,
    /// The key that is demanded; `None` takes any or none.
    pub key: Option<String>,
    /// What external ids are good for.
    pub lookup: Lookup,
    /// Whether tasks can be listed.
    pub listing: Listing,
    /// How its answers are wrapped.
    pub dialect: Dialect,
    /// How long a link lives. Default 1 h.
    pub link_for: Duration,
    /// How long a new task can be neither queried nor listed. Default none.
    pub visible_after: Duration,
    /// The size that videos are filled up to.
    pub video_bytes: Option<u64>,
    /// Where tasks are written down, so that a restart has them again.
    pub journal: Option<PathBuf>,
    /// What stands before `/v1` in its paths, such as `/kling`.
    pub prefix: String,
}

/// What external ids are good for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Lookup {
    /// They are unique and find their task, as observed live at Kling.
    ByExternalId,
    /// They are a label, as at gateways that document nothing more.
    Nothing,
}

/// Whether tasks can be listed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Listing {
    /// As documented by Kling.
    Offered,
    /// As at gateways that document none.
    Missing,
}

/// How answers are wrapped.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Dialect {
    /// As Kling documents them.
    Plain,
    /// Queries wrapped as the new-api family does it: an outer status, the remote's own answer within.
    Wrapped,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            port: 0,
            speed: 1.0,
            task_for: (Duration::from_secs(2), Duration::from_secs(6)),
            in_flight: Some(5),
            rate: None,
            faults: Vec::new(),
            seed: 7,
            key: None,
            lookup: Lookup::ByExternalId,
            listing: Listing::Offered,
            dialect: Dialect::Plain,
            link_for: Duration::from_secs(3600),
            visible_after: Duration::ZERO,
            video_bytes: None,
            journal: None,
            prefix: String::new(),
        }
    }
}

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
        self.state.world().stats.clone()
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
