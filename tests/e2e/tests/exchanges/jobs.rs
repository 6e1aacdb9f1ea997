//! What the programs are to do: each recorded exchange in the words of a client's dialect, and what must come of it.

use std::collections::HashSet;

use bytes::Bytes;
use lockgate_core::Error;
use lockgate_dialect::{Dialect, Framing, by_name};
use lockgate_testkit::vectors::{self, Exchange};

use crate::said::Said;
use crate::translate::{
    APIS, ID, Translated, boundaries, events_of, gather, is_stream, said_whole, stream, translate,
};

/// The most places at which a stream is cut for a program that does `all`.
const MOST_CUTS: usize = 16;
/// Of how many streams one is sampled by a program that does not do `all`.
const SAMPLE: usize = 16;

/// One answer, given to a client once.
#[derive(Clone)]
pub(crate) struct Job {
    /// The exchange, where it comes from, and what was done to it.
    pub(crate) name: String,
    pub(crate) status: u16,
    pub(crate) content_type: &'static str,
    pub(crate) body: Bytes,
    /// Asked for as a stream.
    pub(crate) asks_stream: bool,
    /// Answered as a stream.
    pub(crate) is_stream: bool,
    pub(crate) form: Form,
    /// Made of a stream that broke off.
    pub(crate) is_cut: bool,
    /// The first of its kind: its schema is checked too.
    pub(crate) check: bool,
    pub(crate) expected: Expected,
}

/// In which pieces a stream comes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Form {
    /// In one.
    Whole,
    /// Each byte alone.
    Bytes,
    /// Of random lengths.
    Pieces,
    /// The same, few, with pauses between.
    Pauses,
}

/// What a client must make of an answer.
#[derive(Clone)]
pub(crate) enum Expected {
    /// It says what the recorded one says.
    Same(Said),
    /// Nothing: it is no translation.
    Native,
    /// An error with this message instead of an answer.
    Error(String),
    /// An error with this message, behind the beginning of this text.
    Broken {
        /// The provider's whole text.
        text: String,
        /// The message.
        message: String,
    },
}

/// All jobs of a client's dialect; `None`, and said aloud, where there are no recordings. A program that does not do `all`
/// gets single bytes and cuts of a sample, and of the exchanges one in `every`. `natives` puts recordings of the dialect itself
/// before, untouched.
pub(crate) fn of(client: &str, all: bool, natives: bool, every: usize) -> Option<Vec<Job>> {
    let client = by_name(client).expect("a dialect");
    let mut jobs = Vec::new();
    if natives && only().is_none() {
        jobs.extend(native(client, &vectors::of(client.name())?));
    }
    for (api, name) in APIS.iter().filter(|(_, name)| *name != client.name()) {
        let provider = by_name(name).expect("a dialect");
        let wanted = |exchange: &Exchange| only().is_none_or(|only| exchange.id == only);
        for exchange in vectors::of(api)?.into_iter().filter(wanted).step_by(step(every)) {
            add(&mut jobs, provider, client, &exchange, all);
        }
    }
    Some(jobs)
}

/// Of so many exchanges one: `EXCHANGES_STEP` in the environment, else `usual`.
fn step(usual: usize) -> usize {
    std::env::var("EXCHANGES_STEP")
        .ok()
        .and_then(|step| step.parse().ok())
        .filter(|step| *step > 0)
        .unwrap_or(usual)
}

/// For a look by hand: only the exchange with the id `EXCHANGES_ONLY`, and all of its bytes.
pub(crate) fn only() -> Option<String> {
    std::env::var("EXCHANGES_ONLY").ok()
}

/// Whether these are all jobs that there are.
pub(crate) fn complete(every: usize) -> bool {
    step(every) == 1 && only().is_none()
}

/// What the company that made the dialect answered in it: where that has a fault, a translation may have it too.
fn native<'v>(client: &'static dyn Dialect, recorded: &'v [Exchange]) -> impl Iterator<Item = Job> + use<'v> {
    let makers = ["openai", "anthropic", "gemini", "vertex"];
    let good = move |exchange: &&Exchange| {
        let response = &exchange.response;
        makers.contains(&exchange.provider.as_str())
            && response.status.is_none_or(|status| status == 200)
            && (response.body_kind == "json" || response.stream_complete == Some(true))
    };
    recorded.iter().filter(good).map(move |exchange| Job {
        name: format!("{} itself", exchange.id),
        status: 200,
        content_type: if is_stream(client, exchange) { "text/event-stream" } else { "application/json" },
        body: exchange.response.bytes(),
        asks_stream: false,
        is_stream: is_stream(client, exchange),
        form: Form::Whole,
        is_cut: false,
        check: true,
        expected: Expected::Native,
    })
}

