//! Text that must not be seen.

use std::fmt;

use zeroize::Zeroizing;

/// A provider key, an admin token, a private header value. It cannot be printed (`Debug` shows `***`), it is not
/// `Serialize`, and its memory is wiped when the last owner drops it. Reading it takes the word [`Secret::expose`].
#[derive(Clone, PartialEq, Eq)]
pub struct Secret(Zeroizing<String>);

impl Secret {
    /// Takes the text over.
    pub fn new(text: String) -> Self {
        Self(Zeroizing::new(text))
    }

    /// The text itself. Call it where the secret is used, never where it could be stored or shown.
    pub fn expose(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("***")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn never_shows_itself() {
        let secret = Secret::new("sk-live-123".into());
        assert_eq!(format!("{secret:?}"), "***");
        assert_eq!(secret.expose(), "sk-live-123");
    }
}
