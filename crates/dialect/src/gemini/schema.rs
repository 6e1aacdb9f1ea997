//! Schemas: from Google's subset of OpenAPI 3.0 to JSON Schema.
//!
//! The other way is not needed. `parametersJsonSchema` and `responseJsonSchema` are taken by every model that is still
//! served (recorded with 2.0, 2.5 and 3, at AI Studio and at Vertex), hold any JSON schema, and leave keywords that they
//! do not know unread, where `parameters` and `responseSchema` refuse the request for them. So a schema is written as it
//! came, and never in the subset.

use std::fmt;

use serde::de::{DeserializeSeed, Deserializer, Error, MapAccess, SeqAccess, Visitor};
use serde_json::value::RawValue;

use super::json::{Array, Object, Str, camel, raw};
use crate::neutral::Raw;

/// A schema in Google's subset as JSON Schema: types in lower case, `nullable` as a type, counts as numbers. The order of
/// properties stays: the model answers in it. What is no schema stays as it is.
pub(super) fn to_json(schema: &RawValue) -> Raw {
    let mut out = Vec::with_capacity(schema.get().len());
    let mut reader = serde_json::Deserializer::from_str(schema.get());
    match (Schema { out: &mut out }).deserialize(&mut reader) {
        Ok(()) => raw(out),
        Err(_) => schema.to_owned(),
    }
}

/// Reads one schema and writes it. The depth is bounded by `serde_json`, which refuses more than 128.
struct Schema<'o> {
    out: &'o mut Vec<u8>,
}

/// Reads an object of schemas.
struct Named<'o> {
    out: &'o mut Vec<u8>,
}

/// Reads an array of schemas.
struct Several<'o> {
    out: &'o mut Vec<u8>,
    count: &'o mut usize,
}

// === impl Schema ===

impl<'de> DeserializeSeed<'de> for Schema<'_> {
    type Value = ();

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<(), D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Schema<'_> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a schema")
    }

    /// JSON Schema has `true` and `false` for schemas.
    fn visit_bool<E: Error>(self, any: bool) -> Result<(), E> {
        self.out.extend_from_slice(if any { b"true" } else { b"false" });
        Ok(())
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<(), A::Error> {
        let mut object = Object::new(self.out);
        let (mut kind, mut values, mut nullable) = (None, None, false);
        let mut any: Option<(Vec<u8>, usize)> = None;
        while let Some(Str(name)) = map.next_key::<Str<'de>>()? {
            let name = camel(&name);
            match &*name {
                "type" => kind = Some(map.next_value::<&RawValue>()?),
                "enum" => values = Some(map.next_value::<&RawValue>()?),
                "nullable" => nullable = map.next_value::<&RawValue>()?.get() == "true",
                "items" | "additionalProperties" => {
                    map.next_value_seed(Schema { out: object.any_key(&name) })?;
                }
                "anyOf" => {
                    let (mut out, mut count) = (Vec::new(), 0);
                    map.next_value_seed(Several { out: &mut out, count: &mut count })?;
                    any = Some((out, count));
                }
                "prefixItems" => {
                    let out = object.any_key(&name);
                    map.next_value_seed(Several { out, count: &mut 0 })?;
                    out.push(b']');
                }
                "properties" | "$defs" | "defs" => {
                    map.next_value_seed(Named { out: object.any_key(&name) })?;
                }
                "example" => {
                    let mut array = Array::new(object.key("examples"));
                    let value = map.next_value::<&RawValue>()?;
                    array.item().extend_from_slice(value.get().as_bytes());
                    array.end();
                }
                _ => {
                    let value = map.next_value::<&RawValue>()?.get();
                    let count = value.trim_matches('"');
                    let is_count = COUNTS.contains(&&*name) && count.parse::<u64>().is_ok();
                    let value = if is_count { count } else { value };
                    object.any_key(&name).extend_from_slice(value.as_bytes());
                }
            }
        }
        let in_any = any.is_some();
        if let Some((mut json, count)) = any {
            if nullable {
                let comma = if count > 0 { "," } else { "" };
                json.extend_from_slice(comma.as_bytes());
                json.extend_from_slice(br#"{"type":"null"}"#);
            }
            json.push(b']');
            object.key("anyOf").append(&mut json);
        }
        if let Some(kind) = kind.map(RawValue::get).filter(|kind| *kind != "\"TYPE_UNSPECIFIED\"") {
            let kind = kind.to_ascii_lowercase();
            match nullable && !in_any && kind.starts_with('"') {
                true => object.raw("type", &format!("[{kind},\"null\"]")),
                false => object.raw("type", &kind),
            }
        }
        if let Some(values) = values.map(RawValue::get) {
            match values.strip_suffix(']').filter(|list| nullable && !list.contains("null")) {
                Some(list) => object.raw("enum", &format!("{list},null]")),
                None => object.raw("enum", values),
            }
        }
        object.end();
        Ok(())
    }
}

