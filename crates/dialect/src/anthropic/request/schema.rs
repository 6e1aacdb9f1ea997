//! JSON schemas as the target takes them. A schema that is so already passes as it is.

use std::borrow::Cow;

use serde_json::value::RawValue;

use crate::Losses;
use crate::anthropic::json::{Array, Object};
use crate::anthropic::wire::{Members, items, text};

/// What the target's grammar does not know.
const UNKNOWN: &[&str] = &[
    "minimum",
    "maximum",
    "exclusiveMinimum",
    "exclusiveMaximum",
    "multipleOf",
    "minLength",
    "maxLength",
    "maxItems",
    "uniqueItems",
    "contains",
    "minContains",
    "maxContains",
    "minProperties",
    "maxProperties",
    "patternProperties",
    "propertyNames",
    "dependentRequired",
    "dependentSchemas",
    "unevaluatedProperties",
    "unevaluatedItems",
    "not",
    "if",
    "then",
    "else",
];
/// Deeper parts of a schema pass as they are.
const MAX_DEPTH: usize = 32;
/// The arguments of a function that takes none.
const NOTHING: &str = r#"{"type":"object","properties":{}}"#;

/// Makes a schema strict, and notes what it has to leave out.
struct Strict<'l> {
    /// The client's member that holds the schema.
    at: &'static str,
    losses: &'l mut Losses,
    changed: bool,
}

/// The schema of an answer.
pub(super) fn of_answer<'a>(schema: &'a RawValue, losses: &mut Losses) -> Cow<'a, str> {
    strict(schema, "response_format.schema", losses)
}

/// The schema of a function's arguments: always an object.
pub(super) fn of_arguments<'a>(
    schema: Option<&'a RawValue>,
    is_strict: bool,
    losses: &mut Losses,
) -> Cow<'a, str> {
    let Some(schema) = schema else { return Cow::Borrowed(NOTHING) };
    let Some(members) = Members::of(schema) else {
        losses.lose("tools.parameters", "they must be a schema of an object");
        return Cow::Borrowed(NOTHING);
    };
    let typed = members.get("type").is_some();
    let joined = ["anyOf", "oneOf", "allOf"].iter().find(|name| members.get(name).is_some());
    if typed && joined.is_none() {
        return if is_strict {
            strict(schema, "tools.parameters", losses)
        } else {
            Cow::Borrowed(schema.get())
        };
    }
    if joined.is_some() {
        losses.lose("tools.parameters.anyOf", "the target takes no alternatives at the top of a schema");
    }
    let mut out = Vec::with_capacity(schema.get().len() + 32);
    let mut object = Object::begin(&mut out);
    if !typed {
        object.text("type", "object");
    }
    for (name, value) in members.iter().filter(|(name, _)| !matches!(*name, "anyOf" | "oneOf" | "allOf")) {
        object.raw(name, value.get());
    }
    object.end();
    let plain = String::from_utf8(out).unwrap_or_default();
    if !is_strict {
        return Cow::Owned(plain);
    }
    match RawValue::from_string(plain) {
        Ok(raw) => Cow::Owned(strict(&raw, "tools.parameters", losses).into_owned()),
        Err(_) => Cow::Borrowed(schema.get()),
    }
}

fn strict<'a>(schema: &'a RawValue, at: &'static str, losses: &mut Losses) -> Cow<'a, str> {
    let mut out = Vec::with_capacity(schema.get().len() + 64);
    let mut walk = Strict { at, losses, changed: false };
    walk.schema(schema, 0, &mut out);
    match String::from_utf8(out) {
        Ok(text) if walk.changed => Cow::Owned(text),
        _ => Cow::Borrowed(schema.get()),
    }
}

// === impl Strict ===

