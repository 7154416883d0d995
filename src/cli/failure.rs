//! What is said when a command cannot do what it was asked: what, why, what to type. The only place where an error's chain
//! is printed, and where an error becomes an exit code.

use std::error::Error;

use serde_json::json;

use crate::config::ConfigError;
use crate::domain::Invalid;
use crate::gateway::BuildError;
use crate::ledger::RecordError;
use crate::pipeline::download;
use crate::plan::SurveyError;
use crate::report::ReportError;
use crate::serve::{self, HookError};
use crate::simulator::StartError;
use crate::sink::{self, SinkError};
use crate::store::StoreError;
use crate::store::sqlite::{CopyError, OpenError};

use super::exit::Exit;

/// Why a command ended without doing what it was asked.
#[derive(Debug)]
pub(crate) struct Failure {
    pub(crate) exit: Exit,
    error: Box<dyn Error + Send + Sync>,
    hints: Vec<String>,
    /// What is told before it: for people, for programs.
    details: Option<(String, serde_json::Value)>,
}

impl Failure {
    /// A failure that says it all in one sentence.
    pub(crate) fn new(exit: Exit, error: impl Into<Box<dyn Error + Send + Sync>>) -> Self {
        Self { exit, error: error.into(), hints: Vec::new(), details: None }
    }

    /// A part of the run panicked, and said so itself: its words are for whoever mends it, and not for a summary.
    pub(crate) fn broken() -> Self {
        Self::new(
            Exit::Internal,
            "the run broke down: that is a fault of nightreel's, and what went wrong is said above",
        )
        .hint("run the same command again: it goes on, what was on its way is asked for, and nothing is paid twice")
    }

    /// With what to do about it.
    pub(crate) fn hint(mut self, hint: impl Into<String>) -> Self {
        self.hints.push(hint.into());
        self
    }

    /// With what is told before it.
    pub(crate) fn details(mut self, text: String, json: serde_json::Value) -> Self {
        self.details = Some((text, json));
        self
    }

    /// What and why, in one line.
    pub(crate) fn words(&self) -> String {
        causes(self.error.as_ref()).fold(self.error.to_string(), |words, cause| format!("{words}: {cause}"))
    }

    /// What to do about it.
    pub(crate) fn hints(&self) -> &[String] {
        &self.hints
    }

    /// For people.
    pub(crate) fn text(&self) -> String {
        let details = self.details.as_ref().map_or("", |(text, _)| text);
        let mut text = format!("{details}error: {}\n", self.error);
        for cause in causes(self.error.as_ref()) {
            text.push_str(&format!("  because: {cause}\n"));
        }
        for hint in &self.hints {
            text.push_str(&format!("hint: {hint}\n"));
        }
        text
    }

    /// For programs.
    pub(crate) fn json(&self) -> serde_json::Value {
        let because: Vec<String> = causes(self.error.as_ref()).collect();
        let mut value = self.details.as_ref().map_or_else(|| json!({}), |(_, json)| json.clone());
        value["error"] = json!({ "message": self.error.to_string(), "because": because, "hints": self.hints });
        value["exit_code"] = json!(self.exit.number());
        value
    }
}

/// Where a manifest comes from, for whoever has none.
pub(crate) const A_MANIFEST: &str =
    "`nightreel scan PICTURES --scene SCENE --out MANIFEST` makes one of a folder of pictures";

