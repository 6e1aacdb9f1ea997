//! Numbers of bytes: `64KiB`, `10MiB`, `1GiB`, or a plain number.

use std::fmt;

use serde_json::{Value as Json, json};

use crate::context::Context;
use crate::diagnostic::Complaint;
use crate::document::Node;
use crate::setting::{Setting, Shape};

/// A number of bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Size(u64);

/// Units in bytes, the largest first.
const UNITS: [(&str, u64); 4] = [("GiB", 1 << 30), ("MiB", 1 << 20), ("KiB", 1 << 10), ("B", 1)];

impl Size {
    /// So many bytes.
    pub const fn new(bytes: u64) -> Self {
        Self(bytes)
    }

    /// So many times 1024 bytes.
    pub const fn kib(count: u32) -> Self {
        Self((count as u64) << 10)
    }

    /// So many times 1024 KiB.
    pub const fn mib(count: u32) -> Self {
        Self((count as u64) << 20)
    }

    /// The number of bytes.
    pub const fn bytes(self) -> u64 {
        self.0
    }

    /// The number of bytes as a length in memory; what does not fit is the longest there is.
    pub fn as_len(self) -> usize {
        usize::try_from(self.0).unwrap_or(usize::MAX)
    }
}

/// In the largest unit that divides it: `32MiB`.
impl fmt::Display for Size {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (name, unit) =
            UNITS.into_iter().find(|(_, unit)| self.0.is_multiple_of(*unit)).unwrap_or(("B", 1));
        if self.0 == 0 { f.write_str("0B") } else { write!(f, "{}{name}", self.0 / unit) }
    }
}

fn parse(text: &str) -> Result<Size, Complaint> {
    let digits = text.bytes().take_while(u8::is_ascii_digit).count();
    let (number, unit) = text.split_at(digits);
    let unit = if unit.is_empty() { "B" } else { unit };
    let unit = UNITS.iter().find(|(name, _)| *name == unit);
    let (false, Some((_, bytes))) = (number.is_empty(), unit) else {
        let accepted = "write a whole number of bytes or one with a unit, such as 64KiB, 10MiB or 1GiB";
        return Err(Complaint::new("is not a size").hint(accepted));
    };
    let total = number.parse::<u64>().ok().and_then(|number| number.checked_mul(*bytes));
    total.map(Size).ok_or_else(|| Complaint::new("is too large a size"))
}

impl Setting for Size {
    fn shape() -> Shape {
        let schema =
            json!({ "type": ["string", "integer"], "pattern": "^[0-9]+(B|KiB|MiB|GiB)?$", "minimum": 0 });
        Shape::plain("size", schema)
    }

    fn read(node: &Node, cx: &mut Context<'_>) -> Option<Self> {
        cx.parse(node, "a size", parse)
    }

    fn spell(&self) -> Json {
        self.to_string().into()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_unit_is_read_and_spelled() {
        for (text, bytes) in [("1GiB", 1 << 30), ("10MiB", 10 << 20), ("64KiB", 64 << 10), ("7B", 7)] {
            assert_eq!(parse(text), Ok(Size(bytes)));
            assert_eq!(Size(bytes).to_string(), text);
        }
        assert_eq!(parse("65536"), Ok(Size::kib(64)));
    }

    #[test]
    fn anything_else_is_refused() {
        for text in ["", "MiB", "1.5MiB", "-1", "10MB", "10mib", "1 MiB", "99999999999GiB", "1e6"] {
            assert!(parse(text).is_err(), "{text}");
        }
    }
}
