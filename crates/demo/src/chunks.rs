//! The wire of the dialect: the whole answer, and the events of a stream one after the other.

use bytes::Bytes;
use serde::Serialize;

use crate::reply::{Choice, Reply};
use crate::request::{Ask, Refusal};
use crate::tools::Call;

const FINGERPRINT: &str = "fp_demo";

/// What all parts of one answer have in common.
#[derive(Debug)]
pub(crate) struct Head {
    pub(crate) id: String,
    /// Seconds since the Unix epoch.
    pub(crate) created: u64,
    pub(crate) model: String,
}

/// A stream, made event by event.
#[derive(Debug)]
pub(crate) struct Script {
    head: Head,
    reply: Reply,
    include_usage: bool,
    logprobs: Option<usize>,
    /// The pieces are told over and over, and the stream never finishes.
    endless: bool,
    next: Next,
}

/// One event of a stream.
#[derive(Debug)]
pub(crate) struct Step {
    pub(crate) kind: Kind,
    /// `data: ...` with the empty line that ends the event.
    pub(crate) bytes: Bytes,
    /// Tokens of its choice that come before this event: it decides when the event is due.
    pub(crate) tokens_before: u64,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    /// The role of a choice.
    Start,
    /// Content, reasoning, or a piece of a call.
    Content,
    /// The reason why a choice ended.
    Finish,
    Usage,
    /// `[DONE]`
    Done,
}

#[derive(Debug, Clone, Copy)]
enum Next {
    Start { choice: usize },
    Piece { piece: u64, choice: usize },
    Finish { choice: usize },
    Usage,
    Done,
    End,
}

enum Piece<'a> {
    Reasoning(&'a str),
    Content(&'a str),
    CallStart(usize, &'a Call),
    Arguments(usize, &'a Call, &'a str),
}

#[derive(Serialize)]
struct Chunk<'a> {
    id: &'a str,
    object: &'static str,
    created: u64,
    model: &'a str,
    service_tier: &'static str,
    system_fingerprint: &'static str,
    choices: &'a [ChunkChoice<'a>],
    /// Absent unless asked for; then null in all events but the last.
    #[serde(skip_serializing_if = "Option::is_none")]
    usage: Option<Option<Usage>>,
}

#[derive(Serialize)]
struct ChunkChoice<'a> {
    index: usize,
    delta: Delta<'a>,
    logprobs: Option<LogProbs<'a>>,
    finish_reason: Option<&'static str>,
}

#[derive(Serialize, Default)]
struct Delta<'a> {
    #[serde(skip_serializing_if = "Option::is_none")]
    role: Option<&'static str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    content: Option<Option<&'a str>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    reasoning_content: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    refusal: Option<Option<&'a str>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    tool_calls: Option<[CallDelta<'a>; 1]>,
}

#[derive(Serialize)]
struct CallDelta<'a> {
    index: usize,
    #[serde(skip_serializing_if = "Option::is_none")]
    id: Option<&'a str>,
    #[serde(rename = "type", skip_serializing_if = "Option::is_none")]
    kind: Option<&'static str>,
    #[serde(flatten)]
    called: Called<'a>,
}

/// What is called, in the two forms of the dialect; in a stream a piece of it.
#[derive(Serialize)]
#[serde(rename_all = "snake_case")]
enum Called<'a> {
    Function {
        #[serde(skip_serializing_if = "Option::is_none")]
        name: Option<&'a str>,
        arguments: &'a str,
    },
    Custom {
        #[serde(skip_serializing_if = "Option::is_none")]
        name: Option<&'a str>,
        input: &'a str,
    },
}

#[derive(Serialize)]
struct LogProbs<'a> {
    content: Vec<LogProb<'a>>,
    refusal: Option<()>,
}

#[derive(Serialize)]
struct LogProb<'a> {
    token: &'a str,
    logprob: f64,
    bytes: &'a [u8],
    top_logprobs: Vec<TopLogProb<'a>>,
}

#[derive(Serialize)]
struct TopLogProb<'a> {
    token: &'a str,
    logprob: f64,
    bytes: &'a [u8],
}

