//! Where an answer comes from: `groundingMetadata` and `citationMetadata`.
//!
//! Google counts spans in bytes of UTF-8, the neutral form in characters.

use std::collections::HashMap;

use serde::Deserialize;
use serde_json::value::RawValue;

use super::super::NAME;
use super::super::json::{Array, Object, Str};
use crate::neutral::{Citation, Native, Raw};

/// More sources of one answer are left out: each may repeat a long address.
const MOST: usize = 512;
/// A longer text is not kept; its sources have no spans.
const LONGEST: usize = 4 << 20;
/// So many bytes have one entry in the index of characters.
const BLOCK: usize = 64;

/// The text of an answer so far.
#[derive(Clone, Debug, Default)]
pub(in super::super) struct Spans {
    text: String,
    /// It is longer than what is kept.
    cut: bool,
    /// Characters that begin before each block.
    index: Vec<u64>,
}

/// Sources on their way to a client.
#[derive(Clone, Debug, Default)]
pub(in super::super) struct Sources {
    grounding: Option<Raw>,
    cited: Vec<Native>,
    chunks: Vec<(String, String)>,
    places: HashMap<String, usize>,
    /// Spans in characters, and which chunk they rest on.
    supports: Vec<(u64, u64, usize)>,
}

#[derive(Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
struct Grounding<'a> {
    #[serde(borrow)]
    grounding_chunks: Option<Vec<Chunk<'a>>>,
    #[serde(borrow)]
    grounding_supports: Option<Vec<Support<'a>>>,
}

#[derive(Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
struct Chunk<'a> {
    #[serde(borrow)]
    web: Option<Place<'a>>,
    #[serde(borrow)]
    retrieved_context: Option<Place<'a>>,
    #[serde(borrow)]
    maps: Option<Place<'a>>,
}

#[derive(Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
struct Place<'a> {
    #[serde(borrow)]
    uri: Option<Str<'a>>,
    #[serde(borrow)]
    title: Option<Str<'a>>,
    #[serde(borrow)]
    text: Option<Str<'a>>,
}

#[derive(Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
struct Support<'a> {
    #[serde(borrow)]
    segment: Option<Segment<'a>>,
    grounding_chunk_indices: Option<Vec<usize>>,
}

#[derive(Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
struct Segment<'a> {
    start_index: Option<usize>,
    end_index: Option<usize>,
    #[serde(borrow)]
    text: Option<Str<'a>>,
}

#[derive(Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
struct Cited<'a> {
    #[serde(borrow)]
    citation_sources: Option<Vec<&'a RawValue>>,
    #[serde(borrow)]
    citations: Option<Vec<&'a RawValue>>,
}

#[derive(Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
struct CitedSource<'a> {
    start_index: Option<usize>,
    end_index: Option<usize>,
    #[serde(borrow)]
    uri: Option<Str<'a>>,
    #[serde(borrow)]
    title: Option<Str<'a>>,
}

// === reading ===

/// The sources of a grounded answer. The first holds all of the metadata as it came, for a client of this dialect. Empty
/// where none is named.
pub(in super::super) fn grounded(raw: &RawValue, spans: &mut Spans) -> Vec<Citation> {
    let grounding: Grounding<'_> = serde_json::from_str(raw.get()).unwrap_or_default();
    let chunks = grounding.grounding_chunks.unwrap_or_default();
    let mut out = Vec::new();
    for support in grounding.grounding_supports.unwrap_or_default() {
        let span = support.segment.and_then(|segment| spans.of(&segment));
        let places = support.grounding_chunk_indices.unwrap_or_default();
        out.extend(places.into_iter().filter_map(|at| cite(chunks.get(at)?, span)).take(MOST - out.len()));
    }
    if out.is_empty() {
        out.extend(chunks.iter().filter_map(|chunk| cite(chunk, None)).take(MOST));
    }
    if let Some(first) = out.first_mut() {
        first.native = Some(native("groundingMetadata", raw));
    }
    out
}

/// The sources of a recited answer, each with itself as it came.
pub(in super::super) fn recited(raw: &RawValue, spans: &mut Spans) -> Vec<Citation> {
    let cited: Cited<'_> = serde_json::from_str(raw.get()).unwrap_or_default();
    let studio = cited.citation_sources.into_iter().flatten().map(|raw| ("citationSources", raw));
    let vertex = cited.citations.into_iter().flatten().map(|raw| ("citations", raw));
    let all = studio.chain(vertex).take(MOST);
    all.map(|(name, raw)| {
        let source: CitedSource<'_> = serde_json::from_str(raw.get()).unwrap_or_default();
        let segment = Segment { start_index: source.start_index, end_index: source.end_index, text: None };
        Citation {
            url: source.uri.map(|Str(uri)| uri.into_owned()),
            title: source.title.map(|Str(title)| title.into_owned()),
            quote: None,
            span: spans.of(&segment),
            native: Some(native(name, raw)),
        }
    })
    .collect()
}

