//! Bodies read as payloads: a full parser agrees about the members, and edits mean what they say.
//!
//! The line of choices holds the edits, three bytes each: what to do, with which name, with which value or new name.

use std::collections::HashSet;
use std::fmt;

use bytes::Bytes;
use lockgate_core::Payload;
use lockgate_core::payload::{MAX_DEPTH, MAX_MEMBERS, Reason};
use serde::de::{Deserialize, Deserializer, MapAccess, Visitor};
use serde_json::Value;
use serde_json::value::RawValue;

use crate::script;

/// Names that an edit can use beside those of the body.
const NAMES: [&str; 6] = ["model", "a", "b", "c", "", "é\"\\\n"];
/// Values that an edit can set: as short as can be, and with all that could mislead a scan.
const VALUES: [&str; 6] = ["0", "null", "[7]", r#"{"model":"}"}"#, r#""\"],""#, "-1.5e3"];
const MOST_EDITS: usize = 8;

/// The members as a full parser sees them, those that stand twice included.
struct Members<'a>(Vec<(String, &'a RawValue)>);

/// What a body should be after its edits.
struct Model {
    members: Vec<Held>,
    added: Vec<(String, String)>,
}

struct Held {
    /// In the body as it came.
    original: String,
    name: String,
    value: Vec<u8>,
    removed: bool,
}

pub(crate) fn check(data: &[u8]) {
    let (edits, body) = script::split(data);
    let parsed = Payload::parse(Bytes::copy_from_slice(body));
    match (&parsed, serde_json::from_slice::<Members<'_>>(body)) {
        (Ok(payload), Ok(members)) => agree(payload, &members.0),
        (Err(why), Ok(members)) => assert!(justified(&why.why, &members.0), "{why} in {members}"),
        // The parser looks deeper: then it is inside a value that it finds a fault.
        (Ok(payload), Err(error)) => {
            let sound = |name| serde_json::from_slice::<&RawValue>(value(payload, name)).is_ok();
            assert!(!payload.names().all(sound), "{error}");
        }
        (Err(why), Err(_)) => assert!(why.at <= body.len() && !why.to_string().is_empty()),
    }
    if let Ok(payload) = parsed {
        readings(&payload);
        edited(&payload, edits);
    }
}

fn agree(payload: &Payload, members: &[(String, &RawValue)]) {
    assert!(payload.names().eq(members.iter().map(|(name, _)| name)));
    assert!(members.len() <= MAX_MEMBERS);
    assert_eq!(payload.names().collect::<HashSet<_>>().len(), members.len());
    for (name, raw) in members {
        assert_eq!(value(payload, name), raw.get().as_bytes(), "{name:?}");
        assert!(depth(raw.get()) <= MAX_DEPTH);
    }
}

/// Whether a body that is valid JSON is refused for a rule that JSON does not have.
fn justified(why: &Reason, members: &[(String, &RawValue)]) -> bool {
    match why {
        Reason::Duplicate(name) => members.iter().filter(|(other, _)| other == name).count() > 1,
        Reason::TooLarge => members.len() > MAX_MEMBERS,
        Reason::TooDeep => members.iter().any(|(_, raw)| depth(raw.get()) > MAX_DEPTH),
        _ => false,
    }
}

/// How many brackets of a valid value stand in one another.
fn depth(value: &str) -> usize {
    let (mut deepest, mut depth, mut text, mut escaped) = (0, 0, false, false);
    for byte in value.bytes() {
        match byte {
            _ if escaped => escaped = false,
            b'\\' => escaped = true,
            b'"' => text = !text,
            b'{' | b'[' if !text => {
                depth += 1;
                deepest = deepest.max(depth);
            }
            b'}' | b']' if !text => depth -= 1,
            _ => {}
        }
    }
    deepest
}

/// Each way of reading a member says what a full parser says of its value.
fn readings(payload: &Payload) {
    for name in payload.names() {
        let raw = value(payload, name);
        assert_eq!(payload.text(name).map(String::from), serde_json::from_slice(raw).ok(), "{name:?}");
        assert_eq!(payload.flag(name), serde_json::from_slice(raw).ok(), "{name:?}");
        assert_eq!(payload.number(name), serde_json::from_slice(raw).ok(), "{name:?}");
        assert_eq!(payload.read::<Value>(name), serde_json::from_slice(raw).ok(), "{name:?}");
        assert_eq!(payload.has(name), raw != b"null", "{name:?}");
    }
}

