//! A JSON object read only as deep as its own members. The bytes are the truth: they are indexed, not parsed, and an
//! edit replaces a slice.
//!
//! The top level is held to the grammar strictly, and a member that stands there twice is refused: a gateway that
//! reads the first and a provider that reads the second would let a request pass under a false name. Below the top
//! level only strings and brackets are followed; whether the rest is well formed is for the reader of that part to say.

mod quotes;
mod scan;

use std::borrow::Cow;
use std::fmt;
use std::ops::Range;

use bytes::Bytes;
use serde::de::DeserializeOwned;

use crate::segments::Segments;

/// Members a body may have at its top level. The largest dialect has under 60.
pub const MAX_MEMBERS: usize = 512;
/// Brackets that may stand in one another.
pub const MAX_DEPTH: usize = 128;

/// A JSON object whose top-level members are known as slices.
#[derive(Clone, Debug)]
pub struct Payload {
    bytes: Bytes,
    members: Vec<Member>,
}

#[derive(Clone, Debug)]
struct Member {
    /// From the opening quote of the name.
    start: u32,
    /// The name between its quotes.
    name: Range<u32>,
    /// The name, where it was written with escapes.
    decoded: Option<Box<str>>,
    value: Range<u32>,
}

/// Why bytes are not a payload, and where.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Malformed {
    /// Offset in bytes.
    pub at: usize,
    /// What was found or missed there.
    pub why: Reason,
}

/// The ways in which a body can be malformed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Reason {
    /// The body has no bytes or only white space.
    Empty,
    /// The body is not a JSON object.
    NotAnObject,
    /// Something else was to come here.
    Expected(&'static str),
    /// The body ends inside a value.
    Unfinished,
    /// A bracket is closed by one of another kind.
    Unbalanced,
    /// More than [`MAX_DEPTH`] brackets stand in one another.
    TooDeep,
    /// More than [`MAX_MEMBERS`] members, or more than 4 GiB.
    TooLarge,
    /// The name of a member is not valid JSON text.
    BadName,
    /// A member stands twice; its name.
    Duplicate(String),
    /// Something follows the object.
    Trailing,
}

/// A set of edits to a payload, applied by [`Splice::segments`]. A name means the member that came with it, or one that
/// an edit before has added; whatever the edits, no name comes out twice.
#[derive(Debug)]
pub struct Splice<'a> {
    payload: &'a Payload,
    edits: Vec<Edit>,
}

#[derive(Debug)]
enum Edit {
    Replace(usize, Bytes),
    Remove(usize),
    Rename(usize, Bytes),
    Insert(Bytes, Bytes),
}

// === impl Payload ===

impl Payload {
    /// Indexes the members of an object.
    ///
    /// # Errors
    /// [`Malformed`] when the bytes are not one JSON object, or a member stands in it twice.
    pub fn parse(bytes: Bytes) -> Result<Self, Malformed> {
        let members = scan::object(&bytes)?;
        Ok(Self { bytes, members })
    }

    /// All the bytes, untouched.
    pub const fn bytes(&self) -> &Bytes {
        &self.bytes
    }

    /// The raw JSON of a member's value.
    pub fn get(&self, name: &str) -> Option<&[u8]> {
        self.find(name).map(|at| self.value(at))
    }

