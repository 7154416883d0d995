//! Feeds anything as a template of names.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| nightreel::fuzzing::name(data));
