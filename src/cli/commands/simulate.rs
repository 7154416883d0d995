//! `nightreel simulate`: serves the simulated remote until it is told to stop.

use std::time::Duration;

use jiff::SignedDuration;
use serde_json::json;

use crate::config::parse_span;
use crate::pace::{Clock, Rate};
use crate::simulator::fault::{FAULTS, Fault};
use crate::simulator::{Answers, Credentials, Dialect, Listing, Lookup, Settings, Simulator};

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
    let settings = Settings { credentials: credentials()?, ..settings(args)? };
    let simulator = Simulator::start(settings, Clock::system()).await?;
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

/// What the environment says is to be demanded.
fn credentials() -> Result<Credentials, Failure> {
    let variable = |name: &str| std::env::var(format!("NIGHTREEL_SIMULATOR_{name}")).ok();
    let pair = match (variable("ACCESS_KEY"), variable("SECRET_KEY")) {
        (Some(access), Some(secret)) => Some((access, secret)),
        (None, None) => None,
        _ => {
            let one = "NIGHTREEL_SIMULATOR_ACCESS_KEY and NIGHTREEL_SIMULATOR_SECRET_KEY are set both or not at all";
            return Err(Failure::new(Exit::Usage, one));
        }
    };
    Ok(Credentials {
        key: variable("KEY"),
        pair,
        account_token: variable("ACCOUNT_TOKEN"),
        webhook_secret: variable("WEBHOOK_SECRET"),
    })
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
    let dialect = dialect(&args.dialect)?;
    let offset: SignedDuration = args
        .clock_offset
        .parse()
        .map_err(|_| wrong("--clock-offset", &args.clock_offset, "a span such as 5m, or -5m for a clock behind"))?;
    for (flag, units) in [("--units", Some(args.units)), ("--pack", args.pack)] {
        if let Some(units) = units.filter(|units| !(*units >= 0.0 && units.is_finite())) {
            return Err(wrong(flag, &units.to_string(), "a number of units, 0 or more"));
        }
    }
    Ok(Settings {
        port: args.port,
        speed: args.speed,
        task_for,
        in_flight,
        rate,
        faults: faults?,
        seed: args.seed,
        fail_scenes: args.fail_scenes.clone(),
        credentials: Credentials::default(),
        token_age: args.token_age.as_deref().map(|text| span("--token-age", text)).transpose()?,
        clock_offset: offset,
        lookup: if args.no_lookup { Lookup::Nothing } else { dialect.lookup() },
        listing: if args.no_list { Listing::Missing } else { dialect.listing() },
        dialect,
        answers: if args.wrapped { Answers::Wrapped } else { Answers::Plain },
        units: args.units,
        pack: args.pack,
        link_for: span("--link-for", &args.link_for)?,
        visible_after: span("--visible-after", &args.visible_after)?,
        video_bytes: args.video_bytes,
        journal: args.world.clone(),
        prefix: args.prefix.trim_end_matches('/').to_owned(),
    })
}

fn dialect(name: &str) -> Result<Dialect, Failure> {
    match name {
        "kling" => Ok(Dialect::Kling),
        "comet" => Ok(Dialect::Comet),
        "new-api" => Ok(Dialect::NewApi),
        "fal" => Ok(Dialect::Fal),
        "wavespeed" => Ok(Dialect::WaveSpeed),
        _ => Err(wrong("--dialect", name, "kling, comet, new-api, fal or wavespeed")),
    }
}

fn wrong(flag: &str, value: &str, expected: &str) -> Failure {
    Failure::new(Exit::Usage, format!("{flag}: {value:?} is not valid: {expected}"))
}

#[cfg(test)]
mod tests {
    use clap::Parser;

    use super::super::super::args::{Cli, Verb};
    use super::*;

    fn read(flags: &[&str]) -> Result<Settings, Failure> {
        let line = ["nightreel", "simulate"].iter().chain(flags);
        let Verb::Simulate(args) = Cli::try_parse_from(line).unwrap().verb else { unreachable!("it is that verb") };
        settings(&args)
    }

    #[test]
    fn a_dialect_brings_what_its_gateways_can_do() {
        for (name, dialect) in [
            ("kling", Dialect::Kling),
            ("comet", Dialect::Comet),
            ("new-api", Dialect::NewApi),
            ("fal", Dialect::Fal),
            ("wavespeed", Dialect::WaveSpeed),
        ] {
            let settings = read(&["--dialect", name]).unwrap();
            assert_eq!(
                (settings.dialect, settings.lookup, settings.listing),
                (dialect, dialect.lookup(), dialect.listing())
            );
        }
        let settings = read(&["--wrapped", "--no-list"]).unwrap();
        assert_eq!((settings.dialect, settings.answers), (Dialect::Kling, Answers::Wrapped));
        assert_eq!((settings.lookup, settings.listing), (Lookup::ByExternalId, Listing::Missing));
    }

    #[test]
    fn a_clock_may_be_behind_and_what_is_no_span_or_no_amount_is_said() {
        assert_eq!(read(&["--clock-offset=-5m"]).unwrap().clock_offset, SignedDuration::from_mins(-5));
        let settings = read(&["--clock-offset", "90s", "--units", "3.5", "--pack=100", "--fail-scene", "a"]).unwrap();
        assert_eq!(
            (settings.clock_offset.as_secs(), settings.pack, settings.fail_scenes),
            (90, Some(100.0), vec!["a".into()])
        );
        for wrong in ["--clock-offset=soon", "--token-age=x", "--units=-1", "--pack=inf", "--dialect=klingon"] {
            assert!(read(&[wrong]).is_err(), "{wrong}");
        }
    }
}
