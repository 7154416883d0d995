//! The one adapter for everything that speaks Kling's wire format: Kling itself, the simulator, and the gateways that
//! differ from it in address, in key and, from answer to answer, in the envelope.
//!
//! It sends one request per call (one more where nothing but a short-lived token was refused) and says what became of it.
//! Of the API it knows `/v1/videos/effects`, and, as extras, the questions about the account.

mod account;
mod auth;
mod body;
mod classify;
mod codes;
mod record;
mod shape;
#[cfg(test)]
mod tests;
mod verdict;
mod wire;

use std::fmt;
use std::sync::atomic::AtomicBool;
use std::time::Duration;

use futures::future::BoxFuture;
use jiff::Timestamp;
use reqwest::header::{CONTENT_LENGTH, CONTENT_TYPE};
use reqwest::{Body, Url};
use secrecy::{ExposeSecret, SecretString};

use self::auth::Authorization;
use self::body::RequestBody;
use self::classify::{Answer, NoTask};
use self::record::Record;
use self::shape::Shape;
use self::wire::Wire;
use super::http::{self, Broken, Clients};
use super::spec::Credentials;
use super::words::Wording;
use super::{
    Asked, Balance, Capabilities, Charges, Gateway, Limit, Listed, NotMade, Observed, Order, Probe, QUERY_TIMEOUT,
    REQUEST_TIMEOUT, Submitted, Told,
};
#[cfg(any(test, fuzzing))]
use crate::domain::Progress;
use crate::domain::{ClientRef, Doubt, Observation, TaskId};
use crate::pace::Clock;

pub use self::account::Account;
pub(super) use self::account::COMET_QUOTA;
pub use self::body::Sent;
pub use self::codes::{Advice, advice, advice_on, all_advice, known_words};
pub use super::spec::BuildError;

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
    /// What shows it who asks.
    pub credentials: Credentials,
    /// What the remote can do.
    pub capabilities: Capabilities,
    /// What of a row is sent.
    pub parameters: Sent,
    /// Which questions about the account there are.
    pub account: Account,
    /// How long a request for a task may take, upload and answer together.
    pub request_timeout: Duration,
    /// How long a question may take.
    pub query_timeout: Duration,
}

impl Settings {
    /// Settings with the default time-outs, for a remote that takes all that a row has and tells nothing of the account.
    #[must_use]
    pub fn new(base_url: impl Into<String>, credentials: Credentials, capabilities: Capabilities) -> Self {
        Self {
            base_url: base_url.into(),
            credentials,
            capabilities,
            parameters: Sent::Rows,
            account: Account::Silent,
            request_timeout: REQUEST_TIMEOUT,
            query_timeout: QUERY_TIMEOUT,
        }
    }
}

/// A remote that speaks Kling's wire format. Its `Debug` shows no secret.
pub struct KlingGateway {
    base: Url,
    tasks: Url,
    capabilities: Capabilities,
    parameters: Sent,
    account: Account,
    /// Where the credentials are one: for the question that wants it in its address.
    key: Option<SecretString>,
    request_timeout: Duration,
    wire: Wire,
    /// The remote was asked for several tasks at once, and showed that it does not tell them. The capability stays what
    /// it was: it says what is worth trying.
    many_is_off: AtomicBool,
}

impl KlingGateway {
    /// A gateway with these settings. Nothing is sent.
    pub fn new(settings: Settings, clock: Clock) -> Result<Self, BuildError> {
        let Settings { base_url, credentials, capabilities, parameters, account, request_timeout, query_timeout } =
            settings;
        let (base, tasks) = addresses(&base_url)?;
        let token = match &account {
            Account::Comet { token, .. } => token.clone(),
            Account::Silent | Account::Kling => None,
        };
        let trimmed = |secret: SecretString| SecretString::from(secret.expose_secret().trim());
        let secrets = credentials.secrets().into_iter().map(&trimmed);
        let wording = secrets.fold(Wording::new(token.map(&trimmed)), Wording::hiding);
        // As it stands in an address, too, for the question that wants it there.
        let in_address = credentials.secrets().into_iter().filter_map(|secret| account::in_address(&secret));
        let wording = in_address.fold(wording, Wording::hiding);
        let authorization = Authorization::new(&credentials, &wording, &clock)?;
        let key = match credentials {
            Credentials::Key(key) => Some(trimmed(key)),
            Credentials::None | Credentials::AccessKey { .. } => None,
        };
        let clients = Clients::new(&tasks, request_timeout).map_err(BuildError::Client)?;
        let wire = Wire::new(clients, authorization, wording, clock, query_timeout);
        let many_is_off = AtomicBool::new(false);
        Ok(Self { base, tasks, capabilities, parameters, account, key, request_timeout, wire, many_is_off })
    }

