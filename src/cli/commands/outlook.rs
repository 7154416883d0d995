//! What a run of a checked manifest would cost, how long it would take, and how far the budget goes: for people and for
//! programs. Asks the ledger what it knows, and nobody else.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use jiff::tz::TimeZone;
use jiff::{Timestamp, ZonedDateTime};
use serde::Serialize;

use crate::config::{AccountSettings, Settings};
use crate::domain::{AccountName, Currency, Money, Price, StateCode};
use crate::plan::{self, Bound, Cost, Load, Pace, Plan, USUAL_TASK};
use crate::simulator;
use crate::store::{Batch, Store, StoreError};

use super::super::spans::{hour, rounded, spoken};
use super::super::wiring::Known;

/// Ended tasks from which the usual time of one is taken.
const RECENT: usize = 256;

/// What a run would cost and take.
#[derive(Debug, Serialize)]
pub(super) struct Outlook<'a> {
    pub(super) estimate: Estimate<'a>,
    budget: Option<Budget>,
}

#[derive(Debug, Serialize)]
pub(super) struct Estimate<'a> {
    #[serde(flatten)]
    load: &'a Load,
    seconds: u64,
    done_at: Option<String>,
    accounts: Vec<Line>,
    #[serde(skip)]
    ends: Option<ZonedDateTime>,
}

/// How fast an account is.
#[derive(Debug, Serialize)]
struct Line {
    account: Option<AccountName>,
    gateway: Option<&'static str>,
    rate: String,
    in_flight: usize,
    pool: Option<String>,
    /// Where its local pictures are lent.
    images_via: Option<String>,
    task_seconds: f64,
    task_time: TaskTime,
    #[serde(skip)]
    is_default: bool,
}

/// What the time of a task is known from.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
enum TaskTime {
    /// The account's last tasks.
    Seen,
    /// The simulator's settings.
    Simulated,
    /// Nothing: it is a guess.
    Guessed,
}

#[derive(Debug, Serialize)]
struct Budget {
    #[serde(flatten)]
    most: Price,
    perhaps_paid: Money,
    /// For so many of the requests, more or less.
    enough_for: u64,
}

