//! The lines of a run on a terminal: a bar for each stage, money, time, the last failure, and what happened last.

use std::time::Duration;

use indicatif::{MultiProgress, ProgressBar, ProgressDrawTarget, ProgressStyle};
use jiff::Timestamp;

use crate::pipeline::Standing;

use super::super::terminal;
use super::words::{self, Words};

const BAR: &str = "{prefix:>9} {pos:>6}/{len:<6} {wide_bar:.cyan/blue} {msg}";
const LINE: &str = "{prefix:>9} {wide_msg}";
const FAILURE: &str = "{prefix:>9.red} {wide_msg}";
const LAST: &str = "{spinner:>9} {wide_msg}";
/// What stands for done, for what is being done and for the rest, where the terminal shows ASCII alone.
const ASCII_BAR: &str = "=>.";
const ASCII_SPINNER: &str = "|/-\\ ";
/// How often the spinner moves.
const BEAT: Duration = Duration::from_millis(200);

pub(super) struct Bars {
    all: MultiProgress,
    submitted: ProgressBar,
    made: ProgressBar,
    collected: ProgressBar,
    money: ProgressBar,
    time: ProgressBar,
    failure: Option<ProgressBar>,
    last: ProgressBar,
}

impl Bars {
    /// Draws them, and keeps what else is printed above them.
    pub(super) fn draw(standing: &Standing, said: &Words, now: Timestamp) -> Self {
        let all = MultiProgress::with_draw_target(ProgressDrawTarget::hidden());
        let add = |template, name| {
            let bar = all.add(ProgressBar::new(0).with_style(style(template)));
            bar.set_prefix(name);
            bar
        };
        let (submitted, made, collected) = (add(BAR, "submitted"), add(BAR, "made"), add(BAR, "collected"));
        let (money, time, last) = (add(LINE, "money"), add(LINE, "time"), add(LAST, ""));
        let bars = Self { all, submitted, made, collected, money, time, failure: None, last };
        bars.count(standing, said, now);
        terminal::draw(Some(bars.all.clone()));
        bars.all.set_draw_target(ProgressDrawTarget::stderr());
        // Lines are written over, not wiped first: nothing flickers.
        bars.all.set_move_cursor(true);
        bars.last.enable_steady_tick(BEAT);
        bars
    }

    /// Shows how the run stands.
    pub(super) fn count(&self, standing: &Standing, said: &Words, now: Timestamp) {
        let tally = &standing.tally;
        let collected = tally.done;
        let made = collected + tally.ready + tally.failed;
        let submitted = tally.rows - tally.planned;
        let narrow = words::is_narrow(terminal::width());
        let stages = [
            (&self.submitted, submitted, words::rate(standing, narrow)),
            (&self.made, made, words::troubles(standing, narrow)),
            (&self.collected, collected, words::fetched(standing)),
        ];
        // Bars of one length can be compared.
        let width = stages.iter().map(|(_, _, message)| message.chars().count()).max().unwrap_or(0);
        for (bar, count, message) in stages {
            bar.set_length(tally.rows);
            bar.set_position(count);
            bar.set_message(format!("{message:<width$}"));
        }
        self.money.set_message(said.money(standing));
        self.time.set_message(said.time(standing, narrow, now));
    }

    /// Shows the last failure.
    pub(super) fn fail(&mut self, words: String) {
        let line = self.failure.get_or_insert_with(|| {
            let line = self.all.insert_before(&self.last, ProgressBar::new(0).with_style(style(FAILURE)));
            line.set_prefix("failure");
            line
        });
        line.set_message(words);
    }

    /// Shows what happened last.
    pub(super) fn mention(&self, words: String) {
        self.last.set_message(words);
    }

    /// Prints a line that stays, above.
    pub(super) fn say(&self, words: &str) {
        // Where the terminal is gone, nobody reads it.
        drop(self.all.println(terminal::wrapped(words, terminal::width())));
    }

    /// Takes them away.
    pub(super) fn clear(&self) {
        terminal::draw(None);
        self.last.disable_steady_tick();
        self.all.set_move_cursor(false);
        // A terminal that is gone needs no clearing.
        drop(self.all.clear());
        self.all.set_draw_target(ProgressDrawTarget::hidden());
    }
}

fn style(template: &str) -> ProgressStyle {
    let style = ProgressStyle::with_template(template).unwrap_or_else(|_| ProgressStyle::default_bar());
    if terminal::shows_unicode() { style } else { style.progress_chars(ASCII_BAR).tick_chars(ASCII_SPINNER) }
}
