//! Event streams: each event is an answer of its own with a piece of the content, and most of them report usage.

mod decoder;
mod encoder;
mod meter;
mod partial;

pub(super) use decoder::GeminiDecoder;
pub(super) use encoder::GeminiEncoder;
pub(super) use meter::GeminiMeter;

#[cfg(test)]
mod tests;