impl<'a> Outlook<'a> {
    /// What a run of `plan` would come to. `batch` is the manifest's, where `store` has it.
    pub(super) async fn of(
        plan: &'a Plan,
        settings: &Settings,
        known: &[Known<'_>],
        ledger: (Option<&dyn Store>, Option<&Batch>),
        budget: Option<Price>,
        now: Timestamp,
    ) -> Result<Self, StoreError> {
        let (store, batch) = ledger;
        let load = &plan.load;
        let (mut paces, mut accounts) = (Vec::new(), Vec::new());
        for account in known {
            let (task, task_time) = task_time(account, store).await?;
            let set = account.settings;
            paces.push(Pace {
                account: account.name.clone(),
                interval: set.rate.interval(),
                in_flight: set.in_flight,
                pool: set.pool.clone(),
                task,
            });
            accounts.push(Line {
                account: account.name.clone(),
                gateway: account.preset.map(crate::gateway::Preset::word),
                rate: set.rate.to_string(),
                in_flight: set.in_flight,
                pool: set.pool.clone(),
                images_via: set.lends.as_ref().map(|lends| lends.at.to_string()),
                task_seconds: task.as_secs_f64(),
                task_time,
                is_default: account.preset.is_none()
                    && set.rate == AccountSettings::RATE
                    && set.in_flight == AccountSettings::IN_FLIGHT,
            });
        }
        let canary = settings.caution.canary;
        let kept = store.zip(batch);
        let proven = match kept {
            Some((store, batch)) => proven(store, batch, canary).await?,
            None => BTreeSet::new(),
        };
        let takes = plan::expected(load, &paces, canary, &proven);
        let ends = (load.requests > 0).then(|| now.checked_add(takes).ok()).flatten();
        let ends = ends.map(|ends| ends.to_zoned_datetime(TimeZone::system()));
        let done_at = ends.as_ref().map(|ends| ends.strftime("%Y-%m-%dT%H:%M:%S%:z").to_string());
        let budget = match budget {
            Some(most) => {
                let typical = known.iter().map(|account| account.settings.prices.typical()).max().unwrap_or_default();
                let spent = match kept {
                    Some((store, batch)) => store.spent(Some(batch.id)).await?,
                    None => Vec::new(),
                };
                let paid = |spent: &crate::store::Spent| {
                    spent.price.as_ref().map_or(typical * spent.requests, |price| price.amount)
                };
                Some(Budget::over(most, spent.iter().map(paid).sum(), load))
            }
            None => None,
        };
        let estimate = Estimate { load, seconds: takes.as_secs(), done_at, accounts, ends };
        Ok(Self { estimate, budget })
    }

    /// For people.
    pub(super) fn text(&self, now: Timestamp) -> String {
        let mut text = self.estimate.text(now);
        if let Some(budget) = &self.budget {
            text.push_str(&budget.text(self.estimate.load.requests));
        }
        text
    }
}

/// How long a task of an account usually takes, and what that is known from.
async fn task_time(account: &Known<'_>, store: Option<&dyn Store>) -> Result<(Duration, TaskTime), StoreError> {
    if let (Some(store), Some(name)) = (store, &account.name)
        && let Some(usual) = plan::usual(store.recent_durations(name.clone(), RECENT).await?)
    {
        return Ok((usual, TaskTime::Seen));
    }
    if account.embedded {
        let (shortest, longest) = simulator::Settings::default().task_for;
        return Ok(((shortest + longest) / 2, TaskTime::Simulated));
    }
    Ok((USUAL_TASK, TaskTime::Guessed))
}

/// The scenes of which a batch has so many rows made that the rest waits for none.
async fn proven(store: &dyn Store, batch: &Batch, canary: u64) -> Result<BTreeSet<String>, StoreError> {
    let mut made: BTreeMap<String, u64> = BTreeMap::new();
    for group in store.groups(Some(batch.id)).await? {
        if matches!(group.state, StateCode::Ready | StateCode::Done) {
            *made.entry(group.scene).or_default() += group.jobs;
        }
    }
    Ok(made.into_iter().filter(|(_, made)| *made >= canary).map(|(scene, _)| scene).collect())
}

impl Estimate<'_> {
    fn text(&self, now: Timestamp) -> String {
        let load = self.load;
        let mut text = match load.requests {
            0 => "to send: nothing\n".to_owned(),
            1 => format!("to send: 1 request, {}\n", costs(load)),
            requests => format!("to send: {requests} requests, {}\n", costs(load)),
        };
        if load.requests > 0 {
            let until = self.ends.as_ref().map_or_else(String::new, |ends| format!("; done at {}", hour(ends, now)));
            let takes = spoken(rounded(Duration::from_secs(self.seconds)));
            text.push_str(&format!("         about {takes} {}{until}\n", self.paces()));
        }
        if load.requests > 0 {
            text.push_str(&self.lent());
        }
        match load.elsewhere {
            0 => {}
            1 => text.push_str("         1 row names an account that is not at work: not sent\n"),
            rows => text.push_str(&format!("         {rows} rows name accounts that are not at work: not sent\n")),
        }
        text
    }

    /// Where local pictures are lent, of all accounts or of some.
    fn lent(&self) -> String {
        let places: BTreeSet<&String> = self.accounts.iter().filter_map(|line| line.images_via.as_ref()).collect();
        let places: Vec<&str> = places.into_iter().map(String::as_str).collect();
        if places.is_empty() {
            return String::new();
        }
        let whose = if self.accounts.iter().all(|line| line.images_via.is_some()) { "" } else { " of some accounts" };
        format!("images:  local ones{whose} are put into {}, and fetched there by the remote\n", places.join(" and "))
    }

