//! One account's remote: the simulator's world, with a wire of its own on which things go wrong as they are told to. What
//! has left goes on there, whatever becomes of who sent it.

use std::collections::VecDeque;
use std::sync::Mutex;

use bytes::Bytes;
use futures::future::BoxFuture;
use futures::{StreamExt, stream};
use reqwest::{Response, Url};
use tokio::sync::oneshot;

use super::super::super::download::Play;
use super::witness::{Told, Witness};
use super::*;
use crate::domain::{ClientRef, Effect, FailureCause, ImageSource};
use crate::gateway::{Asked as Question, Order, Pause, Probe};
use crate::simulator::direct::{Direct, End, Made, Shown};

/// How long anything takes, one way.
const LATENCY: Duration = Duration::from_millis(120);
/// How long a client waits for an answer.
const PATIENCE: Duration = Duration::from_secs(30);

/// What becomes of a request for a task.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum SubmitFault {
    /// It never arrives; the connection breaks.
    LoseRequest,
    /// It is taken, and the connection breaks before the answer.
    LoseAnswer,
    /// It is taken, and answered by a 500.
    Error,
    /// It is taken, and answered by nonsense.
    Garbage,
    /// It is taken, and never answered.
    Hang,
    /// It arrives so many seconds late, and is taken.
    Late(u8),
    /// The remote is not reached.
    Unreachable,
    /// 429, with so many seconds to wait.
    Throttle(u8),
    /// 1303.
    Busy,
    /// Refused for good.
    Reject,
    /// The key is refused.
    NoKey,
}

/// What becomes of a question.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum QueryFault {
    /// Nothing usable.
    Unclear,
    /// The same, and a pause of so many seconds is asked for.
    Throttle(u8),
    /// The remote says that it knows no such task, whether it does or not.
    Absent,
    /// The task has not ended, whether it has or not.
    Pending,
    /// The key is refused.
    NoKey,
    /// No answer comes.
    Hang,
}

/// What becomes of a download.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum FileFault {
    /// It breaks off midway.
    Truncate,
    /// It is whole, and too short.
    Short,
    /// It is a web page.
    Page,
    /// The host fails.
    Error,
    /// The link is dead.
    Dead,
    /// It stops midway and never goes on.
    Hang,
    /// It pauses midway for so many seconds.
    Slow(u8),
}

#[derive(Debug, Default)]
struct Script {
    submit: VecDeque<SubmitFault>,
    query: VecDeque<QueryFault>,
    file: VecDeque<FileFault>,
    /// What was played that explains a failed row.
    rejected: u32,
}

#[derive(Debug)]
pub(super) struct Remote {
    pub(super) account: AccountName,
    pub(super) world: Arc<Direct>,
    /// The time that nobody sets.
    time: Clock,
    witness: Arc<Witness>,
    script: Mutex<Script>,
}

/// The row that an image was made for: `https://example.com/r3-2.jpg`.
pub(super) fn row_of(image: &str) -> &str {
    let name = image.rsplit('/').next().unwrap();
    name.split('-').next().unwrap()
}

fn image_of(effect: &Effect) -> &str {
    match effect.images.iter().next() {
        Some(ImageSource::Url(url)) => url,
        other => panic!("no such image: {other:?}"),
    }
}

impl Remote {
    pub(super) fn new(account: AccountName, world: Direct, time: Clock, witness: Arc<Witness>) -> Self {
        Self { account, world: Arc::new(world), time, witness, script: Mutex::default() }
    }

    pub(super) fn submit_meets(&self, fault: SubmitFault) {
        self.script.lock().unwrap().submit.push_back(fault);
    }

    pub(super) fn query_meets(&self, fault: QueryFault) {
        self.script.lock().unwrap().query.push_back(fault);
    }

    pub(super) fn file_meets(&self, fault: FileFault) {
        self.script.lock().unwrap().file.push_back(fault);
    }