fn add(
    jobs: &mut Vec<Job>,
    provider: &'static dyn Dialect,
    client: &'static dyn Dialect,
    exchange: &Exchange,
    all: bool,
) {
    let name = format!("{} {}", exchange.id, provider.name());
    let body = exchange.response.bytes();
    if exchange.response.body_kind == "chunks" && !is_stream(provider, exchange) {
        // Recorded without its frames, and they are not text.
        return;
    }
    let translated = translate(provider, client, exchange);
    if !is_stream(provider, exchange) {
        let expected = said_whole(provider.name(), &body);
        jobs.extend(job(&name, client, translated, false, expected));
        return;
    }
    let gathered = gather(provider.name(), &events_of(provider.framing(), &body));
    if gathered.ends > 1 {
        // Two answers in one recording; a stream is over at its end.
        return;
    }
    let expected = gathered.finished();
    let Some(whole) = job(&name, client, translated, true, Some(expected.clone())) else { return };
    if !whole.is_stream {
        jobs.push(whole);
        return;
    }
    let sampled = jobs.len().is_multiple_of(SAMPLE);
    let forms = [
        (Form::Bytes, all || sampled),
        (Form::Pieces, jobs.len().is_multiple_of(4)),
        (Form::Pauses, jobs.len() % SAMPLE == 1),
    ];
    for (form, _) in forms.into_iter().filter(|(_, wanted)| *wanted) {
        jobs.push(Job { form, check: false, name: format!("{} {form:?}", whole.name), ..whole.clone() });
    }
    jobs.push(whole);
    if all || sampled {
        cut(jobs, (provider, client), &body, &name, sampled, &expected);
    }
}

/// The stream cut behind its events (in so many places), and, of a sampled one, elsewhere; each different outcome once.
fn cut(
    jobs: &mut Vec<Job>,
    (provider, client): (&'static dyn Dialect, &'static dyn Dialect),
    body: &Bytes,
    name: &str,
    sampled: bool,
    expected: &Said,
) {
    let mut places = boundaries(provider.framing(), body);
    let step = places.len().div_ceil(MOST_CUTS).max(1);
    places = places.into_iter().step_by(step).collect();
    if sampled {
        places.extend((0..body.len()).step_by(body.len().div_ceil(400).max(1)));
    }
    let mut outcomes = HashSet::new();
    // An answer that is whole but for its usage is a whole answer.
    let expected = Said { usage: None, ..expected.clone() };
    for at in places {
        let head = body.slice(..at);
        // A provider that states the reason with every piece cannot be told from one that has finished.
        if memchr::memmem::find(&head, b"\"finishReason\"").is_some() {
            continue;
        }
        let translated = stream(provider, client, [head]);
        let name = format!("{name} cut at {at}");
        let Some(job) = job(&name, client, translated, true, Some(expected.clone())) else { continue };
        if outcomes.insert(job.body.clone()) {
            jobs.push(Job { is_cut: true, check: false, ..job });
        }
    }
}

/// The job that an answer is; `None` where the recorded answer cannot be read by anyone.
fn job(
    name: &str,
    client: &'static dyn Dialect,
    translated: Translated,
    asks_stream: bool,
    expected: Option<Said>,
) -> Option<Job> {
    let name = format!("{name} → {}", client.name());
    let whole = |status, content_type, body, expected| Job {
        name: name.clone(),
        status,
        content_type,
        body,
        asks_stream,
        is_stream: false,
        form: Form::Whole,
        is_cut: false,
        check: true,
        expected,
    };
    let message = |error: &Error| error.public().to_owned();
    Some(match translated {
        Translated::Whole(body) => whole(200, "application/json", body, Expected::Same(expected?)),
        Translated::Refused(error) => {
            let (content_type, body) = client.write_error(&error, ID);
            whole(error.status().as_u16(), content_type, body, Expected::Error(message(&error)))
        }
        Translated::Stream { body, error } => {
            let expected = match error {
                None => Expected::Same(expected?),
                Some(error) => {
                    let Said { text, refusal, .. } = expected?;
                    Expected::Broken { text: text + &refusal, message: message(&error) }
                }
            };
            let framed = client.framing() == Framing::Sse;
            let kind = if framed { "text/event-stream" } else { "application/vnd.amazon.eventstream" };
            Job { is_stream: true, ..whole(200, kind, body.into(), expected) }
        }
    })
}