#[derive(Serialize)]
struct Completion<'a> {
    id: &'a str,
    object: &'static str,
    created: u64,
    model: &'a str,
    choices: Vec<WholeChoice<'a>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    usage: Option<Usage>,
    service_tier: &'static str,
    system_fingerprint: &'static str,
}

#[derive(Serialize)]
struct WholeChoice<'a> {
    index: usize,
    message: WholeMessage<'a>,
    logprobs: Option<LogProbs<'a>>,
    finish_reason: Option<&'static str>,
}

#[derive(Serialize)]
struct WholeMessage<'a> {
    role: &'static str,
    content: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    reasoning_content: Option<&'a str>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    tool_calls: Vec<WholeCall<'a>>,
    refusal: Option<()>,
    annotations: [(); 0],
}

#[derive(Serialize)]
struct WholeCall<'a> {
    id: &'a str,
    #[serde(rename = "type")]
    kind: &'static str,
    #[serde(flatten)]
    called: Called<'a>,
}

#[derive(Serialize)]
struct Usage {
    prompt_tokens: u64,
    completion_tokens: u64,
    total_tokens: u64,
    prompt_tokens_details: PromptDetails,
    completion_tokens_details: CompletionDetails,
}

#[derive(Serialize)]
struct PromptDetails {
    cached_tokens: u64,
    audio_tokens: u64,
}

#[derive(Serialize)]
struct CompletionDetails {
    reasoning_tokens: u64,
    audio_tokens: u64,
    accepted_prediction_tokens: u64,
    rejected_prediction_tokens: u64,
}

#[derive(Serialize)]
struct ErrorBody<'a> {
    error: ErrorDetail<'a>,
}

#[derive(Serialize)]
struct ErrorDetail<'a> {
    message: &'a str,
    #[serde(rename = "type")]
    kind: &'a str,
    param: Option<&'a str>,
    code: Option<&'a str>,
}

/// The whole answer. `finish` and `usage` tell whether those members are told truthfully or left out.
pub(crate) fn whole(head: &Head, ask: &Ask, reply: &Reply, finish: bool, usage: bool) -> Bytes {
    let choices = reply.choices.iter().enumerate();
    json(&Completion {
        id: &head.id,
        object: "chat.completion",
        created: head.created,
        model: &head.model,
        choices: choices.map(|(index, choice)| whole_choice(index, choice, ask.logprobs, finish)).collect(),
        usage: usage.then(|| Usage::of(reply)),
        service_tier: "default",
        system_fingerprint: FINGERPRINT,
    })
}

fn whole_choice(index: usize, choice: &Choice, logprobs: Option<usize>, finish: bool) -> WholeChoice<'_> {
    let calls = choice.calls.iter().map(|call| WholeCall {
        id: &call.id,
        kind: kind(call),
        called: Called::of(call, Some(&call.name), call.arguments.text()),
    });
    WholeChoice {
        index,
        message: WholeMessage {
            role: "assistant",
            content: choice.content.as_ref().map(super::words::Tokens::text),
            reasoning_content: (choice.reasoning.len() > 0).then(|| choice.reasoning.text()),
            tool_calls: calls.collect(),
            refusal: None,
            annotations: [],
        },
        logprobs: logprobs
            .zip(choice.content.as_ref())
            .map(|(top, content)| log_probs(content.iter().map(|token| (token, top)))),
        finish_reason: finish.then_some(choice.finish),
    }
}

/// An error in the shape of the dialect.
pub(crate) fn error(refusal: &Refusal) -> Bytes {
    let Refusal { message, kind, param, code, .. } = refusal;
    json(&ErrorBody { error: ErrorDetail { message, kind, param: *param, code: *code } })
}

impl Script {
    pub(crate) fn new(head: Head, ask: &Ask, reply: Reply) -> Self {
        let next = Next::Start { choice: 0 };
        Self { head, reply, include_usage: ask.include_usage, logprobs: ask.logprobs, endless: false, next }
    }

    pub(crate) fn endless(self) -> Self {
        Self { endless: true, ..self }
    }

