//! The conversation, written by Gemini's rules: system texts in one place, every call with its outcome in the content
//! that follows it.

use std::borrow::Cow;
use std::collections::{HashMap, HashSet, VecDeque};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::value::RawValue;

use super::super::json::{Array, Members, Object, quote};
use super::super::{NAME, model};
use super::parts::{guess, is_own};
use super::read::{MADE_UP, NO_SIGNATURE};
use super::tools::FREE_TEXT;
use crate::neutral::{
    CacheMark, Call, CallKind, Content, Media, MediaKind, Message, Outcome, Part, Reasoning, Request, Role,
    Source, Text,
};
use crate::seal::Seal;
use crate::{Losses, Target};

/// One content: what is said in it, in order.
struct Turn<'a> {
    model: bool,
    pieces: Vec<Piece<'a>>,
}

enum Piece<'a> {
    Said(&'a Part),
    /// An outcome, under the name of its call.
    Outcome(&'a Outcome, Cow<'a, str>),
    /// A call that nobody answered.
    Unanswered(&'a Call),
    /// An outcome that nobody called for.
    Orphan(&'a Outcome),
}

struct Writer<'a, 'l> {
    target: &'a Target<'a>,
    losses: &'l mut Losses,
    /// States that belong to a call and came apart from it, by its id.
    seals: HashMap<&'a str, &'a Seal>,
    signs: bool,
}

/// Writes `systemInstruction` and `contents`; `false` when there are none.
pub(super) fn write(
    request: &Request,
    target: &Target<'_>,
    losses: &mut Losses,
    body: &mut Object<'_>,
) -> bool {
    let (mut system, mut said): (Vec<&Message>, Vec<&Message>) =
        request.messages.iter().partition(|message| matches!(message.role, Role::System | Role::Developer));
    if said.is_empty() && !system.is_empty() {
        losses.lose("messages.system", "there is no other message, so it is sent as the user's");
        said = std::mem::take(&mut system);
    }
    let mut writer = Writer { target, losses, seals: seals(&said), signs: model::is_new(target.model) };
    let mut out = Vec::new();
    let mut parts = Array::new(&mut out);
    for part in system.iter().flat_map(|message| &message.parts) {
        writer.part(part, &mut parts);
    }
    parts.end();
    if out.len() > 2 {
        Object::new(body.key("systemInstruction")).with("parts", &out);
    }

    let mut written = Vec::new();
    let mut contents = Array::new(&mut written);
    for turn in paired(turns(&said), writer.losses) {
        out.clear();
        writer.turn(&turn, &mut out);
        if out.len() == 2 && turn.is_blank() {
            out.splice(1..1, *br#"{"text":""}"#);
        }
        if out.len() > 2 {
            let mut content = Object::new(contents.item());
            content.text("role", if turn.model { "model" } else { "user" });
            content.with("parts", &out);
        }
    }
    contents.end();
    let any = written.len() > 2;
    body.key("contents").append(&mut written);
    any
}

fn seals<'a>(messages: &[&'a Message]) -> HashMap<&'a str, &'a Seal> {
    let parts = messages.iter().flat_map(|message| &message.parts);
    parts
        .filter_map(|part| match &part.content {
            Content::Reasoning(Reasoning { seal: Some(seal), .. }) if *seal.dialect == *NAME => {
                Some((seal.kind.strip_prefix("call:")?, seal))
            }
            _ => None,
        })
        .collect()
}

impl Turn<'_> {
    /// Whether the user says nothing, and says so.
    fn is_blank(&self) -> bool {
        let blank = |piece: &Piece<'_>| match piece {
            Piece::Said(Part { content: Content::Text(text), .. }) => text.text.is_empty(),
            _ => false,
        };
        !self.model && self.pieces.iter().any(blank)
    }
}

// === order ===

/// The messages as contents. Neighbours are joined only where the rules demand it: calls made at once stand in one
/// content, and so do their outcomes.
fn turns<'a>(messages: &[&'a Message]) -> Vec<Turn<'a>> {
    let mut turns: Vec<Turn<'a>> = Vec::with_capacity(messages.len());
    for message in messages {
        let is_model = message.role == Role::Assistant;
        let pieces = message.parts.iter().map(|part| match &part.content {
            Content::Outcome(outcome) => Piece::Orphan(outcome),
            _ => Piece::Said(part),
        });
        let joins = |part: &Part| matches!(part.content, Content::Call(_) | Content::Outcome(_));
        match turns.last_mut().filter(|last| last.model == is_model && message.parts.iter().any(joins)) {
            Some(last) => last.pieces.extend(pieces),
            None => turns.push(Turn { model: is_model, pieces: pieces.collect() }),
        }
    }
    turns
}

