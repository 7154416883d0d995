//! Facts to documents: the closing summary and `results.csv`. Reads the ledger, never changes it.

mod results;
mod summary;

pub use results::{RESULTS, ReportError, write as write_results};
pub use summary::{Failures, Show, Summary, Trouble};