    /// The address of one task: `id` is one segment of the path, whatever it holds.
    fn task_url(&self, id: &str) -> Url {
        let mut url = self.tasks.clone();
        if let Ok(mut path) = url.path_segments_mut() {
            path.push(id);
        }
        url
    }

    async fn order(&self, order: Order<'_>) -> Submitted {
        let wire = &self.wire;
        let body = RequestBody::new(order, self.parameters);
        let request = || {
            wire.clients
                .ordering
                .post(self.tasks.clone())
                .header(CONTENT_TYPE, "application/json")
                .header(CONTENT_LENGTH, body.len())
                .body(Body::wrap_stream(body.clone().into_stream()))
        };
        match wire.clock.within(self.request_timeout, wire.exchange(request, LARGEST_ANSWER)).await {
            Some(Ok(answer)) => classify::submitted(&answer, &wire.wording),
            Some(Err(Broken::Unsent(words))) => {
                let words = wire.wording.of(&words);
                Submitted::NotMade(NotMade { words, retry_after: None, limit: Limit::Unreachable })
            }
            Some(Err(Broken::Lost(words))) => Submitted::InDoubt(Doubt::LostAnswer { words: wire.wording.of(&words) }),
            None => Submitted::InDoubt(Doubt::TimedOut),
        }
    }

    /// Asks, and gives the answer with its shape, or why there is none.
    async fn ask(&self, url: &Url, limit: usize) -> Result<(Answer, Shape), NoTask> {
        let asked = self.wire.ask(|| self.wire.get(url), limit).await;
        asked.map_err(|words| NoTask::Unclear { words, retry_after: None })
    }

    /// Asks for one task by either of its ids.
    async fn look(&self, id: &str) -> Result<(Answer, Record), NoTask> {
        let (answer, shape) = self.ask(&self.task_url(id), LARGEST_ANSWER).await?;
        self.record(answer, shape)
    }

    /// The task that an answer tells of, or why it tells of none.
    fn record(&self, answer: Answer, shape: Shape) -> Result<(Answer, Record), NoTask> {
        match shape {
            Shape::Task(record) if answer.is_success() => Ok((answer, *record)),
            shape => Err(classify::no_task(&answer, &shape, &self.wire.wording)),
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
        task.and_then(|task| record.observation(task, &self.wire.wording)).map_or_else(
            || Observed::Unclear {
                words: "a task without an id or a status".to_owned(),
                retry_after: answer.retry_after,
            },
            Observed::Seen,
        )
    }

    /// One of several tasks, where it can be read.
    fn observation(&self, record: Record) -> Option<Observation> {
        let task = record.id.clone().and_then(|id| TaskId::new(id).ok())?;
        record.observation(task, &self.wire.wording)
    }

    async fn page(&self, page: u32, size: u32) -> Result<Listed, NoTask> {
        if !self.capabilities.list {
            return Err(not_able("this gateway lists no tasks"));
        }
        let mut url = self.tasks.clone();
        url.query_pairs_mut().append_pair("pageNum", &page.to_string()).append_pair("pageSize", &size.to_string());
        let (answer, shape) = self.ask(&url, LARGEST_PAGE).await?;
        match shape {
            Shape::Tasks(records) if answer.is_success() => {
                Ok(Listed::Page(records.into_iter().filter_map(|record| self.observation(record)).collect()))
            }
            shape => Err(classify::no_task(&answer, &shape, &self.wire.wording)),
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
        Box::pin(async move { self.page(page, size).await.unwrap_or_else(Listed::from) })
    }

    fn observe_many<'a>(&'a self, tasks: &'a [TaskId]) -> BoxFuture<'a, Listed> {
        Box::pin(async move { self.several(tasks).await.unwrap_or_else(Listed::from) })
    }

    fn recent(&self, page: u32, size: u32) -> BoxFuture<'_, Told<Vec<Observation>>> {
        Box::pin(self.latest(page, size))
    }

    fn balance(&self) -> BoxFuture<'_, Told<Balance>> {
        Box::pin(self.left())
    }

