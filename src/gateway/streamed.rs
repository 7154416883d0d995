//! A request's body, written as it is sent: an image is never held in memory as base64, which two images of 10 MB for
//! each of many parallel requests would not allow. Its length is known before the first byte.

use std::io::{self, Read};
use std::sync::Arc;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use futures::stream::{self, Stream, StreamExt as _};
use secrecy::ExposeSecret as _;
use serde_json::Value;

use crate::domain::{Picture, PictureFile};

/// How much of an image is encoded at a time; a multiple of 3, so that the pieces of base64 join without padding.
pub(super) const PIECE: usize = 48 * 1024;

/// What every PNG file begins with. Nothing but JPEG and PNG comes here.
const PNG: &[u8] = b"\x89PNG";

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
    /// The same, to be read.
    File(Arc<dyn PictureFile>),
}

impl Streamed {
    /// Goes on with JSON as it stands.
    pub(super) fn json(&mut self, text: impl Into<Bytes>) {
        self.parts.push(Part::Json(text.into()));
    }

    /// Goes on with a picture as a text: its URL, or its base64, after `data:image/…` where a link of data is wanted.
    pub(super) fn picture(&mut self, picture: &Picture, as_link: bool) {
        let (is_png, part) = match picture {
            Picture::Url(url) => return self.json(quoted(url)),
            Picture::Lent(link) => return self.json(quoted(link.expose_secret())),
            Picture::Raw(bytes) => (bytes.starts_with(PNG), Part::Image(bytes.clone())),
            Picture::File(file) => (file.begins_with(PNG), Part::File(Arc::clone(file))),
        };
        let kind = if is_png { "png" } else { "jpeg" };
        self.json(if as_link { format!("\"data:image/{kind};base64,") } else { "\"".to_owned() });
        self.parts.push(part);
        self.json("\"");
    }

    /// Its exact length in bytes.
    pub(super) fn len(&self) -> u64 {
        let length = |part: &Part| match part {
            Part::Json(text) => text.len() as u64,
            Part::Image(bytes) => 4 * (bytes.len() as u64).div_ceil(3),
            Part::File(file) => 4 * file.bytes().div_ceil(3),
        };
        self.parts.iter().map(length).sum()
    }

    /// Its bytes, each piece made when it is asked for. A file that cannot be read, or is another one by now, breaks it off
    /// before its length is reached.
    pub(super) fn into_stream(self) -> impl Stream<Item = io::Result<Bytes>> + Send + 'static {
        stream::iter(self.parts).flat_map(Part::pieces)
    }
}

impl Part {
    fn pieces(self) -> stream::BoxStream<'static, io::Result<Bytes>> {
        match self {
            Self::Json(text) => stream::iter([Ok(text)]).boxed(),
            Self::Image(mut left) => stream::iter(std::iter::from_fn(move || {
                let piece = left.split_to(left.len().min(PIECE));
                (!piece.is_empty()).then(|| Ok(Bytes::from(STANDARD.encode(piece))))
            }))
            .boxed(),
            Self::File(file) => stream::try_unfold(file.reader(), |reader| async {
                tokio::task::spawn_blocking(move || encoded(reader)).await.map_err(io::Error::other)?
            })
            .boxed(),
        }
    }
}

/// The next piece of a file, encoded, and the reader behind it; `None` at its end.
fn encoded(mut reader: Box<dyn Read + Send>) -> io::Result<Option<(Bytes, Box<dyn Read + Send>)>> {
    let mut piece = Vec::with_capacity(PIECE);
    reader.by_ref().take(PIECE as u64).read_to_end(&mut piece)?;
    Ok((!piece.is_empty()).then(|| (Bytes::from(STANDARD.encode(piece)), reader)))
}

/// `text` as a JSON string.
pub(super) fn quoted(text: &str) -> String {
    Value::from(text).to_string()
}
