//! Event streams, read and written.

use std::borrow::Cow;

use bytes::Bytes;
use lockgate_core::{Error, Kind, Payload, Usage};
use serde::Deserialize;
use serde_json::value::RawValue;

use super::response::word;
use super::wire::{Choice, read_logprobs, write_logprobs};
use crate::neutral::{Block, Delta, Finish};
use crate::openai_chat::json::{quote, show};
use crate::openai_chat::members::Str;
use crate::openai_chat::stream::told::Told;
use crate::openai_chat::wire::{Report, WireUsage};
use crate::openai_chat::{error, finish};
use crate::{Decoder, Encoder, Losses, Turn};

#[derive(Deserialize)]
struct Chunk<'a> {
    #[serde(borrow)]
    id: Option<Str<'a>>,
    #[serde(borrow)]
    model: Option<Str<'a>>,
    #[serde(borrow)]
    created: Option<&'a RawValue>,
    #[serde(borrow)]
    choices: Option<Vec<Choice<'a>>>,
    #[serde(borrow)]
    usage: Option<&'a RawValue>,
    #[serde(borrow)]
    error: Option<&'a RawValue>,
}

/// Reads a stream: of several choices the first.
#[derive(Debug, Default)]
pub(super) struct TextDecoder {
    started: bool,
    open: bool,
    finish: Option<Finish>,
    ended: bool,
}

/// Writes a stream.
#[derive(Debug)]
pub(super) struct TextEncoder {
    asked: String,
    usage_asked: bool,
    head: Vec<u8>,
    /// The open block is text.
    text: bool,
    offset: u64,
    usage: Option<Usage>,
    told: Told,
    losses: Losses,
}

// === impl TextDecoder ===

impl Decoder for TextDecoder {
    fn event(&mut self, name: &str, data: &[u8], sink: &mut dyn FnMut(Delta<'_>)) -> Result<(), Error> {
        let data = data.trim_ascii();
        if self.ended || data.is_empty() {
            return Ok(());
        }
        if data == b"[DONE]" {
            return self.settle(sink);
        }
        let chunk: Chunk<'_> = match serde_json::from_slice(data) {
            Ok(chunk) => chunk,
            Err(why) => return Err(failed(data, &why.to_string())),
        };
        if chunk.error.is_some() || name == "error" {
            return Err(failed(data, "an error without words"));
        }
        if !self.started {
            self.started = true;
            let created = chunk.created.and_then(|raw| raw.get().parse().ok());
            let text =
                |text: Option<Str<'_>>| Cow::Owned(text.map(|Str(t)| t.into_owned()).unwrap_or_default());
            sink(Delta::Start { id: text(chunk.id), model: text(chunk.model), created });
        }
        let usage = chunk.usage.and_then(|raw| serde_json::from_str::<WireUsage>(raw.get()).ok()?.buckets());
        if let Some(usage) = usage {
            sink(Delta::Usage(usage));
        }
        let choices = chunk.choices.unwrap_or_default();
        for choice in choices.into_iter().filter(|choice| choice.index.unwrap_or(0) == 0) {
            self.choice(choice, sink);
        }
        Ok(())
    }

    fn end(&mut self, sink: &mut dyn FnMut(Delta<'_>)) -> Result<(), Error> {
        if self.ended {
            return Ok(());
        }
        if self.finish.is_none() {
            return Err(broken());
        }
        self.settle(sink)
    }
}

impl TextDecoder {
    fn choice(&mut self, choice: Choice<'_>, sink: &mut dyn FnMut(Delta<'_>)) {
        if let Some(Str(text)) = choice.text.filter(|Str(text)| !text.is_empty()) {
            if !self.open {
                self.open = true;
                sink(Delta::Open(Block::Text));
            }
            sink(Delta::Text(text));
        }
        let tokens = choice.logprobs.map(read_logprobs).unwrap_or_default();
        if self.open && !tokens.is_empty() {
            sink(Delta::Logprobs(tokens));
        }
        if let Some(Str(word)) = choice.finish_reason.filter(|Str(word)| !word.is_empty()) {
            self.finish = Some(finish::read(&word, choice.stop_reason));
        }
    }

