//! Visitors who do not say what they want, over real sockets.

use std::io::ErrorKind;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use super::*;

/// A moment for the other side; nothing depends on how long it really is.
const MOMENT: Duration = Duration::from_millis(20);

async fn served(folder: &std::path::Path, patience: Duration) -> (Server, SocketAddr) {
    let settings = Settings { address: ([127, 0, 0, 1], 0).into(), token: None, names: Vec::new() };
    let mut bound = Bound::take(settings).await.unwrap();
    assert_eq!(bound.patience, line::PATIENCE);
    bound.patience = patience;
    let address = bound.address();
    (bound.serve(Desk::Ledger, folder.join("none.db"), None, Clock::system()), address)
}

/// One request of somebody who says at once what it wants.
async fn status(address: SocketAddr) -> String {
    let mut stream = TcpStream::connect(address).await.unwrap();
    let request = format!("GET /view HTTP/1.1\r\nHost: {address}\r\nConnection: close\r\n\r\n");
    stream.write_all(request.as_bytes()).await.unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).await.unwrap();
    answer.lines().next().unwrap().to_owned()
}

/// Says `begin`, and then a byte of `more` at each moment, until it is cut off or answered: with what, and after how many.
async fn dribble(address: SocketAddr, begin: String, more: &[u8]) -> (String, usize) {
    let clock = Clock::system();
    let mut stream = TcpStream::connect(address).await.unwrap();
    stream.write_all(begin.as_bytes()).await.unwrap();
    let (mut reading, mut writing) = stream.split();
    let mut answer = Vec::new();
    for (count, byte) in more.iter().cycle().enumerate() {
        let mut over = writing.write_all(&[*byte]).await.is_err();
        let mut part = [0; 1024];
        match clock.within(MOMENT, reading.read(&mut part)).await {
            None => {}
            Some(Ok(0)) => over = true,
            Some(Ok(read)) => answer.extend_from_slice(&part[..read]),
            Some(Err(error)) if error.kind() == ErrorKind::ConnectionReset => over = true,
            Some(Err(error)) => panic!("{error}"),
        }
        if over {
            return (String::from_utf8_lossy(&answer).into_owned(), count);
        }
    }
    unreachable!("it is said for ever")
}

#[tokio::test]
async fn who_dribbles_is_cut_off_and_others_are_served_meanwhile() {
    let folder = tempfile::tempdir().unwrap();
    let (server, address) = served(folder.path(), Duration::from_secs(1)).await;
    let heads = (0..8).map(|_| {
        let begin = format!("GET /view HTTP/1.1\r\nHost: {address}\r\nX-Dribble: ");
        tokio::spawn(dribble(address, begin, b"x"))
    });
    let heads: Vec<_> = heads.collect();
    let silent = TcpStream::connect(address).await.unwrap();
    assert_eq!(status(address).await, "HTTP/1.1 200 OK");
    assert!(heads.iter().all(|head| !head.is_finished()), "they were cut off before their time");
    for head in heads {
        let (answer, bytes) = head.await.unwrap();
        assert!(bytes > 0 && !answer.contains("200 OK"), "{bytes}: {answer}");
        assert_eq!(status(address).await, "HTTP/1.1 200 OK");
    }
    // Who says nothing at all is cut off, too.
    let mut rest = Vec::new();
    let (mut silent, _write) = silent.into_split();
    silent.read_to_end(&mut rest).await.unwrap();
    assert_eq!(String::from_utf8_lossy(&rest), "");
    server.shutdown().await;
}

#[tokio::test]
async fn a_body_that_does_not_come_whole_is_waited_for_in_vain_only_so_long() {
    let folder = tempfile::tempdir().unwrap();
    let (server, address) = served(folder.path(), Duration::from_millis(500)).await;
    // The form is open to all, and so is the wait for what it sends.
    let begin = format!(
        "POST /login HTTP/1.1\r\nHost: {address}\r\nOrigin: http://{address}\r\nContent-Length: 10000\r\n\
         Content-Type: application/x-www-form-urlencoded\r\n\r\ntoken="
    );
    let (answer, _) = dribble(address, begin, b"x").await;
    assert!(answer.starts_with("HTTP/1.1 408 "), "{answer}");
    assert_eq!(status(address).await, "HTTP/1.1 200 OK");
    server.shutdown().await;
}

#[tokio::test]
async fn what_is_being_listened_to_outlasts_patience_and_ends_with_the_server() {
    let folder = tempfile::tempdir().unwrap();
    let (server, address) = served(folder.path(), Duration::from_millis(200)).await;
    let mut stream = TcpStream::connect(address).await.unwrap();
    stream.write_all(format!("GET /events HTTP/1.1\r\nHost: {address}\r\n\r\n").as_bytes()).await.unwrap();
    Clock::system().sleep(Duration::from_millis(600)).await;
    assert_eq!(status(address).await, "HTTP/1.1 200 OK");
    server.shutdown().await;
    let mut told = String::new();
    stream.read_to_string(&mut told).await.unwrap();
    assert!(told.starts_with("HTTP/1.1 200 OK") && told.contains("data: "), "{told}");
}
