//! The rows of the manifest, and the manifest.

use std::io::Write;
use std::path::{Component, Path, PathBuf};

use super::Scanned;

/// A row as it is written.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ScannedRow {
    /// Its own name.
    pub id: String,
    /// The scene.
    pub scene: String,
    /// One image or two, as the manifest names them.
    pub images: Vec<String>,
}

impl Scanned {
    /// Writes the manifest.
    pub fn write(&self, to: impl Write) -> Result<(), csv::Error> {
        let mut lines = csv::Writer::from_writer(to);
        let account = self.account.as_ref().map(crate::domain::AccountName::as_str);
        lines.write_record(["id", "scene", "images", "duration"].into_iter().chain(account.map(|_| "account")))?;
        for row in &self.rows {
            let duration = self.duration.as_deref().unwrap_or_default();
            let images = row.images.join("|");
            lines.write_record([&row.id, &row.scene, &images, duration].into_iter().chain(account))?;
        }
        lines.flush()?;
        Ok(())
    }
}

/// The rows of one image or pair. A scene has no `-` in its name: what tells two ids apart still does behind it.
pub(super) fn rows(id: &str, scenes: &[String], images: &[&str]) -> Vec<ScannedRow> {
    let row = |scene: &String| ScannedRow {
        id: if scenes.len() > 1 { format!("{id}-{scene}") } else { id.to_owned() },
        scene: scene.clone(),
        images: images.iter().map(|image| (*image).to_owned()).collect(),
    };
    scenes.iter().map(row).collect()
}

/// How a manifest in the folder `beside` names a file; `None` when it cannot. Both are absolute, and free of symbolic links.
/// What shares no folder with the manifest keeps its whole path.
pub(super) fn cell(file: &Path, beside: &Path) -> Option<String> {
    let (parts, against): (Vec<Component<'_>>, Vec<Component<'_>>) =
        (file.components().collect(), beside.components().collect());
    let common = parts.iter().zip(&against).take_while(|(one, other)| one == other).count();
    let path: PathBuf = if common > 1 || against.len() == 1 {
        let up = against[common..].iter().map(|_| Component::ParentDir);
        up.chain(parts[common..].iter().copied()).collect()
    } else {
        file.to_path_buf()
    };
    let text = path.to_str()?;
    if text.contains('|') || text.ends_with(char::is_whitespace) {
        return None;
    }
    let is_mistaken = text.starts_with(char::is_whitespace) || text.to_ascii_lowercase().starts_with("data:");
    Some(if is_mistaken { format!("./{text}") } else { text.to_owned() })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_are_relative_to_the_manifest_and_survive_the_cell() {
        let cell = |file: &str, beside: &str| cell(Path::new(file), Path::new(beside));
        assert_eq!(cell("/home/me/photos/a.jpg", "/home/me").as_deref(), Some("photos/a.jpg"));
        assert_eq!(cell("/home/me/photos/a.jpg", "/home/me/lists/x").as_deref(), Some("../../photos/a.jpg"));
        assert_eq!(cell("/media/card/a.jpg", "/home/me").as_deref(), Some("/media/card/a.jpg"));
        assert_eq!(cell("/media/a.jpg", "/").as_deref(), Some("media/a.jpg"));
        assert_eq!(cell("/h/ a.jpg", "/h").as_deref(), Some("./ a.jpg"));
        assert_eq!(cell("/h/data:a.jpg", "/h").as_deref(), Some("./data:a.jpg"));
        assert_eq!(cell("/h/a|b.jpg", "/h"), None);
        assert_eq!(cell("/h/a.jpg ", "/h"), None);
    }

    #[test]
    fn several_scenes_are_told_apart_by_the_id() {
        let scenes = ["squish".to_owned(), "dj_pet".to_owned()];
        let ids = |scenes: &[String]| rows("a", scenes, &["a.jpg"]).into_iter().map(|row| row.id).collect::<Vec<_>>();
        assert_eq!(ids(&scenes), ["a-squish", "a-dj_pet"]);
        assert_eq!(ids(&scenes[..1]), ["a"]);
    }
}
