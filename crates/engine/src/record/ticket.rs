//! The record of a request while it is under way. However the request ends, it is handed over exactly once.

mod money;

use std::sync::{Arc, LazyLock};

use lockgate_catalog::{Catalog, Tier};
use lockgate_core::decision::MILLION;
use lockgate_core::record::Target;
use lockgate_core::{
    Attempt, Attribution, Decision, Error, Event, Money, Outcome, Payload, Principal, Record, RequestId,
    Role, Tick, Usage,
};
use lockgate_dialect::operation::Counts;
use lockgate_dialect::{Losses, Turn};
use lockgate_ledger::rate::{Grant, Standings};
use lockgate_ledger::{Dimension, Subject};
use lockgate_route::Endpoint;

use crate::admit::rate;
use crate::engine::State;
use crate::inbound::Inbound;
use crate::record::charges::{Charges, may_be_billed};
use crate::record::price;

pub(crate) use self::money::Worth;

/// A request's record, handed over when the request ends: by [`Ticket::finish`], by [`Ticket::fail`], or by dropping
/// it, which means that the client left.
pub struct Ticket {
    state: Arc<State>,
    /// The catalogue of the snapshot that the request began with: a reload does not change what it costs.
    prices: Arc<Catalog>,
    arrived: Tick,
    /// The name under which the catalogue has the models of the provider that is called.
    catalog: Arc<str>,
    tier: Tier,
    /// What attempts consumed and cost that did not end the answer; their sum is in the record's own.
    spent: Option<(Usage, Option<Money>)>,
    /// The sessions that remember what served this request.
    sessions: Vec<u64>,
    /// What attempts hold of budgets.
    charges: Charges,
    /// What the attempt that answers has cost so far, and whether that is estimated.
    own: Option<(Option<Money>, bool)>,
    /// Budgets that have sent the request elsewhere.
    downgraded: Vec<Arc<str>>,
    /// The first budget that was used up and names a route to go on by, and that route.
    downgrade: Option<(Arc<str>, Arc<str>)>,
    /// What it has taken of rate limits.
    grant: Option<Grant>,
    /// How those stood at the end, or when they refused it.
    stood: Option<Standings>,
    record: Option<Box<Record>>,
}

/// Status in the log of a request whose client left before it was answered (nginx's convention).
const CLIENT_CLOSED: u16 = 499;

impl Ticket {
    /// Opens the record.
    pub fn open(state: &Arc<State>, prices: &Arc<Catalog>, inbound: &Inbound, principal: &Principal) -> Self {
        Self::begin((state, prices), (inbound.id, inbound.arrived), inbound.dialect.shared_name(), principal)
    }

