//! Requests of every dialect: peeked at and prepared in their own, read into the neutral form, and written in another.
//! What is written is JSON that the other dialect's own reader takes, with the target's model; a refusal is the
//! caller's fault and can be worded.
//!
//! The line of choices: the client's dialect, the target's, the provider's name, the model, and whether to stream.

use bytes::Bytes;
use lockgate_core::{Fault, Quirks};
use lockgate_dialect::{Dialect, Framing, Losses, Named, Target, Turn};

use crate::crossing::{self, choice};
use crate::script;

const PROVIDERS: [&str; 8] =
    ["openai", "anthropic", "google", "mistral", "deepseek", "openrouter", "bedrock", "p"];
const MODELS: [&str; 9] = [
    "m",
    "claude-sonnet-4-5",
    "claude-opus-4-7",
    "claude-3-5-haiku-latest",
    "gemini-3-pro-preview",
    "gemini-2.0-flash",
    "amazon.nova-pro-v1:0",
    "us.anthropic.claude-sonnet-4-5-20250929-v1:0",
    "command-a-03-2025",
];

pub(crate) fn check(data: &[u8]) {
    let (choices, body) = script::split(data);
    let (client, target) = (crossing::dialect(choices, 0), crossing::dialect(choices, 1));
    let provider = PROVIDERS[usize::from(choice(choices, 2)) % PROVIDERS.len()];
    let model = MODELS[usize::from(choice(choices, 3)) % MODELS.len()];
    let stream = choice(choices, 4) % 2 == 1;
    let body = Bytes::copy_from_slice(body);
    let named = Some(Named { model: "asked", stream });
    let turn = match client.peek(body.clone(), named) {
        Ok(turn) => turn,
        Err(error) => {
            assert_eq!(error.fault(), Fault::Caller);
            return crossing::error(&error, client);
        }
    };
    assert_eq!(turn.payload.bytes(), &body);
    own(client, &turn, model);
    translate(client, target, &turn, Target { provider, model, stream: turn.stream });
}

/// Towards a provider of the same dialect.
fn own(client: &dyn Dialect, turn: &Turn, model: &str) {
    let prepared = client.prepare(turn, model, &Quirks::default());
    let sent = prepared.body.join();
    // What stands deeper than the top-level members passes unread, whatever it is.
    if crossing::is_json(turn.payload.bytes()) {
        crossing::json(&sent);
    }
    let again = client.peek(sent, Some(Named { model, stream: turn.stream }));
    let again = again.unwrap_or_else(|error| panic!("what was prepared is refused: {error:?}"));
    assert_eq!((&*again.model, again.stream), (model, turn.stream));
}

fn translate(client: &dyn Dialect, target: &dyn Dialect, turn: &Turn, place: Target<'_>) {
    let (Some(from), Some(to)) = (client.hub(), target.hub()) else { return };
    let request = match from.read_request(turn) {
        Ok(request) => request,
        Err(error) => {
            assert_eq!(error.fault(), Fault::Caller, "{error:?}");
            return crossing::error(&error, client);
        }
    };
    if request.may_go_to(target.name()).is_err() {
        return;
    }
    let mut losses = Losses::default();
    let written = match to.write_request(&request, &place, &mut losses) {
        Ok(written) => written,
        Err(error) => {
            assert_eq!(error.fault(), Fault::Caller, "{error:?}");
            return crossing::error(&error, client);
        }
    };
    crossing::losses(&losses);
    crossing::json(&written);
    let shown = String::from_utf8_lossy(&written).into_owned();
    let named = Named { model: place.model, stream: place.stream };
    let read = target.peek(written, Some(named));
    let read = read.unwrap_or_else(|error| panic!("{}: {error:?}: {shown}", target.name()));
    assert_eq!((&*read.model, read.stream), (place.model, place.stream), "{shown}");
    crossing::json(&target.prepare(&read, place.model, &Quirks::default()).body.join());
    // Where it is read once more, the target's reader takes it, and nothing is tied to another dialect.
    let again = to.read_request(&read);
    let again = again.unwrap_or_else(|error| panic!("{}: {error:?}: {shown}", target.name()));
    assert!(again.may_go_to(target.name()).is_ok(), "{shown}");
    // Encoders take any request that was peeked at.
    assert!(matches!(client.framing(), Framing::Sse | Framing::AwsEventStream));
    drop(from.encoder(turn));
}
