//! What a survey is asked for.

use std::path::PathBuf;
use std::sync::Arc;

use crate::domain::BatchName;
use crate::store::{Batch, Store};

use super::Senders;

/// What a survey is made of.
#[derive(Debug, Clone)]
pub struct Ask {
    /// The manifest.
    pub manifest: PathBuf,
    /// The ledger, where there is one.
    pub store: Option<Arc<dyn Store>>,
    /// The batch's name.
    pub name: BatchName,
    /// The batch, where the ledger has it.
    pub batch: Option<Batch>,
    /// Absolute path of the output tree.
    pub out: PathBuf,
    /// The template of output names.
    pub template: String,
    /// Who could send the rows.
    pub senders: Senders,
    /// Whether to remember which planned rows the manifest has, to find those that it has no more.
    pub remember: Remember,
    /// Whether the rows are to be judged.
    pub judge: Judge,
}

/// Whether a survey says what is wrong with rows, what they would cost, and what there is to say of them.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Judge {
    /// It does.
    Rows,
    /// A survey of the same manifest did so already: this one is for its steps.
    Nothing,
}

/// Whether a survey remembers the keys of planned rows.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Remember {
    /// It does: 16 bytes a planned row.
    Planned,
    /// It does not.
    Nothing,
}