/// Puts every outcome behind its call. In: all outcomes are orphans. Out: only those that nobody called for.
fn paired<'a>(mut turns: Vec<Turn<'a>>, losses: &mut Losses) -> Vec<Turn<'a>> {
    let mut places: HashMap<&'a str, VecDeque<(usize, usize)>> = HashMap::new();
    for (i, turn) in turns.iter().enumerate() {
        for (j, piece) in turn.pieces.iter().enumerate() {
            if let Piece::Orphan(outcome) = piece {
                places.entry(&outcome.id).or_default().push_back((i, j));
            }
        }
    }
    // For each turn: outcomes that are put before what it says, and pieces of its own that went elsewhere.
    let mut put: Vec<Vec<Piece<'a>>> = turns.iter().map(|_| Vec::new()).collect();
    let mut gone: HashSet<(usize, usize)> = HashSet::new();
    let mut named: Vec<(usize, usize, Cow<'a, str>)> = Vec::new();
    for (i, turn) in turns.iter().enumerate().filter(|(_, turn)| turn.model) {
        let mut unanswered = Vec::new();
        let mut answered = false;
        for piece in &turn.pieces {
            let Piece::Said(Part { content: Content::Call(call), .. }) = piece else { continue };
            let queue = places.entry(&call.id).or_default();
            while queue.front().is_some_and(|(at, _)| *at <= i) {
                queue.pop_front();
            }
            let place = queue.pop_front();
            answered |= place.is_some();
            match place {
                Some((at, j)) if at == i + 1 => named.push((at, j, Cow::Borrowed(&*call.name))),
                Some((at, j)) => {
                    if let Some(Piece::Orphan(outcome)) = turns.get(at).and_then(|turn| turn.pieces.get(j))
                        && let Some(put) = put.get_mut(i)
                    {
                        put.push(Piece::Outcome(outcome, Cow::Borrowed(&*call.name)));
                        gone.insert((at, j));
                    }
                }
                None => unanswered.push(Piece::Unanswered(call)),
            }
        }
        // Gemini counts outcomes where there is one. Calls that were all left alone it takes.
        if answered && !unanswered.is_empty() {
            losses.lose("messages.tool_calls", "a call without outcome gets one that says so");
            if let Some(put) = put.get_mut(i) {
                put.append(&mut unanswered);
            }
        }
    }
    for (i, j, name) in named {
        if let Some(piece) = turns.get_mut(i).and_then(|turn| turn.pieces.get_mut(j))
            && let Piece::Orphan(outcome) = piece
        {
            *piece = Piece::Outcome(outcome, name);
        }
    }
    let mut done: Vec<Turn<'a>> = Vec::with_capacity(turns.len());
    let mut waiting: Vec<Piece<'a>> = Vec::new();
    for (i, (turn, put)) in turns.into_iter().zip(put).enumerate() {
        let pieces = turn.pieces.into_iter().enumerate();
        let pieces = pieces.filter(|(j, _)| !gone.contains(&(i, *j))).map(|(_, piece)| piece);
        if turn.model && !waiting.is_empty() {
            done.push(Turn { model: false, pieces: std::mem::take(&mut waiting) });
        }
        let pieces = waiting.drain(..).chain(pieces).collect();
        done.push(Turn { model: turn.model, pieces });
        waiting = put;
    }
    if !waiting.is_empty() {
        done.push(Turn { model: false, pieces: waiting });
    }
    done
}

// === impl Writer ===

