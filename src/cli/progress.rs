//! What a run looks like while it runs: bars on a terminal, a line a minute anywhere else, and what needs telling at once.

mod bars;
mod words;

use std::collections::HashMap;
use std::time::Duration;

use jiff::Timestamp;
use jiff::tz::TimeZone;
use tokio::sync::broadcast::{Receiver, error::RecvError};
use tokio::task::JoinHandle;

use crate::domain::Price;
use crate::pace::Clock;
use crate::pipeline::{Notice, Standing, Submitting};

use super::args::Global;
use super::terminal;
use bars::Bars;
use words::Words;

/// Without a terminal, the counts are told this often.
const EVERY: Duration = Duration::from_secs(60);
/// Fetches that fail are told by name this often at the most; the counts tell the rest.
const TOLD: u32 = 5;
/// What happens over and over is told this often.
const SELDOM: Duration = Duration::from_secs(600);

/// A watcher of a run.
#[derive(Debug)]
pub(super) struct Progress {
    task: JoinHandle<()>,
}

impl Progress {
    /// Begins to watch a run that may pay at most `budget`.
    pub(super) fn start(global: &Global, mut notices: Receiver<Notice>, budget: Option<Price>, clock: Clock) -> Self {
        let quiet = global.quiet;
        let said = Words { budget, began: clock.now(), zone: TimeZone::system() };
        let mut view = View::new(!quiet && terminal::can_draw(), said, clock);
        let task = tokio::spawn(async move {
            loop {
                match notices.recv().await {
                    Ok(notice) => view.show(&notice, quiet),
                    Err(RecvError::Lagged(_)) => {}
                    Err(RecvError::Closed) => break,
                }
            }
            view.end();
        });
        Self { task }
    }

    /// Ends when the run's last notice is shown.
    pub(super) async fn finish(self) {
        // A watcher that broke has shown what it could.
        drop(self.task.await);
    }
}

struct View {
    /// Whether there are bars as soon as there is something to count.
    draws: bool,
    bars: Option<Bars>,
    said: Words,
    clock: Clock,
    /// The last failure from before there were bars.
    failure: Option<String>,
    /// Tasks at the remote, when they were last counted.
    at_remote: u64,
    told_at: Option<Timestamp>,
    told: HashMap<&'static str, u32>,
    /// When what happens over and over was last told.
    repeated: HashMap<&'static str, Timestamp>,
}

/// Which account something is about, where there are several.
fn of(account: Option<&String>) -> String {
    account.map_or_else(String::new, |account| format!("{account}: "))
}

/// An instant as a clock on the wall shows it.
pub(super) fn local(at: Timestamp) -> String {
    at.to_zoned_datetime(TimeZone::system()).strftime("%F %H:%M").to_string()
}

impl View {
    fn new(draws: bool, said: Words, clock: Clock) -> Self {
        let (told, repeated) = (HashMap::new(), HashMap::new());
        Self { draws, bars: None, said, clock, failure: None, at_remote: 0, told_at: None, told, repeated }
    }

