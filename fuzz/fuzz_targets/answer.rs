//! Feeds anything as an answer of a remote.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| nightreel::fuzzing::answer(data));
