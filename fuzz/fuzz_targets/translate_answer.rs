//! See `properties/translate_answer.rs`.

#![no_main]

#[path = "../properties/crossing.rs"]
mod crossing;
#[path = "../properties/script.rs"]
mod script;
#[path = "../properties/translate_answer.rs"]
mod translate_answer;

libfuzzer_sys::fuzz_target!(|data: &[u8]| translate_answer::check(data));
