//! Whom a run tells that it started, what stopped, and how it ended. Nothing here changes how it ends.

use std::time::Duration;

use jiff::Timestamp;
use tokio::sync::broadcast::{Receiver, error::RecvError};
use tokio::task::{JoinHandle, JoinSet};

use crate::config::Settings;
use crate::gateway::PauseReason;
use crate::notify::{Beat, Message, Notifier, Occasion};
use crate::pace::Clock;
use crate::pipeline::Notice;
use crate::report::Summary;

use super::exit::Exit;
use super::failure::Failure;
use super::signals::Signals;
use super::terminal;
use super::wiring::Opened;

/// How long the end of a run may wait for what is told of it.
const PATIENCE: Duration = Duration::from_secs(10);
/// An interrupted run has told its end this long after the signal, or leaves it.
const IN_TIME: Duration = Duration::from_millis(9500);
/// The same where a signal asked for an end already.
const HASTE: Duration = Duration::from_secs(1);
/// How often one kind of thing is told while a run is on; the end tells the rest.
const TOLD: u32 = 5;

/// What tells of a run.
#[derive(Debug)]
pub(super) struct Telling {
    at_work: Option<AtWork>,
    clock: Clock,
}

#[derive(Debug)]
struct AtWork {
    notifier: std::sync::Arc<Notifier>,
    /// Each comes to what went wrong.
    start: JoinHandle<Option<String>>,
    meanwhile: JoinHandle<Vec<String>>,
}

/// How a run ended.
#[derive(Debug)]
pub(super) struct End {
    pub(super) exit: Exit,
    /// Whether it went as it was told to.
    pub(super) beat: Beat,
    /// How the rows stand.
    pub(super) line: String,
    /// What is to be known besides.
    pub(super) words: Option<String>,
}

impl Telling {
    /// Says that a run started, and tells of what happens in it.
    pub(super) fn start(settings: &Settings, opened: &Opened, notices: Receiver<Notice>) -> Self {
        let clock = opened.clock.clone();
        let at_work = Notifier::new(&settings.notify, &clock).map(|notifier| {
            let notifier = std::sync::Arc::new(notifier);
            let start = tokio::spawn({
                let notifier = std::sync::Arc::clone(&notifier);
                async move { notifier.ping(Beat::Start, "nightreel: a run started").await }
            });
            let store = std::sync::Arc::clone(&opened.store);
            let meanwhile = tokio::spawn(meanwhile(std::sync::Arc::clone(&notifier), notices, store));
            AtWork { notifier, start, meanwhile }
        });
        Self { at_work, clock }
    }

    /// Tells how the run ended, in the time that is left for that after a signal at `stopped_at`.
    pub(super) async fn ended(self, end: End, stopped_at: Option<Timestamp>) {
        let patience = patience_after(stopped_at, self.clock.now());
        let Some(AtWork { notifier, start, meanwhile }) = self.at_work else { return };
        let work = async {
            // The start comes before the end; everything else may cross.
            let ping = async {
                let started = start.await.ok().flatten();
                let line = format!("nightreel: {} (exit code {})", end.line, end.exit.number());
                [started, notifier.ping(end.beat, &line).await]
            };
            let message = end.message();
            let (ping, meanwhile, told) = futures::future::join3(ping, meanwhile, notifier.tell(&message)).await;
            complain(ping.into_iter().flatten().chain(meanwhile.unwrap_or_default()).chain(told));
        };
        if self.clock.within(patience, work).await.is_none() {
            complain(["notify: not everyone was told before the run had to end".to_owned()]);
        }
    }

    /// Waits until what was told so far has arrived: another tells how it ended.
    pub(super) async fn rest(self) {
        let Some(AtWork { start, meanwhile, .. }) = self.at_work else { return };
        let work = futures::future::join(start, meanwhile);
        if let Some((start, meanwhile)) = self.clock.within(PATIENCE, work).await {
            complain(start.ok().flatten().into_iter().chain(meanwhile.unwrap_or_default()));
        }
    }
}

