//! A remote that answers as it is told, for the tests of the modules that speak to one; and the tests of the transport
//! and of the statuses' meanings, which these modules share.

use std::sync::{Arc, Mutex};

use axum::Router;
use axum::body::Bytes;
use axum::extract::{Request, State};
use axum::http::{HeaderMap, StatusCode};
use axum::response::{IntoResponse, Response};
use serde_json::json;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpListener;

use super::*;
use crate::domain::{ClientRef, Effect, FailureCause, ImageSource, Images, Observation, Picture, Progress};
use crate::gateway::{Accepted, Gateway, Order, Pause};

/// Can be recognised wherever it leaks.
pub(in crate::gateway) const KEY: &str = "sk-taint/0123456789";

/// One request as it came.
#[derive(Debug, Clone)]
pub(in crate::gateway) struct Call {
    pub(in crate::gateway) method: String,
    pub(in crate::gateway) path: String,
    pub(in crate::gateway) headers: HeaderMap,
    pub(in crate::gateway) body: Bytes,
}

impl Call {
    pub(in crate::gateway) fn header(&self, name: &str) -> &str {
        self.headers.get(name).map_or("", |value| value.to_str().unwrap())
    }

    pub(in crate::gateway) fn json(&self) -> Value {
        serde_json::from_slice(&self.body).unwrap()
    }
}

/// What is answered: a status and a body; more headers by [`with`].
pub(in crate::gateway) type Reply = Response;

#[expect(clippy::needless_pass_by_value, reason = "a test gives what it has just made")]
pub(in crate::gateway) fn reply(status: u16, body: impl ToString) -> Reply {
    (StatusCode::from_u16(status).unwrap(), body.to_string()).into_response()
}

pub(in crate::gateway) fn with(mut reply: Reply, name: &'static str, value: &str) -> Reply {
    reply.headers_mut().insert(name, value.parse().unwrap());
    reply
}

type Play = Arc<dyn Fn(&Call) -> Reply + Send + Sync>;

/// A server on loopback that answers every request by one function and keeps what came.
pub(in crate::gateway) struct Remote {
    pub(in crate::gateway) base: String,
    calls: Arc<Mutex<Vec<Call>>>,
}

impl Remote {
    pub(in crate::gateway) async fn start(play: impl Fn(&Call) -> Reply + Send + Sync + 'static) -> Self {
        let calls: Arc<Mutex<Vec<Call>>> = Arc::default();
        let play: Play = Arc::new(play);
        let app = Router::new().fallback(answer).with_state((Arc::clone(&calls), play));
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let base = format!("http://{}", listener.local_addr().unwrap());
        tokio::spawn(async move { axum::serve(listener, app).await.unwrap() });
        Self { base, calls }
    }

    pub(in crate::gateway) fn calls(&self) -> Vec<Call> {
        self.calls.lock().unwrap().clone()
    }
}

async fn answer(State((calls, play)): State<(Arc<Mutex<Vec<Call>>>, Play)>, request: Request) -> Reply {
    let (parts, body) = request.into_parts();
    let body = axum::body::to_bytes(body, usize::MAX).await.unwrap();
    let (method, path) = (parts.method.to_string(), parts.uri.path().to_owned());
    let call = Call { method, path, headers: parts.headers, body };
    let reply = play(&call);
    calls.lock().unwrap().push(call);
    reply
}

pub(in crate::gateway) fn settings(base_url: impl Into<String>) -> Settings {
    Settings::new(base_url, Some(SecretString::from(KEY)))
}

pub(in crate::gateway) fn clock() -> Clock {
    Clock::starting_at("2026-11-24T08:00:00Z".parse().unwrap())
}

pub(in crate::gateway) fn effect() -> Effect {
    let images = Images::One(ImageSource::Url("https://h/a.jpg".into()));
    Effect { scene: "squish".into(), images, duration: Some("5".into()), model: None, mode: None }
}

pub(in crate::gateway) fn by_url() -> Picture {
    Picture::Url("https://h/a.jpg".into())
}

pub(in crate::gateway) async fn submit(gateway: &dyn Gateway, effect: &Effect, pictures: &[Picture]) -> Submitted {
    let client_ref = ClientRef::new("nr-1-a1").unwrap();
    gateway.submit(Order { effect, pictures, client_ref: &client_ref, callback_url: None }).await
}

