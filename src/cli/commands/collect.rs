//! `nightreel collect`: fetches what is paid for, from the ledger alone. Submits nothing.

use crate::config::Settings;
use crate::pace::Shift;
use crate::pipeline::{Ends, Gate};

use super::super::args::Global;
use super::super::exit::Exit;
use super::super::failure::Failure;
use super::super::signals::Signals;
use super::super::wiring;
use super::report::AtTheEnd;
use super::session::{self, Asked, Decision};

pub(in crate::cli) async fn collect(global: &Global, settings: &Settings, signals: &Signals) -> Result<Exit, Failure> {
    let opened = wiring::must_open(settings).await?;
    let remotes = wiring::remotes(settings, &opened).await?;
    let decide = async { Ok(Decision { gate: Gate::Closed, changed: 0 }) };
    let asked = Asked { shift: Shift::default(), report: AtTheEnd::Refreshed, ends: Ends::WhenIdle };
    session::drive(&opened, remotes, settings, asked, global, signals, decide).await
}
