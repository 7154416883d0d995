//! The closing summary: what was made, what failed and why, what is in doubt, what may have been paid, what to type next.

use std::collections::BTreeMap;

use comfy_table::{CellAlignment, Table, presets};
use jiff::Timestamp;
use serde::Serialize;

use crate::domain::{BatchId, FailureCause, Job, Price, State, StateCode, Tally};
use crate::gateway::advice_on;
use crate::store::{Filter, Group, Pages, RunEnd, Spent, Store, StoreError};

use super::ends::Ending;
use super::results::cause;

/// Rows that are named for each cause.
const NAMED: usize = 5;
/// Rows in trouble that are shown, unless all are asked for.
const SHOWN: usize = 20;
/// Scenes that are shown.
const SCENES: usize = 12;
const PAGE: usize = 1000;
/// Rows that have not ended and are looked through for such as are in doubt, of each account.
const OPEN: usize = 5000;

/// Rows that failed for one cause.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Failures {
    /// Why.
    pub cause: String,
    /// How many.
    pub rows: u64,
    /// The first of them, by name.
    pub named: Vec<String>,
    /// What can be done about it, where the remote's code is known.
    pub hint: Option<&'static str>,
}

/// A row that needs a person.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Trouble {
    /// Its name.
    pub id: String,
    /// Held, stuck or in doubt.
    pub state: StateCode,
    /// Why.
    pub cause: String,
    /// Its scene.
    pub scene: String,
    /// When its request was sent.
    pub submitted: String,
    /// What was sent as `external_task_id`.
    pub external_task_id: String,
    /// What the remote calls it, where that is known.
    pub task_id: Option<String>,
}

/// Tasks of an account that is not at work.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Elsewhere {
    /// Its name.
    pub account: String,
    /// How many.
    pub tasks: u64,
    /// The flags that lead to it.
    pub reach: String,
}

/// How a scene's rows stand.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct SceneTally {
    /// Its name.
    pub scene: String,
    /// The counts.
    #[serde(flatten)]
    pub tally: Tally,
}

/// How many rows, in words.
#[must_use]
pub fn rows(count: u64) -> String {
    if count == 1 { "1 row".to_owned() } else { format!("{count} rows") }
}

/// How many batches, in words.
#[must_use]
pub fn batches(count: u64) -> String {
    if count == 1 { "1 batch".to_owned() } else { format!("{count} batches") }
}

/// How things stand.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct Summary {
    /// The counts.
    #[serde(flatten)]
    pub tally: Tally,
    /// The counts of each scene, the one of most rows first.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub scenes: Vec<SceneTally>,
    /// What failed, by cause, the most frequent first.
    pub failures: Vec<Failures>,
    /// How many rows are in doubt and still looked for by nightreel itself.
    pub in_doubt: u64,
    /// Rows that are held, stuck or in doubt; the first twenty, unless all were asked for.
    pub troubles: Vec<Trouble>,
    /// Tasks that belong to other accounts than those that were at work.
    pub elsewhere: Vec<Elsewhere>,
    /// What may have been paid, by account and currency.
    pub spent: Vec<Spent>,
    /// What failed tasks would have cost: most remotes charge nothing for them, which no remote promises for effects.
    pub perhaps_refunded: Vec<Price>,
    /// Videos that were paid, were not collected, and are soon thrown away at the remote; the most urgent account first.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub ending: Vec<Ending>,
    /// How the last run ended.
    pub last_run: Option<RunEnd>,
    /// What the run learned that is worth a line.
    pub notes: Vec<String>,
    /// What to type next.
    pub next: Vec<String>,
}

impl Trouble {
    /// What there is to say of a job that is held, stuck or in doubt.
    #[must_use]
    pub fn of(job: Job) -> Self {
        let sent = job.attempt.as_ref();
        Self {
            cause: cause(&job),
            state: job.state.code(),
            scene: job.effect.scene.clone(),
            submitted: sent.map_or_else(String::new, |sent| format!("{:.0}", sent.started_at)),
            external_task_id: sent.map_or_else(String::new, |sent| sent.client_ref.to_string()),
            task_id: job.task().map(ToString::to_string),
            id: job.label,
        }
    }
}

/// How many rows in trouble are shown.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Show {
    /// The first twenty.
    First,
    /// All.
    All,
}

