//! The corpus of the fuzz targets, replayed: what fuzzing found once stays found.

#[path = "../../../fuzz/properties/config.rs"]
mod config;
#[path = "../../../fuzz/properties/replay.rs"]
mod replay;

#[test]
fn config_corpus() {
    replay::replay("config", config::check);
}
