//! The corpus of the fuzz targets, replayed: what fuzzing found once stays found.

#[path = "../../../fuzz/properties/answer.rs"]
mod answer;
#[path = "../../../fuzz/properties/replay.rs"]
mod replay;
#[path = "../../../fuzz/properties/request.rs"]
mod request;
#[path = "../../../fuzz/properties/script.rs"]
mod script;
#[path = "../../../fuzz/properties/sse.rs"]
mod sse;
#[path = "../../../fuzz/properties/wording.rs"]
mod wording;

#[test]
fn answer_corpus() {
    replay::replay("answer", answer::check);
}

#[test]
fn request_corpus() {
    replay::replay("request", request::check);
}

#[test]
fn sse_corpus() {
    replay::replay("sse", sse::check);
}
