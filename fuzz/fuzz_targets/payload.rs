//! See `properties/payload.rs`.

#![no_main]

#[path = "../properties/payload.rs"]
mod payload;
#[path = "../properties/script.rs"]
mod script;

libfuzzer_sys::fuzz_target!(|data: &[u8]| payload::check(data));
