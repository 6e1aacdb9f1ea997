//! Blocks of a request as they are written.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::value::RawValue;

use super::dialogue::{Piece, What};
use super::tools::write_mark;
use crate::anthropic::NAME;
use crate::anthropic::block::noted;
use crate::anthropic::json::{Array, Object};
use crate::neutral::{
    Call, CallKind, Citation, Content, Media, MediaKind, Native, Outcome, Reasoning, Role, Source, Text,
};
use crate::{Losses, Target};

/// Prompt-cache marks that a request may have.
const MAX_MARKS: usize = 4;
/// Image types that are taken.
const IMAGES: [&str; 4] = ["image/jpeg", "image/png", "image/gif", "image/webp"];

/// Prompt-cache marks as they are written: no more than the target takes, the last ones, which reach furthest.
#[derive(Debug)]
pub(super) struct Marks {
    surplus: usize,
}

/// Writes blocks for a target.
pub(super) struct Writer<'w> {
    pub(super) target: &'w Target<'w>,
    pub(super) marks: &'w mut Marks,
    pub(super) losses: &'w mut Losses,
    /// Whose message is written.
    pub(super) role: Role,
    /// Whether the block is the last of a conversation that the model is to go on with in its own words.
    pub(super) is_last_word: bool,
}

// === impl Marks ===

impl Marks {
    pub(super) fn of(wanted: usize, losses: &mut Losses) -> Self {
        if wanted > MAX_MARKS {
            losses.lose("cache_control", "the target takes four marks: the last four are set");
        }
        Self { surplus: wanted.saturating_sub(MAX_MARKS) }
    }

    /// Whether the next mark is set.
    pub(super) fn one(&mut self) -> bool {
        let is_set = self.surplus == 0;
        self.surplus = self.surplus.saturating_sub(1);
        is_set
    }
}

/// Whether the target's provider made this thought.
pub(super) fn opens(content: &Content, target: &Target<'_>) -> bool {
    matches!(content, Content::Reasoning(Reasoning { seal: Some(seal), .. }) if seal.opens_at(target.provider, NAME))
}

// === impl Writer ===

