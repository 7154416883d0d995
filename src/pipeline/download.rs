//! Fetches one finished video from its link into a sink, going on where an earlier try stopped when the file host has
//! still the same version. Nobody is told the account's key here, and a link's signature is never shown. It tries once:
//! when to try again is for its caller.

mod answer;
mod reach;
#[cfg(test)]
mod tests;

use std::error::Error as _;
#[cfg(test)]
use std::sync::Arc;
use std::time::Duration;

#[cfg(test)]
use futures::future::BoxFuture;
use reqwest::header::{ACCEPT_ENCODING, IF_RANGE, RANGE};
use reqwest::{Response, Url};
use tokio_util::sync::CancellationToken;

use self::answer::Answer;
use self::reach::Clients;
pub use self::reach::Reach;
use crate::domain::{AccountName, Artifact, OutputKey};
use crate::gateway::place::leads_to_private;
use crate::pace::Clock;
use crate::sink::{Partial, Sink, SinkError};
use crate::store::Account;

/// The least that has to come within the time that a download may go without a byte: who dribbles would keep a place for
/// ever.
const LEAST: u64 = 16 * 1024;

/// How many characters of an explanation are kept.
const LONGEST_WORDS: usize = 200;

/// The HTTP client could not be made.
#[derive(Debug, thiserror::Error)]
#[error("the HTTP client for downloads could not be made")]
pub struct BuildError(#[from] reqwest::Error);

/// What became of fetching one video.
#[derive(Debug)]
pub enum Fetched {
    /// It is in the sink, whole and synced.
    Stored(Artifact),
    /// The link is dead (403, 404, 410): a new one is needed.
    Expired {
        /// What the file host answered.
        words: String,
    },
    /// It did not work this time: transport, 5xx, 429, not a video, wrong length, next to nothing for too long, an object store that
    /// cannot be reached. What can be gone on with is kept.
    Failed {
        /// What went wrong.
        words: String,
        /// How long the file host asks to wait, where it says so.
        retry_after: Option<Duration>,
    },
    /// The sink is full or cannot be written ([`SinkError::Full`], [`SinkError::Unwritable`], [`SinkError::Refused`]).
    SinkStopped(SinkError),
    /// It was asked to stop, and did between two chunks. What came is kept.
    Stopped,
    /// The link is no http(s) address, or leads where it may not.
    Refused {
        /// What is wrong with it.
        words: String,
    },
}

/// Who answers.
#[derive(Debug)]
enum Host {
    /// Whoever is at the address.
    Web(Clients),
    /// A host of the tests', without a network.
    #[cfg(test)]
    Played(Arc<dyn Play>),
}

impl Host {
    /// Asks for the whole, or for what follows the bytes that are held of a version.
    async fn get(&self, (url, reach): (&Url, Reach), from: Option<(u64, &str)>) -> Result<Response, reqwest::Error> {
        match self {
            Self::Web(clients) => {
                let client = clients.of(reach)?;
                let mut request = client.get(url.clone()).header(ACCEPT_ENCODING, "identity");
                if let Some((held, validator)) = from {
                    request = request.header(RANGE, format!("bytes={held}-")).header(IF_RANGE, validator);
                }
                request.send().await
            }
            #[cfg(test)]
            Self::Played(host) => Ok(host.get(url, from).await),
        }
    }
}

/// A file host of the tests': what it answers to a request for the whole of a file, or for what follows the bytes that are
/// held of a version.
#[cfg(test)]
pub(super) trait Play: std::fmt::Debug + Send + Sync {
    fn get<'a>(&'a self, url: &'a Url, from: Option<(u64, &'a str)>) -> BoxFuture<'a, Response>;
}

/// Fetches videos. Holds connection pools of its own, apart from that of any gateway.
#[derive(Debug)]
pub struct Downloader {
    host: Host,
    clock: Clock,
    stall_after: Duration,
    max_bytes: u64,
    private: Vec<AccountName>,
}

impl Downloader {
    /// How long a download may go without a byte, or with less than 16 KiB.
    pub const STALL_AFTER: Duration = Duration::from_mins(1);

