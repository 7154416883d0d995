//! What `run` and `collect` share: a pipeline with its watcher and its signals, and the account of it afterwards.

mod notes;

use std::collections::BTreeSet;
use std::future::Future;
use std::path::PathBuf;
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use serde::Serialize;

use crate::config::Settings;
use crate::domain::{AccountName, BatchId};
use crate::gateway::PauseReason;
use crate::notify::Beat;
use crate::pace::Shift;
use crate::pipeline::{self, Ended, Ends, Gate, KeptBy, Outcome, Pipeline};
use crate::report::{self, Elsewhere, Show, Summary, rows};
use crate::store::RunEnd;

use super::super::args::Global;
use super::super::exit::Exit;
use super::super::failure::Failure;
use super::super::progress::Progress;
use super::super::signals::Signals;
use super::super::telling::{End, Telling};
use super::super::terminal;
use super::super::wiring::{self, Opened, Remotes};
use super::report::{AtTheEnd, at_the_end, near};
use super::serve::Shown;
use notes::notes;

/// How long an interrupted run may take over its documents.
const HASTE: Duration = Duration::from_secs(1);

/// What was decided about submitting.
#[derive(Debug)]
pub(super) struct Decision {
    /// What the run may submit.
    pub(super) gate: Gate,
    /// Changed rows that were not sent again.
    pub(super) changed: u64,
}

/// What this run was asked for besides its settings.
#[derive(Clone, Copy, Debug)]
pub(super) struct Asked {
    /// Its hours.
    pub(super) shift: Shift,
    /// What becomes of the gallery at its end.
    pub(super) report: AtTheEnd,
    /// When it ends by itself.
    pub(super) ends: Ends,
}

/// What is printed at the end with `--json`.
#[derive(Debug, Serialize)]
struct Closing<'a> {
    #[serde(flatten)]
    summary: &'a Summary,
    submitted_now: u64,
    changed: u64,
    ended: &'static str,
    exit_code: u8,
    reports: &'a [PathBuf],
}

/// Runs a pipeline while `decide` settles what it may submit, and tells how it ended. The store is closed however that was, for
/// whoever else still holds it: what it does in the end must be done before the process ends.
pub(super) async fn drive(
    opened: &Opened,
    remotes: Remotes,
    settings: &Settings,
    asked: Asked,
    global: &Global,
    signals: &Signals,
    decide: impl Future<Output = Result<Decision, Failure>>,
) -> Result<Exit, Failure> {
    let exit = driven(opened, remotes, settings, asked, global, signals, decide).await;
    // One that does not answer any more keeps what it has.
    let closed = opened.clock.within(HASTE, opened.store.close()).await;
    let exit = exit?;
    closed.unwrap_or(Ok(()))?;
    Ok(exit)
}

