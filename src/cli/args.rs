//! The command line. What a flag's value means is settled with the other settings, so that a flag, a variable and a line in
//! the file are judged alike.

mod doctor;
mod money;
mod serve;
mod shared;
mod simulate;

use std::path::PathBuf;

use clap::{ArgGroup, Args, Parser, Subcommand};

use crate::config::{Key, Layer};

pub(crate) use doctor::Doctor;
pub(crate) use money::{Receipt, Rescue};
pub(crate) use serve::Serve;
use serve::Shown;
use shared::{Output, Pacing, Remote};
pub(crate) use simulate::Simulate;

/// What `--help` says of exit codes.
const EXIT_CODES: &str = "\
Exit codes:
  0  all done
  1  internal error
  2  bad usage or configuration (scenes: none has such a name)
  3  some rows failed (verify: files are missing or changed)
  4  rows need a person: held, stuck, changed and not sent again, or of a paused scene (rescue: tasks are left)
  5  interrupted; the same command goes on
  6  another run holds the ledger
  7  the manifest was rejected; nothing was submitted
  8  an account is paused (key, permission, route), and rows are left; the rest was collected
  9  videos or ledger cannot be written (disk full, permissions)
  10 the balance is used up, and rows are left; the rest was collected
  11 the budget is reached, and rows are left

The key comes from NIGHTREEL_API_KEY or from key_file, never from a flag.
Settings: nightreel.toml, then NIGHTREEL_* variables, then flags.";

/// Overnight batches of Kling video effects: a manifest goes in, paid-once videos come out
#[derive(Debug, Parser)]
#[command(name = "nightreel", version, after_help = EXIT_CODES, max_term_width = 100, args_override_self = true)]
pub(crate) struct Cli {
    #[command(flatten)]
    pub(crate) global: Global,
    #[command(subcommand)]
    pub(crate) verb: Verb,
}

/// Flags of every verb.
#[derive(Debug, Args)]
pub(crate) struct Global {
    /// Configuration file [default: nightreel.toml, where there is one]
    #[arg(
        long,
        global = true,
        value_name = "PATH",
        env = "NIGHTREEL_CONFIG",
        hide_env = true,
        help_heading = "Global"
    )]
    pub(crate) config: Option<PathBuf>,
    /// The ledger [default: state/nightreel.db]
    #[arg(long, global = true, value_name = "PATH", help_heading = "Global")]
    pub(crate) state: Option<String>,
    /// Print one JSON object to standard output
    #[arg(long, global = true, help_heading = "Global")]
    pub(crate) json: bool,
    /// Say nothing but what needs a person
    #[arg(long, short, global = true, help_heading = "Global")]
    pub(crate) quiet: bool,
    /// How logs are written: text or json [default: text]
    #[arg(long, global = true, value_name = "FORMAT", help_heading = "Global")]
    pub(crate) log_format: Option<String>,
}

