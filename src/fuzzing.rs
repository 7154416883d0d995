//! What the fuzzers in `fuzz/` call: one function for each reader of what comes from outside, which panics where a promise is
//! broken. Not part of the library: it is there for fuzzers and tests only, and the tests replay the fuzzers' corpus.

use std::io::{Cursor, Write};

use secrecy::SecretString;

use crate::gateway::kling;
use crate::image::{Inspector, LEAST_PIXELS, MOST_ASPECT, MOST_BYTES};
use crate::manifest::{Manifest, Opened, Problem, RawImage, Record};
use crate::sink::{NameTemplate, is_video};

/// A key that a remote might echo.
const KEY: &str = "sk-recognisable/5eed";

/// A file that holds `data`; `None` where the disk is full.
fn file(data: &[u8]) -> Option<tempfile::NamedTempFile> {
    let mut file = tempfile::NamedTempFile::new().ok()?;
    file.write_all(data).ok()?;
    Some(file)
}

/// A manifest: read to its end, with rows that are fit to be sent and problems that are fit to be shown.
pub fn manifest(data: &[u8]) {
    let Some(file) = file(data) else { return };
    let Ok(opened) = Manifest::open(file.path()) else { return };
    let mut manifest = match opened {
        Opened::Bad(problems) => return shown(&problems),
        Opened::Manifest(manifest) => manifest,
    };
    let lines = data.split(|byte| matches!(byte, b'\n' | b'\r')).count() as u64;
    let mut records = 0;
    while let Some(record) = manifest.next_record() {
        records += 1;
        assert!(records <= lines + 1, "more records than lines");
        match record {
            Record::Bad(problems) => shown(&problems),
            Record::Row(row) => {
                assert!(row.line >= 1 && row.line <= lines, "line {} of {lines}", row.line);
                assert!(matches!(row.images.len(), 1 | 2), "{:?}", row.images);
                let texts = [&row.id, &row.model].into_iter().flatten().chain([&row.scene]);
                assert!(texts.into_iter().all(|text| !text.chars().any(char::is_control)));
                for image in &row.images {
                    let (RawImage::Url(text) | RawImage::Path(text)) = image;
                    assert!(!text.is_empty() && !text.contains('\0'), "{image:?}");
                }
                assert_eq!(row.own.len(), manifest.own_columns().len());
            }
        }
    }
}

fn shown(problems: &[Problem]) {
    assert!(!problems.is_empty(), "something is wrong, and nothing is told");
    assert!(problems.iter().all(|problem| !problem.found.chars().any(char::is_control)), "{problems:?}");
}

/// An answer of a remote, after its status in the first two bytes: understood as the answer to a request and to a question,
/// in words that are fit to be kept.
pub fn answer(data: &[u8]) {
    let Some((status, body)) = data.split_first_chunk::<2>() else { return };
    let status = 100 + u16::from_be_bytes(*status) % 500;
    let echoed = [body, KEY.as_bytes()].concat();
    for body in [body, &echoed] {
        for told in kling::understood(status, body, &SecretString::from(KEY)) {
            assert!(!told.contains(KEY), "the key is shown: {told}");
            assert!(!told.chars().any(char::is_control), "{told:?}");
        }
    }
}

/// A file that may be a video: what passes for a whole one has what one is made of.
pub fn video(data: &[u8]) {
    if is_video(&mut Cursor::new(data)) {
        let has = |kind: &[u8]| data.windows(4).any(|part| part == kind);
        assert_eq!(data.get(4..8), Some(&b"ftyp"[..]));
        assert!(has(b"moov") && (has(b"mdat") || has(b"moof")));
    }
}

/// A file that may be an image: what passes for one is what the remote takes.
pub fn image(data: &[u8]) {
    let Some(file) = file(data) else { return };
    if let Ok(seen) = Inspector::new().inspect(file.path()) {
        assert!(seen.bytes == data.len() as u64 && seen.bytes <= MOST_BYTES);
        let (short, long) = (seen.width.min(seen.height), seen.width.max(seen.height));
        assert!(short >= LEAST_PIXELS && long as f64 <= short as f64 * MOST_ASPECT, "{seen:?}");
    }
}

/// A template of names, and after a line end the value of everything that it names: a value never makes a folder.
pub fn name(data: &[u8]) {
    let Ok(text) = std::str::from_utf8(data) else { return };
    let (template, value) = text.split_once('\n').unwrap_or((text, ""));
    let Ok(parsed) = NameTemplate::parse(template, &["guest".to_owned()]) else { return };
    if let Ok(key) = parsed.render(&|_| Some(value)) {
        assert_eq!(key.as_str().matches('/').count(), template.matches('/').count(), "{template:?} {value:?}");
        assert!(key.to_path().is_relative());
        assert!(key.as_str().split('/').all(|part| !part.is_empty() && !part.starts_with('.')), "{key}");
    }
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use proptest::prelude::*;

    use super::*;

    type Target = fn(&[u8]);
    const TARGETS: [(&str, Target); 5] =
        [("manifest", manifest), ("answer", answer), ("video", video), ("image", image), ("name", name)];

    #[test]
    fn what_fuzzers_keep_is_read_as_promised_whole_cut_and_joined() {
        for (name, target) in TARGETS {
            let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("fuzz/corpus").join(name);
            let mut kept: Vec<Vec<u8>> = std::fs::read_dir(&folder)
                .unwrap()
                .map(|entry| std::fs::read(entry.unwrap().path()).unwrap())
                .collect();
            assert!(kept.len() >= 3, "{name}: {}", kept.len());
            kept.sort();
            let mut last: &[u8] = &[];
            for data in &kept {
                target(data);
                target(&data[..data.len() / 2]);
                target(&data[data.len() / 2..]);
                target(&[data, last].concat());
                last = data;
            }
        }
    }

    proptest! {
        #[test]
        fn whatever_comes_is_read_as_promised(data in proptest::collection::vec(any::<u8>(), 0..300), text in "\\PC{0,100}") {
            for (_, target) in TARGETS {
                target(&data);
                target(text.as_bytes());
            }
        }
    }
}
