//! Surveys of whole manifests.
