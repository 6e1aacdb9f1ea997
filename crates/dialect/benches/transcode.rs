//! What a translation costs: `cargo bench -p lockgate-dialect`, as two tables for docs/performance.md. For each pair of
//! dialects the time of a streamed event (taken apart, decoded, encoded), and what a request of 2 KB (read, written,
//! peeked at, prepared) costs beyond one that passes. The best of many short runs counts: on a machine that does other
//! things as well that is one which was not interrupted.
//!
//! With a word as its argument only pairs whose names hold it run, for a look with `valgrind --tool=callgrind`.

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

/// Events of a stream and requests of a run: some 2 ms.
const EVENTS: usize = 2_000;
const REQUESTS: usize = 100;
const RUNS: usize = 60;

fn main() {
    // Cargo hands its own flags over too.
    let only = std::env::args().skip(1).find(|word| !word.starts_with('-'));
    let pair = |from: &dyn Dialect, to: &dyn Dialect| format!("{} {}", from.name(), to.name());
    let wanted = |pair: &str| only.as_ref().is_none_or(|word| pair.contains(word.as_str()));
    let cell = |from: &dyn Dialect, to: &dyn Dialect, measured: &dyn Fn() -> Option<f64>, digits: usize| {
        let skipped = from.name() == to.name() || !wanted(&pair(from, to));
        let figure = if skipped { None } else { measured() };
        figure.map_or_else(|| "–".to_owned(), |figure| format!("{figure:.digits$}"))
    };
    table("An event of a stream, ns: provider (rows) to client", |provider, client| {
        cell(provider, client, &|| event(provider, client), 0)
    });
    table("A request of 2 KB beyond one that passes, us: client (rows) to provider", |client, provider| {
        cell(client, provider, &|| request(client, provider), 1)
    });
}

fn table(title: &str, cell: impl Fn(&dyn Dialect, &dyn Dialect) -> String) {
    let short = |dialect: &dyn Dialect| format!("`{}`", dialect.name());
    let heads: Vec<String> = ALL.iter().map(|dialect| short(*dialect)).collect();
    println!("\n{title}\n\n| | {} |\n|---|{}", heads.join(" | "), "--:|".repeat(ALL.len()));
    for row in ALL {
        let cells: Vec<String> = ALL.iter().map(|column| cell(*row, *column)).collect();
        println!("| {} | {} |", short(*row), cells.join(" | "));
    }
}

/// The time of an event from `provider` to `client`, in nanoseconds.
fn event(provider: &dyn Dialect, client: &dyn Dialect) -> Option<f64> {
    let (stream, turn) = (stream(provider)?, turn(client)?);
    Some(best(|| transcode(provider, client, &turn, &stream)) / EVENTS as f64)
}

/// What a request costs beyond one that passes, in microseconds; `None` where it is refused.
fn request(client: &dyn Dialect, provider: &dyn Dialect) -> Option<f64> {
    let turn = turn(client)?;
    crossed(provider, client, &turn)?;
    let crossing = best(|| {
        for _ in 0..REQUESTS {
            black_box(crossed(provider, client, &turn));
        }
    });
    let passing = best(|| {
        for _ in 0..REQUESTS {
            black_box(passed(client, &turn));
        }
    });
    Some((crossing - passing) / REQUESTS as f64 / 1e3)
}

/// The shortest of the runs, in nanoseconds.
fn best(mut run: impl FnMut()) -> f64 {
    let once = |run: &mut dyn FnMut()| {
        let start = Instant::now();
        run();
        start.elapsed().as_secs_f64() * 1e9
    };
    (0..RUNS).map(|_| once(&mut run)).fold(f64::INFINITY, f64::min)
}

