//! See `properties/answer.rs`.

#![no_main]

#[path = "../properties/answer.rs"]
mod answer;
#[path = "../properties/script.rs"]
mod script;
#[path = "../properties/wording.rs"]
mod wording;

libfuzzer_sys::fuzz_target!(|data: &[u8]| answer::check(data));
