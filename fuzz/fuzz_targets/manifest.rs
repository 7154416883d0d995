//! Feeds anything as a manifest.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| nightreel::fuzzing::manifest(data));
