//! What was found, and how it is told: one line each, and below it what to do.

use std::io::IsTerminal;

use serde::Serialize;
use serde_json::{Value, json};

use super::super::super::exit::Exit;

/// What a finding is about.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum About {
    /// The settings, as far as they belong to no account or cannot be used at all.
    Settings,
    /// The manifest that is to be run.
    Manifest,
    /// This machine.
    Machine,
    /// The account of this name.
    Account(String),
}

/// How bad it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub(super) enum Mark {
    /// As it should be.
    #[serde(rename = "ok")]
    Good,
    /// Worth knowing; a run works all the same.
    Note,
    /// A run will not work, or not for long.
    Bad,
}

/// One thing that was looked at.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Finding {
    pub(super) about: About,
    /// What was looked at, in one word.
    pub(super) what: &'static str,
    pub(super) mark: Mark,
    pub(super) words: String,
    /// What to do about it; a line for each way out.
    pub(super) hint: Option<String>,
}

/// What was found about one thing, in the order in which it was looked at.
#[derive(Debug)]
pub(super) struct Findings {
    about: About,
    pub(super) list: Vec<Finding>,
}

impl Findings {
    pub(super) const fn new(about: About) -> Self {
        Self { about, list: Vec::new() }
    }

    fn add(&mut self, what: &'static str, mark: Mark, words: String, hint: Option<String>) {
        self.list.push(Finding { about: self.about.clone(), what, mark, words, hint });
    }

    /// It is as it should be.
    pub(super) fn good(&mut self, what: &'static str, words: impl Into<String>) {
        self.add(what, Mark::Good, words.into(), None);
    }

    /// It is worth knowing, and there is nothing to do.
    pub(super) fn remark(&mut self, what: &'static str, words: impl Into<String>) {
        self.add(what, Mark::Note, words.into(), None);
    }

    /// It is worth knowing, and there is something to do.
    pub(super) fn note(&mut self, what: &'static str, words: impl Into<String>, hint: impl Into<String>) {
        self.add(what, Mark::Note, words.into(), Some(hint.into()));
    }

    /// It is in the way of a run, and this is what to do.
    pub(super) fn bad(&mut self, what: &'static str, words: impl Into<String>, hint: impl Into<String>) {
        self.add(what, Mark::Bad, words.into(), Some(hint.into()));
    }
}

/// What is told at the end of an examination.
pub(super) struct Report {
    findings: Vec<Finding>,
}

impl Report {
    /// All that was found: of settings, manifest, machine, and of each account in the order of the settings.
    pub(super) fn new(mut findings: Vec<Finding>) -> Self {
        findings.sort_by_key(|one| match one.about {
            About::Settings => 0,
            About::Manifest => 1,
            About::Machine => 2,
            About::Account(_) => 3,
        });
        Self { findings }
    }

    fn count(&self, mark: Mark) -> usize {
        self.findings.iter().filter(|finding| finding.mark == mark).count()
    }

    /// What it means for scripts: the settings come first, for without them nothing runs, and a manifest that would be
    /// rejected; then the machine, without which nothing is kept.
    pub(super) fn exit(&self) -> Exit {
        let bad = |is: fn(&About) -> bool| self.findings.iter().any(|one| one.mark == Mark::Bad && is(&one.about));
        if bad(|about| *about == About::Settings) {
            Exit::Usage
        } else if bad(|about| *about == About::Manifest) {
            Exit::Rejected
        } else if bad(|about| *about == About::Machine) {
            Exit::Unwritable
        } else if bad(|about| matches!(about, About::Account(_))) {
            Exit::Paused
        } else {
            Exit::Done
        }
    }

    /// For programs.
    pub(super) fn json(&self) -> Value {
        let findings: Vec<Value> = self
            .findings
            .iter()
            .map(|finding| {
                let (about, account) = match &finding.about {
                    About::Settings => ("settings", None),
                    About::Manifest => ("manifest", None),
                    About::Machine => ("machine", None),
                    About::Account(name) => ("account", Some(name)),
                };
                let Finding { what, mark, words, hint, .. } = finding;
                json!({
                    "about": about, "account": account, "what": what, "mark": mark, "words": words, "do": hint,
                })
            })
            .collect();
        let (problems, notes) = (self.count(Mark::Bad), self.count(Mark::Note));
        json!({ "findings": findings, "problems": problems, "notes": notes, "exit_code": self.exit().number() })
    }

