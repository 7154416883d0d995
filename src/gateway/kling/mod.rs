//! The one adapter for everything that speaks Kling's wire format: Kling itself, the simulator, and the gateways that
//! differ from it in address, in key and, from answer to answer, in the envelope.
//!
//! It sends one request per call and says what became of it. It knows `/v1/videos/effects` and nothing else of the API.

mod body;
mod classify;
mod record;
mod shape;
#[cfg(test)]
mod tests;
mod verdict;

use std::fmt;
use std::time::Duration;

use futures::future::BoxFuture;
use reqwest::header::{AUTHORIZATION, CONTENT_LENGTH, CONTENT_TYPE, HeaderValue, LOCATION};
use reqwest::{Body, RequestBuilder, Url};
use secrecy::{ExposeSecret, SecretString};

use self::body::RequestBody;
use self::classify::{Answer, NoTask};
use self::record::Record;
use self::shape::Shape;
use super::http::{self, Broken, Clients};
use super::words::Wording;
use super::{Asked, Capabilities, Gateway, Limit, Listed, NotMade, Observed, Order, Probe, Submitted};
use crate::domain::{ClientRef, Doubt, TaskId};
use crate::pace::Clock;

/// The largest answer that is read about one task, in bytes.
const LARGEST_ANSWER: usize = 1024 * 1024;

/// The largest page of tasks that is read, in bytes: 500 records with two signed links each come to about 2 MB.
const LARGEST_PAGE: usize = 8 * 1024 * 1024;

/// The id that a harmless question asks for: no task has it.
const NO_TASK: &str = "nightreel-probe";

/// Where a remote is, and how to speak to it.
#[derive(Debug, Clone)]
pub struct Settings {
    /// `http(s)://host[:port][/prefix]`, to which `/v1/videos/effects` is appended: `https://gw.example/kling`, say.
    pub base_url: String,
    /// What is sent as `Authorization: Bearer …`; nothing when `None`.
    pub key: Option<SecretString>,
    /// What the remote can do.
    pub capabilities: Capabilities,
    /// How long a request for a task may take, upload and answer together.
    pub request_timeout: Duration,
    /// How long a question may take.
    pub query_timeout: Duration,
}

impl Settings {
    /// How long a request may take unless set otherwise: two images of 10 MB over a slow line, and a slow answer.
    pub const REQUEST_TIMEOUT: Duration = Duration::from_mins(2);
    /// How long a question may take unless set otherwise.
    pub const QUERY_TIMEOUT: Duration = Duration::from_secs(30);

    /// Settings with the default time-outs.
    #[must_use]
    pub fn new(base_url: impl Into<String>, key: Option<SecretString>, capabilities: Capabilities) -> Self {
        let (request_timeout, query_timeout) = (Self::REQUEST_TIMEOUT, Self::QUERY_TIMEOUT);
        Self { base_url: base_url.into(), key, capabilities, request_timeout, query_timeout }
    }
}

/// Settings that cannot make a gateway.
#[derive(Debug, thiserror::Error)]
pub enum BuildError {
    /// The base URL is none. It is not repeated: it may hold a password.
    #[error("the base URL is not usable: {why}")]
    BaseUrl {
        /// What is wrong with it.
        why: String,
    },
    /// The key cannot be sent in a header.
    #[error("the key is empty or holds a character that no HTTP header can carry")]
    Key,
    /// The HTTP client could not be made: no certificates on this machine, or an unusable proxy.
    #[error("the HTTP client could not be made")]
    Client(#[source] reqwest::Error),
}

/// A remote that speaks Kling's wire format. Its `Debug` shows no key.
pub struct KlingGateway {
    tasks: Url,
    authorization: Option<HeaderValue>,
    capabilities: Capabilities,
    request_timeout: Duration,
    query_timeout: Duration,
    clients: Clients,
    wording: Wording,
    clock: Clock,
}

impl KlingGateway {
    /// A gateway with these settings. Nothing is sent.
    pub fn new(settings: Settings, clock: Clock) -> Result<Self, BuildError> {
        let Settings { base_url, key, capabilities, request_timeout, query_timeout } = settings;
        let tasks = tasks_url(&base_url)?;
        let key = key.map(|key| SecretString::from(key.expose_secret().trim()));
        let authorization = key.as_ref().map(authorization).transpose()?;
        let clients = Clients::new(&tasks, request_timeout).map_err(BuildError::Client)?;
        let wording = Wording::new(key);
        Ok(Self { tasks, authorization, capabilities, request_timeout, query_timeout, clients, wording, clock })
    }

