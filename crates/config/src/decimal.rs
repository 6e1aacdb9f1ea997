//! Exact decimals: prices in dollars, shares in percent. Nothing here ever is a floating-point number.

use std::fmt;
use std::str::FromStr;

use serde_json::{Value as Json, json};

use crate::context::Context;
use crate::diagnostic::Complaint;
use crate::document::Node;
use crate::scalar::refuse_quotes;
use crate::setting::{Setting, Shape};

/// A share, in millionths: 12.5% is 125,000. Written as a number with `%` behind it, with at most four decimals.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Percent(pub u32);

/// An amount in dollars that is not negative, in nano-dollars (10⁻⁹): 2.50 is 2,500,000,000.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Dollars(pub u64);

/// A number that is not negative, in millionths: 0.5 is 500,000. Written with at most six decimals.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Default)]
pub struct Factor(pub u64);

/// Why a text is no decimal of the wanted kind; continues a sentence that begins with the text.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NotDecimal(pub(crate) String);

/// Decimals of a price per million: a nano-dollar.
const NANOS: usize = 9;
/// Decimals of a percentage, so that it is a whole number of millionths.
const MILLIONTHS: usize = 4;
/// Decimals of a factor.
const PARTS: usize = 6;

/// A number with at most so many decimals, in units of the last of them. Digits are read one by one: the text `0.1` is
/// exactly a tenth.
pub(crate) fn decimal(text: &str, places: usize) -> Result<u64, NotDecimal> {
    let fault = |text: &str| Err(NotDecimal(text.to_owned()));
    if text.strip_prefix('-').is_some_and(|rest| rest.starts_with(|c: char| c.is_ascii_digit())) {
        return fault("is negative");
    }
    let (whole, fraction) = text.split_once('.').unwrap_or((text, "0"));
    let digits = |text: &str| !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    if !digits(whole) || !digits(fraction) {
        return fault("is not a decimal number");
    }
    let fraction = fraction.trim_end_matches('0');
    if fraction.len() > places {
        return Err(NotDecimal(format!("is finer than {places} decimals")));
    }
    let zeros = std::iter::repeat_n(b'0', places - fraction.len());
    let number = whole
        .bytes()
        .chain(fraction.bytes())
        .chain(zeros)
        .try_fold(0_u64, |number, digit| number.checked_mul(10)?.checked_add(u64::from(digit - b'0')));
    number.ok_or_else(|| NotDecimal("is too large".to_owned()))
}

// === impl NotDecimal ===

impl fmt::Display for NotDecimal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl std::error::Error for NotDecimal {}

// === impl Dollars ===

impl FromStr for Dollars {
    type Err = NotDecimal;

    fn from_str(text: &str) -> Result<Self, NotDecimal> {
        decimal(text, NANOS).map(Self)
    }
}

/// The text of a decimal without zeros at its end.
fn plain(units: u64, places: usize) -> String {
    let one = 10_u64.pow(u32::try_from(places).unwrap_or(0));
    match format!("{:0places$}", units % one).trim_end_matches('0') {
        "" => (units / one).to_string(),
        decimals => format!("{}.{decimals}", units / one),
    }
}

/// Reads a decimal that is written without quotes.
fn number<T>(
    node: &Node,
    expected: &str,
    hint: &str,
    cx: &mut Context<'_>,
    read: impl FnOnce(&str) -> Result<T, NotDecimal>,
) -> Option<T> {
    refuse_quotes(node, expected, cx)?;
    cx.parse(node, expected, |text| read(text).map_err(|fault| Complaint::new(fault.0).hint(hint)))
}

fn schema_of_number() -> Json {
    json!({ "type": "number", "minimum": 0 })
}

impl fmt::Display for Dollars {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&plain(self.0, NANOS))
    }
}

impl Setting for Dollars {
    fn shape() -> Shape {
        Shape::plain("dollars", schema_of_number())
    }

    fn read(node: &Node, cx: &mut Context<'_>) -> Option<Self> {
        number(node, "dollars", "write it like 2.50, with at most 9 decimals", cx, str::parse)
    }

    fn spell(&self) -> Json {
        spell(&self.to_string())
    }
}

// === impl Factor ===

impl Factor {
    /// One.
    pub const ONE: Self = Self(1_000_000);

    /// The number as a float, for what is not money.
    #[expect(clippy::cast_precision_loss, reason = "a weight, not money")]
    pub fn get(self) -> f64 {
        self.0 as f64 / 1e6
    }
}

impl FromStr for Factor {
    type Err = NotDecimal;

