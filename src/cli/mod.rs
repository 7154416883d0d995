//! The command line: arguments to settings, settings to parts, parts to a verb, its end to an exit code.

mod args;
mod commands;
mod discreet;
mod exit;
mod failure;
mod log;
mod near;
mod progress;
mod signals;
mod spans;
mod telling;
mod terminal;
mod wiring;

use std::process::ExitCode;

use clap::FromArgMatches;

use crate::config::{Layer, Settings, Unsettled};

use args::{Cli, Verb};
use exit::Exit;
use failure::Failure;
use signals::Signals;

/// Does what the command line says.
#[must_use]
pub fn run() -> ExitCode {
    discreet::keep_to_itself();
    let parsed = args::command().try_get_matches().and_then(|matches| Cli::from_arg_matches(&matches));
    let cli = match parsed {
        Ok(cli) => cli,
        Err(told) => {
            let exit = if told.use_stderr() { Exit::Usage } else { Exit::Done };
            // Help and usage that cannot be printed have no reader.
            drop(told.print());
            return ExitCode::from(exit.number());
        }
    };
    let exit = start(&cli).unwrap_or_else(|failure| {
        if cli.global.json {
            terminal::json(&failure.json());
        }
        terminal::err(&failure.text());
        failure.exit
    });
    ExitCode::from(exit.number())
}

fn start(cli: &Cli) -> Result<Exit, Failure> {
    let (settings, unsettled) = settings(cli);
    let unsettled = match &cli.verb {
        // What cannot be settled is among what it looks for.
        Verb::Doctor(_) => unsettled,
        // These use no settings, or write them.
        Verb::Init(_) | Verb::Completions(_) | Verb::Man(_) => Vec::new(),
        _ => match unsettled.into_iter().next() {
            Some(first) => return Err(first.error.into()),
            None => Vec::new(),
        },
    };
    log::start(settings.log_format);
    if let Some(outcome) = at_once(cli, &settings) {
        return outcome;
    }
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build();
    let runtime = runtime.map_err(|error| Failure::new(Exit::Internal, error))?;
    let outcome = runtime.block_on(async {
        let signals = Signals::listen().map_err(|error| Failure::new(Exit::Internal, error))?;
        tokio::select! {
            outcome = dispatch(cli, &settings, &unsettled, &signals) => outcome,
            () = signals.second() => Ok(Exit::Interrupted),
        }
    });
    terminal::draw(None);
    // What still runs in the background (a name being looked up) must not keep the process.
    runtime.shutdown_background();
    outcome
}

/// Verbs that need neither ledger nor remote, and end at a signal as any program does, also while they ask.
fn at_once(cli: &Cli, settings: &Settings) -> Option<Result<Exit, Failure>> {
    let global = &cli.global;
    Some(match &cli.verb {
        Verb::Scenes(scenes) => commands::scenes::scenes(scenes, global),
        Verb::Schedule(schedule) => commands::schedule::schedule(schedule, global, settings),
        Verb::Explain(explain) => commands::explain::explain(explain, global),
        Verb::Init(init) => commands::init::init(init, global),
        Verb::Completions(completions) => commands::completions::completions(completions),
        Verb::Man(man) => commands::completions::man(man, global),
        _ => return None,
    })
}

async fn dispatch(cli: &Cli, settings: &Settings, unsettled: &[Unsettled], signals: &Signals) -> Result<Exit, Failure> {
    let global = &cli.global;
    let quick = async {
        match &cli.verb {
            Verb::Run(run) => {
                telling::of(settings, signals, Box::pin(commands::run::run(run, global, settings, signals))).await
            }
            Verb::Collect(_) => {
                telling::of(settings, signals, Box::pin(commands::collect::collect(global, settings, signals))).await
            }
            Verb::Worker(_) => {
                telling::of(settings, signals, Box::pin(commands::worker::worker(global, settings, signals))).await
            }
            Verb::Simulate(simulate) => commands::simulate::simulate(simulate, global, signals).await,
            Verb::Serve(_) => commands::serve::serve(global, settings, signals).await,
            Verb::Check(check) => commands::check::check(check, global, settings).await,
            Verb::Status(status) => commands::status::status(status, global, settings).await,
            Verb::Resolve(resolve) => commands::resolve::resolve(resolve, global, settings).await,
            Verb::Retry(retry) => commands::retry::retry(retry, global, settings).await,
            Verb::Verify(verify) => commands::verify::verify(verify, global, settings).await,
            Verb::Receipt(receipt) => commands::receipt::receipt(receipt, global, settings).await,
            Verb::Report(report) => commands::report::report(report, global, settings).await,
            Verb::Rescue(rescue) => commands::rescue::rescue(rescue, global, settings).await,
            Verb::Scan(scan) => commands::scan::scan(scan, global, settings).await,
            Verb::Logs(logs) => commands::logs::logs(logs, global, settings).await,
            Verb::Export(export) => commands::export::export(export, global, settings),
            Verb::Import(import) => commands::import::import(import, global, settings).await,
            Verb::Prune(prune) => commands::prune::prune(prune, global, settings).await,
            Verb::Scenes(_)
            | Verb::Schedule(_)
            | Verb::Explain(_)
            | Verb::Init(_)
            | Verb::Completions(_)
            | Verb::Man(_) => at_once(cli, settings).unwrap_or(Ok(Exit::Internal)),
            Verb::Doctor(doctor) => commands::doctor::doctor(doctor, global, settings, unsettled).await,
        }
    };
    // These end in order by themselves.
    if matches!(cli.verb, Verb::Run(_) | Verb::Collect(_) | Verb::Worker(_) | Verb::Simulate(_) | Verb::Serve(_)) {
        return quick.await;
    }
    tokio::select! {
        outcome = quick => outcome,
        () = signals.first() => Ok(Exit::Interrupted),
    }
}

/// What file, environment and flags settle, and what cannot be settled.
fn settings(cli: &Cli) -> (Settings, Vec<Unsettled>) {
    let default = std::path::Path::new("nightreel.toml");
    let file = match &cli.global.config {
        Some(path) => Layer::from_file(path),
        None if default.exists() => Layer::from_file(default),
        None => Ok(Layer::default()),
    };
    let variables =
        std::env::vars_os().filter_map(|(name, value)| Some((name.into_string().ok()?, value.into_string().ok()?)));
    let environment = Layer::from_variables(variables);
    let mut unsettled = Vec::new();
    let [file, environment] = [file, environment].map(|layer| {
        layer.unwrap_or_else(|error| {
            unsettled.push(Unsettled { account: None, error: error.into() });
            Layer::default()
        })
    });
    let (settings, more) = Settings::examine(&[file, environment, cli.layer()]);
    unsettled.extend(more);
    (settings, unsettled)
}
