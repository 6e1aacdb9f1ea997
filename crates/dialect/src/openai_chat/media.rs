//! Images, documents, sounds and films.

use std::borrow::Cow;

use lockgate_core::Error;
use serde_json::value::RawValue;

use super::flavour::{Documents, Flavour};
use super::json::Object;
use super::members::{Members, Path, begins};
use crate::Losses;
use crate::neutral::{Media, MediaKind, Source};

/// What is said of a document that has no name: OpenAI wants one.
const UNNAMED: &str = "document";

/// Reads a medium out of a part's members; `None` when the part is none.
///
/// # Errors
/// A caller's error that says which member is wrong.
pub(super) fn read(kind: &str, part: &mut Members<'_>, path: &Path<'_>) -> Result<Option<Media>, Error> {
    let of = match kind {
        "image_url" => MediaKind::Image,
        "video_url" => MediaKind::Video,
        "audio_url" => MediaKind::Audio,
        "document_url" => MediaKind::Document,
        "input_audio" => return audio(part, path).map(Some),
        "file" => return file(part, path).map(Some),
        _ => return Ok(None),
    };
    let raw = part.take(kind).ok_or_else(|| path.missing(kind))?;
    let path = Path::Member(path, kind);
    let (url, detail) = address(raw, &path)?;
    let (source, mime) = source(&url);
    let name = path.text_of(part, "document_name")?.map(Cow::into_owned);
    Ok(Some(Media { kind: of, source, mime, name, detail }))
}

/// An address as such, or an object with it and a hint how closely to look.
fn address(raw: &RawValue, path: &Path<'_>) -> Result<(String, Option<String>), Error> {
    if begins(raw, b'"') {
        return Ok((path.text(raw)?.into_owned(), None));
    }
    let mut members = path.object(raw)?;
    let url = path.text_of(&mut members, "url")?.ok_or_else(|| path.missing("url"))?;
    Ok((url.into_owned(), path.text_of(&mut members, "detail")?.map(Cow::into_owned)))
}

fn audio(part: &mut Members<'_>, path: &Path<'_>) -> Result<Media, Error> {
    let raw = part.take("input_audio").ok_or_else(|| path.missing("input_audio"))?;
    let path = Path::Member(path, "input_audio");
    let mut members = path.object(raw)?;
    let data = path.text_of(&mut members, "data")?.ok_or_else(|| path.missing("data"))?;
    let format = path.text_of(&mut members, "format")?;
    let (source, mime) = match source(&data) {
        (Source::Url(text), _) if !text.contains(':') => (Source::Base64(text), None),
        other => other,
    };
    let mime = format
        .map(|format| match &*format {
            "mp3" => "audio/mpeg".to_owned(),
            other => format!("audio/{other}"),
        })
        .or(mime)
        .or_else(|| matches!(source, Source::Base64(_)).then(|| "audio/wav".to_owned()));
    Ok(Media { kind: MediaKind::Audio, source, mime, name: None, detail: None })
}

fn file(part: &mut Members<'_>, path: &Path<'_>) -> Result<Media, Error> {
    let raw = part.take("file").ok_or_else(|| path.missing("file"))?;
    let path = Path::Member(path, "file");
    let mut members = path.object(raw)?;
    let name = path.text_of(&mut members, "filename")?.map(Cow::into_owned);
    let (source, mime) = match path.text_of(&mut members, "file_id")? {
        Some(id) => (Source::File(id.into_owned()), None),
        None => {
            let data = path.text_of(&mut members, "file_data")?.ok_or_else(|| path.missing("file_data"))?;
            match source(&data) {
                (Source::Url(text), _) if !text.contains(':') => {
                    (Source::Base64(text), Some("application/pdf".to_owned()))
                }
                other => other,
            }
        }
    };
    Ok(Media { kind: MediaKind::Document, source, mime, name, detail: None })
}

/// Where bytes are that are given by an address, which may hold them itself.
pub(super) fn source(url: &str) -> (Source, Option<String>) {
    let inline = url.strip_prefix("data:").and_then(|rest| rest.split_once(','));
    match inline {
        Some((head, data)) if head.ends_with(";base64") => {
            let mime = head.split(';').next().filter(|mime| !mime.is_empty());
            let mime = mime.unwrap_or("application/octet-stream").to_owned();
            (Source::Base64(data.to_owned()), Some(mime))
        }
        _ => (Source::Url(url.to_owned()), None),
    }
}

/// The address of bytes; `None` when they are at the provider or are text.
pub(super) fn url(media: &Media) -> Option<Cow<'_, str>> {
    match &media.source {
        Source::Base64(data) => {
            let mime = media.mime.as_deref().unwrap_or("application/octet-stream");
            Some(Cow::Owned(format!("data:{mime};base64,{data}")))
        }
        Source::Url(url) => Some(Cow::Borrowed(url)),
        Source::Text(_) | Source::File(_) => None,
    }
}