    /// The largest video that is taken unless set otherwise: 1 GiB.
    pub const MAX_BYTES: u64 = 1 << 30;

    /// A downloader that gives a download up after `stall_after` without a byte, or with next to none, or when it is larger
    /// than `max_bytes`. A download as a whole may take as long as it likes.
    pub fn new(clock: Clock, stall_after: Duration, max_bytes: u64) -> Result<Self, BuildError> {
        let host = Host::Web(Clients::new()?);
        Ok(Self { host, clock, stall_after, max_bytes, private: Vec::new() })
    }

    /// A downloader from a host of the tests'.
    #[cfg(test)]
    pub(super) fn playing(host: Arc<dyn Play>, clock: Clock) -> Self {
        let (stall_after, max_bytes) = (Self::STALL_AFTER, Self::MAX_BYTES);
        Self { host: Host::Played(host), clock, stall_after, max_bytes, private: Vec::new() }
    }

    /// Lets links of these accounts lead to private networks.
    #[must_use]
    pub fn allowing(self, private: Vec<AccountName>) -> Self {
        Self { private, ..self }
    }

    /// How far the links of an account may lead: to private networks only where its gateway is there itself, as a rehearsal's
    /// is, or where the user allows it.
    #[must_use]
    pub fn reach_of(&self, account: &Account) -> Reach {
        let is_there = || Url::parse(&account.base_url).is_ok_and(|url| leads_to_private(&url));
        // Without an address it is the simulator within this process.
        if account.base_url.is_empty() || is_there() || self.private.contains(&account.name) {
            Reach::Anywhere
        } else {
            Reach::Public
        }
    }

    /// Fetches `link`, which may lead as far as `reach` says, into `sink` under `key`. Keeps what came when it is cancelled
    /// by `stop` or fails half-way; `owner` must be the same for every try of one attempt, and another for another attempt.
    pub async fn fetch(
        &self,
        (link, reach): (&str, Reach),
        sink: &dyn Sink,
        key: &OutputKey,
        owner: &str,
        stop: &CancellationToken,
    ) -> Fetched {
        let url = match Url::parse(link) {
            Ok(url) => url,
            Err(error) => return refused(&format!("the link is no address: {error}")),
        };
        if let Err(why) = reach.allows(&url) {
            return refused(&why);
        }
        if stop.is_cancelled() {
            return Fetched::Stopped;
        }
        match self.try_fetch((&url, reach), sink, key, owner, stop).await {
            Ok(artifact) => Fetched::Stored(artifact),
            Err(other) => other,
        }
    }

    async fn try_fetch(
        &self,
        link: (&Url, Reach),
        sink: &dyn Sink,
        key: &OutputKey,
        owner: &str,
        stop: &CancellationToken,
    ) -> Result<Artifact, Fetched> {
        let mut partial = sink.begin(key, owner).await.map_err(sink_failed)?;
        let (held, validator) = (partial.held(), partial.validator().map(str::to_owned));
        let resume = validator.filter(|_| held > 0);
        let mut response = self.ask(link, resume.as_deref().map(|validator| (held, validator)), stop).await?;
        let mut answer = Answer::of(&response, resume.as_deref().map(|validator| (held, validator)), &self.clock);
        if matches!(answer, Answer::Restart) {
            response = self.ask(link, None, stop).await?;
            answer = Answer::of(&response, None, &self.clock);
        }
        let total = match answer {
            Answer::Whole { total, validator } => {
                self.check_size(total)?;
                partial.restart(validator).await.map_err(sink_failed)?;
                total
            }
            Answer::Rest { total } => {
                self.check_size(total)?;
                total
            }
            Answer::Complete => return partial.finish(Some(held)).await.map_err(sink_failed),
            Answer::Restart => return Err(failed("the file host sent a part where the whole was asked for")),
            Answer::Expired(words) => return Err(Fetched::Expired { words }),
            Answer::Failed { words, retry_after } => return Err(Fetched::Failed { words, retry_after }),
        };
        let partial = self.receive(response, partial, stop).await?;
        let held = partial.held();
        match total {
            Some(total) if held > total => {
                discard(partial).await;
                Err(failed(&format!("{held} bytes came where {total} were announced")))
            }
            // What came is kept for the next try.
            Some(total) if held < total => Err(failed(&format!("only {held} of {total} bytes came"))),
            Some(_) | None => partial.finish(total).await.map_err(sink_failed),
        }
    }

