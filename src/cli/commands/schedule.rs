//! `nightreel schedule`: a crontab line and systemd units that run a manifest. Prints them, and installs nothing.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use serde::Serialize;

use crate::config::{Key, Settings};
use crate::gateway::Preset;
use crate::pace::TimeOfDay;

use super::super::args::{Global, Schedule};
use super::super::exit::Exit;
use super::super::failure::{A_MANIFEST, Failure};
use super::super::{terminal, wiring};

/// Exit codes of runs that did what they could, and told what is left. Those of a run that did not: usage (2), another run that
/// holds the ledger, perhaps for another manifest (6), and whatever stays so until a person acts (1, 7, 8, 9, 10).
const WORKED: [Exit; 4] = [Exit::Failed, Exit::Held, Exit::Interrupted, Exit::Budget];
/// When runs start, where nobody says so.
const AT: &str = "22:00";
/// The days of a week, as systemd names them and cron counts them from 0.
const DAYS: [&str; 7] = ["Sun", "Mon", "Tue", "Wed", "Thu", "Fri", "Sat"];

/// What is printed for programs.
#[derive(Debug, Serialize)]
struct Texts {
    /// Where the variables are to be written, readable by their owner only.
    environment_file: Option<PathBuf>,
    /// Which variables those are.
    variables: Vec<String>,
    crontab: String,
    service_name: String,
    service: String,
    timer_name: String,
    timer: String,
}

/// What is run, and where.
struct Job {
    words: Vec<String>,
    folder: String,
    environment_file: Option<String>,
    log: String,
    manifest: String,
}

/// On which days of the week; all of them where there is none.
struct Days(Vec<usize>);

pub(in crate::cli) fn schedule(args: &Schedule, global: &Global, settings: &Settings) -> Result<Exit, Failure> {
    let Some(manifest) = args.run.manifest.as_deref() else {
        return Err(Failure::new(Exit::Usage, "which manifest?").hint("nightreel schedule MANIFEST --gateway kling"));
    };
    if !manifest.is_file() {
        let words = format!("{}: there is no such manifest", manifest.display());
        return Err(Failure::new(Exit::Usage, words).hint(A_MANIFEST));
    }
    let at = match &args.at {
        Some(text) => text.parse().map_err(|_| {
            Failure::new(Exit::Usage, format!("--at: {text:?} is not valid: a time of day such as 22:00"))
        })?,
        None => settings.hours.window.map_or_else(|| AT.parse(), |window| Ok(window.from)).map_err(internal)?,
    };
    let days = Days::read(args.every.as_deref().unwrap_or("day"))?;
    let variables = variables(settings);
    let job = Job::of(args, global, settings, manifest, !variables.is_empty())?;
    let name = wiring::batch_name(args.run.batch.as_deref(), manifest)?;
    let plain = |c: char| if c.is_ascii_alphanumeric() || c == '-' || c == '_' { c } else { '-' };
    let unit = format!("nightreel-{}", name.as_str().chars().map(plain).collect::<String>());
    let texts = Texts {
        environment_file: job.environment_file.as_ref().map(PathBuf::from),
        variables,
        crontab: job.crontab(at, &days),
        service_name: format!("{unit}.service"),
        service: job.service(),
        timer_name: format!("{unit}.timer"),
        timer: job.timer(at, &days, settings.hours.window.is_some()),
    };
    if global.json {
        terminal::json(&texts);
    } else {
        terminal::out(&texts.for_people());
    }
    Ok(Exit::Done)
}

fn internal(error: impl std::error::Error + Send + Sync + 'static) -> Failure {
    Failure::new(Exit::Internal, error)
}

/// The variables that a run needs, and that neither cron nor systemd passes on: those that hold credentials, and whatever this
/// shell sets.
fn variables(settings: &Settings) -> Vec<String> {
    let mut names: BTreeSet<String> = std::env::vars_os()
        .filter_map(|(name, _)| name.into_string().ok())
        .filter(|name| name.starts_with("NIGHTREEL_") && name != "NIGHTREEL_CONFIG")
        .collect();
    let real = settings.accounts.iter().filter(|account| account.preset != Some(Preset::Simulator));
    for account in real {
        let sources = &account.sources;
        let parts = [&sources.key, &sources.access_key, &sources.secret_key];
        names.extend(parts.iter().filter_map(|part| part.named.clone()));
        let told = parts.iter().any(|part| part.named.is_some() || part.file.is_some())
            || parts.iter().filter_map(|part| part.variable).any(|variable| names.contains(variable));
        if !told {
            names.extend(sources.key.variable.map(str::to_owned));
        }
    }
    names.into_iter().collect()
}

