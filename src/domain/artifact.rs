//! A finished video as it lies in the output tree.

use serde::{Deserialize, Serialize};

use super::{Digest, OutputKey};

/// A stored video.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Artifact {
    /// Where it is within the output tree. Differs from the job's own output name only where a foreign file stood there.
    pub key: OutputKey,
    /// Size in bytes.
    pub bytes: u64,
    /// SHA-256 of the bytes.
    pub sha256: Digest,
}
