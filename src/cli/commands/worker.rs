//! `nightreel worker`: works on whatever a ledger that many share holds, until it is stopped.

use jiff::tz::TimeZone;

use crate::config::Settings;
use crate::domain::Tally;
use crate::pipeline::{Ends, Gate};
use crate::store;

use super::super::args::Global;
use super::super::exit::Exit;
use super::super::failure::Failure;
use super::super::signals::Signals;
use super::super::wiring;
use super::report::AtTheEnd;
use super::session::{self, Asked, Decision};

pub(in crate::cli) async fn worker(global: &Global, settings: &Settings, signals: &Signals) -> Result<Exit, Failure> {
    if !store::is_shared(&settings.state) {
        return Err(Failure::new(Exit::Usage, "a worker needs a ledger that others share")
            .hint("--state postgres://USER@HOST/DATABASE; one machine by itself: nightreel run MANIFEST"));
    }
    let opened = wiring::open(settings).await?;
    let remotes = wiring::remotes(settings, &opened).await?;
    let lanes = remotes.lanes.clone();
    let decide = async {
        wiring::must_be_ready_for_all(&opened, settings, &lanes, Tally::open).await?;
        Ok(Decision { gate: Gate::Open(None), changed: 0 })
    };
    let shift = settings.hours.shift(opened.clock.now(), &TimeZone::system());
    let asked = Asked { shift, report: AtTheEnd::Left, ends: Ends::Never };
    session::drive(&opened, remotes, settings, asked, global, signals, decide).await
}
