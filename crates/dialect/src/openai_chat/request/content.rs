//! The parts of messages, written.

use crate::Losses;
use crate::neutral::{CacheMark, Content, Native, Part};
use crate::openai_chat::NAME;
use crate::openai_chat::flavour::Flavour;
use crate::openai_chat::json::{Object, quote};
use crate::openai_chat::media;
use crate::openai_chat::members::Members;

/// The content of a message under way: its parts as JSON, without the brace that closes the last one.
#[derive(Debug, Default)]
pub(super) struct Pieces {
    json: Vec<u8>,
    count: usize,
    /// The text, while there is nothing but one.
    plain: Option<String>,
}

// === impl Pieces ===

impl Pieces {
    pub(super) const fn is_empty(&self) -> bool {
        self.count == 0
    }

    /// Begins a part with its members.
    fn begin(&mut self) -> &mut Vec<u8> {
        if self.count > 0 {
            self.json.extend_from_slice(b"},");
        }
        self.count += 1;
        self.plain = None;
        &mut self.json
    }

    pub(super) fn text(&mut self, text: &str) {
        if text.is_empty() {
            return;
        }
        let out = self.begin();
        out.extend_from_slice(b"{\"type\":\"text\",\"text\":");
        quote(out, text);
        self.plain = (self.count == 1).then(|| text.to_owned());
    }

    pub(super) fn refusal(&mut self, text: &str) {
        let out = self.begin();
        out.extend_from_slice(b"{\"type\":\"refusal\",\"refusal\":");
        quote(out, text);
    }

    /// A whole part as it is; `false` when it is no object.
    pub(super) fn raw(&mut self, json: &str) -> bool {
        let open = json.trim_end().strip_suffix('}').filter(|json| json.trim_end().len() > 1);
        let Some(open) = open.filter(|json| json.starts_with('{')) else { return false };
        self.begin().extend_from_slice(open.as_bytes());
        true
    }

    /// A thought, in the form that it has as a part.
    pub(super) fn thinking(&mut self, text: &str, data: &str) {
        let out = self.begin();
        out.extend_from_slice(b"{\"type\":\"thinking\",\"thinking\":[{\"type\":\"text\",\"text\":");
        quote(out, text);
        out.extend_from_slice(b"}]");
        // The state may come from a client: it is read, not trusted.
        let members: Members<'_> = serde_json::from_str(data).unwrap_or_default();
        for (name, value) in members.all().filter(|(name, _)| !matches!(*name, "type" | "thinking")) {
            out.push(b',');
            quote(out, name);
            out.push(b':');
            out.extend_from_slice(value.get().as_bytes());
        }
    }

    pub(super) fn media(&mut self, part: &Part, flavour: Flavour, losses: &mut Losses) {
        let Content::Media(medium) = &part.content else { return };
        let mut out = Vec::new();
        if media::write(&mut Object::open(&mut out), medium, flavour, losses) {
            self.begin().extend_from_slice(&out);
            self.mark(part, flavour, losses);
        }
    }

    /// Puts the mark of a part behind it.
    pub(super) fn mark(&mut self, part: &Part, flavour: Flavour, losses: &mut Losses) {
        let Some(mark) = &part.cache else { return };
        if flavour.marks(mark, "messages.cache_control", losses) && self.count > 0 {
            self.plain = None;
            self.json.extend_from_slice(b",\"cache_control\":");
            write_mark(&mut self.json, mark);
        }
    }

    /// A further member of the last part; `false` when there is none.
    pub(super) fn member(&mut self, name: &str, native: &Native) -> bool {
        if self.count == 0 {
            return false;
        }
        self.plain = None;
        self.json.push(b',');
        quote(&mut self.json, name);
        self.json.push(b':');
        self.json.extend_from_slice(native.json.get().as_bytes());
        true
    }

    /// Writes them: one plain text as such, else a list; `or` when there are none.
    pub(super) fn write(&self, out: &mut Vec<u8>, or: &str) {
        match &self.plain {
            _ if self.count == 0 => out.extend_from_slice(or.as_bytes()),
            Some(text) => quote(out, text),
            None => {
                out.push(b'[');
                out.extend_from_slice(&self.json);
                out.extend_from_slice(b"}]");
            }
        }
    }
}

/// A prompt-cache mark.
pub(super) fn write_mark(out: &mut Vec<u8>, mark: &CacheMark) {
    let mut object = Object::open(out);
    object.text("type", "ephemeral");
    if let Some(ttl) = &mark.ttl {
        object.text("ttl", ttl);
    }
    object.close();
}

/// A native part's name and itself, if it is this dialect's; else a loss.
pub(super) fn own<'a>(native: &'a Native, losses: &mut Losses) -> Option<(&'a str, &'a Native)> {
    if native.dialect == NAME {
        return Some((&native.name, native));
    }
    losses.lose(format!("messages.{}", native.name), "only the dialect that it came in has it");
    None
}
