//! For tests of the real binary: with `NIGHTREEL_PANIC_AT_REQUEST=n` in the environment the process panics in the middle of the n-th
//! request that it makes of a remote. The panic tells all that a request can tell of itself: that is to hold no key.

use std::sync::LazyLock;
use std::sync::atomic::{AtomicU64, Ordering};

use reqwest::Request;

const PANIC_AT_REQUEST: &str = "NIGHTREEL_PANIC_AT_REQUEST";

static AT: LazyLock<Option<u64>> = LazyLock::new(|| std::env::var(PANIC_AT_REQUEST).ok()?.parse().ok());
static MADE: AtomicU64 = AtomicU64::new(0);

/// What there is to tell of the request that breaks.
pub(super) struct Breakdown(Option<String>);

impl Breakdown {
    /// A request is about to leave.
    pub(super) fn of(request: &Request) -> Self {
        let breaks = AT.is_some_and(|at| MADE.fetch_add(1, Ordering::Relaxed) + 1 == at);
        Self(breaks.then(|| format!("{request:?}")))
    }

    /// It has left, and nothing is known of its answer yet.
    pub(super) fn may_happen(self) {
        if let Some(request) = self.0 {
            panic!("{PANIC_AT_REQUEST}: in the middle of {request}");
        }
    }
}