/// What to do.
#[derive(Debug, Subcommand)]
pub(crate) enum Verb {
    /// Submit a manifest, collect the videos; go on where an earlier run stopped
    ///
    /// Collects first what earlier runs paid for. Without MANIFEST, goes on with all that the ledger has.
    #[command(after_help = "\
Examples:
  nightreel run manifests/demo.csv --gateway simulator
  nightreel run wedding.csv --gateway kling-compatible --base-url https://gateway.example/kling \\
      --rate 20/min --in-flight 5 --out videos")]
    Run(Run),
    /// Find every problem of a manifest, and say what a run would do, cost and take; spends nothing
    #[command(after_help = "\
Examples:
  nightreel check wedding.csv
  nightreel check wedding.csv --gateway kling --rate 20/min --in-flight 5 --budget 50")]
    Check(Check),
    /// Say what was made, what failed and why, what is in doubt
    #[command(after_help = "Example:\n  nightreel status --json")]
    Status(Status),
    /// Fetch what is paid for; submits nothing, needs neither manifest nor images
    #[command(after_help = "Example:\n  nightreel collect")]
    Collect(Collect),
    /// Settle rows that are held or stuck: it was made, it was not, or drop it
    #[command(after_help = "\
Examples:
  nightreel resolve anna --made 867283741759111202
  nightreel resolve anna --not-made
  nightreel resolve --all --drop")]
    Resolve(Resolve),
    /// Plan another attempt at rows that failed; the next run sends (and pays for) them
    #[command(after_help = "Examples:\n  nightreel retry anna bert\n  nightreel retry --all")]
    Retry(Retry),
    /// Hold the output tree against the ledger; what is missing is collected again, not paid again
    #[command(after_help = "Example:\n  nightreel verify && echo all there")]
    Verify(Verify),
    /// Say what each request was thought to cost and what it did cost, with the ids that a refund is claimed by
    ///
    /// As CSV, one line a request, when standard output is no terminal; else a table. A request whose cost nobody told has
    /// none. `--settle` asks the accounts what they charged (Kling tells).
    #[command(after_help = "\
Examples:
  nightreel receipt
  nightreel receipt --batch wedding --out wedding.csv
  nightreel receipt --settle --out - | grep 'failed but charged'")]
    Receipt(Receipt),
    /// Look in the accounts for paid tasks that no row of the ledger knows; have rows adopt them, or fetch their videos
    ///
    /// Shows them, and changes nothing, unless told otherwise; pays for nothing in any case. Where a ledger was lost, have the
    /// rows of its manifest adopt their tasks before anything is sent again.
    #[command(after_help = "\
Examples:
  nightreel rescue
  nightreel rescue --adopt --manifest wedding.csv --gateway kling && nightreel run wedding.csv --gateway kling
  nightreel rescue --download found")]
    Rescue(Rescue),
    /// List the effect scenes that are known, and what they probably cost; asks nobody
    ///
    /// Scenes come and go weekly: one that is not listed can be sent all the same. A price with ~ is a guess.
    #[command(after_help = "\
Examples:
  nightreel scenes hug
  nightreel scenes --gone")]
    Scenes(Scenes),
    /// Say what a code or the words of a remote mean, what nightreel does about it, and what you can do
    #[command(after_help = "Examples:\n  nightreel explain 1303\n  nightreel explain balance\n  nightreel explain")]
    Explain(Explain),
    /// Look for what would spoil the night: keys, clocks, routes, balances, disk; spends nothing
    ///
    /// Asks every account harmless questions only, makes no ledger, and works beside a run. Takes the flags of `run`.
    /// Ends with 2 when settings are wrong, 7 when the manifest is, 9 when this machine is, 8 when an account is, else 0.
    #[command(after_help = "\
Examples:
  nightreel doctor
  nightreel doctor wedding.csv --gateway kling && nightreel run wedding.csv --gateway kling")]
    Doctor(Doctor),
    /// Show how a ledger stands on a page of its own: counts, money, videos, failures; works beside a run
    ///
    /// Rows that are held or stuck can be settled there while no run holds the ledger; `run --dashboard` shows more, and can
    /// be paused there. Metrics for Prometheus are at /metrics. Off loopback it demands `NIGHTREEL_DASHBOARD_TOKEN`.
    #[command(after_help = "\
Examples:
  nightreel serve
  NIGHTREEL_DASHBOARD_TOKEN=$(openssl rand -hex 16) nightreel serve 0.0.0.0:8787")]
    Serve(Serve),
    /// Serve the simulated remote on loopback, to rehearse a night
    ///
    /// It demands the key in `NIGHTREEL_SIMULATOR_KEY`, or a token signed by `NIGHTREEL_SIMULATOR_ACCESS_KEY` and
    /// `NIGHTREEL_SIMULATOR_SECRET_KEY`, where those are set, and takes any or none else. An account's tasks are shown to
    /// `NIGHTREEL_SIMULATOR_ACCOUNT_TOKEN`; `NIGHTREEL_SIMULATOR_WEBHOOK_SECRET` signs webhooks.
    #[command(after_help = "\
Examples:
  nightreel simulate --port 8099 --fault lose-answer=0.05 --fault truncate=0.1
  nightreel run wedding.csv --gateway simulator --base-url http://127.0.0.1:8099
  nightreel simulate --dialect fal --fail-scene squish")]
    Simulate(Simulate),
}

/// Flags of `run`.
#[derive(Debug, Args)]
pub(crate) struct Run {
    /// The manifest (CSV)
    pub(crate) manifest: Option<PathBuf>,
    /// The batch's name [default: the manifest's name]
    #[arg(long, value_name = "NAME")]
    pub(crate) batch: Option<String>,
    #[command(flatten)]
    pub(crate) remote: Remote,
    #[command(flatten)]
    pub(crate) output: Output,
    #[command(flatten)]
    pacing: Pacing,
    #[command(flatten)]
    shown: Shown,
    /// How many of the last tasks may fail before their scene or account is paused, or off [default: 50%]
    #[arg(long, value_name = "PERCENT", help_heading = "Money")]
    max_failures: Option<String>,
    /// Rows that stay in doubt: hold them, or resend them, which may pay twice [default: hold]
    #[arg(long, value_name = "WHAT", help_heading = "Money")]
    in_doubt: Option<String>,
    /// Send rows again that changed after they were submitted, and pay for them again
    #[arg(long, help_heading = "Money")]
    pub(crate) resubmit_changed: bool,
    /// Send rows that were paid for in another batch of this ledger already
    #[arg(long, help_heading = "Money")]
    pub(crate) allow_repeat: bool,
}

