//! The receipt: what each request was thought to cost and what it did cost, one line a request, with the ids that a refund
//! is claimed by; and the sums of them.

use std::collections::{BTreeMap, HashMap};
use std::io::Write;

use futures::StreamExt;
use jiff::Timestamp;
use serde::Serialize;

use crate::domain::{AccountName, BatchId, Currency, Job, Money, Price, TaskId, Units};
use crate::store::{Filter, Pages, Recorded, Store, StoreError};

use super::requests::{Outcome, Request, requests};
use super::results::ReportError;

/// The columns, in order.
const COLUMNS: [&str; 18] = [
    "batch",
    "id",
    "scene",
    "account",
    "attempt",
    "request_id",
    "task_id",
    "external_task_id",
    "sent",
    "finished",
    "took_s",
    "state",
    "estimate",
    "currency",
    "units",
    "actual",
    "verdict",
    "cause",
];
/// Jobs that are held at a time.
const PAGE: usize = 1000;
/// Histories that are asked for at the same time: the ledger answers them in one go.
const AT_ONCE: usize = 32;

/// What a request came to, for whoever pays.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Fate {
    /// Made, and in the output tree.
    Made,
    /// Made, and not in the output tree.
    NotCollected,
    /// At the remote, not ended as far as is known.
    Waiting,
    /// Failed, and charged nothing as far as is known.
    Failed,
    /// Failed, and charged all the same.
    FailedButCharged,
    /// Nobody knows whether it made a task.
    InDoubt,
    /// The remote did not show it, and the same reference was sent again; probably not charged.
    SentAgain,
    /// Refused, or settled as not made.
    NotCharged,
}

impl Fate {
    /// The word in the receipt.
    #[must_use]
    pub const fn word(self) -> &'static str {
        match self {
            Self::Made => "made",
            Self::NotCollected => "made, not collected",
            Self::Waiting => "waiting",
            Self::Failed => "failed",
            Self::FailedButCharged => "failed but charged",
            Self::InDoubt => "in doubt",
            Self::SentAgain => "sent again",
            Self::NotCharged => "not charged",
        }
    }

    /// Whether it may have been paid.
    const fn counts(self) -> bool {
        !matches!(self, Self::SentAgain | Self::NotCharged)
    }

    fn of(outcome: &Outcome, units: Option<Units>) -> Self {
        match outcome {
            Outcome::Sent | Outcome::InDoubt { .. } => Self::InDoubt,
            Outcome::SentAgain => Self::SentAgain,
            Outcome::NotMade { .. } => Self::NotCharged,
            Outcome::Waiting { .. } => Self::Waiting,
            Outcome::Failed { .. } if units.is_some_and(|units| units > Units::ZERO) => Self::FailedButCharged,
            Outcome::Failed { .. } => Self::Failed,
            Outcome::Made { .. } => Self::NotCollected,
            Outcome::Collected => Self::Made,
        }
    }
}

/// What a receipt is for, and by which prices.
#[derive(Debug, Clone, Default)]
pub struct Terms {
    /// Only this batch.
    pub batch: Option<BatchId>,
    /// Only these accounts; empty for all.
    pub accounts: Vec<AccountName>,
    /// What one of an account's units costs. What an account charged that is not here stays unknown.
    pub unit_prices: HashMap<AccountName, Price>,
    /// What the accounts themselves say that they charged, by task: it stands above what the tasks said.
    pub charges: Option<HashMap<(AccountName, TaskId), Units>>,
}

/// Sums over requests that may have been paid.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize)]
pub struct Costs {
    /// In what; `None` for requests whose price is not known.
    pub currency: Option<Currency>,
    /// How many requests.
    pub requests: u64,
    /// How many of them made a video.
    pub made: u64,
    /// How many of them failed.
    pub failed: u64,
    /// What they would probably cost.
    pub estimate: Money,
    /// What those cost of which that is known.
    pub actual: Money,
    /// Of how many requests it is not known.
    pub unknown: u64,
    /// What those whose cost is known cost more than was thought, or less: `+0.14`, `-0.28`.
    pub difference: String,
    /// What those whose cost is known were thought to cost.
    #[serde(skip)]
    settled: Money,
}

/// The requests of one scene.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct SceneCosts {
    /// The scene.
    pub scene: String,
    /// Its sums.
    #[serde(flatten)]
    pub costs: Costs,
}

/// A charge for a task that no row of the ledger knows.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct StrayCharge {
    /// Whose account.
    pub account: AccountName,
    /// For which task.
    pub task_id: TaskId,
    /// How much.
    pub units: Units,
    /// What that costs, where the price of a unit is known.
    pub actual: Option<Price>,
}

