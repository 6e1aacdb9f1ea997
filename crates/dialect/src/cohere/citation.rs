//! Citations: of an answer's text, each with the sources that it rests on.

use serde::{Deserialize, Serialize};
use serde_json::json;
use serde_json::value::RawValue;

use super::NAME;
use crate::neutral::{Citation, Native, Text};

#[derive(Default, Deserialize)]
#[serde(default)]
struct Wire {
    start: Option<u64>,
    end: Option<u64>,
    sources: Vec<Source>,
    content_index: Option<usize>,
    r#type: Option<String>,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct Source {
    id: Option<String>,
    document: Option<Told>,
    tool_output: Option<Told>,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct Told {
    title: Option<serde_json::Value>,
    url: Option<serde_json::Value>,
}

/// A citation, and the piece of content that it is of, where it says so.
pub(super) struct Placed {
    pub(super) citation: Citation,
    pub(super) at: Option<usize>,
    /// It is of the plan before calls.
    pub(super) of_plan: bool,
}

/// Reads one citation, its own words kept.
pub(super) fn read(raw: &RawValue) -> Placed {
    let wire: Wire = serde_json::from_str(raw.get()).unwrap_or_default();
    let source = wire.sources.into_iter().next().unwrap_or_default();
    let told = source.document.or(source.tool_output).unwrap_or_default();
    let text = |value: Option<serde_json::Value>| value.and_then(|value| value.as_str().map(str::to_owned));
    let citation = Citation {
        url: text(told.url),
        title: text(told.title).or(source.id),
        quote: None,
        span: wire.start.zip(wire.end),
        native: Some(Native { dialect: NAME, name: "citation".into(), json: raw.to_owned() }),
    };
    Placed { citation, at: wire.content_index, of_plan: wire.r#type.as_deref() == Some("PLAN") }
}

/// A citation as the dialect words it. `text` is what it is of, `at` where that stands.
pub(super) fn write(citation: &Citation, text: Option<&Text>, at: usize) -> Option<Box<RawValue>> {
    #[derive(Serialize)]
    struct Out {
        #[serde(skip_serializing_if = "Option::is_none")]
        start: Option<u64>,
        #[serde(skip_serializing_if = "Option::is_none")]
        end: Option<u64>,
        text: String,
        sources: Vec<serde_json::Value>,
        r#type: &'static str,
        content_index: usize,
    }
    if let Some(native) = citation.native.as_ref().filter(|native| native.dialect == NAME) {
        return Some(native.json.clone());
    }
    let cited = |(start, end): (u64, u64)| -> Option<String> {
        let (start, end) = (usize::try_from(start).ok()?, usize::try_from(end).ok()?);
        Some(text?.text.chars().skip(start).take(end.checked_sub(start)?).collect())
    };
    let mut document = serde_json::Map::new();
    for (name, value) in [("title", &citation.title), ("url", &citation.url), ("text", &citation.quote)] {
        if let Some(value) = value {
            document.insert(name.into(), json!(value));
        }
    }
    let id = citation.url.as_ref().or(citation.title.as_ref()).map_or("source", String::as_str);
    let out = Out {
        start: citation.span.map(|(start, _)| start),
        end: citation.span.map(|(_, end)| end),
        text: citation.span.and_then(cited).unwrap_or_default(),
        sources: vec![json!({ "type": "document", "id": id, "document": document })],
        r#type: "TEXT_CONTENT",
        content_index: at,
    };
    serde_json::value::to_raw_value(&out).ok()
}