impl Days {
    fn read(text: &str) -> Result<Self, Failure> {
        let day = |word: &str| DAYS.iter().position(|day| day.eq_ignore_ascii_case(word.trim()));
        let days = match text {
            "day" => Some(Vec::new()),
            "weekdays" => Some((1..6).collect()),
            "weekends" => Some(vec![0, 6]),
            named => named.split(',').map(day).collect(),
        };
        let wrong = || {
            let words = format!("--every: {text:?} is not valid: day, weekdays, weekends, or days such as mon,thu");
            Failure::new(Exit::Usage, words)
        };
        days.map(Self).ok_or_else(wrong)
    }

    fn cron(&self) -> String {
        let days: Vec<String> = self.0.iter().map(ToString::to_string).collect();
        if days.is_empty() { "*".to_owned() } else { days.join(",") }
    }

    fn systemd(&self) -> String {
        let days: Vec<&str> = self.0.iter().filter_map(|day| DAYS.get(*day).copied()).collect();
        if days.is_empty() { String::new() } else { format!("{} ", days.join(",")) }
    }
}

impl Job {
    fn of(
        args: &Schedule,
        global: &Global,
        settings: &Settings,
        manifest: &Path,
        shown: bool,
    ) -> Result<Self, Failure> {
        let own = std::env::current_exe().map_err(internal)?;
        let folder = std::env::current_dir().map_err(internal)?;
        let manifest = text(&wiring::absolute(manifest)?)?;
        let mut words = vec![text(&own)?, "run".to_owned(), manifest.clone()];
        let mut say = |flag: &str, value: String| words.extend([flag.to_owned(), value]);
        let default = Path::new("nightreel.toml");
        if let Some(config) = global.config.as_deref().or_else(|| default.exists().then_some(default)) {
            say("--config", text(&wiring::absolute(config)?)?);
        }
        let is_shared = crate::store::is_shared(&settings.state);
        let state = if is_shared { settings.state.clone() } else { wiring::absolute(&settings.state)? };
        say("--state", text(&state)?);
        let mut probe = false;
        for (key, value) in args.run.flags() {
            let Some(value) = value else { continue };
            if key == Key::Probe {
                // The flag stands for itself.
                probe = true;
                continue;
            }
            let flag = format!("--{}", key.word().replace('_', "-"));
            let value = if flag == "--out" { text(&wiring::tree(Path::new(&value))?)? } else { value };
            say(&flag, value);
        }
        if let Some(batch) = &args.run.batch {
            say("--batch", batch.clone());
        }
        if let Some(format) = &global.log_format {
            say("--log-format", format.clone());
        }
        let (changed, repeat) = (args.run.resubmit_changed, args.run.allow_repeat);
        let switches = [("--probe", probe), ("--resubmit-changed", changed), ("--allow-repeat", repeat)];
        words.extend(switches.into_iter().filter(|(_, set)| *set).map(|(flag, _)| flag.to_owned()));
        words.push("--quiet".to_owned());
        let environment_file = if shown { Some(text(&folder.join("nightreel.env"))?) } else { None };
        let log = text(&folder.join("nightreel.log"))?;
        let job = Self { words, folder: text(&folder)?, environment_file, log, manifest };
        match job.words.iter().find(|word| word.contains(|c: char| c.is_control() || c == '\\')) {
            Some(word) => Err(unwritable(word)),
            None => Ok(job),
        }
    }

    /// What cron runs: with its exit code, so that mail comes when a person must act at once.
    fn crontab(&self, at: TimeOfDay, days: &Days) -> String {
        let words: Vec<String> = self.words.iter().map(|word| for_shell(word)).collect();
        let environment = self
            .environment_file
            .as_ref()
            .map_or_else(String::new, |file| format!("set -a && . {} && set +a && ", for_shell(file)));
        let (folder, log) = (for_shell(&self.folder), for_shell(&self.log));
        let worked: Vec<String> = WORKED.iter().map(|exit| exit.number().to_string()).collect();
        let told = for_shell(&format!("nightreel run {}: exit code", self.manifest));
        let command = format!(
            "cd {folder} && {environment}{} >> {log} 2>&1; code=$?; case $code in 0|{}) ;; *) echo {told} $code ;; esac",
            words.join(" "),
            worked.join("|"),
        );
        // To cron, a bare % ends the command.
        let command = command.replace('%', "\\%");
        format!("{} {} * * {} {command}\n", at.minute(), at.hour(), days.cron())
    }