fn edited(payload: &Payload, edits: &[u8]) {
    let mut model = Model::of(payload);
    let names: Vec<&str> = payload.names().chain(NAMES).collect();
    let pick = |byte: u8| names[usize::from(byte) % names.len()];
    let mut splice = payload.splice();
    for edit in edits.chunks_exact(3).take(MOST_EDITS) {
        let (name, last) = (pick(edit[1]), edit[2]);
        let value = VALUES[usize::from(last) % VALUES.len()];
        splice = match edit[0] % 4 {
            0 => {
                model.set(name, value);
                splice.set(name, Bytes::from_static(value.as_bytes()))
            }
            1 => {
                model.set(name, &Value::from(pick(last)).to_string());
                splice.set_text(name, pick(last))
            }
            2 => {
                model.remove(name);
                splice.remove(name)
            }
            _ => {
                model.rename(name, pick(last));
                splice.rename(name, pick(last))
            }
        };
    }
    let untouched = splice.is_empty();
    let segments = splice.segments();
    let len = segments.len();
    let bytes = segments.join();
    assert_eq!(bytes.len(), len);
    assert!(!untouched || bytes == *payload.bytes());
    let expected = model.members();
    if expected.len() > MAX_MEMBERS {
        return;
    }
    let shown = String::from_utf8_lossy(&bytes).into_owned();
    let out = Payload::parse(bytes).unwrap_or_else(|why| panic!("{why}: {shown}"));
    let found: Vec<(&str, &[u8])> = out.names().map(|name| (name, value(&out, name))).collect();
    assert_eq!(found, expected, "{shown}");
}

fn value<'a>(payload: &'a Payload, name: &str) -> &'a [u8] {
    payload.get(name).unwrap_or_else(|| panic!("{name:?} has a name and no value"))
}

// === impl Members ===

impl<'de> Deserialize<'de> for Members<'de> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Object;

        impl<'de> Visitor<'de> for Object {
            type Value = Members<'de>;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("an object")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
                let mut members = Vec::new();
                while let Some(member) = map.next_entry()? {
                    members.push(member);
                }
                Ok(Members(members))
            }
        }

        deserializer.deserialize_map(Object)
    }
}

impl fmt::Display for Members<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list().entries(self.0.iter().map(|(name, _)| name)).finish()
    }
}

// === impl Model ===

/// A name is one that the body came with, or one that an edit added; the later edit counts.
impl Model {
    fn of(payload: &Payload) -> Self {
        let held = |name: &str| Held {
            original: name.to_owned(),
            name: name.to_owned(),
            value: value(payload, name).to_vec(),
            removed: false,
        };
        Self { members: payload.names().map(held).collect(), added: Vec::new() }
    }

    fn set(&mut self, name: &str, value: &str) {
        // What was renamed to this name is the same place.
        let member = self.members.iter().position(|m| m.original == name);
        let member = member.or_else(|| self.members.iter().position(|m| m.name == name));
        if let Some(at) = member {
            let member = &mut self.members[at];
            member.value = value.as_bytes().to_vec();
            member.removed = false;
        } else if let Some((_, held)) = self.added.iter_mut().find(|(other, _)| other == name) {
            value.clone_into(held);
        } else {
            self.added.push((name.to_owned(), value.to_owned()));
        }
    }

    fn remove(&mut self, name: &str) {
        if let Some(member) = self.members.iter_mut().find(|m| m.original == name) {
            member.removed = true;
        }
        self.added.retain(|(other, _)| other != name);
    }

    fn rename(&mut self, from: &str, to: &str) {
        let taken = self.members.iter().any(|m| m.original == to || m.name == to)
            || self.added.iter().any(|(name, _)| name == to);
        if taken {
            return;
        }
        if let Some(member) = self.members.iter_mut().find(|m| m.original == from) {
            to.clone_into(&mut member.name);
        } else if let Some((name, _)) = self.added.iter_mut().find(|(name, _)| name == from) {
            to.clone_into(name);
        }
    }

    fn members(&self) -> Vec<(&str, &[u8])> {
        let kept = self.members.iter().filter(|m| !m.removed);
        let kept = kept.map(|m| (m.name.as_str(), m.value.as_slice()));
        kept.chain(self.added.iter().map(|(name, value)| (name.as_str(), value.as_bytes()))).collect()
    }
}