/// Flags of `check`.
#[derive(Debug, Args)]
pub(crate) struct Check {
    /// The manifest (CSV)
    pub(crate) manifest: PathBuf,
    /// The batch's name [default: the manifest's name]
    #[arg(long, value_name = "NAME")]
    pub(crate) batch: Option<String>,
    #[command(flatten)]
    remote: Remote,
    #[command(flatten)]
    pacing: Pacing,
    #[command(flatten)]
    output: Output,
}

/// Flags of `status`.
#[derive(Debug, Args)]
pub(crate) struct Status {
    /// Only this batch
    #[arg(long, value_name = "NAME")]
    pub(crate) batch: Option<String>,
    /// List every row that needs a person, not only the first twenty
    #[arg(long)]
    pub(crate) all: bool,
}

/// Flags of `collect`.
#[derive(Debug, Args)]
pub(crate) struct Collect {
    #[command(flatten)]
    remote: Remote,
}

/// Flags of `explain`.
#[derive(Debug, Args)]
pub(crate) struct Explain {
    /// A code, or a part of what it means [default: all]
    pub(crate) code: Option<String>,
}

/// Flags of `resolve`.
#[derive(Debug, Args)]
#[command(group = ArgGroup::new("verdict").required(true).args(["made", "not_made", "drop"]))]
#[command(group = ArgGroup::new("which").required(true).args(["row", "all"]))]
pub(crate) struct Resolve {
    /// The row, by its id or name
    pub(crate) row: Option<String>,
    /// Every row that is held
    #[arg(long, conflicts_with = "made")]
    pub(crate) all: bool,
    /// It was made: this task
    #[arg(long, value_name = "TASK_ID")]
    pub(crate) made: Option<String>,
    /// It was not made: send it with the next run
    #[arg(long)]
    pub(crate) not_made: bool,
    /// Give it up
    #[arg(long)]
    pub(crate) drop: bool,
    /// Only in this batch
    #[arg(long, value_name = "NAME")]
    pub(crate) batch: Option<String>,
}

/// Flags of `retry`.
#[derive(Debug, Args)]
#[command(group = ArgGroup::new("which").required(true).args(["rows", "all"]))]
pub(crate) struct Retry {
    /// Rows, by their ids or names
    pub(crate) rows: Vec<String>,
    /// Every row that failed
    #[arg(long)]
    pub(crate) all: bool,
    /// Only in this batch
    #[arg(long, value_name = "NAME")]
    pub(crate) batch: Option<String>,
}

/// Flags of `verify`.
#[derive(Debug, Args)]
pub(crate) struct Verify {
    /// Only this batch
    #[arg(long, value_name = "NAME")]
    pub(crate) batch: Option<String>,
}

/// Flags of `scenes`.
#[derive(Debug, Args)]
pub(crate) struct Scenes {
    /// Only those that have this in their name
    pub(crate) word: Option<String>,
    /// Also those that are not on the vendor's newest pages; gateways may still offer them
    #[arg(long)]
    pub(crate) gone: bool,
}

impl Cli {
    /// The flags as a layer of settings.
    pub(crate) fn layer(&self) -> Layer {
        let mut flags = vec![(Key::State, self.global.state.clone()), (Key::LogFormat, self.global.log_format.clone())];
        match &self.verb {
            Verb::Run(run) => {
                flags.extend(run.remote.flags());
                flags.extend(run.output.flags());
                flags.extend(run.pacing.flags());
                flags.extend(run.shown.flags());
                flags.push((Key::InDoubt, run.in_doubt.clone()));
                flags.push((Key::MaxFailures, run.max_failures.clone()));
            }
            Verb::Check(check) => {
                flags.extend(check.remote.flags());
                flags.extend(check.pacing.flags());
                flags.extend(check.output.flags());
            }
            Verb::Collect(collect) => flags.extend(collect.remote.flags()),
            Verb::Doctor(doctor) => flags.extend(doctor.flags()),
            Verb::Serve(serve) => flags.extend(serve.flags()),
            Verb::Receipt(receipt) => flags.push((Key::Account, receipt.account.clone())),
            Verb::Rescue(rescue) => {
                flags.extend(rescue.remote.flags());
                flags.extend(rescue.output.flags());
            }
            Verb::Status(_)
            | Verb::Resolve(_)
            | Verb::Retry(_)
            | Verb::Verify(_)
            | Verb::Scenes(_)
            | Verb::Explain(_)
            | Verb::Simulate(_) => {}
        }
        Layer::from_flags(flags)
    }
}
