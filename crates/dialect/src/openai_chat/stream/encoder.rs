//! A neutral answer as a stream of chunks.

use lockgate_core::Usage;

use crate::neutral::{Block, CallKind, Delta, Finish, Reasoning};
use crate::openai_chat::json::{Object, quote, show};
use crate::openai_chat::reasoning::{self, is_foreign, write_signature};
use crate::openai_chat::response::write::{asks_functions, finish_word, write_citation, write_logprobs};
use crate::openai_chat::stream::told::Told;
use crate::openai_chat::wire::Report;
use crate::openai_chat::{NAME, ids};
use crate::seal::Seal;
use crate::{Encoder, Losses, Turn, tier};

/// Words of one thought that are kept for its state, in bytes; the state of a longer one is not written.
const LONGEST_THOUGHT: usize = 4 << 20;

/// Writes a chat stream.
#[derive(Debug)]
pub(crate) struct ChatEncoder {
    asked: String,
    /// The id for an answer that comes without one.
    spare_id: String,
    usage_asked: bool,
    /// The client knows calls in the form before tools: one, without an id.
    legacy: bool,
    /// How every chunk begins, up to what is in its `delta`.
    head: Vec<u8>,
    /// How one without choices begins.
    bare: Vec<u8>,
    open: Open,
    calls: u64,
    /// Entries of `reasoning_details` so far.
    entries: u64,
    refused: bool,
    /// Sources so far, as JSON texts with commas between. They go out together: clients that put a message together take a
    /// second list for an error, or for all there is.
    annotations: Vec<u8>,
    usage: Option<Usage>,
    tier: Option<String>,
    told: Told,
    losses: Losses,
}

#[derive(Debug, Default)]
enum Open {
    #[default]
    None,
    Text,
    Refusal,
    Thought {
        summary: bool,
        words: String,
        whole: bool,
    },
    /// The head of a call is written with what comes next, so that a signature can be in it.
    Call {
        index: u64,
        kind: CallKind,
        head: Option<(String, String)>,
        words: bool,
    },
    /// A second call for a client that takes one, or a block of another dialect.
    Silent,
}

// === impl ChatEncoder ===

impl Encoder for ChatEncoder {
    fn delta(&mut self, delta: Delta<'_>, out: &mut Vec<u8>) {
        match delta {
            Delta::Start { id, model, created } => self.start(&id, &model, created, out),
            Delta::Open(block) => self.open(block, out),
            Delta::Text(text) => self.text(&text, out),
            Delta::Seal(seal) => self.seal(&seal, out),
            Delta::Citation(citation) if citation.url.is_some() => {
                if !self.annotations.is_empty() {
                    self.annotations.push(b',');
                }
                write_citation(&mut self.annotations, &citation);
            }
            Delta::Citation(_) => self.losses.lose("message.annotations", "a source without an address"),
            Delta::Logprobs(tokens) => {
                out.extend_from_slice(&self.head);
                out.extend_from_slice(b"},\"logprobs\":");
                write_logprobs(out, &tokens);
                out.extend_from_slice(b",\"finish_reason\":null}]}\n\n");
            }
            Delta::Close => self.close(out),
            Delta::Usage(usage) => self.usage = Some(usage),
            Delta::Tier(tier) => self.tier = Some(tier.into_owned()),
            Delta::Finish(_) if self.told.finish => {}
            Delta::Finish(finish) => {
                if matches!(finish, Finish::Paused | Finish::Other(_)) {
                    self.losses.lose("finish_reason", "there is no word for this end");
                }
                self.annotations(out);
                out.extend_from_slice(&self.head);
                out.extend_from_slice(b"},\"finish_reason\":\"");
                out.extend_from_slice(finish_word(&finish, self.refused, self.legacy).as_bytes());
                out.extend_from_slice(b"\"}]");
                self.tier(out);
                out.extend_from_slice(b"}\n\n");
            }
            Delta::End => self.end(out),
        }
    }

    fn sent(&mut self, _: &str, data: &[u8]) -> bool {
        self.told.read(data)
    }

    fn losses(&self) -> &Losses {
        &self.losses
    }
}