/// What a submission came to, in few words.
pub(in crate::gateway) fn submit_says(submitted: &Submitted) -> String {
    match submitted {
        Submitted::Accepted(Accepted { task, .. }) => format!("accepted {task}"),
        Submitted::AlreadyThere => "already there".into(),
        Submitted::Refused(cause) => cause.to_string(),
        Submitted::NotMade(NotMade { limit, .. }) => format!("not made: {limit:?}"),
        Submitted::InDoubt(Doubt::LostAnswer { .. }) => "in doubt: lost".into(),
        Submitted::InDoubt(Doubt::TimedOut) => "in doubt: timed out".into(),
        Submitted::InDoubt(Doubt::ServerError { status, .. }) => format!("in doubt: HTTP {status}"),
        Submitted::InDoubt(Doubt::NotUnderstood { .. }) => "in doubt: not understood".into(),
        Submitted::InDoubt(Doubt::Interrupted | Doubt::AlreadyThere) => "in doubt: not by a gateway".into(),
        Submitted::Paused(Pause { reason, .. }) => format!("paused: {reason:?}"),
    }
}

/// What a question came to, in few words.
pub(in crate::gateway) fn observe_says(observed: &Observed) -> String {
    match observed {
        Observed::Seen(Observation { progress, took, .. }) => {
            let took = took.map(|took| format!(" after {} ms", took.as_millis())).unwrap_or_default();
            match progress {
                Progress::Pending { status } => format!("pending {status}"),
                Progress::Succeeded { link } => format!("succeeded {link}{took}"),
                Progress::Failed { words } => format!("failed: {words}{took}"),
            }
        }
        Observed::NotVisible => "not visible".into(),
        Observed::Unclear { words, .. } => format!("unclear: {words}"),
        Observed::Paused(Pause { reason, .. }) => format!("paused: {reason:?}"),
    }
}

fn line(settings: Settings) -> Line {
    Line::new(settings, "Key", clock()).unwrap()
}

fn answered(status: u16, content: Content, known: Known) -> Answer {
    let (retry_after, location) = (Some(Duration::from_secs(7)), Some("https://elsewhere".to_owned()));
    Answer { status, headers: HeaderMap::new(), retry_after, location, ahead: None, content, known }
}

fn meaning(status: u16, words: &str) -> String {
    let answer = answered(status, Content::Json(json!({})), Known::Heard);
    submit_says(&not_taken(&answer, Said { words: words.into(), code: None }))
}

#[test]
fn a_status_means_of_a_request_what_http_says_and_doubt_where_it_says_nothing() {
    for (status, words, expected) in [
        (400, "bad", "refused (HTTP 400): bad"),
        (422, "field required", "refused (HTTP 422): field required"),
        (413, "", "refused (HTTP 413): the request is too large for this gateway: use URLs, or --images-via"),
        (401, "no such key", "paused: Key"),
        (403, "forbidden", "paused: Key"),
        (403, "User is locked. Reason: Exhausted balance. Top up your balance at …", "paused: Balance"),
        (403, "User is locked. Reason: TOP_UP.", "paused: Balance"),
        (403, "User is locked. Reason: Admin lock. Please contact support", "paused: Account"),
        (400, "Insufficient credits", "paused: Balance"),
        (402, "", "paused: Balance"),
        (429, "Insufficient credits", "paused: Balance"),
        (404, "", "paused: Route"),
        (405, "", "paused: Route"),
        (308, "", "paused: Route"),
        (429, "slow down", "not made: Rate"),
        (429, "You have reached your concurrent tasks limit", "not made: Parallel"),
        (303, "", "in doubt: not understood"),
        (409, "", "in doubt: not understood"),
        (200, "", "in doubt: not understood"),
        (408, "", "in doubt: HTTP 408"),
        (499, "", "in doubt: HTTP 499"),
        (500, "Insufficient credits", "in doubt: HTTP 500"),
        (503, "", "in doubt: HTTP 503"),
        (524, "", "in doubt: HTTP 524"),
    ] {
        assert_eq!(meaning(status, words), expected, "{status} {words}");
    }
}

