//! Blocks of a streamed answer, one open at a time. Providers may write several calls at once, piece by piece; what
//! comes for another block than the open one waits until that is over.

use std::borrow::Cow;
use std::collections::VecDeque;

use lockgate_core::{Error, Kind};
use serde_json::value::RawValue;

use crate::neutral::{Block, CallKind, Citation, Delta, Logprob, Native};
use crate::openai_chat::reasoning;
use crate::seal::{Origin, Seal};

/// Bytes that may wait.
const MOST_BYTES: usize = 16 << 20;
/// Blocks that may wait.
const MOST_BLOCKS: usize = 1_024;
/// Members of the state of a thought.
const MOST_MEMBERS: usize = 32;

/// What a block is, so that more of it is known as such.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Key {
    Text,
    Refusal,
    /// Plain words of the member `reasoning_content` or `reasoning`, or of a part.
    Words(&'static str),
    /// An entry of `reasoning_details` by its type and index.
    Entry(String, Option<u64>),
    /// A call by its place among the calls.
    Call(usize),
    /// A block that comes whole.
    Whole,
}

/// A block under way.
#[derive(Debug)]
pub(super) struct Live {
    key: Key,
    what: What,
    opened: bool,
    /// What waits for the block to be opened.
    text: String,
    citations: Vec<Citation>,
    /// Its state, if it came whole.
    seal: Option<Seal>,
    /// The members of its state, if they come with its pieces.
    members: Vec<(String, Box<RawValue>)>,
    balance: Balance,
}

#[derive(Debug)]
enum What {
    Text,
    Refusal,
    Thought { summary: bool },
    Call { id: String, name: String, kind: CallKind },
    Native(Option<Native>),
}

/// The blocks under way; only the first can be open.
#[derive(Debug, Default)]
pub(super) struct Queue {
    blocks: VecDeque<Live>,
    held: usize,
}

