//! Fetches one finished video from its link into a sink, going on where an earlier try stopped when the file host has
//! still the same version. Nobody is told the account's key here, and a link's signature is never shown. It tries once:
//! when to try again is for its caller.

mod answer;
#[cfg(test)]
mod tests;

use std::error::Error as _;
#[cfg(test)]
use std::sync::Arc;
use std::time::Duration;

#[cfg(test)]
use futures::future::BoxFuture;
use reqwest::header::{ACCEPT_ENCODING, IF_RANGE, RANGE};
use reqwest::redirect::{Attempt, Policy};
use reqwest::{Client, Response, Url};
use tokio_util::sync::CancellationToken;

use self::answer::Answer;
use crate::domain::{Artifact, OutputKey};
use crate::pace::Clock;
use crate::sink::{Partial, Sink, SinkError};

/// How long reaching a file host may take.
const CONNECT_WITHIN: Duration = Duration::from_secs(10);

/// How many redirects are followed.
const MOST_REDIRECTS: usize = 5;

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
    /// It did not work this time: transport, 5xx, 429, not a video, wrong length, no byte for too long, an object store that
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
    /// The link is no http(s) address.
    Refused {
        /// What is wrong with it.
        words: String,
    },
}

/// Who answers.
#[derive(Debug)]
enum Host {
    /// Whoever is at the address.
    Web(Client),
    /// A host of the tests', without a network.
    #[cfg(test)]
    Played(Arc<dyn Play>),
}

impl Host {
    /// Asks for the whole, or for what follows the bytes that are held of a version.
    async fn get(&self, url: &Url, from: Option<(u64, &str)>) -> Result<Response, reqwest::Error> {
        match self {
            Self::Web(client) => {
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

/// Fetches videos. Holds a connection pool of its own, apart from that of any gateway.
#[derive(Debug)]
pub struct Downloader {
    host: Host,
    clock: Clock,
    stall_after: Duration,
    max_bytes: u64,
}

impl Downloader {
    /// How long a download may go without a byte.
    pub const STALL_AFTER: Duration = Duration::from_mins(1);

    /// The largest video that is taken: 4 GiB.
    pub const MAX_BYTES: u64 = 4 << 30;

    /// A downloader that gives a download up after `stall_after` without a byte, or when it is larger than `max_bytes`. A
    /// download as a whole may take as long as it likes.
    pub fn new(clock: Clock, stall_after: Duration, max_bytes: u64) -> Result<Self, BuildError> {
        // An error says that the process has one already.
        let _ = rustls::crypto::ring::default_provider().install_default();
        let client = Client::builder()
            .user_agent(concat!("nightreel/", env!("CARGO_PKG_VERSION")))
            .connect_timeout(CONNECT_WITHIN)
            .redirect(Policy::custom(follow))
            // It would carry the signed link to another host.
            .referer(false)
            .build()?;
        Ok(Self { host: Host::Web(client), clock, stall_after, max_bytes })
    }

    /// A downloader from a host of the tests'.
    #[cfg(test)]
    pub(super) fn playing(host: Arc<dyn Play>, clock: Clock) -> Self {
        Self { host: Host::Played(host), clock, stall_after: Self::STALL_AFTER, max_bytes: Self::MAX_BYTES }
    }

    /// Fetches `link` into `sink` under `key`. Keeps what came when it is cancelled by `stop` or fails half-way;
    /// `owner` must be the same for every try of one attempt, and another for another attempt.
    pub async fn fetch(
        &self,
        link: &str,
        sink: &dyn Sink,
        key: &OutputKey,
        owner: &str,
        stop: &CancellationToken,
    ) -> Fetched {
        let url = match Url::parse(link) {
            Ok(url) if is_web(&url) => url,
            Ok(url) => return Fetched::Refused { words: format!("a link may not be of the kind `{}:`", url.scheme()) },
            Err(error) => return Fetched::Refused { words: format!("the link is no address: {error}") },
        };
        if stop.is_cancelled() {
            return Fetched::Stopped;
        }
        match self.try_fetch(&url, sink, key, owner, stop).await {
            Ok(artifact) => Fetched::Stored(artifact),
            Err(other) => other,
        }
    }

    async fn try_fetch(
        &self,
        url: &Url,
        sink: &dyn Sink,
        key: &OutputKey,
        owner: &str,
        stop: &CancellationToken,
    ) -> Result<Artifact, Fetched> {
        let mut partial = sink.begin(key, owner).await.map_err(sink_failed)?;
        let (held, validator) = (partial.held(), partial.validator().map(str::to_owned));
        let resume = validator.filter(|_| held > 0);
        let mut response = self.ask(url, resume.as_deref().map(|validator| (held, validator)), stop).await?;
        let mut answer = Answer::of(&response, resume.as_deref().map(|validator| (held, validator)), &self.clock);
        if matches!(answer, Answer::Restart) {
            response = self.ask(url, None, stop).await?;
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
    async fn ask(&self, url: &Url, from: Option<(u64, &str)>, stop: &CancellationToken) -> Result<Response, Fetched> {
        let answered = self.clock.within(self.stall_after, self.host.get(url, from));
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
            partial.append(bytes).await.map_err(sink_failed)?;
        }
    }

    fn check_size(&self, total: Option<u64>) -> Result<(), Fetched> {
        if total.is_some_and(|total| total > self.max_bytes) { Err(self.too_large()) } else { Ok(()) }
    }

    fn too_large(&self) -> Fetched {
        failed(&format!("it is larger than {} MiB", self.max_bytes >> 20))
    }
}

/// Throws a partial file away: by contract, one that is finished while it is no video is gone.
async fn discard(mut partial: Box<dyn Partial>) {
    if partial.restart(None).await.is_ok() {
        let _ = partial.finish(None).await;
    }
}

fn follow(attempt: Attempt<'_>) -> reqwest::redirect::Action {
    if attempt.previous().len() > MOST_REDIRECTS {
        attempt.error("too many redirects")
    } else if !is_web(attempt.url()) {
        attempt.error("a redirect leads to something that is no web address")
    } else {
        attempt.follow()
    }
}

fn is_web(url: &Url) -> bool {
    matches!(url.scheme(), "http" | "https") && url.has_host()
}

fn sink_failed(error: SinkError) -> Fetched {
    match error {
        SinkError::NotAVideo { why } => failed(&format!("what came is not a whole video: {why}")),
        SinkError::Unreachable { .. } => failed(&error.to_string()),
        SinkError::Full | SinkError::Unwritable { .. } | SinkError::Refused { .. } => Fetched::SinkStopped(error),
    }
}

fn failed(words: &str) -> Fetched {
    Fetched::Failed { words: words.chars().take(LONGEST_WORDS).collect(), retry_after: None }
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