async fn driven(
    opened: &Opened,
    mut remotes: Remotes,
    settings: &Settings,
    asked: Asked,
    global: &Global,
    signals: &Signals,
    decide: impl Future<Output = Result<Decision, Failure>>,
) -> Result<Exit, Failure> {
    let parts = wiring::parts(opened, settings, &remotes)?;
    for (account, pause) in &remotes.unusable {
        terminal::err(&format!("account {account} cannot be used: {}; the others go on\n", pause.words));
    }
    if settings.dashboard.address.is_some() || settings.dashboard.callback_url.is_some() {
        let hint = "leave --dashboard and --callback-url out; nightreel status tells how the ledger stands";
        wiring::must_be_a_file(settings, "a dashboard", hint)?;
    }
    let shown = Shown::prepare(settings, &mut remotes, &opened.clock).await?;
    let wanted = pipeline::Settings {
        lanes: remotes.lanes.clone(),
        settle_after: settings.settle_after,
        deadline: settings.deadline,
        downloads: settings.downloads,
        caution: settings.caution,
        shift: asked.shift,
        stages: settings.stages,
        ends: asked.ends,
        budget: wiring::budget(settings, remotes.lanes.iter().map(|lane| &lane.prices.currency))?,
    };
    let budget = wanted.budget.clone();
    let names: Vec<AccountName> = remotes.lanes.iter().map(|lane| lane.account.name.clone()).collect();
    let before = opened.store.tally(None).await?;
    let trees = Arc::clone(&parts.trees);
    let (pipeline, control) = Pipeline::prepare(parts, wanted, Gate::Undecided).await?;
    let progress = Progress::start(global, control.listen(), budget.clone(), opened.clock.clone());
    let telling = Telling::start(settings, opened, control.listen());
    let server = shown.map(|shown| shown.open(control.clone(), budget, settings, global, opened.clock.clone()));
    let running = tokio::spawn(pipeline.run());
    let stopped_at = Arc::new(OnceLock::new());
    let stop = tokio::spawn({
        let (signals, control) = (signals.clone(), control.clone());
        let (clock, stopped_at) = (opened.clock.clone(), Arc::clone(&stopped_at));
        async move {
            signals.first().await;
            stopped_at.get_or_init(|| clock.now());
            control.stop();
        }
    });
    let decided = tokio::select! {
        decided = decide => decided,
        () = signals.first() => Ok(Decision { gate: Gate::Closed, changed: 0 }),
    };
    trees.forget();
    let (decision, rejected) = match decided {
        Ok(decision) => (decision, None),
        Err(failure) => (Decision { gate: Gate::OneLook, changed: 0 }, Some(failure)),
    };
    control.open(decision.gate);
    let mut outcome = running.await.map_err(|_| Failure::broken())??;
    if let Some(server) = server {
        server.shutdown().await;
    }
    stop.abort();
    drop(stop.await);
    drop(control);
    progress.finish().await;
    outcome.pauses.extend(remotes.unusable.iter().cloned());
    remotes.shutdown().await;
    let scope = if let Gate::Open(batch) = decision.gate { batch } else { None };
    let after = opened.store.tally(None).await?;
    // An interrupted run ends in time: a document that would take longer is left to the next one.
    let patience = if outcome.ended == Ended::Interrupted { HASTE } else { Duration::MAX };
    if opened.clock.within(patience, write_results(opened, settings, scope, before != after)).await.is_none() {
        // A store that does not answer keeps what it has: the ledger has it all.
        opened.clock.within(HASTE, forget_results(opened, settings)).await.unwrap_or(Ok(()))?;
    }
    if let Some(failure) = rejected {
        telling.rest().await;
        return Err(failure);
    }
    let report = if outcome.ended == Ended::Interrupted { AtTheEnd::Left } else { asked.report };
    let reports = at_the_end(opened, settings, scope, report, before != after).await;
    let (decision, outcome) = (&decision, &outcome);
    let closing = Close { opened, settings, global, scope, decision, outcome, names: &names, reports };
    let end = closing.tell(after.submissions.saturating_sub(before.submissions)).await?;
    let exit = end.exit;
    telling.ended(end, stopped_at.get().copied()).await;
    Ok(exit)
}

/// All that is told at the end of a run.
struct Close<'a> {
    opened: &'a Opened,
    settings: &'a Settings,
    global: &'a Global,
    scope: Option<BatchId>,
    decision: &'a Decision,
    outcome: &'a Outcome,
    names: &'a [AccountName],
    reports: Vec<PathBuf>,
}

