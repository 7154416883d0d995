//! The list of scenes: read once from a file that is compiled in, looked up by name, by part of it, by a misspelling.

use std::fmt;
use std::str::FromStr;
use std::sync::LazyLock;

use jiff::civil::Date;
use serde::Deserialize;

use crate::domain::{NotAnAmount, Units};

use super::price::Sureness;

/// Scenes with the vendor's newest pages as of 2026-09 (documented), older pages, and the units that are known (of
/// those, none is documented). Sorted by name.
const SCENES: &str = include_str!("scenes.csv");
/// Suggestions for a word that no scene has in its name.
const SUGGESTIONS: usize = 5;

/// A scene, and what is known of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Scene {
    /// Its name, as it is sent.
    pub name: String,
    /// How many images it takes: 1 or 2.
    pub images: u8,
    /// What the vendor's pages say of it.
    pub standing: Standing,
    /// The units that it is known to cost; none for most.
    pub units: Vec<KnownUnits>,
}

/// What the vendor's pages say of a scene. Gateways may offer more than the vendor, or less.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Standing {
    /// On the newest pages.
    Current,
    /// On the newest English page, not on the newest Chinese one.
    CurrentInEnglishOnly,
    /// On the newest pages, although its end was announced.
    Ending {
        /// The day that was announced.
        discontinued: Date,
    },
    /// No longer on the newest pages.
    Gone {
        /// The day that was announced, where one was.
        discontinued: Option<Date>,
    },
    /// Announced, and never on a page.
    Announced,
}

impl Standing {
    /// Whether the newest pages have the scene.
    #[must_use]
    pub const fn is_listed(self) -> bool {
        match self {
            Self::Current | Self::CurrentInEnglishOnly | Self::Ending { .. } => true,
            Self::Gone { .. } | Self::Announced => false,
        }
    }

    /// A word for programs.
    #[must_use]
    pub const fn word(self) -> &'static str {
        match self {
            Self::Current => "current",
            Self::CurrentInEnglishOnly => "current_in_english_only",
            Self::Ending { .. } => "ending",
            Self::Gone { .. } => "gone",
            Self::Announced => "announced",
        }
    }

    /// The day on which its end was announced to be.
    #[must_use]
    pub const fn discontinued(self) -> Option<Date> {
        match self {
            Self::Ending { discontinued } => Some(discontinued),
            Self::Gone { discontinued } => discontinued,
            Self::Current | Self::CurrentInEnglishOnly | Self::Announced => None,
        }
    }
}

impl fmt::Display for Standing {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Current => f.write_str("current"),
            Self::CurrentInEnglishOnly => f.write_str("current, in English only"),
            Self::Ending { discontinued } => write!(f, "current, but discontinued {discontinued}"),
            Self::Gone { discontinued: Some(date) } => write!(f, "gone, discontinued {date}"),
            Self::Gone { discontinued: None } => f.write_str("gone"),
            Self::Announced => f.write_str("announced"),
        }
    }
}

/// What a scene is known to cost with some settings.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct KnownUnits {
    /// The models that it is so with, as `v1-6`; none when it is so with any.
    pub models: Vec<String>,
    /// `std` or `pro`; `None` when it is so in any.
    pub mode: Option<String>,
    /// Seconds.
    pub duration: String,
    /// How much.
    pub units: Units,
    /// How sure that is.
    pub sure: Sureness,
}

impl KnownUnits {
    /// Whether this is so with a model and a mode. Without a model any may be meant; without a mode it is `std`
    /// (documented).
    pub(super) fn is_for(&self, model: Option<&str>, mode: Option<&str>) -> bool {
        let model = model.map(|model| model.strip_prefix("kling-").unwrap_or(model));
        let modelled = self.models.is_empty() || model.is_none_or(|model| self.models.iter().any(|one| one == model));
        modelled && self.mode.as_deref().is_none_or(|only| only == mode.unwrap_or("std"))
    }
}

/// Every known scene, by name.
#[must_use]
pub fn all() -> &'static [Scene] {
    static ALL: LazyLock<Vec<Scene>> =
        LazyLock::new(|| read(SCENES).expect("the list is compiled in, and a test reads it whole"));
    &ALL
}

