//! What lends pictures to the remotes.

use std::sync::Arc;

use crate::cli::failure::Failure;
use crate::config::{AccountSettings, Settings};
use crate::pace::Clock;
use crate::pipeline::LaneSettings;
use crate::sink::{self, Lender, UnusableLender};

use super::trees::patiently;

/// What lends an account's pictures, where they are lent. Asks nobody yet.
pub(in crate::cli) fn lender(account: &AccountSettings) -> Result<Option<Arc<dyn Lender>>, Failure> {
    Ok(account.lends.as_ref().map(|lends| sink::lender(&lends.at, lends.good_for)).transpose()?)
}

/// Holds it to it that this nightreel can lend the pictures of all accounts that want it so. Asks nobody yet.
pub(in crate::cli) fn must_be_lendable(settings: &Settings) -> Result<(), Failure> {
    settings.accounts.iter().try_for_each(|account| lender(account).map(drop))
}

/// What lends an account's pictures in a run: one that this nightreel cannot open refuses the first picture, and pauses its account.
pub(super) fn any(account: &AccountSettings) -> Option<Arc<dyn Lender>> {
    let lends = account.lends.as_ref()?;
    let opened = sink::lender(&lends.at, lends.good_for);
    Some(opened.unwrap_or_else(|why| Arc::new(UnusableLender::new(&lends.at, why))))
}

/// Holds it to it that pictures can be lent to all accounts that want it so.
pub(in crate::cli) async fn must_be_lent(lanes: &[LaneSettings], clock: &Clock) -> Result<(), Failure> {
    let mut seen: Vec<String> = Vec::new();
    for lender in lanes.iter().filter_map(|lane| lane.lender.as_ref()) {
        if !seen.contains(&lender.place()) {
            patiently(|| lender.ready(), clock).await?;
            seen.push(lender.place());
        }
    }
    Ok(())
}
