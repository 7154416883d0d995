//! Answers that no API gives: to a request that may have been paid, and to questions.

use std::io::Write;
use std::net::{TcpListener, TcpStream};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};

use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use serde_json::Value;

use super::{Asked, Night, Remote, accept, each, last, say, wait};

/// A hundred megabytes.
const ENDLESS: usize = 100 << 20;

type Answer = fn(&mut TcpStream) -> std::io::Result<()>;

/// What comes instead of an answer.
const ANSWERS: [(&str, Answer); 12] = [
    ("a body without end", |stream| {
        stream.write_all(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n")?;
        forever(stream, b"4000\r\n", &[b'x'; 0x4000], b"\r\n")
    }),
    ("a hundred megabytes of JSON", |stream| {
        write!(stream, "HTTP/1.1 200 OK\r\nContent-Length: {ENDLESS}\r\n\r\n{{\"code\":0,\"data\":{{\"words\":\"")?;
        forever(stream, b"", &[b'a'; 0x4000], b"")
    }),
    ("a head without end", |stream| {
        stream.write_all(b"HTTP/1.1 200 OK\r\n")?;
        forever(stream, b"X-More: ", &[b'y'; 0x1000], b"\r\n")
    }),
    ("answers before the answer, without end", |stream| forever(stream, b"", b"HTTP/1.1 100 Continue\r\n\r\n", b"")),
    ("a body that does not come", |stream| {
        stream.write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 500\r\n\r\n{\"code\":0,")?;
        wait(stream)
    }),
    ("less than was announced", |stream| {
        stream.write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 500\r\n\r\n{\"code\":0,\"data\":{\"task_id\":\"8\"}}")
    }),
    ("JSON that is deep", |stream| say(stream, "200 OK", "", "{\"data\":[".repeat(100_000))),
    ("JSON that grows in memory", |stream| say(stream, "200 OK", "", bomb(1 << 20))),
    ("what was not asked for: gzip", |stream| {
        say(stream, "200 OK", "Content-Encoding: gzip\r\nContent-Type: application/json\r\n", gzip())
    }),
    ("no HTTP", |stream| stream.write_all(b"SSH-2.0-OpenSSH_9.2\r\n\0\x1b[2J\r\n")),
    ("a task without a name", |stream| say(stream, "200 OK", "", r#"{"code":0,"data":{"task_status":"submitted"}}"#)),
    ("a name that is none", |stream| {
        say(stream, "200 OK", "", "{\"code\":0,\"data\":{\"task_id\":\"8\\r\\n\\u001b[2J\\u0000<script>\"}}")
    }),
];

/// The same piece again and again, until the other side has had enough.
fn forever(stream: &mut TcpStream, before: &[u8], piece: &[u8], after: &[u8]) -> std::io::Result<()> {
    let whole = [before, piece, after].concat().repeat(if piece.len() < 100 { 100 } else { 1 });
    for _ in 0..=ENDLESS / whole.len() {
        stream.write_all(&whole)?;
    }
    wait(stream)
}

/// A small text whose every value is an object of its own.
fn bomb(bytes: usize) -> String {
    format!("{{\"code\":0,\"data\":[{}0]}}", "{\"\":0},".repeat(bytes / 7))
}

/// `{"code":0,"data":{"task_id":"8"}}` and 400,000 spaces, compressed. Whoever unpacked it would find a task.
fn gzip() -> Vec<u8> {
    STANDARD.decode(GZIP).unwrap()
}

const GZIP: &str = "H4sIAAAAAAACA+3BoQ2AMAAEwFXIawSSdBnSUARBIKhr2J0tUHc3st/tSFnmtNprykivz7WdLSVr3ncCAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAACAH3x+yNcHoRoGAA==";

#[test]
fn a_request_that_is_answered_by_nonsense_is_in_doubt_and_sent_no_second_time() {
    each(&ANSWERS, |&(what, answer)| {
        let remote = Remote::playing(move |_: &Asked, stream| answer(stream));
        let night = Night::at(&remote, "kling-compatible", 2);
        let mut run = night.start(&["--request-timeout", "700ms", "--in-flight", "2"]);
        run.until(what, || ["row0", "row1"].iter().all(|row| night.has(row, "doubted")));
        run.interrupt(what);
        assert_eq!(remote.count("POST", ""), 2, "{what}");
        assert_eq!(night.status()["submissions"], 2, "{what}: what may have been paid counts");
    });
}

#[test]
fn a_question_that_is_answered_by_nonsense_is_asked_again_and_fails_no_row() {
    each(&ANSWERS, |&(what, answer)| {
        let made = AtomicUsize::new(0);
        let remote = Remote::playing(move |asked: &Asked, stream| match asked.method.as_str() {
            "POST" => accept(stream, &format!("t{}", made.fetch_add(1, Ordering::SeqCst))),
            _ => answer(stream),
        });
        // Lists and single tasks are asked for: enough of them for a list.
        let night = Night::at(&remote, "kling", 4);
        let mut run = night.start(&[]);
        // One that waits for more is cut off by the end of the run.
        let enough = if what.contains("not come") || what.contains("before the answer") { 1 } else { 4 };
        run.until(what, || remote.count("GET", "") >= enough);
        run.interrupt(what);
        let status = night.status();
        assert_eq!((&status["waiting"], &status["submissions"]), (&4.into(), &4.into()), "{what}: {status}");
        assert_eq!(remote.count("POST", ""), 4, "{what}");
    });
}

#[test]
fn no_more_of_an_answer_is_read_than_may_be_one() {
    let sent = Arc::new(AtomicUsize::new(0));
    let counted = Arc::clone(&sent);
    let remote = Remote::playing(move |asked: &Asked, stream| {
        if asked.method == "POST" {
            return accept(stream, "t");
        }
        stream.write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 104857600\r\n\r\n[")?;
        for _ in 0..ENDLESS / 0x4000 {
            stream.write_all(&[b' '; 0x4000])?;
            counted.fetch_add(0x4000, Ordering::SeqCst);
        }
        Ok(())
    });
    let night = Night::at(&remote, "kling", 1);
    let mut run = night.start(&[]);
    run.until("it asks a second time", || remote.count("GET", "") >= 2);
    run.interrupt("it asks a second time");
    // What the system itself holds between the two is some megabytes.
    let each = sent.load(Ordering::SeqCst) / remote.count("GET", "");
    assert!(each < 24 << 20, "{each} bytes of each answer were taken");
}

#[test]
fn a_redirect_is_not_followed_and_the_key_stays_with_its_gateway() {
    let other = Remote::playing(|_: &Asked, stream| accept(stream, "stolen"));
    each(&["301 Moved", "302 Found", "303 See", "307 Again", "308 Always"], |&status| {
        let places = [format!("http://{}/", other.address), "file:///etc/passwd".to_owned(), "/v1/again".to_owned()];
        for place in places {
            let head = format!("Location: {place}\r\n");
            let remote = Remote::playing(move |_: &Asked, stream| say(stream, status, &head, ""));
            let night = Night::at(&remote, "kling-compatible", 1);
            // Where nothing can have been made, the account is paused, for its address leads elsewhere.
            if status.starts_with("303") {
                let mut run = night.start(&[]);
                run.until(status, || night.has("row0", "doubted"));
                run.interrupt(status);
            } else {
                night.start(&[]).ends(8);
            }
            assert_eq!(remote.count("POST", ""), 1, "{status} {place}");
        }
    });
    assert_eq!(other.asked().len(), 0, "it was shown the key");
}

#[test]
fn where_tls_fails_nothing_was_sent_and_nothing_is_in_doubt() {
    for (what, answer) in [
        ("plain text", (|stream| stream.write_all(b"HTTP/1.1 400 Bad Request\r\n\r\n")) as Answer),
        ("an alert", |stream| stream.write_all(&[0x15, 3, 3, 0, 2, 2, 40])),
        ("half a record", |stream| stream.write_all(&[0x16, 3, 3, 0x40])),
        ("nothing", wait),
        ("a certificate that nobody vouches for", |stream| {
            let mut tls = rustls::ServerConnection::new(certified()).unwrap();
            // It ends with the other side's alert.
            drop(rustls::Stream::new(&mut tls, stream).write(b"HTTP/1.1 200 OK\r\n\r\n"));
            Ok(())
        }),
    ] {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap().to_string();
        let called = Arc::new(AtomicUsize::new(0));
        let count = Arc::clone(&called);
        std::thread::spawn(move || {
            for stream in listener.incoming() {
                count.fetch_add(1, Ordering::SeqCst);
                std::thread::spawn(move || drop(answer(&mut stream.unwrap())));
            }
        });
        let remote = Remote { address, asked: Arc::default() };
        let night = Night { base_url: format!("https://{}", remote.address), ..Night::at(&remote, "kling", 1) };
        let mut run = night.start(&["--request-timeout", "500ms"]);
        run.until(what, || night.has("row0", "put_off"));
        run.interrupt(what);
        assert!(called.load(Ordering::SeqCst) > 0 && !night.has("row0", "doubted"), "{what}");
        assert_eq!(night.status()["submissions"], 0, "{what}");
    }
}

/// A server for 127.0.0.1 with a certificate that it signed itself.
fn certified() -> Arc<rustls::ServerConfig> {
    const KEY: &str = "MIGHAgEAMBMGByqGSM49AgEGCCqGSM49AwEHBG0wawIBAQQgnAdCosenO2NS/+u+E2Z+RXlaDlmS38Sd0SuTVLAPPVWhRANCAAS31RpyVYtcl/Q6aznRx9zVY4XyAHOAe/k9zLcjbauX5M7Y0Xzj1L0tBG1r1ZnQP1q2GE3DgJ9PwrKcOTtz3LbJ";
    const CERTIFICATE: &str = "MIIBkDCCATagAwIBAgIURBrBHnfVlHalwqrYRf3XbXgqhVwwCgYIKoZIzj0EAwIwFDESMBAGA1UEAwwJMTI3LjAuMC4xMCAXDTI2MTEyNTAyMTA1M1oYDzIxMjYxMTAxMDIxMDUzWjAUMRIwEAYDVQQDDAkxMjcuMC4wLjEwWTATBgcqhkjOPQIBBggqhkjOPQMBBwNCAAS31RpyVYtcl/Q6aznRx9zVY4XyAHOAe/k9zLcjbauX5M7Y0Xzj1L0tBG1r1ZnQP1q2GE3DgJ9PwrKcOTtz3LbJo2QwYjAdBgNVHQ4EFgQUjJm7yLxeGXqQ3sM29jXjlB2bVTIwHwYDVR0jBBgwFoAUjJm7yLxeGXqQ3sM29jXjlB2bVTIwDwYDVR0TAQH/BAUwAwEB/zAPBgNVHREECDAGhwR/AAABMAoGCCqGSM49BAMCA0gAMEUCIQCJeVrDDANgy6HHHzpL2Mbmfp0SE1RlCZ6Avm/ZEq4NEgIgU6Atf6urhfId5oeKw54ep0GN/UjHCloywJtCRpNLqrY=";
    let certificate = CertificateDer::from(STANDARD.decode(CERTIFICATE).unwrap());
    let key = PrivateKeyDer::Pkcs8(STANDARD.decode(KEY).unwrap().into());
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let config = rustls::ServerConfig::builder_with_provider(provider).with_safe_default_protocol_versions().unwrap();
    Arc::new(config.with_no_client_auth().with_single_cert(vec![certificate], key).unwrap())
}

#[test]
fn a_clock_that_is_centuries_off_makes_no_token_that_lives_longer_than_a_day() {
    for date in ["Thu, 01 Jan 1970 00:00:00 GMT", "Fri, 31 Dec 9999 23:59:59 GMT", "Mon, 99 Foo 0000 99:99:99 GMT"] {
        let lives: Arc<Mutex<Vec<i64>>> = Arc::default();
        let noted = Arc::clone(&lives);
        let remote = Remote::playing(move |asked: &Asked, stream| {
            noted.lock().unwrap().push(expiry(asked));
            let head = format!("Date: {date}\r\n");
            match asked.method.as_str() {
                "POST" => say(stream, "200 OK", &head, r#"{"code":0,"data":{"task_id":"t"}}"#),
                _ => say(stream, "401 No", &head, r#"{"code":1004,"message":"token expired"}"#),
            }
        });
        let mut night = Night::at(&remote, "kling", 1);
        night.variables =
            vec![("NIGHTREEL_ACCESS_KEY", "ak-x".to_owned()), ("NIGHTREEL_SECRET_KEY", "sk-x".to_owned())];
        // The account is asked some times, refuses, and is left for the next run.
        night.start(&[]).ends(8);
        let now = jiff::Timestamp::now().as_second();
        let lives = lives.lock().unwrap();
        assert!(
            lives.len() > 1 && lives.iter().all(|exp| (exp - now).abs() < 24 * 3600 + 1900),
            "{date}: {lives:?} {now}"
        );
        assert_eq!(night.status()["waiting"], 1, "{date}");
    }
}

/// When the token that a request shows ends.
fn expiry(asked: &Asked) -> i64 {
    let shown = asked.header("authorization").unwrap();
    let token = shown.strip_prefix("Bearer ").unwrap();
    let claims = URL_SAFE_NO_PAD.decode(token.split('.').nth(1).unwrap()).unwrap();
    serde_json::from_slice::<Value>(&claims).unwrap()["exp"].as_i64().unwrap()
}

#[test]
fn a_remote_that_gives_every_row_the_same_task_leaves_all_but_one_in_doubt() {
    let remote = Remote::playing(|asked: &Asked, stream| match asked.method.as_str() {
        "POST" => accept(stream, "one-for-all"),
        _ => say(stream, "200 OK", "", r#"{"code":0,"data":{"task_id":"one-for-all","task_status":"processing"}}"#),
    });
    let night = Night::at(&remote, "kling-compatible", 3);
    let mut run = night.start(&[]);
    let rows = ["row0", "row1", "row2"];
    run.until("all were answered", || rows.iter().all(|row| night.has(row, "accepted") || night.has(row, "doubted")));
    run.interrupt("all were answered");
    let status = night.status();
    assert_eq!((&status["waiting"], &status["submissions"]), (&1.into(), &3.into()), "{status}");
    assert_eq!(rows.iter().filter(|row| night.has(row, "doubted")).count(), 2);
}

#[test]
fn a_success_without_a_link_is_no_end_and_strange_words_are_told_a_few_times_at_most() {
    let count = AtomicUsize::new(0);
    let remote = Remote::playing(move |asked: &Asked, stream| {
        let number = count.fetch_add(1, Ordering::SeqCst);
        if asked.method == "POST" {
            return accept(stream, &format!("t{number}"));
        }
        // As often a status that nobody has heard before.
        let status = if number.is_multiple_of(2) { "succeed".to_owned() } else { format!("odd-{number}") };
        let task =
            serde_json::json!({"task_id": last(&asked.path), "task_status": status, "task_result": {"videos": null}});
        say(stream, "200 OK", "", serde_json::json!({"code": 0, "data": task}).to_string())
    });
    let night = Night::at(&remote, "kling-compatible", 60);
    let mut run = night.start(&["--in-flight", "60"]);
    run.until("it has asked for all", || remote.count("POST", "") >= 60 && remote.count("GET", "") >= 70);
    let log = std::fs::read_to_string(night.path("log")).unwrap();
    run.interrupt("it has asked for all");
    assert_eq!(night.status()["waiting"], 60);
    let strange = log.lines().filter(|line| line.starts_with("the remote calls a task")).count();
    assert!((1..=20).contains(&strange), "{strange} strange words were told");
}
