//! What nightreel is built from: crates of the one registry, under licences that are allowed, with no more features than are
//! used; one compiler version everywhere. `cargo deny` looks closer, and takes minutes to install: this needs cargo alone.
#![expect(clippy::unwrap_used, reason = "a test that cannot read the tree fails")]

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;
use std::process::Command;

use serde_json::Value;
use toml::Table;

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

fn text(name: &str) -> String {
    fs::read_to_string(root().join(name)).unwrap()
}

fn table(name: &str) -> Table {
    text(name).parse().unwrap()
}

fn metadata() -> Value {
    let mut cargo = Command::new(std::env::var_os("CARGO").unwrap());
    cargo.args(["metadata", "--locked", "--format-version", "1", "--all-features"]);
    let told = cargo.args(["--filter-platform", "x86_64-unknown-linux-gnu"]).current_dir(root()).output().unwrap();
    assert!(told.status.success(), "{}", String::from_utf8_lossy(&told.stderr));
    serde_json::from_slice(&told.stdout).unwrap()
}

/// Whether an SPDX expression can be met with these licences. `OR` binds less than `AND`; the old `/` is `OR`.
fn is_met(expression: &str, allowed: &[&str]) -> bool {
    let expression = expression.replace('/', " OR ").replace('(', " ( ").replace(')', " ) ");
    let words: Vec<&str> = expression.split_whitespace().collect();
    let (met, rest) = alternatives(&words, allowed);
    met && rest.is_empty()
}

fn alternatives<'w>(words: &'w [&'w str], allowed: &[&str]) -> (bool, &'w [&'w str]) {
    let (mut met, mut rest) = together(words, allowed);
    while let ["OR", more @ ..] = rest {
        let (other, after) = together(more, allowed);
        (met, rest) = (met | other, after);
    }
    (met, rest)
}

fn together<'w>(words: &'w [&'w str], allowed: &[&str]) -> (bool, &'w [&'w str]) {
    let (mut met, mut rest) = one(words, allowed);
    while let ["AND", more @ ..] = rest {
        let (other, after) = one(more, allowed);
        (met, rest) = (met & other, after);
    }
    (met, rest)
}

fn one<'w>(words: &'w [&'w str], allowed: &[&str]) -> (bool, &'w [&'w str]) {
    match words {
        ["(", inner @ ..] => {
            let (met, rest) = alternatives(inner, allowed);
            assert_eq!(rest.first(), Some(&")"), "{words:?}");
            (met, &rest[1..])
        }
        [licence, "WITH", exception, rest @ ..] => {
            (allowed.contains(&format!("{licence} WITH {exception}").as_str()), rest)
        }
        [licence, rest @ ..] => (allowed.contains(licence), rest),
        [] => panic!("an expression ends too early"),
    }
}

#[test]
fn every_crate_comes_from_the_one_registry_with_its_checksum() {
    for lock in ["Cargo.lock", "fuzz/Cargo.lock"] {
        let lock = table(lock);
        let packages = lock["package"].as_array().unwrap();
        assert!(packages.len() > 20);
        for package in packages {
            let name = package["name"].as_str().unwrap();
            if ["nightreel", "nightreel-fuzz"].contains(&name) {
                continue;
            }
            let source = package.get("source").and_then(|source| source.as_str());
            assert_eq!(source, Some("registry+https://github.com/rust-lang/crates.io-index"), "{name}");
            assert!(package["checksum"].as_str().is_some_and(|sum| sum.len() == 64), "{name}");
        }
    }
}

#[test]
fn every_crate_has_a_licence_that_is_allowed_and_no_more_features_than_are_meant() {
    let deny = table("deny.toml");
    let allowed = deny["licenses"]["allow"].as_array().unwrap();
    let allowed: Vec<&str> = allowed.iter().map(|licence| licence.as_str().unwrap()).collect();
    let metadata = metadata();
    let used: BTreeMap<&str, &Value> = metadata["resolve"]["nodes"]
        .as_array()
        .unwrap()
        .iter()
        .map(|node| (node["id"].as_str().unwrap(), &node["features"]))
        .collect();
    assert!(used.len() > 100, "{}", used.len());
    let mut features = BTreeMap::new();
    for package in metadata["packages"].as_array().unwrap() {
        let Some(of) = used.get(package["id"].as_str().unwrap()) else { continue };
        let name = package["name"].as_str().unwrap();
        features.insert(name, of.as_array().unwrap());
        if name != "nightreel" {
            let licence = package["license"].as_str().unwrap_or_else(|| panic!("{name} has no licence"));
            assert!(is_met(licence, &allowed), "{name}: {licence}");
        }
    }
    for banned in deny["bans"]["deny"].as_array().unwrap() {
        let banned = banned["crate"].as_str().unwrap();
        assert!(!features.contains_key(banned), "{banned} is linked in");
    }
    // Nothing that a remote sends is unpacked, or kept for the next request.
    for feature in features["reqwest"] {
        let feature = feature.as_str().unwrap();
        assert!(!["gzip", "brotli", "deflate", "zstd", "cookies"].contains(&feature), "{feature}");
    }
}

#[test]
fn licences_are_weighed_as_they_are_written() {
    let met = |expression: &str| is_met(expression, &["MIT", "ISC", "A WITH e"]);
    for good in ["MIT", "GPL-3.0 OR MIT", "MIT/Apache-2.0", "(MIT OR X) AND ISC", "A WITH e", "X AND Y OR MIT"] {
        assert!(met(good), "{good}");
    }
    for bad in ["GPL-3.0", "MIT AND GPL-3.0", "(MIT OR X) AND Y", "A", "A WITH f", "MIT ISC"] {
        assert!(!met(bad), "{bad}");
    }
}

#[test]
fn one_compiler_version_is_named_everywhere_and_nothing_of_ours_is_unsafe() {
    let cargo = table("Cargo.toml");
    let version = cargo["package"]["rust-version"].as_str().unwrap();
    assert_eq!(table("fuzz/Cargo.toml")["package"]["rust-version"].as_str(), Some(version));
    assert!(text("README.md").contains(&format!("Rust {version}")), "README names another version than {version}");
    assert!(
        text("Dockerfile").contains(&format!("rust:{version}")),
        "the image is built by another version than {version}"
    );
    assert_eq!(cargo["lints"]["rust"]["unsafe_code"].as_str(), Some("forbid"));
}

#[test]
fn whatever_builds_keeps_to_the_lock_file() {
    let mut commands = 0;
    for script in [".ci/run", "tests/run", "Dockerfile", "packaging/deb", "docs/pictures/make"] {
        for line in text(script).lines().filter(|line| !line.trim_start().starts_with('#')) {
            let builds = ["build", "test", "clippy", "doc", "install", "run", "bench", "deb"];
            if builds.iter().any(|verb| line.contains(&format!("cargo {verb}"))) && !line.contains("echo") {
                commands += 1;
                assert!(line.contains("--locked") || line.trim_start().starts_with("need "), "{script}: {line}");
            }
        }
    }
    assert!(commands >= 6, "{commands}");
}
