//! Every sample is judged by a small validator that is written apart from the sampler.

use serde_json::{Value, json};

use super::{Material, sample};
use crate::words::Dice;

fn make(schema: &Value, prompt: &str) -> Value {
    let material = Material { prompt, optional: true, flourish: false };
    let text = sample(schema, &material, &mut Dice::new(1, [prompt]));
    let value: Value = serde_json::from_str(&text).unwrap();
    assert!(valid(&value, schema, schema), "{value} is not valid under {schema}");
    value
}

fn valid(value: &Value, schema: &Value, root: &Value) -> bool {
    let Some(schema) = schema.as_object() else { return schema != &Value::Bool(false) };
    let list = |name: &str| schema.get(name).and_then(Value::as_array);
    let number = |name: &str| schema.get(name).and_then(Value::as_f64);
    let is = |kind: &str| match kind {
        "integer" => value.is_i64() || value.is_u64(),
        "number" => value.is_number(),
        "string" => value.is_string(),
        "boolean" => value.is_boolean(),
        "object" => value.is_object(),
        "array" => value.is_array(),
        _ => value.is_null(),
    };
    let reference = schema.get("$ref").and_then(Value::as_str);
    let size = match value {
        Value::String(text) => Some(("Length", text.chars().count())),
        Value::Array(items) => Some(("Items", items.len())),
        Value::Object(members) => Some(("Properties", members.len())),
        _ => None,
    };
    let members = schema.get("properties").and_then(Value::as_object);
    schema.get("const").is_none_or(|c| c == value)
        && list("enum").is_none_or(|options| options.contains(value))
        && reference.is_none_or(|r| valid(value, root.pointer(r.trim_start_matches('#')).unwrap(), root))
        && list("allOf").is_none_or(|all| all.iter().all(|s| valid(value, s, root)))
        && list("anyOf").is_none_or(|any| any.iter().any(|s| valid(value, s, root)))
        && list("oneOf").is_none_or(|one| one.iter().any(|s| valid(value, s, root)))
        && schema.get("type").is_none_or(|t| match t {
            Value::String(kind) => is(kind),
            kinds => kinds.as_array().unwrap().iter().any(|kind| is(kind.as_str().unwrap())),
        })
        && size.is_none_or(|(what, n)| {
            number(&format!("min{what}")).is_none_or(|min| n as f64 >= min)
                && number(&format!("max{what}")).is_none_or(|max| n as f64 <= max)
        })
        && value.as_f64().is_none_or(|v| {
            number("minimum").is_none_or(|m| v >= m)
                && number("maximum").is_none_or(|m| v <= m)
                && number("exclusiveMinimum").is_none_or(|m| v > m)
                && number("exclusiveMaximum").is_none_or(|m| v < m)
                && number("multipleOf").is_none_or(|m| ((v / m).round() * m - v).abs() < 1e-9)
        })
        && value.as_object().is_none_or(|object| {
            list("required")
                .is_none_or(|names| names.iter().all(|name| object.contains_key(name.as_str().unwrap())))
                && object.iter().all(|(name, member)| match members.and_then(|members| members.get(name)) {
                    Some(schema) => valid(member, schema, root),
                    None => schema.get("additionalProperties").is_none_or(|other| valid(member, other, root)),
                })
        })
        && value.as_array().is_none_or(|items| {
            let first = list("prefixItems").map_or(0, Vec::len);
            let unique = schema.get("uniqueItems") == Some(&Value::Bool(true));
            items.iter().enumerate().all(|(i, item)| match list("prefixItems").and_then(|p| p.get(i)) {
                Some(schema) => valid(item, schema, root),
                None => schema.get("items").is_none_or(|s| i < first || valid(item, s, root)),
            }) && (!unique || items.iter().enumerate().all(|(i, item)| !items[..i].contains(item)))
        })
}

#[test]
fn a_strict_object_keeps_to_its_members() {
    let schema = json!({"type": "object", "additionalProperties": false, "required": ["name", "age", "tags", "mood"],
        "properties": {"name": {"type": "string"}, "age": {"type": "integer", "minimum": 18, "maximum": 99},
            "tags": {"type": "array", "items": {"type": "string"}, "minItems": 3, "uniqueItems": true},
            "mood": {"type": "string", "enum": ["calm", "cross"]}}});
    let value = make(&schema, "Describe a cross person named Ada, 42 years old");
    assert_eq!(value["name"], "Ada");
    assert_eq!(value["age"], 42);
    assert_eq!(value["mood"], "cross");
}

#[test]
fn an_option_is_taken_when_the_prompt_names_it_as_a_word() {
    let schema = json!({"enum": ["C", "F", "very hot"]});
    assert_eq!(make(&schema, "Weather for Paris"), "C");
    assert_eq!(make(&schema, "Weather in f, please"), "F");
    assert_eq!(make(&schema, "Is it very hot?"), "very hot");
}

