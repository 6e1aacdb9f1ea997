//! Numbers and words as a few bytes, for the columns that nobody searches.
//!
//! A number is an LEB128 varint. A note is its length and its bytes. A word is a number, twice its length, and its
//! bytes; or, when the number is odd, the place of a word that came before it: both sides remember the first words of
//! a row, those that its other columns hold included.

use std::sync::Arc;

/// How many words are remembered.
const MEMORY: usize = 16;

/// Writes behind what is in a buffer.
pub(crate) struct Pen<'a> {
    out: &'a mut Vec<u8>,
    seen: [&'a str; MEMORY],
    known: usize,
}

/// Reads what a [`Pen`] wrote. Every method gives `None` when the bytes are something else.
pub(crate) struct Eye<'a> {
    rest: &'a [u8],
    seen: Vec<Arc<str>>,
}

// === impl Pen ===

impl<'a> Pen<'a> {
    pub(crate) fn new(out: &'a mut Vec<u8>) -> Self {
        Self { out, seen: [""; MEMORY], known: 0 }
    }

    /// Makes a word known that the reader will know as well.
    pub(crate) fn remember(&mut self, word: &'a str) {
        if let Some(place) = self.seen.get_mut(self.known) {
            *place = word;
            self.known += 1;
        }
    }

    pub(crate) fn byte(&mut self, byte: u8) {
        self.out.push(byte);
    }

    pub(crate) fn number(&mut self, mut number: u64) {
        while number >= 0x80 {
            self.out.push(number as u8 | 0x80);
            number >>= 7;
        }
        self.out.push(number as u8);
    }

    pub(crate) fn word(&mut self, word: &'a str) {
        if let Some(place) = self.seen[..self.known].iter().position(|seen| *seen == word) {
            self.number((place as u64) << 1 | 1);
        } else {
            self.number((word.len() as u64) << 1);
            self.out.extend_from_slice(word.as_bytes());
            self.remember(word);
        }
    }

    pub(crate) fn note(&mut self, note: &str) {
        self.number(note.len() as u64);
        self.out.extend_from_slice(note.as_bytes());
    }

    /// Something or nothing.
    pub(crate) fn option<T>(&mut self, option: Option<T>, some: impl FnOnce(&mut Self, T)) {
        self.byte(u8::from(option.is_some()));
        if let Some(value) = option {
            some(self, value);
        }
    }
}

// === impl Eye ===

impl<'a> Eye<'a> {
    pub(crate) fn new(bytes: &'a [u8]) -> Self {
        Self { rest: bytes, seen: Vec::new() }
    }

    /// Makes a word known that the writer knew as well.
    pub(crate) fn remember(&mut self, word: &Arc<str>) {
        if self.seen.len() < MEMORY {
            self.seen.push(Arc::clone(word));
        }
    }

    /// Whether everything is read.
    pub(crate) fn is_at_end(&self) -> bool {
        self.rest.is_empty()
    }

    pub(crate) fn byte(&mut self) -> Option<u8> {
        let (first, rest) = self.rest.split_first()?;
        self.rest = rest;
        Some(*first)
    }

    pub(crate) fn number<T: TryFrom<u64>>(&mut self) -> Option<T> {
        let mut number = 0_u64;
        for shift in (0..64).step_by(7) {
            let byte = self.byte()?;
            let bits = u64::from(byte & 0x7f);
            if bits << shift >> shift != bits {
                return None;
            }
            number |= bits << shift;
            if byte < 0x80 {
                return T::try_from(number).ok();
            }
        }
        None
    }

    pub(crate) fn word(&mut self) -> Option<Arc<str>> {
        let number: u64 = self.number()?;
        let size_or_place = usize::try_from(number >> 1).ok()?;
        if number & 1 == 1 {
            return self.seen.get(size_or_place).cloned();
        }
        let word: Arc<str> = Arc::from(self.text(size_or_place)?);
        self.remember(&word);
        Some(word)
    }

    pub(crate) fn note(&mut self) -> Option<String> {
        let size = self.number::<u64>()?;
        self.text(usize::try_from(size).ok()?).map(str::to_owned)
    }

    /// The outer `None` when it cannot be read, the inner when nothing was written.
    pub(crate) fn option<T>(&mut self, some: impl FnOnce(&mut Self) -> Option<T>) -> Option<Option<T>> {
        match self.byte()? {
            0 => Some(None),
            1 => some(self).map(Some),
            _ => None,
        }
    }

    /// Room is made as things come, never for a count that the bytes claim.
    pub(crate) fn list<T>(&mut self, mut one: impl FnMut(&mut Self) -> Option<T>) -> Option<Vec<T>> {
        let count: u64 = self.number()?;
        let mut list = Vec::new();
        for _ in 0..count {
            list.push(one(self)?);
        }
        Some(list)
    }

    fn text(&mut self, size: usize) -> Option<&'a str> {
        let (text, rest) = self.rest.split_at_checked(size)?;
        self.rest = rest;
        std::str::from_utf8(text).ok()
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn what_is_written_is_read(numbers: Vec<u64>, words in prop::collection::vec("[a-c]{0,2}", 0..40), note: String) {
            let mut bytes = Vec::new();
            let mut pen = Pen::new(&mut bytes);
            pen.remember("a");
            numbers.iter().for_each(|number| pen.number(*number));
            words.iter().for_each(|word| pen.word(word));
            pen.option(Some(note.as_str()), Pen::note);
            pen.option(None::<&str>, Pen::note);

            let mut eye = Eye::new(&bytes);
            eye.remember(&Arc::from("a"));
            for number in numbers {
                prop_assert_eq!(eye.number(), Some(number));
            }
            for word in words {
                prop_assert_eq!(eye.word(), Some(Arc::from(word)));
            }
            prop_assert_eq!(eye.option(Eye::note), Some(Some(note)));
            prop_assert_eq!(eye.option(Eye::note), Some(None));
            prop_assert!(eye.is_at_end());
        }
    }

    #[test]
    fn a_number_that_is_too_large_is_refused() {
        assert_eq!(Eye::new(b"\xff\xff\xff\xff\xff\xff\xff\xff\xff\x01").number(), Some(u64::MAX));
        assert_eq!(Eye::new(b"\xff\xff\xff\xff\xff\xff\xff\xff\xff\x02").number::<u64>(), None);
        assert_eq!(Eye::new(b"\x80\x80\x04").number::<u16>(), None);
        assert_eq!(Eye::new(b"\x80").number::<u64>(), None);
    }

    #[test]
    fn a_list_that_claims_more_than_there_is_costs_nothing() {
        assert_eq!(Eye::new(b"\xff\xff\xff\xff\x0f\x02a").list(Eye::word), None);
    }
}
