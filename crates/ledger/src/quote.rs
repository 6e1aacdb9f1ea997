//! What a request can cost, and how much of an answer a sum of money buys.

use lockgate_core::Money;
use lockgate_core::money::Price;

/// The price of a request before it is sent: what is certain, and what each token of the answer adds at most.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Quote {
    /// The input by its upper estimate and every fee.
    pub fixed: Money,
    /// The dearest price of any output token.
    pub output: Price,
    /// The most output tokens that the request or the model allows.
    pub ceiling: u64,
    /// The output tokens that are likely.
    pub likely: u64,
}

const MILLION: i128 = 1_000_000;

// === impl Quote ===

impl Quote {
    /// What it costs with so many tokens of output, rounded up; saturating.
    pub fn at(&self, tokens: u64) -> Money {
        let exact = i128::from(tokens) * i128::from(self.output.0);
        let nanos = exact.saturating_add(MILLION - 1) / MILLION + i128::from(self.fixed.nanos());
        Money::from_nanos(i64::try_from(nanos).unwrap_or(i64::MAX))
    }

    /// The most that it can cost.
    pub fn worst(&self) -> Money {
        self.at(self.ceiling)
    }

    /// What it is likely to cost.
    pub fn expected(&self) -> Money {
        self.at(self.likely.min(self.ceiling))
    }

    /// The output tokens that `money` pays for beside what is certain, at most the ceiling; `None` when it does not even pay
    /// for that.
    pub fn affordable(&self, money: Money) -> Option<u64> {
        let rest = i128::from(money.nanos()) - i128::from(self.fixed.nanos());
        if rest < 0 {
            return None;
        }
        if self.output.0 == 0 {
            return Some(self.ceiling);
        }
        let tokens = rest * MILLION / i128::from(self.output.0);
        Some(u64::try_from(tokens).unwrap_or(u64::MAX).min(self.ceiling))
    }

    /// The same with an output limit that `money` pays for; `None` when that is less than `useful` tokens (or than what the
    /// request itself wants at most, where that is less).
    pub fn clamped(&self, money: Money, useful: u64) -> Option<Self> {
        let ceiling = self.affordable(money)?;
        (ceiling >= useful.min(self.ceiling)).then_some(Self { ceiling, ..*self })
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// 2,000 tokens of input at $2.50, output at $10 a million, up to 100,000 tokens: a dollar.
    const DOLLAR: Quote = Quote {
        fixed: Money::from_nanos(5_000_000),
        output: Price(10_000_000_000),
        ceiling: 100_000,
        likely: 400,
    };

    #[test]
    fn a_cent_buys_what_it_buys() {
        assert_eq!(DOLLAR.worst(), Money::from_nanos(1_005_000_000));
        let clamped = DOLLAR.clamped(Money::from_nanos(10_000_000), 32).unwrap();
        assert_eq!(
            clamped.ceiling, 500,
            "half a cent for the input, half a cent at a thousandth of a cent a token"
        );
        assert_eq!(clamped.worst(), Money::from_nanos(10_000_000));
        assert_eq!(DOLLAR.clamped(Money::from_nanos(5_319_999), 32), None, "31 tokens are no answer");
        assert_eq!(DOLLAR.clamped(Money::from_nanos(4_999_999), 0), None, "not even the input");
        let short = Quote { ceiling: 8, ..DOLLAR };
        assert_eq!(
            short.clamped(Money::from_nanos(5_080_000), 32).map(|q| q.ceiling),
            Some(8),
            "all that was asked for"
        );
    }

    #[test]
    fn what_is_free_is_not_clamped() {
        let free = Quote { fixed: Money::ZERO, output: Price(0), ceiling: 9, likely: 1 };
        assert_eq!(free.clamped(Money::ZERO, 32).map(|q| q.ceiling), Some(9));
    }

    proptest! {
        #[test]
        fn a_clamped_answer_is_paid_for_and_one_token_more_is_not(
            fixed in 0_i64..1 << 50, price in 1_u64..1 << 40, ceiling: u32, money in 0_i64..1 << 55
        ) {
            let quote = Quote { fixed: Money::from_nanos(fixed), output: Price(price), ceiling: ceiling.into(), likely: 0 };
            let money = Money::from_nanos(money);
            match quote.affordable(money) {
                Some(tokens) => {
                    prop_assert!(quote.at(tokens) <= money);
                    // Rounding up makes a token that is not whole cost a nano-dollar at most.
                    prop_assert!(tokens == quote.ceiling || quote.at(tokens + 1) >= money);
                }
                None => prop_assert!(quote.at(0) > money),
            }
        }
    }
}
