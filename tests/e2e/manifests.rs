//! Manifests and what is said of them.