type Sink<'s> = &'s mut dyn FnMut(Delta<'_>);

// === impl Live ===

impl Live {
    fn new(key: Key, what: What) -> Self {
        Self {
            key,
            what,
            opened: false,
            text: String::new(),
            citations: Vec::new(),
            seal: None,
            members: Vec::new(),
            balance: Balance::default(),
        }
    }

    pub(super) fn text() -> Self {
        Self::new(Key::Text, What::Text)
    }

    pub(super) fn refusal() -> Self {
        Self::new(Key::Refusal, What::Refusal)
    }

    /// A thought with a state that is known already, or with members of one that come with its pieces.
    pub(super) fn thought(key: Key, summary: bool, seal: Option<Seal>) -> Self {
        Self { seal, ..Self::new(key, What::Thought { summary }) }
    }

    pub(super) fn call(at: usize, id: String, name: String, kind: CallKind) -> Self {
        Self::new(Key::Call(at), What::Call { id, name, kind })
    }

    pub(super) fn native(native: Native) -> Self {
        Self::new(Key::Whole, What::Native(Some(native)))
    }

    /// With a state that is known from its beginning.
    pub(super) fn sealed(&mut self, seal: Option<Seal>) {
        self.seal = seal;
    }

    /// Whether it can be opened: a call needs its name.
    const fn ready(&self) -> bool {
        match &self.what {
            What::Call { name, .. } => !name.is_empty(),
            _ => true,
        }
    }

    /// Whether nothing more comes, if something else has begun.
    const fn over(&self) -> bool {
        match &self.what {
            What::Call { kind: CallKind::Function, .. } => self.balance.complete,
            _ => true,
        }
    }

    fn open(&mut self, sink: Sink<'_>) {
        self.opened = true;
        sink(Delta::Open(match &mut self.what {
            What::Text => Block::Text,
            What::Refusal => Block::Refusal,
            What::Thought { summary } => Block::Reasoning { summary: *summary },
            What::Call { id, name, kind } => {
                Block::Call { id: Cow::Borrowed(id), name: Cow::Borrowed(name), kind: *kind }
            }
            What::Native(native) => match native.take() {
                Some(native) => Block::Native(native),
                None => Block::Text,
            },
        }));
        // A call's state is known to clients best before its arguments.
        if matches!(self.what, What::Call { .. })
            && let Some(seal) = self.seal.take()
        {
            sink(Delta::Seal(seal));
        }
        if !self.text.is_empty() {
            sink(Delta::Text(Cow::Owned(std::mem::take(&mut self.text))));
        }
        for citation in self.citations.drain(..) {
            sink(Delta::Citation(citation));
        }
    }

    fn close(mut self, origin: &Origin, sink: Sink<'_>) {
        if let Key::Entry(kind, _) = &self.key {
            let members = std::mem::take(&mut self.members);
            let mut out = Vec::new();
            let mut object = crate::openai_chat::json::Object::open(&mut out);
            for (name, value) in &members {
                object.raw(name, value.get());
            }
            object.close();
            let data = String::from_utf8(out).unwrap_or_default();
            self.seal = Some(reasoning::own(Some(origin), kind, data));
        }
        if let Some(seal) = self.seal.take() {
            sink(Delta::Seal(seal));
        }
        sink(Delta::Close);
    }
}

// === impl Queue ===

impl Queue {
    /// The block that more of this kind belongs to. Everything but calls goes on only where it is the last.
    pub(super) fn find(&self, key: &Key) -> Option<usize> {
        match key {
            Key::Call(_) => self.blocks.iter().rposition(|block| block.key == *key),
            Key::Whole => None,
            _ => self.blocks.back().filter(|block| block.key == *key).map(|_| self.blocks.len() - 1),
        }
    }

    /// Begins a block behind the others; says where it is now.
    pub(super) fn begin(&mut self, live: Live, origin: &Origin, sink: Sink<'_>) -> Result<usize, Error> {
        if self.blocks.len() >= MOST_BLOCKS {
            return Err(bad("too many calls at once"));
        }
        self.blocks.push_back(live);
        self.advance(origin, sink);
        Ok(self.blocks.len().saturating_sub(1))
    }

    /// More text of a block.
    pub(super) fn text(&mut self, at: usize, text: Cow<'_, str>, sink: Sink<'_>) -> Result<(), Error> {
        let Some(block) = self.blocks.get_mut(at) else { return Ok(()) };
        if matches!(block.key, Key::Call(_)) {
            block.balance.read(text.as_bytes());
        }
        if block.opened {
            sink(Delta::Text(text));
            return Ok(());
        }
        self.held += text.len();
        if self.held > MOST_BYTES {
            return Err(bad("too much of several calls at once"));
        }
        block.text.push_str(&text);
        Ok(())
    }

    /// More of a call's head, which may come late.
    pub(super) fn head(
        &mut self,
        at: usize,
        called: &str,
        kind: CallKind,
        seal: Option<Seal>,
        sink: Sink<'_>,
    ) {
        let Some(block) = self.blocks.get_mut(at) else { return };
        if let What::Call { name, kind: of, .. } = &mut block.what
            && !block.opened
        {
            if name.is_empty() {
                called.clone_into(name);
            }
            *of = kind;
        }
        match seal {
            // A thought's is given when it ends.
            Some(seal) if block.opened && matches!(block.what, What::Call { .. }) => sink(Delta::Seal(seal)),
            Some(seal) => block.seal = Some(seal),
            None => {}
        }
    }

    /// Nothing more belongs to a block: the next of its kind is another.
    pub(super) fn finish(&mut self, at: usize) {
        if let Some(block) = self.blocks.get_mut(at) {
            block.key = Key::Whole;
        }
    }

    /// A source of a block.
    pub(super) fn cite(&mut self, at: usize, citation: Citation, sink: Sink<'_>) {
        let Some(block) = self.blocks.get_mut(at) else { return };
        if block.opened {
            sink(Delta::Citation(citation));
        } else {
            block.citations.push(citation);
        }
    }

    /// Tokens of the open text. Those of one that waits are given up: they would have to wait as well.
    pub(super) fn logprobs(&mut self, tokens: Vec<Logprob>, sink: Sink<'_>) {
        let text = self.blocks.front().is_some_and(|block| block.opened && block.key == Key::Text);
        if text && !tokens.is_empty() {
            sink(Delta::Logprobs(tokens));
        }
    }

    /// A member of a thought's state.
    pub(super) fn member(&mut self, at: usize, name: &str, value: &RawValue) {
        let Some(block) = self.blocks.get_mut(at) else { return };
        let full = block.members.len() >= MOST_MEMBERS;
        match block.members.iter_mut().find(|(other, _)| other == name) {
            // Some providers say in every piece but one that there is no signature.
            Some((_, held)) if held.get() == value.get() || matches!(value.get(), "null" | "\"\"") => {}
            Some((_, held)) => *held = value.to_owned(),
            None if full => {}
            None => block.members.push((name.to_owned(), value.to_owned())),
        }
    }

    /// Opens and closes what can be.
    pub(super) fn advance(&mut self, origin: &Origin, sink: Sink<'_>) {
        while let Some(front) = self.blocks.front_mut() {
            if !front.opened {
                if !front.ready() {
                    return;
                }
                self.held = self.held.saturating_sub(front.text.len());
                front.open(sink);
            }
            if self.blocks.len() == 1 || !self.blocks.front().is_some_and(Live::over) {
                return;
            }
            if let Some(done) = self.blocks.pop_front() {
                done.close(origin, sink);
            }
        }
    }

    /// Ends everything.
    pub(super) fn close(&mut self, origin: &Origin, sink: Sink<'_>) -> Result<(), Error> {
        while let Some(mut block) = self.blocks.pop_front() {
            if !block.opened {
                if !block.ready() {
                    return Err(bad("a call without a name"));
                }
                block.open(sink);
            }
            block.close(origin, sink);
        }
        self.held = 0;
        Ok(())
    }
}

pub(super) fn bad(why: &str) -> Error {
    Error::upstream(Kind::UpstreamBadAnswer, "The provider's stream cannot be understood.")
        .detail(why.to_owned())
}

// === balance ===

/// Whether the JSON of arguments has come to its end, followed as it comes.
#[derive(Debug, Default)]
struct Balance {
    depth: u32,
    in_text: bool,
    escaped: bool,
    complete: bool,
}

impl Balance {
    fn read(&mut self, bytes: &[u8]) {
        for byte in bytes {
            if self.in_text {
                match byte {
                    _ if self.escaped => self.escaped = false,
                    b'\\' => self.escaped = true,
                    b'"' => self.in_text = false,
                    _ => {}
                }
                continue;
            }
            match byte {
                b'"' => self.in_text = true,
                b'{' | b'[' => self.depth = self.depth.saturating_add(1),
                b'}' | b']' => {
                    self.depth = self.depth.saturating_sub(1);
                    self.complete |= self.depth == 0;
                }
                _ if byte.is_ascii_whitespace() => {}
                // What is neither object nor list has no end to be seen: it ends where something else begins.
                _ => self.complete |= self.depth == 0,
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn arguments_are_complete_at_their_last_bracket() {
        for (pieces, complete) in [
            (&["{\"a\":\"}", "\\\"", "\"", "}"][..], true),
            (&["{\"a\":{}"][..], false),
            (&["{", "}"][..], true),
            (&["", " "][..], false),
            (&["null"][..], true),
        ] {
            let mut balance = Balance::default();
            for piece in pieces {
                balance.read(piece.as_bytes());
            }
            assert_eq!(balance.complete, complete, "{pieces:?}");
        }
    }
}