    fn charges<'a>(&'a self, span: (Timestamp, Timestamp), next: Option<&'a str>) -> BoxFuture<'a, Told<Charges>> {
        Box::pin(self.charged(span, next))
    }

    fn probe(&self) -> BoxFuture<'_, Result<Probe, String>> {
        Box::pin(async move {
            let url = self.task_url(NO_TASK);
            let begun = self.wire.clock.now();
            let (answer, shape) = self.wire.ask(|| self.wire.get(&url), LARGEST_ANSWER).await?;
            let took = Duration::try_from(self.wire.clock.now().duration_since(begun)).unwrap_or_default();
            let ahead = answer.ahead.map(|ahead| ahead.as_secs());
            let observed = match self.record(answer, shape) {
                Ok((answer, record)) => self.seen(&answer, record, None),
                Err(none) => none.into(),
            };
            Ok(Probe { took, ahead, observed })
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

impl From<NoTask> for Listed {
    fn from(none: NoTask) -> Self {
        match none {
            // A list that is "not there" is no statement about any task.
            NoTask::NotVisible => Self::Unclear { words: "there is no list of tasks".to_owned(), retry_after: None },
            NoTask::Unclear { words, retry_after } => Self::Unclear { words, retry_after },
            NoTask::Paused(pause) => Self::Paused(pause),
        }
    }
}

/// What a body is understood as, whatever it answers: all texts that would be kept of it.
#[cfg(any(test, fuzzing))]
pub(crate) fn understood(status: u16, body: &[u8], key: &SecretString) -> Vec<String> {
    let wording = Wording::new(Some(key.clone()));
    let answer = Answer { status, body: body.to_vec(), ..Answer::default() };
    let shape = Shape::of(body);
    let none = classify::no_task(&answer, &shape, &wording);
    // Ids are data, and are held to their own rules.
    let made = match classify::submitted(&answer, &wording) {
        Submitted::Accepted(taken) => format!("{:?}", taken.request_id),
        other => format!("{other:?}"),
    };
    let records = match shape {
        Shape::Task(record) => vec![*record],
        Shape::Tasks(records) => records,
        Shape::Foreign(_) | Shape::Error(_) | Shape::Nothing(_) => Vec::new(),
    };
    let seen = records.into_iter().filter_map(|record| record.observation(TaskId::new("8").ok()?, &wording));
    let links = seen.map(|seen| match seen.progress {
        // A link is kept as it came, and shown nowhere.
        Progress::Succeeded { link } => link.chars().filter(|c| c.is_control()).collect(),
        Progress::Pending { status: words } | Progress::Failed { words } => words,
    });
    links.chain([made, format!("{none:?}")]).collect()
}

fn not_able(words: &str) -> NoTask {
    NoTask::Unclear { words: words.to_owned(), retry_after: None }
}

/// The base and the address of the tasks, from the base URL.
fn addresses(base_url: &str) -> Result<(Url, Url), BuildError> {
    let refuse = |why: String| BuildError::BaseUrl { why };
    let base = http::base_url(base_url).map_err(refuse)?;
    if base.path().split('/').any(|segment| segment == "v1") {
        return Err(refuse("it goes too far: leave out /v1 and what follows".to_owned()));
    }
    let tasks = Url::parse(&format!("{}/v1/videos/effects", http::without_slash(&base)));
    let tasks = tasks.map_err(|error| refuse(error.to_string()))?;
    Ok((base, tasks))
}
