//! The parts of a message, read into the neutral form. Requests and answers have the same.

use std::borrow::Cow;

use super::super::NAME;
use super::super::json::{Members, Str, text};
use super::super::wire;
use crate::neutral::{
    Call, CallKind, Content, Media, MediaKind, Native, Outcome, Part, Raw, Reasoning, Source as Place, Text,
};
use crate::seal::Seal;

/// What the parts alone do not say.
pub(in super::super) trait Source {
    /// The opaque state that a part carries.
    fn seal(&self, kind: &str, data: &str) -> Option<Seal>;
    /// The id of a call, made up where it has none.
    fn call(&mut self, id: Option<&str>, name: &str) -> String;
    /// The id of the call that an outcome belongs to.
    fn outcome(&mut self, id: Option<&str>, name: &str) -> String;
}

/// Reads a part. It may come to more than one: what stands beside its content follows as native parts named `part.X`,
/// and the state of a medium as an empty thought.
pub(in super::super) fn neutral(part: wire::Part<'_>, source: &mut impl Source, out: &mut Vec<Part>) {
    let signature = part.signature.as_ref().map(|Str(data)| &**data).filter(|data| !data.is_empty());
    if let Some((name, json)) = part.native() {
        out.push(native(name.to_owned(), json));
        return;
    }
    let asides: Vec<Part> =
        part.asides().map(|(name, raw)| native(format!("part.{name}"), raw.to_owned())).collect();
    if let Some(call) = part.call {
        let name = owned(call.name);
        let id = source.call(call.id.as_ref().map(|Str(id)| &**id).filter(|id| !id.is_empty()), &name);
        let seal = signature.and_then(|data| source.seal(&format!("call:{id}"), data));
        let arguments = call.args.map_or_else(|| "{}".to_owned(), |args| args.get().to_owned());
        let kind = CallKind::Function;
        out.push(Part::new(Content::Call(Call { id, name, arguments, kind, seal })));
    } else if let Some(response) = part.outcome {
        out.push(Part::new(Content::Outcome(outcome(response, source))));
    } else if part.inline.is_some() || part.file.is_some() {
        let medium = part.inline.map(from_inline).or_else(|| part.file.map(from_file));
        out.extend(medium.map(|medium| Part::new(Content::Media(medium))));
        if part.thought {
            out.extend(truth().map(|json| native("part.thought".to_owned(), json)));
        }
        if let Some(seal) = signature.and_then(|data| source.seal("media", data)) {
            let thought = Reasoning { seal: Some(seal), ..Reasoning::default() };
            out.push(Part::new(Content::Reasoning(thought)));
        }
    } else if part.thought {
        let seal = signature.and_then(|data| source.seal("thought", data));
        let text = owned(part.text);
        if seal.is_some() || !text.is_empty() {
            out.push(Part::new(Content::Reasoning(Reasoning { text, summary: true, seal })));
        }
    } else {
        let seal = signature.and_then(|data| source.seal("text", data));
        let text = owned(part.text);
        if seal.is_some() || !text.is_empty() {
            out.push(Part::new(Content::Text(Text { text, citations: Vec::new(), seal })));
        }
    }
    out.extend(asides);
}

fn outcome(response: wire::FunctionResponse<'_>, source: &mut impl Source) -> Outcome {
    let name = owned(response.name);
    let id = source.outcome(response.id.as_ref().map(|Str(id)| &**id).filter(|id| !id.is_empty()), &name);
    let (text, failed) = response.response.map_or_else(Default::default, |raw| said(raw.get()));
    let mut parts = Vec::new();
    if !text.is_empty() {
        parts.push(Part::text(text));
    }
    for part in response.parts.unwrap_or_default() {
        let medium = part.inline.map(from_inline).or_else(|| part.file.map(from_file));
        parts.extend(medium.map(|medium| Part::new(Content::Media(medium))));
    }
    let name = Some(name).filter(|name| !name.is_empty());
    Outcome { id, name, parts, failed, kind: CallKind::Function }
}

/// What a function gave, and whether it failed: the text alone where the response is no more than Google's own wrapping
/// of it (`output`, `error`), else the response as it stands.
fn said(response: &str) -> (String, bool) {
    let whole = || (response.to_owned(), false);
    let Ok(Members(members)) = serde_json::from_str::<Members<'_>>(response) else { return whole() };
    let [(name, value)] = members.as_slice() else { return whole() };
    let plain = text(value).filter(|text| !text.trim_start().starts_with('{'));
    match (&**name, plain) {
        ("output", Some(text)) => (text, false),
        ("error", Some(text)) => (text, true),
        ("error", None) => (response.to_owned(), true),
        _ => whole(),
    }
}

// === media ===

fn from_inline(blob: wire::Blob<'_>) -> Media {
    let mime = blob.mime_type.map(|Str(mime)| mime.into_owned()).filter(|mime| !mime.is_empty());
    let data = standard(&blob.data.map(|Str(data)| data).unwrap_or_default()).into_owned();
    Media {
        kind: kind(mime.as_deref(), ""),
        source: Place::Base64(data),
        // The bytes are some bytes; what has no type has at least this one.
        mime: Some(mime.unwrap_or_else(|| "application/octet-stream".to_owned())),
        name: blob.display_name.map(|Str(name)| name.into_owned()),
        detail: None,
    }
}