/// The sums of a receipt. Lists of sums have one for each currency.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize)]
pub struct Receipt {
    /// Requests that may have been paid.
    pub requests: u64,
    /// By scene.
    pub scenes: Vec<SceneCosts>,
    /// In all.
    pub total: Vec<Costs>,
    /// Those that failed and were charged.
    pub failed_but_charged: Vec<Costs>,
    /// Those that were made and are not in the output tree.
    pub made_not_collected: Vec<Costs>,
    /// Those of which nobody knows.
    pub in_doubt: Vec<Costs>,
    /// Charges of the accounts that belong to no row.
    pub stray_charges: Vec<StrayCharge>,
    /// When the first of the requests was sent.
    pub first_sent: Option<Timestamp>,
    /// What else is to be said.
    pub notes: Vec<String>,
}

impl Receipt {
    /// Writes one line a request to `into`, as CSV, and gives the sums.
    pub async fn write(store: &dyn Store, terms: Terms, into: impl Write) -> Result<Self, ReportError> {
        let Terms { batch, accounts, unit_prices, charges } = terms;
        let mut lines = csv::Writer::from_writer(into);
        lines.write_record(COLUMNS)?;
        // Charges belong to rows of any batch: which are for no row at all, only the whole ledger shows.
        let everywhere = charges.is_some();
        let mut drawing = Drawing { unit_prices, charges: charges.unwrap_or_default(), ..Drawing::default() };
        for known in store.batches().await? {
            let asked_for = batch.is_none_or(|wanted| wanted == known.id);
            if !asked_for && !everywhere {
                continue;
            }
            let mut pages = Pages::of(store, Filter { batch: Some(known.id), ..Filter::default() }, PAGE);
            while let Some(jobs) = pages.next().await? {
                let sent = jobs.into_iter().filter(|job| job.attempt.is_some());
                let mut histories = futures::stream::iter(sent)
                    .map(|job| async move {
                        let history = store.history(job.id).await?;
                        Ok::<(Job, Vec<Recorded>), StoreError>((job, history))
                    })
                    .buffered(AT_ONCE);
                while let Some(read) = histories.next().await {
                    let (job, history) = read?;
                    for request in requests(&history) {
                        let charged = drawing.charged(&request);
                        if asked_for && (accounts.is_empty() || accounts.contains(&request.account)) {
                            let line = drawing.line(known.name.as_str(), &job, &request, charged);
                            lines.write_record(line)?;
                        }
                    }
                }
            }
        }
        lines.flush()?;
        Ok(drawing.finish())
    }
}

/// Sums by scene and currency.
type Sums = BTreeMap<(String, Option<Currency>), Costs>;

/// A receipt as it is drawn up.
#[derive(Debug, Default)]
struct Drawing {
    unit_prices: HashMap<AccountName, Price>,
    /// Those that no row was found for yet.
    charges: HashMap<(AccountName, TaskId), Units>,
    scenes: Sums,
    total: Sums,
    failed_but_charged: Sums,
    made_not_collected: Sums,
    in_doubt: Sums,
    requests: u64,
    first_sent: Option<Timestamp>,
}

impl Drawing {
    /// What the account says that it charged for a request.
    fn charged(&mut self, request: &Request) -> Option<Units> {
        let task = request.task.clone()?;
        self.charges.remove(&(request.account.clone(), task))
    }

    /// Counts a request, and gives its line.
    fn line(&mut self, batch: &str, job: &Job, request: &Request, charged: Option<Units>) -> [String; COLUMNS.len()] {
        let told = || request.units.as_deref().and_then(|text| text.parse::<Units>().ok());
        let units = charged.or_else(told);
        let fate = Fate::of(&request.outcome, units);
        let unit_price = self.unit_prices.get(&request.account);
        let currency = request.price.as_ref().or(unit_price).map(|price| price.currency.clone());
        // An amount in another currency than the estimate is held against nothing.
        let unit_price = unit_price.filter(|price| currency.as_ref() == Some(&price.currency));
        let actual = units.zip(unit_price).map(|(units, price)| units * price.amount);
        if fate.counts() {
            self.count(&job.effect.scene, fate, currency.as_ref(), request, actual);
        }
        let units = charged.map(|units| units.to_string()).or_else(|| request.units.clone());
        let instant = |at: Option<Timestamp>| at.map_or_else(String::new, |at| format!("{at:.0}"));
        [
            batch.to_owned(),
            job.label.clone(),
            job.effect.scene.clone(),
            request.account.to_string(),
            request.number.to_string(),
            request.request_id.clone().unwrap_or_default(),
            request.task.as_ref().map(ToString::to_string).unwrap_or_default(),
            request.client_ref.to_string(),
            instant(Some(request.sent)),
            instant(request.ended),
            request.took_ms.map_or_else(String::new, |ms| format!("{}.{:03}", ms / 1000, ms % 1000)),
            job.state.code().word().to_owned(),
            request.price.as_ref().map(|price| price.amount.to_string()).unwrap_or_default(),
            currency.map(String::from).unwrap_or_default(),
            units.unwrap_or_default(),
            actual.map(String::from).unwrap_or_default(),
            fate.word().to_owned(),
            cause(&request.outcome).to_owned(),
        ]
    }

