//! `nightreel run`: collects what is paid, checks the manifest whole, submits what is left, collects it.

use jiff::tz::TimeZone;

use crate::config::Settings;
use crate::pipeline::{Ends, Gate};

use super::super::args::{Global, Run};
use super::super::exit::Exit;
use super::super::failure::Failure;
use super::super::signals::Signals;
use super::super::{terminal, wiring};
use super::admit::{self, Again};
use super::report::AtTheEnd;
use super::session::{self, Asked, Decision};

pub(in crate::cli) async fn run(
    args: &Run,
    global: &Global,
    settings: &Settings,
    signals: &Signals,
) -> Result<Exit, Failure> {
    let is_there = wiring::is_there(settings).await?;
    if args.manifest.is_none() && !is_there {
        return Err(Failure::new(Exit::Usage, "which manifest? There is no ledger to go on with yet")
            .hint("nightreel run MANIFEST --gateway simulator"));
    }
    // An output tree that this nightreel cannot go to is told before anything is begun.
    if settings.out_named {
        wiring::sink(settings, &settings.out)?;
    }
    wiring::must_be_lendable(settings)?;
    if !is_there {
        // A start that comes to nothing leaves no ledger behind.
        wiring::must_be_usable(settings)?;
    }
    let opened = wiring::open(settings).await?;
    let remotes = wiring::remotes(settings, &opened).await?;
    let lanes = remotes.lanes.clone();
    let decide = async {
        let Some(manifest) = &args.manifest else {
            wiring::must_be_ready_for_all(&opened, settings, &lanes, |tally| tally.planned).await?;
            return Ok(Decision { gate: Gate::Open(None), changed: 0 });
        };
        let changed = if args.resubmit_changed { Again::Sent } else { Again::Left };
        let repeated = if args.allow_repeat { Again::Sent } else { Again::Left };
        let name = wiring::batch_name(args.batch.as_deref(), manifest)?;
        let store = opened.store.as_ref();
        let batch_of = || wiring::batch_of(store, &name, args.batch.as_deref(), manifest);
        let batch = batch_of().await?;
        let was_there = batch.is_some();
        // On the heap: with all that a survey holds, it is too much for the stack.
        let admit = |batch| Box::pin(admit::admit(&opened, settings, manifest, name.clone(), batch, changed, repeated));
        let admitted = match admit(batch).await {
            // Another process began with the same manifest meanwhile: its rows are no others.
            Err(failure) if store.fleet().is_some() && !was_there => match batch_of().await? {
                Some(batch) => admit(Some(batch)).await?,
                None => return Err(failure),
            },
            admitted => admitted?,
        };
        if admitted.warnings > 0 && !global.quiet {
            let noun = if admitted.warnings == 1 { "1 warning" } else { &format!("{} warnings", admitted.warnings) };
            terminal::err(&format!("{noun}: nightreel check {} shows them\n", manifest.display()));
        }
        if opened.store.tally(Some(admitted.batch)).await?.planned > 0 {
            wiring::must_be_lent(&lanes, &opened.clock).await?;
        }
        Ok(Decision { gate: Gate::Open(Some(admitted.batch)), changed: admitted.conflicts })
    };
    let asked = Asked {
        shift: settings.hours.shift(opened.clock.now(), &TimeZone::system()),
        ends: Ends::WhenIdle,
        report: if args.no_report { AtTheEnd::Left } else { AtTheEnd::Written },
    };
    session::drive(&opened, remotes, settings, asked, global, signals, decide).await
}