/// A request of about 2 KB: a conversation of three turns, with a tool where the dialect has tools.
fn turn(dialect: &dyn Dialect) -> Option<Turn> {
    let words =
        "The quick brown fox jumps over the lazy dog and says \\\"hello\\\" to everyone.\\n ".repeat(18);
    let schema = r#"{"type":"object","properties":{"city":{"type":"string","description":"where"}},"required":["city"]}"#;
    let chat = |rest: &str| {
        format!(
            r#"{{"model":"m","stream":true,"messages":[{{"role":"system","content":"Be brief."}},{{"role":"user","content":"{words}"}},{{"role":"assistant","content":"Yes."}},{{"role":"user","content":"Go on."}}],"temperature":0.7{rest}}}"#
        )
    };
    let function = format!(
        r#","tools":[{{"type":"function","function":{{"name":"weather","description":"d","parameters":{schema}}}}}]"#
    );
    let json = match dialect.name() {
        "openai.chat" | "cohere.chat" => chat(&function),
        "openai.completions" => {
            format!(r#"{{"model":"m","stream":true,"prompt":"{words}","temperature":0.7,"max_tokens":900}}"#)
        }
        "anthropic.messages" => format!(
            r#"{{"model":"m","max_tokens":900,"stream":true,"system":"Be brief.","messages":[{{"role":"user","content":"{words}"}},{{"role":"assistant","content":"Yes."}},{{"role":"user","content":"Go on."}}],"temperature":0.7,"tools":[{{"name":"weather","description":"d","input_schema":{schema}}}]}}"#
        ),
        "openai.responses" => format!(
            r#"{{"model":"m","stream":true,"instructions":"Be brief.","input":[{{"role":"user","content":"{words}"}},{{"role":"assistant","content":"Yes."}},{{"role":"user","content":"Go on."}}],"temperature":0.7,"tools":[{{"type":"function","name":"weather","description":"d","parameters":{schema}}}]}}"#
        ),
        "gemini.generateContent" => format!(
            r#"{{"systemInstruction":{{"parts":[{{"text":"Be brief."}}]}},"contents":[{{"role":"user","parts":[{{"text":"{words}"}}]}},{{"role":"model","parts":[{{"text":"Yes."}}]}},{{"role":"user","parts":[{{"text":"Go on."}}]}}],"generationConfig":{{"temperature":0.7}},"tools":[{{"functionDeclarations":[{{"name":"weather","description":"d","parametersJsonSchema":{schema}}}]}}]}}"#
        ),
        "bedrock.converse" => format!(
            r#"{{"system":[{{"text":"Be brief."}}],"messages":[{{"role":"user","content":[{{"text":"{words}"}}]}},{{"role":"assistant","content":[{{"text":"Yes."}}]}},{{"role":"user","content":[{{"text":"Go on."}}]}}],"inferenceConfig":{{"temperature":0.7}},"toolConfig":{{"tools":[{{"toolSpec":{{"name":"weather","description":"d","inputSchema":{{"json":{schema}}}}}}}]}}}}"#
        ),
        _ => return None,
    };
    dialect.peek(Bytes::from(json), Some(Named { model: "m", stream: true })).ok()
}

/// A stream of one text in many events, as the dialect writes it.
fn stream(dialect: &dyn Dialect) -> Option<Bytes> {
    let mut encoder = dialect.hub()?.encoder(&turn(dialect)?);
    let mut out = Vec::new();
    let (id, model) = (Cow::Borrowed("id_1"), Cow::Borrowed("m"));
    encoder.delta(Delta::Start { id, model, created: None }, &mut out);
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

/// A request translated; `None` where it is refused.
fn crossed(provider: &dyn Dialect, client: &dyn Dialect, turn: &Turn) -> Option<usize> {
    let target = Target { provider: "p", model: "x", stream: true };
    let mut losses = Losses::default();
    let turn = client.peek(turn.payload.bytes().clone(), Some(Named { model: "m", stream: true })).ok()?;
    let request = client.hub()?.read_request(&turn).ok()?;
    let body = provider.hub()?.write_request(&request, &target, &mut losses).ok()?;
    let written = provider.peek(body, Some(Named { model: "x", stream: true })).ok()?;
    Some(provider.prepare(&written, "x", &Quirks::default()).body.len())
}

/// The same request as it passes.
fn passed(client: &dyn Dialect, turn: &Turn) -> Option<usize> {
    let turn = client.peek(turn.payload.bytes().clone(), Some(Named { model: "m", stream: true })).ok()?;
    Some(client.prepare(&turn, "x", &Quirks::default()).body.len())
}
