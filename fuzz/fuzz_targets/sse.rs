//! See `properties/sse.rs`.

#![no_main]

#[path = "../properties/script.rs"]
mod script;
#[path = "../properties/sse.rs"]
mod sse;

libfuzzer_sys::fuzz_target!(|data: &[u8]| sse::check(data));
