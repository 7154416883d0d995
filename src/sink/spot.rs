//! Under which names a video may come to lie, where its own is taken.

use crate::domain::OutputKey;

/// What nightreel itself writes into the tree. No video gets such a name.
pub(super) const DOCUMENTS: [&str; 5] =
    ["results.csv", "report/index.html", "report/data.js", "report/results.csv", "report/results.json"];

/// More names than this for one video mean that something is badly wrong.
const MOST_NAMES: u32 = 1000;

/// What a video that found no name is told.
pub(super) const TOO_MANY: &str = "too many files have the video's name";

/// The names that a video may take, in order: `a.mp4`, `a~2.mp4`, `a~3.mp4`.
pub(super) fn names(key: &OutputKey) -> impl Iterator<Item = OutputKey> + '_ {
    (1..=MOST_NAMES)
        .filter_map(|number| numbered(key, number))
        .filter(|key| !DOCUMENTS.contains(&key.folded().as_str()))
}

/// Whether a path in a tree is listed: what begins with a dot, and what nightreel writes itself, is not.
#[cfg(feature = "object-store")]
pub(super) fn is_listed(path: &str) -> bool {
    !DOCUMENTS.contains(&path) && !path.split('/').any(|part| part.starts_with('.'))
}

/// The folders and the file name of a key.
pub(super) fn split(key: &OutputKey) -> (Option<&str>, &str) {
    key.as_str().rsplit_once('/').map_or((None, key.as_str()), |(folders, file)| (Some(folders), file))
}

/// The `number`th name for a video, shortened where it would get too long.
fn numbered(key: &OutputKey, number: u32) -> Option<OutputKey> {
    if number == 1 {
        return Some(key.clone());
    }
    let (folders, file) = split(key);
    let (stem, ending) = file.rfind('.').map_or((file, ""), |dot| file.split_at(dot));
    let folders = folders.map(|folders| format!("{folders}/")).unwrap_or_default();
    (0..=16).find_map(|less| {
        let stem = &stem[..stem.floor_char_boundary(stem.len().saturating_sub(less))];
        OutputKey::new(format!("{folders}{stem}~{number}{ending}")).ok()
    })
}
