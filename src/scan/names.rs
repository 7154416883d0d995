//! Ids of rows, made from the names of files: unique whatever the case, and plain enough for shells and file names.

use std::collections::{HashMap, HashSet};

/// The longest id without its scene, in characters; in bytes twice that. A number may come on top.
const LONGEST: usize = 60;

/// What an id is made from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Named {
    /// The file's name without its ending, or the pair's.
    pub(super) stem: String,
    /// The name of the folder that it lies in.
    pub(super) folder: String,
}

/// An id for each, in order. Names that stand in several folders have their folder's in front; what is still the same is
/// numbered.
pub(super) fn ids(named: &[Named]) -> Vec<String> {
    let plain: Vec<(String, String)> = named.iter().map(|one| (tame(&one.stem), tame(&one.folder))).collect();
    let mut folders: HashMap<String, HashSet<&str>> = HashMap::new();
    for (stem, folder) in &plain {
        folders.entry(stem.to_lowercase()).or_default().insert(folder);
    }
    let wanted: Vec<String> = plain
        .iter()
        .map(|(stem, folder)| {
            let several = folders.get(&stem.to_lowercase()).is_some_and(|folders| folders.len() > 1);
            if several { tame(&format!("{folder}-{stem}")) } else { stem.clone() }
        })
        .collect();
    let mut taken: HashSet<String> = wanted.iter().map(|id| id.to_lowercase()).collect();
    let mut given = HashSet::new();
    let mut next: HashMap<String, usize> = HashMap::new();
    wanted
        .into_iter()
        .map(|id| {
            if given.insert(id.to_lowercase()) {
                return id;
            }
            let number = next.entry(id.to_lowercase()).or_insert(2);
            loop {
                let numbered = format!("{id}-{number}");
                *number += 1;
                if taken.insert(numbered.to_lowercase()) {
                    return numbered;
                }
            }
        })
        .collect()
}

/// Letters and digits of any script, and `_`, `.` and `-`; everything else becomes a `-`.
fn tame(text: &str) -> String {
    let mut tame = String::new();
    for c in text.chars() {
        if c.is_alphanumeric() || c == '_' || c == '.' {
            tame.push(c);
        } else if !tame.ends_with('-') {
            tame.push('-');
        }
        if tame.chars().count() >= LONGEST || tame.len() >= 2 * LONGEST {
            break;
        }
    }
    let tame = tame.trim_matches(['-', '.']);
    if tame.is_empty() { "image".to_owned() } else { tame.to_owned() }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::domain::OutputKey;

    fn of(of: &[(&str, &str)]) -> Vec<String> {
        let named = of.iter().map(|(folder, stem)| Named { stem: (*stem).into(), folder: (*folder).into() });
        ids(&named.collect::<Vec<_>>())
    }

    #[test]
    fn a_name_is_enough_until_it_stands_in_two_folders() {
        assert_eq!(of(&[("a", "anna"), ("a", "Ben & Mia (2)")]), ["anna", "Ben-Mia-2"]);
        assert_eq!(of(&[("a", "1"), ("b", "1"), ("b", "2")]), ["a-1", "b-1", "2"]);
        assert_eq!(of(&[("a", "1"), ("a", "1"), ("a", "1-2")]), ["1", "1-3", "1-2"]);
        assert_eq!(of(&[("a", "X"), ("b", "x"), ("a", "a-X")]), ["a-X", "b-x", "a-X-2"]);
        assert_eq!(of(&[("", "..."), ("", "été")]), ["image", "été"]);
    }

    proptest! {
        #[test]
        fn ids_are_unique_and_safe_whatever_files_are_called(names in prop::collection::vec((".{0,3}", ".{0,80}"), 1..20)) {
            let named: Vec<Named> = names.into_iter().map(|(folder, stem)| Named { stem, folder }).collect();
            let ids = ids(&named);
            let unique: HashSet<String> = ids.iter().map(|id| id.to_lowercase()).collect();
            prop_assert_eq!(unique.len(), named.len());
            for id in ids {
                prop_assert!(OutputKey::new(format!("{id}.mp4")).is_ok(), "{:?}", id);
                prop_assert!(!id.starts_with('-') && id.chars().count() <= LONGEST + 4);
            }
        }
    }
}