    /// Nothing goes wrong any more.
    pub(super) fn peace(&self, allowed: Option<u32>) {
        let rejected = self.rejected();
        *self.script.lock().unwrap() = Script { rejected, ..Script::default() };
        self.world.fail(Vec::new());
        self.world.allow(allowed);
    }

    /// How many requests were refused for good.
    pub(super) fn rejected(&self) -> u32 {
        self.script.lock().unwrap().rejected
    }

    /// A request that has left: it arrives, whatever becomes of the client.
    async fn arrive(&self, order: (String, String, ClientRef), after: Duration) -> Option<Made> {
        let (scene, image, reference) = order;
        let (sender, answer) = oneshot::channel();
        let (time, world, witness) = (self.time.clone(), Arc::clone(&self.world), Arc::clone(&self.witness));
        let account = self.account.clone();
        tokio::spawn(async move {
            time.sleep(after).await;
            let running = world.running();
            let made = world.create(reference.as_str(), &scene, &image);
            let is_let_go = |reference: &str| witness.is_let_go(reference, time.now());
            let counts = |running: &&Option<String>| running.as_ref().is_none_or(|known| !is_let_go(known));
            let counted = running.iter().filter(counts).count();
            // One that comes after its quiet period has no slot any more.
            let in_time = !is_let_go(reference.as_str());
            if in_time && matches!(made, Made::Task(_)) && counted >= witness.rules.in_flight {
                witness.wrong(format!("{} tasks of {account} ran when {reference} came", counted + 1));
            }
            // A client that is gone is told nothing.
            drop(sender.send(made));
        });
        answer.await.ok()
    }

    async fn play_submit(&self, order: Order<'_>) -> (Submitted, Told) {
        let fault = self.script.lock().unwrap().submit.pop_front();
        let sent = (order.effect.scene.clone(), image_of(order.effect).to_owned(), order.client_ref.clone());
        let refused = |words: &str, retry_after, limit| {
            (Submitted::NotMade(NotMade { words: words.to_owned(), retry_after, limit }), Told::Clearly)
        };
        let doubt = |doubt| (Submitted::InDoubt(doubt), Told::Doubtfully);
        let lost = || Doubt::LostAnswer { words: "connection reset".into() };
        let late = if let Some(SubmitFault::Late(seconds)) = fault { seconds } else { 0 };
        match fault {
            Some(SubmitFault::LoseRequest) => {
                self.time.sleep(LATENCY).await;
                return doubt(lost());
            }
            Some(SubmitFault::Unreachable) => return refused("connection refused", None, Limit::Unreachable),
            Some(SubmitFault::Throttle(seconds)) => {
                self.time.sleep(LATENCY).await;
                return refused("1302", Some(Duration::from_secs(seconds.into())), Limit::Rate);
            }
            Some(SubmitFault::Busy) => {
                self.time.sleep(LATENCY).await;
                return refused("1303", None, Limit::Parallel);
            }
            Some(SubmitFault::Reject) => {
                self.time.sleep(LATENCY).await;
                self.script.lock().unwrap().rejected += 1;
                let cause = FailureCause::Refused { words: "risk".into(), code: Some("1301".into()), status: 400 };
                return (Submitted::Refused(cause), Told::Clearly);
            }
            Some(SubmitFault::NoKey) => {
                self.time.sleep(LATENCY).await;
                let pause = Pause { reason: PauseReason::Key, words: "no such key".into() };
                return (Submitted::Paused(pause), Told::Clearly);
            }
            Some(
                SubmitFault::LoseAnswer
                | SubmitFault::Error
                | SubmitFault::Garbage
                | SubmitFault::Hang
                | SubmitFault::Late(_),
            )
            | None => {}
        }
        let after = LATENCY + Duration::from_secs(late.into());
        let Some(Some(made)) = self.time.within(PATIENCE, self.arrive(sent, after)).await else {
            return doubt(Doubt::TimedOut);
        };
        match fault {
            Some(SubmitFault::LoseAnswer) => return doubt(lost()),
            Some(SubmitFault::Error) => return doubt(Doubt::ServerError { status: 500, words: String::new() }),
            Some(SubmitFault::Garbage) => return doubt(Doubt::NotUnderstood { status: 200, words: "{".into() }),
            Some(SubmitFault::Hang) => {
                self.time.sleep(PATIENCE).await;
                return doubt(Doubt::TimedOut);
            }
            _ => self.time.sleep(LATENCY).await,
        }
        match made {
            Made::Task(id) => (Submitted::Accepted(Accepted::plain(TaskId::new(id).unwrap())), Told::Clearly),
            Made::Busy => refused("1303", None, Limit::Parallel),
            Made::Rate => refused("1302", None, Limit::Rate),
            Made::Duplicate => (Submitted::AlreadyThere, Told::Doubtfully),
            Made::Refused => panic!("the world refuses nothing else"),
        }
    }