/// The counts of each scene, the one of most rows first.
fn scenes(groups: Vec<Group>) -> Vec<SceneTally> {
    let mut counted: BTreeMap<String, Tally> = BTreeMap::new();
    for group in groups {
        counted.entry(group.scene).or_default().add(group.state, group.jobs, group.submissions);
    }
    let mut scenes: Vec<_> = counted.into_iter().map(|(scene, tally)| SceneTally { scene, tally }).collect();
    scenes.sort_by_key(|scene| std::cmp::Reverse(scene.tally.rows));
    scenes
}

/// What is counted of a scene.
type Count = fn(&Tally) -> u64;

/// How scenes stand, without what is true of no row.
fn table(scenes: &[SceneTally]) -> String {
    let columns: [(&str, Count); 6] = [
        ("rows", |tally| tally.rows),
        ("done", |tally| tally.done),
        ("open", Tally::open),
        ("failed", |tally| tally.failed),
        ("held", |tally| tally.held),
        ("stuck", |tally| tally.stuck),
    ];
    let some =
        |(name, of): &(&str, Count)| ["rows", "done"].contains(name) || scenes.iter().any(|scene| of(&scene.tally) > 0);
    let columns: Vec<_> = columns.into_iter().filter(some).collect();
    let mut table = Table::new();
    table
        .load_style(presets::NOTHING)
        .set_header(std::iter::once("scene").chain(columns.iter().map(|(name, _)| *name)));
    for scene in scenes.iter().take(SCENES) {
        let counts = columns.iter().map(|(_, of)| of(&scene.tally).to_string());
        table.add_row(std::iter::once(scene.scene.clone()).chain(counts));
    }
    table.column_iter_mut().skip(1).for_each(|column| column.set_cell_alignment(CellAlignment::Right));
    let more = match scenes.len().saturating_sub(SCENES) {
        0 => String::new(),
        1 => "… and 1 more scene: nightreel status --json\n".to_owned(),
        more => format!("… and {more} more scenes: nightreel status --json\n"),
    };
    format!("{table}\n{more}\n")
}

/// A cause as others share it: without what the remote calls this one request.
pub(super) fn plain(cause: &FailureCause) -> String {
    let words = cause.to_string();
    words.split_once(" (request id: ").map_or(words.clone(), |(shared, _)| shared.to_owned())
}

impl Summary {
    /// Gathers how things stand, in one batch or in all.
    pub async fn gather(store: &dyn Store, batch: Option<BatchId>, show: Show) -> Result<Self, StoreError> {
        let (tally, spent) = (store.tally(batch).await?, store.spent(batch).await?);
        let last_run = store.last_run(batch).await?;
        let scenes = scenes(store.groups(batch).await?);
        let mut summary = Self { tally, spent, last_run, scenes, ..Self::default() };
        if summary.tally.submitting > 0 {
            summary.gather_doubts(store, batch, show).await?;
        }
        let mut refunded: Vec<Price> = Vec::new();
        let mut failures: BTreeMap<String, Failures> = BTreeMap::new();
        if summary.tally.failed + summary.tally.held + summary.tally.stuck == 0 {
            return Ok(summary);
        }
        let states = vec![StateCode::Failed, StateCode::Held, StateCode::Stuck];
        let mut pages = Pages::of(store, Filter { batch, states, named: None }, PAGE);
        while let Some(jobs) = pages.next().await? {
            for job in jobs {
                if let State::Failed { cause } = &job.state {
                    let price = job.attempt.as_ref().and_then(|attempt| attempt.price.as_ref());
                    if let (FailureCause::TaskFailed { .. }, Some(price)) = (cause, price) {
                        price.add_to(&mut refunded);
                    }
                    let shared = plain(cause);
                    let failure = failures.entry(shared.clone()).or_insert_with(|| Failures {
                        cause: shared,
                        rows: 0,
                        named: Vec::new(),
                        hint: advice_on(cause.code(), &cause.to_string()).map(|advice| advice.hint),
                    });
                    failure.rows += 1;
                    if failure.named.len() < NAMED {
                        failure.named.push(job.label.clone());
                    }
                } else if show == Show::All || summary.troubles.len() < SHOWN {
                    summary.troubles.push(Trouble::of(job));
                }
            }
        }
        summary.failures = failures.into_values().collect();
        summary.perhaps_refunded = refunded;
        summary.failures.sort_by_key(|failures| std::cmp::Reverse(failures.rows));
        Ok(summary)
    }

