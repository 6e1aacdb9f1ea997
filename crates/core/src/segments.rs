//! A body as a few slices, so that a splice copies nothing.

use bytes::{Bytes, BytesMut};

/// A body in order of its pieces. Cloning it clones references, not bytes.
#[derive(Clone, Debug, Default)]
pub struct Segments(Vec<Bytes>);

impl Segments {
    /// A body of one piece.
    pub fn one(bytes: Bytes) -> Self {
        Self(vec![bytes])
    }

    /// Puts a piece at the end; an empty one is left out.
    pub fn push(&mut self, piece: Bytes) {
        if !piece.is_empty() {
            self.0.push(piece);
        }
    }

    /// The length in bytes.
    pub fn len(&self) -> usize {
        self.0.iter().map(Bytes::len).sum()
    }

    /// Whether there are no bytes.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The pieces in order.
    pub fn pieces(&self) -> &[Bytes] {
        &self.0
    }

    /// The pieces in order.
    pub fn into_pieces(self) -> Vec<Bytes> {
        self.0
    }

    /// The bytes in one piece; copies only when there are several.
    pub fn join(self) -> Bytes {
        let [one] = self.0.as_slice() else {
            let mut whole = BytesMut::with_capacity(self.len());
            for piece in &self.0 {
                whole.extend_from_slice(piece);
            }
            return whole.freeze();
        };
        one.clone()
    }
}