    fn observation(&self, shown: Shown) -> Observation {
        let progress = match shown.end {
            None => Progress::Pending { status: "processing".into() },
            Some(End::Well(path)) => Progress::Succeeded { link: format!("http://{}.test{path}", self.account) },
            Some(End::Badly(words)) => Progress::Failed { words },
        };
        let finds = self.witness.rules.able.find;
        let client_ref = shown.external.filter(|_| finds).and_then(|text| ClientRef::new(text).ok());
        let task = TaskId::new(shown.id).unwrap();
        Observation { task, client_ref, progress, took: shown.took, units: None, created_at: None }
    }

    /// A question by either id, and whether the remote has the task in truth.
    async fn ask(&self, id: &str) -> Observed {
        self.time.sleep(LATENCY).await;
        let fault = self.script.lock().unwrap().query.pop_front();
        let unclear = |words: &str, retry_after| Observed::Unclear { words: words.to_owned(), retry_after };
        match fault {
            Some(QueryFault::Unclear) => unclear("<html>", None),
            Some(QueryFault::Throttle(seconds)) => unclear("429", Some(Duration::from_secs(seconds.into()))),
            Some(QueryFault::Absent) => Observed::NotVisible,
            Some(QueryFault::NoKey) => {
                Observed::Paused(Pause { reason: PauseReason::Key, words: "no such key".into() })
            }
            Some(QueryFault::Hang) => {
                self.time.sleep(PATIENCE).await;
                unclear("no answer", None)
            }
            Some(QueryFault::Pending) | None => {
                let pending = fault.is_some();
                let shown = self.world.query(id).map(|shown| Shown { end: shown.end.filter(|_| !pending), ..shown });
                shown.map_or(Observed::NotVisible, |shown| Observed::Seen(self.observation(shown)))
            }
        }
    }
}

impl Gateway for Remote {
    fn capabilities(&self) -> Capabilities {
        self.witness.rules.able
    }

    fn submit<'a>(&'a self, order: Order<'a>) -> BoxFuture<'a, Submitted> {
        Box::pin(async move {
            let row = row_of(image_of(order.effect)).to_owned();
            self.witness.leaves(&row, order.client_ref, &self.account, self.time.now());
            let (submitted, told) = self.play_submit(order).await;
            self.witness.told(&row, told, self.time.now());
            submitted
        })
    }

    fn find<'a>(&'a self, client_ref: &'a ClientRef) -> BoxFuture<'a, Observed> {
        Box::pin(async move {
            let observed = self.ask(client_ref.as_str()).await;
            match &observed {
                Observed::Seen(_) => self.witness.looked_up(client_ref, true, self.time.now()),
                Observed::NotVisible => self.witness.looked_up(client_ref, false, self.time.now()),
                Observed::Unclear { .. } | Observed::Paused(_) => {}
            }
            observed
        })
    }

    fn observe<'a>(&'a self, asked: Question<'a>) -> BoxFuture<'a, Observed> {
        Box::pin(self.ask(asked.task.as_str()))
    }

