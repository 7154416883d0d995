//! What a column of a ledger holds, whatever engine keeps it: part of the ledger's format.

use jiff::Timestamp;

use crate::domain::{Digest, OutputKey};

use super::StoreError;

/// Milliseconds since 1970, as the ledger stores instants.
pub(super) fn millis(at: Timestamp) -> i64 {
    at.as_millisecond()
}

/// The first eight bytes of a digest, as the ledger's look-up columns hold them.
pub(super) fn look_up(digest: &Digest) -> i64 {
    let mut first = [0; 8];
    first.copy_from_slice(&digest.as_bytes()[..8]);
    i64::from_le_bytes(first)
}

/// The look-up value of an output name, the same for names that differ only in case.
pub(super) fn output_hash(output: &OutputKey) -> i64 {
    look_up(&Digest::of(output.folded().as_bytes()))
}

/// JSON as the ledger stores it.
pub(super) fn json(value: &impl serde::Serialize) -> Result<String, StoreError> {
    serde_json::to_string(value).map_err(|source| StoreError::Engine(Box::new(source)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_that_differ_only_in_case_are_looked_up_together_and_others_apart() {
        let hash = |name: &str| output_hash(&OutputKey::new(name).unwrap());
        assert_eq!(hash("Squish/Anna.mp4"), hash("squish/anna.mp4"));
        assert_ne!(hash("squish/anna.mp4"), hash("squish/berta.mp4"));
        // It is part of the ledger's format.
        let folded = Digest::of(b"squish/anna.mp4");
        assert_eq!(hash("squish/anna.mp4").to_le_bytes(), folded.as_bytes()[..8]);
    }
}
