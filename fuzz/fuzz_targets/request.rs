//! See `properties/request.rs`.

#![no_main]

#[path = "../properties/request.rs"]
mod request;
#[path = "../properties/script.rs"]
mod script;
#[path = "../properties/wording.rs"]
mod wording;

libfuzzer_sys::fuzz_target!(|data: &[u8]| request::check(data));