    /// The next event, or `None` after `[DONE]`.
    pub(crate) fn step(&mut self) -> Option<Step> {
        loop {
            let current = self.next;
            self.next = self.after(current);
            let (kind, bytes, tokens_before) = match current {
                Next::Start { choice } => (Kind::Start, self.start(choice), 0),
                Next::Piece { piece, choice } => match self.piece(piece, choice) {
                    Some(bytes) => (Kind::Content, bytes, piece),
                    None => continue,
                },
                Next::Finish { choice } => (Kind::Finish, self.finish(choice), self.longest_pieces()),
                Next::Usage => {
                    (Kind::Usage, self.chunk(&[], Some(Usage::of(&self.reply))), self.longest_pieces())
                }
                Next::Done => (Kind::Done, Bytes::from_static(b"data: [DONE]\n\n"), self.longest_pieces()),
                Next::End => return None,
            };
            return Some(Step { kind, bytes, tokens_before });
        }
    }

    fn after(&self, current: Next) -> Next {
        let last = self.reply.choices.len().saturating_sub(1);
        match current {
            Next::Start { choice } if choice < last => Next::Start { choice: choice + 1 },
            Next::Start { .. } => self.piece_or_finish(0),
            Next::Piece { piece, choice } if choice < last => Next::Piece { piece, choice: choice + 1 },
            Next::Piece { piece, .. } => self.piece_or_finish(piece + 1),
            Next::Finish { choice } if choice < last => Next::Finish { choice: choice + 1 },
            Next::Finish { .. } if self.include_usage => Next::Usage,
            Next::Finish { .. } | Next::Usage => Next::Done,
            Next::Done | Next::End => Next::End,
        }
    }

    fn piece_or_finish(&self, piece: u64) -> Next {
        let pieces = self.longest_pieces();
        if piece < pieces || (self.endless && pieces > 0) {
            Next::Piece { piece, choice: 0 }
        } else {
            Next::Finish { choice: 0 }
        }
    }

    fn longest_pieces(&self) -> u64 {
        self.reply.choices.iter().map(pieces).max().unwrap_or(0)
    }

    fn start(&self, choice: usize) -> Bytes {
        let calls = self.reply.choices.get(choice).is_some_and(|choice| choice.content.is_none());
        let content = if calls { None } else { Some("") };
        let delta = Delta {
            role: Some("assistant"),
            content: Some(content),
            refusal: Some(None),
            ..Delta::default()
        };
        self.chunk(&[ChunkChoice { index: choice, delta, logprobs: None, finish_reason: None }], None)
    }

    fn piece(&self, piece: u64, index: usize) -> Option<Bytes> {
        let choice = self.reply.choices.get(index)?;
        let piece = if self.endless { piece % pieces(choice).max(1) } else { piece };
        let mut logprobs = None;
        let delta = match piece_of(choice, piece)? {
            Piece::Reasoning(text) => Delta { reasoning_content: Some(text), ..Delta::default() },
            Piece::Content(text) => {
                logprobs = self.logprobs.map(|top| log_probs(std::iter::once((text, top))));
                Delta { content: Some(Some(text)), ..Delta::default() }
            }
            Piece::CallStart(index, call) => {
                let called = Called::of(call, Some(&call.name), "");
                let call = CallDelta { index, id: Some(&call.id), kind: Some(kind(call)), called };
                Delta { tool_calls: Some([call]), ..Delta::default() }
            }
            Piece::Arguments(index, call, text) => {
                let call = CallDelta { index, id: None, kind: None, called: Called::of(call, None, text) };
                Delta { tool_calls: Some([call]), ..Delta::default() }
            }
        };
        Some(self.chunk(&[ChunkChoice { index, delta, logprobs, finish_reason: None }], None))
    }

    fn finish(&self, index: usize) -> Bytes {
        let finish_reason = self.reply.choices.get(index).map(|choice| choice.finish);
        self.chunk(&[ChunkChoice { index, delta: Delta::default(), logprobs: None, finish_reason }], None)
    }

    /// A content event that carries `text`, for faults that add one.
    pub(crate) fn extra(&self, text: &str) -> Bytes {
        let delta = Delta { content: Some(Some(text)), ..Delta::default() };
        self.chunk(&[ChunkChoice { index: 0, delta, logprobs: None, finish_reason: None }], None)
    }

