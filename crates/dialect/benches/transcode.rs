//! What a translation costs: `cargo bench -p lockgate-dialect`. For each pair of dialects the time of a streamed event
//! (taken apart, decoded, encoded) and of a request of 2 KB (read, written, peeked at, prepared), beside what the same
//! request costs where it passes.

#![expect(clippy::print_stdout, reason = "printing is what it is for")]
#![expect(clippy::disallowed_methods, reason = "this measures time")]

use std::borrow::Cow;
use std::hint::black_box;
use std::time::Instant;

use bytes::Bytes;
use lockgate_core::{Quirks, Usage};
use lockgate_dialect::frames::Frames;
use lockgate_dialect::neutral::{Block, Delta, Finish};
use lockgate_dialect::seal::Origin;
use lockgate_dialect::{ALL, Dialect, Losses, Named, Target, Turn};

const EVENTS: usize = 2_000;
const ROUNDS: usize = 30;
const REQUESTS: usize = 3_000;

fn main() {
    println!(
        "{:<24} {:<24} {:>14} {:>16} {:>14}",
        "provider", "client", "event, ns", "request, us", "passing, us"
    );
    let translated: Vec<_> = ALL.iter().filter(|dialect| dialect.hub().is_some()).collect();
    for provider in &translated {
        let Some(stream) = stream(**provider) else { continue };
        for client in translated.iter().filter(|client| client.name() != provider.name()) {
            let Some(turn) = turn(**client) else { continue };
            let event = best(ROUNDS, || transcode(**provider, **client, &turn, &stream)) / EVENTS as f64;
            let request = best(5, || requests(**provider, **client, &turn)) / REQUESTS as f64;
            let passing = best(5, || pass(**client, &turn)) / REQUESTS as f64;
            println!(
                "{:<24} {:<24} {event:>14.0} {:>16.1} {:>14.1}",
                provider.name(),
                client.name(),
                request / 1e3,
                passing / 1e3
            );
        }
    }
}

/// The shortest of so many runs, in nanoseconds.
fn best(runs: usize, mut run: impl FnMut()) -> f64 {
    let once = |run: &mut dyn FnMut()| {
        let start = Instant::now();
        run();
        start.elapsed().as_secs_f64() * 1e9
    };
    (0..runs).map(|_| once(&mut run)).fold(f64::INFINITY, f64::min)
}

/// A request of about 2 KB, with a tool and a turn behind it.
fn turn(dialect: &dyn Dialect) -> Option<Turn> {
    let words =
        "The quick brown fox jumps over the lazy dog and says \\\"hello\\\" to everyone.\\n ".repeat(18);
    let schema = r#"{"type":"object","properties":{"city":{"type":"string","description":"where"}},"required":["city"]}"#;
    let json = match dialect.name() {
        "openai.chat" => format!(
            r#"{{"model":"m","stream":true,"messages":[{{"role":"system","content":"Be brief."}},{{"role":"user","content":"{words}"}},{{"role":"assistant","content":"Yes."}},{{"role":"user","content":"Go on."}}],"temperature":0.7,"tools":[{{"type":"function","function":{{"name":"weather","description":"d","parameters":{schema}}}}}]}}"#
        ),
        "anthropic.messages" => format!(
            r#"{{"model":"m","max_tokens":900,"stream":true,"system":"Be brief.","messages":[{{"role":"user","content":"{words}"}},{{"role":"assistant","content":"Yes."}},{{"role":"user","content":"Go on."}}],"temperature":0.7,"tools":[{{"name":"weather","description":"d","input_schema":{schema}}}]}}"#
        ),
        "openai.responses" => format!(
            r#"{{"model":"m","stream":true,"instructions":"Be brief.","input":[{{"role":"user","content":"{words}"}},{{"role":"assistant","content":"Yes."}},{{"role":"user","content":"Go on."}}],"temperature":0.7,"tools":[{{"type":"function","name":"weather","description":"d","parameters":{schema}}}]}}"#
        ),
        "gemini.generateContent" => format!(
            r#"{{"systemInstruction":{{"parts":[{{"text":"Be brief."}}]}},"contents":[{{"role":"user","parts":[{{"text":"{words}"}}]}},{{"role":"model","parts":[{{"text":"Yes."}}]}},{{"role":"user","parts":[{{"text":"Go on."}}]}}],"generationConfig":{{"temperature":0.7}},"tools":[{{"functionDeclarations":[{{"name":"weather","description":"d","parametersJsonSchema":{schema}}}]}}]}}"#
        ),
        _ => return None,
    };
    dialect.peek(Bytes::from(json), Some(Named { model: "m", stream: true })).ok()
}

