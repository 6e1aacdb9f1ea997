//! Whole answers, written from the neutral form.

use bytes::Bytes;
use lockgate_core::Payload;

use super::super::NAME;
use super::super::item::{self, END_MESSAGE, Head, Ids, append, escaped};
use super::super::object::{self, Echo, Own};
use super::super::wire::push_json;
use super::items::{ITEM, NAMESPACE, PHASE};
use crate::neutral::{Call, CallKind, Content, Finish, Logprob, Native, Part, Reasoning, Reply};
use crate::seal::Seal;
use crate::{Losses, Turn};

/// Writes the items of an answer one after the other.
struct Items<'a> {
    ids: Ids,
    out: Vec<u8>,
    count: u64,
    /// The parts of the message under way.
    message: Vec<u8>,
    phase: Option<String>,
    /// The tokens of the whole text; they stand at its first part.
    logprobs: &'a [Logprob],
    status: &'static str,
}

pub(in super::super) fn reply(reply: &Reply, asked: &Turn, losses: &mut Losses) -> Bytes {
    let (status, incomplete) = ending(&reply.finish, has_refusal(&reply.parts));
    let item_status = if status == "incomplete" { "incomplete" } else { "completed" };
    let id = if reply.id.is_empty() { made_id(asked.payload.bytes()) } else { reply.id.clone() };
    let mut items = Items {
        ids: Ids::of(&id),
        out: Vec::new(),
        count: 0,
        message: Vec::new(),
        phase: None,
        logprobs: &reply.logprobs,
        status: item_status,
    };
    for part in &reply.parts {
        items.part(part, losses);
    }
    items.end_message();
    let own = Own {
        id: &id,
        model: &reply.model,
        created: reply.created.unwrap_or(0),
        status,
        incomplete,
        error: None,
        tier: reply.service_tier.as_deref(),
        usage: reply.usage.as_ref(),
        output: &items.out,
    };
    let mut out = Vec::new();
    object::write(&mut out, &own, &Echo::of(asked));
    out.into()
}

/// Status and reason of an answer that ended so.
pub(in super::super) fn ending(finish: &Finish, refusal: bool) -> (&'static str, Option<&'static str>) {
    match finish {
        Finish::Length | Finish::ContextWindow => ("incomplete", Some("max_output_tokens")),
        Finish::Filtered => ("incomplete", Some("content_filter")),
        Finish::Refused if !refusal => ("incomplete", Some("content_filter")),
        Finish::Other(word) => match word.as_str() {
            "queued" => ("queued", None),
            "in_progress" => ("in_progress", None),
            "cancelled" => ("cancelled", None),
            _ => ("completed", None),
        },
        _ => ("completed", None),
    }
}

/// The id of an answer whose provider gave it none.
pub(in super::super) fn made_id(asked: &[u8]) -> String {
    format!("resp_{:016x}", item::hash(&String::from_utf8_lossy(asked)))
}

/// A state that stands beside another thing, for which this dialect has no place but a thought of its own.
pub(in super::super) fn carried(seal: &Seal, by: &str) -> String {
    Seal { kind: format!("{}@{by}", seal.kind).into(), ..seal.clone() }.wrapped()
}

fn has_refusal(parts: &[Part]) -> bool {
    parts.iter().any(|part| matches!(part.content, Content::Refusal(_)))
}

// === impl Items ===

