//! The record of a request while it is under way. However the request ends, it is handed over exactly once.

use std::sync::Arc;

use lockgate_catalog::Tier;
use lockgate_core::record::Target;
use lockgate_core::{
    Attempt, Attribution, Decision, Error, Event, Money, Outcome, Payload, Principal, Record, RequestId,
    Tick, Usage,
};
use lockgate_dialect::operation::Counts;
use lockgate_dialect::{Losses, Turn};
use lockgate_route::Endpoint;

use crate::engine::State;
use crate::inbound::Inbound;
use crate::record::price;

/// A request's record, handed over when the request ends: by [`Ticket::finish`], by [`Ticket::fail`], or by dropping
/// it, which means that the client left.
pub struct Ticket {
    state: Arc<State>,
    arrived: Tick,
    /// The name under which the catalogue has the models of the provider that is called.
    catalog: Arc<str>,
    tier: Tier,
    record: Option<Box<Record>>,
}

/// Status in the log of a request whose client left before it was answered (nginx's convention).
const CLIENT_CLOSED: u16 = 499;

impl Ticket {
    /// Opens the record.
    pub fn open(state: &Arc<State>, inbound: &Inbound, principal: &Principal) -> Self {
        Self::begin(state, (inbound.id, inbound.arrived), inbound.dialect.shared_name(), principal)
    }

    /// Opens the record of a request with this id that arrived then, in a dialect or for an operation of this name.
    pub(crate) fn begin(
        state: &Arc<State>,
        (id, arrived): (RequestId, Tick),
        dialect: Arc<str>,
        principal: &Principal,
    ) -> Self {
        state.events.emit(&Event::RequestStarted);
        let key = &principal.key;
        let record = Record {
            id,
            dialect,
            key: Arc::clone(&key.id),
            key_name: Arc::clone(&key.name),
            attribution: Attribution::default(),
            asked: Arc::default(),
            stream: false,
            target: None,
            outcome: Outcome::Cancelled,
            status: CLIENT_CLOSED,
            error: None,
            detail: None,
            usage: None,
            cost: None,
            took_us: 0,
            first_content_us: None,
            overhead_us: 0,
            decision: None,
            attempts: Vec::new(),
            losses: Vec::new(),
        };
        Self {
            state: Arc::clone(state),
            arrived,
            catalog: Arc::default(),
            tier: Tier::Standard,
            record: Some(Box::new(record)),
        }
    }

    /// What was asked for.
    pub fn asked(&mut self, turn: &Turn) {
        self.names(&turn.model, turn.stream, Some(&turn.payload));
    }

    /// What was asked for, by its parts.
    pub(crate) fn names(&mut self, model: &Arc<str>, stream: bool, payload: Option<&Payload>) {
        self.tier = payload.map_or(Tier::Standard, price::tier);
        self.edit(|record| {
            record.asked = Arc::clone(model);
            record.stream = stream;
        });
    }

    /// On whose behalf.
    pub fn attribute(&mut self, attribution: Attribution) {
        self.edit(|record| record.attribution = attribution);
    }

    /// How the targets were chosen.
    pub fn decided(&mut self, decision: Arc<Decision>) {
        let overhead = self.elapsed_us();
        self.edit(|record| {
            record.decision = Some(decision);
            record.overhead_us = overhead;
        });
    }

    /// An attempt begins. Should the client leave during it, it stands in the record without an outcome.
    pub fn attempt(&mut self, endpoint: &Endpoint) {
        let at_us = self.elapsed_us();
        self.catalog = Arc::clone(&endpoint.upstream.catalog);
        let target = endpoint.target.clone();
        self.edit(|record| {
            record.target = Some(target.clone());
            // One attempt is the rule; a vector's own first step would make room for four.
            record.attempts.reserve_exact(1);
            record.attempts.push(Attempt {
                target,
                at_us,
                took_us: 0,
                status: None,
                error: None,
                detail: None,
            });
        });
    }

