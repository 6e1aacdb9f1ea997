//! Neutral deltas, written as the stream of a client: every event is an answer with a piece of the content.

use lockgate_core::Usage;
use serde::Deserialize;

use super::super::NAME;
use super::super::json::{Object, escape_line_ends};
use super::super::response::{self, Beside};
use crate::neutral::{Block, CallKind, Delta, Finish};
use crate::seal::Seal;
use crate::{Encoder, Losses, Turn, sse};

/// Writes a stream. A call has to be written whole, so its arguments are held until it closes; all else goes out as it
/// comes. The reason to finish and the usage are in the last event.
#[derive(Debug, Default)]
pub(in super::super) struct GeminiEncoder {
    id: String,
    model: String,
    created: Option<u64>,
    /// What ends every event but the last.
    tail: Vec<u8>,
    open: Option<Open>,
    beside: Beside,
    usage: Option<Usage>,
    tier: Option<String>,
    finish: Option<Finish>,
    /// Another hand has told the reason to finish: there is no event behind that.
    told: bool,
    losses: Losses,
}

/// Which block is open.
#[derive(Debug)]
enum Open {
    Text,
    Thought,
    Call {
        id: String,
        name: String,
        kind: CallKind,
        arguments: String,
        seal: Option<Seal>,
    },
    /// A whole block: nothing more belongs to it.
    Closed,
}

/// What begins every event, up to its parts.
const HEAD: &[u8] = br#"data: {"candidates":[{"content":{"parts":["#;
/// What follows the parts.
const ROLE: &[u8] = br#"],"role":"model"},"index":0}]"#;

// === impl GeminiEncoder ===

impl GeminiEncoder {
    pub(in super::super) fn new(asked: &Turn) -> Self {
        let mut encoder = Self { model: asked.model.to_string(), ..Self::default() };
        encoder.set_tail();
        encoder
    }

    fn set_tail(&mut self) {
        let mut tail = Vec::new();
        let mut object = Object::new(&mut tail);
        response::tail(None, None, &self.model, self.created.map(response::to_text), &self.id, &mut object);
        object.end();
        // In place of its opening brace it follows the candidates.
        if let Some(brace) = tail.first_mut() {
            *brace = b',';
        }
        tail.extend_from_slice(b"\r\n\r\n");
        self.tail = tail;
    }

    fn chunk(&self, out: &mut Vec<u8>, part: impl FnOnce(&mut Vec<u8>)) {
        out.extend_from_slice(HEAD);
        let start = out.len();
        part(out);
        sse::one_line(&mut out[start..]);
        escape_line_ends(out, start);
        out.extend_from_slice(ROLE);
        out.extend_from_slice(&self.tail);
    }

    fn text(&mut self, text: &str, out: &mut Vec<u8>) {
        if text.is_empty() {
            return;
        }
        let thought = match &mut self.open {
            Some(Open::Text) => {
                self.beside.spans.push(text);
                false
            }
            Some(Open::Thought) => true,
            Some(Open::Call { arguments, .. }) => {
                arguments.push_str(text);
                return;
            }
            Some(Open::Closed) | None => return,
        };
        self.chunk(out, |out| response::said(text, thought, None, out));
    }

    fn sealed(&mut self, seal: Seal, out: &mut Vec<u8>) {
        let thought = match &mut self.open {
            Some(Open::Call { seal: own, .. }) => {
                *own = Some(seal);
                return;
            }
            Some(Open::Text) => false,
            Some(Open::Thought) => true,
            Some(Open::Closed) | None => return,
        };
        self.chunk(out, |out| response::said("", thought, Some(&seal), out));
    }

    fn open(&mut self, block: Block<'_>, out: &mut Vec<u8>) {
        self.open = Some(match block {
            Block::Text | Block::Refusal => Open::Text,
            Block::Reasoning { .. } => Open::Thought,
            Block::Call { id, name, kind } => Open::Call {
                id: id.into_owned(),
                name: name.into_owned(),
                kind,
                arguments: String::new(),
                seal: None,
            },
            Block::Native(native) => {
                if native.dialect != NAME {
                    self.losses.lose(native.name, response::FOREIGN);
                } else if let Some(json) = self.beside.native(&native) {
                    let json = json.get().as_bytes();
                    self.chunk(out, |out| out.extend_from_slice(json));
                }
                Open::Closed
            }
        });
    }

    fn close(&mut self, out: &mut Vec<u8>) {
        if let Some(Open::Call { id, name, kind, arguments, seal }) = self.open.take() {
            response::note_arguments(kind, &arguments, &mut self.losses);
            let seal = self.beside.sign(seal);
            self.chunk(out, |out| response::call(&id, &name, kind, &arguments, seal.as_ref(), out));
        }
    }

    fn end(&mut self, out: &mut Vec<u8>) {
        out.extend_from_slice(br#"data: {"candidates":["#);
        let mut candidate = Object::new(out);
        candidate.raw("content", r#"{"parts":[{"text":""}],"role":"model"}"#);
        let finish = self.finish.take().unwrap_or(Finish::Other(String::new()));
        candidate.text("finishReason", response::reason(&finish));
        candidate.raw("index", "0");
        self.beside.write(&mut candidate);
        candidate.end();
        out.push(b']');
        let at = out.len();
        let mut tail = Object::new(out);
        let created = self.created.map(response::to_text);
        response::tail(self.usage.as_ref(), self.tier.as_deref(), &self.model, created, &self.id, &mut tail);
        tail.end();
        if let Some(brace) = out.get_mut(at) {
            *brace = b',';
        }
        out.extend_from_slice(b"\r\n\r\n");
    }
}

impl Encoder for GeminiEncoder {
    fn delta(&mut self, delta: Delta<'_>, out: &mut Vec<u8>) {
        match delta {
            Delta::Start { id, model, created } => {
                self.id = id.into_owned();
                if !model.is_empty() {
                    self.model = model.into_owned();
                }
                self.created = created;
                self.set_tail();
            }
            Delta::Open(block) => self.open(block, out),
            Delta::Text(text) => self.text(&text, out),
            Delta::Seal(seal) => self.sealed(seal, out),
            Delta::Citation(citation) => self.beside.sources.add(&citation),
            Delta::Logprobs(mut logprobs) => self.beside.logprobs.append(&mut logprobs),
            Delta::Close => self.close(out),
            Delta::Usage(usage) => self.usage = Some(usage),
            Delta::Tier(tier) => self.tier = Some(tier.into_owned()),
            Delta::Finish(finish) => self.finish = Some(finish),
            Delta::End if self.told => {}
            Delta::End => self.end(out),
        }
    }

    fn sent(&mut self, _: &str, data: &[u8]) -> bool {
        #[derive(Deserialize)]
        struct Answer {
            #[serde(default)]
            candidates: Vec<Candidate>,
        }
        #[derive(Deserialize)]
        #[serde(rename_all = "camelCase")]
        struct Candidate {
            #[serde(default)]
            finish_reason: Option<String>,
        }
        let answer = serde_json::from_slice::<Answer>(data);
        self.told |= answer.is_ok_and(|answer| answer.candidates.iter().any(|it| it.finish_reason.is_some()));
        self.told
    }

    fn losses(&self) -> &Losses {
        &self.losses
    }
}
