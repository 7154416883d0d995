//! What kind of answer a body is. The envelope is no constant, not even of one gateway (CometAPI documented two within
//! seven weeks), so it is recognised anew in every answer, by its looks alone.
//!
//! It says what is there. What that means, with the HTTP status and the question that was asked, `classify` decides.

use serde_json::{Map, Value};

use super::record::Record;
use crate::gateway::json;

/// How deep an error may be wrapped in another's message.
const DEEPEST: u8 = 3;

/// The longest text that is no JSON, in bytes: more than is ever looked at for words.
const LONGEST_TEXT: usize = 64 * 1024;

/// The looks of an answer's body.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Shape {
    /// No JSON at all, and this is what came.
    Foreign(Foreign),
    /// An error, by any of the families' conventions.
    Error(RemoteError),
    /// One task.
    Task(Box<Record>),
    /// A page of tasks.
    Tasks(Vec<Record>),
    /// JSON that tells neither of an error nor of a task: a success without data (one-hub, new-api), or anything else.
    Nothing(String),
}

/// A body that is no JSON.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Foreign {
    /// Nothing.
    Empty,
    /// A web page: something stands in front of the API, or in its place.
    Html {
        /// The page's title, or nothing.
        title: String,
    },
    /// Anything else, or JSON that was cut off.
    Text(String),
}

/// An error as the remote tells it.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(super) struct RemoteError {
    /// Kling's number or a gateway's word; never empty.
    pub(super) code: Option<String>,
    /// The message; may be empty.
    pub(super) words: String,
}

impl RemoteError {
    /// Kling's number, where the code is one.
    pub(super) fn number(&self) -> Option<u32> {
        self.code.as_deref()?.parse().ok()
    }
}

impl Foreign {
    /// What came, for people.
    pub(super) fn words(&self) -> String {
        match self {
            Self::Empty => "an empty body".to_owned(),
            Self::Html { title } if title.is_empty() => "an HTML page".to_owned(),
            Self::Html { title } => format!("an HTML page: {title}"),
            Self::Text(text) => text.clone(),
        }
    }
}

impl Shape {
    /// The shape of `body`.
    pub(super) fn of(body: &[u8]) -> Self {
        match json::read(body) {
            Some(Value::Object(object)) => of_object(&object, DEEPEST),
            Some(other) => Self::Nothing(other.to_string()),
            None => Self::Foreign(foreign(&String::from_utf8_lossy(body))),
        }
    }
}

/// What `body` calls the request: Kling's `request_id`, or the `(request id: …)` in the message of a gateway of new-api's
/// family (documented by `CometAPI`).
pub(super) fn request_id(body: &[u8]) -> Option<String> {
    let Some(Value::Object(object)) = json::read(body) else { return None };
    let told = object.get("request_id").and_then(word);
    let message = || {
        let error = object.get("error");
        let message =
            error.and_then(|error| error.get("message")).or(error).or_else(|| object.get("message"))?.as_str()?;
        let (_, rest) = message.split_once("request id: ")?;
        rest.split([')', ' ', '"']).next().filter(|id| !id.is_empty()).map(str::to_owned)
    };
    told.or_else(message)
}

fn foreign(text: &str) -> Foreign {
    let text = text.trim();
    let lower = text.get(..text.len().min(8192)).unwrap_or(text).to_ascii_lowercase();
    if text.is_empty() {
        Foreign::Empty
    } else if lower.starts_with("<!doctype html") || lower.contains("<html") || lower.contains("<body") {
        let title = lower.find("<title>").and_then(|start| {
            let rest = text.get(start + "<title>".len()..)?;
            rest.split('<').next()
        });
        Foreign::Html { title: title.unwrap_or_default().trim().to_owned() }
    } else {
        // Nobody keeps more of it than its first words.
        Foreign::Text(text[..text.floor_char_boundary(LONGEST_TEXT)].to_owned())
    }
}

fn of_object(object: &Map<String, Value>, depth: u8) -> Shape {
    let flat_task = || Record::flat(object).map(|record| Shape::Task(Box::new(record)));
    let code = match object.get("code") {
        Some(Value::String(code)) => Some(code.trim().to_owned()).filter(|code| !code.is_empty()),
        Some(Value::Number(code)) => Some(code.to_string()),
        _ => None,
    };
    match code.as_deref() {
        // Kling's 0, new-api's "success"; 200 where a gateway repeats the HTTP status.
        Some("0" | "200" | "success") => of_data(object).or_else(flat_task).unwrap_or_else(|| nothing(object)),
        Some(_) => error(code, object.get("message").or_else(|| object.get("msg")), depth),
        None => flat_task()
            .or_else(|| match object.get("error") {
                Some(Value::Object(inner)) => {
                    let code = [inner.get("code"), inner.get("type")].into_iter().flatten().find_map(word);
                    Some(error(code, inner.get("message"), depth))
                }
                Some(message @ Value::String(_)) => Some(error(None, Some(message), depth)),
                _ => None,
            })
            .or_else(|| of_data(object))
            .or_else(|| object.get("detail").map(|detail| error(None, Some(detail), depth)))
            .unwrap_or_else(|| nothing(object)),
    }
}

fn of_data(object: &Map<String, Value>) -> Option<Shape> {
    match object.get("data")? {
        Value::Array(records) => {
            let records = records.iter().filter_map(Value::as_object).filter_map(|data| Record::of(data, None));
            Some(Shape::Tasks(records.collect()))
        }
        Value::Object(data) => Record::of(data, Some(object)).map(|record| Shape::Task(Box::new(record))),
        _ => None,
    }
}

/// An error; where its message is another answer as a JSON text (new-api passes its upstream's on like that), the inner
/// one if it tells more.
fn error(code: Option<String>, message: Option<&Value>, depth: u8) -> Shape {
    let words = match message {
        Some(Value::String(text)) => text.clone(),
        Some(Value::Null) | None => String::new(),
        Some(other) => other.to_string(),
    };
    let inner = (depth > 0).then(|| embedded(&words)).flatten().map(|inner| of_object(&inner, depth - 1));
    if let Some(Shape::Error(inner @ RemoteError { code: Some(_), .. })) = inner {
        return Shape::Error(inner);
    }
    Shape::Error(RemoteError { code, words })
}

/// The JSON object that a message is, or ends with.
fn embedded(words: &str) -> Option<Map<String, Value>> {
    let start = words.find('{')?;
    json::leading_object(&words[start..])
}

fn word(value: &Value) -> Option<String> {
    match value {
        Value::String(text) => Some(text.trim().to_owned()).filter(|text| !text.is_empty()),
        Value::Number(number) => Some(number.to_string()),
        _ => None,
    }
}

fn nothing(object: &Map<String, Value>) -> Shape {
    Shape::Nothing(Value::Object(object.clone()).to_string())
}
