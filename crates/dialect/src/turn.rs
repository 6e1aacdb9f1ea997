//! A request as far as it was read.

use std::sync::Arc;

use lockgate_core::Payload;

/// What a dialect reads of a request before anything is decided.
#[derive(Clone, Debug)]
pub struct Turn {
    /// The client's bytes and where their members are.
    pub payload: Payload,
    /// The model as the client named it.
    pub model: Arc<str>,
    /// Whether an event stream is asked for.
    pub stream: bool,
    /// Whether the client asked for usage in the stream.
    pub usage_asked: bool,
    /// The length of what is said to the model, in bytes: what an estimate rests on where no usage is reported.
    pub prompt_bytes: u64,
}

/// What the path of a request says of it.
#[derive(Clone, Copy, Debug)]
pub struct Named<'a> {
    /// The model.
    pub model: &'a str,
    /// Whether an event stream is asked for.
    pub stream: bool,
}
