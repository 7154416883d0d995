//! `nightreel rescue`: paid tasks that no row of the ledger knows are shown, adopted by the rows that they belong to, or
//! fetched. Pays for nothing: what is adopted is watched and collected by the next run.

mod fetch;
mod strays;

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use comfy_table::{Table, presets};
use jiff::SignedDuration;
use serde::Serialize;

use crate::config::{Settings, parse_span};
use crate::domain::Progress;
use crate::gateway::{Preset, Told};
use crate::pipeline::LaneSettings;
use crate::store::Store;
use crate::store::sqlite::SqliteStore;

use super::super::args::{self, Global};
use super::super::exit::Exit;
use super::super::failure::Failure;
use super::super::terminal;
use super::super::wiring::{self, Opened};
use super::admit::{self, Again};
use strays::{Claim, Stray};

/// Tasks that are asked for at a time.
const PAGE: u32 = 100;
/// Pages of one account that are asked for at the most.
const PAGES: u32 = 200;
/// How often a page is asked for before it is given up.
const TRIES: u32 = 3;
/// Between two questions to one account: it is in no hurry, and the runs of others are.
const BETWEEN: Duration = Duration::from_secs(1);

/// What became of a task that no row knew.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(tag = "fate", rename_all = "snake_case")]
enum Fate {
    /// Nothing was done.
    Left,
    /// Its row has it now.
    Adopted,
    /// Its video lies there, within the folder that was named.
    Downloaded { file: String },
    /// Its video could not be fetched.
    NotFetched { words: String },
}

/// An account that did not tell all of its tasks.
#[derive(Debug, Clone, Serialize)]
struct Gap {
    account: String,
    words: String,
    #[serde(skip)]
    exit: Exit,
}

/// What is told of one task.
#[derive(Debug, Serialize)]
struct Line {
    account: String,
    task_id: String,
    external_task_id: Option<String>,
    status: &'static str,
    made_at: Option<String>,
    units: Option<String>,
    batch: Option<String>,
    /// The row that it belongs to, as far as its reference tells.
    row: Option<String>,
    /// Why that row cannot take it over, where it cannot.
    why_not: Option<&'static str>,
    #[serde(flatten)]
    fate: Fate,
}

/// What is told in the end.
#[derive(Debug, Serialize)]
struct Report {
    tasks: Vec<Line>,
    not_asked: Vec<Gap>,
    adopted: usize,
    downloaded: usize,
    /// Tasks that may hold a video, and that nobody has.
    left: usize,
    exit_code: u8,
}

pub(in crate::cli) async fn rescue(args: &args::Rescue, global: &Global, settings: &Settings) -> Result<Exit, Failure> {
    let since = span("--since", &args.since)?;
    let opened = open(args, settings).await?;
    let remotes = wiring::remotes(settings, &opened).await?;
    if args.adopt {
        for lane in &remotes.lanes {
            // So that the next run or collect knows where to ask for what is adopted.
            opened.store.open_account(lane.account.clone()).await?;
        }
    }
    if let Some(manifest) = &args.manifest {
        plan(&opened, settings, args.batch.as_deref(), manifest).await?;
    }
    let unusable = remotes.unusable.iter();
    let mut gaps: Vec<Gap> = unusable
        .map(|(account, pause)| Gap { account: account.to_string(), words: pause.to_string(), exit: Exit::Paused })
        .collect();
    let mut strays = Vec::new();
    for lane in &remotes.lanes {
        let (found, gap) = listed(lane, &opened, since).await;
        strays.extend(found);
        gaps.extend(gap);
    }
    let mut strays = strays::unknown(opened.store.as_ref(), strays).await?;
    if args.adopt {
        adopt(&opened, &mut strays).await?;
    }
    if let Some(folder) = &args.download {
        let sink = wiring::sink(settings, &wiring::tree(folder)?)?;
        let downloader = wiring::downloader(&opened, settings, &remotes)?;
        fetch::fetch(&remotes.lanes, sink.as_ref(), (&opened.clock, &downloader), &mut strays).await?;
    }
    remotes.shutdown().await;
    let report = report(strays, gaps);
    let exit = report.1;
    if global.json {
        terminal::json(&report.0);
    } else if !global.quiet || exit != Exit::Done {
        terminal::tell(&text(&report.0, args));
    }
    Ok(exit)
}

