//! The grammar told to others: a JSON schema for editors, a table for people.

use std::fmt::Write as _;

use serde_json::{Map, Value as Json, json};

use crate::Config;
use crate::route::strategy::{self, Use};
use crate::setting::{Field, Setting, Shape, spelled};

/// The JSON schema (draft 2020-12) of lockgate.yaml. `schema/config.json` is this.
pub fn schema() -> Json {
    let mut schema = of_shape(&Config::shape());
    if let Json::Object(members) = &mut schema {
        members.insert("$schema".into(), "https://json-schema.org/draft/2020-12/schema".into());
        members.insert("title".into(), "lockgate.yaml".into());
        let variable = json!({
            "description": "Text with variables of the environment: ${NAME} or ${NAME:-fallback}.",
            "type": "string",
            "pattern": "\\$\\{[A-Za-z_][A-Za-z0-9_]*(:-[^}]*)?\\}",
        });
        let strategy = Use::definition(of_shape);
        members.insert("$defs".into(), json!({ "variable": variable, strategy::NAME: strategy }));
    }
    schema
}

/// A Markdown table of every setting: path, type, default, meaning.
pub fn reference() -> String {
    let mut table = String::from("| setting | type | default | meaning |\n|---|---|---|---|\n");
    rows(&mut table, "", &Config::shape(), &mut Vec::new());
    table
}

// === Schema ===

fn of_shape(shape: &Shape) -> Json {
    match shape {
        Shape::Plain { schema, .. } => schema.clone(),
        Shape::Words(words) => json!({ "enum": words.iter().map(|(word, _)| word).collect::<Vec<_>>() }),
        Shape::List(item) => json!({ "type": "array", "items": or_variable(of_shape(item)) }),
        Shape::Defined { name, .. } => json!({ "$ref": format!("#/$defs/{name}") }),
        Shape::Named(section) => {
            json!({ "type": ["object", "null"], "additionalProperties": of_shape(section) })
        }
        Shape::Section { about, fields, shorthand } => {
            let object = of_section(about, fields);
            if !shorthand {
                return object;
            }
            let item = json!({ "$ref": format!("#/$defs/{}", strategy::NAME) });
            let list = json!({ "type": "array", "items": item, "minItems": 1 });
            json!({ "anyOf": [list, object] })
        }
    }
}

fn of_section(about: &str, fields: &[Field]) -> Json {
    let properties: Map<String, Json> =
        fields.iter().map(|field| (field.name.to_owned(), of_field(field))).collect();
    let required: Vec<&str> =
        fields.iter().filter(|field| field.default.is_none()).map(|field| field.name).collect();
    let mut section = json!({
        "description": about,
        // A section without a required field may be written as a key with nothing behind it.
        "type": if required.is_empty() { json!(["object", "null"]) } else { json!("object") },
        "properties": properties,
        "additionalProperties": false,
    });
    if !required.is_empty() {
        section["required"] = json!(required);
    }
    section
}

fn of_field(field: &Field) -> Json {
    let mut value = of_shape(&field.shape);
    if let (Some(bounds), Some("integer")) = (&field.bounds, value["type"].as_str()) {
        value["minimum"] = bounds.low.clone();
        value["maximum"] = bounds.high.clone();
    }
    let mut value = match field.shape {
        Shape::Plain { .. } | Shape::Words(_) => or_variable(value),
        _ => value,
    };
    value["description"] = meaning(field).into();
    if let Some(default) = field.default.as_ref().filter(|default| tells(default) && field.shown.is_none()) {
        value["default"] = default.clone();
    }
    value
}

/// Lets a value that is not just any text also be written as a variable.
fn or_variable(schema: Json) -> Json {
    let any_text = schema == json!({ "type": "string" });
    let mapping = schema["additionalProperties"].is_object()
        || schema["properties"].is_object()
        || schema["anyOf"].is_array();
    if any_text || mapping { schema } else { json!({ "anyOf": [schema, { "$ref": "#/$defs/variable" }] }) }
}

// === Reference ===

