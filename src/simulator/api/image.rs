//! Images as a creation carries them: links, or files in base64, of which the digest is kept.

use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use serde_json::Value;

use super::super::fetch::picture;
use super::super::refusal::Refusal;

/// Scenes that take two images, as documented in September 2026.
const DUAL: [&str; 15] = [
    "pet_skateboard",
    "daily_ootd",
    "toss_run",
    "switch_to_silk",
    "studio_look",
    "french_elegance",
    "finger_swipe",
    "smooth_transition",
    "kiss_pro",
    "snow_night_kiss",
    "eternal_kiss",
    "cheers_2026",
    "fight_pro",
    "hug_pro",
    "heart_gesture_pro",
];
/// Older ones that Kling has retired and fal still lists.
const OLD_DUAL: [&str; 3] = ["hug", "kiss", "heart_gesture"];

/// How files are written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Form {
    /// Base64 and nothing else: Kling refuses a `data:` prefix.
    Bare,
    /// A `data:` link, as fal and `WaveSpeed` document it.
    DataLink,
}

/// The images of a task.
#[derive(Debug)]
pub(super) struct Images {
    /// SHA-256 of each, or its URL.
    pub(super) names: Vec<String>,
    /// Whether the task will fail of their size.
    pub(super) too_small: bool,
}

/// Reads one image, or two. Scenes that are not known may take either.
pub(super) fn images(scene: &str, one: &Value, two: &Value, form: Form) -> Result<Images, Refusal> {
    let given: Vec<&str> = match (one.as_str(), two.as_array()) {
        (Some(image), None) => vec![image],
        (None, Some(images)) if images.len() == 2 => images.iter().filter_map(Value::as_str).collect(),
        (None, Some(images)) if images.len() == 1 && form == Form::DataLink => {
            images.iter().filter_map(Value::as_str).collect()
        }
        (None, Some(_)) => return Err(Refusal::invalid("images must have a length of 2")),
        _ => return Err(Refusal::invalid("image or images is required")),
    };
    if given.len() == 1 && (DUAL.contains(&scene) || form == Form::DataLink && OLD_DUAL.contains(&scene)) {
        return Err(Refusal::invalid("this effect_scene takes two images"));
    }
    let mut images = Images { names: Vec::new(), too_small: false };
    for image in given {
        if image.starts_with("http://") || image.starts_with("https://") {
            images.names.push(image.to_owned());
            continue;
        }
        let text = match form {
            Form::Bare => Some(image),
            Form::DataLink => {
                image.strip_prefix("data:image/").and_then(|rest| rest.split_once(";base64,")).map(|(_, text)| text)
            }
        };
        let bytes = text.and_then(|text| BASE64_STANDARD.decode(text).ok());
        let bytes = bytes.ok_or_else(|| Refusal::invalid("File is not in a valid base64 format"))?;
        let (name, too_small) = picture(&bytes)?;
        images.too_small |= too_small;
        images.names.push(name);
    }
    Ok(images)
}
