//! The dashboard: a page over HTTP that shows how a ledger stands, and lets a person hold up a run and settle rows; metrics
//! for Prometheus; and the place where remotes call back.
//!
//! It reads the ledger by itself, so that looking never holds up a run, and changes it only through the run's own door, or,
//! where no run holds the ledger, as `nightreel resolve` does. Who is let in is decided in `door`, before anything else.

mod actions;
mod door;
mod hook;
mod line;
mod live;
mod metrics;
mod page;
mod videos;
mod view;

use std::fmt;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::middleware;
use axum::routing::{get, post};
use secrecy::{ExposeSecret, SecretString};
use tokio::net::TcpListener;
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

use crate::domain::Price;
use crate::pace::Clock;
use crate::pipeline::Control;

pub use hook::{HookError, Hooks, Receiver, Signature};

use door::Door;
use live::Live;

/// The shortest token that is taken.
const SHORTEST_TOKEN: usize = 16;
/// How long pages that are being sent may still take when the server ends.
const FAREWELL: Duration = Duration::from_secs(1);
/// The largest body of a request to the page, in bytes.
const LARGEST_BODY: usize = 16 * 1024;

/// A dashboard could not be served.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// Others could reach it, and nothing keeps them out.
    #[error("a dashboard at {address} can be reached by others, and has no token")]
    NeedsToken {
        /// Where it would be.
        address: SocketAddr,
    },
    /// The token can be guessed.
    #[error("the dashboard's token is shorter than {SHORTEST_TOKEN} characters")]
    WeakToken,
    /// The address is taken, or not this machine's.
    #[error("the dashboard cannot be served at {address}")]
    Unusable {
        /// Where it would be.
        address: SocketAddr,
        /// What the system said.
        #[source]
        source: std::io::Error,
    },
    /// The system gives no random numbers.
    #[error("the system gives no random numbers")]
    NoRandomness,
}

impl StartError {
    /// What to do about it.
    #[must_use]
    pub fn hint(&self) -> String {
        match self {
            Self::NeedsToken { .. } => {
                "export NIGHTREEL_DASHBOARD_TOKEN=$(openssl rand -hex 16), or stay at 127.0.0.1".to_owned()
            }
            Self::WeakToken => "openssl rand -hex 16 makes a good one".to_owned(),
            Self::Unusable { .. } => "name another address: --dashboard 127.0.0.1:8788".to_owned(),
            Self::NoRandomness => "look at /dev/urandom".to_owned(),
        }
    }
}

/// Where a dashboard is served, and to whom.
#[derive(Debug, Clone)]
pub struct Settings {
    /// Where.
    pub address: SocketAddr,
    /// What shows that a visitor may come in. Demanded wherever the address is not exactly the loopback one.
    pub token: Option<SecretString>,
    /// Names under which it may be reached, besides `localhost` and its address: a page elsewhere that lets its own name
    /// lead here is refused.
    pub names: Vec<String>,
}

/// What a dashboard is of.
pub enum Desk {
    /// A run in this process.
    Run {
        /// What the run can be told.
        control: Control,
        /// What may be paid in all runs of its batch.
        budget: Option<Price>,
    },
    /// A ledger that others may work on.
    Ledger,
}

impl Desk {
    /// The run in this process.
    const fn control(&self) -> Option<&Control> {
        match self {
            Self::Run { control, .. } => Some(control),
            Self::Ledger => None,
        }
    }
}

/// A place that is taken, and where nothing is served yet.
#[derive(Debug)]
pub struct Bound {
    listener: TcpListener,
    address: SocketAddr,
    door: Door,
    patience: Duration,
}

/// What all requests share.
struct Ground {
    door: Door,
    desk: Desk,
    live: Live,
    hooks: Option<Arc<Hooks>>,
    trees: videos::Trees,
    clock: Clock,
    /// How long a visitor may take to say what it wants.
    patience: Duration,
    stop: CancellationToken,
}

impl Bound {
    /// Takes the place. Nothing is served yet, so that a run that cannot have its dashboard does not begin.
    pub async fn take(settings: Settings) -> Result<Self, StartError> {
        let Settings { address, token, names } = settings;
        match &token {
            None if !door::is_loopback(address.ip()) => return Err(StartError::NeedsToken { address }),
            Some(token) if token.expose_secret().len() < SHORTEST_TOKEN => return Err(StartError::WeakToken),
            None | Some(_) => {}
        }
        let unusable = |source| StartError::Unusable { address, source };
        let listener = TcpListener::bind(address).await.map_err(unusable)?;
        let address = listener.local_addr().map_err(unusable)?;
        let door = Door::new(address, token.as_ref(), names).ok_or(StartError::NoRandomness)?;
        Ok(Self { listener, address, door, patience: line::PATIENCE })
    }

    /// Where it is: with the port that was given, where any would do.
    #[must_use]
    pub const fn address(&self) -> SocketAddr {
        self.address
    }

    /// Serves the ledger at `ledger`, where there may be none yet.
    #[must_use]
    pub fn serve(self, desk: Desk, ledger: PathBuf, hooks: Option<Arc<Hooks>>, clock: Clock) -> Server {
        let stop = CancellationToken::new();
        let live = Live::new(ledger, clock.clone());
        let patience = self.patience;
        let trees = videos::Trees::default();
        let ground =
            Ground { door: self.door, desk, live, hooks, trees, clock: clock.clone(), patience, stop: stop.clone() };
        let ground = Arc::new(ground);
        let router = Router::new()
            .route("/", get(page::dashboard))
            .route("/dashboard.css", get(page::style))
            .route("/dashboard.js", get(page::script))
            .route("/icon.svg", get(page::icon))
            .route("/login", get(page::login).post(page::login_form))
            .route("/view", get(live::view))
            .route("/events", get(live::events))
            .route("/metrics", get(metrics::metrics))
            .route("/videos/{job}", get(videos::video))
            .route("/actions/hold", post(actions::hold))
            .route("/actions/resume", post(actions::resume))
            .route("/actions/drain", post(actions::drain))
            .route("/actions/resolve", post(actions::resolve))
            .layer(middleware::from_fn_with_state(Arc::clone(&ground), door::admit))
            .with_state(Arc::clone(&ground));
        let watching = tokio::spawn(live::gather(Arc::clone(&ground)));
        let serving = tokio::spawn(line::serve(self.listener, router, patience, stop));
        Server { ground, watching, serving, clock }
    }
}

/// A dashboard that is served.
pub struct Server {
    ground: Arc<Ground>,
    watching: JoinHandle<()>,
    serving: JoinHandle<()>,
    clock: Clock,
}

impl Server {
    /// Shows how everything stands in the end, and serves no more.
    pub async fn shutdown(self) {
        self.watching.abort();
        // Cut off on purpose.
        drop(self.watching.await);
        live::last(&self.ground).await;
        self.ground.stop.cancel();
        let abort = self.serving.abort_handle();
        if self.clock.within(FAREWELL, self.serving).await.is_none() {
            abort.abort();
        }
    }
}

impl fmt::Debug for Server {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Server").finish_non_exhaustive()
    }
}

impl fmt::Debug for Desk {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Run { .. } => "Run",
            Self::Ledger => "Ledger",
        })
    }
}

#[cfg(test)]
mod tests;
