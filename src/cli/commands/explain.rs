//! `nightreel explain`: what the remote's codes and words mean, what nightreel does about each, what a person can do. Reads
//! nothing but what is compiled in.

use serde::Serialize;

use crate::gateway::{Advice, all_advice, known_words};

use super::super::args::{Explain, Global};
use super::super::exit::Exit;
use super::super::failure::Failure;
use super::super::terminal;

/// What is printed for programs.
#[derive(Debug, Serialize)]
struct Line {
    code: &'static str,
    http_status: u16,
    meaning: &'static str,
    nightreel: &'static str,
    hint: &'static str,
}

pub(in crate::cli) fn explain(args: &Explain, global: &Global) -> Result<Exit, Failure> {
    let wanted = args.code.as_deref().unwrap_or_default().to_lowercase();
    let is_meant = |advice: &&Advice| {
        // A code is told by itself; other words by whatever speaks of them.
        advice.code == wanted
            || (wanted.parse::<u32>().is_err()
                && [advice.code, advice.meaning].iter().any(|text| text.to_lowercase().contains(&wanted)))
    };
    let found: Vec<&Advice> = all_advice().iter().chain(known_words()).filter(is_meant).collect();
    if found.is_empty() {
        return Err(Failure::new(Exit::Usage, format!("nothing is known of {wanted:?}"))
            .hint("`nightreel explain` lists every code that is")
            .hint("what is not known goes by its HTTP status: 4xx fails the row, 429 waits, 5xx leaves it in doubt"));
    }
    if global.json {
        let line = |advice: &&Advice| Line {
            code: advice.code,
            http_status: advice.status,
            meaning: advice.meaning,
            nightreel: advice.does,
            hint: advice.hint,
        };
        terminal::json(&found.iter().map(line).collect::<Vec<_>>());
        return Ok(Exit::Done);
    }
    let text: Vec<String> = found
        .iter()
        .map(|Advice { code, status, meaning, does, hint, .. }| {
            format!("{code} (HTTP {status}): {meaning}\n  nightreel: {does}\n  do: {hint}\n")
        })
        .collect();
    terminal::tell(&text.concat());
    Ok(Exit::Done)
}
