//! JSON written by hand: what passes as it is stays as it is.

/// An object under way. It must be ended.
#[derive(Debug)]
pub(crate) struct Object<'o> {
    out: &'o mut Vec<u8>,
    begun: bool,
}

/// An array under way. It must be ended.
#[derive(Debug)]
pub(crate) struct Array<'o> {
    out: &'o mut Vec<u8>,
    begun: bool,
}

/// Writes text with its quotes.
pub(crate) fn text(out: &mut Vec<u8>, text: &str) {
    // Text into memory: this cannot fail.
    let _ = serde_json::to_writer(&mut *out, text);
}

/// Writes a count.
pub(crate) fn number(out: &mut Vec<u8>, count: u64) {
    let _ = serde_json::to_writer(&mut *out, &count);
}

// === impl Object ===

impl<'o> Object<'o> {
    pub(crate) fn begin(out: &'o mut Vec<u8>) -> Self {
        out.push(b'{');
        Self { out, begun: false }
    }

    /// Writes a member's name; its value is to be written behind.
    pub(crate) fn member(&mut self, name: &str) -> &mut Vec<u8> {
        if self.begun {
            self.out.push(b',');
        }
        self.begun = true;
        text(self.out, name);
        self.out.push(b':');
        self.out
    }

    pub(crate) fn text(&mut self, name: &str, value: &str) {
        text(self.member(name), value);
    }

    pub(crate) fn number(&mut self, name: &str, value: u64) {
        number(self.member(name), value);
    }

    /// Writes what is JSON already.
    pub(crate) fn raw(&mut self, name: &str, value: &str) {
        self.member(name).extend_from_slice(value.as_bytes());
    }

    pub(crate) fn end(self) {
        self.out.push(b'}');
    }
}

// === impl Array ===

impl<'o> Array<'o> {
    pub(crate) fn begin(out: &'o mut Vec<u8>) -> Self {
        out.push(b'[');
        Self { out, begun: false }
    }

    /// Begins an item, which is to be written behind.
    pub(crate) fn item(&mut self) -> &mut Vec<u8> {
        if self.begun {
            self.out.push(b',');
        }
        self.begun = true;
        self.out
    }

    pub(crate) fn end(self) {
        self.out.push(b']');
    }
}