/// The scene of this name.
#[must_use]
pub fn find(name: &str) -> Option<&'static Scene> {
    let at = all().binary_search_by(|scene| scene.name.as_str().cmp(name)).ok()?;
    all().get(at)
}

/// The scene whose name was probably meant: `hug_pro` by `hug_prp` or `Hug Pro`. Only for what is nearly a name; of
/// several, one that is listed goes first.
#[must_use]
pub fn like(name: &str) -> Option<&'static str> {
    let meant = plain(name);
    let near =
        all().iter().filter_map(|scene| Some((distance(&meant, &scene.name)?, !scene.standing.is_listed(), scene)));
    near.min_by_key(|(distance, hidden, _)| (*distance, *hidden)).map(|(_, _, scene)| scene.name.as_str())
}

/// The scenes that have `word` in their name.
#[must_use]
pub fn search(word: &str) -> Vec<&'static Scene> {
    let word = plain(word);
    all().iter().filter(|scene| scene.name.contains(&word)).collect()
}

/// Up to five scenes that were probably meant by a word that none has in its name: by a whole name, else by a part of
/// one.
#[must_use]
pub fn near(word: &str) -> Vec<&'static str> {
    if let Some(name) = like(word) {
        return vec![name];
    }
    let word = plain(word);
    let mut near: Vec<_> = all()
        .iter()
        .filter_map(|scene| {
            let parts = scene.name.split('_').filter_map(|part| distance(&word, part));
            Some((parts.min()?, !scene.standing.is_listed(), scene.name.as_str()))
        })
        .collect();
    near.sort_unstable();
    near.into_iter().map(|(_, _, name)| name).take(SUGGESTIONS).collect()
}

/// A name as names are written.
fn plain(name: &str) -> String {
    name.trim().to_lowercase().replace(['-', ' '], "_").replace('\u{2019}', "'")
}

/// How many letters apart two names are, when one may be a misspelling of the other: one letter, or two of a long name.
fn distance(meant: &str, name: &str) -> Option<usize> {
    let most = match name.chars().count() {
        0..=2 => 0,
        3..=7 => 1,
        _ => 2,
    };
    Some(strsim::damerau_levenshtein(meant, name)).filter(|distance| *distance <= most)
}

