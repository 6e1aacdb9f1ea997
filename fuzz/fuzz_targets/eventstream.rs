//! See `properties/eventstream.rs`.

#![no_main]

#[path = "../properties/eventstream.rs"]
mod eventstream;
#[path = "../properties/script.rs"]
mod script;

libfuzzer_sys::fuzz_target!(|data: &[u8]| eventstream::check(data));
