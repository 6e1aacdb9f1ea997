//! Requests out of the neutral form.

use std::borrow::Cow;

use bytes::Bytes;
use lockgate_core::{Error, Kind, Retry};
use serde::Serialize;
use serde_json::value::RawValue;
use serde_json::{Number, json};

use super::super::NAME;
use super::super::spoken::{Spoken, exact, push_text};
use super::super::wire::{ImageUrl, Item, ToolCall};
use crate::neutral::{
    Content, Function, Media, MediaKind, Outcome, Output, Part, Request, Source, Tool, ToolChoice,
};
use crate::pairing::{Conversation, Piece};
use crate::{Losses, Target};

/// Texts that may end an answer.
const MOST_STOPS: usize = 5;

#[derive(Serialize)]
struct WireMessage<'a> {
    role: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    tool_call_id: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    content: Option<Said<'a>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    tool_plan: Option<Cow<'a, str>>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    tool_calls: Vec<ToolCall<'a>>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    citations: Vec<Box<RawValue>>,
}

#[derive(Serialize)]
#[serde(untagged)]
enum Said<'a> {
    Plain(Cow<'a, str>),
    Items(Vec<Item<'a>>),
}

#[derive(Serialize)]
#[serde(tag = "type", rename_all = "snake_case")]
enum WireTool<'a> {
    Function {
        function: WireFunction<'a>,
    },
    #[serde(untagged)]
    Raw(&'a RawValue),
}

#[derive(Serialize)]
struct WireFunction<'a> {
    name: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    description: Option<&'a str>,
    parameters: Cow<'a, RawValue>,
}

#[derive(Serialize)]
struct Format<'a> {
    r#type: &'static str,
    json_schema: &'a RawValue,
}

struct Writer<'a, 'l> {
    request: &'a Request,
    losses: &'l mut Losses,
    messages: Vec<WireMessage<'a>>,
    documents: Vec<Box<RawValue>>,
}

pub(in super::super) fn write(
    request: &Request,
    target: &Target<'_>,
    losses: &mut Losses,
) -> Result<Bytes, Error> {
    let mut writer = Writer { request, losses, messages: Vec::new(), documents: Vec::new() };
    writer.conversation()?;
    let mut out = Object(b"{".to_vec());
    out.set("model", target.model);
    if target.stream {
        out.set("stream", &true);
    }
    out.set("messages", &writer.messages);
    writer.tools(&mut out);
    writer.output(&mut out);
    writer.sampling(&mut out);
    writer.thinking(target.model, &mut out);
    writer.rest(&mut out);
    Ok(out.finish())
}

/// Writes an object member by member.
struct Object(Vec<u8>);

impl Object {
    /// Adds a member. A value of our own types always serialises.
    fn set<T: Serialize + ?Sized>(&mut self, name: &str, value: &T) {
        if self.0.len() > 1 {
            self.0.push(b',');
        }
        let _ = serde_json::to_writer(&mut self.0, name);
        self.0.push(b':');
        let _ = serde_json::to_writer(&mut self.0, value);
    }

    fn finish(mut self) -> Bytes {
        self.0.push(b'}');
        self.0.into()
    }
}

impl<'a> WireMessage<'a> {
    fn of(role: &'static str, items: Vec<Item<'a>>) -> Self {
        let content = Some(said(items));
        Self {
            role,
            tool_call_id: None,
            content,
            tool_plan: None,
            tool_calls: Vec::new(),
            citations: Vec::new(),
        }
    }
}

