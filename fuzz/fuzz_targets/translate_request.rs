//! See `properties/translate_request.rs`.

#![no_main]

#[path = "../properties/crossing.rs"]
mod crossing;
#[path = "../properties/script.rs"]
mod script;
#[path = "../properties/translate_request.rs"]
mod translate_request;

libfuzzer_sys::fuzz_target!(|data: &[u8]| translate_request::check(data));
