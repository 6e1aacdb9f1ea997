//! OpenAI's realtime conversations, as far as the gateway reads them: where they are held, and what they cost.

use std::borrow::Cow;

use bytes::Bytes;
use lockgate_core::{Payload, Speech, Usage};

use super::{CHAT, beside, usage};

/// Its name in records.
pub const NAME: &str = "openai.realtime";
/// The end of an answer, which holds what it consumed.
const DONE: &str = "response.done";

/// The path behind a provider's base address; `None` where it is not known to have such conversations.
pub fn path(speech: &Speech) -> Option<Cow<'static, str>> {
    (speech.dialect == CHAT).then(|| beside(speech.paths.whole.as_deref(), "/chat/completions", "/realtime"))
}

/// What an event of the provider reports, in disjoint buckets; `None` when it reports nothing.
pub fn usage(event: &[u8]) -> Option<Usage> {
    // Sound comes in many events, and none of them reports anything.
    memchr::memmem::find(event, DONE.as_bytes())?;
    let event = Payload::parse(Bytes::copy_from_slice(event)).ok()?;
    let raw = event.text("type").filter(|kind| kind == DONE).and_then(|_| event.get("response"))?;
    usage::of(&Payload::parse(event.bytes().slice_ref(raw)).ok()?, false)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_answers_end_reports_what_it_consumed() {
        let done = br#"{"type":"response.done","event_id":"e","response":{"object":"realtime.response","status":"completed",
            "usage":{"total_tokens":253,"input_tokens":132,"output_tokens":121,
            "input_token_details":{"text_tokens":119,"audio_tokens":13,"cached_tokens":64,
            "cached_tokens_details":{"text_tokens":54,"audio_tokens":10}},
            "output_token_details":{"text_tokens":30,"audio_tokens":91}}}}"#;
        let found = usage(done).unwrap();
        assert_eq!((found.input, found.cache_read, found.audio_input), (65, 64, 3));
        assert_eq!((found.output, found.audio_output), (30, 91));
        for other in [
            &br#"{"type":"response.created","response":{"usage":null}}"#[..],
            br#"{"type":"response.text.delta","delta":"response.done"}"#,
            br#"{"type":"response.done"}"#,
            b"response.done",
        ] {
            assert_eq!(usage(other), None);
        }
    }

    #[test]
    fn it_stands_beside_chat() {
        let mut speech = Speech::plain(CHAT);
        assert_eq!(path(&speech).unwrap(), "/realtime");
        speech.paths.whole = Some("/v9/chat/completions?api-version=1".into());
        assert_eq!(path(&speech).unwrap(), "/v9/realtime?api-version=1");
        assert_eq!(path(&Speech::plain("anthropic.messages")), None);
    }
}
