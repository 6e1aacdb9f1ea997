//! Virtual keys: what an application shows to the gateway.

mod rules;

pub use rules::{Change, Draft, check_metadata, check_name, check_pattern, find, may_rotate};

use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;

use serde::{Deserialize, Serialize};

/// What every virtual key begins with.
pub const PREFIX: &str = "lg-";

/// The name of a key that may be shown and logged: `key_` and 16 base-32 digits.
pub type KeyId = Arc<str>;

/// The keyed hash of a virtual key: BLAKE3 with the installation's secret. The key itself is stored nowhere.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct KeyHash(pub [u8; 32]);

/// A virtual key as the store knows it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Key {
    /// Its public name.
    pub id: KeyId,
    /// What a person calls it; unique among keys that are not revoked.
    pub name: Arc<str>,
    /// Its last four characters, to tell keys apart.
    pub hint: String,
    /// Its hash.
    #[serde(skip, default = "no_hash")]
    pub hash: KeyHash,
    /// When it was made, in Unix milliseconds.
    pub created_ms: u64,
    /// From when on it is refused, in Unix milliseconds.
    pub expires_ms: Option<u64>,
    /// When it was revoked, in Unix milliseconds.
    pub revoked_ms: Option<u64>,
    /// The models it may use: names of routes, `provider/model`, or either with `*` at the end. Empty: all.
    pub models: Vec<String>,
    /// Free text fields of the operator.
    pub metadata: BTreeMap<String, String>,
}

/// Whether a key opens the door.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum KeyState {
    /// It does.
    Active,
    /// Its time is over.
    Expired,
    /// It was taken back.
    Revoked,
}

/// A key as programs are shown it.
#[derive(Debug, Serialize)]
pub struct Shown<'a> {
    /// What it opens with, the one time it is shown.
    #[serde(rename = "key", skip_serializing_if = "Option::is_none")]
    pub secret: Option<&'a str>,
    /// What the store knows of it.
    #[serde(flatten)]
    pub key: &'a Key,
    /// `active`, `expired` or `revoked`.
    pub state: &'static str,
}

// === impl Key ===

impl Key {
    /// What the key is worth at `wall_ms`.
    pub fn state(&self, wall_ms: u64) -> KeyState {
        if self.revoked_ms.is_some_and(|at| at <= wall_ms) {
            KeyState::Revoked
        } else if self.expires_ms.is_some_and(|at| at <= wall_ms) {
            KeyState::Expired
        } else {
            KeyState::Active
        }
    }

    /// Whether the key may use what is known by this name.
    pub fn may_use(&self, name: &str) -> bool {
        self.models.is_empty() || self.models.iter().any(|pattern| matches(pattern, name))
    }
}

impl KeyState {
    /// The word for it.
    pub const fn word(self) -> &'static str {
        match self {
            Self::Active => "active",
            Self::Expired => "expired",
            Self::Revoked => "revoked",
        }
    }
}

impl<'a> Shown<'a> {
    /// A key without its secret, as it stands at `wall_ms`.
    pub fn new(key: &'a Key, wall_ms: u64) -> Self {
        Self { secret: None, key, state: key.state(wall_ms).word() }
    }
}

/// Whether a name fits a pattern: the same, or the pattern ends in `*` and the name begins with the rest. A star
/// crosses the slash between provider and model only where it stands alone or behind that slash.
pub fn matches(pattern: &str, name: &str) -> bool {
    let Some(start) = pattern.strip_suffix('*') else { return pattern == name };
    let same_depth = start.is_empty() || start.contains('/') || !name.contains('/');
    same_depth && name.starts_with(start)
}

const fn no_hash() -> KeyHash {
    KeyHash([0; 32])
}

impl fmt::Debug for KeyHash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("***")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_pattern_ends_in_a_star_or_is_exact() {
        assert!(matches("openai/*", "openai/gpt-5"));
        assert!(!matches("openai/*", "groq/llama"));
        assert!(matches("support-bot", "support-bot"));
        assert!(!matches("support-bot", "support-bot-2"));
        assert!(matches("*", "any/thing"));
        assert!(!matches("gpt-*", "gpt-evil/model"));
    }
}
