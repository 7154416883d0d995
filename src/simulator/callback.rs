//! Callbacks: posted once, when a task has ended. Best effort, as at the gateways that describe them.

use std::sync::OnceLock;
use std::time::Duration;

use serde_json::Value;

use crate::pace::Clock;

/// How long a receiver may take.
const PATIENCE: Duration = Duration::from_secs(5);

/// What a receiver is told.
#[derive(Debug, Clone)]
pub(super) struct Notice {
    pub(super) headers: Vec<(&'static str, String)>,
    pub(super) body: String,
}

impl Notice {
    /// A body and nothing that vouches for it.
    pub(super) fn plain(body: &Value) -> Self {
        Self { headers: Vec::new(), body: body.to_string() }
    }
}

/// Posts callbacks.
#[derive(Debug)]
pub(super) struct Callbacks {
    clock: Clock,
    client: OnceLock<Option<reqwest::Client>>,
}

impl Callbacks {
    pub(super) const fn new(clock: Clock) -> Self {
        Self { clock, client: OnceLock::new() }
    }

    /// Posts `notice` to `url`; what becomes of it is not told.
    pub(super) async fn post(&self, url: &str, notice: &Notice) {
        let client = self.client.get_or_init(|| {
            // Installed by whoever comes first.
            drop(rustls::crypto::ring::default_provider().install_default());
            reqwest::Client::builder().no_proxy().build().ok()
        });
        let Some(client) = client else { return };
        let mut request = client.post(url).header("content-type", "application/json").body(notice.body.clone());
        for (name, value) in &notice.headers {
            request = request.header(*name, value);
        }
        drop(self.clock.within(PATIENCE, request.send()).await);
    }
}
