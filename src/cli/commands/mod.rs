//! The verbs, one file each.

mod admit;
pub(super) mod check;
pub(super) mod collect;
pub(super) mod doctor;
pub(super) mod explain;
mod outlook;
pub(super) mod receipt;
pub(super) mod rescue;
pub(super) mod resolve;
pub(super) mod retry;
pub(super) mod run;
pub(super) mod scenes;
pub(super) mod serve;
mod session;
pub(super) mod simulate;
pub(super) mod status;
pub(super) mod verify;
