//! The corpus of the fuzz targets, replayed: what fuzzing found once stays found.

#[path = "../../../fuzz/properties/answer.rs"]
mod answer;
mod contract;
#[path = "../../../fuzz/properties/crossing.rs"]
mod crossing;
#[path = "../../../fuzz/properties/eventstream.rs"]
mod eventstream;
#[path = "../../../fuzz/properties/multipart.rs"]
mod multipart;
#[path = "../../../fuzz/properties/operation.rs"]
mod operation;
#[path = "../../../fuzz/properties/replay.rs"]
mod replay;
#[path = "../../../fuzz/properties/request.rs"]
mod request;
#[path = "../../../fuzz/properties/script.rs"]
mod script;
#[path = "../../../fuzz/properties/sse.rs"]
mod sse;
#[path = "../../../fuzz/properties/translate_answer.rs"]
mod translate_answer;
#[path = "../../../fuzz/properties/translate_request.rs"]
mod translate_request;
#[path = "../../../fuzz/properties/translate_stream.rs"]
mod translate_stream;
#[path = "../../../fuzz/properties/wording.rs"]
mod wording;

#[test]
fn answer_corpus() {
    replay::replay("answer", answer::check);
}

#[test]
fn eventstream_corpus() {
    replay::replay("eventstream", eventstream::check);
}

#[test]
fn multipart_corpus() {
    replay::replay("multipart", multipart::check);
}

#[test]
fn operation_corpus() {
    replay::replay("operation", operation::check);
}

#[test]
fn request_corpus() {
    replay::replay("request", request::check);
}

#[test]
fn sse_corpus() {
    replay::replay("sse", sse::check);
}

#[test]
fn translate_answer_corpus() {
    replay::replay("translate_answer", translate_answer::check);
}

#[test]
fn translate_request_corpus() {
    replay::replay("translate_request", translate_request::check);
}

#[test]
fn translate_stream_corpus() {
    replay::replay("translate_stream", translate_stream::check);
}
