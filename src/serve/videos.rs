//! Finished videos, as far as the ledger knows them: a visitor names a row, never a path.

use std::collections::HashMap;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};

use axum::body::Body;
use axum::extract::{Path, State};
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::{IntoResponse, Response};

use super::Ground;
use crate::domain::{Artifact, JobId};
use crate::sink::{self, Sink};

/// The output trees that videos were asked of: a client of an object store keeps its connections.
#[derive(Debug, Default)]
pub(super) struct Trees {
    known: Mutex<HashMap<PathBuf, Arc<dyn Sink>>>,
}

/// One video, or the part of it that is asked for.
pub(super) async fn video(
    State(ground): State<Arc<Ground>>,
    Path(job): Path<i64>,
    headers: HeaderMap,
) -> Result<Response, StatusCode> {
    let (sink, artifact) = find(&ground, JobId(job)).await.ok_or(StatusCode::NOT_FOUND)?;
    let length = artifact.bytes;
    let asked = headers.get(header::RANGE).and_then(|range| range.to_str().ok()).map(|range| part(range, length));
    let kept =
        [(header::CONTENT_TYPE, "video/mp4"), (header::ACCEPT_RANGES, "bytes"), (header::CACHE_CONTROL, "private")];
    match asked {
        Some(Part::Beyond) => {
            let whole = [(header::CONTENT_RANGE, format!("bytes */{length}"))];
            Ok((StatusCode::RANGE_NOT_SATISFIABLE, whole).into_response())
        }
        Some(Part::Of { from, to }) => {
            let body = body(sink.as_ref(), &artifact, from, to + 1).await?;
            let told = [
                (header::CONTENT_RANGE, format!("bytes {from}-{to}/{length}")),
                (header::CONTENT_LENGTH, (to - from + 1).to_string()),
            ];
            Ok((StatusCode::PARTIAL_CONTENT, kept, told, body).into_response())
        }
        Some(Part::Whole) | None => {
            let body = body(sink.as_ref(), &artifact, 0, length).await?;
            Ok((kept, [(header::CONTENT_LENGTH, length.to_string())], body).into_response())
        }
    }
}

/// The video of a row that is done, and where it is.
async fn find(ground: &Ground, id: JobId) -> Option<(Arc<dyn Sink>, Artifact)> {
    let store = ground.live.store().ok()??;
    let job = store.job(id).await.ok()??;
    let artifact = job.artifact()?.clone();
    let out = store.batches().await.ok()?.into_iter().find(|batch| batch.id == job.batch)?.out;
    let mut known = ground.trees.known.lock().unwrap_or_else(PoisonError::into_inner);
    if let Some(sink) = known.get(&out) {
        return Some((Arc::clone(sink), artifact));
    }
    let sink = sink::open(&out, &sink::spool(ground.live.ledger())).ok()?;
    known.insert(out, Arc::clone(&sink));
    Some((sink, artifact))
}

/// What lies there, if it is still there and as long as it was.
async fn body(sink: &dyn Sink, artifact: &Artifact, from: u64, to: u64) -> Result<Body, StatusCode> {
    let found = sink.read(artifact, from..to).await.map_err(|_| StatusCode::BAD_GATEWAY)?;
    found.map(Body::from_stream).ok_or(StatusCode::NOT_FOUND)
}

/// A part of a file.
#[derive(Debug, PartialEq, Eq)]
enum Part {
    Whole,
    /// Both ends are part of it.
    Of {
        from: u64,
        to: u64,
    },
    Beyond,
}

/// The part that a `Range` header asks for. What is not understood, or asks for several, is answered with the whole, as
/// HTTP has it.
fn part(range: &str, length: u64) -> Part {
    let Some((from, to)) = range.strip_prefix("bytes=").and_then(|asked| asked.trim().split_once('-')) else {
        return Part::Whole;
    };
    match (from.parse::<u64>(), to.parse::<u64>()) {
        (Ok(from), Ok(to)) if from <= to && from < length => Part::Of { from, to: to.min(length - 1) },
        (Ok(from), Err(_)) if to.is_empty() && from < length => Part::Of { from, to: length - 1 },
        (Err(_), Ok(last)) if from.is_empty() && last > 0 && length > 0 => {
            Part::Of { from: length.saturating_sub(last), to: length - 1 }
        }
        (Ok(from), _) if from >= length && (to.is_empty() || to.parse::<u64>().is_ok()) => Part::Beyond,
        (Err(_), Ok(_)) if from.is_empty() => Part::Beyond,
        _ => Part::Whole,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_range_is_a_part_or_the_whole_or_beyond_the_end() {
        let of = |from, to| Part::Of { from, to };
        for (range, expected) in [
            ("bytes=0-", of(0, 99)),
            ("bytes=10-19", of(10, 19)),
            ("bytes=90-200", of(90, 99)),
            ("bytes=-10", of(90, 99)),
            ("bytes=-200", of(0, 99)),
            ("bytes=100-", Part::Beyond),
            ("bytes=100-101", Part::Beyond),
            ("bytes=-0", Part::Beyond),
            ("bytes=5-4", Part::Whole),
            ("bytes=0-1,5-6", Part::Whole),
            ("lines=1-2", Part::Whole),
            ("bytes=x-y", Part::Whole),
        ] {
            assert_eq!(part(range, 100), expected, "{range}");
        }
        assert_eq!(part("bytes=0-", 0), Part::Beyond);
    }
}
