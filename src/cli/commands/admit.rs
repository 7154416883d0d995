//! From a checked manifest to jobs in the ledger: whole or not at all. A row that may have been paid is never made to be
//! sent again unless the user said so.

use std::collections::HashSet;
use std::path::Path;
use std::pin::pin;
use std::sync::Arc;

use futures::StreamExt;
use futures::stream::FuturesOrdered;

use crate::config::Settings;
use crate::domain::{BatchId, BatchName, FailureCause, Job, JobEvent, JobId, RowKey, StateCode, Tally};
use crate::plan::{Ask, Judge, Paid, Plan, Remember, Senders, Step, Survey, SurveyError};
use crate::store::{Batch, Filter, NewJob, Pages, Store};

use super::super::exit::Exit;
use super::super::failure::Failure;
use super::super::wiring::{self, Opened};
use super::check;

/// New jobs that are admitted at once.
const AT_ONCE: usize = 2000;
/// Admissions that are under way while the next rows are read, so that the ledger never waits for them.
const ADMISSIONS: usize = 2;
/// Jobs that are looked through at a time.
const PAGE: usize = 1000;

/// Whether rows that may have been paid already are sent again.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Again {
    /// They are: the user said so.
    Sent,
    /// They are not.
    Left,
}

/// A manifest, admitted.
#[derive(Debug)]
pub(super) struct Admitted {
    pub(super) batch: BatchId,
    /// Changed rows that were left as they were.
    pub(super) conflicts: u64,
    /// What `check` has to say of rows that are sent, where any were admitted: so many different things.
    pub(super) warnings: usize,
}

/// Checks the manifest, and admits it when it has no problem.
pub(super) async fn admit(
    opened: &Opened,
    settings: &Settings,
    manifest: &Path,
    name: BatchName,
    batch: Option<Batch>,
    changed: Again,
    repeated: Again,
) -> Result<Admitted, Failure> {
    let store = &opened.store;
    let known = wiring::known_accounts(settings, Some(store.as_ref())).await?;
    let senders = wiring::senders(settings, &known);
    let ask = ask(Some(Arc::clone(store)), settings, senders, manifest, name.clone(), batch.clone())?;
    let plan = survey(ask.clone()).await?;
    if plan.problem_count > 0 {
        return Err(check::rejection(manifest, &plan));
    }
    if repeated == Again::Left
        && let Some((other, rows)) = plan.paid_elsewhere.iter().next()
    {
        let same = *other == name.as_str();
        let words = if same {
            format!(
                "{rows} rows are new, but ask for videos that this batch was submitted for already, under other ids"
            )
        } else {
            format!("{rows} rows ask for videos that were submitted in batch {other:?} already")
        };
        let hint = if same {
            "give these rows the ids that they had, or take them out".to_owned()
        } else {
            format!("to go on with that batch: --batch {other:?}")
        };
        return Err(Failure::new(Exit::Rejected, words)
            .hint(hint)
            .hint("to have them made and paid for again: --allow-repeat"));
    }
    let tally = match &batch {
        Some(batch) => store.tally(Some(batch.id)).await?,
        None => Tally::default(),
    };
    let gone = tally.planned > plan.planned;
    let conflicts = if changed == Again::Sent { 0 } else { plan.changed };
    let as_before = batch
        .as_ref()
        .filter(|batch| batch.columns == plan.columns && batch.out == ask.out && batch.manifest == ask.manifest);
    let nothing_new = plan.new + plan.updated + plan.moved == 0 && (plan.changed == 0 || changed == Again::Left);
    if let Some(batch) = as_before.filter(|_| nothing_new && !gone) {
        if tally.planned > 0 {
            wiring::must_be_ready(wiring::sink(settings, &batch.out)?.as_ref(), &opened.clock).await?;
        }
        return Ok(Admitted { batch: batch.id, conflicts, warnings: 0 });
    }
    // Before anything is planned that could be sent, and not be stored.
    wiring::must_be_ready(wiring::sink(settings, &ask.out)?.as_ref(), &opened.clock).await?;
    let batch = store.open_batch(name, ask.out.clone(), plan.columns.clone(), ask.manifest.clone()).await?;
    let remember = if gone { Remember::Planned } else { Remember::Nothing };
    // Of a batch that has none, no row needs to be looked for.
    let known = (tally.rows > 0).then(|| batch.clone());
    let mut survey = Survey::begin(Ask { batch: known, remember, judge: Judge::Nothing, ..ask })?;
    store.expect_rows(batch.id, plan.new).await?;
    let taken_in = take_in(opened, &mut survey, batch.id, changed).await;
    // Also where it came to nothing: the run goes on with what it has.
    store.all_admitted().await?;
    taken_in?;
    let again = survey.finish().await?;
    must_be_whole(manifest, &plan, &again)?;
    if gone {
        withdraw(opened, batch.id, &again.keys).await?;
    }
    let warnings = if plan.new + plan.updated > 0 { plan.warnings.len() } else { 0 };
    Ok(Admitted { batch: batch.id, conflicts, warnings })
}

