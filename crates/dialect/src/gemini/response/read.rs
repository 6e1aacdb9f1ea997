//! A provider's whole answer in the neutral form.

use bytes::Bytes;
use lockgate_core::{Error, Kind, Payload, Usage};
use serde::Deserialize;
use serde_json::Number;
use serde_json::value::RawValue;

use super::super::NAME;
use super::super::json::Str;
use super::super::request::{MADE_UP, Source, neutral};
use super::super::wire::{self, Answer, Word};
use super::citations::{Spans, grounded, recited};
use super::time;
use crate::neutral::{Alternative, Citation, Content, Finish, Logprob, Native, Part, Reply, Text};
use crate::seal::{Origin, Seal};

/// Longer ids of answers are not made a part of ids of calls, which some dialects hold to 40 characters.
const LONGEST_ID: usize = 28;

/// An answer whose parts are being read.
#[derive(Clone, Debug)]
pub(in super::super) struct Answering {
    origin: Origin,
    /// What ids of calls are made of that have none.
    stem: String,
    calls: usize,
}

/// Reads all of an answer.
pub(in super::super) fn read(body: &Bytes, origin: &Origin) -> Result<Reply, Error> {
    let bad = |why: String| {
        Error::upstream(Kind::UpstreamBadAnswer, "The provider's answer cannot be read.").detail(why)
    };
    let payload = Payload::parse(body.clone()).map_err(|why| bad(why.to_string()))?;
    super::check(&payload)?;
    let answer: Answer<'_> = serde_json::from_slice(body).map_err(|why| bad(why.to_string()))?;
    let id = owned(answer.response_id.as_ref());
    let model = owned(answer.model_version.as_ref());
    let mut source = Answering::new(origin, &id, body);
    let mut reply = Reply {
        id,
        created: answer.create_time.and_then(|Str(text)| time::from_text(&text)),
        parts: Vec::new(),
        finish: Finish::Filtered,
        usage: answer.usage_metadata.and_then(|raw| wire::usage(raw.get())),
        logprobs: Vec::new(),
        service_tier: answer.usage_metadata.and_then(|raw| tier(raw.get())),
        model,
    };
    let blocked = answer.prompt_feedback.and_then(|feedback| feedback.block_reason);
    let blocked = blocked.is_some_and(|reason| reason.reason().is_some());
    let Some(candidate) = answer.candidates.unwrap_or_default().into_iter().next() else {
        if !blocked {
            reply.finish = finish(None, false);
        }
        return Ok(reply);
    };
    let mut spans = Spans::default();
    for part in candidate.content.and_then(|content| content.parts).unwrap_or_default() {
        if let Some(Str(text)) = part.text.as_ref().filter(|_| !part.thought) {
            spans.push(text);
        }
        neutral(part, &mut source, &mut reply.parts);
    }
    let mut cited = candidate.citation_metadata.map_or_else(Vec::new, |raw| recited(raw, &mut spans));
    if let Some(raw) = candidate.grounding_metadata {
        let own = grounded(raw, &mut spans);
        if own.is_empty() {
            reply.parts.push(native("groundingMetadata", raw));
        }
        cited.extend(own);
        if let Some(usage) = &mut reply.usage {
            *usage = Usage { searches: wire::searches(raw.get(), &reply.model), ..*usage };
        }
    }
    cite(cited, &mut reply.parts);
    if let Some(raw) = candidate.url_context_metadata {
        reply.parts.push(native("urlContextMetadata", raw));
    }
    reply.logprobs = candidate.logprobs_result.map_or_else(Vec::new, |raw| logprobs(raw.get()));
    let word = candidate.finish_reason.as_ref().and_then(Word::reason);
    let calls = reply.parts.iter().any(|part| matches!(part.content, Content::Call(_)));
    reply.finish = if blocked && word.is_none() { Finish::Filtered } else { finish(word.as_deref(), calls) };
    Ok(reply)
}

/// Sources belong to the last text of the answer.
fn cite(cited: Vec<Citation>, parts: &mut Vec<Part>) {
    if cited.is_empty() {
        return;
    }
    let last = parts.iter_mut().rev().find_map(|part| match &mut part.content {
        Content::Text(text) => Some(text),
        _ => None,
    });
    match last {
        Some(text) => text.citations = cited,
        None => parts.push(Part::new(Content::Text(Text { citations: cited, ..Text::default() }))),
    }
}