    /// The address of one task: `id` is one segment of the path, whatever it holds.
    fn task_url(&self, id: &str) -> Url {
        let mut url = self.tasks.clone();
        if let Ok(mut path) = url.path_segments_mut() {
            path.push(id);
        }
        url
    }

    /// Sends `request` and reads the answer.
    async fn exchange(&self, request: RequestBuilder, limit: usize) -> Result<Answer, Broken> {
        let request = match &self.authorization {
            Some(value) => request.header(AUTHORIZATION, value.clone()),
            None => request,
        };
        let response = request.send().await.map_err(Broken::of)?;
        let status = response.status().as_u16();
        let retry_after = http::retry_after(response.headers(), self.clock.now());
        let location = response.headers().get(LOCATION).and_then(|place| place.to_str().ok()).map(str::to_owned);
        let body = http::read_limited(response, limit).await?;
        Ok(Answer { status, retry_after, location, body })
    }

    async fn order(&self, order: Order<'_>) -> Submitted {
        let body = RequestBody::new(order);
        let request = self
            .clients
            .ordering
            .post(self.tasks.clone())
            .header(CONTENT_TYPE, "application/json")
            .header(CONTENT_LENGTH, body.len())
            .body(Body::wrap_stream(body.into_stream()));
        match self.clock.within(self.request_timeout, self.exchange(request, LARGEST_ANSWER)).await {
            Some(Ok(answer)) => classify::submitted(&answer, &self.wording),
            Some(Err(Broken::Unsent(words))) => {
                let words = self.wording.of(&words);
                Submitted::NotMade(NotMade { words, retry_after: None, limit: Limit::Unreachable })
            }
            Some(Err(Broken::Lost(words))) => Submitted::InDoubt(Doubt::LostAnswer { words: self.wording.of(&words) }),
            None => Submitted::InDoubt(Doubt::TimedOut),
        }
    }

    /// Asks, and gives the answer with its shape, or why there is none.
    async fn ask(&self, url: Url, limit: usize) -> Result<(Answer, Shape), NoTask> {
        let request = self.clients.asking.get(url);
        let words = match self.clock.within(self.query_timeout, self.exchange(request, limit)).await {
            Some(Ok(answer)) => {
                let shape = Shape::of(&answer.body);
                return Ok((answer, shape));
            }
            Some(Err(Broken::Unsent(words) | Broken::Lost(words))) => self.wording.of(&words),
            None => "no answer came in time".to_owned(),
        };
        Err(NoTask::Unclear { words, retry_after: None })
    }

    /// Asks for one task by either of its ids.
    async fn look(&self, id: &str) -> Result<(Answer, Record), NoTask> {
        let (answer, shape) = self.ask(self.task_url(id), LARGEST_ANSWER).await?;
        match shape {
            Shape::Task(record) if (200..300).contains(&answer.status) => Ok((answer, *record)),
            shape => Err(classify::no_task(&answer, &shape, &self.wording)),
        }
    }

    async fn found(&self, client_ref: &ClientRef) -> Result<Observed, NoTask> {
        if !self.capabilities.find {
            return Err(not_able("this gateway cannot look up external task ids"));
        }
        let (answer, record) = self.look(client_ref.as_str()).await?;
        // Somebody else's task is never adopted; one that shows no reference is what was asked for.
        if record.external.as_deref().is_some_and(|external| external != client_ref.as_str()) {
            return Ok(Observed::NotVisible);
        }
        let task = record.id.clone().and_then(|id| TaskId::new(id).ok());
        Ok(self.seen(&answer, record, task))
    }

    fn seen(&self, answer: &Answer, record: Record, task: Option<TaskId>) -> Observed {
        task.and_then(|task| record.observation(task, &self.wording)).map_or_else(
            || Observed::Unclear {
                words: "a task without an id or a status".to_owned(),
                retry_after: answer.retry_after,
            },
            Observed::Seen,
        )
    }