/// What was read the second time must be what was judged: a row that was not there then, or could not be read, would be left out
/// without a word, and be taken for one that the user took out.
fn must_be_whole(manifest: &Path, judged: &Plan, again: &Plan) -> Result<(), Failure> {
    if again.problem_count > 0 {
        return Err(check::rejection(manifest, again));
    }
    if again.rows == judged.rows {
        return Ok(());
    }
    let words = format!(
        "{} changed while it was read: it had {} rows, and then {}; nothing was submitted",
        manifest.display(),
        judged.rows,
        again.rows
    );
    Err(Failure::new(Exit::Rejected, words).hint("run the same command again once the manifest is whole"))
}

/// Does what a survey says. While some rows are admitted, the next ones are read.
async fn take_in(opened: &Opened, survey: &mut Survey, batch: BatchId, changed: Again) -> Result<(), Failure> {
    let mut admitting = FuturesOrdered::new();
    loop {
        let steps = {
            let mut reading = pin!(several(survey));
            loop {
                tokio::select! {
                    steps = &mut reading => break steps?,
                    Some(admitted) = admitting.next() => drop::<u64>(admitted?),
                }
            }
        };
        if steps.is_empty() {
            break;
        }
        let added = take(opened, steps, changed).await?;
        while admitting.len() >= ADMISSIONS
            && let Some(admitted) = admitting.next().await
        {
            admitted?;
        }
        if !added.is_empty() {
            admitting.push_back(opened.store.admit(batch, added, opened.clock.now()));
        }
    }
    while let Some(admitted) = admitting.next().await {
        admitted?;
    }
    Ok(())
}

/// What is to be done with the next rows, of as many as are admitted at once; nothing at the end.
async fn several(survey: &mut Survey) -> Result<Vec<Step>, SurveyError> {
    let mut several = Vec::new();
    while several.len() < AT_ONCE
        && let Some(steps) = survey.next().await?
    {
        several.extend(steps);
    }
    Ok(several)
}

/// What a survey of this manifest is made of.
pub(super) fn ask(
    store: Option<Arc<dyn Store>>,
    settings: &Settings,
    senders: Senders,
    manifest: &Path,
    name: BatchName,
    batch: Option<Batch>,
) -> Result<Ask, Failure> {
    // A batch keeps its output tree unless another is named.
    let out = match &batch {
        Some(batch) if !settings.out_named => batch.out.clone(),
        Some(_) | None => wiring::tree(&settings.out)?,
    };
    Ok(Ask {
        manifest: wiring::absolute(manifest)?,
        store,
        name,
        batch,
        out,
        template: settings.name.clone(),
        senders,
        remember: Remember::Nothing,
        judge: Judge::Rows,
    })
}

/// Reads a manifest through without acting on it.
pub(super) async fn survey(ask: Ask) -> Result<Plan, Failure> {
    let mut survey = Survey::begin(ask)?;
    while survey.next().await?.is_some() {}
    Ok(survey.finish().await?)
}

/// Does what is to be done with rows that the ledger has, and gives back those that it has not.
async fn take(opened: &Opened, steps: Vec<Step>, changed: Again) -> Result<Vec<NewJob>, Failure> {
    let mut added = Vec::new();
    for step in steps {
        let (job, event) = match step {
            Step::Add(job) => {
                added.push(job);
                continue;
            }
            Step::Change { paid: Paid::Perhaps, .. } if changed == Again::Left => continue,
            Step::Change { job, effect, content, .. } => (job, JobEvent::Changed { effect: Box::new(effect), content }),
            Step::Move { job, output } => (job, JobEvent::Moved { output }),
            Step::Route { job, account } => (job, JobEvent::Routed { account }),
        };
        let Some(job) = opened.store.job(job).await? else { continue };
        // One that runs is left alone until it has ended.
        if job.admits(&event, opened.clock.now()) {
            opened.ledger.record(&job, event).await?;
        }
    }
    Ok(added)
}

/// Planned rows that the manifest has no more are not sent any more either. One that was paid for before (and failed, and
/// was to be tried again) stays, as failed.
async fn withdraw(opened: &Opened, batch: BatchId, keys: &HashSet<RowKey>) -> Result<(), Failure> {
    let filter = Filter { batch: Some(batch), states: vec![StateCode::Planned], named: None };
    let mut pages = Pages::of(opened.store.as_ref(), filter, PAGE);
    while let Some(planned) = pages.next().await? {
        let gone: Vec<Job> = planned.into_iter().filter(|job| !keys.contains(&job.key)).collect();
        let (unpaid, paid): (Vec<Job>, Vec<Job>) = gone.into_iter().partition(|job| job.submissions == 0);
        for job in paid {
            let words = "its row is no longer in the manifest".to_owned();
            opened.ledger.record(&job, JobEvent::Refused { cause: FailureCause::Input { words } }).await?;
        }
        let unpaid: Vec<JobId> = unpaid.iter().map(|job| job.id).collect();
        if !unpaid.is_empty() {
            opened.store.withdraw(batch, unpaid).await?;
        }
    }
    Ok(())
}
