//! The verbs, one file each.

mod admit;
pub(super) mod check;
pub(super) mod collect;
pub(super) mod completions;
pub(super) mod doctor;
pub(super) mod explain;
pub(super) mod export;
pub(super) mod import;
pub(super) mod init;
pub(super) mod logs;
mod outlook;
pub(super) mod prune;
pub(super) mod receipt;
pub(super) mod report;
pub(super) mod rescue;
pub(super) mod resolve;
pub(super) mod retry;
pub(super) mod run;
pub(super) mod scan;
pub(super) mod scenes;
pub(super) mod schedule;
pub(super) mod serve;
mod session;
pub(super) mod simulate;
pub(super) mod status;
pub(super) mod verify;
pub(super) mod worker;
