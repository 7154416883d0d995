//! What the simulated remote is like: whose dialect it speaks, whom it lets in, what it charges, what goes wrong.

use std::fmt;
use std::path::PathBuf;
use std::time::Duration;

use jiff::SignedDuration;

use super::fault::Fault;

/// What the simulated remote is like.
#[derive(Debug, Clone)]
pub struct Settings {
    /// The port on 127.0.0.1; 0 takes a free one.
    pub port: u16,
    /// Tasks take this many times less. Default 1.
    pub speed: f64,
    /// The shortest and longest time of a task. Default 2 s to 6 s.
    pub task_for: (Duration, Duration),
    /// Tasks that may run at once; `None` for any number. Default 5. More are refused, or at fal wait.
    pub in_flight: Option<u32>,
    /// Creations allowed in a span; `None` for any number. Default `None`.
    pub rate: Option<(u32, Duration)>,
    /// What goes wrong.
    pub faults: Vec<Fault>,
    /// Scenes whose tasks all fail.
    pub fail_scenes: Vec<String>,
    /// What chance begins with. Default 7.
    pub seed: u64,
    /// What is demanded of whoever asks.
    pub credentials: Credentials,
    /// How long after it was made a signed token is taken, in whole seconds; `None` until it says that it ends. Default
    /// `None`.
    pub token_age: Option<Duration>,
    /// How far the remote's clock is ahead, where it judges tokens and dates its answers. Default none.
    pub clock_offset: SignedDuration,
    /// What external ids are good for.
    pub lookup: Lookup,
    /// Whether tasks can be listed.
    pub listing: Listing,
    /// Whose wire it speaks.
    pub dialect: Dialect,
    /// How a task is told, in Kling's dialect and `CometAPI`'s; the new-api family always wraps.
    pub answers: Answers,
    /// What a task that ends well costs, in units. Default 2.
    pub units: f64,
    /// What the resource pack holds, in units; `None` for one that never runs out. Default `None`.
    pub pack: Option<f64>,
    /// How long a link lives. Default 1 h.
    pub link_for: Duration,
    /// How long a new task can be neither queried nor listed. Default none.
    pub visible_after: Duration,
    /// The size that videos are filled up to.
    pub video_bytes: Option<u64>,
    /// Where tasks are written down, so that a restart has them again.
    pub journal: Option<PathBuf>,
    /// What stands before the paths of Kling's dialects, such as `/kling`.
    pub prefix: String,
}

/// What is demanded of whoever asks. Where neither a key nor a pair is set, the API takes any or none.
#[derive(Clone, Default)]
pub struct Credentials {
    /// The plain key.
    pub key: Option<String>,
    /// An access key and its secret, by which tokens are signed. Kling's dialect only.
    pub pair: Option<(String, String)>,
    /// The token of an account of `CometAPI`'s; without one, nobody sees that account's tasks.
    pub account_token: Option<String>,
    /// What webhooks of `WaveSpeed`'s are signed with; without one they are not.
    pub webhook_secret: Option<String>,
}

impl fmt::Debug for Credentials {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Credentials")
    }
}

/// What external ids are good for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Lookup {
    /// They are unique and find their task, as observed live at Kling.
    ByExternalId,
    /// They are a label, as at gateways that document nothing more.
    Nothing,
}

/// Whether tasks can be listed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Listing {
    /// As documented by Kling.
    Offered,
    /// As at gateways that document none.
    Missing,
}

/// How a task is told.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Answers {
    /// As Kling documents it.
    Plain,
    /// With an outer status and the remote's own answer within, as `CometAPI` was seen to do it in March 2026.
    Wrapped,
}

/// Whose wire is spoken.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Dialect {
    /// Kling's own.
    Kling,
    /// `CometAPI`'s: Kling's, but for what the gateway itself says.
    Comet,
    /// That of gateways in the new-api family.
    NewApi,
    /// That of fal's queue.
    Fal,
    /// That of `WaveSpeed`'s predictions.
    WaveSpeed,
}

impl Dialect {
    /// What external ids are good for there, as far as is documented.
    #[must_use]
    pub const fn lookup(self) -> Lookup {
        match self {
            Self::Kling => Lookup::ByExternalId,
            Self::Comet | Self::NewApi | Self::Fal | Self::WaveSpeed => Lookup::Nothing,
        }
    }

    /// Whether tasks can be listed there, as far as is documented.
    #[must_use]
    pub const fn listing(self) -> Listing {
        match self {
            Self::Kling => Listing::Offered,
            Self::Comet | Self::NewApi | Self::Fal | Self::WaveSpeed => Listing::Missing,
        }
    }
}

impl Settings {
    /// The defaults for a remote that speaks `dialect`.
    #[must_use]
    pub fn speaking(dialect: Dialect) -> Self {
        Self { dialect, lookup: dialect.lookup(), listing: dialect.listing(), ..Self::default() }
    }
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            port: 0,
            speed: 1.0,
            task_for: (Duration::from_secs(2), Duration::from_secs(6)),
            in_flight: Some(5),
            rate: None,
            faults: Vec::new(),
            fail_scenes: Vec::new(),
            seed: 7,
            credentials: Credentials::default(),
            token_age: None,
            clock_offset: SignedDuration::ZERO,
            lookup: Lookup::ByExternalId,
            listing: Listing::Offered,
            dialect: Dialect::Kling,
            answers: Answers::Plain,
            units: 2.0,
            pack: None,
            link_for: Duration::from_secs(3600),
            visible_after: Duration::ZERO,
            video_bytes: None,
            journal: None,
            prefix: String::new(),
        }
    }
}
