//! What a run looks like while it runs: bars on a terminal, a line a minute anywhere else, and what needs telling at once.

use std::collections::HashMap;
use std::io::IsTerminal;
use std::time::Duration;

use indicatif::{MultiProgress, ProgressBar, ProgressStyle};
use jiff::Timestamp;
use jiff::tz::TimeZone;
use tokio::sync::broadcast::{Receiver, error::RecvError};
use tokio::task::JoinHandle;

use crate::domain::Tally;
use crate::pace::Clock;
use crate::pipeline::{Notice, Submitting};

use super::args::Global;
use super::terminal;

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
    /// Begins to watch.
    pub(super) fn start(global: &Global, mut notices: Receiver<Notice>, clock: Clock) -> Self {
        let quiet = global.quiet;
        let mut view = View::new(!quiet && std::io::stderr().is_terminal(), clock);
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
    bars: Option<Bars>,
    clock: Clock,
    told_at: Option<Timestamp>,
    told: HashMap<&'static str, u32>,
    /// When what happens over and over was last told.
    repeated: HashMap<&'static str, Timestamp>,
}

struct Bars {
    all: MultiProgress,
    submitted: ProgressBar,
    made: ProgressBar,
    collected: ProgressBar,
    last: ProgressBar,
}

impl Bars {
    fn new() -> Self {
        let all = MultiProgress::new();
        let style = ProgressStyle::with_template("{prefix:>9} {pos:>6}/{len:<6} {wide_bar:.cyan/blue} {msg}");
        let style = style.unwrap_or_else(|_| ProgressStyle::default_bar());
        let bar = |name: &'static str| {
            let bar = all.add(ProgressBar::new(0).with_style(style.clone()));
            bar.set_prefix(name);
            bar
        };
        let (submitted, made, collected) = (bar("submitted"), bar("made"), bar("collected"));
        let words =
            ProgressStyle::with_template("{spinner} {wide_msg}").unwrap_or_else(|_| ProgressStyle::default_bar());
        let last = all.add(ProgressBar::new_spinner().with_style(words));
        last.enable_steady_tick(Duration::from_millis(200));
        Self { all, submitted, made, collected, last }
    }

    fn count(&self, tally: &Tally) {
        let collected = tally.done;
        let made = collected + tally.ready + tally.failed;
        let submitted = tally.rows - tally.planned;
        for (bar, count) in [(&self.submitted, submitted), (&self.made, made), (&self.collected, collected)] {
            bar.set_length(tally.rows);
            bar.set_position(count);
        }
        let in_flight = tally.submitting + tally.waiting;
        self.submitted.set_message(format!("{in_flight} in flight"));
        let troubled = tally.failed + tally.held + tally.stuck;
        if troubled > 0 {
            self.made.set_message(format!("{troubled} need a look"));
        }
    }
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
    fn new(bars: bool, clock: Clock) -> Self {
        Self { bars: bars.then(Bars::new), clock, told_at: None, told: HashMap::new(), repeated: HashMap::new() }
    }

    fn show(&mut self, notice: &Notice, quiet: bool) {
        match notice {
            Notice::Counted(tally) => self.count(tally, quiet),
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
            Notice::Stopping => {
                self.say("stopping: nothing more is submitted, what is paid is recorded; again to stop at once");
            }
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
            Notice::Held { label, words } => self.say(&format!("held: {label}: {words}")),
            Notice::Failed { label, words } => self.say(&format!("failed: {label}: {words}")),
            Notice::Stuck { label, words } => self.say(&format!("stuck: {label}: {words}")),
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

    fn count(&mut self, tally: &Tally, quiet: bool) {
        if let Some(bars) = &self.bars {
            bars.count(tally);
            return;
        }
        let now = self.clock.now();
        let due = self.told_at.and_then(|at| at.checked_add(EVERY).ok()).is_none_or(|due| now >= due);
        if due && !quiet && tally.rows > 0 {
            self.told_at = Some(now);
            let Tally { rows, done, planned, submitting, waiting, ready, failed, held, stuck, .. } = tally;
            let mut line =
                format!("{done}/{rows} collected, {waiting} at the remote, {ready} to collect, {planned} to send");
            let others = [("being sent or in doubt", submitting), ("failed", failed), ("held", held), ("stuck", stuck)];
            for (word, count) in others.into_iter().filter(|(_, count)| **count > 0) {
                line.push_str(&format!(", {count} {word}"));
            }
            terminal::err(&format!("{line}\n"));
        }
    }

    /// A line that stays.
    fn say(&self, words: &str) {
        match &self.bars {
            Some(bars) => drop(bars.all.println(words)),
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
            bars.last.set_message(words);
        }
    }

    fn end(&self) {
        if let Some(bars) = &self.bars {
            // A terminal that is gone needs no clearing.
            drop(bars.all.clear());
        }
    }
}
