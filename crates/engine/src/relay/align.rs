//! Where a continuation joins on to what the client has had: what it says again is left out.
//!
//! A model that was handed the beginning of its answer mostly goes on where it stops. Some repeat the last words first, some
//! begin all over. Both are seen by comparing letter by letter, so a text is held back only as long as it may still be a
//! repetition.

use std::borrow::Cow;

/// Compares a continuation with what was said.
#[derive(Debug)]
pub(super) struct Align {
    said: String,
    /// What came and is not decided on.
    held: String,
    /// The provider goes on by contract: only white space at the seam can be there twice.
    exact: bool,
    decided: bool,
}

/// The continuation begins the answer anew, in other words: there is no place to join on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Diverged;

/// The end of what was said that a repetition is looked for in, in bytes.
const TAIL: usize = 2 << 10;
/// A repetition that is shorter is none, in bytes: languages repeat short words all the time.
const LEAST: usize = 12;
/// Whoever begins like the answer itself for so many bytes has begun it anew.
const ANEW: usize = 48;

// === impl Align ===

impl Align {
    /// For a continuation of `said`. `exact`: the provider was given it as the beginning of its own answer.
    pub(super) fn new(said: &str, exact: bool) -> Self {
        // Nothing was said: nothing can be said twice.
        Self { said: said.to_owned(), held: String::new(), exact, decided: said.is_empty() }
    }

    /// Takes more of the continuation in, and gives what is the client's of it; empty while that is not decided.
    ///
    /// # Errors
    /// [`Diverged`].
    pub(super) fn feed<'a>(&mut self, text: Cow<'a, str>) -> Result<Cow<'a, str>, Diverged> {
        if self.decided {
            return Ok(text);
        }
        self.held.push_str(&text);
        self.decide(false).map(|text| text.map_or(Cow::Borrowed(""), Cow::Owned))
    }

    /// The continuation is at its end: what is held is decided on.
    ///
    /// # Errors
    /// [`Diverged`].
    pub(super) fn flush(&mut self) -> Result<String, Diverged> {
        if self.decided {
            return Ok(String::new());
        }
        self.decide(true).map(Option::unwrap_or_default)
    }

    fn decide(&mut self, last: bool) -> Result<Option<String>, Diverged> {
        let skip = if self.exact { self.white_space(last) } else { self.repetition(last)? };
        Ok(skip.map(|skip| {
            self.decided = true;
            let held = std::mem::take(&mut self.held);
            held.get(skip..).unwrap_or_default().to_owned()
        }))
    }

    /// How much white space at the start stands at the end of what was said already. Providers want no white space at the
    /// end of a beginning, so it is taken off before it is handed over, and the model says it again.
    fn white_space(&self, last: bool) -> Option<usize> {
        let said = self.said.trim_end();
        let ours = &self.said[said.len()..];
        let theirs = &self.held[..self.held.len() - self.held.trim_start().len()];
        if !last && theirs.len() == self.held.len() && theirs.len() < ours.len() {
            return None;
        }
        let same = ours.bytes().zip(theirs.bytes()).take_while(|(a, b)| a == b).count();
        // White space outside ASCII must not be cut in the middle.
        Some((0..=same).rev().find(|at| self.held.is_char_boundary(*at)).unwrap_or(0))
    }

    /// How much at the start is a repetition; `None` while that cannot be said.
    fn repetition(&self, last: bool) -> Result<Option<usize>, Diverged> {
        let (said, held) = (self.said.as_str(), self.held.as_str());
        let same = said.bytes().zip(held.bytes()).take_while(|(a, b)| a == b).count();
        if same == said.len() && same >= LEAST {
            return Ok(Some(same));
        }
        if same == held.len() && !last {
            return Ok(None);
        }
        let tail = self.tail();
        if !last && memchr::memmem::find(tail.as_bytes(), held.as_bytes()).is_some() {
            return Ok(None);
        }
        let mut ends = held.char_indices().map(|(at, c)| at + c.len_utf8());
        let longest = ends.rfind(|end| *end >= LEAST && tail.ends_with(&held[..*end]));
        if longest.is_none() && same >= ANEW {
            return Err(Diverged);
        }
        Ok(Some(longest.unwrap_or(0)))
    }

    fn tail(&self) -> &str {
        let start = self.said.len().saturating_sub(TAIL);
        let start = (start..=self.said.len()).find(|at| self.said.is_char_boundary(*at)).unwrap_or(0);
        &self.said[start..]
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What the client gets of a continuation that comes in pieces of so many characters.
    fn joined(said: &str, exact: bool, more: &str, piece: usize) -> Result<String, Diverged> {
        let mut align = Align::new(said, exact);
        let mut all = String::new();
        let letters: Vec<char> = more.chars().collect();
        for piece in letters.chunks(piece) {
            all.push_str(&align.feed(Cow::Owned(piece.iter().collect()))?);
        }
        all.push_str(&align.flush()?);
        Ok(all)
    }

    const SAID: &str = "The river rises in the hills, and from the hills it";

    #[test]
    fn what_goes_on_passes_as_it_is() {
        for more in
            [" runs to the sea.", "self", "", " it runs", "The", " in the hills, and back", "\u{fc}ber"]
        {
            for piece in [1, 3, 100] {
                assert_eq!(joined(SAID, false, more, piece).as_deref(), Ok(more), "{more}");
                assert_eq!(joined(SAID, true, more, piece).as_deref(), Ok(more), "{more}");
            }
        }
    }

    #[test]
    fn last_words_that_are_repeated_are_left_out() {
        for piece in [1, 4, 7, 100] {
            assert_eq!(joined(SAID, false, "from the hills it runs.", piece).as_deref(), Ok(" runs."));
            assert_eq!(joined(SAID, false, "from the hills it", piece).as_deref(), Ok(""));
            assert_eq!(joined(SAID, false, &format!("{SAID} runs."), piece).as_deref(), Ok(" runs."));
        }
    }

    #[test]
    fn an_answer_that_is_begun_anew_in_other_words_has_no_place_to_join_on() {
        let anew = "The river rises in the hills, and from the hills to the plain";
        assert_eq!(joined(SAID, false, anew, 5), Err(Diverged));
    }

    #[test]
    fn white_space_at_the_seam_stands_there_once() {
        for (said, more, want) in [
            ("One ", " two", "two"),
            ("One ", "two", "two"),
            ("One\n\n", "\n\ntwo", "two"),
            ("One", " two", " two"),
        ] {
            for piece in [1, 2, 100] {
                assert_eq!(joined(said, true, more, piece).as_deref(), Ok(want), "{said:?}");
            }
        }
    }

    #[test]
    fn nothing_is_held_back_longer_than_it_may_be_a_repetition() {
        let mut align = Align::new(SAID, false);
        assert_eq!(align.feed(Cow::Borrowed(" x")), Ok(Cow::Borrowed(" x")));
        assert_eq!(align.feed(Cow::Borrowed("from the hills it")), Ok(Cow::Borrowed("from the hills it")));
    }
}
