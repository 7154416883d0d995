//! Standard output and standard error: the only place that writes to them, but for logs and progress. What people read there
//! has nothing in it that a terminal would obey, whatever names and words it was made of.

use std::borrow::Cow;
use std::io::{IsTerminal, Write};
use std::os::fd::AsFd;
use std::sync::{Mutex, PoisonError};

use indicatif::MultiProgress;
use rustix::termios::{LocalModes, OptionalActions, Termios, tcgetattr, tcgetpgrp, tcsetattr};
use textwrap::{Options, WordSeparator, WrapAlgorithm};

/// Wider lines are hard to read.
pub(crate) const MOST_COLUMNS: usize = 100;
/// How wide a terminal is taken to be that does not say it.
const USUAL_COLUMNS: usize = 80;

/// The lines that are drawn again and again while a run is on: whatever else is printed goes above them.
static DRAWN: Mutex<Option<Drawn>> = Mutex::new(None);

struct Drawn {
    lines: MultiProgress,
    /// How the terminal was set before.
    set: Option<Termios>,
}

/// From now on these lines are drawn at the end of the terminal; `None`: no more.
pub(crate) fn draw(lines: Option<MultiProgress>) {
    let mut drawn = DRAWN.lock().unwrap_or_else(PoisonError::into_inner);
    if let Some(Drawn { set: Some(set), .. }) = drawn.take().filter(|_| is_in_front()) {
        // A terminal that is gone needs no mending.
        let _ = tcsetattr(std::io::stderr(), OptionalActions::Now, &set);
    }
    *drawn = lines.map(|lines| Drawn { lines, set: hide_control_keys() });
}

/// A pressed Ctrl-C is not shown as `^C`, which would move the lines that are drawn. Gives how the terminal was set.
fn hide_control_keys() -> Option<Termios> {
    let stderr = std::io::stderr();
    let before = tcgetattr(&stderr).ok().filter(|_| is_in_front())?;
    let mut hidden = before.clone();
    hidden.local_modes.remove(LocalModes::ECHOCTL);
    tcsetattr(&stderr, OptionalActions::Now, &hidden).ok()?;
    Some(before)
}

/// Whether the terminal is ours to set: who sets it from the background is stopped.
fn is_in_front() -> bool {
    tcgetpgrp(std::io::stderr()).is_ok_and(|group| group == rustix::process::getpgrp())
}

/// Prints while nothing is drawn.
fn above<T>(print: impl FnOnce() -> T) -> T {
    let drawn = DRAWN.lock().unwrap_or_else(PoisonError::into_inner).as_ref().map(|drawn| drawn.lines.clone());
    match drawn {
        Some(lines) => lines.suspend(print),
        None => print(),
    }
}

/// Prints to standard output: to a program as it is. A reader that went away (`| head`) has seen enough.
pub(crate) fn out(text: &str) {
    let text = if std::io::stdout().is_terminal() { harmless(text) } else { Cow::Borrowed(text) };
    drop(std::io::stdout().lock().write_all(text.as_bytes()));
}

/// `text` without what a terminal would obey, but for colours: names of files may hold anything.
fn harmless(text: &str) -> Cow<'_, str> {
    let obeyed = |c: char| c.is_control() && !matches!(c, '\n' | '\t');
    if !text.contains(obeyed) {
        return Cow::Borrowed(text);
    }
    let mut plain = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(at) = rest.find(obeyed) {
        plain.push_str(&rest[..at]);
        rest = &rest[at..];
        let order = colour(rest);
        if order == 0 {
            plain.push(char::REPLACEMENT_CHARACTER);
        } else {
            plain.push_str(&rest[..order]);
        }
        rest = &rest[order.max(rest.chars().next().map_or(0, char::len_utf8))..];
    }
    plain.push_str(rest);
    Cow::Owned(plain)
}

/// How long the order to change colours is that `text` begins with.
fn colour(text: &str) -> usize {
    let Some(order) = text.strip_prefix("\u{1b}[") else { return 0 };
    let digits = order.find(|c: char| !c.is_ascii_digit() && c != ';').unwrap_or(order.len());
    if order[digits..].starts_with('m') { "\u{1b}[".len() + digits + 1 } else { 0 }
}

/// Prints sentences to standard output, broken at words where a terminal is too narrow for them.
pub(crate) fn tell(text: &str) {
    if std::io::stdout().is_terminal() {
        out(&wrapped(text, width_of(std::io::stdout()).unwrap_or(USUAL_COLUMNS)));
    } else {
        out(text);
    }
}

/// Prints one JSON object to standard output.
pub(crate) fn json(value: &impl serde::Serialize) {
    let text = serde_json::to_string_pretty(value).unwrap_or_default();
    out(&format!("{text}\n"));
}

/// Prints sentences to standard error, broken at words where a terminal is too narrow for them.
pub(crate) fn err(text: &str) {
    let text = harmless(text);
    let text = if std::io::stderr().is_terminal() { wrapped(&text, width()).into() } else { text };
    above(|| drop(std::io::stderr().lock().write_all(text.as_bytes())));
}