    fn settle(&mut self, sink: &mut dyn FnMut(Delta<'_>)) -> Result<(), Error> {
        if !self.started {
            return Err(broken());
        }
        if self.open {
            sink(Delta::Close);
        }
        sink(Delta::Finish(self.finish.take().unwrap_or(Finish::Stop)));
        sink(Delta::End);
        self.ended = true;
        Ok(())
    }
}

fn broken() -> Error {
    Error::upstream(Kind::UpstreamBroken, "The provider's answer broke off.")
}

fn failed(data: &[u8], why: &str) -> Error {
    match Payload::parse(Bytes::copy_from_slice(data)) {
        Ok(payload) if payload.has("error") => error::in_answer(&payload),
        _ => Error::upstream(Kind::UpstreamBadAnswer, "The provider's stream cannot be understood.")
            .detail(why.to_owned()),
    }
}

// === impl TextEncoder ===

impl Encoder for TextEncoder {
    fn delta(&mut self, delta: Delta<'_>, out: &mut Vec<u8>) {
        match delta {
            Delta::Start { id, model, created } => self.start(&id, &model, created),
            Delta::Open(block) => {
                self.text = matches!(block, Block::Text | Block::Refusal);
                self.leave_out(&block);
            }
            Delta::Text(text) if self.text => self.chunk(&text, b"null", "null", out),
            Delta::Logprobs(tokens) if self.text => {
                let mut logprobs = Vec::new();
                write_logprobs(&mut logprobs, &tokens, &mut self.offset);
                self.chunk("", &logprobs, "null", out);
            }
            Delta::Close => self.text = false,
            Delta::Usage(usage) => self.usage = Some(usage),
            Delta::Finish(_) if self.told.finish => {}
            Delta::Finish(finish) => {
                if matches!(finish, Finish::Paused | Finish::Other(_) | Finish::Calls) {
                    self.losses.lose("finish_reason", "there is no word for this end");
                }
                self.chunk("", b"null", &format!("\"{}\"", word(&finish)), out);
            }
            Delta::End => self.end(out),
            Delta::Citation(_) => {
                self.losses.lose("choices.annotations", "text completions have no sources");
            }
            Delta::Seal(_) if self.text => {
                self.losses.lose("choices.signature", "text completions have no states");
            }
            // Text completions have nothing but text.
            Delta::Text(_) | Delta::Logprobs(_) | Delta::Seal(_) | Delta::Tier(_) => {}
        }
    }

    fn sent(&mut self, _: &str, data: &[u8]) -> bool {
        self.told.read(data)
    }

    fn losses(&self) -> &Losses {
        &self.losses
    }
}

impl TextEncoder {
    pub(super) fn new(asked: &Turn) -> Self {
        Self {
            asked: asked.model.to_string(),
            usage_asked: asked.usage_asked,
            head: Vec::new(),
            text: false,
            offset: 0,
            usage: None,
            told: Told::default(),
            losses: Losses::default(),
        }
    }

    fn leave_out(&mut self, block: &Block<'_>) {
        match block {
            Block::Text | Block::Refusal => {}
            Block::Reasoning { .. } => {
                self.losses.lose("choices.reasoning", "text completions have no thoughts");
            }
            Block::Call { .. } => self.losses.lose("choices.tool_calls", "text completions have no tools"),
            Block::Native(native) => {
                self.losses.lose(format!("choices.{}", native.name), "only its provider's dialect has it");
            }
        }
    }

    fn start(&mut self, id: &str, model: &str, created: Option<u64>) {
        let mut head = b"data: {\"id\":".to_vec();
        quote(&mut head, id);
        head.extend_from_slice(b",\"object\":\"text_completion\",\"created\":");
        show(&mut head, created.unwrap_or(0));
        head.extend_from_slice(b",\"model\":");
        quote(&mut head, if model.is_empty() { &self.asked } else { model });
        head.extend_from_slice(b",\"choices\":[");
        self.head = head;
    }

    fn chunk(&self, text: &str, logprobs: &[u8], finish: &str, out: &mut Vec<u8>) {
        out.extend_from_slice(&self.head);
        out.extend_from_slice(b"{\"text\":");
        quote(out, text);
        out.extend_from_slice(b",\"index\":0,\"logprobs\":");
        out.extend_from_slice(logprobs);
        out.extend_from_slice(b",\"finish_reason\":");
        out.extend_from_slice(finish.as_bytes());
        out.extend_from_slice(b"}]}\n\n");
    }

    fn end(&mut self, out: &mut Vec<u8>) {
        if self.told.done {
            return;
        }
        if let Some(usage) = self.usage.take().filter(|_| self.usage_asked && !self.told.usage) {
            out.extend_from_slice(&self.head);
            out.extend_from_slice(b"],\"usage\":");
            Report::of(&usage).write(out);
            out.extend_from_slice(b"}\n\n");
        }
        out.extend_from_slice(b"data: [DONE]\n\n");
    }
}
