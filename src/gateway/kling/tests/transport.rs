//! The adapter against a bare TCP listener that breaks where it is told to, and a look at what really goes over the
//! wire.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use serde_json::Value;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinHandle;

use super::*;
use crate::domain::Digest;

/// What the listener does with its one connection.
enum Play {
    /// Reads the whole request, sends this, and closes.
    Answer(String),
    /// Reads the whole request and closes without a word.
    CloseAfterRequest,
    /// Reads a little of the request and closes.
    CloseWithinRequest,
    /// Sends this once a little of the request is there, and reads whatever comes.
    AnswerEarly(String),
    /// Reads and never answers.
    Silence,
}

/// Plays once, for one connection, and is gone: a request that were sent again would be refused. Gives the base URL,
/// and what was read once it is over.
async fn listener(play: Play) -> (String, JoinHandle<Vec<u8>>) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let base = format!("http://{}/kling", listener.local_addr().unwrap());
    let server = tokio::spawn(async move {
        let (mut stream, _) = listener.accept().await.unwrap();
        match play {
            Play::Answer(text) => {
                let request = read_request(&mut stream).await;
                stream.write_all(text.as_bytes()).await.unwrap();
                request
            }
            Play::CloseAfterRequest => read_request(&mut stream).await,
            Play::CloseWithinRequest => {
                let mut some = [0; 64];
                stream.read_exact(&mut some).await.unwrap();
                some.to_vec()
            }
            Play::AnswerEarly(text) => {
                let mut all = vec![0; 64];
                stream.read_exact(&mut all).await.unwrap();
                stream.write_all(text.as_bytes()).await.unwrap();
                let _ = stream.read_to_end(&mut all).await;
                all
            }
            Play::Silence => {
                let mut all = read_request(&mut stream).await;
                // Until the other side goes.
                let _ = stream.read_to_end(&mut all).await;
                all
            }
        }
    });
    (base, server)
}

async fn read_request(stream: &mut TcpStream) -> Vec<u8> {
    let mut request = Vec::new();
    loop {
        if let Some(end) = request.windows(4).position(|window| window == b"\r\n\r\n") {
            let head = String::from_utf8_lossy(&request[..end]).to_lowercase();
            let length = head.lines().find_map(|line| line.strip_prefix("content-length: ")).unwrap_or("0");
            if request.len() >= end + 4 + length.parse::<usize>().unwrap() {
                return request;
            }
        }
        assert!(stream.read_buf(&mut request).await.unwrap() > 0, "the request ended early");
    }
}

fn http(status: &str, headers: &str, body: &str) -> String {
    format!("HTTP/1.1 {status}\r\ncontent-length: {}\r\n{headers}\r\n{body}", body.len())
}

async fn submit_to(play: Play) -> Submitted {
    let (base, server) = listener(play).await;
    let submitted = submit(&gateway(settings(base)), by_url()).await;
    server.await.unwrap();
    submitted
}

async fn observe_at(play: Play) -> Observed {
    let (base, server) = listener(play).await;
    let observed = gateway(settings(base)).observe(Asked { task: &TaskId::new("8").unwrap(), handle: None }).await;
    server.await.unwrap();
    observed
}