fn from_file(file: wire::FileData<'_>) -> Media {
    let mime = file.mime_type.map(|Str(mime)| mime.into_owned()).filter(|mime| !mime.is_empty());
    let uri = owned(file.file_uri);
    Media {
        kind: kind(mime.as_deref(), &uri),
        source: if is_own(&uri) { Place::File(uri) } else { Place::Url(uri) },
        mime,
        name: file.display_name.map(|Str(name)| name.into_owned()),
        detail: None,
    }
}

/// Whether only Google can fetch it: a file of the Files API or of Cloud Storage.
pub(super) fn is_own(uri: &str) -> bool {
    let rest = uri.strip_prefix("https://generativelanguage.googleapis.com/");
    uri.starts_with("gs://") || uri.starts_with("files/") || rest.is_some_and(|path| path.contains("/files/"))
}

fn kind(mime: Option<&str>, uri: &str) -> MediaKind {
    let mime = mime.or_else(|| guess(uri)).unwrap_or_default();
    match mime.split('/').next() {
        Some("image") => MediaKind::Image,
        Some("audio") => MediaKind::Audio,
        Some("video") => MediaKind::Video,
        _ => MediaKind::Document,
    }
}

/// The media type that the end of an address speaks of.
pub(super) fn guess(uri: &str) -> Option<&'static str> {
    if uri.contains("youtube.com/") || uri.contains("youtu.be/") {
        return Some("video/mp4");
    }
    let path = uri.split(['?', '#']).next().unwrap_or_default();
    let extension = path.rsplit('/').next()?.rsplit_once('.')?.1.to_ascii_lowercase();
    TYPES.iter().find(|(known, _)| *known == extension).map(|(_, mime)| *mime)
}

const TYPES: [(&str, &str); 22] = [
    ("png", "image/png"),
    ("jpg", "image/jpeg"),
    ("jpeg", "image/jpeg"),
    ("webp", "image/webp"),
    ("gif", "image/gif"),
    ("heic", "image/heic"),
    ("heif", "image/heif"),
    ("pdf", "application/pdf"),
    ("txt", "text/plain"),
    ("md", "text/markdown"),
    ("html", "text/html"),
    ("csv", "text/csv"),
    ("json", "application/json"),
    ("mp3", "audio/mpeg"),
    ("wav", "audio/wav"),
    ("ogg", "audio/ogg"),
    ("flac", "audio/flac"),
    ("m4a", "audio/mp4"),
    ("mp4", "video/mp4"),
    ("mov", "video/quicktime"),
    ("webm", "video/webm"),
    ("mpeg", "video/mpeg"),
];

/// Base64 in the standard alphabet and padded; proto JSON takes the one for addresses as well.
pub(in super::super) fn standard(data: &str) -> Cow<'_, str> {
    let padded = data.len().is_multiple_of(4);
    if padded && !data.bytes().any(|b| matches!(b, b'-' | b'_')) {
        return Cow::Borrowed(data);
    }
    let mut out: String = data
        .chars()
        .map(|c| {
            if c == '-' {
                '+'
            } else if c == '_' {
                '/'
            } else {
                c
            }
        })
        .collect();
    while !out.len().is_multiple_of(4) && !out.ends_with("==") {
        out.push('=');
    }
    Cow::Owned(out)
}

fn native(name: String, json: Raw) -> Part {
    Part::new(Content::Native(Native { dialect: NAME, name, json }))
}

fn truth() -> Option<Raw> {
    serde_json::value::RawValue::from_string("true".to_owned()).ok()
}

fn owned(text: Option<Str<'_>>) -> String {
    text.map(|Str(text)| text.into_owned()).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_wrapping_of_an_outcome_is_taken_off_only_where_nothing_is_lost() {
        assert_eq!(said(r#"{"output":"5 °C"}"#), ("5 °C".to_owned(), false));
        assert_eq!(said(r#"{"error":"no such city"}"#), ("no such city".to_owned(), true));
        for whole in [r#"{"result":"x"}"#, r#"{"output":"x","n":null}"#, r#"{"output":"{\"a\":1}"}"#, "{}"] {
            assert_eq!(said(whole), (whole.to_owned(), false));
        }
        assert_eq!(said(r#"{"error":{"code":7}}"#), (r#"{"error":{"code":7}}"#.to_owned(), true));
    }

    #[test]
    fn base64_is_made_standard() {
        assert_eq!(standard("a-_b"), "a+/b");
        assert_eq!(standard("YQ"), "YQ==");
        assert_eq!(standard("YWJj"), "YWJj");
    }

    #[test]
    fn an_address_speaks_of_its_type() {
        assert_eq!(guess("https://x.org/a/b.PNG?c=d.pdf"), Some("image/png"));
        assert_eq!(guess("https://www.youtube.com/watch?v=1"), Some("video/mp4"));
        assert_eq!(guess("https://x.org/file"), None);
        assert!(is_own("gs://b/o") && is_own("https://generativelanguage.googleapis.com/v1beta/files/x"));
    }
}
