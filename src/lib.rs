//! nightreel: a manifest goes in, paid-once videos come out.

pub mod config;
pub mod domain;
pub mod gateway;
pub mod image;
pub mod ledger;
pub mod manifest;
pub mod pace;
pub mod pipeline;
pub mod plan;
pub mod simulator;
pub mod sink;
pub mod store;