/// A stream of one text in many events, as the dialect writes it.
fn stream(dialect: &dyn Dialect) -> Option<Bytes> {
    let hub = dialect.hub()?;
    let asked = turn(dialect).or_else(|| turn(ALL.first().copied()?))?;
    let mut encoder = hub.encoder(&asked);
    let mut out = Vec::new();
    let (id, model) = (Cow::Borrowed("id_1"), Cow::Borrowed("m"));
    encoder.delta(Delta::Start { id, model, created: Some(1_700_000_000) }, &mut out);
    encoder.delta(Delta::Open(Block::Text), &mut out);
    for _ in 0..EVENTS {
        encoder.delta(Delta::Text(Cow::Borrowed("token ")), &mut out);
    }
    encoder.delta(Delta::Close, &mut out);
    encoder.delta(Delta::Usage(Usage { input: 25, output: EVENTS as u64, ..Usage::default() }), &mut out);
    encoder.delta(Delta::Finish(Finish::Stop), &mut out);
    encoder.delta(Delta::End, &mut out);
    Some(out.into())
}

fn transcode(provider: &dyn Dialect, client: &dyn Dialect, turn: &Turn, stream: &Bytes) {
    let (Some(from), Some(to)) = (provider.hub(), client.hub()) else { return };
    let mut decoder = from.decoder(&Origin("p".into()));
    let mut encoder = to.encoder(turn);
    let mut frames = Frames::new(provider.framing());
    let (mut rest, mut out) = (stream.clone(), Vec::new());
    while let Ok(Some(frame)) = frames.next(&mut rest) {
        let Some(data) = frame.data() else { continue };
        let read = decoder.event(frame.name(), &data, &mut |delta| encoder.delta(delta, &mut out));
        assert!(read.is_ok(), "{read:?}");
        if out.len() > 16 << 10 {
            black_box(&out);
            out.clear();
        }
    }
    let _ = decoder.end(&mut |delta| encoder.delta(delta, &mut out));
    black_box(&out);
}

fn requests(provider: &dyn Dialect, client: &dyn Dialect, turn: &Turn) {
    let (Some(from), Some(to)) = (provider.hub(), client.hub()) else { return };
    let quirks = Quirks::default();
    let target = Target { provider: "p", model: "x", stream: true };
    for _ in 0..REQUESTS {
        let mut losses = Losses::default();
        let written = client
            .peek(turn.payload.bytes().clone(), Some(Named { model: "m", stream: true }))
            .and_then(|turn| to.read_request(&turn))
            .and_then(|request| from.write_request(&request, &target, &mut losses))
            .and_then(|body| provider.peek(body, Some(Named { model: "x", stream: true })));
        let Ok(written) = written else { return };
        black_box(provider.prepare(&written, "x", &quirks));
    }
}

fn pass(client: &dyn Dialect, turn: &Turn) {
    let quirks = Quirks::default();
    for _ in 0..REQUESTS {
        let Ok(read) = client.peek(turn.payload.bytes().clone(), Some(Named { model: "m", stream: true }))
        else {
            return;
        };
        black_box(client.prepare(&read, "x", &quirks));
    }
}
