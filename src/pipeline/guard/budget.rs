//! The budget: nothing is sent that could pass it, counting all that may have been paid in all runs, whatever is killed when.
//!
//! What may have been paid is in the ledger, with the intent itself; what is in hand and not there yet is reserved here. One
//! request at a time is held against both.

use std::sync::PoisonError;

use tokio::sync::Mutex;

use crate::domain::{BatchId, JobId, Money, Price};
use crate::store::{Spent, Store, StoreError, Weighed, Weight};

/// Whether a request can be afforded.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::pipeline) enum Afford {
    /// It can, and its price is reserved.
    Yes,
    /// Not while what is in hand may be paid.
    NotNow,
    /// Not with what was paid.
    No,
}

/// The most that may be paid.
#[derive(Debug)]
pub(in crate::pipeline) struct Budget {
    most: Option<Price>,
    /// Held while one request is weighed.
    weighing: Mutex<()>,
    reserved: std::sync::Mutex<Money>,
}

impl Budget {
    pub(in crate::pipeline) fn new(most: Option<Price>) -> Self {
        Self { most, weighing: Mutex::default(), reserved: std::sync::Mutex::default() }
    }

    /// Weighs a request of a run over `batch` (or over all), and reserves its price when it can be afforded. A request of
    /// an earlier run whose price is not known counts as `typical`.
    pub(in crate::pipeline) async fn afford(
        &self,
        store: &dyn Store,
        job: JobId,
        batch: Option<BatchId>,
        price: Money,
        typical: Money,
    ) -> Result<Afford, StoreError> {
        let Some(most) = &self.most else { return Ok(Afford::Yes) };
        let _weighing = self.weighing.lock().await;
        if let Some(fleet) = store.fleet() {
            // What others have in hand counts, too: the store weighs it.
            let weighed = Weighed { price, batch, most: most.amount, typical };
            return Ok(match fleet.afford(job, weighed).await? {
                Weight::Affordable => {
                    *self.reserved.lock().unwrap_or_else(PoisonError::into_inner) += price;
                    Afford::Yes
                }
                Weight::NotNow => Afford::NotNow,
                Weight::TooDear => Afford::No,
            });
        }
        let spent = spent(&store.spent(batch).await?, typical);
        let mut reserved = self.reserved.lock().unwrap_or_else(PoisonError::into_inner);
        if spent + price > most.amount {
            return Ok(Afford::No);
        }
        if spent + *reserved + price > most.amount {
            return Ok(Afford::NotNow);
        }
        *reserved += price;
        Ok(Afford::Yes)
    }

    /// A reserved price is in the ledger now, or was not needed. Gives whether there is a budget at all.
    pub(in crate::pipeline) fn settle(&self, price: Money) -> bool {
        if self.most.is_some() {
            let mut reserved = self.reserved.lock().unwrap_or_else(PoisonError::into_inner);
            *reserved = *reserved - price;
        }
        self.most.is_some()
    }
}

/// All that may have been paid, as one amount: budgets are only for accounts of one currency.
fn spent(spent: &[Spent], typical: Money) -> Money {
    spent.iter().map(|spent| spent.price.as_ref().map_or(typical * spent.requests, |price| price.amount)).sum()
}
