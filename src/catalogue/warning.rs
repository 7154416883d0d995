//! What to tell a person of an effect before it is paid for.

use std::fmt;

use jiff::civil::Date;
use serde::Serialize;

use crate::domain::{Effect, Images};

use super::scene::{self, Scene, Standing};

/// Something about an effect that a person may want to know. Never a reason to refuse it.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[serde(tag = "kind", rename_all = "snake_case")]
pub enum SceneWarning {
    /// The catalogue does not know the scene.
    Unknown {
        /// The scene.
        scene: String,
        /// What was probably meant.
        like: Option<&'static str>,
    },
    /// The scene is no longer on the vendor's newest pages.
    Gone {
        /// The scene.
        scene: String,
        /// The day that was announced, where one was.
        discontinued: Option<Date>,
        /// The scene that took its place.
        instead: Option<&'static str>,
    },
    /// The scene is still on the vendor's newest pages, although its end was announced.
    Ending {
        /// The scene.
        scene: String,
        /// The day that was announced.
        discontinued: Date,
    },
    /// The scene was announced, and never on a page.
    Announced {
        /// The scene.
        scene: String,
    },
    /// The scene takes one image, and was given two.
    TakesOneImage {
        /// The scene.
        scene: String,
    },
    /// The scene takes two images, and was given one.
    TakesTwoImages {
        /// The scene.
        scene: String,
    },
}

impl fmt::Display for SceneWarning {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Unknown { scene, like: Some(like) } => {
                write!(f, "{scene:?} is not among the scenes that nightreel knows; did you mean {like:?}?")
            }
            Self::Unknown { scene, like: None } => {
                write!(f, "{scene:?} is not among the scenes that nightreel knows; it may be new")
            }
            Self::Gone { scene, discontinued, instead } => {
                write!(f, "{scene} is gone from the vendor's newest pages")?;
                if let Some(date) = discontinued {
                    write!(f, " (discontinued {date})")?;
                }
                f.write_str("; gateways may still offer it")?;
                instead.map_or(Ok(()), |instead| write!(f, "; the vendor has {instead} now"))
            }
            Self::Ending { scene, discontinued } => {
                write!(f, "{scene} was to be discontinued {discontinued}, although the vendor's pages still have it")
            }
            Self::Announced { scene } => write!(f, "{scene} was announced, but is not on the vendor's pages"),
            Self::TakesOneImage { scene } => write!(f, "{scene} takes one image, and is given two"),
            Self::TakesTwoImages { scene } => write!(f, "{scene} takes two images, and is given one"),
        }
    }
}

/// What to tell a person of an effect.
#[must_use]
pub fn warnings(effect: &Effect) -> Vec<SceneWarning> {
    let name = effect.scene.clone();
    let Some(known) = scene::find(&name) else {
        return vec![SceneWarning::Unknown { like: scene::like(&name), scene: name }];
    };
    let images = match (&effect.images, known.images) {
        (Images::Two(..), 1) => Some(SceneWarning::TakesOneImage { scene: name.clone() }),
        (Images::One(_), 2) => Some(SceneWarning::TakesTwoImages { scene: name.clone() }),
        (Images::One(_) | Images::Two(..), _) => None,
    };
    let standing = match known.standing {
        Standing::Current | Standing::CurrentInEnglishOnly => None,
        Standing::Ending { discontinued } => Some(SceneWarning::Ending { scene: name, discontinued }),
        Standing::Gone { discontinued } => {
            Some(SceneWarning::Gone { scene: name, discontinued, instead: successor(known) })
        }
        Standing::Announced => Some(SceneWarning::Announced { scene: name }),
    };
    standing.into_iter().chain(images).collect()
}

/// The `_pro` scene that the vendor put in the place of an older one, where it did and still lists it.
fn successor(gone: &Scene) -> Option<&'static str> {
    let pro = scene::find(&format!("{}_pro", gone.name))?;
    pro.standing.is_listed().then_some(pro.name.as_str())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::ImageSource;

    fn told(scene: &str, images: u8) -> Vec<String> {
        let image = || ImageSource::Url("https://example.com/a.jpg".into());
        let images = if images == 2 { Images::Two(image(), image()) } else { Images::One(image()) };
        let effect = Effect { scene: scene.into(), images, duration: None, model: None, mode: None };
        warnings(&effect).iter().map(ToString::to_string).collect()
    }

    #[test]
    fn nothing_is_told_of_a_current_scene_with_its_images() {
        assert_eq!(told("hug_pro", 2), [""; 0]);
        assert_eq!(told("color_mixing", 1), [""; 0]);
        assert_eq!(told("net_the_fish", 1), [""; 0]);
    }

    #[test]
    fn what_may_go_wrong_is_told_in_words() {
        assert_eq!(
            told("hug_prp", 2),
            ["\"hug_prp\" is not among the scenes that nightreel knows; did you mean \"hug_pro\"?"]
        );
        assert_eq!(told("my_own", 1), ["\"my_own\" is not among the scenes that nightreel knows; it may be new"]);
        assert_eq!(
            told("hug", 1),
            [
                "hug is gone from the vendor's newest pages (discontinued 2026-01-30); gateways may still offer it; the vendor has hug_pro now",
                "hug takes two images, and is given one",
            ]
        );
        assert_eq!(told("squish", 1), ["squish is gone from the vendor's newest pages; gateways may still offer it"]);
        assert_eq!(told("color_mixing", 2), ["color_mixing takes one image, and is given two"]);
        assert_eq!(
            told("magic_match_tree", 1),
            ["magic_match_tree was to be discontinued 2026-07-03, although the vendor's pages still have it"]
        );
        assert_eq!(told("puff_cheeks", 1), ["puff_cheeks was announced, but is not on the vendor's pages"]);
    }

    #[test]
    fn a_program_is_told_the_kind() {
        let warning = SceneWarning::Unknown { scene: "hug_prp".into(), like: Some("hug_pro") };
        let json = serde_json::to_value(&warning).unwrap();
        assert_eq!(json, serde_json::json!({ "kind": "unknown", "scene": "hug_prp", "like": "hug_pro" }));
    }
}
