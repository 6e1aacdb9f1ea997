//! See `properties/translate_stream.rs`.

#![no_main]

#[path = "../../crates/dialect/tests/contract/mod.rs"]
mod contract;
#[path = "../properties/crossing.rs"]
mod crossing;
#[path = "../properties/script.rs"]
mod script;
#[path = "../properties/translate_answer.rs"]
mod translate_answer;
#[path = "../properties/translate_stream.rs"]
mod translate_stream;

libfuzzer_sys::fuzz_target!(|data: &[u8]| translate_stream::check(data));
