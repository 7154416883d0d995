//! The scenes that are known, what the vendor's pages say of each, and what an effect will probably cost.
//!
//! Advice only: scenes come and go weekly, so a scene that is not here is warned of and never refused.

mod price;
mod scene;
mod warning;

pub use price::{PriceTable, Quote, Sureness, UnitsGuess, default_units};
pub use scene::{KnownUnits, Scene, Standing, all, find, like, near, search};
pub use warning::{SceneWarning, warnings};