impl<'a> Writer<'a, '_> {
    fn turn(&mut self, turn: &Turn<'a>, out: &mut Vec<u8>) {
        let mut parts = Array::new(out);
        // Media that an outcome cannot hold stand behind all outcomes.
        let mut beside: Vec<&Media> = Vec::new();
        let mut signed = false;
        let mut pieces = turn.pieces.iter().peekable();
        while let Some(piece) = pieces.next() {
            match piece {
                Piece::Said(Part { content: Content::Call(call), cache }) => {
                    self.mark(cache.as_ref());
                    self.call(call, &mut signed, &mut parts);
                }
                Piece::Said(part) => {
                    // What stands beside the content of a part follows it, by names of its own.
                    let mut asides: Vec<&Part> = Vec::new();
                    while let Some(Piece::Said(aside)) = pieces.next_if(|next| is_aside(next)) {
                        asides.push(aside);
                    }
                    self.said(part, &asides, &mut parts);
                }
                Piece::Outcome(outcome, name) => self.outcome(outcome, name, &mut beside, &mut parts),
                Piece::Unanswered(call) => {
                    let mut object = Object::new(parts.item());
                    let mut response = Object::new(object.key("functionResponse"));
                    identify(&call.id, &mut response);
                    response.text("name", &call.name);
                    response.raw("response", r#"{"error":"The call was not answered."}"#);
                    response.end();
                    object.end();
                }
                Piece::Orphan(outcome) => self.orphan(outcome, &mut beside, &mut parts),
            }
        }
        for medium in beside {
            self.medium(medium, &[], &mut parts);
        }
        parts.end();
    }

    fn said(&mut self, part: &Part, asides: &[&Part], parts: &mut Array<'_>) {
        if let Content::Media(medium) = &part.content {
            self.mark(part.cache.as_ref());
            self.medium(medium, asides, parts);
            return;
        }
        self.part(part, parts);
        for aside in asides {
            self.part(aside, parts);
        }
    }

    fn part(&mut self, part: &Part, parts: &mut Array<'_>) {
        self.mark(part.cache.as_ref());
        match &part.content {
            Content::Text(text) => self.text(text, parts),
            Content::Refusal(text) if text.is_empty() => {}
            Content::Refusal(text) => said(text, false, None, parts),
            Content::Reasoning(thought) => self.thought(thought, parts),
            Content::Media(medium) => self.medium(medium, &[], parts),
            Content::Call(call) => self.call(call, &mut true, parts),
            Content::Outcome(outcome) => self.orphan(outcome, &mut Vec::new(), parts),
            Content::Native(native) if native.dialect != NAME => {
                self.losses.lose(format!("messages.{}", native.name), "known to another dialect only");
            }
            // Without the medium that it stands beside it says nothing.
            Content::Native(native) if native.name.starts_with("part.") => {
                self.losses.lose(format!("messages.{}", native.name), "only beside media");
            }
            Content::Native(native) => parts.item().extend_from_slice(native.json.get().as_bytes()),
        }
    }

    fn text(&mut self, text: &Text, parts: &mut Array<'_>) {
        if !text.citations.is_empty() {
            self.losses.lose("messages.citations", "cannot be sent back");
        }
        let seal = text.seal.as_ref().and_then(|seal| self.opened(seal));
        if !text.text.is_empty() || seal.is_some() {
            said(&text.text, false, seal, parts);
        }
    }

    fn thought(&mut self, thought: &Reasoning, parts: &mut Array<'_>) {
        // Where only the words came, only words go back.
        let Some(seal) = thought.seal.as_ref().filter(|seal| !seal.data.is_empty()) else {
            if !thought.text.is_empty() {
                said(&thought.text, true, None, parts);
            }
            return;
        };
        if *seal.dialect == *NAME && seal.kind.starts_with("call:") {
            // It is written with its call.
            return;
        }
        let Some(data) = self.opened(seal) else { return };
        said(&thought.text, &*seal.kind != "text", Some(data), parts);
    }

    fn call(&mut self, call: &Call, signed: &mut bool, parts: &mut Array<'_>) {
        let seal = call.seal.as_ref().or_else(|| self.seals.get(call.id.as_str()).copied());
        let seal = seal.and_then(|seal| self.opened(seal));
        let mut object = Object::new(parts.item());
        let mut function = Object::new(object.key("functionCall"));
        identify(&call.id, &mut function);
        function.text("name", &call.name);
        match (call.kind, call.arguments.trim()) {
            (CallKind::Custom, text) => Object::new(function.key("args")).with_text(FREE_TEXT, text),
            (CallKind::Function, "") => function.raw("args", "{}"),
            (CallKind::Function, text) if is_object(text) => function.raw("args", text),
            (CallKind::Function, text) => {
                self.losses
                    .lose("messages.tool_calls.arguments", "not a JSON object, so they become a text in one");
                Object::new(function.key("args")).with_text("arguments", text);
            }
        }
        function.end();
        match seal {
            Some(data) => object.text("thoughtSignature", data),
            // Gemini 3 refuses the first call of a content without one, and documents this for calls of other models.
            None if self.signs && !*signed => object.text("thoughtSignature", NO_SIGNATURE[0]),
            None => {}
        }
        *signed = true;
        object.end();
    }

    fn outcome<'o>(
        &mut self,
        outcome: &'o Outcome,
        name: &str,
        beside: &mut Vec<&'o Media>,
        parts: &mut Array<'_>,
    ) {
        let (text, media) = self.gave(outcome);
        let (inside, outside): (Vec<&Media>, Vec<&Media>) =
            media.into_iter().partition(|medium| self.signs && fits_outcome(medium));
        beside.extend(outside);
        let mut object = Object::new(parts.item());
        let mut response = Object::new(object.key("functionResponse"));
        identify(&outcome.id, &mut response);
        response.text("name", outcome.name.as_deref().filter(|own| !own.is_empty()).unwrap_or(name));
        respond(&text, outcome.failed, response.key("response"));
        if !inside.is_empty() {
            let mut all = Array::new(response.key("parts"));
            for medium in inside {
                self.medium(medium, &[], &mut all);
            }
            all.end();
        }
        response.end();
        object.end();
    }

    fn orphan<'o>(&mut self, outcome: &'o Outcome, beside: &mut Vec<&'o Media>, parts: &mut Array<'_>) {
        self.losses.lose("messages.tool_results", "an outcome without a call becomes text");
        let (text, media) = self.gave(outcome);
        beside.extend(media);
        if !text.is_empty() {
            said(&text, false, None, parts);
        }
    }

    /// The text of an outcome, and its media.
    fn gave<'o>(&mut self, outcome: &'o Outcome) -> (Cow<'o, str>, Vec<&'o Media>) {
        let (mut texts, mut media): (Vec<&str>, Vec<&Media>) = (Vec::new(), Vec::new());
        for part in &outcome.parts {
            self.mark(part.cache.as_ref());
            match &part.content {
                Content::Text(text) => texts.push(&text.text),
                Content::Media(medium) => media.push(medium),
                Content::Native(native) => {
                    self.losses.lose(format!("messages.{}", native.name), "not in an outcome");
                }
                _ => self.losses.lose("messages.tool_results", "only texts and media"),
            }
        }
        let text = match texts.as_slice() {
            [one] => Cow::Borrowed(*one),
            several => Cow::Owned(several.join("\n")),
        };
        (text, media)
    }

    fn medium(&mut self, medium: &Media, asides: &[&Part], parts: &mut Array<'_>) {
        let mime = medium.mime.as_deref().filter(|mime| !mime.is_empty());
        if medium.detail.as_deref().is_some_and(|detail| detail != "auto") {
            self.losses.lose("messages.image.detail", "Gemini has none");
        }
        if medium.name.is_some() {
            self.losses.lose("messages.file.name", "Gemini takes none");
        }
        let mut object = match &medium.source {
            Source::Base64(data) => {
                let mut object = Object::new(parts.item());
                inline(mime.unwrap_or(usual(medium.kind)), data, &mut object);
                object
            }
            Source::Text(text) => {
                let mut object = Object::new(parts.item());
                inline(mime.unwrap_or("text/plain"), &STANDARD.encode(text), &mut object);
                object
            }
            Source::File(uri) if !is_own(uri) => {
                self.losses.lose("messages.file", "it is at another provider");
                return;
            }
            Source::Url(uri) if uri.starts_with("data:") => {
                let Some((mime, data)) = from_data_url(uri) else {
                    self.losses.lose("messages.file", "its address cannot be read");
                    return;
                };
                let mut object = Object::new(parts.item());
                inline(mime, data, &mut object);
                object
            }
            Source::Url(uri) | Source::File(uri) => {
                let mut object = Object::new(parts.item());
                let mut file = Object::new(object.key("fileData"));
                if let Some(mime) = mime.or_else(|| guess(uri)) {
                    file.text("mimeType", mime);
                } else if medium.kind == MediaKind::Image {
                    // Vertex demands a type; a wrong one of the same kind is put right by looking at the bytes.
                    file.text("mimeType", usual(medium.kind));
                }
                file.text("fileUri", uri);
                file.end();
                object
            }
        };
        for aside in asides {
            match &aside.content {
                Content::Native(native) => {
                    let name = native.name.strip_prefix("part.").unwrap_or(&native.name);
                    object.any_key(name).extend_from_slice(native.json.get().as_bytes());
                }
                Content::Reasoning(Reasoning { seal: Some(seal), .. }) => {
                    if let Some(data) = self.opened(seal) {
                        object.text("thoughtSignature", data);
                    }
                }
                _ => {}
            }
        }
        object.end();
    }

    /// The state, if the target can read it; else it is lost.
    fn opened<'s>(&mut self, seal: &'s Seal) -> Option<&'s str> {
        if seal.opens_at(self.target.provider, NAME) {
            return Some(&seal.data);
        }
        self.losses.lose("messages.reasoning", "its state is another provider's");
        None
    }

    fn mark(&mut self, mark: Option<&CacheMark>) {
        if let Some(mark) = mark {
            self.losses.cached_anyway(mark);
        }
    }
}

