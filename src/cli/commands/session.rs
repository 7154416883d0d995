//! What `run` and `collect` share: a pipeline with its watcher and its signals, and the account of it afterwards.

use std::collections::BTreeSet;
use std::future::Future;
use std::time::Duration;

use serde::Serialize;

use crate::config::Settings;
use crate::domain::BatchId;
use crate::pipeline::{self, Ended, Gate, Pipeline};
use crate::report::{self, Show, Summary};

use super::super::args::Global;
use super::super::exit::Exit;
use super::super::failure::Failure;
use super::super::progress::Progress;
use super::super::signals::Signals;
use super::super::terminal;
use super::super::wiring::{self, Opened, Remote};

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

/// What is printed at the end with `--json`.
#[derive(Debug, Serialize)]
struct Closing<'a> {
    #[serde(flatten)]
    summary: &'a Summary,
    submitted_now: u64,
    changed: u64,
    ended: &'static str,
    exit_code: u8,
}

/// Runs a pipeline while `decide` settles what it may submit, and tells how it ended.
pub(super) async fn drive(
    opened: &Opened,
    remote: Remote,
    settings: &Settings,
    global: &Global,
    signals: &Signals,
    decide: impl Future<Output = Result<Decision, Failure>>,
) -> Result<Exit, Failure> {
    let parts = wiring::parts(opened, &remote)?;
    let wanted = pipeline::Settings {
        account: remote.account.name.clone(),
        interval: settings.rate.interval(),
        in_flight: settings.in_flight,
        settle_after: settings.settle_after,
        min_poll: settings.min_poll,
        deadline: settings.deadline,
        downloads: settings.downloads,
        in_doubt: settings.in_doubt,
    };
    let before = opened.store.tally(None).await?;
    let account = remote.account.clone();
    let trees = std::sync::Arc::clone(&parts.trees);
    let (pipeline, control) = Pipeline::prepare(parts, wanted, account, Gate::Undecided).await?;
    let progress = Progress::start(global, control.listen(), opened.clock.clone());
    let running = tokio::spawn(pipeline.run());
    let stop = tokio::spawn({
        let (signals, control) = (signals.clone(), control.clone());
        async move {
            signals.first().await;
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
    let ended = running.await.map_err(|broken| Failure::new(Exit::Internal, broken))??;
    stop.abort();
    drop(stop.await);
    drop(control);
    progress.finish().await;
    if let Some(simulator) = remote.simulator {
        simulator.shutdown().await;
    }
    let scope = if let Gate::Open(batch) = decision.gate { batch } else { None };
    let after = opened.store.tally(None).await?;
    // An interrupted run ends in time: a document that would take longer is left to the next one.
    let patience = if ended == Ended::Interrupted { HASTE } else { Duration::MAX };
    if opened.clock.within(patience, write_results(opened, scope, before != after)).await.is_none() {
        forget_results(opened).await?;
    }
    if let Some(failure) = rejected {
        return Err(failure);
    }
    let sent = after.submissions.saturating_sub(before.submissions);
    close(opened, settings, global, scope, &decision, &ended, sent, &remote.account.name).await
}

/// Tells how things stand and what the end means.
#[expect(clippy::too_many_arguments, reason = "all that is told at the end, in one place")]
async fn close(
    opened: &Opened,
    settings: &Settings,
    global: &Global,
    scope: Option<BatchId>,
    decision: &Decision,
    ended: &Ended,
    sent: u64,
    account: &crate::domain::AccountName,
) -> Result<Exit, Failure> {
    let store = opened.store.as_ref();
    let mut summary = Summary::gather(store, scope, Show::First).await?;
    for other in store.accounts().await?.into_iter().filter(|other| other.name != *account) {
        let open = store.open_of(other.name.clone()).await?;
        let tasks = open.submitting + open.waiting + open.ready;
        if tasks > 0 {
            summary.elsewhere.insert(other.name.to_string(), tasks);
        }
    }
    let (exit, word, words) = match ended {
        Ended::SinkStopped(words) => (
            Exit::Unwritable,
            "output stopped",
            Some(format!("stopped: {words}; make room or mend it, then run the same command again")),
        ),
        Ended::Interrupted => {
            (Exit::Interrupted, "interrupted", Some("interrupted: the same command goes on".to_owned()))
        }
        Ended::Paused(pause) => (Exit::Paused, "paused", Some(format!("paused: {}: {}", pause.reason, pause.words))),
        Ended::Finished => {
            let tally = &summary.tally;
            let exit = if tally.held + tally.stuck + decision.changed > 0 {
                Exit::Held
            } else if tally.failed > 0 {
                Exit::Failed
            } else {
                Exit::Done
            };
            (exit, "finished", None)
        }
    };
    summary.next = next(settings, &summary, decision, ended);
    if global.json {
        let (changed, exit_code) = (decision.changed, exit.number());
        terminal::json(&Closing { summary: &summary, submitted_now: sent, changed, ended: word, exit_code });
    } else if !global.quiet {
        let sent = if sent == 0 { "nothing was submitted".to_owned() } else { format!("{sent} rows were submitted") };
        terminal::out(&format!("{sent} in this run\n{}", summary.text()));
    } else if exit != Exit::Done {
        terminal::err(&format!("{}\n", summary.line()));
    }
    if decision.changed > 0 && !global.json {
        let rows = decision.changed;
        terminal::err(&format!(
            "{rows} rows changed after they were submitted and were not sent again (--resubmit-changed does)\n"
        ));
    }
    if let Some(words) = words.filter(|_| !global.json) {
        terminal::err(&format!("{words}\n"));
    }
    Ok(exit)
}

/// What to type next, most urgent first.
fn next(settings: &Settings, summary: &Summary, decision: &Decision, ended: &Ended) -> Vec<String> {
    let mut next = Vec::new();
    let state = if settings.state.as_os_str() == "state/nightreel.db" {
        String::new()
    } else {
        format!(" --state {}", settings.state.display())
    };
    match ended {
        Ended::Paused(_) => next.push("see to the account, then run the same command again".to_owned()),
        Ended::Interrupted | Ended::SinkStopped(_) => next.push("run the same command again".to_owned()),
        Ended::Finished => {}
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
    if decision.changed > 0 {
        next.push("the same command with --resubmit-changed   (pays for the changed rows again)".to_owned());
    }
    if next.is_empty() && summary.tally.done > 0 {
        next.push(format!("nightreel verify{state}"));
    }
    next.truncate(3);
    next
}

/// Removes what is out of date, so that the next run writes it again.
async fn forget_results(opened: &Opened) -> Result<(), Failure> {
    for batch in opened.store.batches().await? {
        // One that is not there is as good as removed.
        drop(std::fs::remove_file(batch.out.join(report::RESULTS)));
    }
    Ok(())
}

/// Writes `results.csv` of the output trees in question. A failure is told and changes nothing: the ledger has it all.
async fn write_results(opened: &Opened, scope: Option<BatchId>, changed: bool) {
    let store = opened.store.as_ref();
    let write = async {
        let batches = store.batches().await?;
        let wanted = batches.into_iter().filter(|batch| scope.is_none_or(|scope| scope == batch.id));
        let trees: BTreeSet<_> = wanted.map(|batch| batch.out).collect();
        // A document of a million rows is not written again when nothing happened.
        for out in trees.into_iter().filter(|out| changed || !out.join(report::RESULTS).exists()) {
            let sink = wiring::sink(out.clone());
            report::write_results(store, &out, sink.as_ref()).await?;
        }
        Ok::<(), report::ReportError>(())
    };
    if let Err(error) = write.await {
        let failure = Failure::new(Exit::Unwritable, error);
        terminal::err(&format!("results.csv was not written:\n{}", failure.text()));
    }
}
