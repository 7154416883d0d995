//! nightreel: a manifest goes in, paid-once videos come out.

pub mod domain;
pub mod gateway;
pub mod ledger;
pub mod pace;
pub mod store;