/// Whether newer metadata of a stream are to be kept in place of what came before: the last that names sources counts.
pub(in super::super) fn choose(new: &str, old: Option<&str>) -> bool {
    let names = |raw: &str| raw.contains("\"groundingChunks\"");
    old.is_none_or(|old| names(new) || !names(old))
}

fn cite(chunk: &Chunk<'_>, span: Option<(u64, u64)>) -> Option<Citation> {
    let place = [&chunk.web, &chunk.retrieved_context, &chunk.maps].into_iter().flatten().next()?;
    let own = |text: &Option<Str<'_>>| text.as_ref().map(|Str(text)| text.clone().into_owned());
    Some(Citation {
        url: own(&place.uri),
        title: own(&place.title),
        quote: own(&place.text),
        span,
        native: None,
    })
}

fn native(name: &str, raw: &RawValue) -> Native {
    Native { dialect: NAME, name: name.to_owned(), json: raw.to_owned() }
}

// === impl Spans ===

impl Spans {
    pub(in super::super) fn push(&mut self, text: &str) {
        self.cut |= self.text.len() + text.len() > LONGEST;
        if !self.cut {
            self.text.push_str(text);
        }
        self.index.clear();
    }

    /// A segment in characters; `None` where it does not fit the text.
    fn of(&mut self, segment: &Segment<'_>) -> Option<(u64, u64)> {
        let (start, end) = (segment.start_index.unwrap_or(0), segment.end_index?);
        let said = self.text.get(start..end)?;
        let other = segment.text.as_ref().is_some_and(|Str(text)| **text != *said);
        if self.cut || other {
            return None;
        }
        Some((self.char_at(start), self.char_at(end)))
    }

    fn char_at(&mut self, byte: usize) -> u64 {
        self.fill();
        let block = byte / BLOCK;
        let before = self.index.get(block).copied().unwrap_or(0);
        let rest = self.text.as_bytes().get(block * BLOCK..byte).unwrap_or_default();
        before + begins(rest)
    }

    /// The byte at which a character begins, or the end of the text.
    fn byte_at(&mut self, char: u64) -> usize {
        self.fill();
        let block = self.index.partition_point(|before| *before <= char).saturating_sub(1);
        let mut seen = self.index.get(block).copied().unwrap_or(0);
        for (at, byte) in self.text.bytes().enumerate().skip(block * BLOCK) {
            if byte & 0xC0 != 0x80 {
                if seen == char {
                    return at;
                }
                seen += 1;
            }
        }
        self.text.len()
    }

    fn fill(&mut self) {
        if self.index.is_empty() {
            let mut sum = 0;
            for block in self.text.as_bytes().chunks(BLOCK) {
                self.index.push(sum);
                sum += begins(block);
            }
            self.index.push(sum);
        }
    }
}

/// Characters that begin in these bytes.
fn begins(bytes: &[u8]) -> u64 {
    bytes.iter().filter(|byte| **byte & 0xC0 != 0x80).count() as u64
}

// === impl Sources ===

impl Sources {
    /// Takes a source in.
    pub(in super::super) fn add(&mut self, citation: &Citation) {
        match citation.native.as_ref().filter(|native| native.dialect == NAME) {
            Some(native) if native.name == "groundingMetadata" => self.ground(&native.json),
            Some(native) if self.cited.len() < MOST => self.cited.push(native.clone()),
            Some(_) => {}
            None => self.chunk(citation),
        }
    }

    /// Takes all of the metadata of a grounded answer in; the sources that it names are in it.
    pub(in super::super) fn ground(&mut self, json: &RawValue) {
        self.grounding = Some(json.to_owned());
    }

    fn chunk(&mut self, citation: &Citation) {
        let uri = citation.url.clone().unwrap_or_default();
        let title = citation.title.clone().unwrap_or_default();
        let key = format!("{uri}\n{title}");
        let at = match self.places.get(&key) {
            Some(at) => *at,
            None if self.chunks.len() >= MOST => return,
            None => {
                self.places.insert(key, self.chunks.len());
                self.chunks.push((uri, title));
                self.chunks.len() - 1
            }
        };
        if let Some((start, end)) = citation.span.filter(|_| self.supports.len() < MOST) {
            self.supports.push((start, end, at));
        }
    }

