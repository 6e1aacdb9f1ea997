//! What a request holds of budgets and limits, and what becomes of it.

use std::sync::Arc;

use lockgate_core::{Error, Money, Outcome, Usage};
use lockgate_dialect::operation::Counts;
use lockgate_ledger::rate::{Measure, Used};
use lockgate_route::Endpoint;

use super::Ticket;
use crate::dispatch::Ask;
use crate::ledger::{self, Bound, Claim, Held, Short};
use crate::record::charges::{Cost, Open};
use crate::record::price;
use crate::relay::{input_estimate, tokens};

/// What something that is no chat turn can be worth before it is done.
pub(crate) enum Worth {
    /// A text of this length in bytes, and no answer that costs.
    Text(u64),
    /// What the request counts, where that has a price. What it costs beyond is known when it is done.
    Counts(Counts),
}

impl Ticket {
    /// Holds what the attempt at this place can cost at most; how many output tokens it may have, where that is less than the
    /// request says.
    ///
    /// # Errors
    /// `BudgetExceeded` when a budget cannot pay for it; another target may be cheaper.
    pub(crate) async fn hold(
        &mut self,
        at: usize,
        endpoint: &Endpoint,
        ask: &Ask<'_>,
    ) -> Result<Option<u64>, Error> {
        if !self.state.counts_money() {
            return Ok(None);
        }
        // Rare enough to be made apart, so that a request without budgets stays small.
        let held = {
            let Some(claim) = self.claim(at) else { return Ok(None) };
            Box::pin(ledger::reserve(&self.state, &claim, endpoint, ask.bound())).await
        };
        self.has(at, endpoint, held, input_estimate(&ask.turn))
    }

    /// The same for what is no chat turn.
    ///
    /// # Errors
    /// As above.
    pub(crate) async fn hold_for(
        &mut self,
        at: usize,
        endpoint: &Endpoint,
        worth: &Worth,
    ) -> Result<(), Error> {
        if !self.state.counts_money() {
            return Ok(());
        }
        let model = (&*endpoint.upstream.catalog, &*endpoint.target.model);
        let held = {
            let Some(claim) = self.claim(at) else { return Ok(()) };
            match worth {
                Worth::Text(bytes) => {
                    let bound = Bound::of_bytes(*bytes);
                    Box::pin(ledger::reserve(&self.state, &claim, endpoint, &bound)).await
                }
                Worth::Counts(counts) => {
                    let at_ms = self.state.clock.wall_ms();
                    let price = price::counted(&self.prices, model, None, counts, self.tier, at_ms);
                    Box::pin(ledger::token(&self.state, &claim, &endpoint.target, price)).await
                }
            }
        };
        let input = if let Worth::Text(bytes) = worth { tokens(*bytes) } else { 0 };
        self.has(at, endpoint, held, input).map(drop)
    }

    fn claim(&self, at: usize) -> Option<Claim<'_>> {
        let record = self.record.as_ref()?;
        Some(Claim {
            request: record.id,
            attempt: u32::try_from(at).unwrap_or(u32::MAX).saturating_add(1),
            key: &record.key,
            attribution: &record.attribution,
            asked: &record.asked,
            prices: &self.prices,
            tier: self.tier,
            downgraded: &self.downgraded,
        })
    }

    fn has(
        &mut self,
        at: usize,
        endpoint: &Endpoint,
        held: Result<Option<Held>, Short>,
        input: u64,
    ) -> Result<Option<u64>, Error> {
        match held {
            Ok(None) => Ok(None),
            Ok(Some(held)) => {
                let (cut, limit) = (held.if_cut(input), held.limit);
                let catalog = Arc::clone(&endpoint.upstream.catalog);
                self.charges.open(Open { at, permit: held.permit, limit, cut, catalog });
                Ok(limit)
            }
            Err(Short { error, downgrade }) => {
                self.downgrade = self.downgrade.take().or(downgrade);
                Err(error)
            }
        }
    }

    /// The route that the request goes on by, if a budget that is used up names one. From here on that budget counts the request
    /// and no longer stops it; before, it must stop every target of the first route.
    pub(crate) fn downgrade(&mut self) -> Option<Arc<str>> {
        let (budget, route) = self.downgrade.take()?;
        self.downgraded.push(budget);
        Some(route)
    }

    /// How many output tokens the answer may have, where a budget made that less than the request says.
    pub(crate) fn output_limit(&self) -> Option<u64> {
        self.charges.limit()
    }

    /// Charges a hold.
    pub(super) fn settle(&self, open: Open, amount: Option<Money>, estimated: bool) {
        let target = self.record.as_ref().and_then(|record| Some(&record.attempts.get(open.at)?.target));
        let target = target.map_or(("", ""), |target| (&*target.provider, &*target.model));
        open.settle(&self.state, &Cost { amount, estimated, price: self.prices.version(), target });
    }

    /// The attempt at this place was cut off before it said what it consumed: what it is held to have is counted.
    pub(super) fn cut(&mut self, at: usize) {
        let Some(open) = self.charges.take(at) else { return };
        let target = self.record.as_ref().and_then(|record| Some(record.attempts.get(at)?.target.clone()));
        let Some(target) = target else { return open.release() };
        let usage = open.cut;
        let cost = self.price((&*open.catalog, &*target.model), &usage);
        self.settle(open, cost, true);
        self.add(at, usage, cost);
    }

    /// Charges what is still held: the attempt that answered by what it cost, one that was under way by what it is held to have.
    pub(super) fn pay(&mut self) {
        if self.charges.is_empty() {
            return;
        }
        self.learn();
        while let Some(open) = self.charges.pop() {
            match self.own.take() {
                Some((cost, estimated)) => self.settle(open, cost, estimated),
                None => {
                    let at = open.at;
                    self.charges.open(open);
                    self.cut(at);
                }
            }
        }
    }

    /// Gives back to the limits what was too much, and owes them what was too little.
    pub(super) fn settle_limits(&mut self, outcome: Outcome) {
        let Some((grant, record)) = self.grant.take().zip(self.record.as_ref()) else { return };
        let answered = record.attempts.iter().any(|attempt| attempt.status.is_some());
        let used = match (&record.usage, outcome) {
            (Some(usage), _) => {
                if usage.reported() {
                    let answers = self.state.limits.expectations();
                    answers.learn(&record.asked, "", usage.output_total());
                }
                Used::Known(Measure { input: usage.input_total(), output: usage.output_total() })
            }
            (None, Outcome::Error) if answered => Used::Known(Measure::default()),
            (None, Outcome::Error) => Used::Nothing,
            (None, Outcome::Cancelled) if record.attempts.is_empty() => Used::Nothing,
            (None, _) => Used::Unknown,
        };
        self.stood = Some(grant.end(used, self.state.clock.now()));
    }

    /// Learns how long answers are.
    fn learn(&self) {
        let Some(record) = &self.record else { return };
        let reported = record.usage.filter(Usage::reported);
        if let (Some(purse), Some(usage), Some(target)) = (&self.state.purse, reported, &record.target) {
            purse.expectations().learn(&record.asked, &target.model, usage.output_total());
        }
    }
}
