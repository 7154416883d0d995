//! Downloads against a small file host on loopback that answers as it is told and keeps what it was asked.

use std::sync::{Arc, Mutex};

use bytes::Bytes;
use futures::future::BoxFuture;
use tempfile::TempDir;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};

use super::*;
use crate::domain::Digest;
use crate::sink::contract::{key, names, tiny_video};
use crate::sink::{Fill, Found, LocalSink, Pieces};

/// How the host answers a request.
#[derive(Clone)]
enum Reply {
    /// The file, of this version, as a good host serves it: by range where the version is the asked one.
    Serve(&'static str, Vec<u8>),
    /// As `Serve`, but the connection breaks after so many bytes of the body.
    Break(&'static str, Vec<u8>, usize),
    /// As `Serve`, but nothing comes after so many bytes, and the connection stays.
    Stall(&'static str, Vec<u8>, usize),
    /// A byte every now and then, of a video without end.
    Dribble,
    /// Just this head and body.
    Raw(String, Vec<u8>),
}

struct Host {
    link: String,
    asked: Arc<Mutex<Vec<String>>>,
}

impl Host {
    /// Answers the first request with the first reply, and so on; the last one again and again.
    async fn with(replies: Vec<Reply>) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let link = format!("http://{}/v/a.mp4?Signature=s3cret", listener.local_addr().unwrap());
        let asked = Arc::new(Mutex::new(Vec::new()));
        let seen = Arc::clone(&asked);
        tokio::spawn(async move {
            for at in 0.. {
                let (stream, _) = listener.accept().await.unwrap();
                let reply = replies[at.min(replies.len() - 1)].clone();
                tokio::spawn(answer(stream, reply, Arc::clone(&seen)));
            }
        });
        Self { link, asked }
    }

    fn asked(&self) -> Vec<String> {
        self.asked.lock().unwrap().clone()
    }
}

async fn answer(mut stream: TcpStream, reply: Reply, seen: Arc<Mutex<Vec<String>>>) {
    let mut request = Vec::new();
    while !request.ends_with(b"\r\n\r\n") {
        request.push(stream.read_u8().await.unwrap());
    }
    let request = String::from_utf8(request).unwrap().to_lowercase();
    let header = |name: &str| {
        let line = request.lines().find_map(|line| line.strip_prefix(&format!("{name}: ")));
        line.map(str::to_owned)
    };
    let (range, version) = (header("range"), header("if-range"));
    seen.lock().unwrap().push(request.clone());
    if matches!(reply, Reply::Dribble) {
        stream.write_all(b"HTTP/1.1 200 OK\r\nETag: \"v1\"\r\n\r\n").await.unwrap();
        // Ends when the other side has had enough.
        while stream.write_all(b"x").await.is_ok() {
            Clock::system().sleep(Duration::from_millis(20)).await;
        }
        return;
    }
    let (head, body, stays) = match reply {
        Reply::Dribble => unreachable!("it has its own end"),
        Reply::Raw(head, body) => (head, body, false),
        Reply::Serve(tag, file) => {
            let (head, body) = serve(tag, &file, range.as_deref(), version.as_deref());
            (head, body, false)
        }
        Reply::Break(tag, file, after) => {
            let (head, body) = serve(tag, &file, range.as_deref(), version.as_deref());
            (head, body[..after].to_vec(), false)
        }
        Reply::Stall(tag, file, after) => {
            let (head, body) = serve(tag, &file, range.as_deref(), version.as_deref());
            (head, body[..after].to_vec(), true)
        }
    };
    let head = format!("HTTP/1.1 {head}\r\nConnection: close\r\n\r\n");
    stream.write_all(head.as_bytes()).await.unwrap();
    stream.write_all(&body).await.unwrap();
    if stays {
        // Ends when the other side has had enough.
        let _ = stream.read_u8().await;
    }
}

fn serve(tag: &str, file: &[u8], range: Option<&str>, version: Option<&str>) -> (String, Vec<u8>) {
    let total = file.len();
    let from = range.filter(|_| version == Some(tag));
    let from = from.map(|range| range.strip_prefix("bytes=").unwrap().strip_suffix('-').unwrap().parse().unwrap());
    match from {
        Some(from) if from >= total => {
            (format!("416 No\r\nContent-Range: bytes */{total}\r\nContent-Length: 0"), Vec::new())
        }
        Some(from) => {
            let (last, length) = (total - 1, total - from);
            let range = format!("Content-Range: bytes {from}-{last}/{total}\r\nContent-Length: {length}");
            (format!("206 Partial\r\nETag: {tag}\r\n{range}"), file[from..].to_vec())
        }
        None => (format!("200 OK\r\nContent-Type: video/mp4\r\nETag: {tag}\r\nContent-Length: {total}"), file.to_vec()),
    }
}

struct Bench {
    folder: TempDir,
    sink: LocalSink,
    stop: CancellationToken,
}

impl Bench {
    fn new() -> Self {
        let folder = TempDir::new().unwrap();
        let sink = LocalSink::new(folder.path().to_owned());
        Self { folder, sink, stop: CancellationToken::new() }
    }

    async fn fetch(&self, link: &str) -> Fetched {
        self.fetch_into(link, &self.sink).await
    }

    async fn fetch_into(&self, link: &str, sink: &dyn Sink) -> Fetched {
        self.fetch_as_far(link, Reach::Anywhere, sink).await
    }

    async fn fetch_as_far(&self, link: &str, reach: Reach, sink: &dyn Sink) -> Fetched {
        let downloader = Downloader::new(Clock::system(), Duration::from_millis(500), 1 << 20).unwrap();
        downloader.fetch((link, reach), sink, &key("a.mp4"), "nr-1", &self.stop).await
    }

    /// What is held of the unfinished video.
    async fn held(&self) -> u64 {
        self.sink.begin(&key("a.mp4"), "nr-1").await.unwrap().held()
    }

    async fn has(&self, video: &[u8]) -> bool {
        let found = self.sink.look(&key("a.mp4")).await.unwrap();
        found == Found::File { sha256: Digest::of(video), bytes: video.len() as u64 }
    }
}

fn words(fetched: &Fetched) -> &str {
    match fetched {
        Fetched::Failed { words, .. } | Fetched::Expired { words } | Fetched::Refused { words } => words,
        Fetched::Stored(_) | Fetched::SinkStopped(_) | Fetched::Stopped => panic!("no failure: {fetched:?}"),
    }
}

#[tokio::test]
async fn a_video_is_fetched_by_a_request_that_tells_nothing() {
    let (bench, video) = (Bench::new(), tiny_video(500_000));
    let host = Host::with(vec![Reply::Serve("\"v1\"", video.clone())]).await;
    let Fetched::Stored(artifact) = bench.fetch(&host.link).await else { panic!() };
    assert_eq!((artifact.bytes, artifact.sha256), (video.len() as u64, Digest::of(&video)));
    assert!(bench.has(&video).await);
    let asked = host.asked();
    assert!(asked[0].contains("accept-encoding: identity\r\n"), "{asked:?}");
    for secret in ["authorization:", "cookie:", "referer:", "range:"] {
        assert!(!asked[0].contains(secret), "{asked:?}");
    }
}

#[tokio::test]
async fn a_broken_download_goes_on_where_it_broke() {
    let (bench, video) = (Bench::new(), tiny_video(500_000));
    let broken = Reply::Break("\"v1\"", video.clone(), 300_000);
    let stalled = Reply::Stall("\"v1\"", video.clone(), 100_000);
    let host = Host::with(vec![broken, stalled, Reply::Serve("\"v1\"", video.clone())]).await;
    assert!(matches!(bench.fetch(&host.link).await, Fetched::Failed { .. }));
    assert_eq!(names(&bench.sink).await, Vec::<String>::new());
    let stalled = bench.fetch(&host.link).await;
    assert!(words(&stalled).contains("no byte came"), "{stalled:?}");
    assert!(matches!(bench.fetch(&host.link).await, Fetched::Stored(_)));
    assert!(bench.has(&video).await);
    let asked = host.asked();
    assert!(asked[1].contains("if-range: \"v1\"\r\n"), "{asked:?}");
    assert!(asked[1].contains("range: bytes=300000-\r\n"), "{asked:?}");
    assert!(asked[2].contains("range: bytes=400000-\r\n"), "{asked:?}");
}

#[tokio::test]
async fn a_host_that_dribbles_does_not_keep_a_place_for_ever() {
    let bench = Bench::new();
    let host = Host::with(vec![Reply::Dribble]).await;
    let fetched = bench.fetch(&host.link).await;
    // On a machine that stands still for half a second, not even one came.
    assert!(words(&fetched).contains("came"), "{fetched:?}");
    let held = bench.held().await;
    assert!(held < LEAST, "{held}");
}

#[tokio::test]
async fn links_and_redirects_of_a_public_gateway_lead_to_no_private_address() {
    let bench = Bench::new();
    let host = Host::with(vec![Reply::Serve("\"v1\"", tiny_video(500))]).await;
    let named = host.link.replace("127.0.0.1", "localhost");
    for link in [&host.link, &named] {
        let fetched = bench.fetch_as_far(link, Reach::Public, &bench.sink).await;
        assert!(words(&fetched).contains("private_links"), "{fetched:?}");
    }
    assert_eq!(host.asked().len(), 0);
    assert!(matches!(bench.fetch(&host.link).await, Fetched::Stored(_)));
}

#[test]
fn links_lead_to_private_addresses_where_the_gateway_is_there_or_the_user_says_so() {
    let downloader = Downloader::new(Clock::system(), Downloader::STALL_AFTER, Downloader::MAX_BYTES).unwrap();
    let account = |base_url: &str| Account {
        name: AccountName::new("studio").unwrap(),
        gateway: "kling".into(),
        base_url: base_url.to_owned(),
        last_submit_at: None,
    };
    let reach = |base_url: &str| downloader.reach_of(&account(base_url));
    for private in
        ["", "http://127.0.0.1:8099", "http://[::1]:1/kling", "https://192.168.0.7/kling", "http://localhost"]
    {
        assert_eq!(reach(private), Reach::Anywhere, "{private}");
    }
    let public = ["https://api-singapore.klingai.com", "https://gateway.lan/kling", "no address"];
    for public in public {
        assert_eq!(reach(public), Reach::Public, "{public}");
    }
    let downloader = downloader.allowing(vec![AccountName::new("studio").unwrap()]);
    assert!(public.iter().all(|url| downloader.reach_of(&account(url)) == Reach::Anywhere));
}

#[test]
fn what_a_host_says_is_one_short_line() {
    let long = "certificate for \u{1b}[2J\nevil ".repeat(50);
    assert_eq!(words(&failed(&long)).chars().count(), LONGEST_WORDS);
    assert!(!words(&refused(&long)).contains(['\n', '\u{1b}']));
}

#[tokio::test]
async fn bytes_of_two_versions_are_never_joined() {
    let (old, new) = (tiny_video(2000), tiny_video(1500));
    let careless = "206 Partial\r\nETag: \"v2\"\r\nContent-Range: bytes 1000-1547/1548\r\nContent-Length: 548";
    let shifted = "206 Partial\r\nETag: \"v1\"\r\nContent-Range: bytes 0-9/1548\r\nContent-Length: 10";
    let shorter = "416 No\r\nContent-Range: bytes */900\r\nContent-Length: 0";
    let mut second = vec![vec![Reply::Serve("\"v2\"", new.clone())]];
    for head in [careless, shifted, shorter] {
        let body = new[1000..].to_vec();
        second.push(vec![Reply::Raw(head.to_owned(), body), Reply::Serve("\"v2\"", new.clone())]);
    }
    for second in second {
        let bench = Bench::new();
        let host = Host::with([vec![Reply::Break("\"v1\"", old.clone(), 1000)], second].concat()).await;
        assert!(matches!(bench.fetch(&host.link).await, Fetched::Failed { .. }));
        assert_eq!(bench.held().await, 1000);
        let fetched = bench.fetch(&host.link).await;
        assert!(matches!(fetched, Fetched::Stored(_)), "{fetched:?}");
        assert!(bench.has(&new).await);
    }
}

#[tokio::test]
async fn a_part_that_ends_between_two_boxes_is_not_the_whole_video() {
    let shorter = tiny_video(2000);
    let tail = [&100_u32.to_be_bytes()[..], b"free", &[0; 92]].concat();
    let (bench, video) = (Bench::new(), [shorter.clone(), tail].concat());
    let (part, total) = (shorter.len(), video.len());
    let range = format!("Content-Range: bytes 1000-{}/{total}\r\nContent-Length: {}", part - 1, part - 1000);
    let short = Reply::Raw(format!("206 Partial\r\nETag: \"v1\"\r\n{range}"), shorter[1000..].to_vec());
    let broken = Reply::Break("\"v1\"", video.clone(), 1000);
    let host = Host::with(vec![broken, short, Reply::Serve("\"v1\"", video.clone())]).await;
    assert!(matches!(bench.fetch(&host.link).await, Fetched::Failed { .. }));
    let fetched = bench.fetch(&host.link).await;
    assert!(words(&fetched).contains(&format!("only {part} of {total} bytes came")), "{fetched:?}");
    assert_eq!(names(&bench.sink).await, Vec::<String>::new());
    assert!(matches!(bench.fetch(&host.link).await, Fetched::Stored(_)));
    assert!(bench.has(&video).await);
}

#[tokio::test]
async fn a_download_that_was_killed_before_its_naming_is_just_finished() {
    let (bench, video) = (Bench::new(), tiny_video(2000));
    let mut partial = bench.sink.begin(&key("a.mp4"), "nr-1").await.unwrap();
    partial.restart(Some("\"v1\"".to_owned())).await.unwrap();
    partial.append(Bytes::from(video.clone())).await.unwrap();
    drop(partial);
    let host = Host::with(vec![Reply::Serve("\"v1\"", video.clone())]).await;
    assert!(matches!(bench.fetch(&host.link).await, Fetched::Stored(_)));
    assert!(bench.has(&video).await);
    assert_eq!(host.asked().len(), 1);
}

#[tokio::test]
async fn what_is_no_video_never_becomes_one() {
    let page = b"<html>Please log in</html>".to_vec();
    let cut = tiny_video(100)[..80].to_vec();
    let large = "200 OK\r\nContent-Length: 9000000".to_owned();
    for (reply, word) in [
        (Reply::Raw("200 OK\r\nContent-Type: text/html; charset=utf-8".to_owned(), page.clone()), "a web page came"),
        (Reply::Raw("200 OK\r\nContent-Type: video/mp4".to_owned(), page.clone()), "web page"),
        (Reply::Raw("200 OK\r\nContent-Type: video/mp4".to_owned(), cut), "cut off"),
        (Reply::Raw("200 OK\r\nContent-Encoding: gzip".to_owned(), page.clone()), "compressed"),
        (Reply::Raw("200 OK".to_owned(), Vec::new()), "empty"),
        (Reply::Raw(large, Vec::new()), "larger than 1 MiB"),
        (Reply::Raw("200 OK".to_owned(), tiny_video(1_100_000)), "larger than 1 MiB"),
    ] {
        let bench = Bench::new();
        let fetched = bench.fetch(&Host::with(vec![reply]).await.link).await;
        assert!(matches!(fetched, Fetched::Failed { .. }) && words(&fetched).contains(word), "{word}: {fetched:?}");
        assert_eq!(std::fs::read_dir(bench.folder.path()).unwrap().count(), 0, "{word}: something was left");
    }
}

#[tokio::test]
async fn a_log_in_page_does_not_cost_what_is_held() {
    let (bench, video) = (Bench::new(), tiny_video(2000));
    let page = Reply::Raw("200 OK\r\nContent-Type: text/html".to_owned(), b"<html>".to_vec());
    let host = Host::with(vec![Reply::Break("\"v1\"", video, 700), page]).await;
    bench.fetch(&host.link).await;
    bench.fetch(&host.link).await;
    assert_eq!(bench.held().await, 700);
}

#[tokio::test]
async fn answers_without_a_video_are_told_apart() {
    let bench = Bench::new();
    for status in ["403 Forbidden", "404 Not Found", "410 Gone"] {
        let host = Host::with(vec![Reply::Raw(status.to_owned(), Vec::new())]).await;
        let fetched = bench.fetch(&host.link).await;
        assert!(matches!(&fetched, Fetched::Expired { words } if words.contains(status)), "{fetched:?}");
    }
    for (head, wait) in [
        ("503 Busy\r\nRetry-After: 7", Some(7)),
        ("429 Slow\r\nRetry-After: soon", None),
        ("500 Oh", None),
        ("302 Found\r\nLocation: ftp://127.0.0.1/?Signature=s3cret", None),
        ("302 Found\r\nLocation: /again?Signature=s3cret", None),
    ] {
        let host = Host::with(vec![Reply::Raw(head.to_owned(), Vec::new())]).await;
        let fetched = bench.fetch(&host.link).await;
        assert!(!words(&fetched).contains("s3cret"), "{fetched:?}");
        let Fetched::Failed { retry_after, .. } = fetched else { panic!("{fetched:?}") };
        assert_eq!(retry_after.map(|wait| wait.as_secs()), wait, "{head}");
        assert!(host.asked().len() <= 6, "more than five redirects were followed");
    }
    let closed = TcpListener::bind("127.0.0.1:0").await.unwrap().local_addr().unwrap();
    let fetched = bench.fetch(&format!("http://{closed}/?Signature=s3cret")).await;
    assert!(words(&fetched).contains("refused") && !words(&fetched).contains("s3cret"), "{fetched:?}");
    for link in ["file:///etc/passwd", "data:video/mp4,x", "ftp://127.0.0.1/a", "a.mp4", ""] {
        assert!(matches!(bench.fetch(link).await, Fetched::Refused { .. }), "{link}");
    }
}

#[tokio::test]
async fn stopping_keeps_what_came() {
    let (bench, video) = (Bench::new(), tiny_video(2000));
    let stalled = Reply::Stall("\"v1\"", video.clone(), 700);
    let host = Host::with(vec![stalled, Reply::Serve("\"v1\"", video.clone())]).await;
    let sink = Tripwire { inner: LocalSink::new(bench.folder.path().to_owned()), trip: Trip::Stop(bench.stop.clone()) };
    assert!(matches!(bench.fetch_into(&host.link, &sink).await, Fetched::Stopped));
    assert!(matches!(bench.fetch(&host.link).await, Fetched::Stopped), "stopped before it began");
    assert!(bench.held().await > 0);
    let again = Bench { stop: CancellationToken::new(), ..bench };
    assert!(matches!(again.fetch(&host.link).await, Fetched::Stored(_)));
    assert!(again.has(&video).await);
    assert!(host.asked()[1].contains("if-range"));
}

#[tokio::test]
async fn a_full_disk_stops_the_sink_and_keeps_what_came() {
    let (bench, video) = (Bench::new(), tiny_video(2000));
    let host = Host::with(vec![Reply::Serve("\"v1\"", video.clone())]).await;
    let sink = Tripwire { inner: LocalSink::new(bench.folder.path().to_owned()), trip: Trip::Full };
    let fetched = bench.fetch_into(&host.link, &sink).await;
    assert!(matches!(fetched, Fetched::SinkStopped(SinkError::Full)), "{fetched:?}");
    assert_eq!(names(&bench.sink).await, Vec::<String>::new());
    assert!(bench.held().await > 0);
    assert!(matches!(bench.fetch(&host.link).await, Fetched::Stored(_)));
    assert!(bench.has(&video).await);
}

/// A sink that does something with the first bytes that it takes.
#[derive(Debug)]
struct Tripwire {
    inner: LocalSink,
    trip: Trip,
}

#[derive(Debug, Clone)]
enum Trip {
    /// Cancels the download.
    Stop(CancellationToken),
    /// Keeps some bytes and says that the disk is full.
    Full,
}

#[derive(Debug)]
struct TrippedPartial {
    inner: Box<dyn Partial>,
    trip: Trip,
}

impl Partial for TrippedPartial {
    fn held(&self) -> u64 {
        self.inner.held()
    }

    fn validator(&self) -> Option<&str> {
        self.inner.validator()
    }

    fn restart(&mut self, validator: Option<String>) -> BoxFuture<'_, Result<(), SinkError>> {
        self.inner.restart(validator)
    }

    fn append(&mut self, bytes: Bytes) -> BoxFuture<'_, Result<(), SinkError>> {
        match &self.trip {
            Trip::Stop(stop) => {
                stop.cancel();
                self.inner.append(bytes)
            }
            Trip::Full => Box::pin(async move {
                self.inner.append(bytes.slice(..bytes.len() / 2)).await?;
                Err(SinkError::Full)
            }),
        }
    }