/// Whether it belongs to the part before it.
fn is_aside(piece: &Piece<'_>) -> bool {
    let Piece::Said(part) = piece else { return false };
    match &part.content {
        Content::Native(native) => native.dialect == NAME && native.name.starts_with("part."),
        Content::Reasoning(Reasoning { seal: Some(seal), text, .. }) => {
            text.is_empty() && *seal.dialect == *NAME && &*seal.kind == "media"
        }
        _ => false,
    }
}

fn said(text: &str, thought: bool, signature: Option<&str>, parts: &mut Array<'_>) {
    let mut object = Object::new(parts.item());
    object.text("text", text);
    if thought {
        object.raw("thought", "true");
    }
    if let Some(signature) = signature {
        object.text("thoughtSignature", signature);
    }
    object.end();
}

fn identify(id: &str, object: &mut Object<'_>) {
    if !id.is_empty() && !id.starts_with(MADE_UP) {
        object.text("id", id);
    }
}

fn inline(mime: &str, data: &str, object: &mut Object<'_>) {
    let mut blob = Object::new(object.key("inlineData"));
    blob.text("mimeType", mime);
    blob.text("data", data);
    blob.end();
}

/// The response must be an object: `output` and `error` are Google's own names for what is none.
fn respond(text: &str, failed: bool, out: &mut Vec<u8>) {
    let name = if failed { "error" } else { "output" };
    let members: Option<Members<'_>> = serde_json::from_str(text).ok();
    let wrapped =
        members.as_ref().is_some_and(|Members(all)| matches!(all.as_slice(), [(one, _)] if one == "error"));
    if is_object(text) && (!failed || wrapped) {
        out.extend_from_slice(text.trim().as_bytes());
        return;
    }
    let mut object = Object::new(out);
    if is_object(text) {
        object.raw(name, text.trim());
    } else {
        quote(object.key(name), text);
    }
    object.end();
}

