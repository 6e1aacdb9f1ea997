//! What a key may be called and hold: the rules of whoever makes or changes one, by a command or over the network.

use std::collections::BTreeMap;

use serde::{Deserialize, Deserializer};

use super::{Key, KeyState, PREFIX};
use crate::attribution::Aspect;

/// A key that is to be made.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Draft {
    /// What people call it; no other key that is not revoked may have this name.
    pub name: String,
    /// From when on it is refused, in Unix milliseconds.
    #[serde(default)]
    pub expires_ms: Option<u64>,
    /// The models it may use, as in [`Key::models`].
    #[serde(default)]
    pub models: Vec<String>,
    /// Notes, among them what the key fixes of an attribution.
    #[serde(default)]
    pub metadata: BTreeMap<String, String>,
}

/// What is to be another at a key. What is absent stays.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Change {
    /// A new expiry; `null`: never.
    #[serde(deserialize_with = "present")]
    pub expires_ms: Option<Option<u64>>,
    /// Other models.
    pub models: Option<Vec<String>>,
    /// Fields of the metadata that are set; `null` removes one.
    pub metadata: BTreeMap<String, Option<String>>,
}

const LONGEST_NAME: usize = 128;
/// The longest value that a key can fix of an attribution, in bytes.
const LONGEST_VALUE: usize = 256;

// === impl Draft ===

impl Draft {
    /// Everything that is wrong with it at `wall_ms`: the member, and why.
    pub fn mistakes(&self, wall_ms: u64) -> Vec<(&'static str, String)> {
        let mut found = Vec::new();
        let mut wrong = |member, result: Result<(), String>| {
            if let Err(text) = result {
                found.push((member, text));
            }
        };
        wrong("name", check_name(&self.name));
        wrong("expires_ms", check_expiry(self.expires_ms, wall_ms));
        self.models.iter().for_each(|model| wrong("models", check_pattern(model)));
        self.metadata.iter().for_each(|(name, value)| wrong("metadata", check_metadata(name, value)));
        found
    }
}

// === impl Change ===

impl Change {
    /// Everything that is wrong with it at `wall_ms`: the member, and why.
    pub fn mistakes(&self, wall_ms: u64) -> Vec<(&'static str, String)> {
        let checked = Draft {
            name: "-".to_owned(),
            expires_ms: self.expires_ms.flatten(),
            models: self.models.clone().unwrap_or_default(),
            metadata: self
                .metadata
                .iter()
                .filter_map(|(name, value)| Some((name.clone(), value.clone()?)))
                .collect(),
        };
        checked.mistakes(wall_ms)
    }

    /// Puts it into a key.
    pub fn apply(&self, key: &mut Key) {
        if let Some(expires_ms) = self.expires_ms {
            key.expires_ms = expires_ms;
        }
        if let Some(models) = &self.models {
            key.models.clone_from(models);
        }
        for (name, value) in &self.metadata {
            match value {
                Some(value) => drop(key.metadata.insert(name.clone(), value.clone())),
                None => drop(key.metadata.remove(name)),
            }
        }
    }
}

/// A member that is there, also where it is null.
fn present<'de, D: Deserializer<'de>>(from: D) -> Result<Option<Option<u64>>, D::Error> {
    Option::deserialize(from).map(Some)
}

// === rules ===

/// Whether a key may be called so.
///
/// # Errors
/// What a name must be.
pub fn check_name(text: &str) -> Result<(), String> {
    let length = text.chars().count();
    if length == 0 || length > LONGEST_NAME || text.trim() != text || text.chars().any(char::is_control) {
        return Err(format!(
            "a name has 1 to {LONGEST_NAME} characters, none of them a control character, no space at its ends"
        ));
    }
    // Either would be taken for something else: an id, or a secret that does not belong into a list.
    if text.starts_with("key_") || text.starts_with(PREFIX) {
        return Err(format!("a name does not begin with key_ or {PREFIX}"));
    }
    Ok(())
}

/// Whether a text stands for models.
///
/// # Errors
/// What to write.
pub fn check_pattern(text: &str) -> Result<(), String> {
    let stem = text.strip_suffix('*').unwrap_or(text);
    if text.is_empty() || stem.contains(|c: char| c == '*' || c.is_whitespace() || c.is_control()) {
        return Err("write the name of a route, PROVIDER/MODEL, or either with one * at the end".to_owned());
    }
    Ok(())
}