impl Close<'_> {
    /// Tells how things stand and what the end means.
    async fn tell(&self, sent: u64) -> Result<End, Failure> {
        let store = self.opened.store.as_ref();
        let mut summary = Summary::gather(store, self.scope, Show::First).await?;
        for other in store.accounts().await?.into_iter().filter(|other| !self.names.contains(&other.name)) {
            let open = store.open_of(other.name.clone()).await?;
            let tasks = open.submitting + open.waiting;
            if tasks > 0 {
                summary.elsewhere.push(Elsewhere { account: other.name.to_string(), tasks, reach: wiring::at(&other) });
            }
        }
        let mut stuck_behind = 0;
        for (account, _) in &self.outcome.pauses {
            let open = store.open_of(account.clone()).await?;
            stuck_behind += open.submitting + open.waiting;
        }
        let (exit, word, words) = self.meaning(&summary, stuck_behind);
        summary.notes = notes(self.outcome);
        summary.next = self.next(&summary, exit);
        let ended = RunEnd {
            batch: self.scope,
            at: self.opened.clock.now(),
            exit_code: exit.number(),
            submitted: sent,
            notes: summary.notes.clone(),
        };
        store.note_run(ended).await?;
        if self.global.json {
            let (changed, exit_code) = (self.decision.changed, exit.number());
            let (summary, reports) = (&summary, self.reports.as_slice());
            terminal::json(&Closing { summary, submitted_now: sent, changed, ended: word, exit_code, reports });
        } else if !self.global.quiet {
            let sent = match sent {
                0 => "nothing was submitted".to_owned(),
                1 => "1 row was submitted".to_owned(),
                sent => format!("{sent} rows were submitted"),
            };
            let reports = self.reports.iter().map(|report| format!("report: {}\n", near(report).display()));
            let whose = if store.fleet().is_some() { "meanwhile, by all processes" } else { "in this run" };
            terminal::tell(&format!("{sent} {whose}\n{}{}", summary.text(), reports.collect::<String>()));
        } else if exit != Exit::Done {
            terminal::err(&format!("{}\n", summary.line()));
        }
        if self.decision.changed > 0 && !self.global.json {
            let changed = rows(self.decision.changed);
            terminal::err(&format!("{changed} changed after submission, not sent again (--resubmit-changed does)\n"));
        }
        if let Some(words) = words.as_ref().filter(|_| !self.global.json) {
            terminal::err(&format!("{words}\n"));
        }
        let well = exit == Exit::Done || (exit == Exit::Interrupted && self.outcome.ended != Ended::Interrupted);
        let beat = if well { Beat::Success } else { Beat::Fail };
        Ok(End { exit, beat, line: summary.line(), words })
    }

    /// What the end means: the exit code, a word for programs, a line for people.
    fn meaning(&self, summary: &Summary, stuck_behind: u64) -> (Exit, &'static str, Option<String>) {
        let outcome = self.outcome;
        match &outcome.ended {
            Ended::SinkStopped(words) => {
                let words = format!("stopped: {words}");
                return (Exit::Unwritable, "output stopped", Some(words));
            }
            Ended::Interrupted => {
                let words = "interrupted: the same command goes on".to_owned();
                return (Exit::Interrupted, "interrupted", Some(words));
            }
            Ended::Drained => {
                let words = "drained: all that was paid is collected; the same command sends the rest".to_owned();
                return (Exit::Interrupted, "drained", Some(words));
            }
            Ended::Finished | Ended::TimeUp => {}
        }
        let kept = |by: fn(&KeptBy) -> bool| {
            outcome.left.iter().filter(|left| by(&left.kept_by)).map(|left| left.rows).sum::<u64>()
        };
        let by_accounts = kept(|by| matches!(by, KeptBy::Accounts));
        if !outcome.pauses.is_empty() && by_accounts + stuck_behind > 0 {
            let said: Vec<String> =
                outcome.pauses.iter().map(|(name, pause)| format!("paused: {name}: {pause}")).collect();
            let empty = outcome.pauses.iter().any(|(_, pause)| pause.reason == PauseReason::Balance);
            let exit = if empty { Exit::Empty } else { Exit::Paused };
            // The summary has said it to whoever reads it.
            return (exit, "paused", self.global.quiet.then(|| said.join("\n")));
        }
        let tally = &summary.tally;
        let unsent = kept(|by| matches!(by, KeptBy::Hours));
        let paid = if outcome.ended == Ended::TimeUp { tally.submitting + tally.waiting + tally.ready } else { 0 };
        if unsent + paid > 0 {
            let words = format!("the time is up: {unsent} rows are left to send, {paid} to collect");
            return (Exit::Interrupted, "time is up", Some(words));
        }
        if kept(|by| matches!(by, KeptBy::Budget)) > 0 {
            return (Exit::Budget, "budget reached", None);
        }
        let exit = if tally.held + tally.stuck + self.decision.changed + kept(|_| true) > 0 {
            Exit::Held
        } else if tally.failed > 0 {
            Exit::Failed
        } else {
            Exit::Done
        };
        (exit, "finished", None)
    }

    /// What to type next, most urgent first.
    fn next(&self, summary: &Summary, exit: Exit) -> Vec<String> {
        let mut next = Vec::new();
        let state = if self.settings.state.as_os_str() == "state/nightreel.db" {
            String::new()
        } else {
            format!(" --state {}", self.settings.state.display())
        };
        match exit {
            Exit::Paused => {
                next.push("nightreel doctor   (what is wrong with the account), then the same command".to_owned());
            }
            Exit::Empty => next.push("top the account up, then run the same command again".to_owned()),
            Exit::Budget => next.push("the same command with a larger --budget".to_owned()),
            Exit::Interrupted | Exit::Unwritable => {
                let by_itself = exit == Exit::Interrupted && self.outcome.ended != Ended::Interrupted;
                let when = if by_itself { ", in the next night" } else { "" };
                next.push(format!("run the same command again{when}"));
                if summary.tally.open() > summary.tally.planned {
                    next.push(format!("nightreel collect{state}   (only fetches what is paid; sends nothing)"));
                }
            }
            Exit::Done | Exit::Internal | Exit::Usage | Exit::Failed | Exit::Held | Exit::Locked | Exit::Rejected => {}
        }
        let left = |by: fn(&KeptBy) -> bool| self.outcome.left.iter().any(|left| by(&left.kept_by));
        if exit == Exit::Held && left(|by| matches!(by, KeptBy::Accounts)) {
            next.push("nightreel doctor   (which account could send what is left)".to_owned());
        }
        if left(|by| matches!(by, KeptBy::Scene(_))) {
            next.push("the same command   (tries the paused scenes again, a few rows first)".to_owned());
        }
        if summary.tally.held > 0 {
            next.push(format!("nightreel resolve ROW --made TASK_ID | --not-made | --drop{state}"));
        }
        if summary.tally.stuck > 0 {
            next.push(format!("nightreel collect{state}   (asks for the stuck tasks again)"));
        }
        if summary.tally.failed > 0 {
            next.push(format!("nightreel retry --all{state}   (pays for another attempt at each)"));
        }
        if self.decision.changed > 0 {
            next.push("the same command with --resubmit-changed   (pays for the changed rows again)".to_owned());
        }
        if next.is_empty() && summary.tally.planned > 0 {
            next.push("nightreel run   (sends what is planned)".to_owned());
        }
        let tally = &summary.tally;
        if tally.failed + tally.held + tally.stuck > 0 {
            let failed = summary.failures.first().and_then(|failures| failures.named.first());
            let row = failed.or_else(|| summary.troubles.first().map(|trouble| &trouble.id));
            let is_plain = |name: &&String| name.bytes().all(|b| b.is_ascii_alphanumeric() || b"-_./".contains(&b));
            let row = row.filter(is_plain).map_or("ROW", String::as_str);
            next.push(format!("nightreel logs {row}{state}   (its whole history)"));
        }
        if tally.done > 0 {
            if self.reports.is_empty() && exit != Exit::Interrupted {
                next.push(format!("nightreel report{state}   (a gallery to look through and to reject from)"));
            }
            next.push(format!("nightreel verify{state}   (checks every video on the disk)"));
            next.push(format!("nightreel receipt{state}   (what was paid for, request by request)"));
        }
        next.truncate(3);
        next
    }
}