    fn list(&self, page: u32, size: u32) -> BoxFuture<'_, Listed> {
        Box::pin(async move {
            self.time.sleep(LATENCY).await;
            let fault = self.script.lock().unwrap().query.pop_front();
            if fault.is_some() {
                return Listed::Unclear { words: "<html>".into(), retry_after: None };
            }
            let shown = self.world.list(page, size);
            let page: Vec<Observation> = shown.into_iter().map(|shown| self.observation(shown)).collect();
            for reference in page.iter().filter_map(|seen| seen.client_ref.as_ref()) {
                self.witness.looked_up(reference, true, self.time.now());
            }
            Listed::Page(page)
        })
    }

    fn probe(&self) -> BoxFuture<'_, Result<Probe, String>> {
        Box::pin(async { Err("nobody asks".to_owned()) })
    }
}

/// The file hosts of all accounts.
#[derive(Debug)]
pub(super) struct Files(pub(super) Vec<Arc<Remote>>);

impl Play for Files {
    fn get<'a>(&'a self, url: &'a Url, from: Option<(u64, &'a str)>) -> BoxFuture<'a, Response> {
        Box::pin(async move {
            let account = url.host_str().unwrap().strip_suffix(".test").unwrap();
            let remote = self.0.iter().find(|remote| remote.account.as_str() == account).unwrap();
            remote.time.sleep(LATENCY).await;
            remote.serve(url, from)
        })
    }
}

impl Remote {
    fn serve(&self, url: &Url, from: Option<(u64, &str)>) -> Response {
        let answer = |status: u16, kind: &str, body: &'static str| {
            let built = axum::http::Response::builder().status(status).header("content-type", kind);
            Response::from(built.body(body).unwrap())
        };
        let fault = self.script.lock().unwrap().file.pop_front();
        let id = url.path().rsplit('/').next().unwrap().strip_suffix(".mp4").unwrap();
        let expires = url.query_pairs().find(|(name, _)| name == "Expires").unwrap().1.parse::<i64>().unwrap();
        if expires <= self.world.milliseconds() || fault == Some(FileFault::Dead) {
            return answer(403, "text/plain", "the link has expired");
        }
        let Some(video) = self.world.video(id) else { return answer(404, "text/plain", "no such file") };
        match fault {
            Some(FileFault::Error) => return answer(500, "text/plain", ""),
            Some(FileFault::Page) => return answer(200, "text/html", "<!doctype html><p>Please wait"),
            _ => {}
        }
        let tag = format!("\"{id}\"");
        let whole = if fault == Some(FileFault::Short) { video.len() * 2 / 3 } else { video.len() };
        let held = from.filter(|(_, version)| *version == tag).map_or(0, |(held, _)| usize::try_from(held).unwrap());
        if held >= whole {
            let range = format!("bytes */{whole}");
            let built = axum::http::Response::builder().status(416).header("content-range", range).header("etag", tag);
            return Response::from(built.body("").unwrap());
        }
        let built = axum::http::Response::builder()
            .header("content-type", "video/mp4")
            .header("etag", tag)
            .header("content-length", whole - held);
        let built = if held > 0 {
            built.status(206).header("content-range", format!("bytes {held}-{}/{whole}", whole - 1))
        } else {
            built
        };
        let half = held + (whole - held) / 2;
        let (first, second) = (video.slice(held..half), video.slice(half..whole));
        let time = self.time.clone();
        let rest = async move {
            match fault {
                Some(FileFault::Truncate) => return Err(std::io::Error::from(std::io::ErrorKind::ConnectionReset)),
                Some(FileFault::Hang) => std::future::pending().await,
                Some(FileFault::Slow(seconds)) => time.sleep(Duration::from_secs(seconds.into())).await,
                _ => {}
            }
            Ok::<Bytes, std::io::Error>(second)
        };
        let pieces = stream::iter([Ok(first)]).chain(stream::once(rest));
        Response::from(built.body(reqwest::Body::wrap_stream(pieces)).unwrap())
    }
}