impl ChatEncoder {
    pub(crate) fn new(asked: &Turn) -> Self {
        Self {
            asked: asked.model.to_string(),
            spare_id: ids::of_answer("", asked),
            usage_asked: asked.usage_asked,
            legacy: asks_functions(asked),
            head: Vec::new(),
            bare: Vec::new(),
            open: Open::None,
            calls: 0,
            entries: 0,
            refused: false,
            annotations: Vec::new(),
            usage: None,
            tier: None,
            told: Told::default(),
            losses: Losses::default(),
        }
    }

    fn start(&mut self, id: &str, model: &str, created: Option<u64>, out: &mut Vec<u8>) {
        let mut bare = b"data: {\"id\":".to_vec();
        quote(&mut bare, if id.is_empty() { &self.spare_id } else { id });
        bare.extend_from_slice(b",\"object\":\"chat.completion.chunk\",\"created\":");
        show(&mut bare, created.unwrap_or(0));
        bare.extend_from_slice(b",\"model\":");
        quote(&mut bare, if model.is_empty() { &self.asked } else { model });
        bare.extend_from_slice(b",\"choices\":[");
        self.head.clone_from(&bare);
        self.head.extend_from_slice(b"{\"index\":0,\"delta\":{");
        self.bare = bare;
        self.chunk(out, |out| out.extend_from_slice(b"\"role\":\"assistant\",\"content\":\"\""));
    }

    /// A chunk with these members in its `delta`.
    fn chunk(&self, out: &mut Vec<u8>, members: impl FnOnce(&mut Vec<u8>)) {
        out.extend_from_slice(&self.head);
        members(out);
        out.extend_from_slice(b"},\"finish_reason\":null}]}\n\n");
    }

    fn annotations(&mut self, out: &mut Vec<u8>) {
        let annotations = std::mem::take(&mut self.annotations);
        if !annotations.is_empty() {
            self.chunk(out, |out| {
                out.extend_from_slice(b"\"annotations\":[");
                out.extend_from_slice(&annotations);
                out.push(b']');
            });
        }
    }

    fn open(&mut self, block: Block<'_>, out: &mut Vec<u8>) {
        self.open = match block {
            Block::Text => Open::Text,
            Block::Refusal => {
                self.refused = true;
                Open::Refusal
            }
            Block::Reasoning { summary } => Open::Thought { summary, words: String::new(), whole: true },
            Block::Call { .. } if self.legacy && self.calls > 0 => {
                self.losses.lose("message.tool_calls", "a client of functions takes one call");
                Open::Silent
            }
            Block::Call { id, name, kind } => {
                let index = self.calls;
                self.calls += 1;
                let head = Some((id.into_owned(), name.into_owned()));
                Open::Call { index, kind, head, words: false }
            }
            Block::Native(native) => {
                if native.dialect == NAME && !native.name.contains('.') {
                    self.chunk(out, |out| {
                        quote(out, &native.name);
                        out.push(b':');
                        let start = out.len();
                        out.extend_from_slice(native.json.get().as_bytes());
                        crate::sse::one_line(&mut out[start..]);
                    });
                } else {
                    self.losses
                        .lose(format!("message.{}", native.name), "only its provider's dialect has it");
                }
                Open::Silent
            }
        };
    }

    fn text(&mut self, text: &str, out: &mut Vec<u8>) {
        let member: &[u8] = match &mut self.open {
            Open::Text => b"\"content\":",
            Open::Refusal => b"\"refusal\":",
            Open::Thought { words, whole, .. } => {
                *whole &= words.len() + text.len() <= LONGEST_THOUGHT;
                if *whole {
                    words.push_str(text);
                }
                b"\"reasoning_content\":"
            }
            Open::Call { .. } => return self.arguments(text, None, out),
            Open::Silent | Open::None => return,
        };
        out.extend_from_slice(&self.head);
        out.extend_from_slice(member);
        quote(out, text);
        out.extend_from_slice(b"},\"finish_reason\":null}]}\n\n");
    }