    fn count(
        &mut self,
        scene: &str,
        fate: Fate,
        currency: Option<&Currency>,
        request: &Request,
        actual: Option<Money>,
    ) {
        self.requests += 1;
        self.first_sent = Some(self.first_sent.map_or(request.sent, |first| first.min(request.sent)));
        let list = match fate {
            Fate::FailedButCharged => Some(&mut self.failed_but_charged),
            Fate::NotCollected => Some(&mut self.made_not_collected),
            Fate::InDoubt => Some(&mut self.in_doubt),
            Fate::Made | Fate::Waiting | Fate::Failed | Fate::SentAgain | Fate::NotCharged => None,
        };
        let estimate = request.price.as_ref().map_or(Money::ZERO, |price| price.amount);
        let sums = [Some((&mut self.scenes, scene)), Some((&mut self.total, "")), list.map(|list| (list, ""))];
        for (sums, name) in sums.into_iter().flatten() {
            let costs = sums.entry((name.to_owned(), currency.cloned())).or_default();
            costs.requests += 1;
            costs.made += u64::from(matches!(fate, Fate::Made | Fate::NotCollected));
            costs.failed += u64::from(matches!(fate, Fate::Failed | Fate::FailedButCharged));
            costs.estimate += estimate;
            match actual {
                Some(actual) => {
                    costs.actual += actual;
                    costs.settled += estimate;
                }
                None => costs.unknown += 1,
            }
        }
    }

    fn finish(self) -> Receipt {
        let settled = |sums: Sums| {
            sums.into_iter().map(|((scene, currency), costs)| {
                let difference = difference(costs.actual, costs.settled);
                SceneCosts { scene, costs: Costs { currency, difference, ..costs } }
            })
        };
        let plain = |sums: Sums| settled(sums).map(|scene| scene.costs).collect();
        let price_of = |account: &AccountName, units: Units| {
            let price = self.unit_prices.get(account)?;
            Some(Price { amount: units * price.amount, currency: price.currency.clone() })
        };
        let stray = self.charges.into_iter().map(|((account, task_id), units)| {
            let actual = price_of(&account, units);
            StrayCharge { account, task_id, units, actual }
        });
        let mut stray_charges: Vec<StrayCharge> = stray.collect();
        stray_charges.sort_by(|one, other| (&one.account, &one.task_id).cmp(&(&other.account, &other.task_id)));
        Receipt {
            requests: self.requests,
            scenes: settled(self.scenes).collect(),
            total: plain(self.total),
            failed_but_charged: plain(self.failed_but_charged),
            made_not_collected: plain(self.made_not_collected),
            in_doubt: plain(self.in_doubt),
            stray_charges,
            first_sent: self.first_sent,
            notes: Vec::new(),
        }
    }
}

/// By how much `actual` is more than `estimate`, or less.
fn difference(actual: Money, estimate: Money) -> String {
    if actual >= estimate { format!("+{}", actual - estimate) } else { format!("-{}", estimate - actual) }
}

