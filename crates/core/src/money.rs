//! Money is an integer.

use std::fmt;
use std::iter::Sum;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

/// An amount in nano-dollars (10⁻⁹ USD): exact, checked, from −9.2 to +9.2 billion dollars.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Money(i64);

/// A price in nano-dollars per million tokens: the finest figure that providers publish fits without rounding.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Price(pub u64);

/// A sum of token counts times prices, kept exact until [`Bill::total`] rounds it once.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Bill {
    /// In 10⁻¹⁵ dollars (nano-dollars per million).
    exact: u128,
}

/// The text is no amount of dollars; completes a sentence that begins with what it stands for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct NotMoney(&'static str);

const NANOS: i64 = 1_000_000_000;
const TOKENS_PER_PRICE: u128 = 1_000_000;

// === impl Money ===

impl Money {
    /// No money.
    pub const ZERO: Self = Self(0);

    /// The amount of so many nano-dollars.
    pub const fn from_nanos(nanos: i64) -> Self {
        Self(nanos)
    }

    /// The amount in nano-dollars.
    pub const fn nanos(self) -> i64 {
        self.0
    }

    /// The sum, or `None` when it cannot be represented.
    #[must_use]
    pub const fn checked_add(self, other: Self) -> Option<Self> {
        match self.0.checked_add(other.0) {
            Some(nanos) => Some(Self(nanos)),
            None => None,
        }
    }

    /// The difference, or `None` when it cannot be represented.
    #[must_use]
    pub const fn checked_sub(self, other: Self) -> Option<Self> {
        match self.0.checked_sub(other.0) {
            Some(nanos) => Some(Self(nanos)),
            None => None,
        }
    }
}

/// Dollars with as many of nine decimals as are needed, at least two: `0.0004125`, `12.00`.
impl fmt::Display for Money {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let sign = if self.0 < 0 { "-" } else { "" };
        let nanos = self.0.unsigned_abs();
        let (whole, fraction) = (nanos / NANOS as u64, nanos % NANOS as u64);
        let digits = format!("{fraction:09}");
        let kept = digits.trim_end_matches('0').len().max(2);
        write!(f, "{sign}{whole}.{}", &digits[..kept])
    }
}

/// Reads dollars, digit by digit: `12`, `0.0125`, `-3.50`, with at most nine decimals.
impl FromStr for Money {
    type Err = NotMoney;

    fn from_str(text: &str) -> Result<Self, NotMoney> {
        const PLACES: usize = 9;
        let (below_zero, rest) = text.strip_prefix('-').map_or((false, text), |rest| (true, rest));
        let (whole, fraction) = rest.split_once('.').unwrap_or((rest, "0"));
        let digits = |text: &str| !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
        if !digits(whole) || !digits(fraction) {
            return Err(NotMoney("must be dollars such as 50 or 0.0125"));
        }
        let fraction = fraction.trim_end_matches('0');
        if fraction.len() > PLACES {
            return Err(NotMoney("must not be finer than nine decimals of a dollar"));
        }
        let sign = if below_zero { -1 } else { 1 };
        let zeros = std::iter::repeat_n(b'0', PLACES - fraction.len());
        let nanos =
            whole.bytes().chain(fraction.bytes()).chain(zeros).try_fold(0_i64, |sum, digit| {
                sum.checked_mul(10)?.checked_add(sign * i64::from(digit - b'0'))
            });
        nanos.map(Self).ok_or(NotMoney("must be less than 9.2 billion dollars"))
    }
}

impl fmt::Display for NotMoney {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.0)
    }
}

impl std::error::Error for NotMoney {}

/// The sum of amounts; `None` when it cannot be represented.
impl Sum<Money> for Option<Money> {
    fn sum<I: Iterator<Item = Money>>(mut iter: I) -> Self {
        iter.try_fold(Money::ZERO, Money::checked_add)
    }
}

// === impl Bill ===

impl Bill {
    /// Adds `tokens` at `price`. Cannot overflow: two 64-bit factors fit, and the sum saturates far above all money.
    pub fn add(&mut self, tokens: u64, price: Price) {
        self.exact = self.exact.saturating_add(u128::from(tokens) * u128::from(price.0));
    }

    /// The total, rounded once, half up, to nano-dollars; `None` when it is more than [`Money`] can hold.
    pub fn total(self) -> Option<Money> {
        let exact = self.exact.checked_add(TOKENS_PER_PRICE / 2)?;
        // Up to 18,446 dollars the division is one of words, which costs a tenth.
        let nanos = match u64::try_from(exact) {
            Ok(exact) => u128::from(exact / TOKENS_PER_PRICE as u64),
            Err(_) => exact / TOKENS_PER_PRICE,
        };
        i64::try_from(nanos).ok().map(Money)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn reads_as_dollars() {
        let show = |nanos| Money::from_nanos(nanos).to_string();
        assert_eq!(show(0), "0.00");
        assert_eq!(show(412_500), "0.0004125");
        assert_eq!(show(12_000_000_000), "12.00");
        assert_eq!(show(-1), "-0.000000001");
        assert_eq!(show(i64::MIN), "-9223372036.854775808");
    }

    #[test]
    fn dollars_are_read_exactly() {
        for (text, nanos) in
            [("50", 50_000_000_000), ("0.0125", 12_500_000), ("-3.50", -3_500_000_000), ("0.10", 100_000_000)]
        {
            assert_eq!(text.parse(), Ok(Money::from_nanos(nanos)), "{text}");
        }
        for text in
            ["", "-", ".5", "5.", "1e3", "1,000", " 5", "$5", "0.0000000001", "9223372037", "--1", "+1"]
        {
            assert!(text.parse::<Money>().is_err(), "{text}");
        }
    }

    #[test]
    fn rounds_a_bill_once() {
        // 37.5 nano-dollars a token: three single tokens cost 112.5, rounded once to 113; rounded each they were 114.
        let mut bill = Bill::default();
        for _ in 0..3 {
            bill.add(1, Price(37_500_000));
        }
        assert_eq!(bill.total(), Some(Money::from_nanos(113)));
    }

    #[test]
    fn overflow_is_seen() {
        assert_eq!(Money::from_nanos(i64::MAX).checked_add(Money::from_nanos(1)), None);
        let mut bill = Bill::default();
        bill.add(u64::MAX, Price(u64::MAX));
        assert_eq!(bill.total(), None);
    }

    proptest! {
        #[test]
        fn a_bill_does_not_depend_on_order(mut rows: Vec<(u32, u32)>) {
            let total = |rows: &[(u32, u32)]| {
                let mut bill = Bill::default();
                for (tokens, price) in rows {
                    bill.add(u64::from(*tokens), Price(u64::from(*price)));
                }
                bill.total()
            };
            let before = total(&rows);
            rows.reverse();
            prop_assert_eq!(before, total(&rows));
        }

        #[test]
        fn what_is_shown_is_read_as_the_same(nanos: i64) {
            let money = Money::from_nanos(nanos);
            prop_assert_eq!(money.to_string().parse(), Ok(money));
        }

        #[test]
        fn adding_and_taking_away_is_nothing(a: i64, b: i64) {
            if let Some(sum) = Money::from_nanos(a).checked_add(Money::from_nanos(b)) {
                prop_assert_eq!(sum.checked_sub(Money::from_nanos(b)), Some(Money::from_nanos(a)));
            }
        }
    }
}
