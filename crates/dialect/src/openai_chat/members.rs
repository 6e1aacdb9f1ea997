//! Objects read member by member, each value as a slice, and where a fault in them is.

use std::borrow::Cow;
use std::fmt;

use lockgate_core::{Error, Kind};
use serde::de::{Error as _, IgnoredAny, MapAccess, SeqAccess, Visitor};
use serde::{Deserialize, Deserializer};
use serde_json::value::RawValue;

/// Text that borrows from what it was read from where it has no escapes.
#[derive(Clone, Debug)]
pub(crate) struct Str<'a>(pub(crate) Cow<'a, str>);

/// Text, or a list of parts, or something else that says nothing.
#[derive(Clone, Debug)]
pub(crate) enum Words<'a> {
    /// Text.
    Text(Cow<'a, str>),
    /// Parts.
    Parts(Vec<&'a RawValue>),
    /// Anything else.
    Other,
}

/// The members of an object in their order, with their values unread.
#[derive(Clone, Debug, Default)]
pub(crate) struct Members<'a>(Vec<(Cow<'a, str>, &'a RawValue)>);

/// Where in a body something is, for the words of an error.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Path<'a> {
    /// A member of the body.
    Top(&'a str),
    /// A member of what is there.
    Member(&'a Path<'a>, &'a str),
    /// An item of what is there.
    Item(&'a Path<'a>, usize),
}

// === impl Str ===

impl<'de: 'a, 'a> Deserialize<'de> for Str<'a> {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        struct Text;
        impl<'de> Visitor<'de> for Text {
            type Value = Str<'de>;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a string")
            }

            fn visit_borrowed_str<E>(self, text: &'de str) -> Result<Self::Value, E> {
                Ok(Str(Cow::Borrowed(text)))
            }

            fn visit_str<E>(self, text: &str) -> Result<Self::Value, E> {
                Ok(Str(Cow::Owned(text.to_owned())))
            }
        }
        from.deserialize_str(Text)
    }
}

// === impl Words ===

impl<'de: 'a, 'a> Deserialize<'de> for Words<'a> {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        struct Any;
        impl<'de> Visitor<'de> for Any {
            type Value = Words<'de>;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a string or an array")
            }

            fn visit_borrowed_str<E>(self, text: &'de str) -> Result<Self::Value, E> {
                Ok(Words::Text(Cow::Borrowed(text)))
            }

            fn visit_str<E>(self, text: &str) -> Result<Self::Value, E> {
                Ok(Words::Text(Cow::Owned(text.to_owned())))
            }

            fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<Self::Value, A::Error> {
                let mut parts = Vec::new();
                while let Some(part) = items.next_element()? {
                    parts.push(part);
                }
                Ok(Words::Parts(parts))
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
                while map.next_entry::<IgnoredAny, IgnoredAny>()?.is_some() {}
                Ok(Words::Other)
            }

            fn visit_bool<E>(self, _: bool) -> Result<Self::Value, E> {
                Ok(Words::Other)
            }

            fn visit_i64<E>(self, _: i64) -> Result<Self::Value, E> {
                Ok(Words::Other)
            }

            fn visit_u64<E>(self, _: u64) -> Result<Self::Value, E> {
                Ok(Words::Other)
            }

            fn visit_f64<E>(self, _: f64) -> Result<Self::Value, E> {
                Ok(Words::Other)
            }
        }
        from.deserialize_any(Any)
    }
}

// === impl Members ===

impl<'de: 'a, 'a> Deserialize<'de> for Members<'a> {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        struct Map;
        impl<'de> Visitor<'de> for Map {
            type Value = Members<'de>;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("an object")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
                let mut members = Vec::new();
                while let Some((Str(name), value)) = map.next_entry::<Str<'de>, &'de RawValue>()? {
                    if members.len() >= MOST {
                        return Err(A::Error::custom("too many members"));
                    }
                    members.push((name, value));
                }
                Ok(Members(members))
            }
        }
        from.deserialize_map(Map)
    }
}

/// Members that an object may have.
const MOST: usize = 512;