    /// A member that is JSON text, decoded. `None` when it is absent or something else.
    pub fn text(&self, name: &str) -> Option<Cow<'_, str>> {
        text(self.get(name)?)
    }

    /// A member that is `true` or `false`.
    pub fn flag(&self, name: &str) -> Option<bool> {
        match self.get(name)? {
            b"true" => Some(true),
            b"false" => Some(false),
            _ => None,
        }
    }

    /// A member that is a whole number from 0 up.
    pub fn number(&self, name: &str) -> Option<u64> {
        std::str::from_utf8(self.get(name)?).ok()?.parse().ok()
    }

    /// A member read as a type of its own; `None` when it is absent or does not fit.
    pub fn read<T: DeserializeOwned>(&self, name: &str) -> Option<T> {
        serde_json::from_slice(self.get(name)?).ok()
    }

    /// Whether a member is there and is not `null`.
    pub fn has(&self, name: &str) -> bool {
        self.get(name).is_some_and(|value| value != b"null")
    }

    /// The names of the members in the order of the body.
    pub fn names(&self) -> impl Iterator<Item = &str> {
        self.members.iter().map(|member| self.name(member))
    }

    /// Begins a set of edits.
    pub const fn splice(&self) -> Splice<'_> {
        Splice { payload: self, edits: Vec::new() }
    }

    fn find(&self, name: &str) -> Option<usize> {
        self.members.iter().position(|member| scan::name(&self.bytes, member) == name.as_bytes())
    }

    fn name<'a>(&'a self, member: &'a Member) -> &'a str {
        std::str::from_utf8(scan::name(&self.bytes, member)).unwrap_or_default()
    }

    fn value(&self, at: usize) -> &[u8] {
        let value = &self.members[at].value;
        &self.bytes[value.start as usize..value.end as usize]
    }
}

/// JSON text decoded; borrowed when it has no escapes. `None` when the value is not well-formed text.
pub fn text(value: &[u8]) -> Option<Cow<'_, str>> {
    let inner = value.strip_prefix(b"\"")?.strip_suffix(b"\"")?;
    if memchr::memchr2(b'\\', b'"', inner).is_none() {
        let plain = inner.iter().all(|b| *b >= 0x20);
        return if plain { std::str::from_utf8(inner).ok().map(Cow::Borrowed) } else { None };
    }
    serde_json::from_slice::<String>(value).ok().map(Cow::Owned)
}

// === impl Splice ===

impl Splice<'_> {
    /// Sets a member to a value that is JSON already; adds it at the end when it is not there.
    #[must_use]
    pub fn set(mut self, name: &str, value: Bytes) -> Self {
        let edit = match self.payload.find(name) {
            Some(at) => Edit::Replace(at, value),
            None => {
                let name = quoted(name);
                match self.giving(&name).map(|at| &mut self.edits[at]) {
                    Some(Edit::Insert(_, held)) => {
                        *held = value;
                        return self;
                    }
                    Some(Edit::Rename(at, _)) => Edit::Replace(*at, value),
                    _ => Edit::Insert(name, value),
                }
            }
        };
        self.edits.push(edit);
        self
    }

    /// Sets a member to JSON text.
    #[must_use]
    pub fn set_text(self, name: &str, value: &str) -> Self {
        self.set(name, quoted(value))
    }

    /// Takes a member out, if it is there.
    #[must_use]
    pub fn remove(mut self, name: &str) -> Self {
        match self.payload.find(name) {
            Some(at) => self.edits.push(Edit::Remove(at)),
            None => {
                let name = quoted(name);
                self.edits.retain(|edit| !matches!(edit, Edit::Insert(held, _) if *held == name));
            }
        }
        self
    }

    /// Gives a member another name, if it is there and no member has that name already.
    #[must_use]
    pub fn rename(mut self, from: &str, to: &str) -> Self {
        let name = quoted(to);
        if self.payload.find(to).is_some() || self.giving(&name).is_some() {
            return self;
        }
        if let Some(at) = self.payload.find(from) {
            self.edits.retain(|edit| !matches!(edit, Edit::Rename(other, _) if *other == at));
            self.edits.push(Edit::Rename(at, name));
        } else if let Some(at) = self.giving(&quoted(from))
            && let Edit::Insert(held, _) = &mut self.edits[at]
        {
            *held = name;
        }
        self
    }

    /// The edit that gives this name (in quotes) to a member: a body with the name twice must never come out.
    fn giving(&self, name: &Bytes) -> Option<usize> {
        self.edits
            .iter()
            .position(|edit| matches!(edit, Edit::Rename(_, given) | Edit::Insert(given, _) if given == name))
    }

    /// Whether nothing is to be changed.
    pub fn is_empty(&self) -> bool {
        self.edits.is_empty()
    }

    /// The edited body: slices of the original around the new pieces. Of two edits that touch the same place the
    /// later one counts.
    pub fn segments(self) -> Segments {
        if self.edits.is_empty() {
            return Segments::one(self.payload.bytes.clone());
        }
        let members = &self.payload.members;
        let mut removed = vec![false; members.len()];
        let mut cuts: Vec<(Range<usize>, Bytes)> = Vec::with_capacity(self.edits.len() + 1);
        let mut tail = Vec::new();
        for edit in self.edits {
            match edit {
                Edit::Replace(at, value) => {
                    removed[at] = false;
                    cuts.push((usizes(&members[at].value), value));
                }
                Edit::Rename(at, name) => {
                    cuts.push((members[at].start as usize..members[at].name.end as usize + 1, name));
                }
                Edit::Remove(at) => removed[at] = true,
                Edit::Insert(name, value) => tail.push((name, value)),
            }
        }
        let kept_first = removed.iter().position(|gone| !gone);
        for (at, _) in removed.iter().enumerate().filter(|(_, gone)| **gone) {
            let range = match kept_first {
                // Before the first that stays a member goes with the comma behind it, elsewhere with the one before.
                Some(first) if at < first => members[at].start as usize..members[at + 1].start as usize,
                _ if at == 0 => usizes(&(members[0].start..members[0].value.end)),
                _ => usizes(&(members[at - 1].value.end..members[at].value.end)),
            };
            cuts.retain(|(other, _)| other.start < range.start || other.start >= range.end);
            cuts.push((range, Bytes::new()));
        }
        if !tail.is_empty() {
            cuts.push(self.payload.insertion(&tail, kept_first.is_none()));
        }
        self.payload.cut(cuts)
    }
}

