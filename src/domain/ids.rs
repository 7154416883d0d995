//! Names and identities, each validated where it is made.

use std::fmt;

use serde::{Deserialize, Serialize};

use super::Digest;

/// A text that does not fit the identity it was meant for.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{what} {found:?} is not valid: {expected}")]
pub struct Invalid {
    /// Which identity it was meant for.
    pub what: &'static str,
    /// What was found.
    pub found: String,
    /// What would be accepted.
    pub expected: &'static str,
}

macro_rules! text_id {
    ($(#[$doc:meta])* $name:ident, $what:literal, $expected:literal, $valid:expr) => {
        $(#[$doc])*
        #[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
        #[serde(try_from = "String", into = "String")]
        pub struct $name(String);

        impl $name {
            /// Takes `text` when it is valid.
            pub fn new(text: impl Into<String>) -> Result<Self, Invalid> {
                let text = text.into();
                let valid: fn(&str) -> bool = $valid;
                if valid(&text) { Ok(Self(text)) } else {
                    Err(Invalid { what: $what, found: text, expected: $expected })
                }
            }

            /// The text.
            #[must_use]
            pub fn as_str(&self) -> &str {
                &self.0
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(&self.0)
            }
        }

        impl TryFrom<String> for $name {
            type Error = Invalid;

            fn try_from(text: String) -> Result<Self, Invalid> {
                Self::new(text)
            }
        }

        impl From<$name> for String {
            fn from(id: $name) -> Self {
                id.0
            }
        }
    };
}

pub(super) use text_id;

text_id!(
    /// The name of a batch: one manifest under one name.
    BatchName, "batch name", "1 to 100 characters, none of them a control character or a slash",
    |text| !text.trim().is_empty() && text.chars().count() <= 100 && !text.chars().any(|c| c.is_control() || c == '/' || c == '\\')
);

text_id!(
    /// A gateway with a key and its limits, by a name. A task is always watched by the account that made it.
    AccountName, "account name", "1 to 200 printable characters",
    |text| !text.trim().is_empty() && text.chars().count() <= 200 && !text.chars().any(char::is_control)
);

text_id!(
    /// What the remote calls a task. Opaque: larger than 2^53, or no number at all.
    TaskId, "task id", "1 to 256 characters, none of them a control character",
    |text| !text.is_empty() && text.len() <= 256 && !text.chars().any(char::is_control)
);

text_id!(
    /// Where a task is to be asked for, as a remote's answer said: an adapter's own text, opaque to everything else.
    Handle, "handle", "1 to 4096 characters, none of them a control character",
    |text| !text.is_empty() && text.len() <= 4096 && !text.chars().any(char::is_control)
);

text_id!(
    /// Our own name for an attempt, sent to the remote as `external_task_id`: safe in a path, never purely numeric.
    ClientRef, "external task id", "1 to 64 of a-z, 0-9 and '-', not only digits",
    |text| !text.is_empty()
        && text.len() <= 64
        && text.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-')
        && !text.bytes().all(|b| b.is_ascii_digit())
);

impl ClientRef {
    /// The reference of one attempt. The same batch, row, content and attempt give the same reference on every machine
    /// and after a lost ledger, so that a remote that keeps them unique refuses to be paid twice.
    #[must_use]
    pub fn of_attempt(batch: &BatchName, key: &RowKey, content: &Digest, attempt: u32) -> Self {
        let digest = Digest::of_parts([batch.as_str().as_bytes(), key.as_bytes(), content.as_bytes()]);
        Self(format!("nr-{}-a{attempt}", digest.short(24)))
    }
}

/// A job's number in its ledger.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
pub struct JobId(pub i64);

impl fmt::Display for JobId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// A batch's number in its ledger.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
pub struct BatchId(pub i64);

/// What a row is known by within its batch: its `id` column where it has one, else its content.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct RowKey([u8; 16]);

impl RowKey {
    /// The key of a row with an `id`.
    #[must_use]
    pub fn of_id(id: &str) -> Self {
        Self::cut(&Digest::of_parts([&b"id"[..], id.as_bytes()]))
    }

    /// The key of a row without an `id`.
    #[must_use]
    pub fn of_content(content: &Digest) -> Self {
        Self::cut(&Digest::of_parts([&b"content"[..], content.as_bytes()]))
    }

    /// A key from its 16 bytes.
    #[must_use]
    pub const fn from_bytes(bytes: [u8; 16]) -> Self {
        Self(bytes)
    }

    /// The 16 bytes.
    #[must_use]
    pub const fn as_bytes(&self) -> &[u8; 16] {
        &self.0
    }

    fn cut(digest: &Digest) -> Self {
        let mut bytes = [0; 16];
        bytes.copy_from_slice(&digest.as_bytes()[..16]);
        Self(bytes)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_reference_names_batch_row_content_and_attempt() {
        let batch = BatchName::new("wedding").unwrap();
        let key = RowKey::of_id("anna");
        let first = ClientRef::of_attempt(&batch, &key, &Digest::of(b"x"), 1);
        assert_eq!(first, ClientRef::of_attempt(&batch, &key, &Digest::of(b"x"), 1));
        assert_ne!(first, ClientRef::of_attempt(&batch, &key, &Digest::of(b"x"), 2));
        assert_ne!(first, ClientRef::of_attempt(&batch, &key, &Digest::of(b"y"), 1));
        assert!(ClientRef::new(first.as_str()).is_ok());
    }

    #[test]
    fn a_reference_is_never_a_number_or_a_path() {
        for bad in ["", "123", "a/b", "..", "A", "a b"] {
            assert!(ClientRef::new(bad).is_err(), "{bad:?}");
        }
    }
}
