//! From a manifest's row to a job that could be admitted: its images looked at, its identity and its output name found.

use std::collections::{BTreeMap, HashSet};
use std::num::NonZeroUsize;
use std::path::{Path, PathBuf};

use crate::domain::{BatchName, Digest, Effect, ImageSource, Images, OutputKey, RowKey, UnsafeOutput};
use crate::image::Inspector;
use crate::manifest::{Manifest, Problem, RawImage, Record, Row};
use crate::sink::NameTemplate;
use crate::store::NewJob;

/// The longest part of a label that comes from an image's name.
const LONGEST_STEM: usize = 60;
/// Digits of the content's digest in a label.
const DIGITS: usize = 12;

/// A row that could be admitted.
#[derive(Debug)]
pub(super) struct Candidate {
    pub(super) line: u64,
    pub(super) has_id: bool,
    pub(super) job: NewJob,
    /// What output names have in common that a file system which ignores case would give one file.
    pub(super) name: [u8; 16],
}

/// Some rows as they stand in the manifest.
#[derive(Debug, Default)]
pub(super) struct Read {
    rows: Vec<Row>,
    problems: Vec<Problem>,
}

impl Read {
    /// Reads the next rows, at most `most`; `None` at the end. Blocks.
    pub(super) fn next(manifest: &mut Manifest, most: usize) -> Option<Self> {
        let mut read = Self { rows: Vec::with_capacity(most), problems: Vec::new() };
        while read.rows.len() < most {
            match manifest.next_record() {
                Some(Record::Row(row)) => read.rows.push(*row),
                Some(Record::Bad(problems)) => read.problems.extend(problems),
                None if read.rows.is_empty() && read.problems.is_empty() => return None,
                None => break,
            }
        }
        Some(read)
    }
}

/// Some rows, prepared.
#[derive(Debug, Default)]
pub(super) struct Chunk {
    pub(super) candidates: Vec<Candidate>,
    pub(super) problems: Vec<Problem>,
}

/// Prepares rows of one manifest.
#[derive(Debug)]
pub(super) struct Preparer {
    folder: PathBuf,
    batch: BatchName,
    template: NameTemplate,
    columns: Vec<String>,
    /// The columns as JSON, sorted, each with its place.
    keys: Vec<(String, usize)>,
    inspector: Inspector,
}

impl Preparer {
    pub(super) fn new(manifest: &Path, batch: BatchName, template: NameTemplate, columns: Vec<String>) -> Self {
        let folder = manifest.parent().unwrap_or(Path::new("")).to_path_buf();
        let named: BTreeMap<&String, usize> = columns.iter().zip(0..).collect();
        let keys =
            named.into_iter().map(|(name, at)| (serde_json::Value::from(name.as_str()).to_string(), at)).collect();
        Self { folder, batch, template, columns, keys, inspector: Inspector::new() }
    }

    /// Prepares rows that were read. Blocks.
    pub(super) fn chunk(&self, read: Read) -> Chunk {
        let mut chunk = Chunk { candidates: Vec::with_capacity(read.rows.len()), problems: read.problems };
        self.look_at_images(&read.rows);
        for row in read.rows {
            match self.candidate(row) {
                Ok(candidate) => chunk.candidates.push(candidate),
                Err(problems) => chunk.problems.extend(problems),
            }
        }
        chunk
    }

    /// Looks at the images of some rows on all cores; the inspector remembers what was found.
    fn look_at_images(&self, rows: &[Row]) {
        let paths: HashSet<PathBuf> = rows
            .iter()
            .flat_map(|row| &row.images)
            .filter_map(|image| match image {
                RawImage::Path(path) => Some(self.folder.join(path)),
                RawImage::Url(_) => None,
            })
            .collect();
        let paths: Vec<PathBuf> = paths.into_iter().filter(|path| !self.inspector.knows(path)).collect();
        if paths.is_empty() {
            return;
        }
        let cores = std::thread::available_parallelism().map_or(1, NonZeroUsize::get);
        std::thread::scope(|scope| {
            for share in paths.chunks(paths.len().div_ceil(cores).max(1)) {
                scope.spawn(|| share.iter().for_each(|path| drop(self.inspector.inspect(path))));
            }
        });
    }