    fn from_str(text: &str) -> Result<Self, NotDecimal> {
        decimal(text, PARTS).map(Self)
    }
}

impl fmt::Display for Factor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&plain(self.0, PARTS))
    }
}

impl Setting for Factor {
    fn shape() -> Shape {
        Shape::plain("number", schema_of_number())
    }

    fn read(node: &Node, cx: &mut Context<'_>) -> Option<Self> {
        number(node, "a number", "write it like 1 or 0.25, with at most 6 decimals", cx, str::parse)
    }

    fn spell(&self) -> Json {
        spell(&self.to_string())
    }
}

/// A decimal as a JSON number where it is one exactly, else as text.
fn spell(text: &str) -> Json {
    serde_json::from_str(text).unwrap_or_else(|_| text.into())
}

// === impl Percent ===

impl FromStr for Percent {
    type Err = NotDecimal;

    fn from_str(text: &str) -> Result<Self, NotDecimal> {
        let number = text.strip_suffix('%').ok_or_else(|| NotDecimal("is not a percentage".to_owned()))?;
        let millionths = decimal(number.trim_end(), MILLIONTHS)?;
        u32::try_from(millionths).map(Self).map_err(|_| NotDecimal("is too large".to_owned()))
    }
}

impl fmt::Display for Percent {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (whole, rest) = (self.0 / 10_000, self.0 % 10_000);
        match format!("{rest:04}").trim_end_matches('0') {
            "" => write!(f, "{whole}%"),
            decimals => write!(f, "{whole}.{decimals}%"),
        }
    }
}

impl Setting for Percent {
    fn shape() -> Shape {
        Shape::plain("percentage", json!({ "type": "string", "pattern": r"^[0-9]+(\.[0-9]+)? ?%$" }))
    }

    fn read(node: &Node, cx: &mut Context<'_>) -> Option<Self> {
        cx.parse(node, "a percentage", |text| {
            text.parse().map_err(|fault: NotDecimal| {
                Complaint::new(fault.0).hint("write it like 10% or 12.5%, with at most four decimals")
            })
        })
    }

    fn spell(&self) -> Json {
        self.to_string().into()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn dollars_are_exact() {
        for (text, nanos) in [
            ("2.50", 2_500_000_000),
            ("0", 0),
            ("0.1", 100_000_000),
            ("00.30", 300_000_000),
            ("0.000000001", 1),
            ("1.0000000000000", 1_000_000_000),
            ("18446744073.709551615", u64::MAX),
        ] {
            assert_eq!(text.parse(), Ok(Dollars(nanos)), "{text}");
        }
    }

    #[test]
    fn anything_else_is_refused_with_its_reason() {
        for (text, reason) in [
            ("", "not a decimal"),
            (".5", "not a decimal"),
            ("5.", "not a decimal"),
            ("1e-6", "not a decimal"),
            ("1,5", "not a decimal"),
            ("1_000", "not a decimal"),
            ("$2", "not a decimal"),
            ("+1", "not a decimal"),
            ("1.2.3", "not a decimal"),
            ("-", "not a decimal"),
            ("٣", "not a decimal"),
            ("-1", "negative"),
            ("0.0000000001", "finer than 9 decimals"),
            ("18446744073.709551616", "too large"),
            ("99999999999999999999999999", "too large"),
        ] {
            let fault = text.parse::<Dollars>().expect_err(text).to_string();
            assert!(fault.contains(reason), "{text}: {fault}");
        }
    }

    #[test]
    fn percentages_are_exact_and_spelled_as_read() {
        for (text, millionths) in
            [("10%", 100_000), ("12.5 %", 125_000), ("0.0001%", 1), ("100%", 1_000_000), ("0%", 0)]
        {
            let percent: Percent = text.parse().expect(text);
            assert_eq!(percent, Percent(millionths));
            assert_eq!(percent.to_string(), text.replace(' ', ""));
        }
        for text in ["10", "%", "10%%", "-5%", "0.00001%", "999999999%", "ten%"] {
            assert!(text.parse::<Percent>().is_err(), "{text}");
        }
    }

    proptest::proptest! {
        #[test]
        fn what_is_written_in_nano_dollars_is_read_back(nanos: u64) {
            let text = format!("{}.{:09}", nanos / 1_000_000_000, nanos % 1_000_000_000);
            proptest::prop_assert_eq!(text.parse(), Ok(Dollars(nanos)));
        }

        #[test]
        fn any_text_is_read_without_panic(text: String) {
            let _ = (text.parse::<Dollars>(), text.parse::<Percent>());
        }
    }
}