    fn show(&mut self, notice: &Notice, quiet: bool) {
        match notice {
            Notice::Counted(standing) => self.count(standing, quiet),
            Notice::Paused { account, words, reason: _ } => {
                self.say(&format!("paused: {}{words}; what is paid is still collected", of(account.as_ref())));
            }
            Notice::ScenePaused { scene, words } => {
                self.say(&format!("paused: scene {scene}: {words}; nothing more of it is sent in this run"));
            }
            Notice::SinkStopped { words } => self.say(&format!("stopped: {words}")),
            Notice::Submitting(Submitting::Held) => self.say("nothing is submitted until it is resumed (dashboard)"),
            Notice::Submitting(Submitting::Drained) => {
                self.say("nothing more is submitted; the run ends once all that was paid is collected (dashboard)");
            }
            _ if quiet => {}
            Notice::Submitting(Submitting::On) => self.say("submitting again (dashboard)"),
            Notice::Stopping => self.say(&self.stopping()),
            Notice::NotYet { until } => {
                self.say(&format!("nothing is sent before {}; what is paid is collected", local(*until)));
            }
            Notice::TooLate { account, ends } => {
                let (of, ends) = (of(account.as_ref()), local(*ends));
                self.say(&format!("{of}too late to send more; what was sent is collected until {ends}"));
            }
            Notice::TimeUp => self.say("the time is up: what is paid is recorded, the rest is left"),
            Notice::Submitted { label } => self.mention(format!("submitted {label}")),
            Notice::Stored { label, file, .. } => self.mention(format!("{label} is in {file}")),
            Notice::Adopted { label } => self.say(&format!("{label}: the remote has it; not sent again")),
            Notice::Doubted { label, words } => {
                self.mention(format!("{label} is in doubt: {words}"));
                self.now_and_then("doubt", &format!("in doubt: {label}: {words}; it is looked for"));
            }
            Notice::PutOff { words, until } => {
                self.mention(format!("waiting until {until:.0}: {words}"));
                self.now_and_then("put off", &format!("not sent yet, and tried again: {words}"));
            }
            Notice::Held { label, words } => self.fail("held", label, words),
            Notice::Failed { label, words } => self.fail("failed", label, words),
            Notice::Stuck { label, words } => self.fail("stuck", label, words),
            Notice::Odd { words } => self.say(words),
            Notice::Adapted { account, words } => self.say(&format!("{}{words}", of(account.as_ref()))),
            Notice::ScenePassed { scene } => {
                self.mention(format!("the first rows of {scene} were made: the rest of it is sent"));
            }
            Notice::FetchFailed { label, words } => {
                let told = self.told.entry("fetch").or_insert(0);
                *told += 1;
                if *told <= TOLD {
                    self.say(&format!("{label}: fetching failed and is tried again: {words}"));
                }
            }
        }
    }

    fn count(&mut self, standing: &Standing, quiet: bool) {
        let now = self.clock.now();
        self.at_remote = standing.tally.submitting + standing.tally.waiting;
        if self.draws {
            match &self.bars {
                Some(bars) => bars.count(standing, &self.said, now),
                None if standing.tally.rows > 0 => {
                    let bars = self.bars.insert(Bars::draw(standing, &self.said, now));
                    self.failure.take().into_iter().for_each(|failure| bars.fail(failure));
                }
                None => {}
            }
            return;
        }
        let due = self.told_at.and_then(|at| at.checked_add(EVERY).ok()).is_none_or(|due| now >= due);
        if due && !quiet && standing.tally.rows > 0 {
            self.told_at = Some(now);
            terminal::err(&format!("{}\n", self.said.line(standing, now)));
        }
    }

    /// What happens after a signal to stop.
    fn stopping(&self) -> String {
        let rest = match self.at_remote {
            0 => "what was sent is recorded".to_owned(),
            1 => "1 task goes on at the remote, and the same command fetches it later".to_owned(),
            tasks => format!("{tasks} tasks go on at the remote, and the same command fetches them later"),
        };
        format!("stopping: nothing more is submitted; {rest}; again to stop at once")
    }

    /// A row that went wrong: a line that stays, and the last of them.
    fn fail(&mut self, kind: &str, label: &str, words: &str) {
        self.say(&format!("{kind}: {label}: {words}"));
        let failure = if kind == "failed" { format!("{label}: {words}") } else { format!("{label}: {kind}: {words}") };
        match &mut self.bars {
            Some(bars) => bars.fail(failure),
            None => self.failure = Some(failure),
        }
    }

    /// A line that stays.
    fn say(&self, words: &str) {
        match &self.bars {
            Some(bars) => bars.say(words),
            None => terminal::err(&format!("{words}\n")),
        }
    }

    /// A line that stays, for what may happen over and over: the first time, and then once in a while.
    fn now_and_then(&mut self, kind: &'static str, words: &str) {
        let now = self.clock.now();
        let due = self.repeated.get(kind).and_then(|at| at.checked_add(SELDOM).ok()).is_none_or(|due| now >= due);
        if due {
            self.repeated.insert(kind, now);
            self.say(words);
        }
    }

    /// What is only of the moment.
    fn mention(&self, words: String) {
        if let Some(bars) = &self.bars {
            bars.mention(words);
        }
    }

    fn end(&self) {
        if let Some(bars) = &self.bars {
            bars.clear();
        }
    }
}
