//! What the model says, in the pieces that requests and answers write.

use std::borrow::Cow;

use serde_json::json;
use serde_json::value::RawValue;

use super::wire::{Called, Item, ToolCall};
use super::{NAME, citation};
use crate::Losses;
use crate::neutral::{Call, CallKind, Content, Part, Text};

/// A message of the assistant's in pieces, shared with whole answers.
#[derive(Default)]
pub(super) struct Spoken<'a> {
    pub(super) items: Vec<Item<'a>>,
    pub(super) plan: Option<Cow<'a, str>>,
    pub(super) calls: Vec<ToolCall<'a>>,
    pub(super) citations: Vec<Box<RawValue>>,
}

pub(super) fn push_text<'a>(text: &'a str, items: &mut Vec<Item<'a>>) {
    if !text.trim().is_empty() {
        items.push(Item::Text { text: Cow::Borrowed(text) });
    }
}

/// An item of this dialect: one in exact words takes the place of what is before it.
pub(super) fn exact<'a>(name: &str, json: &'a RawValue, items: &mut Vec<Item<'a>>) {
    if name == super::response::read::EXACT {
        items.pop();
    }
    items.push(Item::Raw(json));
}

impl<'a> Spoken<'a> {
    /// Adds a part. `calls` says that the message has calls: then its text is the plan of them. `whole` says that it is
    /// an answer and not a request, and keeps all citations.
    pub(super) fn part(
        &mut self,
        part: &'a Part,
        calls: bool,
        whole: bool,
        path: &'static str,
        losses: &mut Losses,
    ) {
        match &part.content {
            Content::Text(text) => self.text(text, calls, whole, path, losses),
            Content::Refusal(text) => push_text(text, &mut self.items),
            Content::Reasoning(reasoning) => {
                if reasoning.seal.is_some() {
                    losses.lose(format!("{path}.reasoning"), "the dialect has no place for another's state");
                }
                // A signed thought means nothing without its state, except to a reader.
                if !reasoning.text.is_empty() && (whole || (reasoning.seal.is_none() && !reasoning.summary)) {
                    self.items.push(Item::Thinking { thinking: &reasoning.text });
                } else if !reasoning.text.is_empty() {
                    losses.lose(
                        format!("{path}.reasoning"),
                        "the target takes only thoughts in full and unsigned",
                    );
                }
            }
            Content::Call(call) => {
                if call.seal.is_some() {
                    losses.lose(format!("{path}.signature"), "the dialect has no place for another's state");
                }
                self.calls.push(tool_call(call, losses));
            }
            Content::Native(native) if native.dialect == NAME => {
                exact(&native.name, &native.json, &mut self.items);
            }
            Content::Native(native) => {
                losses.lose(format!("{path}.{}", native.name), "only its own dialect has it");
            }
            Content::Media(_) => {
                losses.lose(format!("{path}.media"), "the dialect takes none from the model");
            }
            Content::Outcome(_) => {
                losses.lose(format!("{path}.tool_result"), "the dialect takes none from the model");
            }
        }
    }

    fn text(&mut self, text: &'a Text, calls: bool, whole: bool, path: &'static str, losses: &mut Losses) {
        let at = self.items.len();
        if calls {
            if !text.text.trim().is_empty() {
                let plan = self.plan.get_or_insert(Cow::Borrowed(""));
                if plan.is_empty() {
                    *plan = Cow::Borrowed(&text.text);
                } else {
                    plan.to_mut().push_str(&text.text);
                }
            }
        } else if whole && !text.text.is_empty() {
            self.items.push(Item::Text { text: Cow::Borrowed(&text.text) });
        } else {
            push_text(&text.text, &mut self.items);
        }
        for cited in &text.citations {
            let own = cited.native.as_ref().is_some_and(|native| native.dialect == NAME);
            if own || whole {
                self.citations.extend(citation::write(cited, Some(text), at));
            } else {
                losses.lose("messages.citations", "the target takes only its own");
            }
        }
        if text.seal.is_some() {
            losses.lose(format!("{path}.signature"), "the dialect has no place for another's state");
        }
    }
}

/// A call; its arguments are JSON text.
fn tool_call<'a>(call: &'a Call, losses: &mut Losses) -> ToolCall<'a> {
    let object =
        serde_json::from_str::<&RawValue>(&call.arguments).is_ok_and(|raw| raw.get().starts_with('{'));
    let arguments = if call.kind == CallKind::Custom {
        Cow::Owned(json!({ "input": call.arguments }).to_string())
    } else if object {
        Cow::Borrowed(call.arguments.as_str())
    } else if ["", "null"].contains(&call.arguments.trim()) {
        Cow::Borrowed("{}")
    } else {
        losses.lose(
            "messages.tool_calls.arguments",
            "the target wants an object; what is none is its \"input\"",
        );
        Cow::Owned(json!({ "input": call.arguments }).to_string())
    };
    ToolCall {
        id: Some(Cow::Borrowed(&call.id)),
        r#type: "function",
        function: Called { name: Some(Cow::Borrowed(&call.name)), arguments: Some(arguments) },
    }
}
