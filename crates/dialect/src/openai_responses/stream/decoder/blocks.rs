//! The blocks of an answer: what opens, fills and closes them.

use std::borrow::Cow;

use serde_json::value::RawValue;

use super::{Begun, Open, ResponsesDecoder, Sink};
use crate::neutral::{Block, CallKind, Delta};
use crate::openai_responses::response::items;
use crate::openai_responses::wire::{OutItem, Str};

impl ResponsesDecoder {
    /// More of a part.
    pub(super) fn text(
        &mut self,
        index: u64,
        at: u64,
        open: Open,
        text: Option<&Str<'_>>,
        sink: &mut Sink<'_>,
    ) {
        let Some(Str(text)) = text.filter(|Str(text)| !text.is_empty()) else { return };
        self.part(index, at, open, sink);
        // A call whose beginning was not told has its name only at its end.
        if self.open != Some(open) {
            return;
        }
        self.say(Cow::Borrowed(text), sink);
        self.with(index, |begun| (begun.given, begun.part_given) = (true, true));
    }

    /// All of a part, given if nothing was.
    pub(super) fn rest(&mut self, index: u64, at: u64, open: Open, text: &str, sink: &mut Sink<'_>) {
        let known = self.begun.get(&index).is_some_and(|begun| begun.part == at && begun.part_given);
        let later = self.begun.get(&index).is_some_and(|begun| begun.part > at);
        if known || later || text.is_empty() {
            return;
        }
        self.part(index, at, open, sink);
        self.say(Cow::Borrowed(text), sink);
        self.with(index, |begun| (begun.given, begun.part_given) = (true, true));
    }

    /// Tokens of the open text; `whole` where they may repeat what came in pieces.
    pub(super) fn tokens(&mut self, index: u64, raw: Option<&RawValue>, whole: bool, sink: &mut Sink<'_>) {
        let given = self.begun.get(&index).is_some_and(|begun| begun.tokens);
        if self.open != Some(Open::Text) || whole && given {
            return;
        }
        let tokens = items::tokens(raw);
        if !tokens.is_empty() {
            sink(Delta::Logprobs(tokens));
            self.with(index, |begun| begun.tokens = true);
        }
    }

    /// Turns to a part of the item that speaks, in a block of its kind.
    pub(super) fn part(&mut self, index: u64, at: u64, open: Open, sink: &mut Sink<'_>) {
        let Some(begun) = self.begun.get_mut(&index) else { return };
        let (turned, given) = (begun.part != at, begun.given);
        if turned {
            *begun = Begun { part: at, part_given: false, citations: 0, tokens: false, ..*begun };
        }
        if turned && given && self.open == Some(open) {
            if open == Open::Summary {
                // The parts of a summary are one thought.
                sink(Delta::Text(Cow::Borrowed("\n\n")));
            } else {
                self.close(sink);
            }
        }
        self.block(open, sink);
    }

    pub(super) fn block(&mut self, open: Open, sink: &mut Sink<'_>) {
        if self.open == Some(open) {
            return;
        }
        self.close(sink);
        let block = match open {
            Open::Text => Block::Text,
            Open::Refusal => Block::Refusal,
            Open::Summary => Block::Reasoning { summary: true },
            Open::Thought => Block::Reasoning { summary: false },
            // A call begins by its name, see `open_call`.
            Open::Call => return,
        };
        match open {
            Open::Text => self.said.text = true,
            Open::Refusal => self.said.refusal = true,
            _ => {}
        }
        self.open = Some(open);
        self.given = true;
        sink(Delta::Open(block));
    }

    pub(super) fn open_call(&mut self, kind: CallKind, item: &OutItem<'_>, sink: &mut Sink<'_>) {
        self.close(sink);
        self.open = Some(Open::Call);
        self.given = true;
        self.said.calls = true;
        let name = item.name.as_ref().map(|Str(name)| Cow::Borrowed(name.as_ref())).unwrap_or_default();
        sink(Delta::Open(Block::Call { id: items::call_id(item), name, kind }));
    }

    pub(super) fn say(&mut self, text: Cow<'_, str>, sink: &mut Sink<'_>) {
        if !text.is_empty() && self.open.is_some() {
            sink(Delta::Text(text));
        }
    }

    pub(super) fn close(&mut self, sink: &mut Sink<'_>) {
        if self.open.take().is_some() {
            sink(Delta::Close);
        }
    }

    pub(super) fn with(&mut self, index: u64, change: impl FnOnce(&mut Begun)) {
        if let Some(begun) = self.begun.get_mut(&index) {
            change(begun);
        }
    }
}
