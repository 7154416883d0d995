//! nightreel.
fn main() {}
