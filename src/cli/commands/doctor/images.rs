//! Where an account's pictures are lent: can they be put there, and can the remote come for them.

use crate::config::AccountSettings;
use crate::gateway::place::is_private_host;
use crate::sink::SinkError;

use super::super::super::failure::Failure;
use super::super::super::{spans, wiring};
use super::finding::Findings;

/// Looks at the store of pictures, where there is one; `is_here` says that the remote is on this machine.
pub(super) async fn examine(account: &AccountSettings, is_here: bool, findings: &mut Findings) {
    let Some(lends) = &account.lends else { return };
    let ready = match wiring::lender(account) {
        Ok(Some(lender)) => lender.ready().await.map_err(|error: SinkError| Failure::from(error)),
        Ok(None) => return,
        Err(failure) => Err(failure),
    };
    match ready {
        Err(failure) => findings.bad("images", failure.words(), failure.hints().join("\n")),
        Ok(ready) if is_private_host(&ready.host) && !is_here => findings.bad(
            "images",
            format!(
                "{}: links to it lead to this machine or its network, where the remote cannot fetch them",
                lends.at
            ),
            "name a store that can be reached from everywhere, or leave --images-via out",
        ),
        Ok(_) => findings.good(
            "images",
            format!("{}: is there and can be written; links are good for {}", lends.at, spans::spoken(lends.good_for)),
        ),
    }
}
