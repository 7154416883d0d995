//! The command line as a whole: its help with the verbs in groups, and what shells are told to complete.

use clap::builder::PossibleValuesParser;
use clap::{Command, CommandFactory, ValueHint};

use super::super::terminal;
use super::Cli;
use crate::catalogue;
use crate::gateway::Preset;
use crate::simulator::fault::FAULTS;

/// Verbs that belong together, in the order in which a person meets them.
const GROUPS: [(&str, &[&str]); 5] = [
    ("A night", &["scan", "check", "run", "schedule", "status", "serve", "collect", "worker", "verify", "report"]),
    ("Rows that need a person", &["logs", "resolve", "retry", "explain"]),
    ("Money", &["receipt", "rescue", "scenes"]),
    ("The ledger", &["export", "import", "prune"]),
    ("Setting up", &["init", "doctor", "simulate", "completions", "man"]),
];

/// The command line, its help with the verbs in groups.
pub(crate) fn command() -> Command {
    let command = Cli::command();
    let template = format!(
        "{{before-help}}{{about-with-newline}}\n{{usage-heading}} {{usage}}\n\n{}{{options}}{{after-help}}",
        groups(&command, terminal::columns())
    );
    command.help_template(template)
}

/// The verbs by group, in lines of at most so many columns.
fn groups(command: &Command, columns: usize) -> String {
    let header = *command.get_styles().get_header();
    let literal = *command.get_styles().get_literal();
    let verbs: Vec<&Command> = command.get_subcommands().filter(|verb| !verb.is_hide_set()).collect();
    let longest = verbs.iter().map(|verb| verb.get_name().len()).max().unwrap_or_default();
    let line = |verb: &Command| {
        let about = verb.get_about().map(ToString::to_string).unwrap_or_default();
        let name = verb.get_name();
        let gap = " ".repeat(longest - name.len());
        let about = wrapped(&about, columns.saturating_sub(longest + 4), longest + 4);
        format!("  {literal}{name}{literal:#}{gap}  {about}\n")
    };
    let mut text = String::new();
    for (heading, names) in GROUPS {
        text.push_str(&format!("{header}{heading}:{header:#}\n"));
        let named = names.iter().filter_map(|name| verbs.iter().find(|verb| verb.get_name() == *name));
        text.extend(named.map(|verb| line(verb)));
        text.push('\n');
    }
    let mut others =
        verbs.iter().filter(|verb| GROUPS.iter().all(|(_, names)| !names.contains(&verb.get_name()))).peekable();
    if others.peek().is_some() {
        text.push_str(&format!("{header}Others:{header:#}\n"));
        text.extend(others.map(|verb| line(verb)));
        text.push('\n');
    }
    text.push_str(&format!("{header}Options:{header:#}\n"));
    text
}

/// Words in lines of a width, the lines after the first moved in.
fn wrapped(words: &str, width: usize, indent: usize) -> String {
    let (mut text, mut used) = (String::new(), 0);
    for word in words.split(' ') {
        let long = word.chars().count();
        if used > 0 && used + 1 + long > width {
            text.push_str(&format!("\n{}", " ".repeat(indent)));
            used = 0;
        } else if used > 0 {
            text.push(' ');
            used += 1;
        }
        text.push_str(word);
        used += long;
    }
    text
}

/// The command line as shells complete it: with words that are not the only ones that may be said, and with the kinds of
/// paths.
pub(crate) fn for_shells() -> Command {
    let scenes: Vec<&'static str> = catalogue::all().iter().map(|scene| scene.name.as_str()).collect();
    let verbs: Vec<String> = Cli::command().get_subcommands().map(|verb| verb.get_name().to_owned()).collect();
    verbs.into_iter().fold(command().mut_args(|arg| completed(arg, "", &scenes)), |command, name| {
        command.mut_subcommand(name.clone(), |verb| verb.mut_args(|arg| completed(arg, &name, &scenes)))
    })
}

/// One argument of a verb, with what may stand there.
fn completed(arg: clap::Arg, verb: &str, scenes: &[&'static str]) -> clap::Arg {
    let words: Vec<&'static str> = match (verb, arg.get_id().as_str()) {
        ("scenes", "word") | (_, "scene" | "fail_scenes") => scenes.to_vec(),
        (_, "gateway") => Preset::ALL.map(Preset::word).to_vec(),
        (_, "region") => vec!["singapore", "beijing"],
        (_, "in_doubt") => vec!["hold", "resend"],
        (_, "log_format") => vec!["text", "json"],
        (_, "dialect") => vec!["kling", "comet", "new-api", "fal", "wavespeed"],
        (_, "faults") => FAULTS.iter().map(|(name, ..)| *name).chain(["list"]).collect(),
        (_, "out" | "dir" | "download") => return arg.value_hint(ValueHint::DirPath),
        (_, "state" | "config" | "manifest" | "file" | "key_file") => return arg.value_hint(ValueHint::FilePath),
        (_, "base_url") => return arg.value_hint(ValueHint::Url),
        _ => return arg,
    };
    arg.value_parser(PossibleValuesParser::new(words))
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory;

    use super::*;

    #[test]
    fn the_command_line_holds_together_and_every_verb_has_its_group() {
        command().debug_assert();
        let mut grouped: Vec<&str> = GROUPS.iter().flat_map(|(_, names)| names.iter().copied()).collect();
        grouped.sort_unstable();
        let command = Cli::command();
        let mut verbs: Vec<&str> = command.get_subcommands().map(Command::get_name).collect();
        verbs.sort_unstable();
        assert_eq!(grouped, verbs);
    }

    #[test]
    fn shells_are_told_words_that_bind_nobody() {
        let words = |command: &Command| {
            let scenes = command.find_subcommand("scenes").unwrap().clone();
            let word = scenes.get_positionals().next().unwrap().clone();
            word.get_possible_values().len()
        };
        assert!(words(&for_shells()) > 200);
        assert_eq!(words(&command()), 0);
    }
}
