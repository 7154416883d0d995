//! Which two images go into one video.

use std::collections::HashMap;
use std::path::{Path, PathBuf};

/// What the two images of a pair end with, when their names tell: left, right.
const ENDINGS: [(&str, &str); 4] = [("1", "2"), ("a", "b"), ("l", "r"), ("left", "right")];
/// What stands between the name of a pair and its ending.
const BETWEEN: [char; 4] = ['-', '_', '.', ' '];

/// How images are put together for scenes that take two.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Pairing {
    /// By their names: `anna-1` and `anna-2`, `anna_a` and `anna_b`, `anna left` and `anna right`, within one folder.
    ByName,
    /// Neighbours in natural order, within one folder.
    ByOrder,
}

/// Two images, by their places in the list.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Pair {
    pub(super) left: usize,
    pub(super) right: usize,
    /// What the pair is called.
    pub(super) name: String,
}

/// Pairs of a list of images in natural order, in the order of their left ones; and what is left over, in order.
pub(super) fn pairs(images: &[PathBuf], pairing: Pairing) -> (Vec<Pair>, Vec<usize>) {
    let found = match pairing {
        Pairing::ByName => by_name(images),
        Pairing::ByOrder => by_order(images),
    };
    let mut left_over: Vec<usize> = (0..images.len()).collect();
    left_over.retain(|at| !found.iter().any(|pair| pair.left == *at || pair.right == *at));
    (found, left_over)
}

fn by_order(images: &[PathBuf]) -> Vec<Pair> {
    let mut found = Vec::new();
    let places: Vec<usize> = (0..images.len()).collect();
    for folder in places.chunk_by(|one, next| images[*one].parent() == images[*next].parent()) {
        for pair in folder.chunks_exact(2) {
            let (left, right) = (pair[0], pair[1]);
            found.push(Pair { left, right, name: format!("{}-{}", stem(&images[left]), stem(&images[right])) });
        }
    }
    found
}

fn by_name(images: &[PathBuf]) -> Vec<Pair> {
    let mut rights = HashMap::new();
    let mut lefts = Vec::new();
    for (at, image) in images.iter().enumerate() {
        let stem = stem(image);
        let Some((name, separator, ending)) = split(&stem) else { continue };
        for (family, (left, right)) in ENDINGS.iter().enumerate() {
            let key = (image.parent(), name.to_lowercase(), separator, family);
            if ending == *left {
                lefts.push((at, name.to_owned(), key));
            } else if ending == *right {
                // Of two that could be it, the first one is; the other is left over, and told.
                rights.entry(key).or_insert(at);
            }
        }
    }
    lefts.into_iter().filter_map(|(left, name, key)| Some(Pair { left, right: rights.remove(&key)?, name })).collect()
}

/// `anna-1` as `anna`, `-`, `1`.
fn split(stem: &str) -> Option<(&str, char, String)> {
    let (name, ending) = stem.rsplit_once(BETWEEN)?;
    let separator = stem[name.len()..].chars().next()?;
    (!name.is_empty()).then(|| (name, separator, ending.to_lowercase()))
}

fn stem(path: &Path) -> String {
    path.file_stem().unwrap_or_default().to_string_lossy().into_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn paired(names: &[&str], pairing: Pairing) -> (Vec<(String, String, String)>, Vec<String>) {
        let images: Vec<PathBuf> = names.iter().map(PathBuf::from).collect();
        let (pairs, left_over) = pairs(&images, pairing);
        let name = |at: usize| names[at].to_owned();
        let pairs = pairs.into_iter().map(|pair| (pair.name, name(pair.left), name(pair.right))).collect();
        (pairs, left_over.into_iter().map(name).collect())
    }

    fn of<'a>(name: &'a str, left: &'a str, right: &'a str) -> (String, String, String) {
        (name.to_owned(), left.to_owned(), right.to_owned())
    }

    #[test]
    fn pairs_are_known_by_their_names_in_any_order_and_case() {
        let names = [
            "anna-1.jpg",
            "anna-2.png",
            "Ben_RIGHT.jpg",
            "ben_left.jpg",
            "img-1.jpg",
            "img-2.jpg",
            "img-3.jpg",
            "mia a.jpg",
            "mia b.jpg",
            "solo.jpg",
        ];
        let (pairs, left_over) = paired(&names, Pairing::ByName);
        assert_eq!(
            pairs,
            [
                of("anna", "anna-1.jpg", "anna-2.png"),
                of("ben", "ben_left.jpg", "Ben_RIGHT.jpg"),
                of("img", "img-1.jpg", "img-2.jpg"),
                of("mia", "mia a.jpg", "mia b.jpg"),
            ]
        );
        assert_eq!(left_over, ["img-3.jpg", "solo.jpg"]);
    }

    #[test]
    fn what_only_looks_like_a_pair_is_left_over() {
        for names in [["a/x-1.jpg", "b/x-2.jpg"], ["x-1.jpg", "x_2.jpg"], ["x-1.jpg", "x-b.jpg"], ["-1.jpg", "-2.jpg"]]
        {
            let (pairs, left_over) = paired(&names, Pairing::ByName);
            assert!(pairs.is_empty() && left_over == names, "{pairs:?}");
        }
        let (pairs, left_over) = paired(&["x-1.jpg", "x-1.png", "x-2.jpg"], Pairing::ByName);
        assert_eq!((pairs.len(), left_over), (1, vec!["x-1.png".to_owned()]));
    }

    #[test]
    fn neighbours_are_paired_within_their_folder() {
        let (pairs, left_over) = paired(&["a/1.jpg", "a/2.jpg", "a/3.jpg", "b/4.jpg", "b/5.jpg"], Pairing::ByOrder);
        assert_eq!(pairs, [of("1-2", "a/1.jpg", "a/2.jpg"), of("4-5", "b/4.jpg", "b/5.jpg")]);
        assert_eq!(left_over, ["a/3.jpg"]);
    }
}
