//! Visitors of a dashboard that speak no HTTP, or too much of it.

use std::fs;
use std::io::{Read, Write};
use std::net::{Shutdown, TcpStream};
use std::time::Duration;

use crate::page::Served;
use crate::support::World;

/// What came back, if anything; whoever is cut off has its answer.
fn say(address: &str, bytes: &[u8]) -> String {
    let mut stream = TcpStream::connect(address).unwrap();
    stream.set_read_timeout(Some(Duration::from_secs(30))).unwrap();
    // It may hang up before all was said.
    drop(stream.write_all(bytes));
    drop(stream.shutdown(Shutdown::Write));
    let mut answer = Vec::new();
    drop(stream.read_to_end(&mut answer));
    String::from_utf8_lossy(&answer).into_owned()
}

#[test]
fn whatever_a_visitor_says_it_learns_nothing_and_others_are_still_answered() {
    let world = World::new(&[]);
    let manifest = world.manifest("m.csv", 1);
    world.run(&[manifest.to_str().unwrap(), "--no-report"]).exits(0);
    let served = Served::start(world.command(&["serve", "127.0.0.1:0"]));
    let host = served.address.clone();
    let head = |line: &str, more: &str| {
        format!("{line} HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\n{more}\r\n").into_bytes()
    };
    let post = |more: &str| head("POST /actions/drain", more);
    let mut said: Vec<(&str, Vec<u8>)> = vec![
        ("nothing", Vec::new()),
        ("noise", (0..=255_u8).cycle().take(100_000).collect()),
        ("TLS", b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03".to_vec()),
        ("a path of a megabyte", head(&format!("GET /{}", "a".repeat(1 << 20)), "")),
        ("a header of a megabyte", head("GET /view", &format!("X-More: {}\r\n", "a".repeat(1 << 20)))),
        ("a thousand headers", head("GET /view", &"X-More: a\r\n".repeat(1000))),
        ("no host", b"GET /view HTTP/1.1\r\nConnection: close\r\n\r\n".to_vec()),
        ("another host", b"GET /view HTTP/1.1\r\nHost: evil.example\r\nConnection: close\r\n\r\n".to_vec()),
        ("two hosts", head("GET /view", "Host: evil.example\r\n")),
        ("another host in its line", format!("GET http://evil.example/view HTTP/1.1\r\nHost: evil.example\r\nOrigin: http://{host}\r\nConnection: close\r\n\r\n").into_bytes()),
        ("two lengths", post("Content-Length: 2\r\nContent-Length: 3\r\n")),
        ("a length and pieces", post("Content-Length: 2\r\nTransfer-Encoding: chunked\r\n")),
        ("a piece that is none", [post("Transfer-Encoding: chunked\r\n"), b"zz\r\n".to_vec()].concat()),
        ("a body that is too large", [post("Content-Length: 99999999\r\n"), vec![b'x'; 1 << 20]].concat()),
        ("a body that does not come", post("Content-Length: 9\r\n")),
        ("a proxy's request", head("CONNECT evil.example:443", "")),
        ("a trace", head("TRACE /view", "")),
        ("a question before a request of another site", head("OPTIONS /actions/drain", "Origin: http://evil.example\r\nAccess-Control-Request-Method: POST\r\n")),
        ("a form of another site", [post("Origin: http://evil.example\r\nContent-Type: text/plain\r\nContent-Length: 2\r\n"), b"{}".to_vec()].concat()),
        ("a way out", head("GET /videos/..%2f..%2f..%2fetc%2fpasswd", "")),
        ("a video of no row", head("GET /videos/99999999999999999999", "")),
        ("a part without end", head("GET /videos/1", "Range: bytes=99999999999999999999-, 0-0,-9\r\n")),
    ];
    said.push(("half a request", b"GET /vi".to_vec()));
    for (what, bytes) in said {
        let answer = say(&host, &bytes);
        assert!(!answer.starts_with("HTTP/1.1 2") || what == "a part without end", "{what}: {answer}");
        for word in ["access-control-allow", "root:", "example.com/m.csv"] {
            assert!(!answer.to_lowercase().contains(word), "{what}: {answer}");
        }
    }
    assert_eq!(served.get("/view").status, 200);
    let status = fs::read_to_string(format!("/proc/{}/status", served.id())).unwrap();
    let most = status.lines().find_map(|line| line.strip_prefix("VmHWM:")?.trim().strip_suffix(" kB")?.parse().ok());
    assert!((1024..super::MOST_KIB).contains(&most.unwrap()), "{most:?}");
}