/// One text is plain, all else a list.
fn said(mut items: Vec<Item<'_>>) -> Said<'_> {
    match items.pop() {
        Some(Item::Text { text }) if items.is_empty() => Said::Plain(text),
        Some(last) => {
            items.push(last);
            Said::Items(items)
        }
        None => Said::Plain(Cow::Borrowed("")),
    }
}

impl<'a> Writer<'a, '_> {
    fn conversation(&mut self) -> Result<(), Error> {
        let conversation = Conversation::of(&self.request.messages);
        let mut system = Vec::new();
        for part in conversation.system {
            match &part.content {
                Content::Text(text) => push_text(&text.text, &mut system),
                Content::Native(native) if native.dialect == NAME => system.push(Item::Raw(&native.json)),
                _ => self.losses.lose("messages.system", "the target takes only text there"),
            }
            self.marked(part);
        }
        if !system.is_empty() {
            self.messages.push(WireMessage::of("system", system));
        }
        for turn in conversation.turns {
            if turn.assistant {
                self.assistant(&turn.pieces);
            } else {
                self.user(&turn.pieces)?;
            }
        }
        if self.messages.is_empty() {
            let why = "The target wants at least one message that says something.";
            return Err(Error::client(Kind::InvalidRequest, why).param("messages"));
        }
        Ok(())
    }

    fn marked(&mut self, part: &Part) {
        if part.cache.is_some() {
            self.losses.lose("cache_control", "the target has no marks of its prompt cache");
        }
    }

    fn assistant(&mut self, pieces: &[Piece<'a>]) {
        let mut spoken = Spoken::default();
        let parts = pieces.iter().filter_map(|piece| match piece {
            Piece::Part(part) => Some(*part),
            _ => None,
        });
        let parts: Vec<&Part> = parts.collect();
        let calls = parts.iter().any(|part| matches!(part.content, Content::Call(_)));
        for part in parts {
            self.marked(part);
            spoken.part(part, calls, false, "messages", self.losses);
        }
        if spoken.items.is_empty() && spoken.calls.is_empty() {
            return;
        }
        let content = (!spoken.items.is_empty()).then(|| said(spoken.items));
        self.messages.push(WireMessage {
            role: "assistant",
            tool_call_id: None,
            content,
            tool_plan: spoken.plan,
            tool_calls: spoken.calls,
            citations: spoken.citations,
        });
    }

    fn user(&mut self, pieces: &[Piece<'a>]) -> Result<(), Error> {
        let mut items = Vec::new();
        for piece in pieces {
            match piece {
                Piece::Part(Part { content: Content::Outcome(outcome), .. }) => {
                    let content = said(self.outcome(outcome));
                    if outcome.failed {
                        self.losses.lose("messages.tool_results.failed", "the target has no place for it");
                    }
                    self.tool(&outcome.id, content);
                }
                Piece::Part(part) => self.part(part, &mut items)?,
                Piece::Missing(call) => {
                    self.losses.lose("messages.tool_calls", "a call has no outcome; it is sent with none");
                    self.tool(&call.id, Said::Plain(Cow::Borrowed("No outcome was recorded.")));
                }
                Piece::Orphan(outcome) => {
                    self.losses
                        .lose("messages.tool_results", "its call is not before it; it is sent as text");
                    items.extend(self.outcome(outcome));
                }
            }
            if let Piece::Part(part) = piece {
                self.marked(part);
            }
        }
        if !items.is_empty() {
            self.messages.push(WireMessage::of("user", items));
        }
        Ok(())
    }

    fn tool(&mut self, id: &'a str, content: Said<'a>) {
        self.messages.push(WireMessage {
            role: "tool",
            tool_call_id: Some(id),
            content: Some(content),
            tool_plan: None,
            tool_calls: Vec::new(),
            citations: Vec::new(),
        });
    }

    fn outcome(&mut self, outcome: &'a Outcome) -> Vec<Item<'a>> {
        let mut items = Vec::new();
        for part in &outcome.parts {
            match &part.content {
                Content::Text(text) => push_text(&text.text, &mut items),
                Content::Media(Media { source: Source::Text(text), .. }) => push_text(text, &mut items),
                Content::Native(native) if native.dialect == NAME => {
                    exact(&native.name, &native.json, &mut items);
                }
                _ => self.losses.lose("messages.tool_results.content", "the target takes only text there"),
            }
        }
        items
    }

    fn part(&mut self, part: &'a Part, items: &mut Vec<Item<'a>>) -> Result<(), Error> {
        match &part.content {
            Content::Text(text) => push_text(&text.text, items),
            Content::Refusal(text) => push_text(text, items),
            Content::Media(media) => self.media(media, items)?,
            Content::Native(native) if native.dialect == NAME => exact(&native.name, &native.json, items),
            Content::Native(native) => {
                self.losses.lose(format!("messages.{}", native.name), "only its own dialect has it");
            }
            Content::Reasoning(_) | Content::Call(_) | Content::Outcome(_) => {
                self.losses.lose("messages.content", "the target does not take this from a user");
            }
        }
        Ok(())
    }

    fn media(&mut self, media: &'a Media, items: &mut Vec<Item<'a>>) -> Result<(), Error> {
        let url = match (&media.kind, &media.source) {
            (MediaKind::Image, Source::Url(url)) if url.starts_with("http") || url.starts_with("data:") => {
                Cow::Borrowed(url.as_str())
            }
            (MediaKind::Image, Source::Base64(data)) => {
                let mime = media.mime.as_deref().unwrap_or("image/png");
                Cow::Owned(format!("data:{mime};base64,{data}"))
            }
            (MediaKind::Document, Source::Text(text)) => {
                let mut data = json!({ "text": text });
                if let Some(name) = &media.name {
                    data["title"] = json!(name);
                }
                self.documents.extend(serde_json::value::to_raw_value(&json!({ "data": data })));
                return Ok(());
            }
            // Left out, it would be another question; another target may take it.
            _ => {
                let why = "The target takes only images (bytes or a web address) and documents of text.";
                return Err(Error::client(Kind::InvalidRequest, why)
                    .param("messages")
                    .retry(Retry::Elsewhere));
            }
        };
        let detail = media.detail.as_deref();
        items.push(Item::ImageUrl { image_url: ImageUrl { url, detail } });
        Ok(())
    }

    // --- beside the conversation ---

    fn tools(&mut self, out: &mut Object) {
        let request = self.request;
        let only = match &request.tool_choice {
            Some(ToolChoice::Named(name)) => Some(std::slice::from_ref(name)),
            Some(ToolChoice::Allowed { names, .. }) => Some(names.as_slice()),
            _ => None,
        };
        let (mut tools, mut strict) = (Vec::new(), 0);
        for tool in &request.tools {
            match tool {
                Tool::Function(function) => {
                    if only.is_some_and(|only| !only.contains(&function.name)) {
                        continue;
                    }
                    strict += usize::from(function.strict == Some(true));
                    if function.cache.is_some() {
                        self.losses.lose("cache_control", "the target has no marks of its prompt cache");
                    }
                    tools.push(WireTool::Function { function: told(function) });
                }
                Tool::Native(native) if native.dialect == NAME => tools.push(WireTool::Raw(&native.json)),
                Tool::Custom(custom) => {
                    self.losses.lose(
                        format!("tools.{}", custom.name),
                        "the target has only tools with JSON arguments",
                    );
                }
                Tool::WebSearch(_) => self.losses.lose("tools.web_search", "the target has none"),
                Tool::Native(native) => {
                    self.losses.lose(format!("tools.{}", native.name), "only its own dialect has it");
                }
            }
        }
        if tools.is_empty() {
            return;
        }
        if strict == tools.len() {
            out.set("strict_tools", &true);
        } else if strict > 0 {
            self.losses.lose("tools.strict", "the target is strict with all tools or with none");
        }
        out.set("tools", &tools);
        match &request.tool_choice {
            Some(ToolChoice::None) => out.set("tool_choice", "NONE"),
            Some(
                ToolChoice::Required | ToolChoice::Named(_) | ToolChoice::Allowed { required: true, .. },
            ) => {
                out.set("tool_choice", "REQUIRED");
            }
            _ => {}
        }
        if request.parallel_tools == Some(false) {
            self.losses.lose("parallel_tool_calls", "the target has none");
        }
    }

    fn output(&mut self, out: &mut Object) {
        if matches!(self.request.output, Output::Text) {
            return;
        }
        if !self.request.tools.is_empty() {
            self.losses.lose("response_format", "the target takes none beside tools");
            return;
        }
        match &self.request.output {
            Output::Schema(schema) => {
                out.set("response_format", &Format { r#type: "json_object", json_schema: &schema.schema });
            }
            _ => out.set("response_format", &json!({ "type": "json_object" })),
        }
    }

    fn sampling(&mut self, out: &mut Object) {
        let request = self.request;
        if let Some(most) = request.max_output {
            out.set("max_tokens", &most);
        }
        let stop: Vec<&String> =
            request.stop.iter().filter(|text| !text.is_empty()).take(MOST_STOPS).collect();
        if request.stop.len() > MOST_STOPS {
            self.losses.lose("stop", "the target takes five");
        }
        if !stop.is_empty() {
            out.set("stop_sequences", &stop);
        }
        self.clamped("temperature", "temperature", request.temperature.as_ref(), (0.0, 1.0), out);
        self.clamped("top_p", "p", request.top_p.as_ref(), (0.01, 0.99), out);
        self.clamped(
            "frequency_penalty",
            "frequency_penalty",
            request.frequency_penalty.as_ref(),
            (0.0, 1.0),
            out,
        );
        self.clamped(
            "presence_penalty",
            "presence_penalty",
            request.presence_penalty.as_ref(),
            (0.0, 1.0),
            out,
        );
        if let Some(top_k) = request.top_k {
            if top_k > 500 {
                self.losses.lose("top_k", "the target takes at most 500, which is sent");
            }
            out.set("k", &top_k.min(500));
        }
        match request.seed {
            Some(seed) if seed < 0 => self.losses.lose("seed", "the target takes none below 0"),
            Some(seed) => out.set("seed", &seed),
            None => {}
        }
        if let Some(alternatives) = request.logprobs {
            if alternatives > 0 {
                self.losses.lose("top_logprobs", "the target gives none but the chosen");
            }
            out.set("logprobs", &true);
        }
    }

    fn clamped(
        &mut self,
        what: &'static str,
        name: &'static str,
        number: Option<&Number>,
        (least, most): (f64, f64),
        out: &mut Object,
    ) {
        let Some(number) = number else { return };
        match number.as_f64() {
            Some(value) if value < least || value > most => {
                self.losses.lose(what, "out of the target's range; the nearest is sent");
                out.set(name, &value.clamp(least, most));
            }
            _ => out.set(name, number),
        }
    }

    fn thinking(&mut self, model: &str, out: &mut Object) {
        let Some(effort) = &self.request.reasoning else { return };
        let thinks = ["reasoning", "command-a-plus", "thinking"].iter().any(|word| model.contains(word));
        match effort.level() {
            Some("none") if thinks => out.set("thinking", &json!({ "type": "disabled" })),
            Some("none") => {}
            None if effort.enabled.is_none() && !effort.adaptive => {}
            _ if !thinks => self.losses.lose("reasoning", "the target cannot be told how much to think"),
            _ => match effort.budget() {
                Some(budget) => out.set("thinking", &json!({ "type": "enabled", "token_budget": budget })),
                None => out.set("thinking", &json!({ "type": "enabled" })),
            },
        }
    }

    fn rest(&mut self, out: &mut Object) {
        let request = self.request;
        for native in &request.native {
            if native.dialect != NAME {
                self.losses.lose(native.name.clone(), "only its own dialect has it");
            } else if native.name == "documents" {
                let own = serde_json::from_str::<Vec<Box<RawValue>>>(native.json.get()).unwrap_or_default();
                self.documents.splice(0..0, own);
            } else {
                out.set(&native.name, &native.json);
            }
        }
        if !self.documents.is_empty() {
            out.set("documents", &self.documents);
        }
        let losses = &mut self.losses;
        let mut none = |there: bool, what: &'static str| {
            if there {
                losses.lose(what, "the target has none");
            }
        };
        none(request.choices.is_some_and(|n| n > 1), "n");
        none(request.user.is_some(), "user");
        none(request.metadata.is_some(), "metadata");
        none(request.cache_key.is_some(), "prompt_cache_key");
        none(request.verbosity.is_some(), "verbosity");
        none(!matches!(request.service_tier.as_deref(), None | Some("auto" | "default")), "service_tier");
    }
}

fn told(function: &Function) -> WireFunction<'_> {
    /// The schema of a function without parameters.
    const NOTHING: &str = r#"{"type":"object","properties":{}}"#;
    let parameters = function.parameters.as_ref().filter(|raw| raw.get() != "null");
    WireFunction {
        name: &function.name,
        description: function.description.as_deref(),
        parameters: parameters.map_or_else(
            || Cow::Owned(RawValue::from_string(NOTHING.into()).unwrap_or_default()),
            |raw| Cow::Borrowed(&**raw),
        ),
    }
}
