//! What the attempts of a request hold of budgets, until it is known what they cost. Each ends once: charged, or given back.

use std::sync::Arc;

use lockgate_core::{Error, Event, Kind, Money, Usage};
use lockgate_ledger::budget::Mode;
use lockgate_ledger::{Charge, Permit};

use crate::engine::State;

/// The holds of a request.
#[derive(Default)]
pub(super) struct Charges(Vec<Open>);

/// The hold of one attempt.
pub(super) struct Open {
    /// The attempt's place in the record.
    pub(super) at: usize,
    pub(super) permit: Permit,
    /// The most output tokens of one answer, where the budget made it less.
    pub(super) limit: Option<u64>,
    /// What counts if nobody says what the attempt consumed.
    pub(super) cut: Usage,
    /// The name under which the catalogue has the models of the provider.
    pub(super) catalog: Arc<str>,
}

/// What an attempt cost.
pub(super) struct Cost<'a> {
    /// `None`: no price is known for it.
    pub(super) amount: Option<Money>,
    pub(super) estimated: bool,
    /// The version of the prices.
    pub(super) price: &'a Arc<str>,
    /// The target, for an incident.
    pub(super) target: (&'a str, &'a str),
}

// === impl Charges ===

impl Charges {
    pub(super) fn open(&mut self, open: Open) {
        self.0.push(open);
    }

    pub(super) const fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// The hold of the attempt at this place; it is in hand from now on.
    pub(super) fn take(&mut self, at: usize) -> Option<Open> {
        let place = self.0.iter().position(|open| open.at == at)?;
        Some(self.0.swap_remove(place))
    }

    /// Any hold that is left.
    pub(super) fn pop(&mut self) -> Option<Open> {
        self.0.pop()
    }

    /// How long the budget lets the answer of the last attempt be.
    pub(super) fn limit(&self) -> Option<u64> {
        self.0.last().and_then(|open| open.limit)
    }
}

// === impl Open ===

impl Open {
    /// Charges it. What has no price costs what was held: never nothing.
    pub(super) fn settle(self, state: &State, cost: &Cost<'_>) {
        let held = self.permit.held();
        let amount = cost.amount.unwrap_or(held);
        let strict = |seat: &lockgate_ledger::Seat| seat.binds() && seat.rule.budget.mode == Mode::Strict;
        if amount > held && self.permit.seats().iter().any(strict) {
            let (provider, model) = cost.target;
            state.events.emit(&Event::HoldExceeded { provider, model, held, charged: amount });
        }
        self.permit.settle(Charge {
            amount,
            at_ms: state.clock.wall_ms(),
            price: Arc::clone(cost.price),
            estimated: cost.estimated || cost.amount.is_none(),
        });
    }

    /// Gives it back: nothing is billed.
    pub(super) fn release(self) {
        self.permit.release();
    }
}

/// Whether a provider may bill an attempt that failed in this way. It bills no refusal; what it was silent about it may.
pub(super) fn may_be_billed(status: Option<u16>, error: &Error) -> bool {
    let refused = status.is_some_and(|status| !(200..300).contains(&status));
    let silent = [Kind::UpstreamTimeout, Kind::UpstreamBroken, Kind::UpstreamBadAnswer];
    !refused && silent.contains(&error.kind())
}