#[test]
fn a_page_instead_of_json_is_a_wrong_route_only_where_no_json_was_ever_heard() {
    let says = |status, known| {
        let answer = answered(status, Content::Page("an HTML page".into()), known);
        let said = Said { words: "an HTML page".into(), code: None };
        (submit_says(&not_taken(&answer, said.clone())), observe_says(&unseen(&answer, &said)))
    };
    assert_eq!(says(200, Known::Unheard), ("paused: Route".into(), "paused: Route".into()));
    let unclear = |status: u16| format!("unclear: HTTP {status}: an HTML page");
    assert_eq!(says(200, Known::Heard), ("in doubt: not understood".into(), unclear(200)));
    assert_eq!(says(502, Known::Unheard), ("in doubt: HTTP 502".into(), unclear(502)));
}

#[test]
fn half_an_answer_or_none_is_no_wrong_route_though_it_is_the_first_that_came() {
    for body in ["", " \n", "{\"code\":200,\"mess", "OK", "7"] {
        let answer = answered(200, Content::of(body.as_bytes()), Known::Unheard);
        let said = Said { words: body.into(), code: None };
        assert_eq!(submit_says(&not_taken(&answer, said.clone())), "in doubt: not understood", "{body:?}");
        assert!(observe_says(&unseen(&answer, &said)).starts_with("unclear"), "{body:?}");
    }
}

#[test]
fn no_status_of_a_question_fails_a_task() {
    let says = |status: u16, content: Content, words: &str| {
        observe_says(&unseen(&answered(status, content, Known::Heard), &Said { words: words.into(), code: None }))
    };
    let json = || Content::Json(json!({}));
    let page = || Content::Page("an HTML page".into());
    assert_eq!(says(401, json(), ""), "paused: Key");
    assert_eq!(says(403, json(), "User is locked. Reason: Exhausted balance."), "paused: Balance");
    assert_eq!(says(402, page(), ""), "paused: Balance");
    assert_eq!(says(404, json(), ""), "not visible");
    // A page that is not there is no task that is not there.
    assert_eq!(says(404, page(), "x"), "unclear: HTTP 404: x");
    assert!(says(302, page(), "").starts_with("unclear: the base URL leads elsewhere: HTTP 302 to https://elsewhere"));
    for status in [200, 400, 409, 422, 429, 500, 503] {
        assert_eq!(says(status, json(), "x"), format!("unclear: HTTP {status}: x"));
    }
    let limited = unseen(&answered(429, json(), Known::Heard), &Said { words: "x".into(), code: None });
    assert!(matches!(limited, Observed::Unclear { retry_after: Some(_), .. }));
}

#[tokio::test]
async fn a_request_is_one_post_with_its_exact_length_and_the_key_in_its_header_only() {
    let remote = Remote::start(|_| with(reply(200, json!({"a": 1})), "x-id", "r-1")).await;
    let line = line(settings(format!("{}/proxy/", remote.base)));
    let image: Vec<u8> = (0..200_000_u32).map(|i| u8::try_from(i % 256).unwrap()).collect();
    let body = Body::new().picture("image", &Picture::Raw(image.into()));
    let length = body.len();
    let answer = line.post(line.at(["a/b", "c"]), HeaderMap::new(), body).await.unwrap();
    assert_eq!((answer.status, answer.known), (200, Known::Unheard));
    assert_eq!(line.told(&answer, "x-id").as_deref(), Some("r-1"));
    assert!(answer.ahead.is_some());
    assert_eq!(line.get(line.at(["d"])).await.unwrap().known, Known::Heard);

    let calls = remote.calls();
    assert_eq!(calls.len(), 2);
    assert_eq!((calls[0].method.as_str(), calls[0].path.as_str()), ("POST", "/proxy/a%2Fb/c"));
    assert_eq!((calls[1].method.as_str(), calls[1].path.as_str()), ("GET", "/proxy/d"));
    assert_eq!(calls[0].header("authorization"), format!("Key {KEY}"));
    assert_eq!(calls[0].header("content-length"), length.to_string());
    assert_eq!(calls[0].header("content-type"), "application/json");
    assert!(calls[0].json()["image"].as_str().unwrap().starts_with("data:image/jpeg;base64,"));
    assert!(!String::from_utf8_lossy(&calls[0].body).contains("taint"));
}

