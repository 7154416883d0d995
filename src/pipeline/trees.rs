//! The batches of a ledger and their output trees, looked up once and remembered for the run.

use std::collections::HashMap;
use std::fmt;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};

use crate::domain::{BatchId, BatchName};
use crate::sink::Sink;
use crate::store::{Store, StoreError};

/// Makes the sink of an output tree.
type MakeSink = Box<dyn Fn(PathBuf) -> Arc<dyn Sink> + Send + Sync>;

/// A batch as a run uses it.
#[derive(Debug, Clone)]
pub struct Tree {
    /// The batch's name.
    pub name: BatchName,
    /// Where its videos go.
    pub sink: Arc<dyn Sink>,
}

/// The output trees of a ledger's batches.
pub struct Trees {
    store: Arc<dyn Store>,
    make: MakeSink,
    known: Mutex<HashMap<BatchId, Tree>>,
}

impl Trees {
    /// The trees of the batches in `store`; `make` makes the sink of one.
    #[must_use]
    pub fn new(store: Arc<dyn Store>, make: impl Fn(PathBuf) -> Arc<dyn Sink> + Send + Sync + 'static) -> Self {
        Self { store, make: Box::new(make), known: Mutex::new(HashMap::new()) }
    }

    /// A batch and its tree.
    pub async fn batch(&self, batch: BatchId) -> Result<Tree, StoreError> {
        if let Some(tree) = self.known.lock().unwrap_or_else(PoisonError::into_inner).get(&batch) {
            return Ok(tree.clone());
        }
        let batches = self.store.batches().await?;
        let found = batches.into_iter().find(|known| known.id == batch);
        let found = found.ok_or_else(|| StoreError::Damaged(format!("batch {} is missing", batch.0)))?;
        let tree = Tree { name: found.name, sink: (self.make)(found.out) };
        self.known.lock().unwrap_or_else(PoisonError::into_inner).insert(batch, tree.clone());
        Ok(tree)
    }

    /// Forgets where the trees are: a batch was told to use another.
    pub fn forget(&self) {
        self.known.lock().unwrap_or_else(PoisonError::into_inner).clear();
    }
}

impl fmt::Debug for Trees {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Trees").field("known", &self.known).finish_non_exhaustive()
    }
}