    async fn page(&self, page: u32, size: u32) -> Result<Listed, NoTask> {
        if !self.capabilities.list {
            return Err(not_able("this gateway lists no tasks"));
        }
        let mut url = self.tasks.clone();
        url.query_pairs_mut().append_pair("pageNum", &page.to_string()).append_pair("pageSize", &size.to_string());
        let (answer, shape) = self.ask(url, LARGEST_PAGE).await?;
        match shape {
            Shape::Tasks(records) if (200..300).contains(&answer.status) => {
                let observations = records.into_iter().filter_map(|record| {
                    let task = record.id.clone().and_then(|id| TaskId::new(id).ok())?;
                    record.observation(task, &self.wording)
                });
                Ok(Listed::Page(observations.collect()))
            }
            shape => Err(classify::no_task(&answer, &shape, &self.wording)),
        }
    }
}

impl Gateway for KlingGateway {
    fn capabilities(&self) -> Capabilities {
        self.capabilities
    }

    fn submit<'a>(&'a self, order: Order<'a>) -> BoxFuture<'a, Submitted> {
        Box::pin(self.order(order))
    }

    fn find<'a>(&'a self, client_ref: &'a ClientRef) -> BoxFuture<'a, Observed> {
        Box::pin(async move { self.found(client_ref).await.unwrap_or_else(Observed::from) })
    }

    fn observe<'a>(&'a self, asked: Asked<'a>) -> BoxFuture<'a, Observed> {
        Box::pin(async move {
            match self.look(asked.task.as_str()).await {
                // Under the id that was asked for: a gateway may show its upstream's own.
                Ok((answer, record)) => self.seen(&answer, record, Some(asked.task.clone())),
                Err(none) => none.into(),
            }
        })
    }

    fn list(&self, page: u32, size: u32) -> BoxFuture<'_, Listed> {
        Box::pin(async move {
            self.page(page, size).await.unwrap_or_else(|none| match none {
                // A list that is "not there" is no statement about any task.
                NoTask::NotVisible => {
                    Listed::Unclear { words: "there is no list of tasks".to_owned(), retry_after: None }
                }
                NoTask::Unclear { words, retry_after } => Listed::Unclear { words, retry_after },
                NoTask::Paused(pause) => Listed::Paused(pause),
            })
        })
    }

    fn probe(&self) -> BoxFuture<'_, Result<Probe, String>> {
        Box::pin(async move {
            let begun = self.clock.now();
            let observed = self
                .look(NO_TASK)
                .await
                .map_or_else(Observed::from, |(answer, record)| self.seen(&answer, record, None));
            let took = Duration::try_from(self.clock.now().duration_since(begun)).unwrap_or_default();
            Ok(Probe { took, ahead: None, observed })
        })
    }
}

impl fmt::Debug for KlingGateway {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("KlingGateway")
            .field("tasks", &self.tasks.as_str())
            .field("capabilities", &self.capabilities)
            .finish_non_exhaustive()
    }
}

impl From<NoTask> for Observed {
    fn from(none: NoTask) -> Self {
        match none {
            NoTask::NotVisible => Self::NotVisible,
            NoTask::Unclear { words, retry_after } => Self::Unclear { words, retry_after },
            NoTask::Paused(pause) => Self::Paused(pause),
        }
    }
}

fn not_able(words: &str) -> NoTask {
    NoTask::Unclear { words: words.to_owned(), retry_after: None }
}

/// The address of the tasks, from the base URL.
fn tasks_url(base: &str) -> Result<Url, BuildError> {
    let refuse = |why: &str| Err(BuildError::BaseUrl { why: why.to_owned() });
    let base = base.trim().trim_end_matches('/');
    let url = match Url::parse(base) {
        Ok(url) => url,
        Err(error) => return refuse(&error.to_string()),
    };
    if !matches!(url.scheme(), "http" | "https") || !url.has_host() {
        return refuse("it does not begin with http:// or https:// and a host");
    }
    if !url.username().is_empty() || url.password().is_some() {
        return refuse("it holds a user name or a password");
    }
    if url.query().is_some() || url.fragment().is_some() {
        return refuse("it holds a query or a fragment");
    }
    if url.path().split('/').any(|segment| segment == "v1") {
        return refuse("it goes too far: leave out /v1 and what follows");
    }
    Url::parse(&format!("{base}/v1/videos/effects")).or_else(|error| refuse(&error.to_string()))
}

fn authorization(key: &SecretString) -> Result<HeaderValue, BuildError> {
    if key.expose_secret().is_empty() {
        return Err(BuildError::Key);
    }
    let mut value = HeaderValue::try_from(format!("Bearer {}", key.expose_secret())).map_err(|_| BuildError::Key)?;
    value.set_sensitive(true);
    Ok(value)
}
