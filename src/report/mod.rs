//! Facts to documents: the closing summary, `results.csv` and the receipt. Reads the ledger, never changes it.

mod ends;
mod receipt;
mod requests;
mod results;
mod summary;

pub use ends::Ending;
pub use receipt::{Costs, Fate, Receipt, SceneCosts, StrayCharge, Terms};
pub use requests::{Outcome, Request, requests};
pub use results::{RESULTS, ReportError, write as write_results};
pub use summary::{Elsewhere, rows};
pub use summary::{Failures, Show, Summary, Trouble};
