//! JSON from outside, read with a bound on what it becomes in memory: a body that is small on the wire can grow a hundredfold
//! once every value in it is an object of its own.

use serde_json::{Map, Value};

/// The most objects and lists in one answer: a page of 500 tasks, wrapped three times, comes to some 8,000. Each may take
/// 700 bytes.
const MOST_CONTAINERS: usize = 50_000;
/// The most values beside them. Each may take 60 bytes.
const MOST_VALUES: usize = 200_000;

/// The value that `body` is; `None` where it is no JSON, or more of it than any answer holds.
pub(super) fn read(body: &[u8]) -> Option<Value> {
    if is_bounded(body) { serde_json::from_slice(body).ok() } else { None }
}

/// The object that `text` begins with, whatever follows it.
pub(super) fn leading_object(text: &str) -> Option<Map<String, Value>> {
    if !is_bounded(text.as_bytes()) {
        return None;
    }
    serde_json::Deserializer::from_str(text).into_iter::<Map<String, Value>>().next()?.ok()
}

/// Whether what `body` would become is bounded, by the marks outside its texts.
fn is_bounded(body: &[u8]) -> bool {
    let (mut containers, mut values) = (0, 0);
    let (mut in_text, mut escaped) = (false, false);
    for byte in body {
        match byte {
            _ if escaped => escaped = false,
            b'\\' if in_text => escaped = true,
            b'"' => in_text = !in_text,
            b'{' | b'[' if !in_text => containers += 1,
            b',' if !in_text => values += 1,
            _ => {}
        }
    }
    containers <= MOST_CONTAINERS && values <= MOST_VALUES
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_page_of_tasks_is_read_and_marks_within_texts_are_no_values() {
        let text = "[{,\\\"".repeat(MOST_VALUES);
        let body = json!({"words": text, "data": vec![json!({"task_id": "8", "task_info": {}}); 500]});
        assert_eq!(read(body.to_string().as_bytes()), Some(body));
    }

    #[test]
    fn more_than_any_answer_holds_is_none() {
        for piece in ["{},", "[],", "{\"\":{}},", "0,", "\"a\","] {
            let list = |pieces: usize| format!("[{}0]", piece.repeat(pieces));
            assert!(read(list(10_000).as_bytes()).is_some(), "{piece}");
            assert_eq!(read(list(8 * 1024 * 1024 / piece.len()).as_bytes()), None, "{piece}");
        }
    }

    #[test]
    fn what_is_deep_is_none_and_ends_nothing() {
        for open in ["[", "{\"a\":"] {
            assert_eq!(read(open.repeat(40_000).as_bytes()), None);
            assert_eq!(leading_object(&open.repeat(40_000)), None);
        }
    }

    #[test]
    fn an_object_is_found_before_whatever_follows() {
        assert_eq!(leading_object("{\"a\":1} and more").map(Value::Object), Some(json!({"a": 1})));
        assert_eq!(leading_object("[1]"), None);
    }
}
