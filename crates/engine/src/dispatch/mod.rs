//! Calls targets until one has said something. Until then nothing has gone to the client, so a target that fails is
//! passed over without a trace but in the record.

mod attempt;
mod budget;
pub(crate) mod collect;
mod outbound;

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http::{HeaderMap, StatusCode};
use lockgate_core::{Error, Event, Retry, Usage, id};
use lockgate_dialect::Losses;
use lockgate_route::{Endpoint, Plan};

pub(crate) use attempt::{Failed, bad, native, refusal, timely};
pub(crate) use budget::Budget;
pub(crate) use outbound::{Ask, filled, refused, strict};

use crate::engine::{Engine, State};
use crate::record::Ticket;
use crate::relay::Begun;

/// What a target said.
pub(crate) struct Landed {
    pub(crate) status: StatusCode,
    pub(crate) headers: HeaderMap,
    /// What could not be carried.
    pub(crate) losses: Losses,
    pub(crate) landing: Landing,
}

/// The body of what a target said.
pub(crate) enum Landing {
    /// All of it, checked.
    Whole { body: Bytes, usage: Option<Usage> },
    /// A stream with its first content.
    Stream(Begun),
}

/// First pause before the targets are gone through again; doubled each time, with full jitter.
const PAUSE: Duration = Duration::from_millis(100);
/// A provider that wants a longer pause than this is not waited for: the client can do that better.
const LONGEST_PAUSE: Duration = Duration::from_secs(2);

/// The targets of a plan one after the other, and again as often as it says.
pub(crate) struct Tries<'a> {
    plan: &'a Plan,
    budget: Budget,
    /// Those of this round that are still to come, the next one last.
    open: Vec<&'a Arc<Endpoint>>,
    /// Those of this round that may be tried again.
    again: Vec<&'a Arc<Endpoint>>,
    /// How the last one of this round failed.
    last: Option<Error>,
    round: u32,
}

/// Goes through the plan's targets until one answers.
///
/// # Errors
/// That of the last attempt, or the first that no other target could mend.
pub(crate) async fn dispatch(
    engine: &Engine,
    ask: &Ask<'_>,
    plan: &Plan,
    budget: Budget,
    ticket: &mut Ticket,
) -> Result<Landed, Error> {
    let mut tries = Tries::new(plan, budget);
    loop {
        let endpoint = tries.next().await?;
        ticket.attempt(endpoint);
        match attempt::attempt(engine, ask, endpoint, &budget).await {
            Ok(landed) => {
                ticket.attempted(Some(landed.status.as_u16()), None);
                healthy(&engine.state, endpoint);
                return Ok(landed);
            }
            Err(failed) => tries.failed(&engine.state, ticket, endpoint, failed)?,
        }
    }
}

// === impl Tries ===

impl<'a> Tries<'a> {
    pub(crate) fn new(plan: &'a Plan, budget: Budget) -> Self {
        let open = plan.endpoints.iter().rev().collect();
        Self { plan, budget, open, again: Vec::new(), last: None, round: 0 }
    }

    /// The next target. Waits between two rounds.
    ///
    /// # Errors
    /// That of the last attempt when there is nothing left to try, or no time.
    pub(crate) async fn next(&mut self) -> Result<&'a Arc<Endpoint>, Error> {
        loop {
            let over = self.last.is_some() && self.budget.is_over();
            if let Some(endpoint) = self.open.pop().filter(|_| !over) {
                return Ok(endpoint);
            }
            // A plan has at least one endpoint, and a further round has at least one, so there is a last error.
            let error = self.last.take().unwrap_or_else(|| {
                Error::gateway(lockgate_core::Kind::NoTarget, "No target is left to try.")
            });
            let pause = pause(self.round, &error);
            if self.again.is_empty()
                || self.round >= self.plan.patience.rounds
                || pause > LONGEST_PAUSE
                || self.budget.left() <= pause
            {
                return Err(error);
            }
            tokio::time::sleep(pause).await;
            self.open = std::mem::take(&mut self.again);
            self.open.reverse();
            self.round += 1;
        }
    }

    /// The attempt at a target failed.
    ///
    /// # Errors
    /// Its own, when no other target could mend it.
    pub(crate) fn failed(
        &mut self,
        state: &State,
        ticket: &mut Ticket,
        endpoint: &'a Arc<Endpoint>,
        failed: Failed,
    ) -> Result<(), Error> {
        ticket.attempted(failed.status, Some(&failed.error));
        if failed.error.kind().counts_against_health() {
            unhealthy(state, endpoint);
        }
        match failed.error.retry_advice() {
            Retry::Never => return Err(failed.error),
            Retry::Elsewhere => {}
            Retry::Again => self.again.push(endpoint),
        }
        self.last = Some(failed.error);
        Ok(())
    }
}

fn pause(round: u32, error: &Error) -> Duration {
    if let Some(asked) = error.wait() {
        return asked;
    }
    let longest = PAUSE.saturating_mul(2_u32.saturating_pow(round)).min(LONGEST_PAUSE);
    let share = (id::chance() >> 40) as u32;
    // Full jitter (24 random bits): a crowd of clients that failed together does not come back together.
    longest.mul_f64(f64::from(share) / f64::from(1_u32 << 24))
}

/// Notes a success of an endpoint.
pub(crate) fn healthy(state: &State, endpoint: &Endpoint) {
    if endpoint.breaker.success(state.clock.now(), &state.breakers) {
        changed(state, endpoint, false);
    }
}

/// Notes a failure that speaks against an endpoint.
pub(crate) fn unhealthy(state: &State, endpoint: &Endpoint) {
    if endpoint.breaker.failure(state.clock.now(), &state.breakers) {
        changed(state, endpoint, true);
    }
}

fn changed(state: &State, endpoint: &Endpoint, open: bool) {
    let (provider, model) = (&endpoint.target.provider, &endpoint.target.model);
    state.events.emit(&Event::BreakerChanged { provider, model, open });
}
