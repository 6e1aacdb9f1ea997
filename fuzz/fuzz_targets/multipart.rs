//! See `properties/multipart.rs`.

#![no_main]

#[path = "../properties/multipart.rs"]
mod multipart;
#[path = "../properties/script.rs"]
mod script;

libfuzzer_sys::fuzz_target!(|data: &[u8]| multipart::check(data));
