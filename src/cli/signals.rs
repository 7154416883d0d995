//! SIGINT, SIGTERM and SIGHUP: the first asks for an end in order, the second for an end at once.

use tokio::signal::unix::{SignalKind, signal};
use tokio_util::sync::CancellationToken;

/// What was asked for by signals so far.
#[derive(Debug, Clone)]
pub(super) struct Signals {
    first: CancellationToken,
    second: CancellationToken,
}

impl Signals {
    /// Begins to listen.
    pub(super) fn listen() -> std::io::Result<Self> {
        let mut interrupt = signal(SignalKind::interrupt())?;
        let mut terminate = signal(SignalKind::terminate())?;
        let mut hangup = signal(SignalKind::hangup())?;
        let signals = Self { first: CancellationToken::new(), second: CancellationToken::new() };
        let heard = signals.clone();
        tokio::spawn(async move {
            loop {
                tokio::select! {
                    _ = interrupt.recv() => {}
                    _ = terminate.recv() => {}
                    _ = hangup.recv() => {}
                }
                if heard.first.is_cancelled() {
                    heard.second.cancel();
                }
                heard.first.cancel();
            }
        });
        Ok(signals)
    }

    /// Ends when an end in order is asked for.
    pub(super) async fn first(&self) {
        self.first.cancelled().await;
    }

    /// Whether an end in order was asked for.
    pub(super) fn was_heard(&self) -> bool {
        self.first.is_cancelled()
    }

    /// Ends when an end at once is asked for.
    pub(super) async fn second(&self) {
        self.second.cancelled().await;
    }
}