/// The ledger: to work on it where rows are to take tasks over, else to read it. Where it was lost, every task is unknown.
async fn open(args: &args::Rescue, settings: &Settings) -> Result<Opened, Failure> {
    if args.manifest.is_some() {
        return wiring::open(settings).await;
    }
    if args.adopt && wiring::is_there(settings).await? {
        return wiring::open(settings).await;
    }
    if args.adopt {
        // Not the advice that is given elsewhere: a run would send, and pay for, what was paid for already.
        let words = format!("{}: there is no ledger whose rows could adopt tasks", settings.state.display());
        return Err(Failure::new(Exit::Usage, words)
            .hint("where it was lost, plan its rows first: nightreel rescue --adopt --manifest MANIFEST")
            .hint("`--state PATH` names another ledger"));
    }
    let store = match wiring::open_to_read(settings).await? {
        Some(store) => store,
        None => Arc::new(SqliteStore::open_in_memory()?) as Arc<dyn Store>,
    };
    Ok(Opened::to_read(store))
}

/// Plans the rows of a manifest, as a run would before it sends any.
async fn plan(opened: &Opened, settings: &Settings, given: Option<&str>, manifest: &Path) -> Result<(), Failure> {
    let name = wiring::batch_name(given, manifest)?;
    let batch = wiring::batch_of(opened.store.as_ref(), &name, given, manifest).await?;
    admit::admit(opened, settings, manifest, name, batch, Again::Left, Again::Left).await.map(drop)
}

/// The tasks that an account tells of, no older than `since`; and what it did not tell.
async fn listed(lane: &LaneSettings, opened: &Opened, since: SignedDuration) -> (Vec<Stray>, Option<Gap>) {
    let oldest = opened.clock.now().saturating_sub(since).ok();
    let gap = |words: String, exit| Some(Gap { account: lane.account.name.to_string(), words, exit });
    let mut seen = std::collections::HashSet::new();
    let mut found = Vec::new();
    let mut page = 1;
    let mut tries = 0;
    loop {
        match lane.gateway.recent(page, PAGE).await {
            Told::Answer(tasks) => {
                let before = seen.len();
                for task in tasks {
                    // Tasks move from page to page while others are made.
                    let is_new = seen.insert(task.task.clone());
                    let is_young = task.created_at.is_none_or(|made| oldest.is_none_or(|oldest| made >= oldest));
                    if is_new && is_young {
                        found.push(Stray::new(lane.account.name.clone(), task));
                    }
                }
                // A page may be short because a record in it could not be read: the end is where nothing new comes.
                if seen.len() == before {
                    return (found, None);
                }
                if page >= PAGES {
                    let words = format!("it has more tasks than the {} that were looked at", PAGE * PAGES);
                    return (found, gap(words, Exit::Held));
                }
                (page, tries) = (page + 1, 0);
            }
            Told::Unclear { words } => {
                tries += 1;
                if tries >= TRIES {
                    return (found, gap(format!("it did not tell all of its tasks: {words}"), Exit::Held));
                }
            }
            Told::Paused(pause) => return (found, gap(format!("it did not tell its tasks: {pause}"), Exit::Paused)),
            Told::NotOffered => return (found, gap(instead(&lane.account.gateway).to_owned(), Exit::Done)),
        }
        opened.clock.sleep(BETWEEN).await;
    }
}

/// What to do about a gateway that cannot be asked for its tasks.
fn instead(gateway: &str) -> &'static str {
    match gateway.parse() {
        Ok(Preset::CometApi) => {
            "it tells its tasks only to an account token: set NIGHTREEL_ACCOUNT_TOKEN, or account_token_file"
        }
        Ok(Preset::Kling | Preset::KlingCompatible | Preset::Kkiai | Preset::Simulator) => {
            "it is not known to list its tasks (capabilities.list = true, where it does): look at its own pages for the \
             task, then nightreel resolve ROW --made TASK_ID"
        }
        Ok(Preset::Fal | Preset::WaveSpeed) | Err(_) => {
            "it cannot list its tasks: look at its own pages for the task, then nightreel resolve ROW --made TASK_ID"
        }
    }
}

/// Has each row adopt its task.
async fn adopt(opened: &Opened, strays: &mut [Stray]) -> Result<(), Failure> {
    for stray in strays {
        if let Some(Claim { job, event: Ok(event), .. }) = &stray.claim {
            opened.ledger.record(job, event.clone()).await?;
            stray.fate = Fate::Adopted;
        }
    }
    Ok(())
}

fn report(strays: Vec<Stray>, not_asked: Vec<Gap>) -> (Report, Exit) {
    let count = |is: fn(&Stray) -> bool| strays.iter().filter(|stray| is(stray)).count();
    let adopted = count(|stray| stray.fate == Fate::Adopted);
    let downloaded = count(|stray| matches!(stray.fate, Fate::Downloaded { .. }));
    let left = count(Stray::is_left);
    let exit = match not_asked.iter().map(|gap| gap.exit).find(|exit| *exit != Exit::Done) {
        Some(exit) => exit,
        // Whoever goes on must know that not everything was looked at.
        None if !not_asked.is_empty() => Exit::Held,
        None if left > 0 => Exit::Held,
        None => Exit::Done,
    };
    let tasks = strays.into_iter().map(line).collect();
    (Report { tasks, not_asked, adopted, downloaded, left, exit_code: exit.number() }, exit)
}

