//! The header: which column is which, and what to say when one is missing or misspelled.

use csv::ByteRecord;

use super::Problem;

/// The columns that every manifest must have.
const REQUIRED: [&str; 3] = ["scene", "images", "duration"];
/// The columns that mean something where they are present.
const OPTIONAL: [&str; 5] = ["id", "model", "mode", "output", "account"];
/// Names of results.csv, which the manifest's own columns would hide. `id`, `scene` and `account` are columns of both.
const RESULTS: [&str; 13] = [
    "batch",
    "state",
    "file",
    "sha256",
    "bytes",
    "task_id",
    "submitted",
    "finished",
    "cause",
    "request_id",
    "units",
    "price",
    "currency",
];
/// How alike a name must be to a known one to be taken for a misspelling of it.
const ALIKE: f64 = 0.85;

/// Which column is which.
#[derive(Debug)]
pub struct Header {
    /// Names, as they stand.
    pub(super) names: Vec<String>,
    /// The manifest's own columns, in order.
    pub(super) own: Vec<String>,
    pub(super) own_at: Vec<usize>,
    pub(super) scene: usize,
    pub(super) images: usize,
    pub(super) duration: usize,
    pub(super) id: Option<usize>,
    pub(super) model: Option<usize>,
    pub(super) mode: Option<usize>,
    pub(super) output: Option<usize>,
    pub(super) account: Option<usize>,
}

/// The file has nothing in it.
pub(super) fn empty() -> Problem {
    Problem::whole(1, "the manifest is empty", "", "a header with the columns scene, images and duration")
}

impl Header {
    /// Reads the first record, or says all that is wrong with it.
    pub(super) fn read(record: &ByteRecord) -> Result<Self, Vec<Problem>> {
        let mut problems = Vec::new();
        let mut names = Vec::new();
        for cell in record {
            let text = String::from_utf8_lossy(cell).trim_start_matches('\u{feff}').trim().trim_matches('"').to_owned();
            if std::str::from_utf8(cell).is_err() {
                problems.push(Problem::new(1, &text, "the column's name is not UTF-8", &text, "a name in UTF-8"));
            }
            names.push(text);
        }
        if let [one] = names.as_slice()
            && let Some(other) = [';', '\t'].into_iter().find(|other| one.contains(*other))
        {
            let what = if other == ';' {
                "its columns are separated by semicolons"
            } else {
                "its columns are separated by tabs"
            };
            return Err(vec![Problem::whole(1, what, one, "columns separated by commas")]);
        }
        let at = |wanted: &str| names.iter().position(|name| name == wanted);
        for (number, name) in names.iter().enumerate() {
            if name.is_empty() {
                let column = format!("column {}", number + 1);
                problems.push(Problem::new(1, &column, "the column has no name", "", "a name for every column"));
            } else if names[..number].contains(name) {
                problems.push(Problem::new(1, name, "the column stands twice", name, "each column once"));
            } else if RESULTS.contains(&name.as_str()) {
                let expected = "another name: results.csv has a column of this name";
                problems.push(Problem::new(1, name, "the column's name is taken", name, expected));
            }
        }
        for wanted in REQUIRED {
            if at(wanted).is_none() {
                let near = names.iter().find(|name| is_alike(name, wanted));
                let expected = near.map_or_else(
                    || format!("a column named {wanted}"),
                    |near| format!("a column named {wanted} (did you mean it by {near:?}?)"),
                );
                let found = names.join(",");
                problems.push(Problem::new(1, wanted, "the column is missing", &found, expected));
            }
        }
        for name in &names {
            let known = REQUIRED.contains(&name.as_str()) || OPTIONAL.contains(&name.as_str());
            if let Some(meant) = OPTIONAL.iter().find(|wanted| !known && at(wanted).is_none() && is_alike(name, wanted))
            {
                let expected = format!("{meant:?}, or a name less like it for a column of your own");
                problems.push(Problem::new(1, name, "the column is nearly a known one", name, expected));
            }
        }
        match (at("scene"), at("images"), at("duration")) {
            (Some(scene), Some(images), Some(duration)) if problems.is_empty() => {
                let is_own = |name: &&String| !REQUIRED.contains(&name.as_str()) && !OPTIONAL.contains(&name.as_str());
                let own: Vec<String> = names.iter().filter(is_own).cloned().collect();
                let own_at = own.iter().filter_map(|name| at(name)).collect();
                let (id, model, mode) = (at("id"), at("model"), at("mode"));
                let (output, account) = (at("output"), at("account"));
                Ok(Self { own, own_at, scene, images, duration, id, model, mode, output, account, names })
            }
            _ => Err(problems),
        }
    }
}

/// Whether a name differs from a known one by little: case, an `s`, two letters exchanged.
fn is_alike(name: &str, wanted: &str) -> bool {
    let name = name.to_lowercase();
    let name = name.trim_matches(|c: char| !c.is_alphanumeric());
    name == wanted
        || name.trim_end_matches('s') == wanted.trim_end_matches('s')
        || (wanted.len() > 4
            && strsim::damerau_levenshtein(name, wanted) <= 2
            && strsim::jaro_winkler(name, wanted) >= ALIKE)
}