    fn service(&self) -> String {
        let words: Vec<String> = self.words.iter().map(|word| for_unit(word)).collect();
        let worked: Vec<String> = WORKED.iter().map(|exit| exit.number().to_string()).collect();
        let environment = self.environment_file.as_ref().map_or_else(String::new, |file| {
            format!("# Holds the key: chmod 600.\nEnvironmentFile={}\n", unexpanded(file))
        });
        format!(
            "\
[Unit]
Description=nightreel run {manifest}
# Where to tell of a failure:
# OnFailure=tell-me@%n.service

[Service]
Type=oneshot
WorkingDirectory={folder}
{environment}ExecStart={command}
# Some rows failed, rows need a person, the time is up, the budget is reached: it did what it could, and told so.
# A refused key, a rejected manifest, a full disk or a ledger that another run holds make the unit fail.
SuccessExitStatus={worked}
# What it cannot do tonight it could not do a moment later either; the next night goes on where this one stopped.
Restart=no
TimeoutStartSec=infinity
# It ends in order within ten seconds of SIGTERM.
TimeoutStopSec=20
KillMode=mixed
NoNewPrivileges=yes
",
            manifest = unexpanded(&self.manifest),
            folder = unexpanded(&self.folder),
            command = words.join(" "),
            worked = worked.join(" "),
        )
    }

    /// A run that was missed is made up for where it would wait for its window; else it would work by day.
    fn timer(&self, at: TimeOfDay, days: &Days, has_window: bool) -> String {
        format!(
            "\
[Unit]
Description=nightreel run {manifest}, on time

[Timer]
OnCalendar={days}*-*-* {at}:00
Persistent={has_window}

[Install]
WantedBy=timers.target
",
            manifest = unexpanded(&self.manifest),
            days = days.systemd(),
        )
    }
}

impl Texts {
    fn for_people(&self) -> String {
        let Self { crontab, service_name, service, timer_name, timer, .. } = self;
        let environment = self.environment_file.as_ref().map_or_else(String::new, |file| {
            let file = for_shell(&file.display().to_string());
            format!(
                "# Neither cron nor systemd knows the variables of your shell. Write them, a line NAME=value each, into\n\
                 # a file that only you can read: touch {file} && chmod 600 {file}\n#   {}\n\n",
                self.variables.join("\n#   "),
            )
        });
        format!(
            "{environment}# Either cron: run `crontab -e` and add this line. Runs that overlap do no harm: the later one\n\
             # ends at once with code 6. Mail comes when a run could not do its work.\n{crontab}\n\
             # Or systemd: two files in ~/.config/systemd/user/, then\n\
             #   systemctl --user daemon-reload && systemctl --user enable --now {timer_name}\n\
             #   loginctl enable-linger         (so that it also runs while you are not logged in)\n\
             #   journalctl --user -u {service_name}\n\n# {service_name}\n{service}\n# {timer_name}\n{timer}"
        )
    }
}

fn text(path: &Path) -> Result<String, Failure> {
    let text = path.to_str().ok_or_else(|| unwritable(&path.display().to_string()))?;
    if text.contains(|c: char| c.is_control() || c == '\\') { Err(unwritable(text)) } else { Ok(text.to_owned()) }
}

fn unwritable(word: &str) -> Failure {
    Failure::new(Exit::Usage, format!("{word:?} has characters that no crontab or unit can hold"))
        .hint("name it by a path without backslashes and control characters")
}

fn is_plain(word: &str) -> bool {
    !word.is_empty() && word.chars().all(|c| c.is_ascii_alphanumeric() || "_-./:,=@+".contains(c))
}

/// A word as a shell reads it; without backslashes, which cron may take for its own.
fn for_shell(word: &str) -> String {
    if is_plain(word) { word.to_owned() } else { format!("'{}'", word.replace('\'', "'\"'\"'")) }
}

/// A word as systemd reads it in a command.
fn for_unit(word: &str) -> String {
    let word = unexpanded(word).replace('$', "$$");
    if is_plain(&word) { word } else { format!("\"{}\"", word.replace('"', "\\\"")) }
}

/// A text in which systemd expands nothing.
fn unexpanded(text: &str) -> String {
    text.replace('%', "%%")
}