/// Removes what is out of date, so that the next run writes it again.
async fn forget_results(opened: &Opened, settings: &Settings) -> Result<(), Failure> {
    let trees: BTreeSet<PathBuf> = opened.store.batches().await?.into_iter().map(|batch| batch.out).collect();
    for out in trees {
        // Where it cannot be removed, it cannot have been written either, or it is told by the next command that writes it.
        if let Ok(sink) = wiring::sink(settings, &out) {
            drop(sink.forget(report::RESULTS).await);
        }
    }
    Ok(())
}

/// Writes `results.csv` of the output trees in question. A failure is told and changes nothing: the ledger has it all.
async fn write_results(opened: &Opened, settings: &Settings, scope: Option<BatchId>, changed: bool) {
    let store = opened.store.as_ref();
    let write = async {
        let batches = store.batches().await?;
        let wanted = batches.into_iter().filter(|batch| scope.is_none_or(|scope| scope == batch.id));
        let trees: BTreeSet<PathBuf> = wanted.map(|batch| batch.out).collect();
        // A document of a million rows is not written again when nothing happened.
        for out in trees {
            let sink = wiring::sink(settings, &out)?;
            if changed || sink.peek(report::RESULTS).await?.is_none() {
                report::write_results(store, &out, sink.as_ref()).await?;
            }
        }
        Ok::<(), Failure>(())
    };
    if let Err(failure) = write.await {
        terminal::err(&format!("results.csv was not written:\n{}", failure.text()));
    }
}