    fn finish(self: Box<Self>, expected: Option<u64>) -> BoxFuture<'static, Result<Artifact, SinkError>> {
        self.inner.finish(expected)
    }
}

impl Sink for Tripwire {
    fn begin<'a>(&'a self, key: &'a OutputKey, owner: &'a str) -> BoxFuture<'a, Result<Box<dyn Partial>, SinkError>> {
        Box::pin(async move {
            let inner = self.inner.begin(key, owner).await?;
            Ok(Box::new(TrippedPartial { inner, trip: self.trip.clone() }) as Box<dyn Partial>)
        })
    }

    fn look<'a>(&'a self, key: &'a OutputKey) -> BoxFuture<'a, Result<Found, SinkError>> {
        self.inner.look(key)
    }

    fn walk<'a>(&'a self, each: &'a mut (dyn FnMut(String) + Send)) -> BoxFuture<'a, Result<(), SinkError>> {
        self.inner.walk(each)
    }

    fn read<'a>(
        &'a self,
        artifact: &'a Artifact,
        part: std::ops::Range<u64>,
    ) -> BoxFuture<'a, Result<Option<Pieces>, SinkError>> {
        self.inner.read(artifact, part)
    }

    fn document<'a>(&'a self, name: &'a str, write: &'a mut Fill<'_>) -> BoxFuture<'a, Result<(), SinkError>> {
        self.inner.document(name, write)
    }

    fn peek<'a>(&'a self, name: &'a str) -> BoxFuture<'a, Result<Option<Vec<u8>>, SinkError>> {
        self.inner.peek(name)
    }

    fn forget<'a>(&'a self, name: &'a str) -> BoxFuture<'a, Result<(), SinkError>> {
        self.inner.forget(name)
    }

    fn place(&self) -> String {
        self.inner.place()
    }
}