    /// Asks for the whole, or for what follows the bytes that are held of a version.
    async fn ask(
        &self,
        link: (&Url, Reach),
        from: Option<(u64, &str)>,
        stop: &CancellationToken,
    ) -> Result<Response, Fetched> {
        let answered = self.clock.within(self.stall_after, self.host.get(link, from));
        match stop.run_until_cancelled(answered).await {
            None => Err(Fetched::Stopped),
            Some(None) => Err(failed(&format!("no answer for {} s", self.stall_after.as_secs()))),
            Some(Some(answer)) => answer.map_err(transport_failed),
        }
    }

    /// Takes the body in. Cancelling is looked at between chunks only, so that no write is left half-done.
    async fn receive(
        &self,
        mut response: Response,
        mut partial: Box<dyn Partial>,
        stop: &CancellationToken,
    ) -> Result<Box<dyn Partial>, Fetched> {
        let mut since = self.clock.now();
        let mut came = 0;
        loop {
            let chunk = self.clock.within(self.stall_after, response.chunk());
            let chunk = match stop.run_until_cancelled(chunk).await {
                None => return Err(Fetched::Stopped),
                Some(None) => return Err(failed(&format!("no byte came for {} s", self.stall_after.as_secs()))),
                Some(Some(chunk)) => chunk.map_err(transport_failed)?,
            };
            let Some(bytes) = chunk else {
                return Ok(partial);
            };
            if partial.held() + bytes.len() as u64 > self.max_bytes {
                discard(partial).await;
                return Err(self.too_large());
            }
            came += bytes.len() as u64;
            partial.append(bytes).await.map_err(sink_failed)?;
            let now = self.clock.now();
            if Duration::try_from(now.duration_since(since)).unwrap_or_default() >= self.stall_after {
                if came < LEAST {
                    return Err(failed(&format!("no more than {came} bytes came in {} s", self.stall_after.as_secs())));
                }
                (since, came) = (now, 0);
            }
        }
    }

    fn check_size(&self, total: Option<u64>) -> Result<(), Fetched> {
        if total.is_some_and(|total| total > self.max_bytes) { Err(self.too_large()) } else { Ok(()) }
    }

    fn too_large(&self) -> Fetched {
        failed(&format!("it is larger than {} MiB (max_video)", self.max_bytes >> 20))
    }
}

/// Throws a partial file away: by contract, one that is finished while it is no video is gone.
async fn discard(mut partial: Box<dyn Partial>) {
    if partial.restart(None).await.is_ok() {
        let _ = partial.finish(None).await;
    }
}

fn sink_failed(error: SinkError) -> Fetched {
    match error {
        SinkError::NotAVideo { why } => failed(&format!("what came is not a whole video: {why}")),
        SinkError::Unreachable { .. } => failed(&error.to_string()),
        SinkError::Full | SinkError::Unwritable { .. } | SinkError::Refused { .. } => Fetched::SinkStopped(error),
    }
}

fn failed(words: &str) -> Fetched {
    Fetched::Failed { words: short(words), retry_after: None }
}

fn refused(words: &str) -> Fetched {
    Fetched::Refused { words: short(words) }
}

/// One line, not too long: parts of it may be a file host's own words.
fn short(words: &str) -> String {
    words.chars().filter(|c| !c.is_control()).take(LONGEST_WORDS).collect()
}

/// The whole chain of a transport error in a line, without the link.
fn transport_failed(error: reqwest::Error) -> Fetched {
    let error = error.without_url();
    let mut words = error.to_string();
    let mut source = error.source();
    while let Some(cause) = source {
        let cause_words = cause.to_string();
        if !words.contains(&cause_words) {
            words = format!("{words}: {cause_words}");
        }
        source = cause.source();
    }
    failed(&words)
}
