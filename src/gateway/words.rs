//! A remote's words as they may be kept and shown: one short line without control characters, and never the key, even
//! where a server echoes it.

use std::fmt;

use secrecy::{ExposeSecret, SecretString};

/// The longest words that are kept, in characters.
const LONGEST: usize = 200;

/// What stands where the key stood.
const HIDDEN: &str = "[key]";

/// Makes words fit to be kept.
#[derive(Clone)]
pub(super) struct Wording {
    key: Option<SecretString>,
}

impl Wording {
    pub(super) const fn new(key: Option<SecretString>) -> Self {
        Self { key }
    }

    /// `text` as it may be kept.
    pub(super) fn of(&self, text: &str) -> String {
        let shown = self.hide(text);
        let mut line = String::new();
        for word in shown.split(|c: char| c.is_whitespace() || c.is_control()).filter(|word| !word.is_empty()) {
            if !line.is_empty() {
                line.push(' ');
            }
            line.push_str(word);
        }
        match line.char_indices().nth(LONGEST) {
            Some((cut, _)) => format!("{}…", &line[..cut]),
            None => line,
        }
    }

    /// The key is hidden before anything is shortened, or half of it would remain.
    fn hide(&self, text: &str) -> String {
        let Some(key) = &self.key else { return text.to_owned() };
        let key = key.expose_secret();
        let plain = text.replace(key, HIDDEN);
        let escaped = key.replace('/', "\\/");
        if escaped == key { plain } else { plain.replace(&escaped, HIDDEN) }
    }
}

impl fmt::Debug for Wording {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Wording")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_are_one_short_line() {
        let wording = Wording::new(None);
        assert_eq!(wording.of(" a\r\n\tb \u{1b}[31mc\u{0} "), "a b [31mc");
        assert_eq!(wording.of(&"é".repeat(300)).chars().count(), LONGEST + 1);
    }

    #[test]
    fn a_key_is_hidden_even_where_the_words_are_cut() {
        let key = "sk-taint/0123456789";
        let wording = Wording::new(Some(SecretString::from(key)));
        let words = wording.of(&format!("{} {key} then {}", "x".repeat(LONGEST - 6), key.replace('/', "\\/")));
        assert!(!words.contains("sk-t"), "{words}");
    }
}
