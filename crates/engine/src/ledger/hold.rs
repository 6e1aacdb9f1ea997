//! What an attempt holds: the most that it can cost, on every account that counts it, before it is sent.
//!
//! A strict account must be safe from an answer of any length, also from one that thinks where nobody sees it. So the limit that
//! the provider itself keeps is what bounds it: where the rest cannot pay for the model's longest answer, the request goes out
//! with the longest one that it can pay for, and the answer says so.

use std::sync::Arc;
use std::time::Duration;

use lockgate_catalog::{Catalog, Tier};
use lockgate_core::record::Target;
use lockgate_core::{Attribution, Error, Event, KeyId, Kind, Money, RequestId, Retry, Usage};
use lockgate_ledger::book::{Amount, Seat};
use lockgate_ledger::{AtLimit, Dimension, Permit, Quote, Shortage, Subject, Why};
use lockgate_route::Endpoint;
use tokio::time::Instant;

use super::{Bound, Purse};
use crate::engine::State;

/// Which attempt wants to spend, and on whose behalf.
pub(crate) struct Claim<'a> {
    pub(crate) request: RequestId,
    /// From 1; no two attempts of a request share one.
    pub(crate) attempt: u32,
    pub(crate) key: &'a KeyId,
    pub(crate) attribution: &'a Attribution,
    /// The name that was asked for.
    pub(crate) asked: &'a str,
    pub(crate) prices: &'a Catalog,
    pub(crate) tier: Tier,
    /// Ids of budgets that have sent the request elsewhere already.
    pub(crate) downgraded: &'a [Arc<str>],
}

/// The leave to send an attempt.
pub(crate) struct Held {
    pub(crate) permit: Permit,
    /// The most output tokens of one answer, where that is less than the request says.
    pub(crate) limit: Option<u64>,
    /// The output tokens that are likely, within the limit.
    pub(crate) likely: u64,
}

/// Why there is none.
pub(crate) struct Short {
    pub(crate) error: Error,
    /// The budget that is used up, and the route that its requests go on by.
    pub(crate) downgrade: Option<(Arc<str>, Arc<str>)>,
}

/// Fewer output tokens than these are no answer, unless the request itself wants fewer.
const USEFUL: u64 = 32;
/// An account that could pay for so many requests at once need not be careful.
const RICH: i64 = 4;
/// A careful account pays for so many times the length that nine of ten answers stay under.
const ROOM: u64 = 2;
/// And for no less than this.
const LEAST_ROOM: u64 = 256;
/// An amount that only an account refuses which has nothing left.
const LEAST: Money = Money::from_nanos(1);
/// The longest wait for a lease.
const PATIENCE: Duration = Duration::from_secs(2);

/// Holds what an attempt at a target can cost; `None` where nothing counts it.
///
/// # Errors
/// When an account cannot pay: another target may be cheaper.
pub(crate) async fn reserve(
    state: &State,
    claim: &Claim<'_>,
    endpoint: &Endpoint,
    bound: &Bound,
) -> Result<Option<Held>, Short> {
    let Some(purse) = state.purse.as_ref().filter(|purse| !purse.book().is_empty()) else { return Ok(None) };
    let seats = claim.seats(purse, &endpoint.target, state.clock.wall_ms());
    if seats.is_empty() {
        return Ok(None);
    }
    let model = claim.prices.find(&endpoint.upstream.catalog, &endpoint.target.model);
    let likely = purse.expectations().of(claim.asked, &endpoint.target.model);
    let quote = model.and_then(|found| bound.quote(found.model, claim.tier, state.clock.wall_ms(), likely));
    let Some(full) = quote else {
        // What nobody has a price for cannot be kept within a limit; where there is none it is counted when it is known.
        return match seats.iter().find(|seat| seat.binds()) {
            Some(seat) => Err(unpriced(state, seat, &endpoint.target)),
            None => held(state, purse, claim, (seats, Money::ZERO), likely).await.map(Some),
        };
    };
    let asked = full.ceiling;
    let mut quote = careful(purse, &seats, full, bound);
    let deadline = Instant::now() + PATIENCE;
    loop {
        let amount = Amount { worst: quote.worst(), likely: quote.expected() };
        let now = purse.now(state);
        let shortage = match purse.book().reserve(claim.request, seats.clone(), amount, &now) {
            Ok(permit) => {
                let limit = (quote.ceiling < asked).then_some(quote.ceiling);
                let likely = likely.min(quote.ceiling);
                return Ok(Some(Held { permit: permit.numbered(claim.attempt), limit, likely }));
            }
            Err(shortage) => shortage,
        };
        match shortage.why {
            Why::Lease if purse.await_news(deadline).await => {}
            Why::Lease | Why::Limit => match shorter(purse, &seats, &quote, bound) {
                Some(less) => quote = less,
                None => return Err(short(state, &shortage)),
            },
            Why::Throttled(_) | Why::Outage | Why::Full => return Err(short(state, &shortage)),
        }
    }
}

