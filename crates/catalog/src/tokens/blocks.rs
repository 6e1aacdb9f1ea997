//! Text in blocks: language, which a vocabulary counts, and what only looks like text, which is estimated.
//!
//! A vocabulary takes more than linear time for a long run of one kind of character, and many times as long for random
//! letters as for prose. So a block is counted only if it could be language or code: no run is longer than words get,
//! and letters, digits and cases do not alternate as in base64. Blocks end where every vocabulary begins a new piece, so
//! that cutting does not change a count.

/// A part of a text.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Block<'a> {
    pub(super) text: &'a str,
    /// Whether it is worth counting.
    pub(super) regular: bool,
    /// Whether more than a few of its letters are beyond ASCII.
    pub(super) wide: bool,
    /// Whether a piece of the vocabulary may have been cut at its end.
    pub(super) torn: bool,
}

/// A text in blocks.
pub(super) struct Blocks<'a> {
    rest: &'a str,
}

/// Bytes after which a block ends at the next good place, and at any place.
const ENOUGH: usize = 1_024;
const MOST: usize = 4_096;
/// The longest run of one kind of ASCII, and of letters beyond it, in bytes.
const LONGEST_RUN: usize = 64;
const LONGEST_WIDE_RUN: usize = 120;
/// A block is irregular when more than one of so many characters is a change of case or between letter and digit.
const CHANGES: usize = 6;
/// Or when more than one of so many is no letter, digit, or sign of ASCII.
const RARE: usize = 8;
/// A block is wide when more than one of so many characters is a letter beyond ASCII.
const WIDE: usize = 4;

#[derive(Clone, Copy, PartialEq, Eq)]
enum Kind {
    Lower,
    Upper,
    Digit,
    Space,
    Mark,
    Wide,
    Rare,
}

/// What is known of a block that is being read.
#[derive(Default)]
struct Shape {
    last: Option<Kind>,
    run: usize,
    letters: usize,
    changes: usize,
    rare: usize,
    wide: usize,
    long: bool,
}

/// The blocks of a text, in order; together they are the text.
pub(super) fn blocks(text: &str) -> Blocks<'_> {
    Blocks { rest: text }
}

// === impl Blocks ===

impl<'a> Iterator for Blocks<'a> {
    type Item = Block<'a>;

    fn next(&mut self) -> Option<Block<'a>> {
        if self.rest.is_empty() {
            return None;
        }
        let mut shape = Shape::default();
        let mut before = '\n';
        let mut letters = self.rest.char_indices().peekable();
        while let Some((at, letter)) = letters.next() {
            let next = letters.peek().map(|(_, next)| *next);
            let good = at >= ENOUGH && begins_a_piece(before, letter, next);
            if good || at >= MOST {
                return Some(self.cut(at, &shape, !good));
            }
            shape.take(letter);
            before = letter;
        }
        Some(self.cut(self.rest.len(), &shape, false))
    }
}

impl<'a> Blocks<'a> {
    fn cut(&mut self, at: usize, shape: &Shape, torn: bool) -> Block<'a> {
        let (text, rest) = self.rest.split_at(at);
        self.rest = rest;
        Block { text, regular: shape.is_regular(), wide: shape.wide * WIDE > shape.letters, torn }
    }
}

/// Whether every vocabulary begins a piece here: at a single space between words, and at a letter that begins a line.
fn begins_a_piece(before: char, letter: char, next: Option<char>) -> bool {
    let space = letter == ' ' && !before.is_whitespace() && next.is_some_and(|next| !next.is_whitespace());
    space || (before == '\n' && letter.is_alphabetic())
}

// === impl Shape ===

impl Shape {
    fn take(&mut self, letter: char) {
        let kind = kind(letter);
        let same = self.last.is_some_and(|last| last == kind || (last, kind) == (Kind::Upper, Kind::Lower));
        self.run = if same { self.run + letter.len_utf8() } else { letter.len_utf8() };
        self.long |= self.run > if kind == Kind::Wide { LONGEST_WIDE_RUN } else { LONGEST_RUN };
        let change = matches!(
            (self.last, kind),
            (Some(Kind::Lower), Kind::Upper | Kind::Digit)
                | (Some(Kind::Upper), Kind::Digit)
                | (Some(Kind::Digit), Kind::Lower | Kind::Upper)
        );
        self.changes += usize::from(change);
        self.rare += usize::from(kind == Kind::Rare);
        self.wide += usize::from(kind == Kind::Wide);
        self.letters += 1;
        self.last = Some(kind);
    }

    const fn is_regular(&self) -> bool {
        // Short texts cost little whatever they are, and a few characters make no statistics.
        let few = self.letters < 256;
        let plain = self.changes * CHANGES <= self.letters && self.rare * RARE <= self.letters;
        !self.long && (few || plain)
    }
}

fn kind(letter: char) -> Kind {
    match letter {
        'a'..='z' => Kind::Lower,
        'A'..='Z' => Kind::Upper,
        '0'..='9' => Kind::Digit,
        ' ' | '\t' | '\n' | '\r' => Kind::Space,
        '!'..='~' => Kind::Mark,
        '\u{fffd}' | '\u{1f000}'..='\u{1ffff}' => Kind::Rare,
        _ if letter.is_alphanumeric() => Kind::Wide,
        // Quotes, dashes, and the punctuation of Chinese and Japanese.
        '\u{a0}'..='\u{bf}' | '\u{2010}'..='\u{203a}' | '\u{3000}'..='\u{303f}' | '\u{ff01}'..='\u{ff65}' => {
            Kind::Mark
        }
        _ => Kind::Rare,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn regular(text: &str) -> bool {
        blocks(text).all(|block| block.regular)
    }

    #[test]
    fn blocks_together_are_the_text() {
        for unit in ["a", " ", "word ", "é", "日本", "😀", "line\n", " \n", "a1B2"] {
            let text = unit.repeat(5_000);
            assert_eq!(blocks(&text).map(|b| b.text).collect::<String>(), text);
            assert!(blocks(&text).all(|b| b.text.len() <= MOST + 4));
        }
        assert_eq!(blocks("").count(), 0);
    }

    #[test]
    fn language_and_code_are_regular_and_whole() {
        for text in [
            "A word, and another: 123456 – «très bien»!\n",
            "    let total = prices.iter().map(|p| p.0).sum::<u64>();\n",
            "{\"name\": \"get_weather\", \"parameters\": {\"type\": \"object\"}}\n",
            "Съешь же ещё этих мягких французских булок, да выпей чаю. ",
        ] {
            let text = text.repeat(200);
            assert!(regular(&text), "{text:.40}");
            assert!(blocks(&text).all(|b| !b.torn), "{text:.40}");
        }
        assert!(regular(&"今天天气很好，我们去公园散步吧。".repeat(300)));
    }

    #[test]
    fn what_only_looks_like_text_is_not() {
        for text in [
            "a".repeat(100),
            " ".repeat(100),
            "dGhpcyBpcyBiYXNlNjQh0".repeat(60),
            "a1b2c3d4".repeat(200),
            "\u{fffd}x".repeat(600),
        ] {
            assert!(!regular(&text), "{text:.40}");
        }
    }
}
