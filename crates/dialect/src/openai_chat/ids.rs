//! Ids of calls, made to fit: the same id always becomes the same, within a request and from turn to turn.

use std::borrow::Cow;
use std::collections::{HashMap, HashSet};

use crate::Turn;

/// The longest id that OpenAI takes, in bytes.
const LONGEST: usize = 40;
/// The length of an id that Mistral takes.
const SHORT: usize = 9;
const LETTERS: &[u8; 62] = b"0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz";

/// The ids of one request.
#[derive(Debug)]
pub(super) struct Ids {
    short: bool,
    given: HashMap<String, String>,
    taken: HashSet<String>,
}

/// The id of an answer whose provider gave none, which follows from the request. It may not be empty: there is a client that
/// takes a chunk without one for none of the answer.
pub(super) fn of_answer(id: &str, asked: &Turn) -> String {
    if id.is_empty() { format!("chatcmpl-{:016x}", hash(asked.payload.bytes(), 0)) } else { id.to_owned() }
}

// === impl Ids ===

impl Ids {
    /// For a provider whose ids have nine letters and digits (`short`), or as many as one likes up to 40.
    pub(super) fn new(short: bool) -> Self {
        Self { short, given: HashMap::new(), taken: HashSet::new() }
    }

    /// The id as the provider takes it.
    pub(super) fn fit<'a>(&mut self, id: &'a str) -> Cow<'a, str> {
        if self.fits(id) {
            return Cow::Borrowed(id);
        }
        if let Some(given) = self.given.get(id) {
            return Cow::Owned(given.clone());
        }
        let mut salt = 0;
        let made = loop {
            let hash = hash(id.as_bytes(), salt);
            let made = if self.short { letters(hash) } else { format!("call_{hash:016x}") };
            if self.taken.insert(made.clone()) {
                break made;
            }
            salt += 1;
        };
        self.given.insert(id.to_owned(), made.clone());
        Cow::Owned(made)
    }

    fn fits(&self, id: &str) -> bool {
        if self.short {
            id.len() == SHORT && id.bytes().all(|b| b.is_ascii_alphanumeric())
        } else {
            !id.is_empty() && id.len() <= LONGEST
        }
    }
}

/// An id for a call that its provider gave none: from what is known of the answer and its place there.
pub(super) fn made_up(answer: &str, created: Option<u64>, at: usize) -> String {
    format!("call_{:016x}_{at}", hash(answer.as_bytes(), created.unwrap_or(0)))
}

/// FNV-1a: short, and the same everywhere.
fn hash(bytes: &[u8], salt: u64) -> u64 {
    salt.to_le_bytes()
        .iter()
        .chain(bytes)
        .fold(0xcbf2_9ce4_8422_2325, |hash, byte| (hash ^ u64::from(*byte)).wrapping_mul(0x0100_0000_01b3))
}

fn letters(mut hash: u64) -> String {
    let mut id = String::with_capacity(SHORT);
    for _ in 0..SHORT {
        let at = usize::try_from(hash % 62).unwrap_or(0);
        id.push(char::from(LETTERS.get(at).copied().unwrap_or(b'0')));
        hash /= 62;
    }
    id
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_id_that_fits_stays() {
        assert_eq!(Ids::new(false).fit("toolu_01"), "toolu_01");
        assert_eq!(Ids::new(true).fit("a1B2c3D4e"), "a1B2c3D4e");
    }

    #[test]
    fn an_id_that_does_not_fit_becomes_the_same_each_time() {
        let long = "x".repeat(41);
        let mut ids = Ids::new(false);
        let first = ids.fit(&long).into_owned();
        assert_eq!(ids.fit(&long), first);
        assert!(first.len() <= LONGEST);
        let short = Ids::new(true).fit("toolu_01").into_owned();
        assert_eq!((short.len(), Ids::new(true).fit("toolu_01").into_owned()), (9, short.clone()));
        assert!(short.bytes().all(|b| b.is_ascii_alphanumeric()));
        assert_ne!(ids.fit(""), "");
    }
}