/// Standard error, for logs.
#[derive(Debug)]
pub(crate) struct Errors;

impl Write for Errors {
    fn write(&mut self, piece: &[u8]) -> std::io::Result<usize> {
        above(|| std::io::stderr().lock().write(piece))
    }

    fn flush(&mut self) -> std::io::Result<()> {
        std::io::stderr().lock().flush()
    }
}

/// Whether lines can be drawn over on standard error: a person reads it, on a terminal that can move its cursor.
pub(crate) fn can_draw() -> bool {
    std::io::stderr().is_terminal() && std::env::var_os("TERM").is_none_or(|kind| kind != "dumb")
}

/// Whether the terminal shows more than ASCII, as the locale says.
pub(crate) fn shows_unicode() -> bool {
    let set = |name| std::env::var(name).ok().filter(|value| !value.is_empty());
    let locale = set("LC_ALL").or_else(|| set("LC_CTYPE")).or_else(|| set("LANG")).unwrap_or_default();
    let locale = locale.to_ascii_lowercase();
    locale.contains("utf-8") || locale.contains("utf8")
}

/// How wide standard error is.
pub(crate) fn width() -> usize {
    width_of(std::io::stderr()).unwrap_or(USUAL_COLUMNS)
}

/// How wide a terminal is, where it says so.
fn width_of(stream: impl AsFd) -> Option<usize> {
    let size = rustix::termios::tcgetwinsize(stream).ok().map(|size| usize::from(size.ws_col));
    size.filter(|columns| *columns > 0)
}

/// Lines that are wider than the terminal, broken at words and indented; a word is never broken, so that a path or a
/// command can be copied.
pub(crate) fn wrapped(text: &str, columns: usize) -> String {
    let fits = |line: &str| textwrap::core::display_width(line) <= columns;
    let wrap = |line: &str| {
        let indent = line.len() - line.trim_start().len();
        // What ends a question stays.
        let end = &line[line.trim_end().len()..];
        let next = " ".repeat(indent + 2);
        let options = Options::new(columns).break_words(false).subsequent_indent(&next);
        let options = options.word_separator(WordSeparator::AsciiSpace).wrap_algorithm(WrapAlgorithm::FirstFit);
        textwrap::wrap(line, options).join("\n") + end
    };
    let lines = text.split('\n').map(|line| if fits(line) { line.to_owned() } else { wrap(line) });
    lines.collect::<Vec<_>>().join("\n")
}

/// Standard output, for a document that is written piece by piece. A reader that went away has seen enough.
#[derive(Debug)]
pub(crate) struct Document;

impl Write for Document {
    fn write(&mut self, piece: &[u8]) -> std::io::Result<usize> {
        match std::io::stdout().lock().write(piece) {
            Err(gone) if gone.kind() == std::io::ErrorKind::BrokenPipe => Ok(piece.len()),
            written => written,
        }
    }

    fn flush(&mut self) -> std::io::Result<()> {
        match std::io::stdout().lock().flush() {
            Err(gone) if gone.kind() == std::io::ErrorKind::BrokenPipe => Ok(()),
            flushed => flushed,
        }
    }
}

/// How wide help is: as the terminal or `COLUMNS` says, at most a hundred.
pub(crate) fn columns() -> usize {
    let told = std::env::var("COLUMNS").ok().and_then(|text| text.parse().ok());
    told.or_else(|| width_of(std::io::stdout()))
        .filter(|columns| *columns > 0)
        .map_or(MOST_COLUMNS, |columns| columns.min(MOST_COLUMNS))
}

/// Whether a person reads standard output.
pub(crate) fn is_read_by_a_person() -> bool {
    std::io::stdout().is_terminal()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_terminal_is_told_nothing_that_it_would_obey_but_for_colours() {
        let plain = "two lines\n\tand \u{1b}[1;31mcolour\u{1b}[0m, é😀";
        assert_eq!(harmless(plain), plain);
        assert_eq!(
            harmless("a\u{1b}]0;owned\u{7}\u{1b}[2J\u{1b}[1;31\u{9b}1A\r\u{8}\u{7f}b\u{1b}"),
            "a\u{fffd}]0;owned\u{fffd}\u{fffd}[2J\u{fffd}[1;31\u{fffd}1A\u{fffd}\u{fffd}\u{fffd}b\u{fffd}"
        );
    }

    #[test]
    fn what_is_too_wide_is_broken_at_words_and_nothing_else_is_touched() {
        let text =
            "next:\n  nightreel collect   (only fetches what is paid)\n\n/a/path/that/is/longer/than/the/terminal\n";
        let narrow = "next:\n  nightreel collect\n    (only fetches what\n    is paid)\n\n/a/path/that/is/longer/than/the/terminal\n";
        assert_eq!((wrapped(text, 22), wrapped(text, 100)), (narrow.to_owned(), text.to_owned()));
        assert_eq!(wrapped("\u{1b}[31mred\u{1b}[0m", 3), "\u{1b}[31mred\u{1b}[0m");
    }
}