impl Writer<'_> {
    /// Writes a block as an item of `blocks`; what cannot be written is lost.
    pub(super) fn piece(&mut self, piece: &Piece<'_>, blocks: &mut Array<'_>) {
        let marked = piece.cache.is_some() && self.marks.one();
        let mark = piece.cache.filter(|_| marked);
        let mut block = Vec::new();
        if !self.block(&piece.what, &mut block) {
            return;
        }
        // What was written is an object; notes and the mark go before its end.
        let is_native = matches!(piece.what, What::Part(Content::Native(_)));
        let is_thought = matches!(piece.what, What::Part(Content::Reasoning(_)));
        let out = blocks.item();
        if is_native || (piece.notes.is_empty() && mark.is_none()) {
            out.extend_from_slice(&block);
            return;
        }
        block.pop();
        out.extend_from_slice(&block);
        let mut noted_mark = false;
        for native in &piece.notes {
            let Some(member) = noted(native) else { continue };
            noted_mark |= member == "cache_control";
            out.push(b',');
            crate::anthropic::json::text(out, member);
            out.push(b':');
            out.extend_from_slice(native.json.get().as_bytes());
        }
        match mark {
            Some(_) if is_thought => {
                self.losses.lose("messages.cache_control", "the target takes no mark on a thought");
            }
            Some(mark) if !noted_mark => {
                let mut bare = Vec::new();
                let mut object = Object::begin(&mut bare);
                write_mark(&mut object, mark, self.losses);
                out.push(b',');
                out.extend_from_slice(bare.get(1..).unwrap_or_default());
            }
            _ => {}
        }
        out.push(b'}');
    }

    fn block(&mut self, what: &What<'_>, out: &mut Vec<u8>) -> bool {
        match what {
            What::Part(content) => self.content(content, out),
            What::Call(call, id) => self.call(call, id, out),
            What::Outcome(outcome, id) => self.outcome(outcome, id, out),
            What::Missing(id) => {
                let mut block = Object::begin(out);
                block.text("type", "tool_result");
                block.text("tool_use_id", id);
                block.text("content", "The call has no result.");
                block.raw("is_error", "true");
                block.end();
                true
            }
            What::Orphan(outcome) => self.orphan(outcome, out),
            What::Held(_) => false,
        }
    }

    fn content(&mut self, content: &Content, out: &mut Vec<u8>) -> bool {
        match content {
            Content::Text(text) => self.text(text, out),
            Content::Media(_) if self.role == Role::Assistant => {
                self.losses.lose("messages.media", "the target takes no media as the model's own");
                false
            }
            Content::Media(media) => self.media(media, out),
            Content::Refusal(text) => self.text(&Text { text: text.clone(), ..Text::default() }, out),
            Content::Reasoning(reasoning) => self.reasoning(reasoning, out),
            Content::Native(native) => self.native(native, out),
            // Calls and outcomes were paired; here they stand where no call or outcome may.
            Content::Call(_) => {
                self.losses.lose("messages.tool_calls", "only the model calls tools");
                false
            }
            Content::Outcome(outcome) => self.orphan(outcome, out),
        }
    }

    fn text(&mut self, text: &Text, out: &mut Vec<u8>) -> bool {
        if text.seal.is_some() {
            self.losses.lose("messages.signature", "another provider's state means nothing to the target");
        }
        if text.text.trim().is_empty() {
            if !text.text.is_empty() {
                self.losses.lose("messages.content", "the target refuses texts of white space");
            }
            return false;
        }
        let mut words = text.text.as_str();
        if self.is_last_word && words.ends_with(char::is_whitespace) {
            self.losses
                .lose("messages.content", "the target refuses white space at the end of the last words");
            words = words.trim_end();
        }
        let mut block = Object::begin(out);
        block.text("type", "text");
        block.text("text", words);
        let own = |citation: &Citation| citation.native.as_ref().is_some_and(|native| native.dialect == NAME);
        if text.citations.iter().any(|citation| !own(citation)) {
            self.losses.lose("messages.citations", "the target takes its own citations only");
        }
        if text.citations.iter().any(own) {
            let mut array = Array::begin(block.member("citations"));
            for native in
                text.citations.iter().filter_map(|c| c.native.as_ref()).filter(|n| n.dialect == NAME)
            {
                array.item().extend_from_slice(native.json.get().as_bytes());
            }
            array.end();
        }
        block.end();
        true
    }

    fn reasoning(&mut self, reasoning: &Reasoning, out: &mut Vec<u8>) -> bool {
        let Some(seal) = reasoning.seal.as_ref().filter(|seal| seal.opens_at(self.target.provider, NAME))
        else {
            self.losses.lose("messages.reasoning", "the target takes back only thoughts that it signed");
            return false;
        };
        let mut block = Object::begin(out);
        if &*seal.kind == "redacted" {
            block.text("type", "redacted_thinking");
            block.text("data", &seal.data);
        } else {
            block.text("type", "thinking");
            block.text("thinking", &reasoning.text);
            block.text("signature", &seal.data);
        }
        block.end();
        true
    }

    fn native(&mut self, native: &Native, out: &mut Vec<u8>) -> bool {
        if native.dialect != NAME {
            self.losses.lose(format!("messages.{}", native.name), "only its own dialect has it");
            return false;
        }
        out.extend_from_slice(native.json.get().as_bytes());
        true
    }

    fn call(&mut self, call: &Call, id: &str, out: &mut Vec<u8>) -> bool {
        if call.seal.is_some() {
            self.losses.lose("messages.signature", "another provider's state means nothing to the target");
        }
        let mut block = Object::begin(out);
        block.text("type", "tool_use");
        block.text("id", id);
        block.text("name", &call.name);
        self.arguments(call, block.member("input"));
        block.end();
        true
    }

    /// The target demands an object: what is none goes into one.
    fn arguments(&mut self, call: &Call, out: &mut Vec<u8>) {
        let given = call.arguments.trim();
        if call.kind == CallKind::Custom {
            let mut input = Object::begin(out);
            input.text("input", &call.arguments);
            input.end();
            return;
        }
        match serde_json::from_str::<&RawValue>(given) {
            Ok(raw) if raw.get().starts_with('{') => out.extend_from_slice(raw.get().as_bytes()),
            _ if given.is_empty() || given == "null" => out.extend_from_slice(b"{}"),
            Ok(raw) => {
                self.losses.lose("messages.arguments", "they are no object: one was put around them");
                let mut input = Object::begin(out);
                input.raw("arguments", raw.get());
                input.end();
            }
            Err(_) => {
                self.losses
                    .lose("messages.arguments", "they are not valid JSON: sent as a text in an object");
                let mut input = Object::begin(out);
                input.text("arguments", &call.arguments);
                input.end();
            }
        }
    }

    fn outcome(&mut self, outcome: &Outcome, id: &str, out: &mut Vec<u8>) -> bool {
        let mut block = Object::begin(out);
        block.text("type", "tool_result");
        block.text("tool_use_id", id);
        let plain = match outcome.parts.as_slice() {
            [part] if part.cache.is_none() => match &part.content {
                Content::Text(text) if text.citations.is_empty() && text.seal.is_none() => Some(&text.text),
                _ => None,
            },
            _ => None,
        };
        if let Some(text) = plain {
            if !text.is_empty() {
                block.text("content", text);
            }
        } else {
            let mut content = Vec::new();
            let mut array = Array::begin(&mut content);
            for piece in super::dialogue::inner(&outcome.parts) {
                self.piece(&piece, &mut array);
            }
            array.end();
            if content != b"[]" {
                block.member("content").extend_from_slice(&content);
            }
        }
        if outcome.failed {
            block.raw("is_error", "true");
        }
        block.end();
        true
    }

    /// An outcome of no call: the target refuses it as such, so it is told in words.
    fn orphan(&mut self, outcome: &Outcome, out: &mut Vec<u8>) -> bool {
        self.losses.lose("messages.tool_call_id", "an outcome has no call before it: it became a text");
        let mut told = match &outcome.name {
            Some(name) => format!("Result of {name}: "),
            None => "Result of a tool: ".to_owned(),
        };
        for part in &outcome.parts {
            match &part.content {
                Content::Text(text) => told.push_str(&text.text),
                _ => self.losses.lose("messages.content", "an outcome without a call keeps its texts only"),
            }
        }
        self.text(&Text { text: told, ..Text::default() }, out)
    }

    fn media(&mut self, media: &Media, out: &mut Vec<u8>) -> bool {
        let kind = match media.kind {
            MediaKind::Image => "image",
            MediaKind::Document => "document",
            MediaKind::Audio | MediaKind::Video => {
                self.losses.lose("messages.audio", "the target takes no sounds and films");
                return false;
            }
        };
        let mut source = Vec::new();
        if !self.source(media, &mut source) {
            return false;
        }
        if media.detail.as_deref().is_some_and(|detail| detail != "auto") {
            self.losses.lose("messages.image_url.detail", "the target looks at images in its own way");
        }
        let mut block = Object::begin(out);
        block.text("type", kind);
        block.member("source").extend_from_slice(&source);
        if let Some(name) =
            media.name.as_ref().filter(|name| media.kind == MediaKind::Document && !name.is_empty())
        {
            block.text("title", name);
        }
        block.end();
        true
    }

    fn source(&mut self, media: &Media, out: &mut Vec<u8>) -> bool {
        let mime = media.mime.as_deref().unwrap_or_default();
        let is_image = media.kind == MediaKind::Image;
        match &media.source {
            Source::Url(url) => {
                match url.strip_prefix("data:").and_then(|rest| rest.split_once(";base64,")) {
                    Some((mime, data)) => self.bytes(is_image, mime, data, out),
                    None => {
                        place(out, "url", "url", url);
                        true
                    }
                }
            }
            Source::Base64(data) => self.bytes(is_image, mime, data, out),
            Source::Text(_) if is_image => {
                self.losses.lose("messages.image", "an image is no text");
                false
            }
            Source::Text(text) => {
                plain(out, text);
                true
            }
            Source::File(id) if id.starts_with("file_") => {
                place(out, "file", "file_id", id);
                true
            }
            Source::File(_) => {
                self.losses
                    .lose("messages.file_id", "a file at another provider is out of the target's reach");
                false
            }
        }
    }

    fn bytes(&mut self, is_image: bool, mime: &str, data: &str, out: &mut Vec<u8>) -> bool {
        let mime = mime.split(';').next().unwrap_or_default().trim();
        let mime = if mime == "image/jpg" { "image/jpeg" } else { mime };
        if IMAGES.contains(&mime) && is_image || mime == "application/pdf" && !is_image {
            let mut source = Object::begin(out);
            source.text("type", "base64");
            source.text("media_type", mime);
            source.text("data", data);
            source.end();
            return true;
        }
        let is_text = mime.starts_with("text/") || mime == "application/json";
        let decoded = if is_text && !is_image { STANDARD.decode(data).ok() } else { None };
        if let Some(text) = decoded.and_then(|bytes| String::from_utf8(bytes).ok()) {
            plain(out, &text);
            return true;
        }
        self.losses.lose("messages.media", "the target does not take this media type");
        false
    }
}

fn place(out: &mut Vec<u8>, kind: &str, member: &str, value: &str) {
    let mut source = Object::begin(out);
    source.text("type", kind);
    source.text(member, value);
    source.end();
}

fn plain(out: &mut Vec<u8>, text: &str) {
    let mut source = Object::begin(out);
    source.text("type", "text");
    source.text("media_type", "text/plain");
    source.text("data", text);
    source.end();
}
