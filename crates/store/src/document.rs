//! What a new version of a document must be. Every backend asks here, inside the transaction that writes it.

use lockgate_core::port::{Document, Draft};
use lockgate_core::{Error, Kind};

/// The most bytes of a kind and of a name.
const MOST_NAME: usize = 256;

/// The newest version that there is of a document.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Newest {
    /// Its number; 0 where there is none.
    pub(crate) version: u64,
    /// Whether there is something that can be read: it is there and was not removed.
    pub(crate) readable: bool,
}

// === impl Newest ===

impl Newest {
    /// The number of the version that a draft makes.
    ///
    /// # Errors
    /// [`Kind::InvalidRequest`] when the draft was made for another version, removes what is not there, or has too long a name.
    pub(crate) fn next(self, draft: &Draft) -> Result<u64, Error> {
        for (part, text) in [("kind", &draft.kind), ("name", &draft.name)] {
            if text.len() > MOST_NAME {
                let text = format!(
                    "a {part} of a document has {} bytes, and may have {MOST_NAME}: shorten it",
                    text.len()
                );
                return Err(refusal(text, part));
            }
        }
        let (kind, name) = (&draft.kind, &draft.name);
        match draft.after {
            Some(0) if self.readable => {
                let text = format!(
                    "there is a {kind} \"{name}\" already, at version {}: change that one, or take another name",
                    self.version
                );
                return Err(refusal(text, "after"));
            }
            Some(after) if after > 0 && after != self.version => {
                let text = match self.version {
                    0 => format!(
                        "there is no {kind} \"{name}\", and this change was made for its version {after}"
                    ),
                    version => format!(
                        "{kind} \"{name}\" is at version {version}, and this change was made for version {after}: \
                         read it again, and make the change to what it says now"
                    ),
                };
                return Err(refusal(text, "after"));
            }
            _ => {}
        }
        if draft.body.is_none() && !self.readable {
            return Err(refusal(format!("there is no {kind} \"{name}\" that could be removed"), "name"));
        }
        Ok(self.version + 1)
    }
}

/// A draft as the version of this number.
pub(crate) fn made(draft: &Draft, version: u64) -> Document {
    Document {
        kind: draft.kind.clone(),
        name: draft.name.clone(),
        version,
        body: draft.body.clone(),
        at_ms: draft.at_ms,
        by: draft.by.clone(),
        reason: draft.reason.clone(),
    }
}

fn refusal(text: String, parameter: &'static str) -> Error {
    Error::client(Kind::InvalidRequest, text).param(parameter)
}
