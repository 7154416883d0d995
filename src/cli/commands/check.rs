//! `nightreel check`: every problem of a manifest, and what a run would do. Reads only, also beside a run.

use std::path::Path;

use serde::Serialize;
use serde_json::{Value, json};

use crate::config::Settings;
use crate::pace::Clock;
use crate::plan::Plan;

use super::super::args::{Check, Global};
use super::super::exit::Exit;
use super::super::failure::Failure;
use super::super::{terminal, wiring};
use super::admit;
use super::outlook::Outlook;

/// Problems that are shown in the terminal.
const SHOWN: usize = 20;

/// What is printed for programs.
#[derive(Debug, Serialize)]
struct Checked<'a> {
    #[serde(flatten)]
    plan: &'a Plan,
    #[serde(flatten)]
    outlook: &'a Outlook<'a>,
}

pub(in crate::cli) async fn check(args: &Check, global: &Global, settings: &Settings) -> Result<Exit, Failure> {
    let name = wiring::batch_name(args.batch.as_deref(), &args.manifest)?;
    let store = wiring::open_to_read(settings).await?;
    let batch = match &store {
        Some(store) => wiring::batch_of(store.as_ref(), &name, args.batch.as_deref(), &args.manifest).await?,
        None => None,
    };
    wiring::must_be_lendable(settings)?;
    let known = wiring::known_accounts(settings, store.as_deref()).await?;
    let senders = wiring::senders(settings, &known);
    let budget = wiring::budget(settings, senders.at_work.iter().map(|sender| &sender.prices.currency))?;
    let ask = admit::ask(store.clone(), settings, senders, &args.manifest, name, batch.clone())?;
    let plan = admit::survey(ask).await?;
    if plan.problem_count > 0 {
        return Err(rejection(&args.manifest, &plan));
    }
    let now = Clock::system().now();
    let ledger = (store.as_deref(), batch.as_ref());
    let outlook = Outlook::of(&plan, settings, &known, ledger, budget, now).await?;
    if global.json {
        terminal::json(&Checked { plan: &plan, outlook: &outlook });
        return Ok(Exit::Done);
    }
    let mut text = String::new();
    for (line, label) in &plan.conflicts {
        text.push_str(&format!(
            "line {line}: {label} changed after it was submitted: not sent again unless you say --resubmit-changed\n"
        ));
    }
    for (other, rows) in &plan.paid_elsewhere {
        text.push_str(&format!(
            "{rows} new rows ask for videos that batch {other:?} was submitted for already: not sent unless --allow-repeat\n"
        ));
    }
    text.push_str(&format!("{}: {} rows, no problems\n{}\n", args.manifest.display(), plan.rows, counts(&plan)));
    text.push_str(&outlook.text(now));
    text.push_str(&warnings(&plan, &args.manifest));
    terminal::tell(&text);
    Ok(Exit::Done)
}

/// What there is to say of rows before they are paid for.
fn warnings(plan: &Plan, manifest: &Path) -> String {
    let mut text = String::new();
    if !plan.warnings.is_empty() {
        text.push_str("warnings:\n");
    }
    for warned in plan.warnings.iter().take(SHOWN) {
        text.push_str(&format!("  {warned}\n"));
    }
    let hidden = plan.warnings.len().saturating_sub(SHOWN);
    if hidden > 0 {
        text.push_str(&format!("  … and {hidden} more: nightreel check {} --json\n", manifest.display()));
    }
    if plan.warned_beyond > 0 {
        text.push_str(&format!("  … and {} rows with others\n", plan.warned_beyond));
    }
    text
}

/// The plan in one line: `1840 done, 12 changed, 148 new`.
fn counts(plan: &Plan) -> String {
    let always = [("done", plan.done), ("changed", plan.changed), ("new", plan.new)];
    let sometimes = [
        ("planned", plan.planned),
        ("updated", plan.updated),
        ("running", plan.running),
        ("failed", plan.failed),
        ("held", plan.held),
        ("stuck", plan.stuck),
    ];
    let sometimes = sometimes.into_iter().filter(|(_, count)| *count > 0);
    let words: Vec<String> =
        always.into_iter().chain(sometimes).map(|(word, count)| format!("{count} {word}")).collect();
    words.join(", ")
}

/// What is said of a manifest that has problems.
pub(super) fn rejection(manifest: &Path, plan: &Plan) -> Failure {
    let mut text = String::new();
    for problem in plan.problems.iter().take(SHOWN) {
        let column = if problem.column.is_empty() { String::new() } else { format!(", {}", problem.column) };
        let found = if problem.found.is_empty() { String::new() } else { format!(" (found: {})", problem.found) };
        text.push_str(&format!(
            "line {}{column}: {}{found}; expected: {}\n",
            problem.line, problem.what, problem.expected
        ));
    }
    let hidden = plan.problem_count.saturating_sub(SHOWN as u64);
    if hidden > 0 {
        text.push_str(&format!("… and {hidden} more: nightreel check {} --json\n", manifest.display()));
    }
    let count = plan.problem_count;
    let noun = if count == 1 { "problem" } else { "problems" };
    let mut details = serde_json::to_value(plan).unwrap_or(Value::Null);
    details["manifest"] = json!(manifest.display().to_string());
    Failure::new(Exit::Rejected, format!("{}: {count} {noun}; nothing was submitted", manifest.display()))
        .details(text, details)
}
