//! `nightreel simulate`: serves the simulated remote until it is told to stop.

use std::time::Duration;

use serde_json::json;

use crate::config::parse_span;
use crate::pace::{Clock, Rate};
use crate::simulator::fault::{FAULTS, Fault};
use crate::simulator::{Dialect, Listing, Lookup, Settings, Simulator};

use super::super::args::{Global, Simulate};
use super::super::exit::Exit;
use super::super::failure::Failure;
use super::super::signals::Signals;
use super::super::terminal;

pub(in crate::cli) async fn simulate(args: &Simulate, global: &Global, signals: &Signals) -> Result<Exit, Failure> {
    if args.faults.iter().any(|fault| fault == "list") {
        let list: String = FAULTS.iter().map(|(name, _, meaning)| format!("{name:<22} {meaning}\n")).collect();
        terminal::out(&list);
        return Ok(Exit::Done);
    }
    let key = std::env::var("NIGHTREEL_SIMULATOR_KEY").ok();
    let simulator = Simulator::start(Settings { key, ..settings(args)? }, Clock::system()).await?;
    let url = simulator.base_url();
    if global.json {
        terminal::json(&json!({ "base_url": url }));
    } else {
        terminal::out(&format!("{url}\n"));
    }
    if !global.quiet {
        terminal::err(&format!(
            "serving; use it with: --gateway simulator --base-url {url}\n\
             what happened: {url}/_simulator/stats   to stop: Ctrl-C\n"
        ));
    }
    signals.first().await;
    simulator.shutdown().await;
    Ok(Exit::Done)
}

fn settings(args: &Simulate) -> Result<Settings, Failure> {
    let span =
        |flag: &str, text: &str| parse_span(text).ok_or_else(|| wrong(flag, text, "a span such as 500ms, 2s or 1h"));
    let task_for = match args.task_time.split_once("..") {
        Some((from, to)) => (span("--task-time", from)?, span("--task-time", to)?),
        None => (span("--task-time", &args.task_time)?, span("--task-time", &args.task_time)?),
    };
    let in_flight = match args.in_flight.as_str() {
        "none" => None,
        text => Some(text.parse().map_err(|_| wrong("--in-flight", text, "a whole number, or none"))?),
    };
    let rate: Option<(u32, Duration)> = match &args.rate {
        None => None,
        Some(text) => Some(text.parse::<Rate>().map_err(|error| wrong("--rate", text, &error.to_string()))?.parts()),
    };
    if !(args.speed > 0.0 && args.speed.is_finite()) {
        return Err(wrong("--speed", &args.speed.to_string(), "a number above 0"));
    }
    let faults: Result<Vec<Fault>, Failure> = args
        .faults
        .iter()
        .map(|text| {
            text.parse().map_err(|error| Failure::new(Exit::Usage, error).hint("nightreel simulate --fault list"))
        })
        .collect();
    Ok(Settings {
        port: args.port,
        speed: args.speed,
        task_for,
        in_flight,
        rate,
        faults: faults?,
        seed: args.seed,
        key: None,
        lookup: if args.no_lookup { Lookup::Nothing } else { Lookup::ByExternalId },
        listing: if args.no_list { Listing::Missing } else { Listing::Offered },
        dialect: if args.wrapped { Dialect::Wrapped } else { Dialect::Plain },
        link_for: span("--link-for", &args.link_for)?,
        visible_after: span("--visible-after", &args.visible_after)?,
        video_bytes: args.video_bytes,
        journal: args.world.clone(),
        prefix: args.prefix.trim_end_matches('/').to_owned(),
    })
}

fn wrong(flag: &str, value: &str, expected: &str) -> Failure {
    Failure::new(Exit::Usage, format!("{flag}: {value:?} is not valid: {expected}"))
}