    /// Rows in doubt: nightreel itself still looks for them.
    async fn gather_doubts(&mut self, store: &dyn Store, batch: Option<BatchId>, show: Show) -> Result<(), StoreError> {
        for account in store.accounts().await? {
            let open = store.open_before(account.name, Timestamp::MAX, OPEN).await?;
            let doubts = open.into_iter().filter(|job| batch.is_none_or(|batch| job.batch == batch));
            for job in doubts.filter(|job| job.state.code() == StateCode::InDoubt) {
                self.in_doubt += 1;
                if show == Show::All || self.troubles.len() < SHOWN {
                    self.troubles.push(Trouble::of(job));
                }
            }
        }
        Ok(())
    }

    /// For people.
    #[must_use]
    pub fn text(&self) -> String {
        let mut text = if self.scenes.len() > 1 { table(&self.scenes) } else { String::new() };
        let tally = &self.tally;
        let counts = [
            ("done", tally.done),
            ("planned", tally.planned),
            ("submitting or in doubt", tally.submitting),
            ("waiting at the remote", tally.waiting),
            ("ready to collect", tally.ready),
            ("failed", tally.failed),
            ("held", tally.held),
            ("stuck", tally.stuck),
        ];
        let mut line = |words: String| {
            text.push_str(&words);
            text.push('\n');
        };
        line(format!("{:>8} rows", tally.rows));
        for (word, count) in counts.into_iter().filter(|(word, count)| *count > 0 || *word == "done") {
            line(format!("{count:>8} {word}"));
        }
        line(format!("{:>8} requests that may have been paid{}", tally.submissions, self.paid()));
        for failures in &self.failures {
            let more = failures.rows - failures.named.len() as u64;
            let more = if more > 0 { format!(" and {more} more") } else { String::new() };
            line(format!("failed, {}: {}\n  {}{more}", rows(failures.rows), failures.cause, failures.named.join(", ")));
            if let Some(hint) = failures.hint {
                line(format!("  do: {hint}"));
            }
        }
        for trouble in &self.troubles {
            line(format!("{}: {} ({}): {}", trouble.state.word(), trouble.id, trouble.scene, trouble.cause));
            let task = trouble.task_id.as_ref().map_or_else(String::new, |task| format!(", task {task}"));
            line(format!("  sent {} as {}{task}", trouble.submitted, trouble.external_task_id));
        }
        let hidden = (tally.held + tally.stuck + self.in_doubt).saturating_sub(self.troubles.len() as u64);
        if hidden > 0 {
            line(format!("… and {hidden} more rows that are held, stuck or in doubt: nightreel status --all"));
        }
        for Elsewhere { account, tasks, reach } in &self.elsewhere {
            line(format!("{} at account {account}, which is not at work: nightreel collect {reach}", rows(*tasks)));
        }
        for line_of in self.ending.iter().flat_map(Ending::lines) {
            line(line_of);
        }
        for note in &self.notes {
            line(note.clone());
        }
        if !self.next.is_empty() {
            line("next:".to_owned());
            for next in &self.next {
                line(format!("  {next}"));
            }
        }
        text
    }

    /// What was paid, in words that follow the number of requests.
    fn paid(&self) -> String {
        let sums = Price::sums(self.spent.iter().filter_map(|spent| spent.price.as_ref()));
        let unpriced: u64 = self.spent.iter().filter(|spent| spent.price.is_none()).map(|spent| spent.requests).sum();
        let mut words: Vec<String> = sums.into_iter().map(|sum| format!("about {sum}")).collect();
        if unpriced > 0 {
            words.push(format!("{unpriced} at an unknown price"));
        }
        let refunded: Vec<String> = self.perhaps_refunded.iter().map(ToString::to_string).collect();
        if !refunded.is_empty() {
            words.push(format!("of which {} for failed tasks, perhaps refunded", refunded.join(" and ")));
        }
        if words.is_empty() { String::new() } else { format!(": {}", words.join(", ")) }
    }

    /// One line, for mails and logs.
    #[must_use]
    pub fn line(&self) -> String {
        let tally = &self.tally;
        let mut text = format!("{} of {} rows done", tally.done, tally.rows);
        for (word, count) in
            [("failed", tally.failed), ("held", tally.held), ("stuck", tally.stuck), ("open", tally.open())]
        {
            if count > 0 {
                text.push_str(&format!(", {count} {word}"));
            }
        }
        text
    }
}
