//! The file host: videos with ranges, strong tags and links that die. It wants no key, and counts those it is shown.

use std::time::Duration;

use axum::body::Body;
use axum::extract::{ConnectInfo, Path, Query, State};
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::{IntoResponse, Response};
use bytes::Bytes;
use futures::stream::{self, StreamExt as _};
use serde::Deserialize;

use crate::pace::Clock;

use super::api::Ground;
use super::door::Cut;
use super::fault::Kind;
use super::media::Video;

#[derive(Debug, Deserialize)]
pub(super) struct Link {
    #[serde(rename = "Expires")]
    expires: Option<i64>,
}

/// What goes wrong with a body.
#[derive(Debug, Clone, Copy)]
enum Flaw {
    None,
    /// Breaks off at half of it.
    Breaks,
    /// Pauses at half of it.
    Pauses(Duration),
    /// Stops at half of it, for good.
    Hangs,
}

pub(super) async fn serve(
    State(ground): State<Ground>,
    ConnectInfo(cut): ConnectInfo<Cut>,
    Path(name): Path<String>,
    Query(link): Query<Link>,
    headers: HeaderMap,
) -> Response {
    let shared = &ground.shared;
    let now = shared.now();
    let mut world = shared.world();
    world.stats.downloads += 1;
    if headers.contains_key(header::AUTHORIZATION) {
        world.stats.keys_leaked += 1;
        return (StatusCode::BAD_REQUEST, "a file host must not be shown a key").into_response();
    }
    if link.expires.is_none_or(|expires| expires <= now) || world.strikes(Kind::LinkExpired).is_some() {
        return (StatusCode::FORBIDDEN, "the link has expired").into_response();
    }
    if world.strikes(Kind::FileDrop).is_some() {
        cut.now();
        return StatusCode::OK.into_response();
    }
    if world.strikes(Kind::File500).is_some() {
        return StatusCode::INTERNAL_SERVER_ERROR.into_response();
    }
    if world.strikes(Kind::FileHtml).is_some() {
        let page = "<!doctype html><title>Please wait</title><p>Checking your browser";
        return ([(header::CONTENT_TYPE, "text/html; charset=utf-8")], page).into_response();
    }
    if world.strikes(Kind::FileEndless).is_some() {
        return endless("video/mp4", b"\0\0\0\x10ftypisom\0\0\0\0");
    }
    if world.strikes(Kind::FileLoop).is_some() {
        let here = format!("/files/{name}?Expires={}", link.expires.unwrap_or_default());
        return (StatusCode::FOUND, [(header::LOCATION, here)]).into_response();
    }
    let id = name.strip_suffix(".mp4").unwrap_or(&name);
    let Some(video) = world.video(id, now) else {
        return (StatusCode::NOT_FOUND, "no such file").into_response();
    };
    let short = world.strikes(Kind::ShortFile).is_some();
    let flaw = if world.strikes(Kind::Truncate).is_some() {
        Flaw::Breaks
    } else if let Some(pause) = world.strikes(Kind::FileSlow) {
        Flaw::Pauses(pause)
    } else if world.strikes(Kind::FileHang).is_some() {
        Flaw::Hangs
    } else {
        Flaw::None
    };
    drop(world);
    let tag = format!("\"{id}-{}\"", video.len());
    let whole = if short { video.len() * 2 / 3 } else { video.len() };
    let from = wanted_range(&headers, &tag);
    if from >= whole && from > 0 {
        let unsatisfied = [(header::CONTENT_RANGE, format!("bytes */{whole}"))];
        return (StatusCode::RANGE_NOT_SATISFIABLE, unsatisfied).into_response();
    }
    let answer = Response::builder()
        .header(header::CONTENT_TYPE, "video/mp4")
        .header(header::ACCEPT_RANGES, "bytes")
        .header(header::ETAG, tag)
        .header(header::CONTENT_LENGTH, whole - from);
    let answer = if from > 0 {
        let range = format!("bytes {from}-{}/{whole}", whole - 1);
        answer.status(StatusCode::PARTIAL_CONTENT).header(header::CONTENT_RANGE, range)
    } else {
        answer
    };
    answer.body(body(video, from, whole, flaw, shared.clock.clone())).unwrap_or_default()
}

/// An answer that begins like this and never ends, whose length is not told.
pub(super) fn endless(kind: &'static str, beginning: &'static [u8]) -> Response {
    let more = stream::repeat_with(|| Ok::<_, std::io::Error>(Bytes::from_static(&[b' '; 16 * 1024])));
    let pieces = stream::iter([Ok(Bytes::from_static(beginning))]).chain(more);
    ([(header::CONTENT_TYPE, kind)], Body::from_stream(pieces)).into_response()
}

/// Where an open range begins that is asked for of this very version; else 0.
fn wanted_range(headers: &HeaderMap, tag: &str) -> u64 {
    let text = |name| headers.get(name).and_then(|value| value.to_str().ok());
    let from =
        text(header::RANGE).and_then(|range| range.strip_prefix("bytes=")).and_then(|range| range.strip_suffix('-'));
    let same = text(header::IF_RANGE).is_none_or(|wanted| wanted == tag);
    from.filter(|_| same).and_then(|from| from.parse().ok()).unwrap_or(0)
}

fn body(video: Video, from: u64, whole: u64, flaw: Flaw, clock: Clock) -> Body {
    let half = from + (whole - from) / 2;
    let pieces = stream::unfold((video, from, flaw, clock), move |(video, at, flaw, clock)| async move {
        if at >= whole {
            return None;
        }
        let mut until = whole;
        let mut flaw = flaw;
        match flaw {
            Flaw::None => {}
            _ if at < half => until = half,
            Flaw::Breaks => {
                let broken = Err(std::io::Error::from(std::io::ErrorKind::ConnectionReset));
                return Some((broken, (video, whole, flaw, clock)));
            }
            Flaw::Pauses(pause) => {
                clock.sleep(pause).await;
                flaw = Flaw::None;
            }
            Flaw::Hangs => std::future::pending().await,
        }
        let piece: Bytes = video.piece(at, until - at);
        let next = at + piece.len() as u64;
        Some((Ok(piece), (video, next, flaw, clock)))
    });
    Body::from_stream(pieces)
}
