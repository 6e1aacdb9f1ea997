//! What the dialect looks like on the wire.

use std::borrow::Cow;
use std::collections::BTreeMap;

use lockgate_core::Usage;
use serde::ser::SerializeMap as _;
use serde::{Deserialize, Serialize, Serializer};
use serde_json::value::RawValue;

use crate::neutral::MediaKind;

/// Counts above this are no counts.
const MOST_TOKENS: u64 = 1 << 53;

/// Text that borrows where it has no escapes.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Deserialize)]
#[serde(transparent)]
pub(crate) struct Txt<'a>(#[serde(borrow)] pub(crate) Cow<'a, str>);

/// The members of an object, their values unread.
pub(crate) type Object<'a> = BTreeMap<Txt<'a>, &'a RawValue>;

/// `usage` of an answer.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub struct WireUsage {
    input_tokens: Option<u64>,
    output_tokens: Option<u64>,
    cache_read_input_tokens: Option<u64>,
    cache_read_input_token_count: Option<u64>,
    cache_write_input_tokens: Option<u64>,
    cache_write_input_token_count: Option<u64>,
    cache_details: Option<Vec<CacheDetail>>,
}

#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
struct CacheDetail {
    ttl: Option<String>,
    input_tokens: Option<u64>,
}

/// The same, written.
#[derive(Clone, Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Counts {
    input_tokens: u64,
    output_tokens: u64,
    total_tokens: u64,
    #[serde(skip_serializing_if = "Option::is_none")]
    cache_read_input_tokens: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    cache_write_input_tokens: Option<u64>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    cache_details: Vec<Lasting>,
}

/// What was written to the cache for how long.
#[derive(Clone, Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct Lasting {
    ttl: &'static str,
    input_tokens: u64,
}

/// A block of a message as it is written.
#[derive(Clone, Debug)]
pub(super) enum Block<'a> {
    Text(Cow<'a, str>),
    Media(Medium<'a>),
    ToolUse(ToolUse<'a>),
    ToolResult(ToolResult<'a>),
    Reasoning(Thought<'a>),
    Citations(Cited<'a>),
    CachePoint(CachePoint<'a>),
    Raw(Cow<'a, str>, Cow<'a, RawValue>),
}

/// `image`, `document`, `video` or `audio`.
#[derive(Clone, Debug)]
pub(super) struct Medium<'a> {
    pub(super) kind: MediaKind,
    pub(super) format: Cow<'a, str>,
    pub(super) name: Option<Cow<'a, str>>,
    pub(super) source: Place<'a>,
    /// Further members: `context`, `citations`.
    pub(super) more: Vec<(&'a str, &'a RawValue)>,
}

/// Where the bytes of a medium are.
#[derive(Clone, Debug)]
pub(super) enum Place<'a> {
    Bytes(&'a str),
    Text(&'a str),
    S3(&'a str),
    Raw(&'a RawValue),
}

#[derive(Clone, Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct ToolUse<'a> {
    pub(super) tool_use_id: Cow<'a, str>,
    pub(super) name: Cow<'a, str>,
    pub(super) input: Cow<'a, RawValue>,
}

#[derive(Clone, Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct ToolResult<'a> {
    pub(super) tool_use_id: Cow<'a, str>,
    pub(super) content: Vec<Block<'a>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) status: Option<&'static str>,
}

#[derive(Clone, Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) enum Thought<'a> {
    ReasoningText {
        text: Cow<'a, str>,
        #[serde(skip_serializing_if = "Option::is_none")]
        signature: Option<Cow<'a, str>>,
    },
    RedactedContent(Cow<'a, str>),
}

#[derive(Clone, Debug, Serialize)]
pub(super) struct Cited<'a> {
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub(super) content: Vec<Said<'a>>,
    pub(super) citations: Vec<Cow<'a, RawValue>>,
}

#[derive(Clone, Debug, Serialize)]
pub(super) struct Said<'a> {
    pub(super) text: &'a str,
}

#[derive(Clone, Debug, Serialize)]
pub(super) struct CachePoint<'a> {
    pub(super) r#type: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) ttl: Option<&'a str>,
}

/// Writes an object member by member.
#[derive(Debug)]
pub(super) struct Members(Vec<u8>);

// === impl WireUsage ===

impl WireUsage {
    /// The report in disjoint buckets, as which it comes: `inputTokens` does not count what the cache gave or took.
    /// `None` when it has no counts, or one that cannot be.
    pub fn buckets(&self) -> Option<Usage> {
        if self.input_tokens.is_none() && self.output_tokens.is_none() {
            return None;
        }
        let read = self.cache_read_input_tokens.or(self.cache_read_input_token_count).unwrap_or(0);
        let written = self.cache_write_input_tokens.or(self.cache_write_input_token_count).unwrap_or(0);
        let hour = self
            .cache_details
            .iter()
            .flatten()
            .filter(|detail| detail.ttl.as_deref() == Some("1h"))
            .fold(0_u64, |sum, detail| sum.saturating_add(detail.input_tokens.unwrap_or(0)))
            .min(written);
        let usage = Usage {
            input: self.input_tokens.unwrap_or(0),
            cache_read: read,
            cache_write: written - hour,
            cache_write_1h: hour,
            output: self.output_tokens.unwrap_or(0),
            ..Usage::default()
        };
        usage.counts().iter().all(|count| *count <= MOST_TOKENS).then_some(usage)
    }
}

// === impl Counts ===

impl Counts {
    pub(super) fn of(usage: &Usage) -> Self {
        let written = usage.cache_write.saturating_add(usage.cache_write_1h);
        let cached = usage.cache_read > 0 || written > 0;
        let fresh = usage.input_total().saturating_sub(usage.cache_read).saturating_sub(written);
        let mut cache_details = Vec::new();
        if usage.cache_write_1h > 0 {
            cache_details.push(Lasting { ttl: "1h", input_tokens: usage.cache_write_1h });
            if usage.cache_write > 0 {
                cache_details.push(Lasting { ttl: "5m", input_tokens: usage.cache_write });
            }
        }
        Self {
            input_tokens: fresh,
            output_tokens: usage.output_total(),
            total_tokens: usage.input_total().saturating_add(usage.output_total()),
            cache_read_input_tokens: cached.then_some(usage.cache_read),
            cache_write_input_tokens: cached.then_some(written),
            cache_details,
        }
    }
}

// === impl Block ===

impl Block<'_> {
    /// Whether it is text that says something.
    pub(super) fn is_text(&self) -> bool {
        matches!(self, Self::Text(_) | Self::Citations(_))
    }
}

impl Serialize for Block<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut map = serializer.serialize_map(Some(1))?;
        match self {
            Self::Text(text) => map.serialize_entry("text", text)?,
            Self::Media(medium) => map.serialize_entry(name(medium.kind), medium)?,
            Self::ToolUse(call) => map.serialize_entry("toolUse", call)?,
            Self::ToolResult(result) => map.serialize_entry("toolResult", result)?,
            Self::Reasoning(thought) => map.serialize_entry("reasoningContent", thought)?,
            Self::Citations(cited) => map.serialize_entry("citationsContent", cited)?,
            Self::CachePoint(point) => map.serialize_entry("cachePoint", point)?,
            Self::Raw(name, json) => map.serialize_entry(name, json)?,
        }
        map.end()
    }
}

