//! What is asked of a model and is no chat turn: a request that is taken goes out as JSON or a form, with the target's
//! model; any answer is read or refused; a token count has its form.
//!
//! The line of choices: the operation, the form that the target speaks, and the length of the request; the answer
//! follows it.

use bytes::Bytes;
use http::HeaderMap;
use lockgate_core::{Fault, Origin, Speech};
use lockgate_dialect::Losses;
use lockgate_dialect::operation::Operation;
use lockgate_dialect::operation::count::{self, Spoken};

use crate::crossing::{self, choice};
use crate::script;

const FORMS: [&str; 12] = [
    "openai.embeddings",
    "voyage.embeddings",
    "cohere.embed",
    "bedrock.converse",
    "openai.chat",
    "gemini.generateContent",
    "cohere.chat",
    "cohere.rerank",
    "jina.rerank",
    "voyage.rerank",
    "anthropic.messages",
    "openai.moderations",
];
const MODELS: [&str; 4] = ["m", "amazon.titan-embed-text-v2:0", "cohere.embed-v4:0", "gemini-embedding-001"];

pub(crate) fn check(data: &[u8]) {
    let (choices, rest) = script::split(data);
    let operation = Operation::ALL[usize::from(choice(choices, 0)) % Operation::ALL.len()];
    let speech = Speech::plain(FORMS[usize::from(choice(choices, 1)) % FORMS.len()]);
    let model = MODELS[usize::from(choice(choices, 2)) % MODELS.len()];
    let length = usize::from(choice(choices, 3)) * 8;
    let (body, answer) = rest.split_at(if length == 0 { rest.len() } else { length.min(rest.len()) });
    let is_form = matches!(
        operation,
        Operation::ImageEdits
            | Operation::ImageVariations
            | Operation::Transcriptions
            | Operation::Translations
    );
    let content_type = if is_form { "multipart/form-data; boundary=b" } else { "application/json" };
    let asked = match operation.peek(Bytes::copy_from_slice(body), content_type, Some("m")) {
        Ok(asked) => asked,
        Err(error) => {
            assert_eq!(error.fault(), Fault::Caller, "{error:?}");
            return crossing::error(&error, operation.words());
        }
    };
    let _ = Spoken::read(&asked);
    if operation.counts_tokens() {
        crossing::json(&count::answer(operation, 7));
    }
    let mut losses = Losses::default();
    let outward = match asked.outward(&speech, model, &mut losses) {
        Ok(outward) => outward,
        Err(error) => {
            assert_eq!(error.fault(), Fault::Caller, "{error:?}");
            return crossing::error(&error, operation.words());
        }
    };
    crossing::losses(&losses);
    let is_json = !is_form && crossing::is_json(asked.payload().map_or(b"", |payload| payload.bytes()));
    let calls = outward.bodies.len();
    assert!(calls > 0);
    for body in outward.bodies {
        // What stands deeper than the top-level members passes unread, whatever it is.
        if is_json && outward.content_type.is_none() {
            crossing::json(&body.join());
        }
    }
    let parts = vec![(HeaderMap::new(), Bytes::copy_from_slice(answer)); calls.min(4)];
    let _ = outward.form.spent(&parts);
    match outward.form.read(&asked, model, &parts) {
        Ok(answered) if outward.form.is_foreign() => crossing::json(&answered.body),
        Ok(_) => {}
        Err(error) => assert_eq!(error.origin(), Origin::Upstream, "{error:?}"),
    }
}