    /// Writes what there is as members of a candidate.
    pub(in super::super) fn write(&self, spans: &mut Spans, candidate: &mut Object<'_>) {
        for name in ["citationSources", "citations"] {
            let mut own = self.cited.iter().filter(|native| native.name == name).peekable();
            if own.peek().is_some() {
                let mut metadata = Object::new(candidate.key("citationMetadata"));
                let mut array = Array::new(metadata.key(name));
                for native in own {
                    array.item().extend_from_slice(native.json.get().as_bytes());
                }
                array.end();
                metadata.end();
                break;
            }
        }
        if let Some(grounding) = &self.grounding {
            candidate.raw("groundingMetadata", grounding.get());
        } else if !self.chunks.is_empty() {
            self.write_chunks(spans, candidate);
        }
    }

    fn write_chunks(&self, spans: &mut Spans, candidate: &mut Object<'_>) {
        let mut metadata = Object::new(candidate.key("groundingMetadata"));
        let mut chunks = Array::new(metadata.key("groundingChunks"));
        for (uri, title) in &self.chunks {
            let mut chunk = Object::new(chunks.item());
            let mut web = Object::new(chunk.key("web"));
            web.text("uri", uri);
            web.text("title", title);
            web.end();
            chunk.end();
        }
        chunks.end();
        let mut supports = Array::new(metadata.key("groundingSupports"));
        let supported = if spans.cut { &[] } else { self.supports.as_slice() };
        for (start, end, chunk) in supported {
            let (start, end) = (spans.byte_at(*start), spans.byte_at(*end));
            let mut support = Object::new(supports.item());
            let mut segment = Object::new(support.key("segment"));
            segment.show("startIndex", start);
            segment.show("endIndex", end);
            segment.text("text", spans.text.get(start..end).unwrap_or_default());
            segment.end();
            support.raw("groundingChunkIndices", &format!("[{chunk}]"));
            support.end();
        }
        supports.end();
        metadata.end();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn raw(json: &str) -> Raw {
        RawValue::from_string(json.to_owned()).unwrap()
    }

    fn spans(text: &str) -> Spans {
        let mut spans = Spans::default();
        spans.push(text);
        spans
    }

    #[test]
    fn spans_are_counted_in_characters_and_back_in_bytes() {
        let text = format!("é{}né", "x".repeat(100));
        let mut spans = spans(&text);
        assert_eq!(spans.char_at(text.len()), 103);
        for (i, (byte, _)) in text.char_indices().enumerate() {
            assert_eq!((spans.char_at(byte), spans.byte_at(i as u64)), (i as u64, byte));
        }
        assert_eq!(spans.byte_at(999), text.len());
    }

    #[test]
    fn sources_name_the_span_that_rests_on_them() {
        let json = raw(r#"{"groundingChunks":[{"web":{"uri":"u","title":"t"}}],"groundingSupports":[
                {"segment":{"startIndex":3,"endIndex":6,"text":"abc"},"groundingChunkIndices":[0,7]},
                {"segment":{"startIndex":3,"endIndex":6,"text":"xyz"},"groundingChunkIndices":[0]}]}"#);
        let cited = grounded(&json, &mut spans("é abc"));
        assert_eq!(cited.iter().map(|c| c.span).collect::<Vec<_>>(), [Some((2, 5)), None]);
        assert_eq!((cited[0].url.as_deref(), cited[0].title.as_deref()), (Some("u"), Some("t")));
        assert!(cited[0].native.is_some() && cited[1].native.is_none());
    }

    #[test]
    fn sources_of_another_dialect_are_written_as_grounding() {
        let mut sources = Sources::default();
        for span in [Some((2, 5)), None] {
            sources.add(&Citation { url: Some("u".into()), span, ..Citation::default() });
        }
        let mut out = Vec::new();
        let mut object = Object::new(&mut out);
        sources.write(&mut spans("é abc"), &mut object);
        object.end();
        let wanted = concat!(
            r#"{"groundingMetadata":{"groundingChunks":[{"web":{"uri":"u","title":""}}],"groundingSupports":["#,
            r#"{"segment":{"startIndex":3,"endIndex":6,"text":"abc"},"groundingChunkIndices":[0]}]}}"#
        );
        assert_eq!(String::from_utf8(out).unwrap(), wanted);
    }

    #[test]
    fn sources_are_bounded() {
        let indices = vec!["0"; 10_000].join(",");
        let json = format!(
            r#"{{"groundingChunks":[{{"web":{{"uri":"u"}}}}],"groundingSupports":[{{"groundingChunkIndices":[{indices}]}}]}}"#
        );
        assert_eq!(grounded(&raw(&json), &mut Spans::default()).len(), MOST);
    }
}
