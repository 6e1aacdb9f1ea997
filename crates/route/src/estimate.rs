//! What a request is expected to cost at an endpoint, and how long it will take.

use lockgate_core::Money;
use lockgate_core::decision::MILLION;
use lockgate_core::money::Bill;

use crate::ask::Ask;
use crate::health::{Pulse, Tally};
use crate::view::Facts;

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
    pub(crate) fn of(facts: &Facts, ask: &Ask<'_>, pulse: &Pulse, cached: u32) -> Self {
        let first = pulse.first_us.unwrap_or(ASSUMED.0);
        let speed = pulse.tokens_per_second.unwrap_or(ASSUMED.1).max(0.1);
        let whole = first + ask.output_tokens() as f64 / speed * 1e6;
        Self {
            cost: cost(facts, ask, cached),
            cached,
            first_us: first as u64,
            whole_us: whole as u64,
            unmeasured: pulse.first_us.is_none(),
            reliability: (pulse.reliability() * f64::from(MILLION)) as u32,
            in_flight: pulse.in_flight,
            tool_calls: pulse.tool_calls,
        }
    }
}

/// The expected cost, exact for the expected tokens, with `cached` millionths of the input read from the prompt cache.
pub(crate) fn cost(facts: &Facts, ask: &Ask<'_>, cached: u32) -> Option<Money> {
    let input = ask.input_tokens();
    let card = facts.card(input, ask.wall_ms)?;
    let read = if cached > 0 { part(input, cached) } else { 0 };
    let mut bill = Bill::default();
    bill.add(read, card.cache_read.unwrap_or(card.input));
    // Where a session uses the cache, what is new in it is written to it.
    let fresh = if cached > 0 { card.cache_write.unwrap_or(card.input) } else { card.input };
    bill.add(input - read, fresh);
    bill.add(ask.output_tokens(), card.output);
    bill.total()?.checked_add(card.request)
}

/// So many millionths of a number, rounded down.
fn part(of: u64, millionths: u32) -> u64 {
    let part = u128::from(of) * u128::from(millionths.min(MILLION)) / u128::from(MILLION);
    u64::try_from(part).unwrap_or(of)
}
