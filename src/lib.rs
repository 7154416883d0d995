//! nightreel: a manifest goes in, paid-once videos come out.

pub mod cli;
pub mod config;
pub mod domain;
pub mod gateway;
pub mod image;
pub mod ledger;
pub mod manifest;
pub mod pace;
pub mod pipeline;
pub mod plan;
pub mod report;
pub mod simulator;
pub mod sink;
pub mod store;