    /// The attempt under way ended.
    pub fn attempted(&mut self, status: Option<u16>, error: Option<&Error>) {
        let now = self.elapsed_us();
        self.edit(|record| {
            let Some(attempt) = record.attempts.last_mut() else { return };
            attempt.took_us = now.saturating_sub(attempt.at_us);
            attempt.status = status;
            attempt.error = error.map(Error::kind);
            attempt.detail = error.and_then(Error::private).map(str::to_owned);
        });
    }

    /// The answer's head, or its first content, is on its way to the client.
    pub fn answering(&mut self, status: u16) {
        let now = self.elapsed_us();
        self.edit(|record| {
            record.status = status;
            record.first_content_us = Some(now);
        });
    }

    /// What could not be carried between dialects.
    pub fn lost(&mut self, losses: &Losses) {
        if !losses.is_empty() {
            self.edit(|record| record.losses = losses.iter().map(|loss| Arc::from(&*loss.what)).collect());
        }
    }

    /// What was consumed so far.
    pub fn used(&mut self, usage: Option<Usage>) {
        let Some(record) = &mut self.record else { return };
        record.usage = usage;
        if let (Some(usage), Some(target)) = (&record.usage, &record.target) {
            let snapshot = self.state.snapshot.load();
            let model = (&*self.catalog, &*target.model);
            let at_ms = self.state.clock.wall_ms();
            record.cost = price::price(&snapshot.catalog, model, usage, self.tier, at_ms);
        }
    }

    /// What was consumed so far by an operation, which may be paid for by other units than tokens.
    pub(crate) fn counted(&mut self, usage: Option<Usage>, counts: &Counts) {
        let Some(record) = &mut self.record else { return };
        record.usage = usage;
        if let Some(target) = &record.target {
            let snapshot = self.state.snapshot.load();
            let model = (&*self.catalog, &*target.model);
            let at_ms = self.state.clock.wall_ms();
            record.cost = price::counted(&snapshot.catalog, model, usage, counts, self.tier, at_ms);
        }
    }

    /// What it costs, as far as is known.
    pub fn cost(&self) -> Option<Money> {
        self.record.as_ref()?.cost
    }

    /// Number of attempts so far.
    pub fn attempts(&self) -> usize {
        self.record.as_ref().map_or(0, |record| record.attempts.len())
    }

    /// The target that is being or was called last.
    pub fn target(&self) -> Option<&Target> {
        self.record.as_ref()?.target.as_ref()
    }

    /// Microseconds spent before the first attempt.
    pub fn overhead_us(&self) -> u32 {
        self.record.as_ref().map_or(0, |record| record.overhead_us)
    }

    /// The request was answered.
    pub fn finish(mut self, outcome: Outcome, error: Option<&Error>) {
        self.close(outcome, error);
    }

    /// The request was answered with an error.
    pub fn fail(mut self, error: &Error) {
        self.edit(|record| record.status = error.status().as_u16());
        self.close(Outcome::Error, Some(error));
    }

    fn close(&mut self, outcome: Outcome, error: Option<&Error>) {
        let took_us = self.elapsed_us();
        let Some(mut record) = self.record.take() else { return };
        record.outcome = outcome;
        record.took_us = took_us;
        record.error = error.map(Error::kind);
        record.detail = error.map(|error| match error.private() {
            Some(private) => format!("{} [{private}]", error.public()),
            None => error.public().to_owned(),
        });
        self.state.events.emit(&Event::RequestFinished(&record));
        self.state.records.offer(record);
    }

    fn edit(&mut self, change: impl FnOnce(&mut Record)) {
        if let Some(record) = &mut self.record {
            change(record);
        }
    }

    fn elapsed_us(&self) -> u32 {
        self.state.clock.now().micros_since(self.arrived)
    }
}

impl Drop for Ticket {
    fn drop(&mut self) {
        if self.record.is_some() {
            self.edit(|record| record.status = CLIENT_CLOSED);
            self.close(Outcome::Cancelled, None);
        }
    }
}
