//! Whole answers and refusals of every dialect, in the words of every other: an answer that is taken becomes one that
//! the client's own reader takes; all else is an error that is the provider's, and can be worded.
//!
//! The line of choices: the provider's dialect, the client's, and the status.

use bytes::Bytes;
use http::{HeaderMap, StatusCode};
use lockgate_core::Origin as Source;
use lockgate_dialect::seal::Origin;
use lockgate_dialect::{Dialect, Losses, Named, Turn};

use crate::crossing::{self, choice};
use crate::script;

const STATUSES: [u16; 10] = [200, 400, 401, 403, 404, 413, 429, 500, 503, 529];

pub(crate) fn check(data: &[u8]) {
    let (choices, body) = script::split(data);
    let (provider, client) = (crossing::dialect(choices, 0), crossing::dialect(choices, 1));
    let body = Bytes::copy_from_slice(body);
    let status = STATUSES[usize::from(choice(choices, 2)) % STATUSES.len()];
    let status = StatusCode::from_u16(status).unwrap_or_default();
    let refusal = provider.refusal(status, &HeaderMap::new(), &body);
    assert_eq!(refusal.origin(), Source::Upstream, "{refusal:?}");
    crossing::error(&refusal, client);

    let plain = provider.whole(&body);
    if let Err(error) = &plain {
        assert_eq!(error.origin(), Source::Upstream, "{error:?}");
        crossing::error(error, client);
    }
    let (Some(from), Some(to)) = (provider.hub(), client.hub()) else { return };
    let reply = match from.read_reply(&body, &Origin("p".into())) {
        Ok(reply) => reply,
        Err(error) => {
            assert_eq!(error.origin(), Source::Upstream, "{error:?}");
            return crossing::error(&error, client);
        }
    };
    // What is read as an answer here passes as one in its own dialect too, and costs the same.
    let plain = plain.unwrap_or_else(|error| panic!("translated, and refused where it passes: {error:?}"));
    assert_eq!(plain, reply.usage);
    let mut losses = Losses::default();
    let written = to.write_reply(&reply, &asked(client), &mut losses);
    crossing::losses(&losses);
    crossing::json(&written);
    if let Err(error) = client.whole(&written) {
        panic!("{}: {error:?}: {}", client.name(), String::from_utf8_lossy(&written));
    }
}

/// A request of a client of this dialect.
pub(crate) fn asked(client: &dyn Dialect) -> Turn {
    let body: &[u8] = match client.name() {
        "openai.responses" => br#"{"model":"m","input":"hi"}"#,
        "openai.completions" => br#"{"model":"m","prompt":"hi"}"#,
        "gemini.generateContent" => br#"{"contents":[{"role":"user","parts":[{"text":"hi"}]}]}"#,
        "bedrock.converse" => br#"{"messages":[{"role":"user","content":[{"text":"hi"}]}]}"#,
        _ => br#"{"model":"m","max_tokens":9,"messages":[{"role":"user","content":"hi"}]}"#,
    };
    client
        .peek(Bytes::from_static(body), Some(Named { model: "m", stream: true }))
        .unwrap_or_else(|error| panic!("{}: {error:?}", client.name()))
}
