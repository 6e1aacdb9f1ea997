//! Errors in the dialect's words: valid, and read as errors by whoever reads the dialect.

use bytes::Bytes;
use lockgate_core::{Error, Kind, RequestId};
use lockgate_dialect::openai_chat::OpenAiChat;
use lockgate_dialect::sse::Splitter;
use lockgate_dialect::{Dialect, Note};
use serde_json::Value;

pub(crate) fn check(error: &Error) {
    assert!(!error.public().is_empty());
    let id = RequestId::from_u128(7);
    let (content_type, body) = OpenAiChat.write_error(error, id);
    assert_eq!(content_type, "application/json");
    let read: Value = serde_json::from_slice(&body).unwrap_or_else(|e| panic!("{e}: {body:?}"));
    let code =
        if error.kind() == Kind::ContextWindow { "context_length_exceeded" } else { error.kind().code() };
    assert_eq!(read["error"]["code"], code);
    assert_eq!(read["error"]["message"], error.public());

    let mut stream = OpenAiChat.error_event(error, id, 0);
    let mut splitter = Splitter::default();
    let Ok(Some(event)) = splitter.next(&mut stream) else { panic!("no event: {stream:?}") };
    assert!(stream.is_empty() && !splitter.begun());
    let data = event.data().unwrap_or_default();
    assert_eq!(*data, *body);
    let request = Bytes::from_static(br#"{"model":"m","messages":[],"stream":true}"#);
    let turn = OpenAiChat.peek(request, None).unwrap_or_else(|e| panic!("{e:?}"));
    assert!(matches!(OpenAiChat.meter(&turn).note(&data), Note::Failed(_)));
}
