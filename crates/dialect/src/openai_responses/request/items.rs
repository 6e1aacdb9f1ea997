//! The items of a request, read into messages.
//!
//! What the model said in one turn (thoughts, texts, calls) is one message; so are the outcomes that follow. Two
//! messages of the model side by side stay two.

use std::collections::BTreeMap;

use lockgate_core::Error;
use serde::Deserialize;
use serde_json::value::RawValue;

use super::read::{borrowed, hint, invalid};
use crate::neutral::{
    CacheMark, Call, CallKind, Content, Media, MediaKind, Message, Native, Outcome, Part, Reasoning, Request,
    Role, Source, Text,
};
use crate::openai_responses::NAME;
use crate::openai_responses::item::is_made;
use crate::openai_responses::response::items::{ITEM, NAMESPACE, PHASE, citation, list, loose_text};
use crate::seal::Seal;
use crate::tied::Tied;

/// The hint that keeps the ids of items: those of calls by the call's own, and that of what follows a thought by the
/// thought's, as a provider that stores answers asks for both or neither.
pub(super) const IDS: &str = "item_ids";
/// The hint that says that the cache marks are this dialect's own.
pub(super) const BREAKPOINTS: &str = "prompt_cache_breakpoint";

#[derive(Deserialize)]
struct Head {
    r#type: Option<String>,
    role: Option<String>,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct Item<'a> {
    id: Option<String>,
    phase: Option<String>,
    #[serde(borrow)]
    content: Option<&'a RawValue>,
    call_id: Option<String>,
    name: Option<String>,
    namespace: Option<String>,
    #[serde(borrow)]
    arguments: Option<&'a RawValue>,
    #[serde(borrow)]
    input: Option<&'a RawValue>,
    #[serde(borrow)]
    output: Option<&'a RawValue>,
    #[serde(borrow)]
    summary: Option<&'a RawValue>,
    encrypted_content: Option<String>,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct InPart<'a> {
    r#type: Option<String>,
    text: Option<String>,
    refusal: Option<String>,
    image_url: Option<String>,
    file_id: Option<String>,
    file_data: Option<String>,
    file_url: Option<String>,
    filename: Option<String>,
    detail: Option<String>,
    input_audio: Option<Audio>,
    #[serde(borrow)]
    annotations: Option<Vec<&'a RawValue>>,
    #[serde(borrow)]
    prompt_cache_breakpoint: Option<&'a RawValue>,
}

#[derive(Deserialize)]
struct Audio {
    data: String,
    format: String,
}

/// What came last: whether the next belongs to the same message depends on it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Last {
    Message,
    Outcome,
    Other,
}

struct Reader<'r> {
    request: &'r mut Request,
    last: Last,
    ids: BTreeMap<String, String>,
    /// The id of the thought just before.
    thought: Option<String>,
    marked: bool,
}

pub(super) fn read(raw: &[u8], request: &mut Request) -> Result<(), Error> {
    let items: Vec<&RawValue> = borrowed("input", raw, "an array of items")?;
    let mut reader =
        Reader { request, last: Last::Message, ids: BTreeMap::new(), thought: None, marked: false };
    for (at, item) in items.into_iter().enumerate() {
        reader.item(item).map_err(|why| why.at(at))?;
    }
    let Reader { request, ids, marked, .. } = reader;
    if !ids.is_empty() {
        hint(request, IDS, &serde_json::to_vec(&ids).unwrap_or_default())?;
    }
    if marked {
        hint(request, BREAKPOINTS, b"true")?;
    }
    Ok(())
}

/// What is wrong with an item: the member, and how.
struct Wrong(&'static str, &'static str);

impl Wrong {
    fn at(self, at: usize) -> Error {
        let Self(member, why) = self;
        let name = if member.is_empty() { format!("input[{at}]") } else { format!("input[{at}].{member}") };
        invalid(&name, why)
    }
}

// === impl Reader ===

