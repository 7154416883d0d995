//! What a run would send, and what that would probably cost. Rows that are alike are counted together, so that a million
//! of them are priced a few times.

use std::collections::{BTreeMap, HashMap};
use std::hash::{BuildHasher, Hash, RandomState};

use serde::Serialize;

use crate::catalogue::{Quote, Sureness};
use crate::domain::{AccountName, Currency, Effect, Money};
use crate::store::NewJob;

use super::sender::Sender;
use super::warned::{LINES, Warning, Warnings};

/// Kinds of rows that are held at a time.
const KINDS: usize = 10_000;
/// Scenes that are counted by name.
const SCENES: usize = 10_000;

/// What a run would send.
#[derive(Debug, Clone, Default, Serialize)]
pub struct Load {
    /// Requests that would be paid.
    pub requests: u64,
    /// What they would probably cost, by currency.
    pub cost: Vec<Cost>,
    /// Whether that is what they would cost or the most that they could, by the choice of account.
    pub bound: Bound,
    /// Rows that any account at work may send.
    pub shared: u64,
    /// Rows that only one of the accounts at work may send.
    pub pinned: BTreeMap<AccountName, u64>,
    /// Rows that only an account may send which is not at work: not among the requests.
    pub elsewhere: u64,
    /// Requests by scene; of the first ten thousand scenes.
    pub scenes: BTreeMap<String, u64>,
}

/// What requests would probably cost in one currency, by how sure that is.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Cost {
    /// The currency.
    pub currency: Currency,
    /// All of it.
    pub amount: Money,
    /// What of it is in a price list.
    pub published: Money,
    /// What of it is derived from what a public client shows.
    pub derived: Money,
    /// What of it is guessed.
    pub guessed: Money,
}

/// What an amount says where several accounts could send a row.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Bound {
    /// Whoever sends it, it costs the same.
    #[default]
    About,
    /// The dearest account was taken for each row, in each currency.
    AtTheMost,
}

/// What rows have to have in common to be alike.
#[derive(PartialEq, Eq, Hash)]
struct Alike<'a> {
    scene: &'a str,
    settings: [Option<&'a str>; 3],
    images: usize,
    account: Option<&'a AccountName>,
}

impl<'a> Alike<'a> {
    fn of(effect: &'a Effect, account: Option<&'a AccountName>) -> Self {
        let settings = [effect.duration.as_deref(), effect.model.as_deref(), effect.mode.as_deref()];
        Self { scene: &effect.scene, settings, images: effect.images.iter().count(), account }
    }
}

/// Rows that are alike.
#[derive(Debug)]
struct Kind {
    /// The first row's.
    effect: Effect,
    account: Option<AccountName>,
    rows: u64,
    lines: Vec<u64>,
}

/// Rows that would be sent, by kind.
#[derive(Debug, Default)]
pub(super) struct Kinds {
    hasher: RandomState,
    held: HashMap<u64, Vec<Kind>>,
    count: usize,
    load: Load,
    warnings: Warnings,
}

impl Kinds {
    /// One more row would be sent.
    pub(super) fn add(&mut self, line: u64, job: &NewJob, senders: &[Sender]) {
        let alike = Alike::of(&job.effect, job.account.as_ref());
        let kinds = self.held.entry(self.hasher.hash_one(&alike)).or_default();
        if let Some(kind) = kinds.iter_mut().find(|kind| Alike::of(&kind.effect, kind.account.as_ref()) == alike) {
            kind.rows += 1;
            if kind.lines.len() < LINES {
                kind.lines.push(line);
            }
            return;
        }
        kinds.push(Kind { effect: job.effect.clone(), account: job.account.clone(), rows: 1, lines: vec![line] });
        self.count += 1;
        if self.count >= KINDS {
            self.settle(senders);
        }
    }

    /// What was counted, and what there is to say of it.
    pub(super) fn finish(mut self, senders: &[Sender]) -> (Load, Warnings) {
        self.settle(senders);
        (self.load, self.warnings)
    }

    /// Prices what is held, and holds it no more.
    fn settle(&mut self, senders: &[Sender]) {
        self.count = 0;
        for kind in self.held.drain().flat_map(|(_, kinds)| kinds) {
            self.warnings.note_scene(&kind.effect, kind.rows, &kind.lines);
            let able: Vec<&Sender> = senders.iter().filter(|sender| sender.may_send(kind.account.as_ref())).collect();
            self.load.add(&kind, &able);
            let settings = [&kind.effect.duration, &kind.effect.model, &kind.effect.mode];
            let mut told: Vec<Warning> = Vec::new();
            for sender in able {
                if settings.iter().any(|setting| setting.is_some()) {
                    told.extend(sender.leaves_parameters_out().map(Warning::not_sent));
                }
                if kind.effect.duration.is_none() {
                    told.extend(sender.adds_duration().map(Warning::usual_duration));
                }
            }
            // Accounts of one gateway are warned of once.
            told.sort();
            told.dedup();
            for warning in told {
                self.warnings.note(warning, kind.rows, &kind.lines);
            }
        }
    }
}

impl Load {
    /// Counts the rows of a kind, which `able` may send.
    fn add(&mut self, kind: &Kind, able: &[&Sender]) {
        if able.is_empty() {
            self.elsewhere += kind.rows;
            return;
        }
        self.requests += kind.rows;
        match (&kind.account, able) {
            (Some(account), [only]) if only.name.is_some() => {
                *self.pinned.entry(account.clone()).or_default() += kind.rows;
            }
            _ => self.shared += kind.rows,
        }
        if let Some(rows) = self.scenes.get_mut(&kind.effect.scene) {
            *rows += kind.rows;
        } else if self.scenes.len() < SCENES {
            self.scenes.insert(kind.effect.scene.clone(), kind.rows);
        }
        let mut dearest: BTreeMap<&Currency, Quote> = BTreeMap::new();
        for sender in able {
            let quote = sender.prices.price(&kind.effect);
            let most = dearest.entry(&sender.prices.currency).or_insert(quote);
            if most.amount != quote.amount {
                self.bound = Bound::AtTheMost;
            }
            if most.amount < quote.amount {
                *most = quote;
            }
        }
        if dearest.len() > 1 {
            self.bound = Bound::AtTheMost;
        }
        for (currency, quote) in dearest {
            self.charge(currency, quote.amount * kind.rows, quote.sure);
        }
    }

    fn charge(&mut self, currency: &Currency, amount: Money, sure: Sureness) {
        let at = self.cost.binary_search_by(|cost| cost.currency.cmp(currency)).unwrap_or_else(|at| {
            let none = Money::ZERO;
            let currency = currency.clone();
            self.cost.insert(at, Cost { currency, amount: none, published: none, derived: none, guessed: none });
            at
        });
        let cost = &mut self.cost[at];
        cost.amount += amount;
        match sure {
            Sureness::Published => cost.published += amount,
            Sureness::Derived => cost.derived += amount,
            Sureness::Guessed => cost.guessed += amount,
        }
    }
}
