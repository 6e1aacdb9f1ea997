//! The corpus of the fuzz targets, replayed: what fuzzing found once stays found.

#[path = "../../../fuzz/properties/payload.rs"]
mod payload;
#[path = "../../../fuzz/properties/replay.rs"]
mod replay;
#[path = "../../../fuzz/properties/script.rs"]
mod script;

#[test]
fn payload_corpus() {
    replay::replay("payload", payload::check);
}