fn line(stray: Stray) -> Line {
    let Stray { account, seen, claim, fate } = stray;
    let status = match &seen.progress {
        Progress::Pending { .. } => "not ended",
        Progress::Succeeded { .. } => "made",
        Progress::Failed { .. } => "failed",
    };
    let why_not = claim.as_ref().and_then(|claim| claim.event.as_ref().err().copied());
    let (batch, row) = claim.map(|claim| (claim.batch.to_string(), claim.job.label)).unzip();
    Line {
        account: account.to_string(),
        task_id: seen.task.to_string(),
        external_task_id: seen.client_ref.map(String::from),
        status,
        made_at: seen.created_at.map(|at| format!("{at:.0}")),
        units: seen.units,
        batch,
        row,
        why_not,
        fate,
    }
}

/// For people.
fn text(report: &Report, args: &args::Rescue) -> String {
    let mut text = String::new();
    if !report.tasks.is_empty() {
        let mut table = Table::new();
        let header = ["account", "task", "external id", "status", "made at", "row", ""];
        table.load_style(presets::NOTHING).set_header(header);
        for line in &report.tasks {
            let row = line.row.as_ref().zip(line.batch.as_ref()).map(|(row, batch)| format!("{row} of {batch}"));
            let what = match &line.fate {
                Fate::Left => line.why_not.unwrap_or_default().to_owned(),
                Fate::Adopted => "adopted".to_owned(),
                Fate::Downloaded { file } => file.clone(),
                Fate::NotFetched { words } => format!("not fetched: {words}"),
            };
            table.add_row([
                line.account.clone(),
                line.task_id.clone(),
                line.external_task_id.clone().unwrap_or_default(),
                line.status.to_owned(),
                line.made_at.clone().unwrap_or_default(),
                row.unwrap_or_default(),
                what,
            ]);
        }
        text.push_str(&format!("{table}\n"));
    }
    let unknown = report.tasks.len();
    let words = if unknown == 1 { "1 task".to_owned() } else { format!("{unknown} tasks") };
    text.push_str(&format!(
        "{words} that no row knew: {} adopted, {} fetched, {} left",
        report.adopted, report.downloaded, report.left
    ));
    let failed = report.tasks.iter().filter(|line| line.status == "failed" && line.fate == Fate::Left).count();
    text.push_str(&if failed > 0 { format!(", {failed} failed\n") } else { "\n".to_owned() });
    for Gap { account, words, .. } in &report.not_asked {
        text.push_str(&format!("{account}: {words}\n"));
    }
    let left = |is_owned: bool| {
        let takes = |line: &&Line| line.row.is_some() && line.why_not.is_none();
        report.tasks.iter().any(|line| line.fate == Fate::Left && line.status != "failed" && takes(&line) == is_owned)
    };
    let mut next = Vec::new();
    if report.adopted > 0 {
        next.push("nightreel collect   (fetches what was adopted; pays for nothing)");
    }
    if left(true) && !args.adopt {
        next.push("nightreel rescue --adopt   (rows adopt their tasks)");
    }
    let is_ours = |line: &Line| line.external_task_id.as_ref().is_some_and(|id| id.starts_with("nr-"));
    if args.manifest.is_none() && report.tasks.iter().any(|line| line.row.is_none() && is_ours(line)) {
        next.push("nightreel rescue --adopt --manifest MANIFEST   (where a ledger was lost, before anything is sent)");
    }
    if left(false) && args.download.is_none() {
        next.push("nightreel rescue --download DIR   (fetches what belongs to no row)");
    }
    if args.adopt && !report.not_asked.is_empty() {
        next.push("nightreel rescue --adopt again, before anything is sent: not every task was looked at");
    }
    if !next.is_empty() {
        text.push_str("next:\n");
        text.extend(next.iter().map(|next| format!("  {next}\n")));
    }
    text
}

/// A span of time, in days too.
pub(super) fn span(flag: &str, text: &str) -> Result<SignedDuration, Failure> {
    let days = text.trim().strip_suffix('d').and_then(|days| days.trim().parse::<u16>().ok());
    let span = days.map(|days| Duration::from_hours(24 * u64::from(days))).or_else(|| parse_span(text));
    span.and_then(|span| SignedDuration::try_from(span).ok()).ok_or_else(|| {
        let words = format!("{flag}: {text:?} is not valid: a span such as 30d or 12h");
        Failure::new(Exit::Usage, words)
    })
}