impl Reader<'_> {
    fn item(&mut self, raw: &RawValue) -> Result<(), Wrong> {
        let head: Head = serde_json::from_str(raw.get())
            .map_err(|_| Wrong("", "must be an item with a type or a role"))?;
        let kind = match (head.r#type.as_deref(), head.role.as_deref()) {
            (Some(kind), _) => kind,
            (None, Some(_)) => "message",
            (None, None) => return Err(Wrong("", "has neither a type nor a role")),
        };
        if !matches!(
            kind,
            "message"
                | "reasoning"
                | "function_call"
                | "custom_tool_call"
                | "function_call_output"
                | "custom_tool_call_output"
        ) {
            self.native(kind, head.role.as_deref(), raw);
            return Ok(());
        }
        let item: Item<'_> =
            serde_json::from_str(raw.get()).map_err(|_| Wrong("", "has a member of the wrong kind"))?;
        match kind {
            "message" => self.message(&item, head.role.as_deref()),
            "reasoning" => {
                self.reasoning(raw, &item);
                Ok(())
            }
            "function_call" => self.call(&item, CallKind::Function),
            "custom_tool_call" => self.call(&item, CallKind::Custom),
            "custom_tool_call_output" => self.outcome(&item, CallKind::Custom),
            _ => self.outcome(&item, CallKind::Function),
        }
    }

    fn message(&mut self, item: &Item<'_>, role: Option<&str>) -> Result<(), Wrong> {
        let role = match role {
            Some("user") => Role::User,
            Some("assistant") => Role::Assistant,
            Some("system") => Role::System,
            Some("developer") => Role::Developer,
            _ => return Err(Wrong("role", "must be user, assistant, system or developer")),
        };
        let mut parts = self.parts(item.content, "content")?;
        if let Some(phase) = item.phase.as_deref().filter(|_| role == Role::Assistant)
            && let Ok(json) = serde_json::value::to_raw_value(phase)
        {
            parts.insert(0, Part::new(Content::Native(Native { dialect: NAME, name: PHASE.into(), json })));
        }
        self.follow(item.id.as_deref());
        if role == Role::Assistant && self.last != Last::Message {
            self.assistant().extend(parts);
        } else {
            self.request.messages.push(Message { role, parts });
        }
        self.last = Last::Message;
        Ok(())
    }

    /// Notes that an item of this id follows a thought.
    fn follow(&mut self, id: Option<&str>) {
        if let (Some(thought), Some(id)) = (self.thought.take(), id.filter(|id| !is_made(id))) {
            self.ids.insert(thought, id.to_owned());
        }
    }

    /// The parts of the model's turn under way.
    fn assistant(&mut self) -> &mut Vec<Part> {
        let messages = &mut self.request.messages;
        if messages.last().is_none_or(|last| last.role != Role::Assistant) {
            messages.push(Message { role: Role::Assistant, parts: Vec::new() });
        }
        let at = messages.len().saturating_sub(1);
        &mut messages[at].parts
    }

    fn reasoning(&mut self, raw: &RawValue, item: &Item<'_>) {
        let text = |raw| {
            let parts = list(raw).into_iter();
            let texts = parts.filter_map(|raw| serde_json::from_str::<InPart<'_>>(raw.get()).ok()?.text);
            texts.collect::<Vec<_>>().join("\n\n")
        };
        let (summary, thought) = (text(item.summary), text(item.content));
        let shown = !summary.is_empty() || thought.is_empty();
        let text = if summary.is_empty() { thought } else { summary };
        let id = item.id.as_deref().filter(|id| !is_made(id));
        let own =
            || Seal { origin: None, dialect: NAME.into(), kind: ITEM.into(), data: raw.get().to_owned() };
        let seal = match item.encrypted_content.as_deref() {
            Some(state) => {
                let read = Seal::read(NAME, ITEM, state);
                if read.data == state { Some(own()) } else { Some(read) }
            }
            None => id.map(|_| own()),
        };
        if let Some(seal) = &seal
            && let Some((kind, by)) = seal.kind.split_once('@')
        {
            let seal = Seal { kind: kind.into(), ..seal.clone() };
            if let Some(left) = self.attach(seal, by) {
                self.push_reasoning(Reasoning { text, summary: shown, seal: Some(left) });
            }
            return;
        }
        self.push_reasoning(Reasoning { text, summary: shown, seal });
        self.thought = id.map(str::to_owned);
    }

    fn push_reasoning(&mut self, thought: Reasoning) {
        self.assistant().push(Part::new(Content::Reasoning(thought)));
        self.last = Last::Other;
    }

    /// Binds a state to the call or text before it; gives it back when there is none.
    fn attach(&mut self, seal: Seal, by: &str) -> Option<Seal> {
        let last = self.request.messages.last_mut().filter(|last| last.role == Role::Assistant);
        for part in last.into_iter().flat_map(|message| message.parts.iter_mut().rev()) {
            match &mut part.content {
                Content::Call(call) if by == "call" && call.seal.is_none() => {
                    call.seal = Some(seal);
                    return None;
                }
                Content::Text(text) if by == "text" && text.seal.is_none() => {
                    text.seal = Some(seal);
                    return None;
                }
                _ => {}
            }
        }
        Some(seal)
    }

    fn call(&mut self, item: &Item<'_>, kind: CallKind) -> Result<(), Wrong> {
        let id = item.call_id.clone().ok_or(Wrong("call_id", "is missing"))?;
        let name = item.name.clone().ok_or(Wrong("name", "is missing"))?;
        let input = if kind == CallKind::Function { item.arguments } else { item.input };
        let arguments = input.map(loose_text).unwrap_or_default().into_owned();
        self.follow(item.id.as_deref());
        if let Some(own) = item.id.as_deref().filter(|own| !is_made(own)) {
            self.ids.insert(id.clone(), own.to_owned());
        }
        let seal = item.namespace.clone().map(|data| Seal {
            origin: None,
            dialect: NAME.into(),
            kind: NAMESPACE.into(),
            data,
        });
        self.assistant().push(Part::new(Content::Call(Call { id, name, arguments, kind, seal })));
        self.last = Last::Other;
        Ok(())
    }

    fn outcome(&mut self, item: &Item<'_>, kind: CallKind) -> Result<(), Wrong> {
        let id = item.call_id.clone().ok_or(Wrong("call_id", "is missing"))?;
        let parts = self.parts(item.output, "output")?;
        let outcome = Outcome { id, name: None, parts, failed: false, kind };
        self.user(Part::new(Content::Outcome(outcome)));
        Ok(())
    }

    /// Adds to the outcomes under way.
    fn user(&mut self, part: Part) {
        self.thought = None;
        match self.request.messages.last_mut() {
            Some(last) if self.last == Last::Outcome && last.role == Role::User => last.parts.push(part),
            _ => self.request.messages.push(Message { role: Role::User, parts: vec![part] }),
        }
        self.last = Last::Outcome;
    }

    fn native(&mut self, kind: &str, role: Option<&str>, raw: &RawValue) {
        let remedy = match kind {
            "item_reference" => Some("Send the item itself."),
            kind if kind.contains("compaction") => Some("Send the conversation that it stands for."),
            _ => None,
        };
        if let Some(remedy) = remedy {
            self.request.tied.get_or_insert(Tied { dialect: NAME, member: "input", remedy });
        }
        #[derive(Deserialize)]
        struct Id {
            id: Option<String>,
        }
        let id = serde_json::from_str::<Id>(raw.get()).ok().and_then(|item| item.id);
        self.follow(id.as_deref());
        let part =
            Part::new(Content::Native(Native { dialect: NAME, name: kind.to_owned(), json: raw.to_owned() }));
        match role {
            Some("developer" | "system") => {
                self.request.messages.push(Message { role: Role::Developer, parts: vec![part] });
                self.last = Last::Message;
            }
            Some("user") => self.user(part),
            _ if kind.ends_with("_output") || kind.ends_with("_response") => self.user(part),
            _ => {
                self.assistant().push(part);
                self.last = Last::Other;
            }
        }
    }

    /// Text, or a list of parts.
    fn parts(&mut self, raw: Option<&RawValue>, member: &'static str) -> Result<Vec<Part>, Wrong> {
        let Some(raw) = raw.filter(|raw| raw.get() != "null") else { return Ok(Vec::new()) };
        if raw.get().starts_with('"') {
            return Ok(vec![Part::text(loose_text(raw))]);
        }
        let Ok(parts) = serde_json::from_str::<Vec<&RawValue>>(raw.get()) else {
            return Err(Wrong(member, "must be a string or an array of parts"));
        };
        let mut read = Vec::with_capacity(parts.len());
        for raw in parts {
            let part: InPart<'_> = serde_json::from_str(raw.get())
                .map_err(|_| Wrong(member, "has a part with a member of the wrong kind"))?;
            let cache = part.prompt_cache_breakpoint.map(|_| CacheMark { ttl: None });
            self.marked |= cache.is_some();
            read.push(Part { content: content(raw, part), cache });
        }
        Ok(read)
    }
}