impl<'a> Members<'a> {
    /// Takes a member out; `None` when it is absent or null. Of two with the same name the later one counts.
    pub(crate) fn take(&mut self, name: &str) -> Option<&'a RawValue> {
        let mut found = None;
        self.0.retain(|(other, value)| {
            let same = other == name;
            if same {
                found = Some(*value);
            }
            !same
        });
        found.filter(|value| value.get() != "null")
    }

    /// What was not taken out, without what is null.
    pub(crate) fn rest(self) -> impl Iterator<Item = (Cow<'a, str>, &'a RawValue)> {
        self.0.into_iter().filter(|(_, value)| value.get() != "null")
    }

    /// What was not taken out, null or not.
    pub(crate) fn all(&self) -> impl Iterator<Item = (&str, &'a RawValue)> {
        self.0.iter().map(|(name, value)| (name.as_ref(), *value))
    }

    /// The object of what was not taken out; `None` when that is nothing.
    pub(crate) fn json(self) -> Option<String> {
        if self.0.is_empty() {
            return None;
        }
        let mut out = Vec::new();
        let mut object = super::json::Object::open(&mut out);
        for (name, value) in &self.0 {
            object.raw(name, value.get());
        }
        object.close();
        String::from_utf8(out).ok()
    }
}

// === impl Path ===

impl Path<'_> {
    /// The error that what is here is not as it must be.
    pub(crate) fn wrong(&self, must: &str) -> Error {
        Error::client(Kind::InvalidRequest, format!("\"{self}\" must be {must}.")).param(self.to_string())
    }

    /// The error that a member is not there.
    pub(crate) fn missing(&self, name: &str) -> Error {
        let path = Path::Member(self, name);
        Error::client(Kind::InvalidRequest, format!("\"{path}\" is missing.")).param(path.to_string())
    }

    /// Reads any type.
    ///
    /// # Errors
    /// A caller's error that says what must be here.
    pub(crate) fn read<'r, T: Deserialize<'r>>(&self, raw: &'r RawValue, must: &str) -> Result<T, Error> {
        serde_json::from_str(raw.get()).map_err(|why| self.wrong(must).detail(why.to_string()))
    }

    /// Reads an object.
    ///
    /// # Errors
    /// A caller's error, when it is none.
    pub(crate) fn object<'r>(&self, raw: &'r RawValue) -> Result<Members<'r>, Error> {
        self.read(raw, "an object")
    }

    /// Reads a list.
    ///
    /// # Errors
    /// A caller's error, when it is none.
    pub(crate) fn list<'r>(&self, raw: &'r RawValue) -> Result<Vec<&'r RawValue>, Error> {
        self.read(raw, "an array")
    }

    /// Reads text.
    ///
    /// # Errors
    /// A caller's error, when it is none.
    pub(crate) fn text<'r>(&self, raw: &'r RawValue) -> Result<Cow<'r, str>, Error> {
        self.read::<Str<'r>>(raw, "a string").map(|text| text.0)
    }

    /// Reads text out of a member, if that is there.
    ///
    /// # Errors
    /// A caller's error, when it is something else.
    pub(crate) fn text_of<'r>(
        &self,
        members: &mut Members<'r>,
        name: &str,
    ) -> Result<Option<Cow<'r, str>>, Error> {
        members.take(name).map(|raw| Path::Member(self, name).text(raw)).transpose()
    }
}

impl fmt::Display for Path<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Top(name) => f.write_str(name),
            Self::Member(of, name) => write!(f, "{of}.{name}"),
            Self::Item(of, at) => write!(f, "{of}[{at}]"),
        }
    }
}

/// Whether raw JSON is text, a list, an object: by its first byte.
pub(crate) fn begins(raw: &RawValue, with: u8) -> bool {
    raw.get().as_bytes().first() == Some(&with)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn members_are_taken_once_and_null_is_absent() {
        let mut members: Members<'_> =
            serde_json::from_str(r#"{"a":1,"n":null,"a":2,"x":{"y":[1, 2]}}"#).unwrap();
        assert_eq!(members.take("a").map(RawValue::get), Some("2"));
        assert!(members.take("n").is_none() && members.take("a").is_none());
        assert_eq!(members.json().as_deref(), Some(r#"{"x":{"y":[1, 2]}}"#));
    }

    #[test]
    fn a_fault_is_named_by_its_path() {
        let (top, raw) = (Path::Top("messages"), serde_json::from_str::<&RawValue>("7").unwrap());
        let item = Path::Item(&top, 3);
        let error = Path::Member(&item, "content").text(raw).unwrap_err();
        assert_eq!(error.at(), Some("messages[3].content"));
        assert_eq!(error.public(), "\"messages[3].content\" must be a string.");
    }
}
