//! Keeps the shape of the tree: who may use whom, which crate may appear where, how long a file may be.
#![expect(clippy::unwrap_used, reason = "a test that cannot read the tree fails")]

use std::fs;
use std::path::{Path, PathBuf};

/// Who may use whom: lower levels only.
const LEVELS: [&[&str]; 8] = [
    &["domain"],
    &["pace"],
    &["manifest", "catalogue", "image", "store", "gateway", "sink", "notify", "simulator"],
    &["plan", "ledger", "scan"],
    &["pipeline", "report"],
    &["serve", "config"],
    &["cli"],
    &["fuzzing"],
];

/// Which crate may appear where.
const CRATES: [(&str, &[&str]); 20] = [
    ("csv", &["catalogue/", "manifest/", "report/", "scan/"]),
    ("clap", &["cli/"]),
    ("comfy_table", &["cli/", "report/"]),
    ("governor", &["pace/"]),
    ("prometheus_client", &["serve/"]),
    ("reqwest", &["gateway/", "notify/", "pipeline/download", "simulator/"]),
    ("ring", &["gateway/", "serve/", "simulator/"]),
    ("rusqlite", &["store/sqlite"]),
    ("axum", &["serve/", "simulator/"]),
    ("hyper", &["serve/"]),
    ("hyper_util", &["serve/"]),
    ("tracing_subscriber", &["cli/"]),
    ("indicatif", &["cli/"]),
    ("toml", &["config/"]),
    ("imagesize", &["image/", "simulator/"]),
    ("raster", &["scan/"]),
    ("object_store", &["sink/object/"]),
    ("rustls_native_certs", &["store/postgres"]),
    ("tokio_postgres", &["store/postgres"]),
    ("tokio_postgres_rustls", &["store/postgres"]),
];

/// The longest that a file may be, tests apart.
const MOST_LINES: usize = 400;

struct Source {
    path: PathBuf,
    /// Relative to `src`, with `/`.
    name: String,
    /// Without the tests at its end.
    code: String,
}

impl Source {
    fn module(&self) -> &str {
        self.name.split(['/', '.']).next().unwrap()
    }

    fn is_test(&self) -> bool {
        ["tests.rs", "contract.rs"].iter().any(|end| self.name.ends_with(end)) || self.name.contains("/tests/")
    }
}

fn sources() -> Vec<Source> {
    fn walk(folder: &Path, found: &mut Vec<PathBuf>) {
        for entry in fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                walk(&path, found);
            } else if path.extension().is_some_and(|end| end == "rs") {
                found.push(path);
            }
        }
    }
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    let mut found = Vec::new();
    walk(&root, &mut found);
    assert!(found.len() > 30, "the tree was not found");
    found
        .into_iter()
        .map(|path| {
            let text = fs::read_to_string(&path).unwrap();
            let code = text.split("\n#[cfg(test)]\nmod tests {").next().unwrap().to_owned();
            let name = path.strip_prefix(&root).unwrap().to_str().unwrap().replace('\\', "/");
            Source { path, name, code }
        })
        .collect()
}

fn level(module: &str) -> usize {
    LEVELS.iter().position(|modules| modules.contains(&module)).unwrap_or_else(|| panic!("{module} has no level"))
}

/// The top-level modules that a line of code names.
fn used(line: &str) -> impl Iterator<Item = &str> {
    let line = line.split("//").next().unwrap_or(line);
    line.match_indices("crate::").map(|(at, found)| {
        let rest = &line[at + found.len()..];
        rest.split(|c: char| !c.is_ascii_alphanumeric() && c != '_').next().unwrap_or("")
    })
}

#[test]
fn modules_use_lower_levels_only() {
    let mut wrong = Vec::new();
    for source in sources().iter().filter(|source| !["lib", "main"].contains(&source.module()) && !source.is_test()) {
        for (number, line) in source.code.lines().enumerate() {
            for other in used(line).filter(|other| *other != source.module() && !other.is_empty()) {
                let allowed = match source.module() {
                    "simulator" => other == "pace",
                    module => level(other) < level(module),
                };
                if !allowed {
                    wrong.push(format!("{}:{}: {} uses {other}", source.name, number + 1, source.module()));
                }
            }
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn crates_stay_where_they_belong() {
    let mut wrong = Vec::new();
    for source in sources().iter().filter(|source| !source.is_test()) {
        for (name, places) in CRATES {
            let named = |line: &str| {
                let line = line.trim_start();
                line.starts_with(&format!("use {name}::"))
                    || line.contains(&format!(" {name}::"))
                    || line.contains(&format!("({name}::"))
            };
            let elsewhere = !places.iter().any(|place| source.name.starts_with(place));
            let lines = source.code.lines().filter(|line| !line.trim_start().starts_with("//"));
            if elsewhere && lines.clone().any(named) {
                wrong.push(format!("{}: {name}", source.name));
            }
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn every_file_says_what_it_is_for_and_stays_short() {
    let mut wrong = Vec::new();
    for source in sources() {
        if !source.code.starts_with("//! ") {
            wrong.push(format!("{}: does not open with its purpose", source.name));
        }
        let lines = source.code.lines().count();
        if lines > MOST_LINES && !source.is_test() {
            wrong.push(format!("{}: {lines} lines", source.name));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn states_are_set_in_one_place() {
    let outside: Vec<String> = sources()
        .iter()
        .filter(|source| !source.is_test() && source.name != "domain/transition.rs")
        .filter(|source| source.code.lines().any(|line| line.contains(".state = ")))
        .map(|source| source.path.display().to_string())
        .collect();
    assert!(outside.is_empty(), "a job's state is set outside the transition function: {outside:?}");
}

#[test]
fn sql_stands_in_its_own_file() {
    let outside: Vec<String> = sources()
        .iter()
        .filter(|source| !source.is_test() && !source.name.ends_with("/sql.rs"))
        .filter(|source| {
            let mut lines = source.code.lines().filter(|line| !line.trim_start().starts_with("//"));
            lines
                .any(|line| ["\"SELECT ", "\"INSERT ", "\"UPDATE ", "\"DELETE "].iter().any(|verb| line.contains(verb)))
        })
        .map(|source| source.name.clone())
        .collect();
    assert!(outside.is_empty(), "{outside:?}");
}
