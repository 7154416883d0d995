//! The words by which remotes say that a task has not ended.

/// How remotes call tasks that have not ended (Kling and the gateways that were read), and successes whose link is not
/// there yet.
const KNOWN: [&str; 14] = [
    "submitted",
    "not_start",
    "queued",
    "pending",
    "processing",
    "in_progress",
    "created",
    "generating",
    "starting",
    "staged",
    "in_queue",
    "succeed",
    "succeeded",
    "success",
];

/// Whether the word is one of those.
pub(super) fn is_known(status: &str) -> bool {
    KNOWN.contains(&status.to_ascii_lowercase().as_str())
}