impl Strict<'_> {
    fn schema(&mut self, raw: &RawValue, depth: usize, out: &mut Vec<u8>) {
        let members = if depth < MAX_DEPTH { Members::of(raw) } else { None };
        let Some(members) = members else {
            out.extend_from_slice(raw.get().as_bytes());
            return;
        };
        let is_object = members.get("properties").is_some() || members.get("type").is_some_and(names_object);
        let mut closed = false;
        let mut object = Object::begin(out);
        for (name, value) in members.iter() {
            match name {
                _ if UNKNOWN.contains(&name) => self.lose(name),
                "minItems" if !matches!(value.get(), "0" | "1") => self.lose(name),
                "additionalProperties" if is_object => {
                    closed = true;
                    if value.get() != "false" {
                        self.lose(name);
                    }
                    object.raw(name, "false");
                }
                "properties" | "$defs" | "definitions" => self.named(value, depth, object.member(name)),
                "items" => self.schema(value, depth + 1, object.member(name)),
                "anyOf" | "allOf" | "prefixItems" => self.listed(value, depth, object.member(name)),
                "oneOf" if members.get("anyOf").is_none() => {
                    self.lose(name);
                    self.listed(value, depth, object.member("anyOf"));
                }
                _ => object.raw(name, value.get()),
            }
        }
        if is_object && !closed {
            self.lose("additionalProperties");
            object.raw("additionalProperties", "false");
        }
        object.end();
    }

    fn named(&mut self, raw: &RawValue, depth: usize, out: &mut Vec<u8>) {
        let Some(members) = Members::of(raw) else {
            out.extend_from_slice(raw.get().as_bytes());
            return;
        };
        let mut object = Object::begin(out);
        for (name, value) in members.iter() {
            self.schema(value, depth + 1, object.member(name));
        }
        object.end();
    }

    fn listed(&mut self, raw: &RawValue, depth: usize, out: &mut Vec<u8>) {
        let Some(list) = items(raw) else {
            out.extend_from_slice(raw.get().as_bytes());
            return;
        };
        let mut array = Array::begin(out);
        for value in list {
            self.schema(value, depth + 1, array.item());
        }
        array.end();
    }

    fn lose(&mut self, keyword: &str) {
        self.changed = true;
        let why = match keyword {
            "additionalProperties" => "the target closes every object",
            "oneOf" => "the target knows anyOf only",
            _ => "the target's schemas do not know it",
        };
        self.losses.lose(format!("{}.{keyword}", self.at), why);
    }
}

fn names_object(kind: &RawValue) -> bool {
    match text(kind) {
        Some(kind) => kind == "object",
        None => items(kind).is_some_and(|kinds| kinds.iter().any(|kind| kind.get() == "\"object\"")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn raw(json: &str) -> Box<RawValue> {
        RawValue::from_string(json.into()).unwrap()
    }

    fn lost(losses: &Losses) -> Vec<String> {
        losses.iter().map(|loss| loss.what.to_string()).collect()
    }

    #[test]
    fn a_schema_that_fits_passes_byte_for_byte() {
        let json = r#"{ "type":"object","properties":{"b":{"type":"integer"},"a":{"type":"string"}},"additionalProperties":false }"#;
        let mut losses = Losses::default();
        assert_eq!(of_answer(&raw(json), &mut losses), json);
        assert!(losses.is_empty());
    }

    #[test]
    fn what_the_target_refuses_is_left_out_and_named_and_the_order_stays() {
        let json = r#"{"type":"object","properties":{"z":{"type":"integer","minimum":1},"a":{"oneOf":[{"type":"object"}]}}}"#;
        let mut losses = Losses::default();
        assert_eq!(
            of_answer(&raw(json), &mut losses),
            r#"{"type":"object","properties":{"z":{"type":"integer"},"a":{"anyOf":[{"type":"object","additionalProperties":false}]}},"additionalProperties":false}"#
        );
        assert_eq!(
            lost(&losses),
            [
                "response_format.schema.minimum",
                "response_format.schema.oneOf",
                "response_format.schema.additionalProperties"
            ]
        );
    }

    #[test]
    fn arguments_are_an_object() {
        let mut losses = Losses::default();
        assert_eq!(of_arguments(None, false, &mut losses), NOTHING);
        assert_eq!(
            of_arguments(Some(&raw(r#"{"properties":{}}"#)), false, &mut losses),
            r#"{"type":"object","properties":{}}"#
        );
        assert!(losses.is_empty());
        let any = raw(r#"{"type":"object","anyOf":[{"required":["a"]}]}"#);
        assert_eq!(of_arguments(Some(&any), false, &mut losses), r#"{"type":"object"}"#);
        assert_eq!(lost(&losses), ["tools.parameters.anyOf"]);
    }

    #[test]
    fn a_schema_of_any_depth_costs_bounded_work() {
        let deep = format!("{}{{}}{}", r#"{"items":"#.repeat(100), "}".repeat(100));
        let mut losses = Losses::default();
        assert_eq!(of_answer(&raw(&deep), &mut losses), deep);
    }
}
