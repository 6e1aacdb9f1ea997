//! What the meter reads beside the bytes.
//!
//! In JSON a quote inside text is always escaped, so the bytes `"name"` can only be the name of a member or a whole
//! text. That makes a search a sound first look: the many pieces of content are told by it, and only the few other
//! events are parsed.

use std::sync::LazyLock;

use bytes::Bytes;
use lockgate_core::{Payload, Usage};
use memchr::memmem::Finder;

use super::super::error;
use super::{Event, is_failure, named, usage};
use crate::{Meter, Note};

static INDEX: LazyLock<Finder<'static>> = LazyLock::new(|| Finder::new(b"\"contentBlockIndex\""));
static TEXT: LazyLock<Finder<'static>> = LazyLock::new(|| Finder::new(b"\"text\""));
static INPUT: LazyLock<Finder<'static>> = LazyLock::new(|| Finder::new(b"\"input\""));
static START: LazyLock<Finder<'static>> = LazyLock::new(|| Finder::new(b"\"start\""));

#[derive(Clone, Debug, Default)]
pub(in super::super) struct ConverseMeter {
    usage: Option<Usage>,
    stopped: bool,
    content: bool,
    content_bytes: u64,
}

impl Meter for ConverseMeter {
    fn note(&mut self, data: &[u8]) -> Note {
        let data = data.trim_ascii();
        if data.is_empty() {
            return Note::Frame;
        }
        if !data.starts_with(b"{") || !data.ends_with(b"}") {
            return Note::Garbage;
        }
        if INDEX.find(data).is_some() {
            let said = text_bytes(&TEXT, data).or_else(|| text_bytes(&INPUT, data));
            self.content_bytes += said.unwrap_or(0);
            // A block that begins, or a piece that is more than an empty text.
            self.content |= match said {
                Some(len) => len > 0,
                None => START.find(data).is_some() || memchr::memmem::find(data, b"\"delta\"").is_some(),
            };
            return self.passed();
        }
        let unwrapped = named(data);
        let (name, inner) = unwrapped.as_ref().map_or(("", data), |(name, inner)| (name.as_str(), *inner));
        let Ok(event) = serde_json::from_slice::<Event<'_>>(inner) else {
            return if name.ends_with("Exception") {
                Note::Failed(error::in_stream(name, inner))
            } else {
                Note::Garbage
            };
        };
        if is_failure(name, &event) {
            return Note::Failed(error::in_stream(name, inner));
        }
        if event.stop_reason.is_some() {
            self.stopped = true;
            self.content = true;
        }
        if let Some(usage) = usage(event.usage) {
            self.usage = Some(usage);
            return Note::UsageOnly;
        }
        self.passed()
    }

    fn note_rest(&mut self, data: &[u8]) -> Note {
        if Payload::parse(Bytes::copy_from_slice(data)).is_ok() { self.note(data) } else { Note::Garbage }
    }

    fn usage(&self) -> Option<Usage> {
        self.usage
    }

    fn complete(&self) -> bool {
        self.stopped
    }

    fn content_bytes(&self) -> u64 {
        self.content_bytes
    }
}

impl ConverseMeter {
    const fn passed(&self) -> Note {
        if self.content { Note::Content } else { Note::Frame }
    }
}

/// The length of the first text under this name, escapes and all.
fn text_bytes(finder: &Finder<'_>, data: &[u8]) -> Option<u64> {
    let rest = data.get(finder.find(data)? + finder.needle().len()..)?.trim_ascii_start();
    let text = rest.strip_prefix(b":")?.trim_ascii_start().strip_prefix(b"\"")?;
    let mut len = 0;
    while let Some(hit) = memchr::memchr2(b'"', b'\\', text.get(len..)?) {
        len += hit;
        if text.get(len) == Some(&b'"') {
            return Some(len as u64);
        }
        len = (len + 2).min(text.len());
    }
    None
}