    /// Opens the record of a request with this id that arrived then, in a dialect or for an operation of this name.
    pub(crate) fn begin(
        (state, prices): (&Arc<State>, &Arc<Catalog>),
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
            prices: Arc::clone(prices),
            arrived,
            catalog: Arc::default(),
            tier: Tier::Standard,
            spent: None,
            sessions: Vec::new(),
            charges: Charges::default(),
            own: None,
            downgraded: Vec::new(),
            downgrade: None,
            grant: None,
            stood: None,
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

    /// On whose behalf, as far as it is known.
    pub(crate) fn attribution(&self) -> &Attribution {
        static NOBODY: LazyLock<Attribution> = LazyLock::new(Attribution::default);
        self.record.as_ref().map_or(&*NOBODY, |record| &record.attribution)
    }

    /// The request as limits see it: its target is not known yet. With the name that was asked for.
    pub(crate) fn subject(&self) -> Option<(Subject<'_>, &str)> {
        let record = self.record.as_ref()?;
        let subject = Subject::of(&record.key, &record.attribution);
        Some((subject.with(Dimension::Route, Some(&record.asked)), &record.asked))
    }

    /// The limits let it pass.
    pub(crate) fn granted(&mut self, grant: Option<Grant>) {
        self.grant = grant;
    }

    /// A limit did not let it pass.
    pub(crate) const fn stopped(&mut self, standings: Standings) {
        self.stood = Some(standings);
    }

    /// How the limits stand that count it; `None` where none does.
    pub(crate) fn standings(&self) -> Option<Standings> {
        self.stood.or_else(|| Some(self.grant.as_ref()?.standings(self.state.clock.now())))
    }

    /// The sessions that are to remember what serves this request.
    pub(crate) fn remembered_by(&mut self, sessions: Vec<u64>) {
        self.sessions = sessions;
    }

    /// The decision, if it came to one.
    pub fn decision(&self) -> Option<Arc<Decision>> {
        self.record.as_ref()?.decision.clone()
    }

    /// How the targets were chosen.
    pub fn decided(&mut self, decision: Arc<Decision>) {
        let overhead = self.elapsed_us();
        self.edit(|record| {
            record.decision = Some(decision);
            record.overhead_us = overhead;
        });
    }

    /// An attempt begins, with the credential at this place, if there are several; its own place in the record. Should the
    /// client leave during it, it stands there without an outcome.
    pub fn attempt(&mut self, endpoint: &Endpoint, credential: Option<usize>, role: Role) -> usize {
        let at_us = self.elapsed_us();
        self.catalog = Arc::clone(&endpoint.upstream.catalog);
        let target = endpoint.target.clone();
        let shown = credential.and_then(|at| endpoint.upstream.credentials.get(at));
        let credential = shown.map(|credential| Arc::clone(&credential.name));
        let Some(record) = &mut self.record else { return 0 };
        record.target = Some(target.clone());
        // One attempt is the rule; a vector's own first step would make room for four.
        record.attempts.reserve_exact(1);
        record.attempts.push(Attempt { credential, role, ..Attempt::begun(target, at_us) });
        record.attempts.len() - 1
    }

    /// The attempt at this place is the one that answers, although others began after it.
    pub(crate) fn answers(&mut self, at: usize, endpoint: &Endpoint) {
        self.catalog = Arc::clone(&endpoint.upstream.catalog);
        self.edit(|record| {
            if at + 1 != record.attempts.len() {
                record.target = Some(endpoint.target.clone());
            }
        });
    }

    /// The attempt at this place consumed this much and is not the one that ends the answer: it broke off, or was given up.
    pub(crate) fn spent(&mut self, at: usize, endpoint: &Endpoint, usage: Usage) {
        let cost = self.price((&*endpoint.upstream.catalog, &*endpoint.target.model), &usage);
        if let Some(open) = self.charges.take(at) {
            self.settle(open, cost, !usage.reported());
        }
        self.add(at, usage, cost);
    }

    /// Adds what an attempt consumed that is not the one that ends the answer.
    fn add(&mut self, at: usize, usage: Usage, cost: Option<Money>) {
        let sum = self.spent.take().map_or((usage, cost), |(sum, paid)| {
            let paid = paid.zip(cost).and_then(|(paid, cost)| paid.checked_add(cost));
            (sum.plus(&usage), paid)
        });
        self.spent = Some(sum);
        self.edit(|record| {
            if let Some(attempt) = record.attempts.get_mut(at) {
                (attempt.usage, attempt.cost) = (Some(usage), cost);
            }
            (record.usage, record.cost) = (Some(sum.0), sum.1);
        });
    }

    /// The attempt at this place had begun to answer and broke off.
    pub(crate) fn broke(&mut self, at: usize, error: &Error) {
        self.edit(|record| {
            let Some(attempt) = record.attempts.get_mut(at) else { return };
            attempt.error = Some(error.kind());
            attempt.detail = error.private().map(str::to_owned);
        });
    }

    /// The attempt at this place was given up, as another answered first.
    pub(crate) fn given_up(&mut self, at: usize) {
        let now = self.elapsed_us();
        self.edit(|record| {
            let Some(attempt) = record.attempts.get_mut(at) else { return };
            attempt.took_us = now.saturating_sub(attempt.at_us);
            attempt.detail = Some("given up: another attempt answered first".to_owned());
        });
    }

    /// The attempt at this place ended. One that had answered and broke off later is told again.
    pub fn attempted(&mut self, at: usize, status: Option<u16>, error: Option<&Error>) {
        if let Some(error) = error {
            if may_be_billed(status, error) {
                self.cut(at);
            } else if let Some(open) = self.charges.take(at) {
                open.release();
            }
        }
        let now = self.elapsed_us();
        self.edit(|record| {
            let Some(attempt) = record.attempts.get_mut(at) else { return };
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

    /// What could not be carried between dialects, beside what was told before.
    pub fn lost(&mut self, losses: &Losses) {
        self.edit(|record| {
            for loss in losses.iter() {
                if !record.losses.iter().any(|known| **known == *loss.what) {
                    record.losses.push(Arc::from(&*loss.what));
                }
            }
        });
    }

    /// What was consumed so far.
    pub fn used(&mut self, usage: Option<Usage>) {
        let Some(record) = &self.record else { return };
        let own = usage.zip(record.target.as_ref());
        let cost = own.and_then(|(usage, target)| self.price((&*self.catalog, &*target.model), &usage));
        self.own = usage.map(|usage| (cost, !usage.reported()));
        let spent = self.spent;
        self.edit(|record| match (spent, usage) {
            // Others had a share in it: each attempt says its own, and the request the sum.
            (Some((before, paid)), Some(usage)) => {
                let target = &record.target;
                let mut last = record.attempts.iter_mut().rev();
                if let Some(own) = last.find(|it| it.usage.is_none() && Some(&it.target) == target.as_ref()) {
                    (own.usage, own.cost) = (Some(usage), cost);
                }
                record.usage = Some(before.plus(&usage));
                record.cost = paid.zip(cost).and_then(|(paid, cost)| paid.checked_add(cost));
            }
            (Some(_), None) => {}
            (None, _) => {
                record.usage = usage;
                if usage.is_some() {
                    record.cost = cost;
                }
            }
        });
    }

    /// What was consumed by attempts that did not end the answer.
    pub(crate) fn spent_so_far(&self) -> Option<Usage> {
        self.spent.map(|(usage, _)| usage)
    }

    fn price(&self, model: (&str, &str), usage: &Usage) -> Option<Money> {
        price::price(&self.prices, model, usage, self.tier, self.state.clock.wall_ms())
    }

    /// What was consumed so far by an operation, which may be paid for by other units than tokens.
    pub(crate) fn counted(&mut self, usage: Option<Usage>, counts: &Counts) {
        let Some(record) = &mut self.record else { return };
        record.usage = usage;
        if let Some(target) = &record.target {
            let model = (&*self.catalog, &*target.model);
            let at_ms = self.state.clock.wall_ms();
            let cost = price::counted(&self.prices, model, usage, counts, self.tier, at_ms);
            self.own = Some((cost, usage.is_some_and(|usage| !usage.reported())));
            record.cost = cost;
            if let Some((before, paid)) = self.spent {
                record.usage = Some(usage.map_or(before, |usage| before.plus(&usage)));
                record.cost = paid.zip(cost).and_then(|(paid, cost)| paid.checked_add(cost));
            }
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

    /// The request is answered with an error: this one, with how the limits stand that counted it.
    #[must_use]
    pub fn fail(mut self, error: Error) -> Error {
        self.edit(|record| record.status = error.status().as_u16());
        self.close(Outcome::Error, Some(&error));
        match self.standings() {
            Some(standings) => error.with_headers(|headers| rate::tell(&standings, headers)),
            None => error,
        }
    }

    fn close(&mut self, outcome: Outcome, error: Option<&Error>) {
        let took_us = self.elapsed_us();
        self.pay();
        self.settle_limits(outcome);
        let Some(mut record) = self.record.take() else { return };
        if let (Outcome::Ok, Some(target)) = (outcome, &record.target) {
            let cached = record.usage.as_ref().and_then(cached);
            let now = self.state.clock.now();
            for session in &self.sessions {
                self.state.registry.sessions().note(*session, target, now, cached);
            }
        }
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

/// The part of the input that came from the provider's prompt cache, in millionths, as far as it was reported.
fn cached(usage: &Usage) -> Option<u32> {
    let (read, all) = (usage.cache_read, usage.input_total());
    let part = read.saturating_mul(u64::from(MILLION)).checked_div(all)?;
    usage.reported().then(|| u32::try_from(part).unwrap_or(MILLION))
}

impl Drop for Ticket {
    fn drop(&mut self) {
        if self.record.is_some() {
            self.edit(|record| record.status = CLIENT_CLOSED);
            self.close(Outcome::Cancelled, None);
        }
    }
}