impl Serialize for Medium<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut map = serializer.serialize_map(None)?;
        map.serialize_entry("format", &self.format)?;
        if let Some(name) = &self.name {
            map.serialize_entry("name", name)?;
        }
        map.serialize_entry("source", &self.source)?;
        for (name, json) in &self.more {
            map.serialize_entry(name, json)?;
        }
        map.end()
    }
}

impl Serialize for Place<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        #[derive(Serialize)]
        struct Location<'a> {
            uri: &'a str,
        }
        let mut map = match self {
            Self::Raw(json) => return json.serialize(serializer),
            _ => serializer.serialize_map(Some(1))?,
        };
        match self {
            Self::Bytes(bytes) => map.serialize_entry("bytes", bytes)?,
            Self::Text(text) => map.serialize_entry("text", text)?,
            Self::S3(uri) => map.serialize_entry("s3Location", &Location { uri })?,
            Self::Raw(_) => {}
        }
        map.end()
    }
}

// === impl Members ===

impl Members {
    pub(super) fn new() -> Self {
        Self(b"{".to_vec())
    }

    /// Adds a member. A value of our own types always serialises.
    pub(super) fn set<T: Serialize + ?Sized>(&mut self, name: &str, value: &T) {
        if self.0.len() > 1 {
            self.0.push(b',');
        }
        let _ = serde_json::to_writer(&mut self.0, name);
        self.0.push(b':');
        let _ = serde_json::to_writer(&mut self.0, value);
    }

    pub(super) fn is_empty(&self) -> bool {
        self.0.len() == 1
    }

    pub(super) fn finish(mut self) -> Vec<u8> {
        self.0.push(b'}');
        self.0
    }

    /// The object as a value to be put into another.
    pub(super) fn raw(self) -> Option<Box<RawValue>> {
        RawValue::from_string(String::from_utf8(self.finish()).ok()?).ok()
    }
}

// === names of formats ===

/// The member that holds a medium of this kind.
pub(super) const fn name(kind: MediaKind) -> &'static str {
    match kind {
        MediaKind::Image => "image",
        MediaKind::Document => "document",
        MediaKind::Audio => "audio",
        MediaKind::Video => "video",
    }
}

