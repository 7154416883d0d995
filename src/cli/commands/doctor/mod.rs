//! `nightreel doctor`: what would spoil the night, and what to do about it. Asks harmless questions, makes no ledger, takes
//! no lock, and goes on after whatever it finds.

mod account;
mod finding;
mod images;
mod machine;
mod notify;
mod remote;
mod work;

use std::collections::BTreeMap;
use std::time::Duration;

use crate::config::{Settings, Unsettled};
use crate::pace::Clock;

use super::super::args::{Doctor, Global};
use super::super::exit::Exit;
use super::super::failure::Failure;
use super::super::{terminal, wiring};

use account::Capacity;
use finding::{About, Findings, Mark, Paint, Report};
use work::Work;

/// A run that takes longer is no longer one night's, in hours.
const NIGHT: f64 = 12.0;

pub(in crate::cli) async fn doctor(
    args: &Doctor,
    global: &Global,
    settings: &Settings,
    unsettled: &[Unsettled],
) -> Result<Exit, Failure> {
    wiring::must_be_a_file(
        settings,
        "doctor",
        "without --state it looks at accounts, manifest and machine all the same",
    )?;
    let clock = Clock::system();
    let mut about_settings = Findings::new(About::Settings);
    let mut about_manifest = Findings::new(About::Manifest);
    let mut about_machine = Findings::new(About::Machine);
    unusable(unsettled, &mut about_settings);
    notify::examine(&settings.notify, args.notify, &clock, &mut about_settings).await;
    let work = Work::of(args.manifest.as_deref(), settings, &mut about_manifest, &mut about_machine).await;
    machine::examine(settings, &work, clock.now(), &mut about_machine).await;
    let store = work.store.as_deref();
    // Where settings or ledger cannot be read, an account without a gateway is no news.
    let readable = unsettled.is_empty() && !work.unreadable;
    let accounts = settings.accounts.iter().filter(|account| readable || account.preset.is_some());
    let examined = accounts.map(|account| account::examine(account, &work.accounts, store, &clock));
    let examined = futures::future::join_all(examined).await;
    let capacity: Option<Vec<Capacity>> = examined.iter().map(|one| one.capacity.clone()).collect();
    if let Some(capacity) = capacity.filter(|_| unsettled.is_empty()) {
        night(work.to_make, &capacity, &mut about_machine);
    }
    let all =
        [about_settings, about_manifest, about_machine].into_iter().chain(examined.into_iter().map(|one| one.findings));
    let report = Report::new(all.flat_map(|findings| findings.list).collect());
    let exit = report.exit();
    if global.json {
        terminal::json(&report.json());
    } else if global.quiet {
        terminal::tell(&report.text(Mark::Bad, Paint::of_terminal()));
    } else {
        terminal::tell(&format!("{}{}\n", report.text(Mark::Good, Paint::of_terminal()), report.closing()));
    }
    Ok(exit)
}

/// What is told of settings that cannot be used.
fn unusable(unsettled: &[Unsettled], findings: &mut Findings) {
    for Unsettled { account, error } in unsettled {
        let because =
            std::error::Error::source(error).map_or_else(String::new, |source| format!(": {}", one_line(source)));
        let of = account.as_ref().map_or_else(String::new, |name| format!("account {name}: "));
        let words = error.to_string();
        // Some of them name the account themselves.
        let of = if words.contains(of.trim_end_matches(": ")) { "" } else { of.as_str() };
        let hint = error.hint().unwrap_or_else(|| "put it right there: until then every command refuses".to_owned());
        findings.bad("setting", format!("{of}{words}{because}"), hint);
    }
}

/// What an error says, without the picture of the place that TOML's draw.
fn one_line(error: &dyn std::error::Error) -> String {
    let words = error.to_string();
    let lines: Vec<&str> = words.lines().filter(|line| !line.trim().is_empty()).collect();
    match lines.as_slice() {
        [first, .., last] => format!("{first}: {last}"),
        [_] | [] => words.trim().to_owned(),
    }
}

/// Whether what is to be made can be made in one night.
fn night(to_make: u64, capacity: &[Capacity], findings: &mut Findings) {
    let mut pools: BTreeMap<&str, f64> = BTreeMap::new();
    let mut per_hour = 0.0;
    for one in capacity {
        match &one.pool {
            Some(pool) => {
                let widest = pools.entry(pool).or_default();
                *widest = widest.max(one.per_hour);
            }
            None => per_hour += one.per_hour,
        }
    }
    per_hour += pools.values().sum::<f64>();
    if to_make == 0 || per_hour <= 0.0 {
        return;
    }
    let hours = to_make as f64 / per_hour;
    let long = remote::span(Duration::try_from_secs_f64(hours * 3600.0).unwrap_or(Duration::MAX).as_secs());
    let words = format!("{to_make} videos at about {per_hour:.0} an hour take about {long}");
    if hours > NIGHT {
        findings.note(
            "night",
            words,
            "raise what is narrow (see pace), if the account allows it, or add an [[account]]",
        );
    } else {
        findings.good("night", words);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_night_that_is_too_short_is_a_note_and_accounts_of_one_pool_count_once() {
        let of = |per_hour, pool: Option<&str>| Capacity { per_hour, pool: pool.map(str::to_owned) };
        for (to_make, capacity, expected) in [
            (0, vec![of(50.0, None)], None),
            (100, vec![of(50.0, None)], Some((Mark::Good, "100 videos at about 50 an hour take about 2 h"))),
            (
                1000,
                vec![of(50.0, Some("p")), of(30.0, Some("p"))],
                Some((Mark::Note, "1000 videos at about 50 an hour take about 20 h")),
            ),
        ] {
            let mut findings = Findings::new(About::Machine);
            night(to_make, &capacity, &mut findings);
            let found = findings.list.first().map(|one| (one.mark, one.words.as_str()));
            assert_eq!(found, expected);
        }
    }
}
