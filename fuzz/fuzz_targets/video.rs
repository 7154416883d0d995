//! Feeds anything as a file that may be a video.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| nightreel::fuzzing::video(data));