/// Formats whose media type is not the kind and the format joined, with that type.
const FORMATS: [(MediaKind, &str, &str); 16] = [
    (MediaKind::Document, "pdf", "application/pdf"),
    (MediaKind::Document, "csv", "text/csv"),
    (MediaKind::Document, "doc", "application/msword"),
    (MediaKind::Document, "docx", "application/vnd.openxmlformats-officedocument.wordprocessingml.document"),
    (MediaKind::Document, "xls", "application/vnd.ms-excel"),
    (MediaKind::Document, "xlsx", "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet"),
    (MediaKind::Document, "html", "text/html"),
    (MediaKind::Document, "txt", "text/plain"),
    (MediaKind::Document, "md", "text/markdown"),
    (MediaKind::Image, "jpeg", "image/jpg"),
    (MediaKind::Video, "three_gp", "video/3gpp"),
    (MediaKind::Video, "mkv", "video/x-matroska"),
    (MediaKind::Video, "mov", "video/quicktime"),
    (MediaKind::Video, "wmv", "video/x-ms-wmv"),
    (MediaKind::Audio, "mp3", "audio/mpeg"),
    (MediaKind::Audio, "wav", "audio/x-wav"),
];

/// The media type of a format.
pub(super) fn mime(kind: MediaKind, format: &str) -> String {
    if format.contains('/') {
        // Some clients write the media type itself.
        return format.to_owned();
    }
    let known =
        FORMATS.iter().find(|(of, name, mime)| *of == kind && *name == format && *mime != "image/jpg");
    match (known, kind) {
        (Some((_, "wav", _)), _) => "audio/wav".into(),
        (Some((_, _, mime)), _) => (*mime).into(),
        (None, MediaKind::Document) => format!("application/{format}"),
        (None, _) => format!("{}/{format}", name(kind)),
    }
}

/// The format of a media type; `None` when the dialect has none for it.
pub(super) fn format(kind: MediaKind, mime: &str) -> Option<&str> {
    let mime = mime.split(';').next().unwrap_or_default().trim();
    if let Some((_, format, _)) = FORMATS.iter().find(|(of, _, known)| *of == kind && *known == mime) {
        return Some(format);
    }
    let known: &[&str] = match kind {
        MediaKind::Image => &["png", "jpeg", "gif", "webp"],
        MediaKind::Document => return mime.starts_with("text/").then_some("txt"),
        MediaKind::Video => &["mkv", "mov", "mp4", "webm", "flv", "mpeg", "mpg", "wmv"],
        MediaKind::Audio => &[
            "mp3", "opus", "wav", "aac", "flac", "mp4", "ogg", "mkv", "mka", "x-aac", "m4a", "mpga", "pcm",
            "webm",
        ],
    };
    let (of, format) = mime.split_once('/')?;
    (of == name(kind) && known.contains(&format)).then_some(format)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn buckets(json: &str) -> Option<Usage> {
        serde_json::from_str::<WireUsage>(json).unwrap().buckets()
    }

    #[test]
    fn the_cache_stands_beside_the_input() {
        let usage = buckets(
            r#"{"cacheDetails":[{"inputTokens":200,"ttl":"1h"},{"inputTokens":97,"ttl":"5m"}],
                "cacheReadInputTokens":2074,"cacheWriteInputTokens":297,"inputTokens":3,"outputTokens":61,"totalTokens":2435}"#,
        )
        .unwrap();
        assert_eq!(
            (usage.input, usage.cache_read, usage.cache_write, usage.cache_write_1h),
            (3, 2074, 97, 200)
        );
        assert_eq!(usage.input_total() + usage.output_total(), 2435);
        let again: WireUsage =
            serde_json::from_str(&serde_json::to_string(&Counts::of(&usage)).unwrap()).unwrap();
        assert_eq!(again.buckets(), Some(usage));
    }

    #[test]
    fn a_report_without_counts_or_with_impossible_ones_is_none() {
        assert_eq!(buckets("{}"), None);
        assert_eq!(buckets(r#"{"inputTokens":9007199254740993,"outputTokens":1}"#), None);
    }

    #[test]
    fn formats_and_media_types_stand_for_each_other() {
        for (kind, formats) in [
            (MediaKind::Image, &["png", "jpeg", "gif", "webp"][..]),
            (MediaKind::Document, &["pdf", "csv", "doc", "docx", "xls", "xlsx", "html", "txt", "md"]),
            (MediaKind::Video, &["mkv", "mov", "mp4", "webm", "flv", "mpeg", "mpg", "wmv", "three_gp"]),
            (MediaKind::Audio, &["mp3", "opus", "wav", "aac", "flac", "ogg", "m4a", "webm"]),
        ] {
            for name in formats {
                assert_eq!(format(kind, &mime(kind, name)), Some(*name));
            }
        }
        assert_eq!(format(MediaKind::Image, "image/jpg"), Some("jpeg"));
        assert_eq!(format(MediaKind::Image, "image/svg+xml"), None);
        assert_eq!(format(MediaKind::Audio, "audio/wav"), Some("wav"));
    }
}