    fn candidate(&self, row: Row) -> Result<Candidate, Vec<Problem>> {
        let line = row.line;
        let (mut sources, mut problems) = (Vec::new(), Vec::new());
        for image in &row.images {
            match self.source(image) {
                Ok(source) => sources.push(source),
                Err(problem) => problems.push(Problem { line, ..problem }),
            }
        }
        let images = match (sources.pop(), sources.pop()) {
            (Some(one), None) => Images::One(one),
            (Some(right), Some(left)) => Images::Two(left, right),
            (None, _) => return Err(problems),
        };
        if !problems.is_empty() {
            return Err(problems);
        }
        let effect = Effect { scene: row.scene, images, duration: row.duration, model: row.model, mode: row.mode };
        let content = effect.content();
        let key = row.id.as_deref().map_or_else(|| RowKey::of_content(&content), RowKey::of_id);
        let has_id = row.id.is_some();
        let label = row.id.unwrap_or_else(|| label(&row.images, &content));
        let output = match row.output {
            Some(output) => output,
            None => self.output(&effect, &label, &row.own).map_err(|bad| {
                let what = format!("the name made for its video {}", bad.why);
                vec![Problem::new(line, "output", what, &bad.found, "an output of its own for this row")]
            })?,
        };
        let columns = self.own_columns(&row.own);
        let folded = Digest::of(output.folded().as_bytes());
        let mut name = [0; 16];
        name.copy_from_slice(&folded.as_bytes()[..16]);
        Ok(Candidate {
            line,
            has_id,
            name,
            job: NewJob { key, label, effect, content, output, columns, account: row.account },
        })
    }

    fn source(&self, image: &RawImage) -> Result<ImageSource, Problem> {
        match image {
            RawImage::Url(url) => Ok(ImageSource::Url(url.clone())),
            RawImage::Path(relative) => {
                let path = self.folder.join(relative);
                match self.inspector.inspect(&path) {
                    Ok(seen) => Ok(ImageSource::File { path, digest: seen.digest }),
                    Err(unfit) => Err(Problem::new(0, "images", unfit.to_string(), relative, unfit.expected())),
                }
            }
        }
    }

    fn output(&self, effect: &Effect, label: &str, own: &[String]) -> Result<OutputKey, UnsafeOutput> {
        self.template.render(&|name| match name {
            "scene" => Some(effect.scene.as_str()),
            "id" => Some(label),
            "batch" => Some(self.batch.as_str()),
            "duration" => effect.duration.as_deref(),
            "model" => effect.model.as_deref(),
            "mode" => effect.mode.as_deref(),
            own_name => {
                let at = self.columns.iter().position(|column| column == own_name)?;
                own.get(at).map(String::as_str)
            }
        })
    }

    /// The row's own columns as a JSON object.
    fn own_columns(&self, own: &[String]) -> String {
        let mut object = String::from("{");
        for (number, (key, at)) in self.keys.iter().enumerate() {
            if number > 0 {
                object.push(',');
            }
            object.push_str(key);
            object.push(':');
            object.push_str(&serde_json::Value::from(own.get(*at).map_or("", String::as_str)).to_string());
        }
        object.push('}');
        object
    }
}

/// What people call a row without an id: after its first image, and told apart by its content.
fn label(images: &[RawImage], content: &Digest) -> String {
    let name = match images.first() {
        Some(RawImage::Path(path)) => path.rsplit(['/', '\\']).next().unwrap_or(""),
        Some(RawImage::Url(url)) => url.split(['?', '#']).next().unwrap_or("").rsplit('/').next().unwrap_or(""),
        None => "",
    };
    let stem = name.rsplit_once('.').map_or(name, |(stem, _)| stem);
    let plain: String = stem.chars().map(|c| if c.is_alphanumeric() { c } else { '-' }).take(LONGEST_STEM).collect();
    let plain = plain.trim_matches('-');
    if plain.is_empty() { content.short(DIGITS) } else { format!("{plain}-{}", content.short(DIGITS)) }
}