#[test]
fn members_come_in_the_order_of_required() {
    let schema = json!({"type": "object", "required": ["z", "a"],
        "properties": {"a": {"type": "null"}, "z": {"type": "null"}}});
    let material = Material { prompt: "", optional: false, flourish: false };
    assert_eq!(sample(&schema, &material, &mut Dice::new(0, [])), r#"{"z":null,"a":null}"#);
}

#[test]
fn numbers_stay_in_bounds() {
    for bounds in [
        json!({}),
        json!({"minimum": 10}),
        json!({"maximum": -4}),
        json!({"exclusiveMinimum": 0, "exclusiveMaximum": 1}),
        json!({"exclusiveMinimum": 5, "maximum": 6}),
        json!({"minimum": 0.25, "maximum": 0.75}),
        json!({"minimum": 1, "multipleOf": 7}),
        json!({"maximum": 20, "minimum": 12, "multipleOf": 5}),
    ] {
        for kind in ["number", "integer"] {
            let mut schema = bounds.clone();
            schema["type"] = json!(kind);
            let empty =
                kind == "integer" && (bounds.get("exclusiveMaximum").is_some() || bounds["minimum"] == 0.25);
            if !empty {
                make(&schema, "no figure here");
                make(&schema, "take 1000000 or -17.5");
            }
        }
    }
}

#[test]
fn references_and_branches() {
    let schema = json!({"$defs": {"step": {"type": "object", "additionalProperties": false,
            "required": ["text", "next"], "properties": {"text": {"type": "string"},
            "next": {"anyOf": [{"$ref": "#/$defs/step"}, {"type": "null"}]}}}},
        "$ref": "#/$defs/step"});
    make(&schema, "go on");
    let tree = json!({"type": "object", "required": ["kids", "size"], "additionalProperties": false,
        "properties": {"kids": {"type": "array", "items": {"$ref": "#"}}, "size": {"type": ["integer", "null"]}}});
    make(&tree, "a tree");
    let sum = json!({"allOf": [{"type": "object", "required": ["a"], "properties": {"a": {"type": "integer"}}},
        {"required": ["b"], "properties": {"b": {"const": "x"}, "a": {"minimum": 9}}}]});
    assert_eq!(make(&sum, "")["b"], "x");
    let either = json!({"type": "object", "properties": {"a": {"type": "string"}, "b": {"type": "string"}},
        "anyOf": [{"required": ["b"]}, {"required": ["a"]}]});
    make(&either, "");
}

#[test]
fn a_schema_without_end_is_cut_off() {
    let schema = json!({"type": "object", "required": ["l", "r"],
        "properties": {"l": {"$ref": "#"}, "r": {"$ref": "#"}}});
    let material = Material { prompt: "", optional: true, flourish: false };
    let text = sample(&schema, &material, &mut Dice::new(0, []));
    assert!(text.len() < 256 * 1024, "{}", text.len());
    serde_json::from_str::<Value>(&text).unwrap();
    let circle =
        json!({"$defs": {"a": {"$ref": "#/$defs/b"}, "b": {"$ref": "#/$defs/a"}}, "$ref": "#/$defs/a"});
    assert_eq!(sample(&circle, &material, &mut Dice::new(0, [])), r#""demo""#);
}

#[test]
fn arrays_maps_and_strings() {
    make(
        &json!({"type": "array", "prefixItems": [{"type": "string"}, {"type": "integer"}], "items": false}),
        "hi",
    );
    make(&json!({"type": "object", "additionalProperties": {"type": "integer"}, "minProperties": 2}), "hi");
    make(
        &json!({"type": "array", "items": {"type": "string", "minLength": 30, "maxLength": 32}, "minItems": 3}),
        "",
    );
    make(&json!({"type": "string", "maxLength": 0}), "hello");
    make(&json!(true), "anything");
    let when = make(&json!({"type": "string", "format": "date-time"}), "");
    assert_eq!(when, "2026-01-15T09:30:00Z");
    let id = make(&json!({"type": "string", "format": "uuid"}), "");
    assert_eq!(id.as_str().unwrap().len(), 36);
    let plate = make(&json!({"type": "string", "pattern": "^[A-Z]{2}-\\d{3,5}$", "minLength": 7}), "");
    assert_eq!(plate, "AA-0000");
}

#[test]
fn flourished_strings_are_still_json() {
    let material = Material { prompt: "Weather in Paris", optional: false, flourish: true };
    let schema = json!({"type": "object", "properties": {"city": {"type": "string"}}, "required": ["city"]});
    let value: Value = serde_json::from_str(&sample(&schema, &material, &mut Dice::new(0, []))).unwrap();
    assert!(value["city"].as_str().unwrap().starts_with("Paris \"Z\u{fc}rich\"\n"));
}