fn native(name: &str, raw: &RawValue) -> Part {
    Part::new(Content::Native(Native { dialect: NAME, name: name.to_owned(), json: raw.to_owned() }))
}

/// Why an answer ended, by its word. Gemini has none of its own for calls.
pub(in super::super) fn finish(word: Option<&str>, calls: bool) -> Finish {
    match word {
        Some("STOP") if calls => Finish::Calls,
        Some("STOP") => Finish::Stop,
        Some("MAX_TOKENS") => Finish::Length,
        Some(
            "SAFETY"
            | "RECITATION"
            | "BLOCKLIST"
            | "PROHIBITED_CONTENT"
            | "SPII"
            | "MODEL_ARMOR"
            | "IMAGE_SAFETY"
            | "IMAGE_PROHIBITED_CONTENT"
            | "IMAGE_RECITATION",
        ) => Finish::Filtered,
        Some(other) => Finish::Other(other.to_owned()),
        None => Finish::Other("FINISH_REASON_UNSPECIFIED".to_owned()),
    }
}

/// The tier that a report names.
pub(in super::super) fn tier(usage: &str) -> Option<String> {
    let usage: wire::WireUsage<'_> = serde_json::from_str(usage).ok()?;
    usage.service_tier.map(|Str(tier)| tier.to_ascii_lowercase())
}

/// The tokens of a text.
pub(in super::super) fn logprobs(raw: &str) -> Vec<Logprob> {
    #[derive(Default, Deserialize)]
    #[serde(default, rename_all = "camelCase")]
    struct Result {
        chosen_candidates: Vec<Token>,
        top_candidates: Vec<Top>,
    }
    #[derive(Default, Deserialize)]
    #[serde(default)]
    struct Top {
        candidates: Vec<Token>,
    }
    #[derive(Deserialize)]
    #[serde(rename_all = "camelCase")]
    struct Token {
        #[serde(default)]
        token: String,
        log_probability: Option<Number>,
    }
    let result: Result = serde_json::from_str(raw).unwrap_or_default();
    let mut tops = result.top_candidates.into_iter();
    let one = |token: Token| (token.token, token.log_probability.unwrap_or_else(|| 0.into()));
    let all = result.chosen_candidates.into_iter().map(|chosen| {
        let (token, logprob) = one(chosen);
        let top = tops.next().map(|top| top.candidates).unwrap_or_default().into_iter().map(one);
        let top_logprobs = top.map(|(token, logprob)| Alternative { token, logprob, bytes: None }).collect();
        Logprob { token, logprob, bytes: None, top_logprobs }
    });
    all.collect()
}

// === impl Answering ===

impl Answering {
    /// `bytes` stand in for an id where the answer has none.
    pub(in super::super) fn new(origin: &Origin, id: &str, bytes: &[u8]) -> Self {
        let plain = id.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'_'));
        let stem = match id {
            "" => format!("{:016x}", digest(bytes)),
            id if plain && id.len() <= LONGEST_ID => id.to_owned(),
            id => format!("{:016x}", digest(id.as_bytes())),
        };
        Self { origin: origin.clone(), stem, calls: 0 }
    }
}

impl Source for Answering {
    fn seal(&self, kind: &str, data: &str) -> Option<Seal> {
        Some(Seal::of(&self.origin, NAME, kind, data))
    }

    fn call(&mut self, id: Option<&str>, _: &str) -> String {
        self.calls += 1;
        id.map_or_else(|| format!("{MADE_UP}{}_{}", self.stem, self.calls - 1), str::to_owned)
    }

    fn outcome(&mut self, id: Option<&str>, name: &str) -> String {
        id.unwrap_or(name).to_owned()
    }
}

/// FNV-1a in 64 bits: a name for bytes that stays the same, no more.
fn digest(bytes: &[u8]) -> u64 {
    bytes
        .iter()
        .fold(0xcbf2_9ce4_8422_2325, |hash, byte| (hash ^ u64::from(*byte)).wrapping_mul(0x0100_0000_01b3))
}

fn owned(text: Option<&Str<'_>>) -> String {
    text.map(|Str(text)| text.clone().into_owned()).unwrap_or_default()
}
