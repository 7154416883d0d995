//! A remote's words as they may be kept and shown: one short line without control characters, and never a secret, even
//! where a server echoes it.

use std::collections::VecDeque;
use std::fmt;
use std::sync::{Arc, Mutex, PoisonError};

use secrecy::{ExposeSecret, SecretString};

/// The longest words that are kept, in characters.
const LONGEST: usize = 200;

/// What stands where a secret stood.
const HIDDEN: &str = "[key]";

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