impl End {
    fn message(&self) -> Message {
        let more = self.words.as_ref().map_or_else(String::new, |words| format!("; {words}"));
        let code = self.exit.number();
        let text = format!("nightreel ended with code {code}: {}{more}", self.line);
        Message { occasion: Occasion::End, text, summary: self.line.clone(), exit_code: Some(code) }
    }
}

/// How long telling of the end may take: less where the run must end soon after a signal.
fn patience_after(stopped_at: Option<Timestamp>, now: Timestamp) -> Duration {
    let Some(stopped_at) = stopped_at else { return PATIENCE };
    let since = Duration::try_from(now.duration_since(stopped_at)).unwrap_or_default();
    IN_TIME.saturating_sub(since)
}

/// Does `work`, and tells of it where it came to nothing. Of a ledger that another run holds nobody is told: that run tells.
pub(super) async fn of(
    settings: &Settings,
    signals: &Signals,
    work: impl Future<Output = Result<Exit, Failure>>,
) -> Result<Exit, Failure> {
    let outcome = work.await;
    let Err(failure) = &outcome else { return outcome };
    let clock = Clock::system();
    if failure.exit != Exit::Locked
        && let Some(notifier) = Notifier::new(&settings.notify, &clock)
    {
        let patience = if signals.was_heard() { HASTE } else { PATIENCE };
        let end = End { exit: failure.exit, beat: Beat::Fail, line: failure.words(), words: None };
        let told = async {
            let message = end.message();
            futures::future::join(notifier.ping(end.beat, &message.text), notifier.tell(&message)).await
        };
        if let Some((ping, told)) = clock.within(patience, told).await {
            complain(ping.into_iter().chain(told));
        }
    }
    outcome
}

/// Tells of what stopped while a run is on. Comes to what went wrong with that.
async fn meanwhile(
    notifier: std::sync::Arc<Notifier>,
    mut notices: Receiver<Notice>,
    store: std::sync::Arc<dyn crate::store::Store>,
) -> Vec<String> {
    let mut troubles = Vec::new();
    let mut sent: JoinSet<Vec<String>> = JoinSet::new();
    let (mut pauses, mut failures) = (0, 0);
    loop {
        let notice = match notices.recv().await {
            Ok(notice) => notice,
            Err(RecvError::Lagged(_)) => continue,
            Err(RecvError::Closed) => break,
        };
        let Some((occasion, words)) = worth_telling(&notice) else { continue };
        let told = if occasion == Occasion::Pause { &mut pauses } else { &mut failures };
        *told += 1;
        if *told > TOLD {
            continue;
        }
        // Where the ledger cannot be read the words alone must do.
        let tally = store.tally(None).await.unwrap_or_default();
        let summary = Summary { tally, ..Summary::default() }.line();
        let text = format!("nightreel: {words}; {summary}");
        let message = Message { occasion, text, summary, exit_code: None };
        let notifier = std::sync::Arc::clone(&notifier);
        sent.spawn(async move { notifier.tell(&message).await });
    }
    while let Some(ended) = sent.join_next().await {
        troubles.extend(ended.unwrap_or_default());
    }
    troubles
}

fn worth_telling(notice: &Notice) -> Option<(Occasion, String)> {
    match notice {
        Notice::Paused { account, reason, words } => {
            let account = account.as_ref().map_or_else(|| "the account".to_owned(), |name| format!("account {name}"));
            let occasion = match reason {
                PauseReason::Failures => Occasion::Failures,
                PauseReason::Key
                | PauseReason::Balance
                | PauseReason::Account
                | PauseReason::Route
                | PauseReason::Pictures => Occasion::Pause,
            };
            Some((occasion, format!("{account} is paused: {words}")))
        }
        Notice::ScenePaused { scene, words } => Some((Occasion::Failures, format!("scene {scene} is paused: {words}"))),
        _ => None,
    }
}

/// Says what could not be told, each thing once.
fn complain(troubles: impl IntoIterator<Item = String>) {
    let mut said: Vec<String> = Vec::new();
    for trouble in troubles {
        if !said.contains(&trouble) {
            terminal::err(&format!("{trouble}\n"));
            said.push(trouble);
        }
    }
}
