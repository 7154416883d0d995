//! Templates for the names of videos: `{scene}/{id}.mp4`. What stands in the template may make folders; what a row puts
//! into it never does. Whether two rows get the same name is for the plan to see.

use crate::domain::{OutputKey, UnsafeOutput};

/// What a template may name beside the manifest's own columns.
const PLACEHOLDERS: [&str; 6] = ["scene", "id", "batch", "duration", "model", "mode"];

/// How many bytes a value may have in a name.
const LONGEST_VALUE: usize = 100;

/// A template that cannot be used.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum BadTemplate {
    /// A placeholder that is neither nightreel's nor a column.
    #[error("the placeholder {{{found}}} is not known; there are {allowed}")]
    Unknown {
        /// What stands between the braces.
        found: String,
        /// What could stand there, for people.
        allowed: String,
    },
    /// A brace without its partner.
    #[error("a `{0}` stands alone (write it twice where it is part of the name)")]
    Brace(char),
    /// Rows could not be told apart.
    #[error("{{id}} is missing: two videos could get the same name")]
    NoId,
    /// Its own text makes a path that leads out of the tree, or no path at all.
    #[error("its names cannot be used")]
    Unsafe(#[source] UnsafeOutput),
}

/// How the names of a batch's videos are made.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NameTemplate {
    pieces: Vec<Piece>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum Piece {
    Text(String),
    Value(String),
}

impl NameTemplate {
    /// Reads a template. Placeholders are `{scene}`, `{id}`, `{batch}`, `{duration}`, `{model}`, `{mode}` and `{name}` for
    /// each of the manifest's own `columns`; `{{` and `}}` stand for braces; `/` separates folders. `{id}` is required.
    pub fn parse(template: &str, columns: &[String]) -> Result<Self, BadTemplate> {
        let mut pieces = Vec::new();
        let mut text = String::new();
        let mut rest = template;
        while let Some(at) = rest.find(['{', '}']) {
            text.push_str(&rest[..at]);
            let brace = if rest[at..].starts_with('{') { '{' } else { '}' };
            rest = &rest[at + 1..];
            if let Some(after) = rest.strip_prefix(brace) {
                text.push(brace);
                rest = after;
                continue;
            }
            let Some((name, after)) = rest.split_once('}').filter(|(name, _)| brace == '{' && !name.contains('{'))
            else {
                return Err(BadTemplate::Brace(brace));
            };
            if !PLACEHOLDERS.contains(&name) && !columns.iter().any(|column| column == name) {
                return Err(unknown(name, columns));
            }
            pieces.push(Piece::Text(std::mem::take(&mut text)));
            pieces.push(Piece::Value(name.to_owned()));
            rest = after;
        }
        text.push_str(rest);
        pieces.push(Piece::Text(text));
        let template = Self { pieces };
        if !template.pieces.contains(&Piece::Value("id".to_owned())) {
            return Err(BadTemplate::NoId);
        }
        template.render(&|_| Some("x")).map_err(BadTemplate::Unsafe)?;
        Ok(template)
    }

    /// The name that these values give. Each value becomes one plain part of a path, at most 100 bytes long; one that is
    /// missing or has nothing usable becomes `none`. Fails where a part, or the whole, gets too long.
    pub fn render<'v>(&self, values: &dyn Fn(&str) -> Option<&'v str>) -> Result<OutputKey, UnsafeOutput> {
        let mut path = String::new();
        for piece in &self.pieces {
            match piece {
                Piece::Text(text) => path.push_str(text),
                Piece::Value(name) => path.push_str(&plain(values(name).unwrap_or_default())),
            }
        }
        OutputKey::new(path)
    }
}

fn unknown(found: &str, columns: &[String]) -> BadTemplate {
    let names = PLACEHOLDERS.into_iter().chain(columns.iter().map(String::as_str));
    let allowed = names.map(|name| format!("{{{name}}}")).collect::<Vec<_>>().join(", ");
    BadTemplate::Unknown { found: found.to_owned(), allowed }
}

/// Makes one plain part of a path of any text.
fn plain(value: &str) -> String {
    let at_ends = |c: char| c == '.' || c.is_whitespace();
    let kept = value.trim_matches(at_ends).chars();
    let mut part: String = kept
        .map(|c| match c {
            '/' | '\\' | ':' | '*' | '?' | '"' | '<' | '>' | '|' => '-',
            c if c.is_control() => '-',
            c => c,
        })
        .collect();
    part.truncate(part.floor_char_boundary(LONGEST_VALUE));
    part.truncate(part.trim_end_matches(at_ends).len());
    if part.is_empty() { "none".to_owned() } else { part }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn parse(template: &str) -> Result<NameTemplate, BadTemplate> {
        NameTemplate::parse(template, &["guest".to_owned()])
    }

    #[test]
    fn a_template_puts_values_in_their_places() {
        let template = parse("{batch}/{{{scene}}}/{guest} {id}.mp4").unwrap();
        let key = template.render(&|name| match name {
            "batch" => Some("wedding"),
            "scene" => Some("hug"),
            "guest" => Some("Änne"),
            "id" => Some("007"),
            _ => None,
        });
        assert_eq!(key.unwrap().as_str(), "wedding/{hug}/Änne 007.mp4");
    }

    #[test]
    fn a_value_never_makes_a_folder_or_hides_a_file() {
        let template = parse("{id}.mp4").unwrap();
        for (value, name) in [
            ("../../etc/passwd", "-..-etc-passwd.mp4"),
            ("..", "none.mp4"),
            ("  ", "none.mp4"),
            (".hidden", "hidden.mp4"),
            ("a\\b:c\n", "a-b-c.mp4"),
        ] {
            assert_eq!(template.render(&|_| Some(value)).unwrap().as_str(), name);
        }
    }

    #[test]
    fn a_template_that_cannot_work_is_refused_with_the_reason() {
        let unknown = parse("{id}-{name}.mp4").unwrap_err().to_string();
        assert!(unknown.contains("{name}") && unknown.contains("{scene}") && unknown.contains("{guest}"), "{unknown}");
        assert_eq!(parse("{scene}.mp4"), Err(BadTemplate::NoId));
        assert_eq!(parse("{id"), Err(BadTemplate::Brace('{')));
        assert_eq!(parse("{id}}"), Err(BadTemplate::Brace('}')));
        for out in ["/{id}.mp4", "../{id}.mp4", "a//{id}", ".{id}.mp4"] {
            assert!(matches!(parse(out), Err(BadTemplate::Unsafe(_))), "{out}");
        }
    }

    proptest! {
        #[test]
        fn any_value_gives_one_plain_part(value in "\\PC*|[./\\\\: \\x00-\\x1f]{0,40}|(é|😀| ){0,120}") {
            let key = parse("{scene}/{id}.mp4").unwrap().render(&|_| Some(&value)).unwrap();
            prop_assert_eq!(key.as_str().split('/').count(), 2);
        }
    }
}