/// Holds what something costs as far as that is known before it is done, and the least amount that there is where it is not: the
/// account must have something left, and what it did cost is booked in full.
///
/// # Errors
/// When an account has nothing left.
pub(crate) async fn token(
    state: &State,
    claim: &Claim<'_>,
    target: &Target,
    price: Option<Money>,
) -> Result<Option<Held>, Short> {
    let Some(purse) = state.purse.as_ref().filter(|purse| !purse.book().is_empty()) else { return Ok(None) };
    let seats = claim.seats(purse, target, state.clock.wall_ms());
    if seats.is_empty() {
        return Ok(None);
    }
    held(state, purse, claim, (seats, price.unwrap_or_default().max(LEAST)), 0).await.map(Some)
}

async fn held(
    state: &State,
    purse: &Purse,
    claim: &Claim<'_>,
    (seats, amount): (Vec<Seat>, Money),
    likely: u64,
) -> Result<Held, Short> {
    let deadline = Instant::now() + PATIENCE;
    loop {
        let now = purse.now(state);
        match purse.book().reserve(claim.request, seats.clone(), Amount::exactly(amount), &now) {
            Ok(permit) => return Ok(Held { permit: permit.numbered(claim.attempt), limit: None, likely }),
            Err(shortage) if shortage.why == Why::Lease && purse.await_news(deadline).await => {}
            Err(shortage) => return Err(short(state, &shortage)),
        }
    }
}

/// Where an account could not pay for several such requests at once, one holds what it is likely to need and no more, so that
/// others are not kept out by an answer that is never written.
fn careful(purse: &Purse, seats: &[Seat], full: Quote, bound: &Bound) -> Quote {
    if !Purse::binds(seats) || purse.book().is_rich(seats, full.worst(), RICH) {
        return full;
    }
    // An account that was never asked about is not poor, it is unknown: its first request finds out.
    let known = seats.iter().filter(|seat| seat.binds()).all(|seat| seat.account.answered() > 0);
    if !known {
        return full;
    }
    let room = full.likely.saturating_mul(ROOM).max(LEAST_ROOM).max(bound.least());
    Quote { ceiling: full.ceiling.min(room), ..full }
}

/// The same with the longest answer that what is left pays for; `None` where that is none, or no shorter one.
fn shorter(purse: &Purse, seats: &[Seat], quote: &Quote, bound: &Bound) -> Option<Quote> {
    let left = purse.book().remaining(seats)?;
    let less = quote.clamped(left, USEFUL).filter(|less| less.ceiling >= bound.least())?;
    (less.ceiling < quote.ceiling).then_some(less)
}

fn short(state: &State, shortage: &Shortage) -> Short {
    let budget = &shortage.rule.budget;
    state.events.emit(&Event::BudgetRefused { budget: &budget.name });
    let error = shortage.refusal(state.clock.now(), state.clock.wall_ms()).retry(Retry::Elsewhere);
    let downgrade = match (&budget.at_limit, shortage.why) {
        (AtLimit::Downgrade { route }, Why::Limit | Why::Lease) => {
            Some((Arc::clone(&budget.id), Arc::clone(route)))
        }
        _ => None,
    };
    Short { error, downgrade }
}

fn unpriced(state: &State, seat: &Seat, target: &Target) -> Short {
    let budget = &seat.rule.budget.name;
    state.events.emit(&Event::BudgetRefused { budget });
    let Target { provider, model } = target;
    let text = format!(
        "The price of {provider}/{model} is not known, so the budget \"{budget}\" cannot be kept with it. \
         Give its prices under \"models\" in the configuration."
    );
    Short { error: Error::gateway(Kind::BudgetExceeded, text).retry(Retry::Elsewhere), downgrade: None }
}

// === impl Claim ===

impl Claim<'_> {
    /// The accounts that count an attempt at a target.
    fn seats(&self, purse: &Purse, target: &Target, wall_ms: u64) -> Vec<Seat> {
        let subject = Subject::of(self.key, self.attribution)
            .with(Dimension::Route, Some(self.asked))
            .with(Dimension::Model, Some(&target.model))
            .with(Dimension::Provider, Some(&target.provider));
        purse.book().seats(&subject, wall_ms, self.downgraded)
    }
}

// === impl Held ===

impl Held {
    /// What an attempt consumed that was cut off before it answered, as far as anybody can know: what went in, and an answer of
    /// the length that nine of ten stay under.
    pub(crate) fn if_cut(&self, input: u64) -> Usage {
        crate::relay::usage_of(input, self.likely)
    }
}