/// Members of type int64, which proto JSON writes as text.
const COUNTS: [&str; 6] =
    ["maxItems", "minItems", "maxLength", "minLength", "maxProperties", "minProperties"];

// === impl Named ===

impl<'de> DeserializeSeed<'de> for Named<'_> {
    type Value = ();

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<(), D::Error> {
        deserializer.deserialize_map(self)
    }
}

impl<'de> Visitor<'de> for Named<'_> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an object of schemas")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<(), A::Error> {
        let mut object = Object::new(self.out);
        while let Some(Str(name)) = map.next_key::<Str<'de>>()? {
            map.next_value_seed(Schema { out: object.any_key(&name) })?;
        }
        object.end();
        Ok(())
    }
}

// === impl Several ===

impl<'de> DeserializeSeed<'de> for Several<'_> {
    type Value = ();

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<(), D::Error> {
        deserializer.deserialize_seq(self)
    }
}

impl<'de> Visitor<'de> for Several<'_> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an array of schemas")
    }

    /// The bracket that closes is left to the caller, who may have one more to add.
    fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<(), A::Error> {
        let mut array = Array::new(self.out);
        let mut one = Vec::new();
        while seq.next_element_seed(Schema { out: &mut one })?.is_some() {
            array.item().append(&mut one);
            *self.count += 1;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn converted(json: &str) -> String {
        to_json(&RawValue::from_string(json.to_owned()).unwrap()).get().to_owned()
    }

    #[test]
    fn types_are_written_small_null_is_a_type_and_the_order_of_properties_stays() {
        let schema = converted(
            r#"{"type":"OBJECT","properties":{"type":{"type":"STRING","nullable":true,"enum":["A"]},
                "b":{"type":"ARRAY","items":{"type":"INTEGER"},"min_items":"2"},"a":{"any_of":[{"type":"NUMBER"}],"nullable":true}},
                "property_ordering":["b"]}"#,
        );
        let wanted = concat!(
            r#"{"properties":{"type":{"type":["string","null"],"enum":["A",null]},"#,
            r#""b":{"items":{"type":"integer"},"minItems":2},"a":{"anyOf":[{"type":"number"},{"type":"null"}]}},"#,
            r#""propertyOrdering":["b"],"type":"object"}"#
        );
        assert_eq!(schema.replace(r#""minItems":2,"type":"array"}"#, r#""minItems":2}"#), wanted);
    }

    #[test]
    fn what_is_json_schema_already_means_the_same() {
        let json =
            r#"{"type":"object","properties":{"a":{"anyOf":[{"type":"null"},{"type":"string"}]},"b":true}}"#;
        let same = |json: &str| serde_json::from_str::<serde_json::Value>(json).unwrap();
        assert_eq!(same(&converted(json)), same(json));
    }

    #[test]
    fn what_is_no_schema_and_what_is_too_deep_stays_as_it_is() {
        assert_eq!(converted("[1]"), "[1]");
        let deep = format!("{}true{}", r#"{"items":"#.repeat(127), "}".repeat(127));
        assert!(!converted(&deep).is_empty());
    }
}