impl Items<'_> {
    fn part(&mut self, part: &Part, losses: &mut Losses) {
        match &part.content {
            Content::Text(text) => {
                let mut annotations = Vec::new();
                for citation in &text.citations {
                    if !append(&mut annotations, |out| item::annotation(out, citation)) {
                        losses.lose("output.annotations", "a source without an address has no form here");
                    }
                }
                let mut logprobs = Vec::new();
                for token in std::mem::take(&mut self.logprobs) {
                    append(&mut logprobs, |out| {
                        push_token(out, token);
                        true
                    });
                }
                append(&mut self.message, |out| {
                    item::text_part(out, &escaped(&text.text), &annotations, &logprobs);
                    true
                });
                if let Some(seal) = &text.seal {
                    self.carry(seal, "text");
                }
            }
            Content::Refusal(refusal) => {
                append(&mut self.message, |out| {
                    item::refusal_part(out, &escaped(refusal));
                    true
                });
            }
            Content::Reasoning(thought) => self.reasoning(thought),
            Content::Call(call) => self.call(call),
            Content::Native(native) if native.dialect == NAME => self.native(native),
            Content::Native(native) => {
                losses.lose(format!("output.{}", native.name), "only the provider's own dialect has it");
            }
            Content::Media(_) => losses.lose("output.media", "answers of this dialect hold no media"),
            Content::Outcome(_) => {
                losses.lose("output.tool_result", "answers of this dialect hold no results");
            }
        }
    }

    fn reasoning(&mut self, thought: &Reasoning) {
        self.end_message();
        let own = thought.seal.as_ref().filter(|seal| &*seal.dialect == NAME && &*seal.kind == ITEM);
        if let Some(item) = own.filter(|seal| Payload::parse(seal.data.clone().into()).is_ok()) {
            self.item(|out, _| out.extend_from_slice(item.data.as_bytes()));
            return;
        }
        // One without a state is marked: its words are no item that the client's own provider knows.
        let state = Some(thought.seal.as_ref().map_or_else(|| Seal::nobodys().wrapped(), Seal::wrapped));
        let text = (!thought.text.is_empty()).then(|| escaped(&thought.text));
        self.item(|out, ids| item::reasoning(out, &ids("rs"), text.as_deref(), state.as_deref()));
    }

    fn call(&mut self, call: &Call) {
        self.end_message();
        let own = call.seal.as_ref().filter(|seal| &*seal.dialect == NAME && &*seal.kind == NAMESPACE);
        let (kind, status) = (if call.kind == CallKind::Function { "fc" } else { "ctc" }, self.status);
        self.item(|out, ids| {
            let head = Head {
                id: &ids(kind),
                status,
                kind: call.kind,
                call_id: &call.id,
                name: &call.name,
                namespace: own.map(|seal| seal.data.as_str()),
            };
            item::call(out, &head, &escaped(&call.arguments));
        });
        if let Some(seal) = call.seal.as_ref().filter(|_| own.is_none()) {
            self.carry(seal, "call");
        }
    }

    fn native(&mut self, native: &Native) {
        if native.name == PHASE {
            self.end_message();
            self.phase = serde_json::from_str(native.json.get()).ok();
        } else if native.name.starts_with("content.") {
            append(&mut self.message, |out| {
                out.extend_from_slice(native.json.get().as_bytes());
                true
            });
        } else {
            self.end_message();
            self.item(|out, _| out.extend_from_slice(native.json.get().as_bytes()));
        }
    }

    fn carry(&mut self, seal: &Seal, by: &str) {
        self.end_message();
        let state = carried(seal, by);
        self.item(|out, ids| item::reasoning(out, &ids("rs"), None, Some(&state)));
    }

    fn end_message(&mut self) {
        if self.message.is_empty() {
            return;
        }
        let (parts, phase, status) = (std::mem::take(&mut self.message), self.phase.take(), self.status);
        self.item(|out, ids| {
            item::begin_message(out, &ids("msg"), status, phase.as_deref());
            out.extend_from_slice(&parts);
            out.extend_from_slice(END_MESSAGE);
        });
    }

    fn item(&mut self, write: impl FnOnce(&mut Vec<u8>, &dyn Fn(&str) -> String)) {
        let (ids, index) = (self.ids.clone(), self.count);
        append(&mut self.out, |out| {
            write(out, &|kind| ids.item(kind, index));
            true
        });
        self.count += 1;
    }
}

/// A token with all its members, as strict readers want them.
pub(in super::super) fn push_token(out: &mut Vec<u8>, token: &Logprob) {
    let mut token = token.clone();
    token.bytes.get_or_insert_with(|| token.token.as_bytes().to_vec());
    for other in &mut token.top_logprobs {
        other.bytes.get_or_insert_with(|| other.token.as_bytes().to_vec());
    }
    push_json(out, &token);
}

#[cfg(test)]
mod tests;
