//! What a stream has said so far, kept where another endpoint may have to go on with it.

use std::borrow::Cow;

use lockgate_dialect::neutral::{Block, Delta};

/// The words of an answer under way, and whether it can be gone on with.
#[derive(Clone, Debug, Default)]
pub(crate) struct Transcript {
    /// All text.
    pub(crate) text: String,
    /// The block that is open for the client.
    pub(crate) open: Open,
    /// The model has thought aloud.
    pub(crate) thought: bool,
    /// It holds what cannot be handed over: a call, a refusal, a block of one dialect.
    pub(crate) bound: bool,
    /// The reason to finish was told.
    pub(crate) finished: bool,
}

/// Which block is open.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum Open {
    #[default]
    Nothing,
    Text,
    Thought,
    Other,
}

/// The longest text that is handed over, in bytes.
const MOST: usize = 1 << 20;

impl Transcript {
    /// Takes note of what goes to the client.
    pub(crate) fn note(&mut self, delta: &Delta<'_>) {
        match delta {
            Delta::Open(block) => {
                self.open = match block {
                    Block::Text => Open::Text,
                    Block::Reasoning { .. } => Open::Thought,
                    Block::Call { .. } | Block::Native(_) | Block::Refusal => {
                        self.bound = true;
                        Open::Other
                    }
                };
            }
            Delta::Text(text) => match self.open {
                Open::Text => {
                    self.text.push_str(text);
                    self.bound |= self.text.len() > MOST;
                }
                Open::Thought => self.thought |= !text.is_empty(),
                Open::Nothing | Open::Other => {}
            },
            Delta::Close => self.open = Open::Nothing,
            Delta::Finish(_) => self.finished = true,
            _ => {}
        }
    }
}

/// The same delta with its words its own.
pub(crate) fn owned(delta: Delta<'_>) -> Delta<'static> {
    let own = |text: Cow<'_, str>| Cow::Owned(text.into_owned());
    match delta {
        Delta::Start { id, model, created } => Delta::Start { id: own(id), model: own(model), created },
        Delta::Open(Block::Call { id, name, kind }) => {
            Delta::Open(Block::Call { id: own(id), name: own(name), kind })
        }
        Delta::Open(Block::Text) => Delta::Open(Block::Text),
        Delta::Open(Block::Refusal) => Delta::Open(Block::Refusal),
        Delta::Open(Block::Reasoning { summary }) => Delta::Open(Block::Reasoning { summary }),
        Delta::Open(Block::Native(native)) => Delta::Open(Block::Native(native)),
        Delta::Text(text) => Delta::Text(own(text)),
        Delta::Seal(seal) => Delta::Seal(seal),
        Delta::Citation(citation) => Delta::Citation(citation),
        Delta::Logprobs(tokens) => Delta::Logprobs(tokens),
        Delta::Close => Delta::Close,
        Delta::Usage(usage) => Delta::Usage(usage),
        Delta::Tier(tier) => Delta::Tier(own(tier)),
        Delta::Finish(finish) => Delta::Finish(finish),
        Delta::End => Delta::End,
    }
}