fn content(raw: &RawValue, part: InPart<'_>) -> Content {
    let kind = part.r#type.as_deref().unwrap_or("input_text");
    let media = |kind, source, mime, name| {
        Content::Media(Media { kind, source, mime, name, detail: part.detail.clone() })
    };
    match kind {
        "input_text" | "output_text" | "text" => {
            if let Some(text) = part.text {
                let citations = part.annotations.into_iter().flatten().map(citation).collect();
                return Content::Text(Text { text, citations, seal: None });
            }
        }
        "refusal" => {
            if let Some(refusal) = part.refusal {
                return Content::Refusal(refusal);
            }
        }
        "input_image" => {
            if let Some(url) = part.image_url {
                let (source, mime) = address(url);
                return media(MediaKind::Image, source, mime, None);
            }
            if let Some(id) = part.file_id {
                return media(MediaKind::Image, Source::File(id), None, None);
            }
        }
        "input_file" => {
            let name = part.filename.clone();
            if let Some(data) = part.file_data {
                let (source, mime) = match address(data) {
                    (Source::Base64(data), mime) => (Source::Base64(data), mime),
                    (Source::Url(data), _) => (Source::Base64(data), Some("application/pdf".into())),
                    other => other,
                };
                return media(MediaKind::Document, source, mime, name);
            }
            if let Some(url) = part.file_url {
                return media(MediaKind::Document, Source::Url(url), None, name);
            }
            if let Some(id) = part.file_id {
                return media(MediaKind::Document, Source::File(id), None, name);
            }
        }
        "input_audio" => {
            if let Some(audio) = part.input_audio {
                let mime = Some(format!("audio/{}", audio.format));
                return media(MediaKind::Audio, Source::Base64(audio.data), mime, None);
            }
        }
        _ => {}
    }
    Content::Native(Native { dialect: NAME, name: format!("content.{kind}"), json: raw.to_owned() })
}

/// An address, or the bytes that stand in it.
fn address(url: String) -> (Source, Option<String>) {
    let Some(inside) = url.strip_prefix("data:") else { return (Source::Url(url), None) };
    match inside.split_once(";base64,") {
        Some((mime, data)) => (Source::Base64(data.to_owned()), Some(mime.to_owned())),
        None => (Source::Url(url), None),
    }
}
