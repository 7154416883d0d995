//! The body of a request for a task, as Kling's wire has it.

use std::io;

use bytes::Bytes;
use futures::stream::Stream;

use crate::gateway::Order;
use crate::gateway::streamed::{Streamed, quoted};

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
pub(super) struct RequestBody(Streamed);

impl RequestBody {
    /// The body that asks for `order`. Kling's present page knows no `duration`, `model_name` or `mode`, gateways do
    /// (documented), all as texts within `input`.
    pub(super) fn new(order: Order<'_>, sent: Sent) -> Self {
        let mut body = Streamed::default();
        let effect = order.effect;
        body.json(format!(r#"{{"effect_scene":{},"input":{{"#, quoted(&effect.scene)));
        match order.pictures {
            [picture] => {
                body.json(r#""image":"#);
                body.picture(picture, false);
            }
            pictures => {
                body.json(r#""images":["#);
                for (i, picture) in pictures.iter().enumerate() {
                    if i > 0 {
                        body.json(",");
                    }
                    body.picture(picture, false);
                }
                body.json("]");
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
        body.json(format!(r#"}},"external_task_id":{}"#, quoted(order.client_ref.as_str())));
        if let Some(url) = order.callback_url {
            body.json(format!(r#","callback_url":{}"#, quoted(url)));
        }
        body.json("}");
        Self(body)
    }

    /// Its exact length in bytes.
    pub(super) fn len(&self) -> u64 {
        self.0.len()
    }

    /// Its bytes, each piece made when it is asked for.
    pub(super) fn into_stream(self) -> impl Stream<Item = io::Result<Bytes>> + Send + 'static {
        self.0.into_stream()
    }
}

#[cfg(test)]
mod tests {
    use futures::{FutureExt, StreamExt};
    use serde_json::json;

    use base64::Engine as _;
    use base64::engine::general_purpose::STANDARD;
    use serde_json::Value;

    use super::*;
    use crate::domain::{ClientRef, Effect, ImageSource, Images, Picture};
    use crate::gateway::streamed::PIECE;

    fn sent(effect: &Effect, pictures: &[Picture]) -> Vec<u8> {
        sent_as(Sent::Rows, effect, pictures)
    }

    fn sent_as(sent: Sent, effect: &Effect, pictures: &[Picture]) -> Vec<u8> {
        let client_ref = ClientRef::new("nr-1-a1").unwrap();
        written(Order { effect, pictures, client_ref: &client_ref, callback_url: None }, sent)
    }

    fn written(order: Order<'_>, sent: Sent) -> Vec<u8> {
        let body = RequestBody::new(order, sent);
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
    fn where_to_call_back_is_said_where_somebody_listens() {
        let (effect, client_ref) = (effect("s"), ClientRef::new("nr-1-a1").unwrap());
        let body = |callback_url| {
            let pictures = &[Picture::Url("u".into())];
            let order = Order { effect: &effect, pictures, client_ref: &client_ref, callback_url };
            serde_json::from_slice::<Value>(&written(order, Sent::Nothing)).unwrap()
        };
        assert_eq!(body(Some("https://h/hook/0"))["callback_url"], "https://h/hook/0");
        assert_eq!(body(Some("https://h/hook/0"))["external_task_id"], "nr-1-a1");
        assert!(body(None).get("callback_url").is_none());
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
            let right = Picture::Lent("https://h/b.jpg?x=\"1\"&é".into());
            assert!(!format!("{right:?}").contains("h/b"), "a link is shown");
            let two: Value = serde_json::from_slice(&sent(&full, &[left, right])).unwrap();
            let images = json!([STANDARD.encode(&image), "https://h/b.jpg?x=\"1\"&é"]);
            let input = json!({"images": images, "duration": "5", "model_name": "kling-v1-6", "mode": "pro"});
            let expected = json!({"effect_scene": "hug_pro", "input": input, "external_task_id": "nr-1-a1"});
            assert_eq!(two, expected, "{size} bytes");
        }
    }
}
