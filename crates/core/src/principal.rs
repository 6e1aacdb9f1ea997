//! Who is asking.

use std::sync::Arc;

use crate::key::{Key, KeyState};

/// Whoever stands behind a request, known from its key alone.
#[derive(Clone, Debug)]
pub struct Principal {
    /// The key that was shown.
    pub key: Arc<Key>,
}

impl Principal {
    /// Whether the key opens the door at `wall_ms`.
    pub fn state(&self, wall_ms: u64) -> KeyState {
        self.key.state(wall_ms)
    }
}