    /// At which rate and with how many slots.
    fn paces(&self) -> String {
        let words = |line: &Line| {
            let (rate, in_flight) = (&line.rate, line.in_flight);
            let task = spoken(Duration::from_secs_f64(line.task_seconds));
            let by = match line.task_time {
                TaskTime::Seen => ", as lately",
                TaskTime::Simulated => "",
                TaskTime::Guessed => " (a guess: none has ended yet)",
            };
            let generations = if in_flight == 1 { "generation" } else { "generations" };
            format!("{rate} and {in_flight} parallel {generations} of {task} each{by}")
        };
        match self.accounts.as_slice() {
            [only] if only.is_default => format!("at the default {}", words(only)),
            [only] => format!("at {}", words(only)),
            several => {
                let named =
                    several.iter().filter_map(|line| Some(format!("{}: {}", line.account.as_ref()?, words(line))));
                format!("({})", named.collect::<Vec<_>>().join("; "))
            }
        }
    }
}

/// The costs in words: `about USD 41.44 (of which USD 38.00 is guessed: …)`.
fn costs(load: &Load) -> String {
    let list = |amount: fn(&Cost) -> Money| {
        let some = load.cost.iter().filter(|cost| amount(cost) > Money::ZERO);
        let price = |cost: &Cost| Price { amount: amount(cost), currency: cost.currency.clone() }.to_string();
        some.map(price).collect::<Vec<_>>().join(" and ")
    };
    let all = list(|cost| cost.amount);
    let about = match load.bound {
        Bound::About => "about",
        Bound::AtTheMost => "at the most",
    };
    let whose = match load.bound {
        Bound::About => "",
        Bound::AtTheMost => ", by the dearest account that could send each row",
    };
    let all = if all.is_empty() { "nothing".to_owned() } else { all };
    let guessed = list(|cost| cost.guessed);
    let sure = if guessed.is_empty() {
        String::new()
    } else if guessed == all {
        " (all of it guessed: the vendor publishes no prices per scene)".to_owned()
    } else {
        format!(" (of which {guessed} is guessed: the vendor publishes no prices per scene)")
    };
    format!("{about} {all}{whose}{sure}")
}

impl Budget {
    fn over(most: Price, perhaps_paid: Money, load: &Load) -> Self {
        let (left, needed) = (most.amount - perhaps_paid, needed(load, &most.currency));
        let enough_for = if needed <= left {
            load.requests
        } else {
            let share = u128::from(left.micros()) * u128::from(load.requests) / u128::from(needed.micros().max(1));
            u64::try_from(share).unwrap_or(u64::MAX)
        };
        Self { most, perhaps_paid, enough_for }
    }

    fn text(&self, requests: u64) -> String {
        let mut text = format!("budget:  {}", self.most);
        if self.perhaps_paid > Money::ZERO {
            let paid = Price { amount: self.perhaps_paid, currency: self.most.currency.clone() };
            text.push_str(&format!(", of which {paid} may have been paid already"));
        }
        if self.enough_for >= requests {
            text.push_str(": enough\n");
        } else {
            text.push_str(&format!(": enough for about {} of {requests} rows\n", self.enough_for));
        }
        text
    }
}

/// What requests cost in a currency.
fn needed(load: &Load, currency: &Currency) -> Money {
    load.cost.iter().filter(|cost| cost.currency == *currency).map(|cost| cost.amount).sum()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_budget_goes_as_far_as_what_is_left_of_it() {
        let usd = |amount: &str| Price { amount: amount.parse().unwrap(), currency: Currency::default() };
        let cost = Cost {
            currency: Currency::default(),
            amount: usd("41.44").amount,
            published: Money::ZERO,
            derived: Money::ZERO,
            guessed: Money::ZERO,
        };
        let load = Load { requests: 148, cost: vec![cost], ..Load::default() };
        let text = |most: &str, paid: &str| Budget::over(usd(most), usd(paid).amount, &load).text(load.requests);
        assert_eq!(text("50", "0"), "budget:  USD 50.00: enough\n");
        assert_eq!(
            text("50", "12.32"),
            "budget:  USD 50.00, of which USD 12.32 may have been paid already: enough for about 134 of 148 rows\n"
        );
        assert!(text("50", "60").ends_with("enough for about 0 of 148 rows\n"));
    }
}
