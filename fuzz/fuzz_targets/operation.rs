//! See `properties/operation.rs`.

#![no_main]

#[path = "../properties/crossing.rs"]
mod crossing;
#[path = "../properties/operation.rs"]
mod operation;
#[path = "../properties/script.rs"]
mod script;

libfuzzer_sys::fuzz_target!(|data: &[u8]| operation::check(data));