#[tokio::test]
async fn a_request_is_one_post_with_its_exact_length_and_the_key_in_its_header_only() {
    let image: Vec<u8> = (0..200_000_u32).map(|i| u8::try_from(i % 256).unwrap()).collect();
    let (base, server) = listener(Play::Answer(http("200 OK", "", r#"{"code":0,"data":{"task_id":"8"}}"#))).await;
    let submitted = submit(&gateway(settings(base)), Picture::Raw(Bytes::from(image))).await;
    assert_eq!(submit_says(&submitted), "accepted 8");

    let request = server.await.unwrap();
    let end = request.windows(4).position(|window| window == b"\r\n\r\n").unwrap();
    let head = String::from_utf8_lossy(&request[..end]).to_lowercase();
    assert!(head.starts_with("post /kling/v1/videos/effects http/1.1\r\n"), "{head}");
    assert!(head.contains(&format!("authorization: bearer {KEY}")) && head.contains("content-type: application/json"));
    assert!(head.contains("user-agent: nightreel/") && !head.contains("transfer-encoding"), "{head}");
    let body: Value = serde_json::from_slice(&request[end + 4..]).unwrap();
    assert_eq!(body["external_task_id"], "nr-1-a1");
    assert_eq!(body["input"]["duration"], "5");
    assert!(!body.to_string().contains(KEY));
}

#[tokio::test]
async fn a_large_image_is_read_while_it_is_sent_and_not_to_its_end_where_it_changed() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("a.jpg");
    let mut content: Vec<u8> = (0..700_001_u32).map(|i| u8::try_from(i % 251).unwrap()).collect();
    std::fs::write(&path, &content).unwrap();
    let source = ImageSource::File { path: path.clone(), digest: Digest::of(&content) };
    let picture = crate::image::load(&source).unwrap();
    assert!(matches!(picture, Picture::File(_)), "it is not held in memory");
    let (base, server) = listener(Play::Answer(http("200 OK", "", r#"{"code":0,"data":{"task_id":"8"}}"#))).await;
    assert_eq!(submit_says(&submit(&gateway(settings(base)), picture.clone()).await), "accepted 8");
    let request = server.await.unwrap();
    let end = request.windows(4).position(|window| window == b"\r\n\r\n").unwrap();
    let body: Value = serde_json::from_slice(&request[end + 4..]).unwrap();
    assert_eq!(body["input"]["image"], STANDARD.encode(&content));

    content[700_000] ^= 1;
    std::fs::write(&path, &content).unwrap();
    let (base, server) = listener(Play::CloseAfterRequest).await;
    assert_eq!(submit_says(&submit(&gateway(settings(base)), picture).await), "in doubt: lost");
    assert!(server.await.is_err(), "the whole request came");
}

#[tokio::test]
async fn a_port_where_nobody_listens_made_nothing() {
    let free = TcpListener::bind("127.0.0.1:0").await.unwrap().local_addr().unwrap();
    let gateway = gateway(settings(format!("http://{free}")));
    assert_eq!(submit_says(&submit(&gateway, by_url()).await), "not made: Unreachable");
    assert_eq!(
        observe_says(&gateway.observe(Asked { task: &TaskId::new("8").unwrap(), handle: None }).await),
        "unclear"
    );
}

#[tokio::test]
async fn a_host_that_speaks_no_tls_made_nothing() {
    let (base, server) = listener(Play::AnswerEarly(http("400 Bad Request", "", "no TLS here"))).await;
    let gateway = gateway(settings(base.replace("http:", "https:")));
    assert_eq!(submit_says(&submit(&gateway, by_url()).await), "not made: Unreachable");
    server.await.unwrap();
}

#[tokio::test]
async fn an_answer_that_comes_before_the_upload_is_over_is_heard() {
    let early = http("413 Content Too Large", "connection: close\r\n", "<html>nginx</html>");
    let (base, server) = listener(Play::AnswerEarly(early)).await;
    let submitted = submit(&gateway(settings(base)), Picture::Raw(vec![7; 8_000_000].into())).await;
    assert!(submit_says(&submitted).starts_with("refused (HTTP 413)"), "{submitted:?}");
    server.await.unwrap();
}

#[tokio::test]
async fn a_connection_that_breaks_once_it_stood_leaves_doubt() {
    for play in [
        Play::CloseAfterRequest,
        Play::CloseWithinRequest,
        Play::Answer("HTTP/1.1 200 OK\r\ncontent-le".into()),
        Play::Answer("HTTP/1.1 200 OK\r\ncontent-length: 500\r\n\r\n{\"code\":0,".into()),
        Play::Answer("HTTP/1.1 400 Bad Request\r\ncontent-length: 500\r\n\r\n{\"code\":1201,".into()),
        Play::Answer("SSH-2.0-OpenSSH_9.9\r\n".into()),
    ] {
        assert_eq!(submit_says(&submit_to(play).await), "in doubt: lost");
    }
    for play in [Play::CloseAfterRequest, Play::Answer("HTTP/1.1 200 OK\r\ncontent-length: 500\r\n\r\n{".into())] {
        assert_eq!(observe_says(&observe_at(play).await), "unclear");
    }
}

#[tokio::test]
async fn a_silent_server_leaves_doubt_when_the_time_is_up() {
    let (base, server) = listener(Play::Silence).await;
    let short = Duration::from_millis(100);
    let patient = gateway(Settings { request_timeout: short, query_timeout: short, ..settings(base) });
    assert_eq!(submit_says(&submit(&patient, by_url()).await), "in doubt: timed out");
    server.await.unwrap();

    let (base, server) = listener(Play::Silence).await;
    let patient = gateway(Settings { request_timeout: short, query_timeout: short, ..settings(base) });
    assert_eq!(
        observe_says(&patient.observe(Asked { task: &TaskId::new("8").unwrap(), handle: None }).await),
        "unclear"
    );
    server.await.unwrap();
}

#[tokio::test]
async fn a_redirect_is_never_followed() {
    let moved = |status| Play::Answer(http(status, "location: https://elsewhere.example/login\r\n", ""));
    for status in ["301 Moved Permanently", "302 Found", "307 Temporary Redirect", "308 Permanent Redirect"] {
        let Submitted::Paused(Pause { reason, words }) = submit_to(moved(status)).await else { panic!("{status}") };
        assert_eq!(reason, crate::gateway::PauseReason::Route);
        assert!(words.contains("the base URL leads elsewhere") && words.contains("elsewhere.example"), "{words}");
    }
    let Observed::Unclear { words, .. } = observe_at(moved("302 Found")).await else { panic!() };
    assert!(words.contains("elsewhere.example"), "{words}");
}

#[tokio::test]
async fn a_web_page_is_a_wrong_address_until_the_api_has_spoken_and_proves_nothing_afterwards() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let gateway = gateway(settings(format!("http://{}", listener.local_addr().unwrap())));
    let page = http("200 OK", "", "<html><title>Log in</title></html>");
    let json = http("200 OK", "", r#"{"code":0,"data":{"task_id":"8","task_status":"processing"}}"#);
    let server = tokio::spawn(async move {
        for answer in [&page, &page, &json, &page, &page] {
            let (mut stream, _) = listener.accept().await.unwrap();
            read_request(&mut stream).await;
            stream.write_all(answer.as_bytes()).await.unwrap();
        }
    });
    let task = TaskId::new("8").unwrap();
    let about = Asked { task: &task, handle: None };
    assert_eq!(submit_says(&submit(&gateway, by_url()).await), "paused: Route");
    let Observed::Paused(Pause { words, .. }) = gateway.observe(about).await else { panic!() };
    assert_eq!(words, "GET /v1/videos/effects/8 was answered by a web page: Log in");
    assert_eq!(observe_says(&gateway.observe(about).await), "pending processing");
    assert_eq!(submit_says(&submit(&gateway, by_url()).await), "in doubt: not understood");
    assert_eq!(observe_says(&gateway.observe(about).await), "unclear");
    server.await.unwrap();
}

#[tokio::test]
async fn a_probe_tells_the_remotes_clock_or_why_nothing_came_back() {
    let gone = http(
        "400 Bad Request",
        "Date: Tue, 24 Nov 2026 09:00:00 GMT\r\n",
        r#"{"code":1201,"message":"Task not found"}"#,
    );
    let (base, server) = listener(Play::Answer(gone)).await;
    let probe = gateway(settings(base)).probe().await.unwrap();
    assert_eq!(probe.observed, Observed::NotVisible);
    assert!(probe.ahead.unwrap().abs_diff(3600) < 5, "{probe:?}");
    server.await.unwrap();

    let (base, server) = listener(Play::Answer(http("200 OK", "", "{}"))).await;
    assert_eq!(gateway(settings(base)).probe().await.unwrap().ahead, None);
    server.await.unwrap();

    let free = TcpListener::bind("127.0.0.1:0").await.unwrap().local_addr().unwrap();
    let words = gateway(settings(format!("http://{free}"))).probe().await.unwrap_err();
    assert!(words.contains("refused"), "{words}");
    let (base, server) = listener(Play::Silence).await;
    let short = Settings { query_timeout: Duration::from_millis(50), ..settings(base) };
    assert_eq!(gateway(short).probe().await.unwrap_err(), "no answer came in time");
    server.await.unwrap();
}

#[tokio::test]
async fn the_wait_that_a_remote_asks_for_is_passed_on() {
    let throttled = |headers: &str| Play::Answer(http("429 Too Many Requests", headers, ""));
    for (headers, seconds) in [
        ("", None),
        ("Retry-After: 7\r\n", Some(7)),
        ("Retry-After: Tue, 24 Nov 2026 08:00:30 GMT\r\n", Some(30)),
        ("Retry-After: 86400\r\n", Some(3600)),
        ("Retry-After: soon\r\n", None),
    ] {
        let Submitted::NotMade(NotMade { retry_after, limit, .. }) = submit_to(throttled(headers)).await else {
            panic!("{headers}")
        };
        assert_eq!(limit, Limit::Rate);
        // The clock of the test runs, if slowly.
        let close = |span: Duration, seconds: u64| Duration::from_secs(seconds).abs_diff(span) < Duration::from_secs(2);
        assert!(
            retry_after.map_or(seconds.is_none(), |span| close(span, seconds.unwrap())),
            "{headers} {retry_after:?}"
        );
        let Observed::Unclear { retry_after, .. } = observe_at(throttled(headers)).await else { panic!("{headers}") };
        assert_eq!(retry_after.is_some(), seconds.is_some());
    }
}

#[tokio::test]
async fn an_endless_answer_is_not_read_to_its_end() {
    let html = format!("<html><title>big</title>{}", "x".repeat(3 * LARGEST_ANSWER));
    let (base, server) = listener(Play::Answer(http("502 Bad Gateway", "", &html))).await;
    let submitted = submit(&gateway(settings(base)), by_url()).await;
    // The server may or may not get all of it out.
    let _ = server.await;
    assert_eq!(submitted, Submitted::InDoubt(Doubt::ServerError { status: 502, words: "an HTML page: big".into() }));
}

#[tokio::test]
async fn a_key_that_a_server_echoes_comes_out_nowhere() {
    let mut said = Vec::new();
    for (status, body) in [
        ("400 Bad Request", format!(r#"{{"code":"{KEY}","message":"bad {KEY} key"}}"#)),
        ("401 Unauthorized", format!(r#"{{"error":{{"message":"Invalid token {KEY}","code":"{KEY}"}}}}"#)),
        ("429 Too Many Requests", format!("slow down, {KEY}")),
        ("500 Oh", format!("<html><title>{KEY}</title>")),
        ("200 OK", format!(r#"{{"unexpected":"{KEY}"}}"#)),
        ("200 OK", format!(r#"{{"code":0,"data":{{"task_id":"8","task_status":"{KEY}"}}}}"#)),
        (
            "200 OK",
            format!(r#"{{"code":0,"data":{{"task_id":"8","task_status":"failed","task_status_msg":"{KEY}"}}}}"#),
        ),
    ] {
        let play = || Play::Answer(http(status, "", &body));
        said.push(format!("{:?}", submit_to(play()).await));
        said.push(format!("{:?}", observe_at(play()).await));
    }
    let moved = http("301 Moved", &format!("location: https://h/?key={KEY}\r\n"), "");
    said.push(format!("{:?}", submit_to(Play::Answer(moved)).await));
    said.push(format!("{:?} {:?}", settings("https://h"), gateway(settings("https://h"))));
    for text in said {
        assert!(!text.contains("taint"), "{text}");
    }
}

#[tokio::test]
async fn every_paid_request_has_a_connection_of_its_own() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let gateway = gateway(settings(format!("http://{}", listener.local_addr().unwrap())));
    let server = async {
        // Kept open, so that the adapter could use them again.
        let mut kept = Vec::new();
        for _ in 0..2 {
            let (mut stream, _) = listener.accept().await.unwrap();
            read_request(&mut stream).await;
            let answer = http("200 OK", "", r#"{"code":0,"data":{"task_id":"8"}}"#);
            stream.write_all(answer.as_bytes()).await.unwrap();
            kept.push(stream);
        }
        kept.len()
    };
    let client = async {
        for _ in 0..2 {
            assert_eq!(submit_says(&submit(&gateway, by_url()).await), "accepted 8");
        }
    };
    let (connections, ()) = futures::future::join(server, client).await;
    assert_eq!(connections, 2);
}
