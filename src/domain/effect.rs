//! What is asked of the remote: a scene, its images, and the few settings that go with it.

use std::fmt;
use std::io::Read;
use std::path::PathBuf;
use std::sync::Arc;

use bytes::Bytes;
use secrecy::SecretString;
use serde::{Deserialize, Serialize};

use super::Digest;
use super::digest::Parts;

/// One effect as a row asks for it. What is `None` is left out of the request.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Effect {
    /// The effect scene, as the remote names it. No list is enforced: scenes come and go weekly.
    pub scene: String,
    /// One image, or the two of a two-person effect.
    pub images: Images,
    /// Seconds, as the text that is sent: `5` or `10`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub duration: Option<String>,
    /// The model's name.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub model: Option<String>,
    /// The mode: `std` or `pro` at the gateways that know one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub mode: Option<String>,
}

/// One image, or exactly two.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Images {
    /// A single-image effect.
    One(ImageSource),
    /// A two-person effect: left, right.
    Two(ImageSource, ImageSource),
}

impl Images {
    /// The images in order.
    pub fn iter(&self) -> impl Iterator<Item = &ImageSource> {
        let (first, second) = match self {
            Self::One(image) => (image, None),
            Self::Two(left, right) => (left, Some(right)),
        };
        std::iter::once(first).chain(second)
    }
}

/// Where an image is.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ImageSource {
    /// An http(s) URL, which the remote fetches.
    Url(String),
    /// A local file, and the digest that it had when its row was admitted.
    File {
        /// Absolute path.
        path: PathBuf,
        /// SHA-256 of the file's bytes.
        digest: Digest,
    },
}

impl ImageSource {
    /// What this image is for a row's content: its URL, or the digest of its bytes wherever they lie.
    fn add_to(&self, parts: &mut Parts) {
        match self {
            Self::Url(url) => parts.add([b"url:", url.as_bytes()]),
            Self::File { digest, .. } => parts.add([b"sha256:", &digest.digits()]),
        }
    }
}

/// An image as a request carries it.
#[derive(Debug, Clone)]
pub enum Picture {
    /// By its URL.
    Url(String),
    /// By a link to where it was lent: whoever has that link can fetch it.
    Lent(SecretString),
    /// By its bytes: JPEG or PNG as read from the file; the gateway encodes them.
    Raw(Bytes),
    /// By its bytes, too, which are read while they are sent.
    File(Arc<dyn PictureFile>),
}

/// An image file that is held open, to be read while it is sent.
pub trait PictureFile: fmt::Debug + Send + Sync {
    /// How many bytes it has.
    fn bytes(&self) -> u64;

    /// What it begins with.
    fn begins_with(&self, start: &[u8]) -> bool;

    /// Reads it from its start. Blocks. Never comes to its end where it is not the image any more that it was.
    fn reader(&self) -> Box<dyn Read + Send>;
}

impl Effect {
    /// The digest of all that decides what the video will be. Two rows with the same content ask for the same video.
    #[must_use]
    pub fn content(&self) -> Digest {
        let mut parts = Parts::default();
        parts.add([self.scene.as_bytes()]);
        for setting in [&self.duration, &self.model, &self.mode] {
            parts.add([setting.as_deref().unwrap_or_default().as_bytes()]);
        }
        for image in self.images.iter() {
            image.add_to(&mut parts);
        }
        parts.digest()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn effect(path: &str, bytes: &[u8]) -> Effect {
        let image = ImageSource::File { path: path.into(), digest: Digest::of(bytes) };
        Effect {
            scene: "squish".into(),
            images: Images::One(image),
            duration: Some("5".into()),
            model: None,
            mode: None,
        }
    }

    #[test]
    fn content_is_the_bytes_of_an_image_not_its_path() {
        assert_eq!(effect("/a.jpg", b"1").content(), effect("/b.jpg", b"1").content());
        assert_ne!(effect("/a.jpg", b"1").content(), effect("/a.jpg", b"2").content());
    }

    #[test]
    fn every_setting_is_part_of_the_content() {
        let base = effect("/a.jpg", b"1");
        let longer = Effect { duration: Some("10".into()), ..base.clone() };
        let pro = Effect { mode: Some("pro".into()), ..base.clone() };
        let model = Effect { model: Some("pro".into()), ..base.clone() };
        let all = [base.content(), longer.content(), pro.content(), model.content()];
        assert_eq!(all.iter().collect::<std::collections::HashSet<_>>().len(), 4);
    }
}
