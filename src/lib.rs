//! nightreel: a manifest goes in, paid-once videos come out.

pub mod pace;
