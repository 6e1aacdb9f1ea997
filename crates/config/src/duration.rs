//! Spans of time: `250ms`, `5s`, `2m`, `1h`, `30d`.

use std::time::Duration;

use serde_json::{Value as Json, json};

use crate::context::Context;
use crate::diagnostic::Complaint;
use crate::document::Node;
use crate::setting::{Setting, Shape};

const SECOND: u64 = 1000;

/// Units in milliseconds, the largest first.
const UNITS: [(&str, u64); 5] =
    [("d", 86_400 * SECOND), ("h", 3600 * SECOND), ("m", 60 * SECOND), ("s", SECOND), ("ms", 1)];

/// Reads a whole number and a unit; zero needs none.
fn parse(text: &str) -> Result<Duration, Complaint> {
    let accepted = "write a whole number and a unit, such as 250ms, 5s, 2m, 1h or 30d";
    let digits = text.bytes().take_while(u8::is_ascii_digit).count();
    let (number, unit) = text.split_at(digits);
    if !number.is_empty() && unit.is_empty() && number.bytes().all(|digit| digit == b'0') {
        return Ok(Duration::ZERO);
    }
    let unit = UNITS.iter().find(|(name, _)| *name == unit);
    let (false, Some((_, millis))) = (number.is_empty(), unit) else {
        return Err(Complaint::new("is not a duration").hint(accepted));
    };
    let total = number.parse::<u64>().ok().and_then(|number| number.checked_mul(*millis));
    total.map(Duration::from_millis).ok_or_else(|| Complaint::new("is too long a duration"))
}

/// The span in the largest unit that divides it.
fn spell(span: Duration) -> String {
    let millis = u64::try_from(span.as_millis()).unwrap_or(u64::MAX);
    let (name, unit) = UNITS.into_iter().find(|(_, unit)| millis.is_multiple_of(*unit)).unwrap_or(("ms", 1));
    if millis == 0 { "0s".to_owned() } else { format!("{}{name}", millis / unit) }
}

impl Setting for Duration {
    fn shape() -> Shape {
        // The numeric bounds allow a bare 0 and nothing else; the pattern is for text.
        let text_or_zero = json!({
            "type": ["string", "integer"], "pattern": "^(0|[0-9]+(ms|s|m|h|d))$", "minimum": 0, "maximum": 0,
        });
        Shape::plain("duration", text_or_zero)
    }

    fn read(node: &Node, cx: &mut Context<'_>) -> Option<Self> {
        cx.parse(node, "a duration", parse)
    }

    fn spell(&self) -> Json {
        spell(*self).into()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_unit_is_read_and_spelled() {
        for (text, millis) in
            [("250ms", 250), ("5s", 5000), ("2m", 120_000), ("1h", 3_600_000), ("30d", 2_592_000_000)]
        {
            let span = Duration::from_millis(millis);
            assert_eq!(parse(text), Ok(span));
            assert_eq!(spell(span), text);
        }
        assert_eq!(parse("0"), Ok(Duration::ZERO));
        assert_eq!(parse("0s"), Ok(Duration::ZERO));
        assert_eq!(spell(Duration::ZERO), "0s");
        assert_eq!(spell(Duration::from_secs(90)), "90s");
    }

    #[test]
    fn anything_else_is_refused() {
        for text in [
            "",
            "5",
            "s",
            "1.5s",
            "-1s",
            "5 s",
            "5S",
            "5sec",
            "1h30m",
            "99999999999999999999s",
            "999999999999999d",
        ] {
            assert!(parse(text).is_err(), "{text}");
        }
    }
}
