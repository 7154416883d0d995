//! A remote's words as they may be kept and shown: one short line without characters that do something, and never a secret,
//! even where a server echoes it.

use std::borrow::Cow;
use std::collections::VecDeque;
use std::fmt;
use std::sync::{Arc, Mutex, PoisonError};

use secrecy::{ExposeSecret, SecretString};

/// The longest words that are kept, in characters.
const LONGEST: usize = 200;

/// The longest text that is looked at, in bytes: what is far beyond what is kept need not be copied.
const LOOKED_AT: usize = 32 * 1024;

/// What stands where a secret stood.
const HIDDEN: &str = "[key]";

/// What stands where a link's signature stood, and what such a signature shows itself by. A remote may name the link by which a
/// picture was lent to it, whole or in part, long after it was sent; whoever reads that could fetch the picture.
const SIGNED: &str = "[signed]";
const SIGNATURES: [&str; 4] = ["x-amz-", "x-goog-", "signature=", "sig="];

/// How many of the secrets that change are remembered: an answer may still speak of the one before.
const CHANGING: usize = 3;

/// Makes words fit to be kept. Clones share what is hidden.
#[derive(Clone, Default)]
pub(super) struct Wording {
    /// The longest first: one may begin like another.
    secrets: Vec<SecretString>,
    changing: Arc<Mutex<VecDeque<SecretString>>>,
}

impl Wording {
    /// Hides `key`, where there is one.
    pub(super) fn new(key: Option<SecretString>) -> Self {
        key.into_iter().fold(Self::default(), Self::hiding)
    }

    /// Hides `secret`, too.
    pub(super) fn hiding(mut self, secret: SecretString) -> Self {
        if !secret.expose_secret().is_empty() {
            self.secrets.push(secret);
            self.secrets.sort_by_key(|secret| std::cmp::Reverse(secret.expose_secret().len()));
        }
        self
    }

    /// Hides `secret` from now on, too, until [`CHANGING`] others came after it: a token that is made anew every now and
    /// then.
    pub(super) fn also(&self, secret: SecretString) {
        if secret.expose_secret().is_empty() {
            return;
        }
        let mut changing = self.changing.lock().unwrap_or_else(PoisonError::into_inner);
        changing.push_front(secret);
        changing.truncate(CHANGING);
    }

    /// `text` as it may be kept.
    pub(super) fn of(&self, text: &str) -> String {
        let shown = self.shown(text);
        let mut line = String::new();
        for word in
            shown.split(|c: char| c.is_whitespace() || c.is_control() || turns(c)).filter(|word| !word.is_empty())
        {
            if !line.is_empty() {
                line.push(' ');
            }
            line.push_str(&without_signature(word));
        }
        match line.char_indices().nth(LONGEST) {
            Some((cut, _)) => format!("{}…", &line[..cut]),
            None => line,
        }
    }

    /// The start of a long text with its secrets hidden. Half of one may stand where it was cut, and is left out with all that
    /// could be one.
    fn shown(&self, text: &str) -> String {
        let start = text.floor_char_boundary(LOOKED_AT);
        let mut shown = self.hide(&text[..start]);
        if start < text.len() {
            let changing = self.changing.lock().unwrap_or_else(PoisonError::into_inner);
            let secrets = changing.iter().chain(self.secrets.iter());
            // A slash may be told as two characters.
            let longest = secrets.map(|secret| secret.expose_secret().len() * 2).max().unwrap_or(0);
            shown.truncate(shown.floor_char_boundary(shown.len().saturating_sub(longest)));
        }
        shown
    }

    /// Secrets are hidden before anything is shortened, or half of one would remain.
    fn hide(&self, text: &str) -> String {
        let changing = self.changing.lock().unwrap_or_else(PoisonError::into_inner);
        changing.iter().chain(self.secrets.iter()).fold(text.to_owned(), |text, secret| {
            let secret = secret.expose_secret();
            let plain = text.replace(secret, HIDDEN);
            let escaped = secret.replace('/', "\\/");
            if escaped == secret { plain } else { plain.replace(&escaped, HIDDEN) }
        })
    }
}