/// Whether a field of the metadata can be kept, and, if it fixes something of an attribution, can do that.
///
/// # Errors
/// What it must be.
pub fn check_metadata(name: &str, value: &str) -> Result<(), String> {
    if name.trim().is_empty() || name.trim() != name {
        return Err("a field of the metadata has a name, without space at its ends".to_owned());
    }
    let fixes = Aspect::from_code(name).is_some_and(Aspect::can_be_fixed);
    if fixes && (value.len() > LONGEST_VALUE || value.chars().any(char::is_control)) {
        return Err(format!("{name} has at most {LONGEST_VALUE} bytes, none of them a control character"));
    }
    Ok(())
}

fn check_expiry(expires_ms: Option<u64>, wall_ms: u64) -> Result<(), String> {
    match expires_ms {
        Some(at) if at <= wall_ms => Err("that time is over already".to_owned()),
        _ => Ok(()),
    }
}

/// Whether a key can have a new secret.
///
/// # Errors
/// Why not, and what to do.
pub fn may_rotate(key: &Key, wall_ms: u64) -> Result<(), &'static str> {
    match key.state(wall_ms) {
        KeyState::Active => Ok(()),
        KeyState::Revoked => Err("the key is revoked, for good; create another one"),
        KeyState::Expired => Err("the key has expired; say until when the new secret is good"),
    }
}

/// The key of this id, else the one of this name that is not revoked, else the last one of this name.
pub fn find<'k>(keys: &'k [Key], named: &str, wall_ms: u64) -> Option<&'k Key> {
    let of_name = || keys.iter().filter(|key| *key.name == *named);
    keys.iter()
        .find(|key| *key.id == *named)
        .or_else(|| of_name().find(|key| key.state(wall_ms) != KeyState::Revoked))
        .or_else(|| of_name().next_back())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_cannot_be_taken_for_an_id_or_a_secret() {
        for text in ["", " ci", "ci\n", "key_0123456789abcdef", "lg-secret", &"n".repeat(129)] {
            assert!(check_name(text).is_err(), "{text:?}");
        }
        assert!(check_name("Support, EU 模").is_ok());
    }

    #[test]
    fn a_star_stands_at_the_end_of_a_pattern() {
        for text in ["*", "openai/*", "support-bot", "openrouter/meta/llama-4"] {
            assert!(check_pattern(text).is_ok(), "{text}");
        }
        for text in ["", "*/gpt", "a*b", "**", "two words"] {
            assert!(check_pattern(text).is_err(), "{text}");
        }
    }

    #[test]
    fn what_a_key_fixes_fits_into_an_attribution() {
        assert!(check_metadata("team", &"x".repeat(256)).is_ok());
        assert!(check_metadata("team", &"x".repeat(257)).is_err());
        assert!(check_metadata("note", &"x".repeat(257)).is_ok());
        assert!(check_metadata(" ", "x").is_err());
    }

    #[test]
    fn all_mistakes_of_a_key_come_at_once() {
        let draft = Draft {
            name: "lg-x".to_owned(),
            expires_ms: Some(5),
            models: vec!["a b".to_owned()],
            metadata: [("user".to_owned(), "x\n".to_owned())].into(),
        };
        let members: Vec<_> = draft.mistakes(5).into_iter().map(|(member, _)| member).collect();
        assert_eq!(members, ["name", "expires_ms", "models", "metadata"]);
        assert_eq!(Draft { name: "ci".to_owned(), ..Draft::default() }.mistakes(5), []);
    }

    #[test]
    fn a_change_leaves_alone_what_it_does_not_name() {
        let change = |text| serde_json::from_str::<Change>(text).unwrap();
        assert_eq!(change("{}").expires_ms, None);
        assert_eq!(change(r#"{"expires_ms":null}"#).expires_ms, Some(None));
        assert!(serde_json::from_str::<Change>(r#"{"name":"x"}"#).is_err());
        let mut key = Key {
            id: "key_1".into(),
            name: "ci".into(),
            hint: String::new(),
            hash: super::super::KeyHash([0; 32]),
            created_ms: 0,
            expires_ms: Some(9),
            revoked_ms: None,
            models: vec!["a".to_owned()],
            metadata: [("team".to_owned(), "x".to_owned()), ("note".to_owned(), "n".to_owned())].into(),
        };
        change(r#"{"metadata":{"team":"y","note":null}}"#).apply(&mut key);
        assert_eq!(key.metadata, [("team".to_owned(), "y".to_owned())].into());
        assert_eq!((key.expires_ms, key.models.len()), (Some(9), 1));
        change(r#"{"expires_ms":null,"models":[]}"#).apply(&mut key);
        assert_eq!((key.expires_ms, key.models.len()), (None, 0));
    }
}