    fn chunk(&self, choices: &[ChunkChoice<'_>], usage: Option<Usage>) -> Bytes {
        event(&Chunk {
            id: &self.head.id,
            object: "chat.completion.chunk",
            created: self.head.created,
            model: &self.head.model,
            service_tier: "default",
            system_fingerprint: FINGERPRINT,
            choices,
            usage: self.include_usage.then_some(usage),
        })
    }
}

impl<'a> Called<'a> {
    fn of(call: &Call, name: Option<&'a str>, text: &'a str) -> Self {
        match call.custom {
            true => Self::Custom { name, input: text },
            false => Self::Function { name, arguments: text },
        }
    }
}

fn kind(call: &Call) -> &'static str {
    if call.custom { "custom" } else { "function" }
}

impl Usage {
    fn of(reply: &Reply) -> Self {
        let (prompt_tokens, completion_tokens) = (reply.prompt_tokens, reply.completion_tokens());
        Self {
            prompt_tokens,
            completion_tokens,
            total_tokens: prompt_tokens + completion_tokens,
            prompt_tokens_details: PromptDetails { cached_tokens: 0, audio_tokens: 0 },
            completion_tokens_details: CompletionDetails {
                reasoning_tokens: reply.reasoning_tokens(),
                audio_tokens: 0,
                accepted_prediction_tokens: 0,
                rejected_prediction_tokens: 0,
            },
        }
    }
}

/// Number of events that carry the content of a choice.
fn pieces(choice: &Choice) -> u64 {
    let calls: usize = choice.calls.iter().map(|call| 1 + call.arguments.len()).sum();
    (choice.reasoning.len() + choice.content.as_ref().map_or(0, super::words::Tokens::len) + calls) as u64
}

fn piece_of(choice: &Choice, piece: u64) -> Option<Piece<'_>> {
    let mut index = usize::try_from(piece).ok()?;
    if let Some(text) = choice.reasoning.get(index) {
        return Some(Piece::Reasoning(text));
    }
    index -= choice.reasoning.len();
    if let Some(content) = &choice.content {
        if let Some(text) = content.get(index) {
            return Some(Piece::Content(text));
        }
        index -= content.len();
    }
    for (number, call) in choice.calls.iter().enumerate() {
        if index == 0 {
            return Some(Piece::CallStart(number, call));
        }
        index -= 1;
        if let Some(text) = call.arguments.get(index) {
            return Some(Piece::Arguments(number, call, text));
        }
        index -= call.arguments.len();
    }
    None
}

/// Invented but plausible: each token was nearly certain, the alternatives were not.
fn log_probs<'a>(tokens: impl Iterator<Item = (&'a str, usize)>) -> LogProbs<'a> {
    const OTHERS: [&str; 19] = [
        " the", " a", " and", " of", " to", " in", " is", " it", " for", " on", " as", " with", " at", " by",
        " an", " be", " this", " that", " or",
    ];
    let content = tokens.map(|(token, top)| {
        let others = OTHERS.iter().filter(|other| **other != token);
        let ranked = std::iter::once(&token).chain(others).take(top).enumerate();
        let top_logprobs = ranked
            .map(|(rank, token)| TopLogProb {
                token,
                logprob: -0.01 - 2.0 * rank as f64,
                bytes: token.as_bytes(),
            })
            .collect();
        LogProb { token, logprob: -0.01, bytes: token.as_bytes(), top_logprobs }
    });
    LogProbs { content: content.collect(), refusal: None }
}

/// An event that carries JSON.
pub(crate) fn event(data: &impl Serialize) -> Bytes {
    let mut bytes = b"data: ".to_vec();
    write(data, &mut bytes);
    bytes.extend_from_slice(b"\n\n");
    bytes.into()
}

/// JSON text.
pub(crate) fn json(data: &impl Serialize) -> Bytes {
    let mut bytes = Vec::with_capacity(512);
    write(data, &mut bytes);
    bytes.into()
}

fn write(data: &impl Serialize, bytes: &mut Vec<u8>) {
    serde_json::to_writer(bytes, data).expect("our own types have string keys, and a Vec takes every write");
}

#[cfg(test)]
mod tests;
