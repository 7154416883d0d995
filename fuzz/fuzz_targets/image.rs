//! Feeds anything as a file that may be an image.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| nightreel::fuzzing::image(data));
