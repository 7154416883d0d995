//! How the last tasks of a scene or of an account ended, and whether that tells against it.

use std::collections::{HashSet, VecDeque};

use super::Scene;

/// How many ended tasks are remembered.
const MEMORY: usize = 20;
/// From so many ended tasks on, the rate of failures counts for a scene.
const ENOUGH_FOR_SCENE: usize = 4;
/// From so many ended tasks on, of at least two scenes, it counts for an account.
const ENOUGH_FOR_ACCOUNT: usize = 10;

/// The last ends.
#[derive(Debug, Default)]
pub(super) struct Record {
    ends: VecDeque<End>,
}

#[derive(Debug)]
struct End {
    scene: Scene,
    /// Why it failed; `None` when it was made.
    failure: Option<String>,
}

impl Record {
    /// One more task ended: well, or by a failure.
    pub(super) fn note(&mut self, scene: &Scene, failure: Option<String>) {
        if self.ends.len() == MEMORY {
            self.ends.pop_front();
        }
        self.ends.push_back(End { scene: scene.clone(), failure });
    }

    /// Why a scene should be paused, when it should: more than `most` of a hundred failed, or all of its first rows, of
    /// which there are `canary` where none was made yet.
    pub(super) fn tells_against_scene(&self, most: u8, canary: Option<u64>) -> Option<String> {
        let (failed, ended) = (self.failed(), self.ends.len());
        let first =
            canary.filter(|canary| *canary > 0).is_some_and(|canary| failed >= canary && failed == ended as u64);
        let often = ended >= ENOUGH_FOR_SCENE && self.exceeds(most);
        let which = if first {
            format!("its first {failed} rows failed")
        } else {
            format!("{failed} of its last {ended} rows failed")
        };
        (first || often).then(|| format!("{which}, the last one: {}", self.last_words()))
    }

    /// Why an account should be paused, when it should.
    pub(super) fn tells_against_account(&self, most: u8) -> Option<String> {
        let scenes: HashSet<&Scene> = self.ends.iter().map(|end| &end.scene).collect();
        let tells = self.ends.len() >= ENOUGH_FOR_ACCOUNT && scenes.len() > 1 && self.exceeds(most);
        let (failed, ended) = (self.failed(), self.ends.len());
        tells.then(|| format!("{failed} of its last {ended} rows failed, the last one: {}", self.last_words()))
    }

    fn exceeds(&self, most: u8) -> bool {
        self.failed() * 100 > self.ends.len() as u64 * u64::from(most)
    }

    /// How many of them failed.
    pub(super) fn failed(&self) -> u64 {
        self.ends.iter().filter(|end| end.failure.is_some()).count() as u64
    }

    fn last_words(&self) -> &str {
        self.ends.iter().rev().find_map(|end| end.failure.as_deref()).unwrap_or_default()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::BatchId;

    fn record(ends: &str) -> Record {
        let mut record = Record::default();
        for end in ends.chars() {
            let scene = (BatchId(1), end.to_ascii_lowercase().to_string());
            record.note(&scene, end.is_ascii_uppercase().then(|| format!("no {end}")));
        }
        record
    }

    #[test]
    fn a_scene_whose_first_rows_all_fail_or_most_of_whose_rows_fail_is_paused() {
        for (ends, canary, paused) in [
            ("A", Some(2), false),
            ("AA", Some(2), true),
            ("AA", None, false),
            ("aAA", None, false),
            ("aAAA", None, true),
            ("aaAA", None, false),
            ("AAA", Some(0), false),
            ("AAAA", Some(0), true),
        ] {
            assert_eq!(record(ends).tells_against_scene(50, canary).is_some(), paused, "{ends} {canary:?}");
        }
        let told = record("aAAA").tells_against_scene(50, None).unwrap();
        assert_eq!(told, "3 of its last 4 rows failed, the last one: no A");
    }

    #[test]
    fn an_account_is_paused_when_most_rows_of_several_scenes_fail() {
        assert!(record("AAAAAAAAAAAAAAA").tells_against_account(50).is_none(), "that is the scene's");
        assert!(record("AAAABBBBab").tells_against_account(50).is_some());
        assert!(record("AAAABaaaab").tells_against_account(50).is_none());
        assert!(record("AAAABBBB").tells_against_account(50).is_none(), "too few");
        // What is long past does not count.
        assert!(record(&format!("{}{}", "AB".repeat(10), "ab".repeat(10))).tells_against_account(50).is_none());
    }
}
