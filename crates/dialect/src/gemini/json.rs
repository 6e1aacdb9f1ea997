//! JSON written member by member into a buffer, and read member by member in either spelling.

use std::borrow::Cow;
use std::fmt;

use serde::de::{self, Deserialize, Deserializer, MapAccess, Visitor};
use serde_json::value::RawValue;

/// An object with more members is refused: the look for members that stand twice is quadratic.
const MOST: usize = 256;

/// An object that is being written. [`Object::end`] closes it.
pub(super) struct Object<'a> {
    out: &'a mut Vec<u8>,
    empty: bool,
}

/// An array that is being written. [`Array::end`] closes it.
pub(super) struct Array<'a> {
    out: &'a mut Vec<u8>,
    empty: bool,
}

/// Text, borrowed where it has no escapes.
#[derive(Clone, Debug)]
pub(super) struct Str<'a>(pub(super) Cow<'a, str>);

/// The members of an object in their order, their names in camel case; none stands twice.
#[derive(Debug)]
pub(super) struct Members<'a>(pub(super) Vec<(Cow<'a, str>, &'a RawValue)>);

/// A repeated member: an array, or one value in place of an array of one, as proto JSON takes it.
#[derive(Debug)]
pub(super) struct Many<'a>(pub(super) Vec<&'a RawValue>);

// === impl Object ===

impl<'a> Object<'a> {
    pub(super) fn new(out: &'a mut Vec<u8>) -> Self {
        out.push(b'{');
        Self { out, empty: true }
    }

    /// Begins a member; its value is to be written next. The name must need no escapes.
    pub(super) fn key(&mut self, name: &str) -> &mut Vec<u8> {
        self.comma();
        self.out.push(b'"');
        self.out.extend_from_slice(name.as_bytes());
        self.out.extend_from_slice(b"\":");
        self.out
    }

    /// The same for any name.
    pub(super) fn any_key(&mut self, name: &str) -> &mut Vec<u8> {
        self.comma();
        quote(self.out, name);
        self.out.push(b':');
        self.out
    }

    pub(super) fn text(&mut self, name: &str, value: &str) {
        quote(self.key(name), value);
    }

    /// A value that is JSON already.
    pub(super) fn raw(&mut self, name: &str, value: &str) {
        self.key(name).extend_from_slice(value.as_bytes());
    }

    pub(super) fn show(&mut self, name: &str, value: impl fmt::Display) {
        show(self.key(name), value);
    }

    pub(super) fn texts<'s>(&mut self, name: &str, values: impl IntoIterator<Item = &'s str>) {
        let mut array = Array::new(self.key(name));
        for value in values {
            quote(array.item(), value);
        }
        array.end();
    }

    pub(super) fn end(self) {
        self.out.push(b'}');
    }

    fn comma(&mut self) {
        if !self.empty {
            self.out.push(b',');
        }
        self.empty = false;
    }
}

// === impl Array ===

impl<'a> Array<'a> {
    pub(super) fn new(out: &'a mut Vec<u8>) -> Self {
        out.push(b'[');
        Self { out, empty: true }
    }

    /// Begins a value, to be written next.
    pub(super) fn item(&mut self) -> &mut Vec<u8> {
        if !self.empty {
            self.out.push(b',');
        }
        self.empty = false;
        self.out
    }

    pub(super) fn end(self) {
        self.out.push(b']');
    }
}

/// Writes JSON text.
pub(super) fn quote(out: &mut Vec<u8>, text: &str) {
    // Text into memory: this cannot fail.
    let _ = serde_json::to_writer(out, text);
}

/// Escapes in JSON from this place on what Unicode takes for the end of a line, and with it some readers of event streams
/// (google-genai 2 for Python).
pub(super) fn escape_line_ends(out: &mut Vec<u8>, from: usize) {
    const ENDS: [char; 3] = ['\u{85}', '\u{2028}', '\u{2029}'];
    let json = &out[from..];
    let Some(json) = (!json.is_ascii()).then(|| std::str::from_utf8(json).ok()).flatten() else { return };
    if !json.contains(ENDS) {
        return;
    }
    let escaped = ENDS
        .iter()
        .fold(json.to_owned(), |json, &end| json.replace(end, &format!("\\u{:04x}", u32::from(end))));
    out.truncate(from);
    out.extend_from_slice(escaped.as_bytes());
}

/// Writes a number or a flag.
pub(super) fn show(out: &mut Vec<u8>, value: impl fmt::Display) {
    use std::io::Write as _;
    // Into memory: this cannot fail.
    let _ = write!(out, "{value}");
}

/// JSON text, decoded; `None` when it is something else.
pub(super) fn text(value: &RawValue) -> Option<String> {
    serde_json::from_str::<Str<'_>>(value.get()).ok().map(|Str(text)| text.into_owned())
}

