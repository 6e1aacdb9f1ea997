//! JSON written member by member, without a tree.

use std::fmt::Display;
use std::io::Write as _;

/// An object under way; [`Object::close`] ends it.
pub(crate) struct Object<'a> {
    out: &'a mut Vec<u8>,
    begun: bool,
}

// === impl Object ===

impl<'a> Object<'a> {
    /// Begins an object behind `out`.
    pub(crate) fn open(out: &'a mut Vec<u8>) -> Self {
        out.push(b'{');
        Self { out, begun: false }
    }

    /// Begins a member; its value is to be written behind what is returned.
    pub(crate) fn member(&mut self, name: &str) -> &mut Vec<u8> {
        if self.begun {
            self.out.push(b',');
        }
        self.begun = true;
        quote(self.out, name);
        self.out.push(b':');
        self.out
    }

    /// A member that is text.
    pub(crate) fn text(&mut self, name: &str, value: &str) {
        quote(self.member(name), value);
    }

    /// A member that is JSON already.
    pub(crate) fn raw(&mut self, name: &str, value: &str) {
        self.member(name).extend_from_slice(value.as_bytes());
    }

    /// A member that is a number or a flag.
    pub(crate) fn show(&mut self, name: &str, value: impl Display) {
        show(self.member(name), value);
    }

    /// A member that is a list.
    pub(crate) fn list<T>(
        &mut self,
        name: &str,
        items: impl IntoIterator<Item = T>,
        each: impl FnMut(&mut Vec<u8>, T),
    ) {
        list(self.member(name), items, each);
    }

    /// Ends the object.
    pub(crate) fn close(self) {
        self.out.push(b'}');
    }
}

/// Text in quotes, escaped.
pub(crate) fn quote(out: &mut Vec<u8>, text: &str) {
    // Writing to memory does not fail.
    let _ = serde_json::to_writer(out, text);
}

/// A number or a flag.
pub(crate) fn show(out: &mut Vec<u8>, value: impl Display) {
    let _ = write!(out, "{value}");
}

/// A list.
pub(crate) fn list<T>(
    out: &mut Vec<u8>,
    items: impl IntoIterator<Item = T>,
    mut each: impl FnMut(&mut Vec<u8>, T),
) {
    out.push(b'[');
    for (at, item) in items.into_iter().enumerate() {
        if at > 0 {
            out.push(b',');
        }
        each(out, item);
    }
    out.push(b']');
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn members_and_lists_have_their_commas() {
        let mut out = Vec::new();
        let mut object = Object::open(&mut out);
        object.text("a\"", "x\n");
        object.show("b", 7);
        object.list("c", ["1", "2"], |out, item| out.extend_from_slice(item.as_bytes()));
        object.close();
        assert_eq!(out, br#"{"a\"":"x\n","b":7,"c":[1,2]}"#);
    }
}