fn cause(outcome: &Outcome) -> &str {
    match outcome {
        Outcome::Sent => "no answer is recorded",
        Outcome::SentAgain => "the remote did not show it",
        Outcome::InDoubt { words }
        | Outcome::NotMade { words }
        | Outcome::Waiting { words }
        | Outcome::Failed { words }
        | Outcome::Made { words } => words,
        Outcome::Collected => "",
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::{JobEvent, JobId};
    use crate::ledger::Ledger;
    use crate::pace::Clock;
    use crate::store::contract::{account, at, filled, started};
    use crate::store::sqlite::SqliteStore;
    use std::sync::Arc;

    fn price(amount: &str) -> Price {
        Price { amount: amount.parse().unwrap(), currency: Currency::default() }
    }

    fn task(name: &str) -> TaskId {
        TaskId::new(name).unwrap()
    }

    async fn happen(ledger: &Ledger, mut job: Job, events: Vec<JobEvent>) -> Job {
        for event in events {
            job = ledger.record(&job, event).await.unwrap();
        }
        job
    }

    /// Four rows: made and not collected, failed and then made, failed for money, in doubt; and one that was not sent.
    async fn store() -> Arc<dyn Store> {
        let store: Arc<dyn Store> = Arc::new(SqliteStore::open_in_memory().unwrap());
        filled(store.as_ref(), "m", 5).await;
        let ledger = Ledger::new(Arc::clone(&store), Clock::starting_at(at(100)));
        let jobs: [Job; 5] = store.jobs(Filter::default(), JobId(0), 5).await.unwrap().try_into().unwrap();
        let accepted = |name: &str| JobEvent::Accepted { task: task(name), request_id: Some("r".into()), handle: None };
        let made = |units: Option<&str>| JobEvent::Succeeded {
            link: "http://127.0.0.1/v".into(),
            took_ms: Some(2050),
            units: units.map(Into::into),
        };
        let failed = |units: &str| JobEvent::TaskFailed { words: "risk".into(), units: Some(units.into()) };
        let doubted = JobEvent::Doubted { doubt: crate::domain::Doubt::TimedOut, due_at: at(200) };
        let [one, two, three, four, _unsent] = jobs;
        happen(&ledger, one.clone(), vec![started(&one), accepted("t1"), made(Some("3.5"))]).await;
        let failed_once = vec![started(&two), accepted("t2"), failed("0"), JobEvent::RetryAsked];
        let two = happen(&ledger, two, failed_once).await;
        happen(&ledger, two.clone(), vec![started(&two), accepted("t3"), made(None)]).await;
        happen(&ledger, three.clone(), vec![started(&three), accepted("t4"), failed("2")]).await;
        happen(&ledger, four.clone(), vec![started(&four), doubted]).await;
        store
    }

    fn terms() -> Terms {
        Terms { unit_prices: HashMap::from([(account(), price("0.14"))]), ..Terms::default() }
    }

    fn fates(document: &[u8]) -> Vec<(String, String, String)> {
        let mut lines = csv::Reader::from_reader(document);
        lines
            .records()
            .map(|line| line.unwrap())
            .map(|line| (line[1].to_owned(), line[15].to_owned(), line[16].to_owned()))
            .collect()
    }

    fn says(rows: [(&str, &str, &str); 5]) -> Vec<(String, String, String)> {
        rows.map(|(id, actual, fate)| (id.to_owned(), actual.to_owned(), fate.to_owned())).to_vec()
    }

    #[tokio::test]
    async fn every_request_has_a_line_with_what_it_cost() {
        let store = store().await;
        let mut document = Vec::new();
        let receipt = Receipt::write(store.as_ref(), terms(), &mut document).await.unwrap();
        let wanted = [
            ("r0", "0.49", "made, not collected"),
            ("r1", "0.00", "failed"),
            ("r1", "", "made, not collected"),
            ("r2", "0.28", "failed but charged"),
            ("r3", "", "in doubt"),
        ];
        assert_eq!(fates(&document), says(wanted));
        let [total] = receipt.total.as_slice() else { panic!("{receipt:?}") };
        assert_eq!((total.requests, total.made, total.failed, total.unknown), (5, 2, 2, 2));
        // Of the three whose cost is known, 0.84 was expected.
        let sums = (total.estimate.to_string(), total.actual.to_string(), total.difference.as_str());
        assert_eq!(sums, ("1.40".into(), "0.77".into(), "-0.07"));
        assert_eq!(receipt.failed_but_charged[0].actual, "0.28".parse().unwrap());
        assert_eq!((receipt.made_not_collected[0].requests, receipt.in_doubt[0].requests), (2, 1));
        assert_eq!(receipt.first_sent.map(Timestamp::as_second), Some(100));
    }

    #[tokio::test]
    async fn what_the_account_says_stands_above_what_the_tasks_said() {
        let store = store().await;
        let charge = |name: &str, units: &str| ((account(), task(name)), units.parse::<Units>().unwrap());
        let charges = HashMap::from([charge("t2", "1"), charge("t3", "2"), charge("t9", "5")]);
        let mut document = Vec::new();
        let terms = Terms { charges: Some(charges), ..terms() };
        let receipt = Receipt::write(store.as_ref(), terms.clone(), &mut document).await.unwrap();
        let wanted = [
            ("r0", "0.49", "made, not collected"),
            ("r1", "0.14", "failed but charged"),
            ("r1", "0.28", "made, not collected"),
            ("r2", "0.28", "failed but charged"),
            ("r3", "", "in doubt"),
        ];
        assert_eq!(fates(&document), says(wanted));
        let [stray] = receipt.stray_charges.as_slice() else { panic!("{receipt:?}") };
        assert_eq!((stray.task_id.as_str(), stray.actual.clone()), ("t9", Some(price("0.70"))));
        // A charge for a row of another batch is no stray one.
        let other = Terms { batch: Some(BatchId(99)), ..terms };
        let receipt = Receipt::write(store.as_ref(), other, std::io::sink()).await.unwrap();
        assert_eq!((receipt.requests, receipt.stray_charges.len()), (0, 1));
    }
}
