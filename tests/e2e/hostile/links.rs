//! Links to videos that lead where they should not, and file hosts that send what is no video.

use std::fs;
use std::io::Write;
use std::net::TcpStream;

use super::{Asked, Night, Remote, accept, each, last, made, say, video, wait};
use crate::support::{Ran, World, files};

/// A remote whose every task has this link, and which serves what lies there.
fn with_link(
    link: &'static str,
    host: impl Fn(&Asked, &mut TcpStream) -> std::io::Result<()> + Send + Sync + 'static,
) -> Remote {
    Remote::playing(move |asked: &Asked, stream| {
        let here = asked.header("host").unwrap_or_default().to_owned();
        if asked.method == "POST" {
            accept(stream, "t")
        } else if asked.path.contains("/effects/t") {
            made(stream, "t", &link.replace("HERE", &here))
        } else if asked.path.contains("/v1/videos/effects") || asked.path.contains("/tasks") {
            say(stream, "404 No", "", r#"{"code":1200,"message":"no such thing"}"#)
        } else {
            host(asked, stream)
        }
    })
}

type Host = fn(&Asked, &mut TcpStream) -> std::io::Result<()>;

#[test]
fn what_is_no_video_or_too_large_a_one_is_left_and_its_row_stays_ready() {
    const HOSTS: [(&str, Host); 11] = [
        ("without end", |_, stream| {
            stream.write_all(b"HTTP/1.1 200 OK\r\nConnection: close\r\n\r\n")?;
            loop {
                stream.write_all(&[0; 0x4000])?;
            }
        }),
        ("four gigabytes that are announced", |_, stream| {
            stream.write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 4294967296\r\n\r\n\0\0\0\x10ftypisom\0\0\0\0")?;
            wait(stream)
        }),
        ("four gigabytes of a video that are not announced", |_, stream| {
            stream.write_all(
                b"HTTP/1.1 200 OK\r\n\r\n\0\0\0\x10ftypisom\0\0\0\0\0\0\0\x08moov\0\0\0\x01mdat\0\0\0\x01\0\0\0\0",
            )?;
            loop {
                stream.write_all(&[0; 0x4000])?;
            }
        }),
        ("longer than any number", |_, stream| {
            say(stream, "200 OK", "X: y\r\n", "").and_then(|()| stream.write_all(b"x"))
        }),
        ("two lengths", |_, stream| {
            stream.write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\nContent-Length: 6\r\n\r\n123456")
        }),
        ("a length that is none", |_, stream| {
            stream.write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 99999999999999999999999\r\n\r\n1")
        }),
        ("less than was announced", |_, stream| {
            let part = video().len() + 100;
            write!(stream, "HTTP/1.1 200 OK\r\nContent-Length: {part}\r\n\r\n")?;
            stream.write_all(&video())
        }),
        ("a web page", |_, stream| say(stream, "200 OK", "Content-Type: text/html\r\n", "<html>\x1b[2J")),
        ("gzip", |_, stream| say(stream, "200 OK", "Content-Encoding: gzip\r\n", [0x1f, 0x8b, 8])),
        ("redirects without end", |_, stream| say(stream, "302 Found", "Location: /on\r\n", "")),
        ("a redirect to a file", |_, stream| say(stream, "302 Found", "Location: file:///etc/passwd\r\n", "")),
    ];
    each(&HOSTS, |&(what, host)| {
        let remote = with_link("http://HERE/v", host);
        let mut night = Night::at(&remote, "kling-compatible", 1);
        night.variables.push(("NIGHTREEL_MAX_VIDEO", "1MiB".to_owned()));
        let mut run = night.start(&[]);
        run.until(what, || night.has("row0", "fetch_failed"));
        run.interrupt(what);
        assert_eq!(night.status()["ready"], 1, "{what}");
        let left: u64 = files(night.folder.path())
            .iter()
            .filter(|file| file.contains("videos/") && !file.contains("results.csv"))
            .map(|file| fs::metadata(night.path(file)).unwrap().len())
            .sum();
        assert!(left <= 1 << 20, "{what}: {left} bytes were left");
        for asked in remote.asked().iter().filter(|asked| asked.path == "/v" || asked.path == "/on") {
            assert!(asked.header("authorization").is_none(), "{what}: the file host was shown the key");
        }
    });
}

#[test]
fn a_link_is_asked_for_as_it_was_told_and_makes_no_path_here() {
    // Longer than any sane one, with what is special to files, shells, terminals and HTML.
    let odd = "http://HERE/../..//etc/passwd%00.mp4/\\..\\x?q=\u{0}\u{1b}[2J\r\nHost: evil\"<script>&sig=%2e%2e%2f";
    let long: &'static str = Box::leak(format!("{odd}{}", "a".repeat(5_000)).into_boxed_str());
    let remote = with_link(long, |_, stream| say(stream, "200 OK", "Content-Type: video/mp4\r\n", video()));
    let night = Night::at(&remote, "kling-compatible", 1);
    night.start(&[]).ends(0);
    assert_eq!(fs::read(night.path("videos/squish/row0.mp4")).unwrap(), video());
    let asked = remote.asked().into_iter().find(|asked| asked.path.contains("passwd")).unwrap();
    assert!(
        asked.path.starts_with("/etc/passwd%00.mp4/") || asked.path.starts_with("//etc/passwd%00.mp4/"),
        "{asked:?}"
    );
    assert!(asked.path.len() > 5_000 && asked.header("host") != Some("evil"), "{asked:?}");
    let outside = files(night.folder.path());
    let known =
        |file: &String| ["videos/", "state/", "m.csv", "told", "log"].iter().any(|known| file.starts_with(known));
    assert!(outside.iter().all(known), "{outside:?}");
}

/// A night at a gateway with a public name, to which a proxy on this machine leads, as to every other name.
fn public(proxy: &Remote) -> Night {
    let mut night = Night::at(proxy, "kling-compatible", 1);
    night.base_url = String::from("http://gateway.example");
    night.variables.push(("HTTP_PROXY", format!("http://{}", proxy.address)));
    night
}

#[test]
fn a_public_gateway_leads_nowhere_private_unless_that_is_allowed() {
    let links = [
        "http://127.0.0.1:9/private",
        "http://169.254.169.254/private",
        "http://[::ffff:10.0.0.1]/private",
        "http://0x7f000001/private",
        "http://localhost/private",
        "http://files.example/redirect",
    ];
    each(&links, |&link| {
        let play = |asked: &Asked, stream: &mut TcpStream| {
            if last(&asked.path) == "redirect" {
                return say(stream, "302 Found", "Location: http://192.168.0.1/private\r\n", "");
            }
            say(stream, "200 OK", "Content-Type: video/mp4\r\n", video())
        };
        let proxy = with_link(link, play);
        let mut night = public(&proxy);
        let mut run = night.start(&[]);
        run.until(link, || night.has("row0", "fetch_failed"));
        run.interrupt(link);
        let logs = night.nightreel(&["logs", "row0"]).exits(0).out;
        assert!(logs.contains("private_links = true"), "{link}: {logs}");
        let reached = || proxy.asked().iter().any(|asked| last(&asked.path) == "private");
        assert!(!reached(), "{link} was asked for");
        assert_eq!(night.status()["ready"], 1);
        if link.contains("127.0.0.1") || link.contains("localhost") || link.contains("0x7f") {
            // What is on this machine is not asked for through a proxy.
            return;
        }
        night.variables.push(("NIGHTREEL_PRIVATE_LINKS", "true".to_owned()));
        night.start(&[]).ends(0);
        assert!(reached(), "{link} was not asked for although that is allowed");
        assert_eq!(fs::read(night.path("videos/squish/row0.mp4")).unwrap(), video());
    });
}

#[test]
fn a_redirect_to_another_host_is_followed_without_a_word_about_who_asks() {
    let other = Remote::playing(|_: &Asked, stream| say(stream, "200 OK", "Content-Type: video/mp4\r\n", video()));
    let head: &'static str = Box::leak(format!("Location: http://{}/v\r\n", other.address).into_boxed_str());
    let remote = with_link("http://HERE/signed?Signature=s3cret", move |_, stream| say(stream, "302 Found", head, ""));
    let night = Night::at(&remote, "kling-compatible", 1);
    night.start(&[]).ends(0);
    let asked = other.asked();
    assert_eq!(asked.len(), 1);
    let whole = format!("{asked:?}").to_lowercase();
    for word in ["authorization", "cookie", "referer", "recognisable", "s3cret"] {
        assert!(!whole.contains(word), "{whole}");
    }
}

#[test]
fn the_simulators_answers_and_videos_without_end_are_outlived() {
    let faults = ["query-endless=0.3", "file-endless=0.3", "file-loop=0.3"];
    let flags: Vec<&str> = faults.iter().flat_map(|fault| ["--fault", fault]).collect();
    let world = World::new(&[&flags[..], &["--seed", "7"]].concat());
    let manifest = world.manifest("m.csv", 6);
    let args = world.kling(&[manifest.to_str().unwrap(), "--canary", "0"]);
    let ran = world.command(&args).env("NIGHTREEL_MAX_VIDEO", "4MiB").output().unwrap();
    Ran::from(ran).exits(0);
    world.paid_once(6);
}