    /// A piece of the open call: its head, if that was not written yet, its signature and more of its arguments.
    fn arguments(&mut self, text: &str, seal: Option<&Seal>, out: &mut Vec<u8>) {
        let Open::Call { index, kind, head, words } = &mut self.open else { return };
        let (index, kind, head) = (*index, *kind, head.take());
        *words |= !text.trim().is_empty();
        if self.legacy {
            self.chunk(out, |out| {
                out.extend_from_slice(b"\"function_call\":");
                let mut function = Object::open(out);
                if let Some((_, name)) = &head {
                    function.text("name", name);
                }
                function.text("arguments", text);
                function.close();
            });
            return;
        }
        let (kind, member) = match kind {
            CallKind::Function => ("function", "arguments"),
            CallKind::Custom => ("custom", "input"),
        };
        self.chunk(out, |out| {
            out.extend_from_slice(b"\"tool_calls\":[");
            let mut call = Object::open(out);
            call.show("index", index);
            if let Some((id, _)) = &head {
                call.text("id", id);
                call.text("type", kind);
            }
            let mut inner = Object::open(call.member(kind));
            if let Some((_, name)) = &head {
                inner.text("name", name);
            }
            inner.text(member, text);
            inner.close();
            if let Some(seal) = seal {
                write_signature(call.member("extra_content"), seal);
            }
            call.close();
            out.push(b']');
        });
    }

    fn seal(&mut self, seal: &Seal, out: &mut Vec<u8>) {
        match &mut self.open {
            Open::Call { .. } => self.arguments("", Some(seal), out),
            Open::Thought { summary, words, whole } => {
                if !*whole {
                    let why = "the thought is too long to be repeated with its state";
                    return self.losses.lose("message.reasoning_details", why);
                }
                let (text, summary) = (std::mem::take(words), *summary);
                self.state(&Reasoning { text, summary, seal: None }, seal, out);
            }
            Open::Text => self.signature(seal, out),
            Open::Refusal | Open::Silent | Open::None => {}
        }
    }

    fn signature(&self, seal: &Seal, out: &mut Vec<u8>) {
        self.chunk(out, |out| {
            out.extend_from_slice(b"\"extra_content\":");
            write_signature(out, seal);
        });
    }

    /// The state of a thought, with all its words once more: it counts only together with them.
    fn state(&mut self, thought: &Reasoning, seal: &Seal, out: &mut Vec<u8>) {
        if !is_foreign(seal) && seal.kind.starts_with("message.") {
            return self.signature(seal, out);
        }
        let mut items = Vec::new();
        let name: &[u8] = if is_foreign(seal) {
            self.entries += reasoning::foreign(&mut items, thought, seal, self.entries);
            b"\"reasoning_details\":["
        } else if *seal.kind == *"thinking" || *seal.kind == *"redacted_thinking" {
            reasoning::write_block(&mut items, thought, seal);
            b"\"thinking_blocks\":["
        } else {
            self.entries += 1;
            let _ = reasoning::entry(&mut items, &seal.kind, &thought.text, &seal.data);
            b"\"reasoning_details\":["
        };
        if !items.is_empty() {
            self.chunk(out, |out| {
                out.extend_from_slice(name);
                out.extend_from_slice(&items);
                out.push(b']');
            });
        }
    }

    fn close(&mut self, out: &mut Vec<u8>) {
        if let Open::Call { kind, head, words, .. } = &self.open {
            // Clients parse arguments, so none are an empty object.
            let bare = *kind == CallKind::Function && !*words;
            if bare || head.is_some() {
                self.arguments(if bare { "{}" } else { "" }, None, out);
            }
        }
        self.open = Open::None;
    }

    fn tier(&self, out: &mut Vec<u8>) {
        if let Some(tier) = self.tier.as_deref().and_then(tier::openai) {
            out.extend_from_slice(b",\"service_tier\":");
            quote(out, tier);
        }
    }

    fn end(&mut self, out: &mut Vec<u8>) {
        if self.told.done {
            return;
        }
        if let Some(usage) = self.usage.take().filter(|_| self.usage_asked && !self.told.usage) {
            out.extend_from_slice(&self.bare);
            out.extend_from_slice(b"],\"usage\":");
            Report::of(&usage).write(out);
            self.tier(out);
            out.extend_from_slice(b"}\n\n");
        }
        out.extend_from_slice(b"data: [DONE]\n\n");
    }
}
