//! The body of a request: a JSON object with images in it as data URIs.

use std::io;

use bytes::Bytes;
use futures::stream::Stream;

use crate::domain::Picture;
use crate::gateway::streamed::{Streamed, quoted};

/// A JSON object, one field after the other.
#[derive(Debug, Clone)]
pub(in crate::gateway) struct Body {
    written: Streamed,
    fields: usize,
}

impl Body {
    /// An object without fields.
    pub(in crate::gateway) fn new() -> Self {
        Self { written: Streamed::default(), fields: 0 }
    }

    /// With a text.
    #[must_use]
    pub(in crate::gateway) fn text(mut self, name: &str, value: &str) -> Self {
        self.name(name);
        self.written.json(quoted(value));
        self
    }

    /// With one picture: its URL, or its bytes as a data URI.
    #[must_use]
    pub(in crate::gateway) fn picture(mut self, name: &str, picture: &Picture) -> Self {
        self.name(name);
        self.written.picture(picture, true);
        self
    }

    /// With a list of pictures.
    #[must_use]
    pub(in crate::gateway) fn pictures(mut self, name: &str, pictures: &[Picture]) -> Self {
        self.name(name);
        self.written.json("[");
        for (i, picture) in pictures.iter().enumerate() {
            if i > 0 {
                self.written.json(",");
            }
            self.written.picture(picture, true);
        }
        self.written.json("]");
        self
    }

    /// Its exact length in bytes.
    pub(in crate::gateway) fn len(&self) -> u64 {
        // The closing brace, and the opening one where there is no field to bring it.
        self.written.len() + if self.fields == 0 { 2 } else { 1 }
    }

    /// Its bytes, each piece made when it is asked for.
    pub(in crate::gateway) fn into_stream(mut self) -> impl Stream<Item = io::Result<Bytes>> + Send + 'static {
        self.written.json(if self.fields == 0 { "{}" } else { "}" });
        self.written.into_stream()
    }

    fn name(&mut self, name: &str) {
        let before = if self.fields == 0 { '{' } else { ',' };
        self.fields += 1;
        self.written.json(format!("{before}{}:", quoted(name)));
    }
}

#[cfg(test)]
mod tests {
    use base64::Engine as _;
    use base64::engine::general_purpose::STANDARD;
    use futures::{FutureExt, StreamExt};
    use serde_json::{Value, json};

    use super::*;
    use crate::gateway::streamed::PIECE;

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
            let png = [b"\x89PNG\r\n\x1a\n".as_slice(), &jpeg].concat();
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
