//! Where a ledger is: a file, or a database that many machines share. Keeps a password apart from the address from the very
//! beginning, so that no text that is shown, logged or written can hold one.

use std::path::{Path, PathBuf};

/// How the address of a ledger in PostgreSQL begins.
const SCHEMES: [&str; 2] = ["postgres://", "postgresql://"];
/// Parameters of an address that hold a secret.
const SECRET: [&str; 2] = ["password", "sslpassword"];

/// Whether this names a ledger in PostgreSQL, rather than a file.
#[must_use]
pub fn is_shared(state: &Path) -> bool {
    state.to_str().is_some_and(|text| SCHEMES.iter().any(|scheme| text.starts_with(scheme)))
}

/// An address without its password, and the password where it had one. Anything else is given back as it is.
#[must_use]
pub fn without_password(text: &str) -> (String, Option<String>) {
    let Some(scheme) = SCHEMES.into_iter().find(|scheme| text.starts_with(scheme)) else {
        return (text.to_owned(), None);
    };
    let rest = &text[scheme.len()..];
    let (before, query) = rest.split_once('?').map_or((rest, None), |(before, query)| (before, Some(query)));
    let (authority, path) = before.split_at(before.find('/').unwrap_or(before.len()));
    let mut password = None;
    let authority = match authority.rsplit_once('@') {
        Some((user, host)) => {
            let user = match user.split_once(':') {
                Some((user, secret)) => {
                    password = Some(decoded(secret));
                    user
                }
                None => user,
            };
            format!("{user}@{host}")
        }
        None => authority.to_owned(),
    };
    let mut kept = Vec::new();
    for parameter in query.into_iter().flat_map(|query| query.split('&')).filter(|parameter| !parameter.is_empty()) {
        let (name, value) = parameter.split_once('=').unwrap_or((parameter, ""));
        if SECRET.contains(&decoded(name).as_str()) {
            password = Some(decoded(value));
        } else {
            kept.push(parameter);
        }
    }
    let query = if kept.is_empty() { String::new() } else { format!("?{}", kept.join("&")) };
    (format!("{scheme}{authority}{path}{query}"), password)
}

/// A part of an address with its `%41`s resolved; what is no such thing stays.
pub(super) fn decoded(text: &str) -> String {
    let bytes = text.as_bytes();
    let mut plain = Vec::with_capacity(bytes.len());
    let mut at = 0;
    while let Some(byte) = bytes.get(at) {
        let code = (*byte == b'%').then(|| text.get(at + 1..at + 3)).flatten();
        if let Some(code) = code.and_then(|code| u8::from_str_radix(code, 16).ok()) {
            plain.push(code);
            at += 3;
        } else {
            plain.push(*byte);
            at += 1;
        }
    }
    String::from_utf8_lossy(&plain).into_owned()
}

/// What lies beside a ledger on this machine (downloads under way, journals) is named after this path: the ledger's own, or
/// one in `state/` that tells databases apart.
#[must_use]
pub fn beside(state: &Path) -> PathBuf {
    if !is_shared(state) {
        return state.to_path_buf();
    }
    let (text, _) = without_password(&state.to_string_lossy());
    let place = text.split("://").nth(1).unwrap_or_default();
    let place = place.split('?').next().unwrap_or_default().rsplit('@').next().unwrap_or_default();
    let plain: String = place.chars().map(|c| if c.is_ascii_alphanumeric() || c == '.' { c } else { '-' }).collect();
    Path::new("state").join(format!("postgres-{plain}.db"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_is_told_from_a_file_and_never_keeps_its_password() {
        for file in ["state/nightreel.db", "/postgres://x", "postgres", "Postgres:/x"] {
            assert!(!is_shared(Path::new(file)), "{file}");
            assert_eq!(without_password(file), (file.to_owned(), None));
        }
        let cases = [
            ("postgres://db/nightreel", "postgres://db/nightreel", None),
            ("postgres://night@db:5433/n?sslmode=require", "postgres://night@db:5433/n?sslmode=require", None),
            ("postgresql://night:hush@db/n", "postgresql://night@db/n", Some("hush")),
            ("postgres://night:a%40b%3A@db", "postgres://night@db", Some("a@b:")),
            ("postgres://night:p@ss@db/n", "postgres://night@db/n", Some("p@ss")),
            ("postgres://db/n?password=hush&host=/run", "postgres://db/n?host=/run", Some("hush")),
            ("postgres://db/n?p%61ssword=hush", "postgres://db/n", Some("hush")),
            ("postgres://night:@db/n", "postgres://night@db/n", Some("")),
        ];
        for (text, kept, password) in cases {
            assert_eq!(without_password(text), (kept.to_owned(), password.map(str::to_owned)), "{text}");
        }
    }

    #[test]
    fn what_lies_beside_a_ledger_has_a_place_on_this_machine() {
        assert_eq!(beside(Path::new("a/b.db")), Path::new("a/b.db"));
        let shared = beside(Path::new("postgres://night@db:5433/nightreel?sslmode=require"));
        assert_eq!(shared, Path::new("state/postgres-db-5433-nightreel.db"));
    }
}