/// Whether all that is wrong is that there is no such file.
fn is_missing(error: &(dyn Error + 'static)) -> bool {
    std::iter::successors(Some(error), |cause| (*cause).source())
        .filter_map(|cause| cause.downcast_ref::<std::io::Error>())
        .any(|cause| cause.kind() == std::io::ErrorKind::NotFound)
}

fn causes<'a>(error: &'a (dyn Error + 'static)) -> impl Iterator<Item = String> + 'a {
    std::iter::successors(error.source(), |cause: &&'a (dyn Error + 'static)| (*cause).source())
        .map(ToString::to_string)
}

impl From<OpenError> for Failure {
    fn from(error: OpenError) -> Self {
        match &error {
            OpenError::Held { pid, .. } => {
                let hint = pid.map_or_else(
                    || "wait for it to end; `nightreel status` works meanwhile".to_owned(),
                    |pid| format!("wait for it, or end it with: kill {pid}; `nightreel status` works meanwhile"),
                );
                Self::new(Exit::Locked, error).hint(hint)
            }
            OpenError::Newer { .. } => Self::new(Exit::Usage, error).hint("use the newer nightreel that wrote it"),
            OpenError::Older { .. } => {
                Self::new(Exit::Usage, error).hint("any `nightreel run` or `nightreel collect` brings it up to date")
            }
            OpenError::NotALedger { .. } => Self::new(Exit::Usage, error).hint("name the ledger with --state PATH"),
            OpenError::NetworkFilesystem { .. } | OpenError::NoLocks { .. } => {
                Self::new(Exit::Usage, error).hint("name a place on a local disk with --state PATH")
            }
            OpenError::Unusable { .. } => {
                Self::new(Exit::Unwritable, error).hint("name a place that you can write with --state PATH")
            }
            OpenError::Damaged { .. } => Self::new(Exit::Unwritable, error)
                .hint("go on with a copy that `nightreel export` made, under the same name")
                .hint("without one, move it away, and begin with: nightreel rescue --adopt --manifest MANIFEST"),
            OpenError::Engine { .. } => Self::new(Exit::Unwritable, error)
                .hint("is the disk full, or failing? `nightreel doctor` looks; then run the same command again"),
        }
    }
}

#[cfg(feature = "postgres")]
impl From<crate::store::postgres::OpenError> for Failure {
    fn from(error: crate::store::postgres::OpenError) -> Self {
        use crate::store::postgres::OpenError as Shared;
        let (exit, hint) = match &error {
            Shared::Address { .. } => {
                (Exit::Usage, "such as --state postgres://USER@HOST/DATABASE?sslmode=verify-full")
            }
            Shared::Unreachable { .. } => (Exit::Unwritable, "is it up, and is this its address?"),
            Shared::Tls { .. } => (
                Exit::Usage,
                "its certificate must name the host as the address does, and be by someone whom the system trusts, or \
                 sslrootcert=FILE; sslmode=disable does without TLS",
            ),
            Shared::Refused { .. } => (
                Exit::Usage,
                "a password comes from PGPASSWORD or ~/.pgpass; the user must be allowed to make the schema nightreel",
            ),
            Shared::NotALedger { .. } => (Exit::Usage, "name another database with --state"),
            Shared::Newer { .. } => (Exit::Usage, "use the newer nightreel that made it, on every machine"),
            Shared::Older { .. } => (Exit::Usage, "any `nightreel run` or `nightreel collect` brings it up to date"),
        };
        Self::new(exit, error).hint(hint)
    }
}

impl From<StoreError> for Failure {
    fn from(error: StoreError) -> Self {
        match error {
            StoreError::Full | StoreError::ReadOnly => Self::new(Exit::Unwritable, error)
                .hint("make room, then run the same command again: what was paid is known or will be asked for"),
            StoreError::Gone => Self::new(Exit::Unwritable, error).hint(
                "what it held is put back in its place, or, where another file has taken that, lies beside it as `.kept`; \
                 then the same command goes on",
            ),
            StoreError::Conflict { .. } | StoreError::Damaged(_) | StoreError::Engine(_) | StoreError::Closed => {
                Self::new(Exit::Internal, error)
            }
        }
    }
}

impl From<RecordError> for Failure {
    fn from(error: RecordError) -> Self {
        match error {
            RecordError::Store(store) => store.into(),
            illegal @ RecordError::Illegal { .. } => Self::new(Exit::Internal, illegal),
        }
    }
}

impl From<SurveyError> for Failure {
    fn from(error: SurveyError) -> Self {
        match error {
            SurveyError::Store(store) => store.into(),
            SurveyError::Manifest(_) if is_missing(&error) => Self::new(Exit::Usage, error).hint(A_MANIFEST),
            SurveyError::Manifest(_) => Self::new(Exit::Usage, error),
            SurveyError::Template(_) => Self::new(Exit::Usage, error).hint("such as --name '{scene}/{id}.mp4'"),
            SurveyError::Scratch(_) => {
                Self::new(Exit::Unwritable, error).hint("make room where temporary files go (TMPDIR)")
            }
            SurveyError::Broken => Self::new(Exit::Internal, error),
        }
    }
}

macro_rules! usage {
    ($($error:ty),*) => {$(
        impl From<$error> for Failure {
            fn from(error: $error) -> Self {
                Self::new(Exit::Usage, error)
            }
        }
    )*};
}

usage!(Invalid, StartError);

impl From<ConfigError> for Failure {
    fn from(error: ConfigError) -> Self {
        let hint = error.hint();
        let failure = Self::new(Exit::Usage, error);
        hint.into_iter().fold(failure, Self::hint)
    }
}

impl From<BuildError> for Failure {
    fn from(error: BuildError) -> Self {
        let hint = error.hint();
        let failure = Self::new(Exit::Usage, error);
        hint.into_iter().fold(failure, Self::hint)
    }
}

impl From<serve::StartError> for Failure {
    fn from(error: serve::StartError) -> Self {
        let hint = error.hint();
        Self::new(Exit::Usage, error).hint(hint)
    }
}

impl From<HookError> for Failure {
    fn from(error: HookError) -> Self {
        match &error {
            HookError::Open { path, .. } => {
                let hint = format!("chmod 600 {}", path.display());
                Self::new(Exit::Usage, error).hint(hint)
            }
            HookError::Unusable { .. } | HookError::NoRandomness => Self::new(Exit::Unwritable, error),
        }
    }
}

impl From<SinkError> for Failure {
    fn from(error: SinkError) -> Self {
        let hint = match &error {
            SinkError::Refused { hint, .. } => hint,
            SinkError::Unreachable { .. } => "run the same command again when it can be reached: nothing is lost",
            SinkError::Full => "make room, then run the same command again: nothing is paid for twice",
            SinkError::Unwritable { .. } | SinkError::NotAVideo { .. } => {
                "name a folder that you can write with --out DIR"
            }
        };
        Self::new(Exit::Unwritable, error).hint(hint)
    }
}

impl From<sink::OpenError> for Failure {
    fn from(error: sink::OpenError) -> Self {
        let hint = error.hint();
        Self::new(Exit::Usage, error).hint(hint)
    }
}

impl From<ReportError> for Failure {
    fn from(error: ReportError) -> Self {
        match error {
            ReportError::Store(store) => store.into(),
            ReportError::Sink(sink) => sink.into(),
            taken @ ReportError::Taken(_) => {
                Self::new(Exit::Usage, taken).hint("name a folder that is new or empty: nightreel report --out DIR")
            }
            unwritable @ (ReportError::Write(_) | ReportError::Line(_)) => Self::new(Exit::Unwritable, unwritable),
        }
    }
}

impl From<download::BuildError> for Failure {
    fn from(error: download::BuildError) -> Self {
        Self::new(Exit::Internal, error)
    }
}

impl From<CopyError> for Failure {
    fn from(error: CopyError) -> Self {
        match error {
            CopyError::Open(open) => open.into(),
            CopyError::Exists { .. } => Self::new(Exit::Usage, error).hint("name another file, or move that one away"),
            CopyError::HasRows { .. } => Self::new(Exit::Usage, error)
                .hint("to have both: --state ANOTHER_PATH")
                .hint("to have this one instead: move that one away first, with its -wal file"),
            CopyError::LeftOver { .. } => Self::new(Exit::Usage, error)
                .hint("end what reads it; a -wal file whose ledger is gone belongs beside that ledger: move it away"),
            CopyError::Damaged { .. } => Self::new(Exit::Usage, error)
                .hint("export it once more where it came from, and compare the sha256 after it was carried over"),
            CopyError::Unusable { .. } if is_missing(&error) => Self::new(Exit::Usage, error)
                .hint("name a file that `nightreel export FILE` wrote, in a folder that is there"),
            CopyError::Unusable { .. } => Self::new(Exit::Unwritable, error).hint("name a file that you can write"),
        }
    }
}
