//! The body of a request, written as it is sent: JSON with images in it as data URIs, of which never more than a piece
//! is held in memory as base64. Its length is known before the first byte.

use std::convert::Infallible;
use std::iter;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use futures::stream::{self, Stream};
use serde_json::Value;

use crate::domain::Picture;

/// How much of an image is encoded at a time; a multiple of 3, so that the pieces of base64 join without padding.
const PIECE: usize = 48 * 1024;

/// How a PNG file begins.
const PNG: &[u8] = b"\x89PNG\r\n\x1a\n";

/// A JSON object, one field after the other.
#[derive(Debug, Clone)]
pub(in crate::gateway) struct Body {
    parts: Vec<Part>,
    fields: usize,
}

#[derive(Debug, Clone)]
enum Part {
    /// JSON, as it is.
    Json(Bytes),
    /// An image, to be encoded within a text.
    Image(Bytes),
}

impl Body {
    /// An object without fields.
    pub(in crate::gateway) fn new() -> Self {
        Self { parts: Vec::new(), fields: 0 }
    }

    /// With a text.
    #[must_use]
    pub(in crate::gateway) fn text(mut self, name: &str, value: &str) -> Self {
        self.name(name);
        self.json(quoted(value));
        self
    }

    /// With one picture: its URL, or its bytes as a data URI.
    #[must_use]
    pub(in crate::gateway) fn picture(mut self, name: &str, picture: &Picture) -> Self {
        self.name(name);
        self.put(picture);
        self
    }

    /// With a list of pictures.
    #[must_use]
    pub(in crate::gateway) fn pictures(mut self, name: &str, pictures: &[Picture]) -> Self {
        self.name(name);
        self.json("[".to_owned());
        for (i, picture) in pictures.iter().enumerate() {
            if i > 0 {
                self.json(",".to_owned());
            }
            self.put(picture);
        }
        self.json("]".to_owned());
        self
    }

    /// Its exact length in bytes.
    pub(in crate::gateway) fn len(&self) -> u64 {
        let parts = self.parts.iter().map(|part| match part {
            Part::Json(text) => text.len() as u64,
            Part::Image(bytes) => 4 * (bytes.len() as u64).div_ceil(3),
        });
        // The closing brace, and the opening one where there is no field to bring it.
        parts.sum::<u64>() + if self.fields == 0 { 2 } else { 1 }
    }

    /// Its bytes, each piece made when it is asked for.
    pub(in crate::gateway) fn into_stream(self) -> impl Stream<Item = Result<Bytes, Infallible>> + Send + 'static {
        let end = if self.fields == 0 { "{}" } else { "}" };
        let pieces = self.parts.into_iter().flat_map(Part::pieces);
        stream::iter(pieces.chain(iter::once(Bytes::from_static(end.as_bytes()))).map(Ok))
    }

    fn name(&mut self, name: &str) {
        let before = if self.fields == 0 { '{' } else { ',' };
        self.fields += 1;
        self.json(format!("{before}{}:", quoted(name)));
    }

    fn put(&mut self, picture: &Picture) {
        match picture {
            Picture::Url(url) => self.json(quoted(url)),
            Picture::Raw(bytes) => {
                // Nothing but JPEG and PNG gets this far.
                let kind = if bytes.starts_with(PNG) { "png" } else { "jpeg" };
                self.json(format!("\"data:image/{kind};base64,"));
                self.parts.push(Part::Image(bytes.clone()));
                self.json("\"".to_owned());
            }
        }
    }

    fn json(&mut self, text: String) {
        self.parts.push(Part::Json(text.into()));
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
fn quoted(text: &str) -> String {
    Value::from(text).to_string()
}

#[cfg(test)]
mod tests {
    use futures::{FutureExt, StreamExt};
    use serde_json::json;

    use super::*;

    fn sent(body: Body) -> Value {
        let expected = body.len();
        let pieces: Vec<Bytes> = body.into_stream().map(Result::unwrap).collect().now_or_never().unwrap();
        assert!(pieces.iter().all(|piece| piece.len() <= PIECE / 3 * 4), "a piece is larger than it may be");
        let bytes = pieces.concat();
        assert_eq!(bytes.len() as u64, expected);
        serde_json::from_slice(&bytes).unwrap()
    }

    #[test]
    fn the_streamed_bytes_are_the_json_that_is_meant() {
        assert_eq!(sent(Body::new()), json!({}));
        for size in [0, 1, 2, 3, PIECE - 1, PIECE, PIECE + 1, 3 * PIECE + 2] {
            let jpeg: Vec<u8> = (0..size).map(|i| u8::try_from(i % 251).unwrap()).collect();
            let png = [PNG, &jpeg].concat();
            let pictures = [Picture::Raw(Bytes::from(jpeg.clone())), Picture::Url("https://h/b.jpg?x=\"1\"&é".into())];
            let body = Body::new()
                .text("scene", "say \"hi\"\n")
                .picture("image", &Picture::Raw(Bytes::from(png.clone())))
                .pictures("images", &pictures);
            let expected = json!({
                "scene": "say \"hi\"\n",
                "image": format!("data:image/png;base64,{}", STANDARD.encode(&png)),
                "images": [
                    format!("data:image/jpeg;base64,{}", STANDARD.encode(&jpeg)),
                    "https://h/b.jpg?x=\"1\"&é",
                ],
            });
            assert_eq!(sent(body), expected, "{size} bytes");
        }
    }
}
