//! A request's body, written as it is sent: an image is never held in memory as base64, which two images of 10 MB for
//! each of many parallel requests would not allow. Its length is known before the first byte.

use std::convert::Infallible;
use std::iter;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use futures::stream::{self, Stream};
use serde_json::Value;

/// How much of an image is encoded at a time; a multiple of 3, so that the pieces of base64 join without padding.
pub(super) const PIECE: usize = 48 * 1024;

/// JSON with images within its texts, part by part.
#[derive(Debug, Clone, Default)]
pub(super) struct Streamed {
    parts: Vec<Part>,
}

#[derive(Debug, Clone)]
enum Part {
    /// JSON, as it is.
    Json(Bytes),
    /// An image, to be encoded within a text.
    Image(Bytes),
}

impl Streamed {
    /// Goes on with JSON as it stands.
    pub(super) fn json(&mut self, text: impl Into<Bytes>) {
        self.parts.push(Part::Json(text.into()));
    }

    /// Goes on with an image as a text: `before`, then its base64.
    pub(super) fn image(&mut self, before: &str, bytes: &Bytes) {
        self.json(format!("\"{before}"));
        self.parts.push(Part::Image(bytes.clone()));
        self.json("\"");
    }

    /// Its exact length in bytes.
    pub(super) fn len(&self) -> u64 {
        let length = |part: &Part| match part {
            Part::Json(text) => text.len() as u64,
            Part::Image(bytes) => 4 * (bytes.len() as u64).div_ceil(3),
        };
        self.parts.iter().map(length).sum()
    }

    /// Its bytes, each piece made when it is asked for.
    pub(super) fn into_stream(self) -> impl Stream<Item = Result<Bytes, Infallible>> + Send + 'static {
        stream::iter(self.parts.into_iter().flat_map(Part::pieces).map(Ok))
    }
}

impl Part {
    fn pieces(self) -> impl Iterator<Item = Bytes> + Send {
        let (text, image) = match self {
            Self::Json(text) => (Some(text), Bytes::new()),
            Self::Image(bytes) => (None, bytes),
        };
        let mut left = image;
        text.into_iter().chain(iter::from_fn(move || {
            let piece = left.split_to(left.len().min(PIECE));
            (!piece.is_empty()).then(|| Bytes::from(STANDARD.encode(piece)))
        }))
    }
}

/// `text` as a JSON string.
pub(super) fn quoted(text: &str) -> String {
    Value::from(text).to_string()
}
