//! What a request is expected to cost at an endpoint, and how long it will take.

use lockgate_core::Money;
use lockgate_core::decision::MILLION;
use lockgate_core::money::Bill;

use crate::ask::Ask;
use crate::health::{Glance, Tally};
use crate::view::Facts;

/// What costs and times are reckoned with: the same for all candidates of a request.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Size {
    /// Input tokens.
    pub(crate) input: u64,
    /// Output tokens.
    pub(crate) output: u64,
    /// The time of day, in Unix milliseconds.
    pub(crate) wall_ms: u64,
}

impl Size {
    pub(crate) fn of(ask: &Ask<'_>) -> Self {
        Self { input: ask.input_tokens(), output: ask.output_tokens(), wall_ms: ask.wall_ms }
    }
}

/// What is expected of a call.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Estimate {
    /// Its cost; `None`: no price is known.
    pub(crate) cost: Option<Money>,
    /// The part of the input that comes from the prompt cache, in millionths.
    pub(crate) cached: u32,
    /// Until the first token, in microseconds.
    pub(crate) first_us: u64,
    /// Until the end, in microseconds.
    pub(crate) whole_us: u64,
    /// Whether the times are assumed.
    pub(crate) unmeasured: bool,
    /// The part of calls that succeeds, in millionths.
    pub(crate) reliability: u32,
    /// Calls under way.
    pub(crate) in_flight: u32,
    /// Tool calls in the last hour.
    pub(crate) tool_calls: Tally,
}

/// Of an endpoint that was not called lately: time to the first token, in microseconds, and tokens a second. Fixed, so that
/// what is known of others changes nothing.
const ASSUMED: (f64, f64) = (1_000_000.0, 60.0);

impl Estimate {
    pub(crate) fn of(facts: &Facts, size: Size, pulse: &Glance, cached: u32) -> Self {
        let first = pulse.first_us.unwrap_or(ASSUMED.0);
        let speed = pulse.tokens_per_second.unwrap_or(ASSUMED.1).max(0.1);
        let whole = first + size.output as f64 / speed * 1e6;
        Self {
            cost: cost(facts, size, cached),
            cached,
            first_us: first as u64,
            whole_us: whole as u64,
            unmeasured: pulse.first_us.is_none(),
            reliability: pulse.reliability,
            in_flight: pulse.in_flight,
            tool_calls: pulse.tool_calls,
        }
    }
}

/// The expected cost, exact for the expected tokens, with `cached` millionths of the input read from the prompt cache.
pub(crate) fn cost(facts: &Facts, size: Size, cached: u32) -> Option<Money> {
    let Size { input, output, wall_ms } = size;
    let card = facts.card(input, wall_ms)?;
    let read = if cached > 0 { part(input, cached) } else { 0 };
    let mut bill = Bill::default();
    bill.add(read, card.cache_read.unwrap_or(card.input));
    // Where a session uses the cache, what is new in it is written to it.
    let fresh = if cached > 0 { card.cache_write.unwrap_or(card.input) } else { card.input };
    bill.add(input - read, fresh);
    bill.add(output, card.output);
    bill.total()?.checked_add(card.request)
}

/// So many millionths of a number, rounded down.
fn part(of: u64, millionths: u32) -> u64 {
    let part = u128::from(of) * u128::from(millionths.min(MILLION)) / u128::from(MILLION);
    u64::try_from(part).unwrap_or(of)
}