/// JSON that was written here, as a value that passes on.
pub(super) fn raw(json: Vec<u8>) -> Box<RawValue> {
    let text = String::from_utf8(json).unwrap_or_default();
    RawValue::from_string(text).unwrap_or_else(|_| RawValue::NULL.to_owned())
}

/// A name in camel case: `generation_config` is `generationConfig`.
pub(super) fn camel(name: &str) -> Cow<'_, str> {
    if name.starts_with('_') || !name.contains('_') {
        return Cow::Borrowed(name);
    }
    let mut out = String::with_capacity(name.len());
    let mut upper = false;
    for char in name.chars() {
        if char == '_' {
            upper = true;
        } else if upper {
            out.push(char.to_ascii_uppercase());
            upper = false;
        } else {
            out.push(char);
        }
    }
    Cow::Owned(out)
}

// === impl Str ===

impl<'de: 'a, 'a> Deserialize<'de> for Str<'a> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Text;
        impl<'de> Visitor<'de> for Text {
            type Value = Str<'de>;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a string")
            }

            fn visit_borrowed_str<E: de::Error>(self, text: &'de str) -> Result<Self::Value, E> {
                Ok(Str(Cow::Borrowed(text)))
            }

            fn visit_str<E: de::Error>(self, text: &str) -> Result<Self::Value, E> {
                Ok(Str(Cow::Owned(text.to_owned())))
            }
        }
        deserializer.deserialize_str(Text)
    }
}

// === impl Members ===

impl<'a> Members<'a> {
    /// A member that is there and is not `null`.
    pub(super) fn get(&self, name: &str) -> Option<&'a RawValue> {
        self.set().find(|(known, _)| *known == name).map(|(_, value)| value)
    }

    /// The members that are not `null`.
    pub(super) fn set(&self) -> impl Iterator<Item = (&str, &'a RawValue)> {
        self.0.iter().filter(|(_, value)| value.get() != "null").map(|(name, value)| (&**name, *value))
    }
}

impl<'de: 'a, 'a> Deserialize<'de> for Members<'a> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Object;
        impl<'de> Visitor<'de> for Object {
            type Value = Members<'de>;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("an object")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
                let mut members: Vec<(Cow<'de, str>, &'de RawValue)> = Vec::new();
                while let Some((Str(name), value)) = map.next_entry::<Str<'de>, &'de RawValue>()? {
                    let name = match camel(&name) {
                        Cow::Borrowed(_) => name,
                        Cow::Owned(name) => Cow::Owned(name),
                    };
                    if members.iter().any(|(known, _)| *known == name) {
                        return Err(de::Error::custom(format_args!("the member {name:?} stands twice")));
                    }
                    if members.len() == MOST {
                        return Err(de::Error::custom("there are too many members"));
                    }
                    members.push((name, value));
                }
                Ok(Members(members))
            }
        }
        deserializer.deserialize_map(Object)
    }
}

// === impl Many ===

impl<'de: 'a, 'a> Deserialize<'de> for Many<'a> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let value = <&RawValue>::deserialize(deserializer)?;
        if !value.get().starts_with('[') {
            return Ok(Self(if value.get() == "null" { Vec::new() } else { vec![value] }));
        }
        serde_json::from_str(value.get()).map(Self).map_err(de::Error::custom)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn writes_objects_and_arrays() {
        let mut out = Vec::new();
        let mut object = Object::new(&mut out);
        object.text("a", "x\"y");
        object.show("b", 1);
        object.texts("c", ["d", "e"]);
        object.any_key("f\"").extend_from_slice(b"{}");
        object.end();
        assert_eq!(String::from_utf8(out).unwrap(), r#"{"a":"x\"y","b":1,"c":["d","e"],"f\"":{}}"#);
    }

    #[test]
    fn what_looks_like_the_end_of_a_line_is_escaped() {
        let mut out = "\u{2028}[\"a\u{2028}b\u{85}\u{2029}é\"]".as_bytes().to_vec();
        escape_line_ends(&mut out, 3);
        assert_eq!(String::from_utf8(out).unwrap(), "\u{2028}[\"a\\u2028b\\u0085\\u2029é\"]");
    }

    #[test]
    fn reads_both_spellings_and_refuses_a_member_that_stands_twice() {
        let members: Members<'_> = serde_json::from_str(r#"{"top_p":1,"topK":2,"x":null}"#).unwrap();
        assert_eq!(members.get("topP").map(RawValue::get), Some("1"));
        assert_eq!((members.0.len(), members.set().count()), (3, 2));
        assert!(serde_json::from_str::<Members<'_>>(r#"{"top_p":1,"topP":2}"#).is_err());
        assert_eq!(camel("_responseJsonSchema"), "_responseJsonSchema");
    }

    #[test]
    fn one_value_is_an_array_of_one() {
        assert_eq!(serde_json::from_str::<Many<'_>>(r#"{"a":1}"#).unwrap().0.len(), 1);
        assert_eq!(serde_json::from_str::<Many<'_>>("[1,2]").unwrap().0.len(), 2);
    }
}
