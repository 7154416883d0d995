//! One record as a row: each cell checked for what it may hold, all problems of the record at once.

use csv::ByteRecord;

use crate::domain::{AccountName, OutputKey};

use super::{Header, Problem};

/// A row as it stands in the manifest.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Row {
    /// The line at which it begins, counted from 1.
    pub line: u64,
    /// Its `id`, where it has one.
    pub id: Option<String>,
    /// The effect scene.
    pub scene: String,
    /// One image or two.
    pub images: Vec<RawImage>,
    /// `5` or `10`.
    pub duration: Option<String>,
    /// The model's name.
    pub model: Option<String>,
    /// `std` or `pro`.
    pub mode: Option<String>,
    /// Where its video goes, where it says so.
    pub output: Option<OutputKey>,
    /// The only account that may send it, where it names one.
    pub account: Option<AccountName>,
    /// The manifest's own columns, in the header's order.
    pub own: Vec<String>,
}

/// An image as a row names it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum RawImage {
    /// An http(s) URL.
    Url(String),
    /// A path, relative to the manifest's folder unless absolute.
    Path(String),
}

const LONGEST_ID: usize = 100;
const LONGEST_URL: usize = 4096;

/// Reads a record, or says all that is wrong with it.
pub(super) fn read(header: &Header, record: &ByteRecord, line: u64) -> Result<Row, Vec<Problem>> {
    if record.len() != header.names.len() {
        let found = format!("{} cells", record.len());
        let expected =
            format!("{} cells, as many as the header has (quote a cell that has a comma in it)", header.names.len());
        return Err(vec![Problem::whole(line, "the number of cells is not the header's", &found, expected)]);
    }
    let mut cells = Cells { header, record, line, problems: Vec::new() };
    let scene = cells.scene();
    let images = cells.images();
    let duration = cells.choice(Some(header.duration), &["5", "10"], "5, 10 or nothing");
    let mode = cells.choice(header.mode, &["std", "pro"], "std, pro or nothing");
    let id = cells.named(header.id, LONGEST_ID);
    let model = cells.named(header.model, LONGEST_ID);
    let output = cells.output();
    let account = cells.account();
    let own = header.own_at.iter().map(|at| cells.text(*at).to_owned()).collect();
    if cells.problems.is_empty() {
        Ok(Row { line, id, scene, images, duration, model, mode, output, account, own })
    } else {
        Err(cells.problems)
    }
}

struct Cells<'a> {
    header: &'a Header,
    record: &'a ByteRecord,
    line: u64,
    problems: Vec<Problem>,
}

impl<'a> Cells<'a> {
    fn problem(&mut self, at: usize, what: &str, found: &str, expected: &str) {
        let column = self.header.names.get(at).map_or("", String::as_str);
        self.problems.push(Problem::new(self.line, column, what, found, expected));
    }

    /// The cell's text; one that is not UTF-8 is a problem and counts as empty.
    fn text(&mut self, at: usize) -> &'a str {
        let cell = self.record.get(at).unwrap_or_default();
        std::str::from_utf8(cell).map_or_else(
            |_| {
                let found = String::from_utf8_lossy(cell).into_owned();
                self.problem(at, "the text is not UTF-8", &found, "text in UTF-8");
                ""
            },
            str::trim,
        )
    }

    fn scene(&mut self) -> String {
        let (at, before) = (self.header.scene, self.problems.len());
        let scene = self.text(at);
        let valid = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '_' || c == '\'';
        if self.problems.len() == before && scene.is_empty() {
            self.problem(at, "the scene is missing", "", "the name of an effect scene, such as hug_pro");
        } else if scene.len() > 100 || !scene.chars().all(valid) {
            self.problem(at, "no scene has such a name", scene, "a name of a-z, 0-9 and _, such as hug_pro");
        }
        scene.to_owned()
    }

    fn images(&mut self) -> Vec<RawImage> {
        const EXPECTED: &str = "one image, or two separated by |: each a path or an http(s) URL";
        let (at, before) = (self.header.images, self.problems.len());
        let text = self.text(at);
        if self.problems.len() > before {
            return Vec::new();
        }
        if text.is_empty() {
            self.problem(at, "the image is missing", "", EXPECTED);
            return Vec::new();
        }
        let pieces: Vec<&str> = text.split('|').map(str::trim).collect();
        if pieces.len() > 2 {
            let what = format!("there are {} images", pieces.len());
            self.problem(at, &what, text, EXPECTED);
            return Vec::new();
        }
        pieces.into_iter().filter_map(|piece| self.image(at, text, piece)).collect()
    }

    fn image(&mut self, at: usize, whole: &str, piece: &str) -> Option<RawImage> {
        let lower = piece.get(..8.min(piece.len())).unwrap_or(piece).to_ascii_lowercase();
        if piece.is_empty() {
            self.problem(at, "one of the images is missing", whole, "an image on each side of |");
        } else if lower.starts_with("http://") || lower.starts_with("https://") {
            let host = piece.split("://").nth(1).and_then(|rest| rest.split(['/', '?', '#']).next()).unwrap_or("");
            if host.is_empty() || piece.len() > LONGEST_URL || piece.chars().any(|c| c.is_control() || c == ' ') {
                self.problem(at, "the URL is not valid", piece, "an http(s) URL with a host and without spaces");
            } else {
                return Some(RawImage::Url(piece.to_owned()));
            }
        } else if lower.starts_with("data:") {
            self.problem(
                at,
                "images are not written into the manifest",
                piece,
                "the path of an image file, or its URL",
            );
        } else if let Some((scheme, _)) = piece.split_once("://") {
            let what = format!("{scheme} URLs cannot be fetched by the remote");
            self.problem(at, &what, piece, "an http(s) URL, or a path");
        } else if piece.contains('\0') {
            self.problem(at, "the path is not valid", piece, "a path without NUL");
        } else {
            return Some(RawImage::Path(piece.to_owned()));
        }
        None
    }

    /// A cell that holds one of a few words, or nothing.
    fn choice(&mut self, at: Option<usize>, words: &[&str], expected: &str) -> Option<String> {
        let at = at?;
        let text = self.text(at);
        if text.is_empty() {
            return None;
        }
        if !words.contains(&text) {
            self.problem(at, "this is not among what may stand here", text, expected);
        }
        Some(text.to_owned())
    }

    /// A cell that holds a short name, or nothing.
    fn named(&mut self, at: Option<usize>, longest: usize) -> Option<String> {
        let at = at?;
        let text = self.text(at);
        if text.is_empty() {
            return None;
        }
        if text.chars().count() > longest || text.chars().any(char::is_control) {
            let expected = format!("at most {longest} characters, none of them a control character");
            self.problem(at, "the text is too long or has a control character", text, &expected);
        }
        Some(text.to_owned())
    }

    fn account(&mut self) -> Option<AccountName> {
        let at = self.header.account?;
        let text = self.text(at);
        if text.is_empty() {
            return None;
        }
        AccountName::new(text).map_err(|bad| self.problem(at, "no account has such a name", text, bad.expected)).ok()
    }

    fn output(&mut self) -> Option<OutputKey> {
        let at = self.header.output?;
        let text = self.text(at);
        if text.is_empty() {
            return None;
        }
        OutputKey::new(text)
            .map_err(|bad| {
                let what = format!("the name {}", bad.why);
                self.problem(at, &what, text, "a relative path of plain names below the output tree");
            })
            .ok()
    }
}
