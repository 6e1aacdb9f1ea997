//! What the meter reads beside the bytes.
//!
//! A piece of content is told by a search for the members that only pieces have; the few other events are parsed.

use std::sync::LazyLock;

use bytes::Bytes;
use lockgate_core::{Payload, Usage};
use memchr::memmem::Finder;

use super::super::error;
use super::{Event, usage};
use crate::{Meter, Note};

static DELTA: LazyLock<Finder<'static>> = LazyLock::new(|| Finder::new(b"-delta\""));
static END: LazyLock<Finder<'static>> = LazyLock::new(|| Finder::new(b"\"message-end\""));
static SAID: LazyLock<[Finder<'static>; 4]> = LazyLock::new(|| {
    [b"\"text\":".as_slice(), b"\"thinking\":", b"\"arguments\":", b"\"tool_plan\":"].map(Finder::new)
});

#[derive(Clone, Debug, Default)]
pub(in super::super) struct CohereMeter {
    usage: Option<Usage>,
    ended: bool,
    content: bool,
    content_bytes: u64,
}

impl Meter for CohereMeter {
    fn note(&mut self, data: &[u8]) -> Note {
        let data = data.trim_ascii();
        if data.is_empty() || data == b"[DONE]" {
            return Note::Frame;
        }
        if !data.starts_with(b"{") || !data.ends_with(b"}") {
            return Note::Garbage;
        }
        if DELTA.find(data).is_some() && END.find(data).is_none() {
            let said = SAID.iter().find_map(|finder| text_bytes(finder, data)).unwrap_or(0);
            self.content_bytes += said;
            self.content |= said > 0;
            return self.passed();
        }
        let Ok(event) = serde_json::from_slice::<Event<'_>>(data) else { return Note::Garbage };
        match event.r#type.as_ref().map_or("", |kind| kind.0.as_ref()) {
            "message-end" => {
                let delta = event.delta.as_ref();
                let reason = delta.and_then(|delta| delta.finish_reason.as_ref());
                if reason.is_some_and(|reason| reason.0 == "ERROR") {
                    let said = delta.and_then(|delta| delta.error.as_ref());
                    return Note::Failed(error::in_answer(said.map(|said| said.0.as_ref())));
                }
                self.ended = true;
                self.content = true;
                if let Some(usage) = usage(delta.and_then(|delta| delta.usage)) {
                    self.usage = Some(usage);
                }
            }
            "tool-call-start" => self.content = true,
            "" => {
                if let Some(message) = &event.message {
                    return Note::Failed(error::in_answer(Some(&message.0)));
                }
                return Note::Garbage;
            }
            _ => {}
        }
        self.passed()
    }

    fn note_rest(&mut self, data: &[u8]) -> Note {
        let data = data.trim_ascii();
        if data == b"[DONE]" || Payload::parse(Bytes::copy_from_slice(data)).is_ok() {
            self.note(data)
        } else {
            Note::Garbage
        }
    }

    fn usage(&self) -> Option<Usage> {
        self.usage
    }

    fn complete(&self) -> bool {
        self.ended
    }

    fn content_bytes(&self) -> u64 {
        self.content_bytes
    }
}

impl CohereMeter {
    const fn passed(&self) -> Note {
        if self.content { Note::Content } else { Note::Frame }
    }
}

/// The length of the first text under this name, escapes and all; `None` when it has none.
fn text_bytes(finder: &Finder<'_>, data: &[u8]) -> Option<u64> {
    let rest = data.get(finder.find(data)? + finder.needle().len()..)?.trim_ascii_start();
    let text = rest.strip_prefix(b"\"")?;
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