/// A row for each field of a section, and for those of the sections in it. What is defined by itself is told where it
/// first stands.
fn rows(table: &mut String, path: &str, shape: &Shape, told: &mut Vec<&'static str>) {
    let own;
    let fields = match shape {
        Shape::Section { fields, .. } => fields,
        Shape::Defined { name, fields, .. } if !told.contains(name) => {
            told.push(name);
            own = fields();
            &own
        }
        _ => return,
    };
    for field in fields {
        let dot = if path.is_empty() { "" } else { "." };
        let path = format!("{path}{dot}{}", field.name);
        let default = match (field.shown, &field.default) {
            (Some(shown), _) => shown.to_owned(),
            (None, None) => "required".to_owned(),
            (None, Some(default)) if tells(default) => format!("`{}`", spelled(default)),
            (None, Some(_)) => String::new(),
        };
        // Writing to a String cannot fail.
        let _ = writeln!(table, "| `{path}` | {} | {default} | {} |", word(&field.shape), meaning(field));
        match &field.shape {
            Shape::Named(section) => rows(table, &format!("{path}.NAME"), section, told),
            Shape::List(item) if matches!(**item, Shape::Section { .. }) => {
                rows(table, &format!("{path}[]"), item, told);
            }
            shape => rows(table, &path, shape, told),
        }
    }
}

fn word(shape: &Shape) -> String {
    match shape {
        Shape::Plain { word, .. } => word.clone(),
        Shape::Words(words) => {
            words.iter().map(|(word, _)| format!("`{word}`")).collect::<Vec<_>>().join(", ")
        }
        Shape::Section { .. } => "section".to_owned(),
        Shape::Defined { word, .. } => (*word).to_owned(),
        Shape::Named(_) => "sections by name".to_owned(),
        Shape::List(item) => match &**item {
            Shape::Section { .. } => "list of sections".to_owned(),
            Shape::Defined { word, .. } => format!("list of {word}es"),
            item => format!("list of {}", word(item)),
        },
    }
}

/// What a field means, with its bounds or the meaning of its words.
fn meaning(field: &Field) -> String {
    let mut text = field.about.to_owned();
    if let Some(bounds) = &field.bounds {
        text.push_str(&format!(" From {} to {}.", spelled(&bounds.low), spelled(&bounds.high)));
    }
    if let Shape::Words(words) = field.shape {
        text.extend(words.iter().map(|(word, about)| format!(" `{word}`: {about}")));
    }
    text
}

/// Whether a default says anything: not that of a section, of an absent value or of an empty collection.
fn tells(default: &Json) -> bool {
    match default {
        Json::Null => false,
        Json::Array(items) => !items.is_empty(),
        Json::Object(members) => !members.is_empty(),
        _ => true,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_committed_schema_is_this_one() {
        let committed: Json = serde_json::from_str(include_str!("../../../schema/config.json")).unwrap();
        // Not assert_eq: nobody wants to read both.
        assert!(
            committed == schema(),
            "run: cargo run -p lockgate-config --example generate schema > schema/config.json"
        );
    }

    #[test]
    fn the_reference_explains_every_setting() {
        let table = reference();
        for row in [
            "| `server.listen` | address:port | `127.0.0.1:4100` | IP address and port to listen on. |",
            "| `server.tls.cert` | path | required | The certificate and its chain. |",
            "| `log.level` | `error`, `warn`, `info`, `debug` | `info` | The least important messages that are still said. `error`: Something failed that should not fail. `warn`: Something needs attention. `info`: Something worth knowing happened. `debug`: Everything that helps to find a fault. |",
            "| `providers.NAME.timeouts.total` | duration | `10m` | Time for the whole attempt, the last byte included. From 1s to 1d. |",
        ] {
            assert!(table.contains(row), "{row}\n{table}");
        }
        assert!(
            table.lines().all(|line| line.matches(" | ").count() == 3 || line.starts_with("|---")),
            "{table}"
        );
    }

    #[test]
    fn the_schema_knows_bounds_and_required_fields() {
        let schema = schema();
        let server = &schema["properties"]["server"];
        assert_eq!(server["properties"]["workers"]["anyOf"][0]["maximum"], 1024);
        assert_eq!(server["properties"]["tls"]["required"], json!(["cert", "key"]));
        assert_eq!(schema["additionalProperties"], false);
    }
}