#[tokio::test]
async fn an_endless_answer_is_not_read_to_its_end() {
    let remote = Remote::start(|_| reply(502, format!("<html><title>big</title>{}", "x".repeat(3 << 20)))).await;
    let line = line(settings(&remote.base));
    let answer = line.post(line.at([]), HeaderMap::new(), Body::new()).await.unwrap();
    assert!(matches!(answer.content, Content::Page(words) if words == "an HTML page: big"));
}

#[tokio::test]
async fn a_redirect_is_never_followed() {
    let remote = Remote::start(|_| with(reply(307, ""), "location", "/elsewhere")).await;
    let line = line(settings(&remote.base));
    for answer in [
        line.post(line.at(["a"]), HeaderMap::new(), Body::new()).await.unwrap(),
        line.get(line.at(["a"])).await.unwrap(),
    ] {
        assert_eq!((answer.status, answer.location.as_deref()), (307, Some("/elsewhere")));
    }
    assert!(remote.calls().iter().all(|call| call.path == "/a"));
}

/// Posts to a listener that reads some of the request, says this much and closes.
async fn broken(said: &'static str) -> Result<Answer, Submitted> {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let line = line(settings(format!("http://{}", listener.local_addr().unwrap())));
    let server = async {
        let (mut stream, _) = listener.accept().await.unwrap();
        stream.read_exact(&mut [0; 64]).await.unwrap();
        stream.write_all(said.as_bytes()).await.unwrap();
    };
    futures::future::join(line.post(line.at([]), HeaderMap::new(), Body::new()), server).await.0
}

#[tokio::test]
async fn a_connection_that_breaks_once_it_stood_leaves_doubt_and_one_that_never_stood_does_not() {
    for said in
        ["", "HTTP/1.1 200 OK\r\ncontent-length: 500\r\n\r\n{", "HTTP/1.1 400 Bad\r\ncontent-length: 9\r\n\r\n{"]
    {
        assert_eq!(submit_says(&broken(said).await.unwrap_err()), "in doubt: lost", "{said}");
    }
    let free = TcpListener::bind("127.0.0.1:0").await.unwrap().local_addr().unwrap();
    let line = line(settings(format!("http://{free}")));
    let submitted = line.post(line.at([]), HeaderMap::new(), Body::new()).await.unwrap_err();
    assert_eq!(submit_says(&submitted), "not made: Unreachable");
    assert!(line.get(line.at([])).await.is_err());
    assert!(line.probe(line.at([]), |_| Observed::NotVisible).await.is_err());
}

#[tokio::test]
async fn a_silent_server_leaves_doubt_when_the_time_is_up() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let short = Duration::from_millis(100);
    let base = format!("http://{}", listener.local_addr().unwrap());
    let line = line(Settings { request_timeout: short, query_timeout: short, ..settings(base) });
    let submitted = line.post(line.at([]), HeaderMap::new(), Body::new()).await.unwrap_err();
    assert_eq!(submit_says(&submitted), "in doubt: timed out");
    assert_eq!(line.get(line.at([])).await.unwrap_err(), "no answer came in time");
}

#[test]
fn settings_that_make_no_line_are_refused_without_telling_a_secret() {
    let refused = |settings| Line::new(settings, "Key", clock()).unwrap_err();
    for base in ["", "api.example", "ftp://h", "https://u:sk-taint@h", "https://h?key=sk-taint", "https://h#sk-taint"] {
        let error = refused(settings(base));
        assert!(matches!(error, BuildError::BaseUrl { .. }), "{error:?}");
        assert!(!format!("{error} {error:?}").contains("taint"), "{error:?}");
    }
    for key in ["", " ", "sk-taint\n1"] {
        let error = refused(Settings { key: Some(SecretString::from(key)), ..settings("https://h") });
        assert!(matches!(error, BuildError::Key), "{error:?}");
    }
    let line = line(settings("https://h/p"));
    assert!(!format!("{:?} {line:?}", settings("https://h")).contains("taint"));
    assert_eq!(line.words(&format!("no {KEY} or {}", KEY.replace('/', "\\/"))), "no [key] or [key]");
}

#[test]
fn a_row_that_cannot_be_asked_for_is_refused_as_not_sent() {
    let Submitted::Refused(cause) = refused_here("why") else { panic!() };
    assert_eq!(cause, FailureCause::Input { words: "why".into() });
}