fn is_object(text: &str) -> bool {
    text.trim_start().starts_with('{') && serde_json::from_str::<&RawValue>(text).is_ok()
}

/// The types that Gemini 3 takes inside of an outcome.
fn fits_outcome(medium: &Media) -> bool {
    let mime = medium.mime.as_deref().unwrap_or_default();
    !matches!(medium.source, Source::Text(_))
        && matches!(mime, "image/png" | "image/jpeg" | "image/webp" | "application/pdf" | "text/plain")
}

const fn usual(kind: MediaKind) -> &'static str {
    match kind {
        MediaKind::Image => "image/png",
        MediaKind::Document => "application/pdf",
        MediaKind::Audio => "audio/wav",
        MediaKind::Video => "video/mp4",
    }
}

fn from_data_url(uri: &str) -> Option<(&str, &str)> {
    let (head, data) = uri.strip_prefix("data:")?.split_once(',')?;
    Some((head.strip_suffix(";base64")?.split(';').next()?, data))
}

// === impl Object ===

impl Object<'_> {
    /// Writes one more member and closes the object.
    fn with(mut self, name: &str, json: &[u8]) {
        self.key(name).extend_from_slice(json);
        self.end();
    }

    fn with_text(mut self, name: &str, text: &str) {
        self.text(name, text);
        self.end();
    }
}