    /// For people: those of at least `least`.
    pub(super) fn text(&self, least: Mark, paint: Paint) -> String {
        let shown: Vec<&Finding> =
            self.findings.iter().filter(|one| least == Mark::Good || one.mark == least).collect();
        let widest = shown.iter().map(|one| one.what.len()).max().unwrap_or(0);
        let mut text = String::new();
        let mut before = None;
        for finding in shown {
            if before != Some(&finding.about) {
                before = Some(&finding.about);
                text.push_str(&match &finding.about {
                    About::Settings => "settings\n".to_owned(),
                    About::Manifest => "manifest\n".to_owned(),
                    About::Machine => "machine\n".to_owned(),
                    About::Account(name) => format!("account {name}\n"),
                });
            }
            let mark = paint.mark(finding.mark);
            text.push_str(&format!("  {mark}  {:widest$}  {}\n", finding.what, finding.words));
            for hint in finding.hint.iter().flat_map(|hint| hint.lines()) {
                text.push_str(&format!("{:1$}do: {hint}\n", "", 10 + widest));
            }
        }
        text
    }

    /// `2 problems, 1 note`.
    pub(super) fn closing(&self) -> String {
        let counted = |count: usize, one: &str| match count {
            0 => format!("no {one}s"),
            1 => format!("1 {one}"),
            _ => format!("{count} {one}s"),
        };
        format!("{}, {}", counted(self.count(Mark::Bad), "problem"), counted(self.count(Mark::Note), "note"))
    }
}

/// Whether marks have colours.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Paint {
    Plain,
    Colour,
}

impl Paint {
    /// Colours for a person who did not say that they are unwanted.
    pub(super) fn of_terminal() -> Self {
        let unwanted = std::env::var_os("NO_COLOR").is_some_and(|set| !set.is_empty());
        if std::io::stdout().is_terminal() && !unwanted { Self::Colour } else { Self::Plain }
    }

    fn mark(self, mark: Mark) -> String {
        let (word, colour) = match mark {
            Mark::Good => ("ok  ", "32"),
            Mark::Note => ("note", "33"),
            Mark::Bad => ("BAD ", "1;31"),
        };
        match self {
            Self::Plain => word.to_owned(),
            Self::Colour => format!("\u{1b}[{colour}m{word}\u{1b}[0m"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn report(abouts: &[(About, Mark)]) -> Report {
        let one = |(about, mark): &(About, Mark)| Finding {
            about: about.clone(),
            what: "key",
            mark: *mark,
            words: "words".to_owned(),
            hint: (*mark == Mark::Bad).then(|| "this".to_owned()),
        };
        Report::new(abouts.iter().map(one).collect())
    }

    #[test]
    fn settings_come_before_the_machine_and_that_before_an_account() {
        let account = || About::Account("a".to_owned());
        for (found, exit) in [
            (vec![(About::Machine, Mark::Note), (account(), Mark::Good)], Exit::Done),
            (vec![(About::Machine, Mark::Note), (account(), Mark::Bad)], Exit::Paused),
            (vec![(About::Machine, Mark::Bad), (account(), Mark::Bad)], Exit::Unwritable),
            (vec![(About::Manifest, Mark::Bad), (About::Machine, Mark::Bad)], Exit::Rejected),
            (vec![(About::Settings, Mark::Bad), (About::Machine, Mark::Bad)], Exit::Usage),
        ] {
            assert_eq!(report(&found).exit(), exit, "{found:?}");
        }
    }

    #[test]
    fn each_finding_is_a_line_and_what_to_do_stands_below_it() {
        let found = report(&[(About::Account("a".to_owned()), Mark::Bad), (About::Machine, Mark::Good)]);
        let text = "machine\n  ok    key  words\naccount a\n  BAD   key  words\n             do: this\n";
        assert_eq!(found.text(Mark::Good, Paint::Plain), text);
        assert_eq!(found.text(Mark::Bad, Paint::Plain), text.split_once("words\n").unwrap().1);
        assert!(found.text(Mark::Good, Paint::Colour).contains("\u{1b}[1;31mBAD \u{1b}[0m  key"));
        assert_eq!(found.closing(), "1 problem, no notes");
    }
}