/// Writes a medium as the members of a part, which the caller closes; `false`, and a loss, when it cannot be said.
pub(super) fn write(object: &mut Object<'_>, media: &Media, flavour: Flavour, losses: &mut Losses) -> bool {
    match (media.kind, &media.source) {
        // Plain text says the same as a document that holds it.
        (_, Source::Text(text)) => {
            if media.name.is_some() {
                losses.lose("messages.document.title", "a text has no title here");
            }
            object.text("type", "text");
            object.text("text", text);
        }
        (MediaKind::Document, source) => return document(object, media, source, flavour, losses),
        (_, Source::File(_)) => {
            losses.lose("messages.content.file_id", "only documents are named by a file's id");
            return false;
        }
        (MediaKind::Image, _) => by_address(object, "image_url", media),
        (MediaKind::Video, _) => by_address(object, "video_url", media),
        (MediaKind::Audio, Source::Base64(data)) => {
            object.text("type", "input_audio");
            let mut audio = Object::open(object.member("input_audio"));
            audio.text("data", data);
            audio.text("format", format(media.mime.as_deref().unwrap_or("audio/wav")));
            audio.close();
        }
        (MediaKind::Audio, Source::Url(_)) => by_address(object, "audio_url", media),
    }
    true
}

fn by_address(object: &mut Object<'_>, kind: &str, media: &Media) {
    object.text("type", kind);
    let mut inner = Object::open(object.member(kind));
    inner.text("url", &url(media).unwrap_or_default());
    if let Some(detail) = &media.detail {
        inner.text("detail", detail);
    }
    inner.close();
}

fn document(
    object: &mut Object<'_>,
    media: &Media,
    source: &Source,
    flavour: Flavour,
    losses: &mut Losses,
) -> bool {
    if flavour.documents == Documents::DocumentUrl
        && let Some(url) = url(media)
    {
        object.text("type", "document_url");
        object.text("document_url", &url);
        if let Some(name) = &media.name {
            object.text("document_name", name);
        }
        return true;
    }
    if matches!(source, Source::Url(_)) && flavour.documents == Documents::Here {
        losses.lose("messages.content.file", "documents at an address are not taken");
        return false;
    }
    object.text("type", "file");
    let mut file = Object::open(object.member("file"));
    if let Source::File(id) = source {
        file.text("file_id", id);
    } else {
        file.text("filename", media.name.as_deref().unwrap_or(UNNAMED));
        file.text("file_data", &url(media).unwrap_or_default());
    }
    file.close();
    true
}

/// The word for a media type of sound.
fn format(mime: &str) -> &str {
    match mime.split(';').next().unwrap_or(mime) {
        "audio/mpeg" | "audio/mp3" => "mp3",
        "audio/wav" | "audio/x-wav" | "audio/wave" | "audio/vnd.wave" => "wav",
        other => other.strip_prefix("audio/").unwrap_or(other),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn there_and_back(json: &str, provider: &str) -> (String, Losses) {
        let (top, mut losses) = (Path::Top("part"), Losses::default());
        let mut members: Members<'_> = serde_json::from_str(json).unwrap();
        let kind = top.text_of(&mut members, "type").unwrap().unwrap();
        let media = read(&kind, &mut members, &top).unwrap().unwrap();
        let mut out = Vec::new();
        let mut object = Object::open(&mut out);
        let _ = write(&mut object, &media, Flavour::of(provider), &mut losses);
        object.close();
        (String::from_utf8(out).unwrap(), losses)
    }

    #[test]
    fn what_comes_in_goes_out() {
        for (json, provider) in [
            (r#"{"type":"image_url","image_url":{"url":"https://x/y.png","detail":"low"}}"#, "openai"),
            (r#"{"type":"image_url","image_url":{"url":"data:image/png;base64,AA=="}}"#, "openai"),
            (r#"{"type":"input_audio","input_audio":{"data":"AA==","format":"mp3"}}"#, "openai"),
            (
                r#"{"type":"file","file":{"filename":"a.pdf","file_data":"data:application/pdf;base64,AA=="}}"#,
                "openai",
            ),
            (r#"{"type":"file","file":{"file_id":"file-1"}}"#, "openai"),
            (r#"{"type":"file","file":{"filename":"a","file_data":"https://x/a.pdf"}}"#, "openrouter"),
            (r#"{"type":"video_url","video_url":{"url":"https://x/y.mp4"}}"#, "openrouter"),
            (r#"{"type":"document_url","document_url":"https://x/a.pdf"}"#, "mistral"),
        ] {
            let (out, losses) = there_and_back(json, provider);
            assert_eq!(out, json);
            assert!(losses.is_empty(), "{losses:?}");
        }
    }

    #[test]
    fn a_document_at_an_address_is_lost_where_only_bytes_are_taken() {
        let (_, losses) =
            there_and_back(r#"{"type":"document_url","document_url":"https://x/a.pdf"}"#, "openai");
        assert_eq!(losses.iter().count(), 1);
    }
}