/// A word without what makes a link in it a key: all that follows its `?`, up to what ends a link.
fn without_signature(word: &str) -> Cow<'_, str> {
    // The same length as the word: only ASCII changes.
    let lower = word.to_ascii_lowercase();
    if !SIGNATURES.iter().any(|mark| lower.contains(mark)) {
        return Cow::Borrowed(word);
    }
    let ends_link = |c: char| "\"'<>`()[]{}".contains(c);
    let mut kept = String::new();
    let mut begin = 0;
    for (end, _) in lower.match_indices(ends_link).chain([(lower.len(), "")]) {
        let part = &lower[begin..end];
        match SIGNATURES.iter().filter_map(|mark| part.find(mark)).min() {
            Some(mark) => {
                let cut = ["?", "%3f"].iter().filter_map(|mark| part.find(mark)).chain([mark]).min().unwrap_or(mark);
                kept.push_str(&word[begin..begin + cut]);
                kept.push_str(SIGNED);
            }
            None => kept.push_str(&word[begin..end]),
        }
        begin = end;
    }
    Cow::Owned(kept)
}

/// Whether a character changes the direction in which others are written: words could be made to read as what they are not.
const fn turns(c: char) -> bool {
    matches!(c, '\u{61c}' | '\u{200e}' | '\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
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
        assert_eq!(wording.of("paid \u{202e}ecivt\u{2066} no\u{9b}2Jw"), "paid ecivt no 2Jw");
        assert_eq!(wording.of(&"é".repeat(300)).chars().count(), LONGEST + 1);
    }

    #[test]
    fn a_key_is_hidden_even_where_the_words_are_cut() {
        let key = "sk-taint/0123456789";
        let wording = Wording::new(Some(SecretString::from(key)));
        let words = wording.of(&format!("{} {key} then {}", "x".repeat(LONGEST - 6), key.replace('/', "\\/")));
        assert!(!words.contains("sk-t"), "{words}");
    }

    #[test]
    fn of_a_long_text_the_start_is_kept_and_no_half_of_a_key() {
        let key = "sk-taint/0123456789";
        let wording = Wording::new(Some(SecretString::from(key)));
        for before in LOOKED_AT - 3 * key.len()..LOOKED_AT {
            // So little else that the end of what is looked at is kept, too.
            let words = wording.of(&format!("{}{key}{}", " ".repeat(before), " ".repeat(LOOKED_AT)));
            assert!("[key]".starts_with(&words), "{before}: {words}");
        }
        assert_eq!(wording.of(&"é".repeat(LOOKED_AT)).chars().count(), LONGEST + 1);
    }

    #[test]
    fn a_link_that_is_signed_is_told_without_its_signature() {
        let wording = Wording::new(None);
        for (told, kept) in [
            ("see https://h/a.jpg?X-Amz-Credential=A&X-Amz-Sig: why", "see https://h/a.jpg[signed] why"),
            (
                "{\"url\":\"https://h/a.jpg?x-goog-signature=1\",\"n\":2}",
                "{\"url\":\"https://h/a.jpg[signed]\",\"n\":2}",
            ),
            ("(https://h/a?sv=1&sp=r&sig=AB%2F) and b?c", "(https://h/a[signed]) and b?c"),
            ("u=https%3A%2F%2Fh%2Fa%3FX-Amz-Date%3D1", "u=https%3A%2F%2Fh%2Fa[signed]"),
            ("X-Amz-Signature=1", "[signed]"),
            ("design=1 config=2 é?a=b", "design=1 config=2 é?a=b"),
        ] {
            assert_eq!(wording.of(told), kept);
        }
    }

    #[test]
    fn several_secrets_and_those_that_change_are_hidden() {
        let wording = ["ab", "", "abcd"].map(SecretString::from).into_iter().fold(Wording::new(None), Wording::hiding);
        let clone = wording.clone();
        for number in 1..=CHANGING {
            clone.also(SecretString::from(format!("token-{number}.")));
        }
        clone.also(SecretString::from(""));
        assert_eq!(wording.of("ab abcd token-1. token-3."), "[key] [key] [key] [key]");
        clone.also(SecretString::from("token-4."));
        assert_eq!(wording.of("token-4. token-2."), "[key] [key]");
    }
}
