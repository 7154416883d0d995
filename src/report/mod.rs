//! Facts to documents: the closing summary, `results.csv`, the receipt and the gallery. Reads the ledger, never changes it.

mod ends;
mod gallery;
mod receipt;
mod requests;
mod results;
pub mod story;
mod summary;

pub use ends::Ending;
pub use gallery::{Gallery, Place};
pub use receipt::{Costs, Fate, Receipt, SceneCosts, StrayCharge, Terms};
pub use requests::{Outcome, Request, requests};
pub use results::{RESULTS, ReportError, write as write_results};
pub use summary::{Elsewhere, batches, rows};
pub use summary::{Failures, Show, Summary, Trouble};
