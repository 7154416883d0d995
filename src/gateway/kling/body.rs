//! The body of a request for a task, written as it is sent: an image is never held in memory as base64, which two
//! images of 10 MB for each of many parallel requests would not allow. Its length is known before the first byte.

use std::convert::Infallible;
use std::iter;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use futures::stream::{self, Stream};
use serde_json::Value;

use crate::domain::Picture;
use crate::gateway::Order;

/// How much of an image is encoded at a time; a multiple of 3, so that the pieces of base64 join without padding.
const PIECE: usize = 48 * 1024;

/// Which of a row's `duration`, `model_name` and `mode` are sent.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Sent {
    /// None of them.
    Nothing,
    /// Those that the row has.
    Rows,
    /// Those that the row has; where it has no duration, this one.
    RowsOr {
        /// Seconds, as the text that is sent.
        duration: &'static str,
    },
}

/// A request's body.
#[derive(Debug, Clone)]
pub(super) struct RequestBody {
    parts: Vec<Part>,
}

#[derive(Debug, Clone)]
enum Part {
    /// JSON, as it is.
    Json(Bytes),
    /// An image, to be encoded between two quotes.
    Image(Bytes),
}

impl RequestBody {
    /// The body that asks for `order`. Kling's present page knows no `duration`, `model_name` or `mode`, gateways do
    /// (documented), all as texts within `input`.
    pub(super) fn new(order: Order<'_>, sent: Sent) -> Self {
        let mut body = Self { parts: Vec::new() };
        let effect = order.effect;
        body.json(format!(r#"{{"effect_scene":{},"input":{{"#, quoted(&effect.scene)));
        match order.pictures {
            [picture] => {
                body.json(r#""image":"#.to_owned());
                body.picture(picture);
            }
            pictures => {
                body.json(r#""images":["#.to_owned());
                for (i, picture) in pictures.iter().enumerate() {
                    if i > 0 {
                        body.json(",".to_owned());
                    }
                    body.picture(picture);
                }
                body.json("]".to_owned());
            }
        }
        let duration = effect.duration.as_deref();
        let (model, mode) = (effect.model.as_deref(), effect.mode.as_deref());
        let (duration, model, mode) = match sent {
            Sent::Nothing => (None, None, None),
            Sent::Rows => (duration, model, mode),
            Sent::RowsOr { duration: usual } => (duration.or(Some(usual)), model, mode),
        };
        let settings = [("duration", duration), ("model_name", model), ("mode", mode)];
        for (name, value) in settings {
            if let Some(value) = value {
                body.json(format!(r#","{name}":{}"#, quoted(value)));
            }
        }
        body.json(format!(r#"}},"external_task_id":{}}}"#, quoted(order.client_ref.as_str())));
        body
    }

    /// Its exact length in bytes.
    pub(super) fn len(&self) -> u64 {
        self.parts
            .iter()
            .map(|part| match part {
                Part::Json(text) => text.len() as u64,
                Part::Image(bytes) => 4 * (bytes.len() as u64).div_ceil(3),
            })
            .sum()
    }

    /// Its bytes, each piece made when it is asked for.
    pub(super) fn into_stream(self) -> impl Stream<Item = Result<Bytes, Infallible>> + Send + 'static {
        stream::iter(self.parts.into_iter().flat_map(Part::pieces).map(Ok))
    }

    fn json(&mut self, text: String) {
        self.parts.push(Part::Json(text.into()));
    }

    fn picture(&mut self, picture: &Picture) {
        match picture {
            Picture::Url(url) => self.json(quoted(url)),
            Picture::Raw(bytes) => {
                self.json("\"".to_owned());
                self.parts.push(Part::Image(bytes.clone()));
                self.json("\"".to_owned());
            }
        }
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
    use crate::domain::{ClientRef, Effect, ImageSource, Images};

    fn sent(effect: &Effect, pictures: &[Picture]) -> Vec<u8> {
        sent_as(Sent::Rows, effect, pictures)
    }

    fn sent_as(sent: Sent, effect: &Effect, pictures: &[Picture]) -> Vec<u8> {
        let client_ref = ClientRef::new("nr-1-a1").unwrap();
        let body = RequestBody::new(Order { effect, pictures, client_ref: &client_ref }, sent);
        let expected = body.len();
        let pieces: Vec<Bytes> = body.into_stream().map(Result::unwrap).collect().now_or_never().unwrap();
        assert!(pieces.iter().all(|piece| piece.len() <= PIECE / 3 * 4), "a piece is larger than it may be");
        let bytes = pieces.concat();
        assert_eq!(bytes.len() as u64, expected);
        bytes
    }

    fn effect(scene: &str) -> Effect {
        let images = Images::One(ImageSource::Url("http://a".into()));
        Effect { scene: scene.into(), images, duration: None, model: None, mode: None }
    }

    #[test]
    fn what_a_gateway_does_not_know_is_left_out_and_what_it_demands_is_there() {
        let input = |sent: Sent, effect: &Effect| {
            let body: Value = serde_json::from_slice(&sent_as(sent, effect, &[Picture::Url("u".into())])).unwrap();
            body["input"].clone()
        };
        let (bare, mode) = (effect("s"), Effect { mode: Some("pro".into()), ..effect("s") });
        let full = Effect { duration: Some("10".into()), ..mode.clone() };
        let usual = Sent::RowsOr { duration: "5" };
        assert_eq!(input(Sent::Nothing, &full), json!({"image": "u"}));
        assert_eq!(input(Sent::Rows, &mode), json!({"image": "u", "mode": "pro"}));
        assert_eq!(input(usual, &bare), json!({"image": "u", "duration": "5"}));
        assert_eq!(input(usual, &full), json!({"image": "u", "duration": "10", "mode": "pro"}));
    }

    #[test]
    fn the_streamed_bytes_are_the_json_that_is_meant() {
        for size in [0, 1, 2, 3, PIECE - 1, PIECE, PIECE + 1, 3 * PIECE + 2] {
            let image: Vec<u8> = (0..size).map(|i| u8::try_from(i % 251).unwrap()).collect();
            let left = Picture::Raw(Bytes::from(image.clone()));
            let one: Value =
                serde_json::from_slice(&sent(&effect("say \"hi\"\n"), std::slice::from_ref(&left))).unwrap();
            let input = json!({"image": STANDARD.encode(&image)});
            let expected = json!({"effect_scene": "say \"hi\"\n", "input": input, "external_task_id": "nr-1-a1"});
            assert_eq!(one, expected, "{size} bytes");

            let full = Effect {
                duration: Some("5".into()),
                model: Some("kling-v1-6".into()),
                mode: Some("pro".into()),
                ..effect("hug_pro")
            };
            let right = Picture::Url("https://h/b.jpg?x=\"1\"&é".into());
            let two: Value = serde_json::from_slice(&sent(&full, &[left, right])).unwrap();
            let images = json!([STANDARD.encode(&image), "https://h/b.jpg?x=\"1\"&é"]);
            let input = json!({"images": images, "duration": "5", "model_name": "kling-v1-6", "mode": "pro"});
            let expected = json!({"effect_scene": "hug_pro", "input": input, "external_task_id": "nr-1-a1"});
            assert_eq!(two, expected, "{size} bytes");
        }
    }
}