impl Payload {
    fn insertion(&self, tail: &[(Bytes, Bytes)], alone: bool) -> (Range<usize>, Bytes) {
        let mut text = Vec::new();
        for (i, (name, value)) in tail.iter().enumerate() {
            if i > 0 || !alone {
                text.push(b',');
            }
            text.extend_from_slice(name);
            text.push(b':');
            text.extend_from_slice(value);
        }
        let at = match self.members.last() {
            Some(last) => last.value.end as usize,
            None => memchr::memchr(b'{', &self.bytes).map_or(0, |brace| brace + 1),
        };
        (at..at, text.into())
    }

    fn cut(&self, mut cuts: Vec<(Range<usize>, Bytes)>) -> Segments {
        // Stable: of equal places the edits keep their order, and an insertion at the end of a cut comes after it.
        cuts.sort_by_key(|(range, _)| (range.start, range.end));
        let mut out = Segments::default();
        let mut done = 0;
        for (i, (range, piece)) in cuts.iter().enumerate() {
            let overridden = cuts.get(i + 1).is_some_and(|(next, _)| next == range && !range.is_empty());
            if overridden {
                continue;
            }
            out.push(self.bytes.slice(done..range.start));
            out.push(piece.clone());
            done = range.end;
        }
        out.push(self.bytes.slice(done..));
        out
    }
}

fn usizes(range: &Range<u32>) -> Range<usize> {
    range.start as usize..range.end as usize
}

fn quoted(text: &str) -> Bytes {
    // Text always serialises; the fallback keeps the signature free of an error that cannot happen.
    serde_json::to_vec(text).unwrap_or_else(|_| b"\"\"".to_vec()).into()
}

// === impl Malformed ===

impl fmt::Display for Malformed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.why {
            Reason::Empty => return f.write_str("the body is empty; a JSON object is expected"),
            Reason::NotAnObject => return f.write_str("the body must be a JSON object"),
            Reason::Expected(what) => write!(f, "expected {what}")?,
            Reason::Unfinished => f.write_str("the body ends inside a value")?,
            Reason::Unbalanced => f.write_str("a bracket is closed by one of another kind")?,
            Reason::TooDeep => write!(f, "more than {MAX_DEPTH} nested values")?,
            Reason::TooLarge => write!(f, "more than {MAX_MEMBERS} members")?,
            Reason::BadName => f.write_str("the name of a member is not valid JSON text")?,
            Reason::Duplicate(name) => write!(f, "the member \"{name}\" stands twice")?,
            Reason::Trailing => f.write_str("something follows the JSON object")?,
        }
        write!(f, " (at byte {})", self.at)
    }
}

impl std::error::Error for Malformed {}

#[cfg(test)]
mod tests;
