//! Opaque states of providers: thinking signatures, encrypted reasoning. They are carried byte for byte or not at all.
//!
//! In its own dialect a state passes untouched and unread. When an answer crosses to another dialect, the state travels in
//! that dialect's own place for such things, wrapped: the wrapper says whose it is, so that it finds its way back and
//! never to anyone else.

use std::sync::Arc;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

/// A provider's opaque state.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Seal {
    /// Whose it is; `None` is whoever the client got it from in this very dialect.
    pub origin: Option<Origin>,
    /// The dialect whose state it is.
    pub dialect: Arc<str>,
    /// What kind of state, in the word of its dialect: `signature`, `redacted`, `encrypted`, …; as it likes.
    pub kind: Arc<str>,
    /// The state itself.
    pub data: String,
}

/// Who can read a state.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Origin(pub Arc<str>);

/// What a wrapped state decodes to begins with this. Its base64 is [`MARK`], which no provider's own states begin with.
const MAGIC: &[u8] = b"lg1\0";
/// The dialect of what is no state.
const NOBODY: &str = "none";
/// How a wrapped state begins.
const MARK: &str = "bGcxA";

impl Seal {
    /// A state as the client sent it in `dialect`: unwrapped, if it came from another.
    pub fn read(dialect: &str, kind: &str, text: &str) -> Self {
        unwrap(text).unwrap_or_else(|| Self {
            origin: None,
            dialect: dialect.into(),
            kind: kind.into(),
            data: text.to_owned(),
        })
    }

    /// A state that a provider sent.
    pub fn of(origin: &Origin, dialect: &str, kind: &str, data: impl Into<String>) -> Self {
        Self { origin: Some(origin.clone()), dialect: dialect.into(), kind: kind.into(), data: data.into() }
    }

    /// What stands in the place of a state where there is none and the client's dialect wants one. As it is wrapped, the
    /// turn that it comes back in is translated, by the rules of whoever gets it then, and does not pass as that one's own.
    pub fn nobodys() -> Self {
        Self { origin: None, dialect: NOBODY.into(), kind: NOBODY.into(), data: String::new() }
    }

    /// Whether it stands for none.
    pub fn is_nobodys(&self) -> bool {
        *self.dialect == *NOBODY
    }

    /// Whether `provider` can read it in `dialect`.
    pub fn opens_at(&self, provider: &str, dialect: &str) -> bool {
        *self.dialect == *dialect && self.origin.as_ref().is_none_or(|Origin(name)| **name == *provider)
    }

    /// How it travels in another dialect: standard base64, which every place for such states takes.
    pub fn wrapped(&self) -> String {
        let origin = self.origin.as_ref().map_or("", |Origin(name)| name);
        let mut bytes = Vec::with_capacity(MAGIC.len() + origin.len() + self.data.len() + 32);
        bytes.extend_from_slice(MAGIC);
        for field in [origin, &self.dialect, &self.kind] {
            bytes.extend_from_slice(field.as_bytes());
            bytes.push(0);
        }
        bytes.extend_from_slice(self.data.as_bytes());
        STANDARD.encode(bytes)
    }
}

/// Whether a body may hold a wrapped state. Then it cannot pass as it is: the state must be unwrapped or left out.
pub fn may_hold(body: &[u8]) -> bool {
    memchr::memmem::find(body, MARK.as_bytes()).is_some()
}

fn unwrap(text: &str) -> Option<Seal> {
    if !text.starts_with(MARK) {
        return None;
    }
    let bytes = STANDARD.decode(text).ok()?;
    let inner = std::str::from_utf8(bytes.strip_prefix(MAGIC)?).ok()?;
    let mut fields = inner.splitn(4, '\0');
    let (origin, dialect, kind, data) = (fields.next()?, fields.next()?, fields.next()?, fields.next()?);
    let origin = Some(origin).filter(|name| !name.is_empty()).map(|name| Origin(name.into()));
    Some(Seal { origin, dialect: dialect.into(), kind: kind.into(), data: data.to_owned() })
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn opens_only_where_it_was_made() {
        let seal = Seal::of(&Origin("anthropic".into()), "anthropic.messages", "signature", "EqQB==");
        assert!(seal.opens_at("anthropic", "anthropic.messages"));
        assert!(!seal.opens_at("vertex", "anthropic.messages"));
        assert!(!seal.opens_at("anthropic", "openai.responses"));
        assert!(Seal::read("openai.responses", "encrypted", "gAAA").opens_at("any", "openai.responses"));
    }

    #[test]
    fn what_is_nobodys_opens_nowhere_and_is_known_when_it_comes_back() {
        let back = Seal::read("anthropic.messages", "signature", &Seal::nobodys().wrapped());
        assert!(back.is_nobodys() && !back.opens_at("anthropic", "anthropic.messages"));
        assert!(!Seal::read("anthropic.messages", "signature", "EqQB").is_nobodys());
    }

    #[test]
    fn what_only_looks_wrapped_is_a_state_like_any_other() {
        for text in ["bGcxA", "bGcxAA==", "bGcxAGE=", "bGcxA!!!"] {
            assert_eq!(Seal::read("d", "k", text).data, text);
        }
    }

    proptest! {
        #[test]
        fn comes_back_byte_for_byte(data: String, origin in "[a-z0-9-]{1,20}") {
            let seal = Seal::of(&Origin(origin.as_str().into()), "gemini.generate", "thought", data);
            let wrapped = seal.wrapped();
            prop_assert!(may_hold(wrapped.as_bytes()));
            prop_assert_eq!(Seal::read("openai.chat", "other", &wrapped), seal);
        }
    }
}
