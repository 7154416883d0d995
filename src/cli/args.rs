//! The command line. What a flag's value means is settled with the other settings, so that a flag, a variable and a line in
//! the file are judged alike.

mod doctor;
mod history;
mod money;
mod night;
mod report;
mod scan;
mod schedule;
mod serve;
mod settle;
mod setup;
mod shared;
mod simulate;
mod tree;

use std::path::PathBuf;

use clap::{Args, Parser, Subcommand};

use crate::config::{Key, Layer};

pub(crate) use doctor::Doctor;
pub(crate) use history::{Export, Import, Logs, Prune};
pub(crate) use money::{Receipt, Rescue};
pub(crate) use night::{Check, Run, Worker};
pub(crate) use report::Report;
pub(crate) use scan::{Colour, Fit, PairBy, Scan};
pub(crate) use schedule::Schedule;
pub(crate) use serve::Serve;
pub(crate) use settle::{Resolve, Retry};
pub(crate) use setup::{Completions, Init, Man};
use shared::Remote;
pub(crate) use simulate::Simulate;
pub(crate) use tree::{command, for_shells};

/// What `--help` says of exit codes.
const EXIT_CODES: &str = "\
Exit codes:
  0  all done
  1  internal error
  2  bad usage or configuration (scenes: none has such a name)
  3  some rows failed (verify: files are missing or changed)
  4  rows need a person: held, stuck, changed and not sent again, or of a paused scene (rescue: tasks are left)
  5  interrupted, drained, or the time is up; the same command goes on
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
    /// The ledger: a file, or `postgres://USER@HOST/DATABASE` for many machines [default: state/nightreel.db]
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
    /// Work on whatever a ledger in PostgreSQL holds, beside any number of others, until it is stopped
    ///
    /// Any machine may join and leave at any time; what one that died had in hand comes back after ten seconds. What no other
    /// machine may pass is kept together: the rate, the parallel generations and the budget of each account.
    #[command(after_help = "\
Examples:
  nightreel worker --state postgres://night@db/nightreel --gateway kling --rate 20/min --in-flight 5
  nightreel worker --state postgres://night@db/nightreel --stages collect")]
    Worker(Worker),
    /// Tell one row's whole history in plain words, how it stands, and what to type
    ///
    /// Works beside a run. Times are those of this machine; how long after the one before stands before each line.
    #[command(after_help = "\
Examples:
  nightreel logs anna
  nightreel logs 867283741759111202
  nightreel logs nr-a980f37f9b70b3bbbc5d1560-a1 --json")]
    Logs(Logs),
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
    /// Write the gallery: every video beside its picture, what failed and why, what it cost; asks nobody
    ///
    /// One folder: index.html for any browser, results.csv, results.json. A run writes it at its end. Videos that are rejected
    /// there are exported as the next manifest.
    #[command(after_help = "\
Examples:
  nightreel report
  nightreel report --batch wedding --out /srv/www/wedding")]
    Report(Report),
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
    /// Make a manifest of a folder of pictures: every image with every scene
    ///
    /// Folders are searched whole, but for hidden files, output trees and the folder of --fix. Images that the remote would not
    /// take have no row and are named; --fix writes fit copies of them. Rows are in natural order; ids come from file names.
    /// Paths in the manifest are relative to where it lies: to the current folder without --out.
    ///
    /// --pair by-name puts together anna-1 and anna-2, anna-a and anna-b, anna-l and anna-r, anna-left and anna-right, within one
    /// folder; a dot, a space or an underscore will do for the dash; by-order puts together neighbours within one folder.
    #[command(after_help = "\
Examples:
  nightreel scan photos/ --scene balloon_parade --scene snowglobe > wedding.csv
  nightreel scan 'photos/**/*.jpg' --scene dj_pet --out pets.csv --fix fixed/ --fit crop
  nightreel scan couples/ --scene hug_pro --pair by-name --out couples.csv")]
    Scan(Scan),
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
    /// Print a crontab line and a systemd timer that run this manifest every night; installs nothing
    #[command(after_help = "\
Examples:
  nightreel schedule wedding.csv --gateway kling --until 06:00
  nightreel schedule wedding.csv --gateway kling --at 23:30 --every weekdays --window 23:30-05:00")]
    Schedule(Schedule),
    /// Write the ledger as one file, to be carried to another machine; works beside a run
    ///
    /// The copy is of one instant, is checked, and holds no key. Rows that a run sends afterwards are not in it: end the run
    /// first where the copy is to go on elsewhere, and never run both.
    #[command(after_help = "\
Examples:
  nightreel export ledger-2026-11-24.db
  nightreel export /mnt/stick/wedding.db --state state/wedding.db")]
    Export(Export),
    /// Put a file that `export` wrote in place as the ledger, where there is none yet
    ///
    /// Checks it whole first. Videos and images do not come with it: says which output trees and which images of rows that are
    /// still to be sent are not on this machine. The machine that it came from must not go on: each would pay.
    #[command(after_help = "\
Examples:
  nightreel import ledger-2026-11-24.db
  nightreel import wedding.db --out-map /home/anna/videos=/srv/videos")]
    Import(Import),
    /// Take old batches out of the ledger, once all of their rows are done or failed
    ///
    /// Shows what would go; --yes removes it. Touches no video and no results.csv. The rows of a batch that was removed are not
    /// known any more: the same manifest would be sent, and paid for, again. Where the manifest of a batch is still there, it
    /// stays unless --forget-paid is said. Tasks of such rows are strays to `rescue` as long as the remote lists them.
    #[command(after_help = "\
Examples:
  nightreel prune --older-than 90d
  nightreel prune --older-than 90d --yes
  nightreel prune --batch rehearsal --forget-paid --yes")]
    Prune(Prune),
    /// Write a nightreel.toml that says what every setting is for; asks, where no flag says what
    ///
    /// Writes to the file that --config names. No key is ever written into it: it names a variable or a file that holds one.
    #[command(after_help = "\
Examples:
  nightreel init
  nightreel init --gateway kling --key-file /home/me/.kling-key --rate 20/min --in-flight 5")]
    Init(Init),
    /// Print what a shell needs to complete verbs, flags, gateways and scenes
    #[command(after_help = "\
Examples:
  nightreel completions bash > ~/.local/share/bash-completion/completions/nightreel
  nightreel completions zsh > ~/.zfunc/_nightreel
  nightreel completions fish > ~/.config/fish/completions/nightreel.fish")]
    Completions(Completions),
    /// Write manual pages: one for nightreel, and one for each verb
    #[command(after_help = "\
Examples:
  nightreel man ~/.local/share/man/man1 && man nightreel-run")]
    Man(Man),
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
            Verb::Run(run) => flags.extend(run.flags()),
            Verb::Schedule(schedule) => flags.extend(schedule.run.flags()),
            Verb::Check(check) => flags.extend(check.flags()),
            Verb::Worker(worker) => flags.extend(worker.flags()),
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
            | Verb::Report(_)
            | Verb::Scan(_)
            | Verb::Scenes(_)
            | Verb::Explain(_)
            | Verb::Logs(_)
            | Verb::Export(_)
            | Verb::Import(_)
            | Verb::Prune(_)
            | Verb::Init(_)
            | Verb::Completions(_)
            | Verb::Man(_)
            | Verb::Simulate(_) => {}
        }
        Layer::from_flags(flags)
    }
}