/// What cannot be read of the list.
#[derive(Debug, thiserror::Error)]
enum Unreadable {
    #[error("a line is not as it should be")]
    Line(#[from] csv::Error),
    #[error("units are not as they should be")]
    Units(#[from] NotAnAmount),
    #[error("the standing does not fit the date")]
    Standing,
    #[error("the units are not for a model, a mode and a duration")]
    Use,
}

/// A line of the list.
#[derive(Debug, Deserialize)]
struct Line {
    scene: String,
    images: u8,
    status: Status,
    discontinued: Option<Date>,
    units: String,
    confidence: Option<Sureness>,
}

#[derive(Debug, Clone, Copy, Deserialize)]
#[serde(rename_all = "snake_case")]
enum Status {
    Current,
    CurrentInEnglishOnly,
    Gone,
    Announced,
}

fn read(text: &str) -> Result<Vec<Scene>, Unreadable> {
    csv::Reader::from_reader(text.as_bytes()).deserialize().map(|line| scene(line?)).collect()
}

fn scene(line: Line) -> Result<Scene, Unreadable> {
    let standing = match (line.status, line.discontinued) {
        (Status::Current, None) => Standing::Current,
        (Status::Current, Some(discontinued)) => Standing::Ending { discontinued },
        (Status::CurrentInEnglishOnly, None) => Standing::CurrentInEnglishOnly,
        (Status::Gone, discontinued) => Standing::Gone { discontinued },
        (Status::Announced, None) => Standing::Announced,
        (Status::CurrentInEnglishOnly | Status::Announced, Some(_)) => return Err(Unreadable::Standing),
    };
    let pieces = line.units.split(';').filter(|piece| !piece.is_empty());
    let units = pieces.map(|piece| known(piece, line.confidence.ok_or(Unreadable::Use)?)).collect::<Result<_, _>>()?;
    Ok(Scene { name: line.scene, images: line.images, standing, units })
}

/// Units alone, which are for five seconds, or with what they are for: `v1-5|v1-6/std/10=4`.
fn known(piece: &str, sure: Sureness) -> Result<KnownUnits, Unreadable> {
    let Some((used, units)) = piece.split_once('=') else {
        let units = Units::from_str(piece)?;
        return Ok(KnownUnits { models: Vec::new(), mode: None, duration: "5".to_owned(), units, sure });
    };
    let [models, mode, duration] = used.split('/').collect::<Vec<_>>()[..] else { return Err(Unreadable::Use) };
    Ok(KnownUnits {
        models: models.split('|').map(ToOwned::to_owned).collect(),
        mode: Some(mode.to_owned()),
        duration: duration.to_owned(),
        units: units.parse()?,
        sure,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_list_is_read_whole_and_stands_by_name() {
        let all = read(SCENES).unwrap();
        assert_eq!(all.len(), SCENES.lines().count() - 1);
        assert!(all.len() >= 331, "{}", all.len());
        assert!(all.is_sorted_by(|one, next| one.name < next.name), "by name, each once");
        for scene in &all {
            let valid = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '_' || c == '\'';
            assert!(scene.name.chars().all(valid), "{}", scene.name);
            assert!([1, 2].contains(&scene.images), "{}", scene.name);
            assert_eq!(find(&scene.name), Some(scene));
        }
    }

    #[test]
    fn every_status_has_its_standing() {
        let lines = |status: &str| SCENES.lines().filter(|line| line.split(',').nth(2) == Some(status)).count();
        let count = |word: &str| all().iter().filter(|scene| scene.standing.word() == word).count();
        for word in ["current_in_english_only", "gone", "announced"] {
            assert!(count(word) == lines(word) && count(word) > 0, "{word}");
        }
        assert_eq!(count("current") + count("ending"), lines("current"));
        let standing = |name: &str| find(name).unwrap().standing.to_string();
        assert_eq!(standing("hug_pro"), "current");
        assert_eq!(standing("net_the_fish"), "current, in English only");
        assert_eq!(standing("magic_match_tree"), "current, but discontinued 2026-07-03");
        assert_eq!(standing("hug"), "gone, discontinued 2026-01-30");
        assert_eq!(standing("squish"), "gone");
        assert_eq!(standing("puff_cheeks"), "announced");
    }

    #[test]
    fn a_misspelling_is_told_from_another_name() {
        for (meant, name) in [
            ("hug_prp", "hug_pro"),
            ("baloon_parade", "balloon_parade"),
            ("Hug Pro", "hug_pro"),
            ("let’s_ride", "let's_ride"),
            ("sqiush", "squish"),
            ("huug", "hug"),
        ] {
            assert_eq!(like(meant), Some(name), "{meant}");
        }
        for other in ["", "x", "my_own_effect", "jump", "hug_professional", "kick"] {
            assert_eq!(like(other), None, "{other}");
        }
    }

    #[test]
    fn a_listed_scene_is_meant_rather_than_one_that_is_gone() {
        assert_eq!(find("3d_cartoon_1").unwrap().standing.word(), "gone");
        assert_eq!(like("3d_cartoon_3"), Some("3d_cartoon_2"));
    }

    #[test]
    fn scenes_are_found_by_a_part_of_their_name() {
        let names = |word: &str| search(word).into_iter().map(|scene| scene.name.as_str()).collect::<Vec<_>>();
        assert_eq!(names("Hug-Pro"), ["hug_pro", "tiger_hug_pro"]);
        assert_eq!(names("ballon"), [""; 0]);
        assert_eq!(near("ballon"), ["balloon_parade"]);
        assert_eq!(near("hug_prp"), ["hug_pro"]);
        assert_eq!(near("zzzzzz"), [""; 0]);
    }

    #[test]
    fn a_list_that_is_not_as_it_should_be_is_refused() {
        let line = |line: &str| read(&format!("scene,images,status,discontinued,units,confidence\n{line}\n"));
        assert_eq!(line("a,1,gone,,3.5,derived").unwrap()[0].units[0].units.to_string(), "3.5");
        for bad in
            ["a,1,lost,,,", "a,1,gone,soon,,", "a,1,gone,,dear,derived", "a,1,gone,,2,", "a,1,gone,,v1=2,derived"]
        {
            assert!(line(bad).is_err(), "{bad}");
        }
        assert!(line("a,1,announced,2026-01-30,,").is_err());
    }
}
