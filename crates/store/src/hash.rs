//! Virtual keys at rest: made from the system's random source, kept only as a keyed hash.

use std::fmt;
use std::sync::Arc;

use lockgate_core::key::PREFIX;
use lockgate_core::{Error, KeyHash, KeyId, Kind, Secret};
use zeroize::Zeroizing;

/// Turns virtual keys into what may be stored. Who has the store but not the secret cannot test guesses.
#[derive(Clone)]
pub struct Hasher {
    secret: Zeroizing<[u8; 32]>,
}

const BASE_62: &[u8; 62] = b"0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz";
const BASE_32: &[u8; 32] = b"0123456789abcdefghjkmnpqrstvwxyz";
/// 43 base-62 digits hold 256 bits.
const KEY_DIGITS: usize = 43;
const HINT_DIGITS: usize = 4;
const KEY_ID_DIGITS: usize = 16;
/// The shortest text that a secret is derived from, in characters.
const SHORTEST_TEXT: usize = 16;
/// Part of the stored format: with another context every stored hash would become worthless.
const TEXT_CONTEXT: &str = "lockgate 2026-08 installation secret from LOCKGATE_SECRET_KEY";

// === impl Hasher ===

impl Hasher {
    /// A hasher with the installation's secret.
    pub fn new(secret: &[u8; 32]) -> Self {
        Self { secret: Zeroizing::new(*secret) }
    }

    /// A hasher whose secret is derived from a text of the operator. The text should be random: nothing slows guesses.
    ///
    /// # Errors
    /// [`Kind::InvalidRequest`] when the text has fewer than 16 characters.
    pub fn from_text(text: &str) -> Result<Self, Error> {
        if text.chars().count() < SHORTEST_TEXT {
            let public = format!("the secret key must have at least {SHORTEST_TEXT} characters");
            return Err(Error::client(Kind::InvalidRequest, public).param("LOCKGATE_SECRET_KEY"));
        }
        Ok(Self { secret: Zeroizing::new(blake3::derive_key(TEXT_CONTEXT, text.as_bytes())) })
    }

    /// The hash of a virtual key as a client showed it.
    pub fn hash(&self, key: &str) -> KeyHash {
        KeyHash(*blake3::keyed_hash(&self.secret, key.as_bytes()).as_bytes())
    }
}

impl fmt::Debug for Hasher {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Hasher(***)")
    }
}

// === making keys ===

/// A new virtual key, to be shown once, and its hint: its last four characters.
///
/// # Errors
/// [`Kind::Internal`] when the system has no random source.
pub fn new_key() -> Result<(Secret, String), Error> {
    let mut key = String::with_capacity(PREFIX.len() + KEY_DIGITS);
    key.push_str(PREFIX);
    let mut chance = Zeroizing::new([0_u8; 64]);
    while key.len() < PREFIX.len() + KEY_DIGITS {
        fill(&mut chance[..])?;
        // 248 is the largest multiple of 62 in a byte: what lies above would favour the first digits.
        let fair =
            chance.iter().filter(|byte| **byte < 248).map(|byte| char::from(BASE_62[*byte as usize % 62]));
        key.extend(fair.take(PREFIX.len() + KEY_DIGITS - key.len()));
    }
    let hint = key[key.len() - HINT_DIGITS..].to_owned();
    Ok((Secret::new(key), hint))
}

/// A new public name for a key: `key_` and 16 base-32 digits.
///
/// # Errors
/// [`Kind::Internal`] when the system has no random source.
pub fn new_key_id() -> Result<KeyId, Error> {
    let mut chance = [0_u8; KEY_ID_DIGITS];
    fill(&mut chance)?;
    let digits = chance.iter().map(|byte| char::from(BASE_32[*byte as usize % 32]));
    Ok(Arc::from("key_".chars().chain(digits).collect::<String>()))
}

pub(crate) fn fill(bytes: &mut [u8]) -> Result<(), Error> {
    getrandom::fill(bytes)
        .map_err(|e| Error::gateway(Kind::Internal, "the system has no random source").detail(e.to_string()))
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::*;

    #[test]
    fn a_hash_depends_on_key_and_secret_alone() {
        let (a, b) = (Hasher::new(&[1; 32]), Hasher::new(&[2; 32]));
        assert_eq!(a.hash("lg-x"), Hasher::new(&[1; 32]).hash("lg-x"));
        assert_ne!(a.hash("lg-x"), a.hash("lg-y"));
        assert_ne!(a.hash("lg-x"), b.hash("lg-x"));
        assert_eq!(format!("{a:?}"), "Hasher(***)");
    }

    #[test]
    fn a_text_makes_the_same_hasher_each_time_and_must_not_be_short() {
        let text = "sixteen letters!";
        let hash = |text| Hasher::from_text(text).map(|hasher| hasher.hash("lg-x"));
        assert_eq!(hash(text).unwrap(), hash(text).unwrap());
        assert_ne!(hash(text).unwrap(), hash("sixteen letters?").unwrap());
        assert_eq!(hash("fifteen letters").unwrap_err().kind(), Kind::InvalidRequest);
    }

    #[test]
    fn the_stored_form_does_not_change() {
        // Worked out once; a change would lock every client of every installation out.
        let hex = |hash: KeyHash| crate::secret::hex(&hash.0).to_string();
        let from_text = Hasher::from_text("sixteen letters!").unwrap();
        assert_eq!(
            hex(from_text.hash("lg-x")),
            "ccafbcf2b262ebfeb0178bd7f6b03a8554a51bfec4f06f0c1f1c33cf6bcc05e3"
        );
        assert_eq!(
            hex(Hasher::new(&[7; 32]).hash("lg-x")),
            "11f2a90255a74581161103b95709786766c44534185ade9e89ba854b6d483ded"
        );
    }

    #[test]
    fn keys_are_long_distinct_and_end_in_their_hint() {
        let mut seen = HashSet::new();
        let mut digits = HashSet::new();
        for _ in 0..200 {
            let (key, hint) = new_key().unwrap();
            let text = key.expose();
            assert_eq!(text.len(), 46);
            assert!(text.starts_with("lg-") && text.ends_with(&hint) && hint.len() == 4);
            digits.extend(text.bytes().skip(3));
            assert!(seen.insert(text.to_owned()));
        }
        assert_eq!(digits.len(), 62, "every digit occurs");
        let id = new_key_id().unwrap();
        assert!(id.len() == 20 && id.starts_with("key_") && id != new_key_id().unwrap());
    }
}
