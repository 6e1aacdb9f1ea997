//! Which target is called next: the plan's in order, other credentials, the lists for a class of failure, further rounds.

use std::sync::Arc;
use std::time::Duration;

use lockgate_core::{Error, Event, Kind, Retry, Role, id};
use lockgate_route::{Detours, Endpoint, Plan, RouteSettings, is_of_credential};

use super::{Budget, Failed};
use crate::engine::State;
use crate::record::Ticket;

/// First pause before the targets are gone through again; doubled each time, with full jitter.
const PAUSE: Duration = Duration::from_millis(100);
/// A provider that wants a longer pause than this is not waited for: the client can do that better.
const LONGEST_PAUSE: Duration = Duration::from_secs(2);
/// A provider that limits us is passed over for no longer than this, whatever it asks for.
const LONGEST_LIMIT: Duration = Duration::from_secs(600);

/// The targets of a plan one after the other, and again as often as it says.
pub(crate) struct Tries<'a> {
    plan: &'a Plan,
    pub(super) budget: Budget,
    /// Those of this round that are still to come, the next one last.
    open: Vec<Next<'a>>,
    /// Those of this round that may be tried again.
    again: Vec<Next<'a>>,
    /// How the last one of this round failed.
    last: Option<Error>,
    round: u32,
    /// A list for a class of failure was gone over to.
    detoured: bool,
    /// Credentials of the target under way that were refused for this request.
    refused: Vec<usize>,
    /// The plan's first was admitted with the plan; whoever comes later is when it is called.
    begun: bool,
}

/// A target that is called, and how.
#[derive(Clone, Copy)]
pub(crate) struct Try<'a> {
    pub(crate) endpoint: &'a Arc<Endpoint>,
    pub(crate) settings: &'a RouteSettings,
    /// The place of the credential that is shown, where there are several.
    pub(crate) credential: Option<usize>,
    pub(crate) role: Role,
    /// The most output tokens of one answer, where a budget makes it less than the request says.
    pub(crate) limit: Option<u64>,
    pub(super) place: usize,
}

/// A target that is to come.
#[derive(Clone, Copy)]
struct Next<'a> {
    endpoint: &'a Arc<Endpoint>,
    /// Its place in the plan, for its settings.
    place: usize,
    role: Role,
    /// The credential, where that is decided.
    credential: Option<usize>,
}

// === impl Try ===

impl<'a> Try<'a> {
    /// A target outside of any plan.
    pub(super) const fn alone(endpoint: &'a Arc<Endpoint>, settings: &'a RouteSettings) -> Self {
        Self { endpoint, settings, credential: None, role: Role::Usual, limit: None, place: 0 }
    }
}

// === impl Tries ===

impl<'a> Tries<'a> {
    pub(crate) fn new(plan: &'a Plan, budget: Budget) -> Self {
        let next = |(place, endpoint)| Next { endpoint, place, role: Role::Usual, credential: None };
        let open = plan.endpoints.iter().enumerate().map(next).rev().collect();
        Self {
            plan,
            budget,
            open,
            again: Vec::new(),
            last: None,
            round: 0,
            detoured: false,
            refused: Vec::new(),
            begun: false,
        }
    }

    /// The next target. Waits between two rounds.
    ///
    /// # Errors
    /// That of the last attempt when there is nothing left to try, or no time.
    pub(crate) async fn next(&mut self, state: &State) -> Result<Try<'a>, Error> {
        loop {
            let over = self.last.is_some() && self.budget.is_over();
            while let Some(next) = self.open.pop().filter(|_| !over) {
                // Whoever is called again for the same request takes from a budget: retries must not be what keeps a
                // provider down.
                let retries = &next.endpoint.site.retries;
                if next.credential.is_none() && self.round > 0 && !retries.spend() {
                    continue;
                }
                if next.credential.is_none() && self.is_out(&next, state) {
                    continue;
                }
                if self.round == 0 {
                    retries.earn();
                }
                return Ok(self.chosen(next, state));
            }
            // A plan has at least one endpoint, and a further round has at least one, so there is a last error.
            let error = self
                .last
                .take()
                .unwrap_or_else(|| Error::gateway(Kind::NoTarget, "No target is left to try."));
            if !over && self.detour(&error, state, true) {
                self.last = Some(error);
                continue;
            }
            let pause = pause(self.round, &error);
            if self.again.is_empty()
                || self.round >= self.plan.patience.rounds
                || pause > LONGEST_PAUSE
                || self.budget.left() <= pause
            {
                return Err(error);
            }
            tokio::time::sleep(pause).await;
            self.last = Some(error);
            self.open = std::mem::take(&mut self.again);
            self.open.reverse();
            self.round += 1;
        }
    }

    /// A target to be called beside the one under way; `None` when no other is left.
    pub(super) fn beside(&mut self, state: &State) -> Option<Try<'a>> {
        let next = self.open.pop_if(|next| next.credential.is_none() && self.round == 0)?;
        if self.is_out(&next, state) {
            return None;
        }
        next.endpoint.site.retries.earn();
        Some(Try { role: Role::Hedge, ..self.chosen(next, state) })
    }

    /// What is left of the plan when a target has answered: where the stream goes on should it break. The target itself is
    /// last: another connection may hold.
    pub(super) fn others(&self, answered: &Try<'a>) -> Vec<Arc<Endpoint>> {
        let later = self.open.iter().rev().map(|next| next.endpoint);
        let earlier = self.again.iter().map(|next| next.endpoint);
        let any = self.plan.detours.of(lockgate_core::decision::Fallback::Any).unwrap_or_default();
        let mut others: Vec<Arc<Endpoint>> = Vec::new();
        for endpoint in later.chain(any).chain(earlier) {
            let known = |other: &Arc<Endpoint>| other.target == endpoint.target;
            if !others.iter().any(known) && endpoint.target != answered.endpoint.target {
                others.push(Arc::clone(endpoint));
            }
        }
        others.push(Arc::clone(answered.endpoint));
        others
    }

    /// Whether a target has left rotation since the plan was made, or another request is its probe, while others are left. The last
    /// one is called all the same: a likely failure is better than a sure one.
    fn is_out(&mut self, next: &Next<'a>, state: &State) -> bool {
        let first = !std::mem::replace(&mut self.begun, true);
        if first || self.round > 0 || next.role != Role::Usual {
            return false;
        }
        if next.endpoint.admit(state.clock.now(), &state.breakers).out_until().is_none() {
            return false;
        }
        let last = self.open.is_empty();
        if last {
            next.endpoint.insist();
        }
        !last
    }

    fn chosen(&mut self, next: Next<'a>, state: &State) -> Try<'a> {
        let Next { endpoint, place, role, credential } = next;
        if credential.is_none() {
            self.refused.clear();
        }
        let credential = credential.or_else(|| shown(endpoint, state));
        Try { endpoint, settings: self.plan.settings(place), credential, role, limit: None, place }
    }

    /// The attempt at a target failed; it stands at this place in the record.
    ///
    /// # Errors
    /// Its own, when no other target could mend it.
    pub(crate) fn failed(
        &mut self,
        state: &State,
        ticket: &mut Ticket,
        at: usize,
        tried: &Try<'a>,
        failed: Failed,
    ) -> Result<(), Error> {
        let Failed { status, error } = failed;
        ticket.attempted(at, status, Some(&error));
        let &Try { endpoint, place, role, .. } = tried;
        let next = Next { endpoint, place, role, credential: None };
        if let Some(other) = self.other_credential(state, tried, &error) {
            self.open.push(Next { credential: Some(other), ..next });
            self.last = Some(error);
            return Ok(());
        }
        hurt(state, endpoint, &error);
        match error.retry_advice() {
            Retry::Never => return Err(error),
            Retry::Elsewhere => {}
            Retry::Again => self.again.push(next),
        }
        // Where a class of failure has a list of its own, the plan's other targets are not asked: they would say the same.
        if matches!(error.kind(), Kind::ContextWindow | Kind::ContentPolicy) && !self.detoured {
            match self.plan.detours.own(Detours::class(error.kind())) {
                Some([]) => return Err(error),
                Some(_) => {
                    self.open.clear();
                    self.again.clear();
                    self.detour(&error, state, false);
                }
                None => {}
            }
        }
        self.last = Some(error);
        Ok(())
    }

    /// Another credential of the same provider that may mend a failure.
    fn other_credential(&mut self, state: &State, tried: &Try<'a>, error: &Error) -> Option<usize> {
        let accounts = tried.endpoint.site.accounts.as_ref()?;
        let credential = tried.credential.filter(|_| is_of_credential(error.kind()))?;
        let now = state.clock.now();
        if let Some(account) = accounts.all().get(credential)
            && account.refused(error.kind(), error.wait(), now)
        {
            let (provider, kind) = (&tried.endpoint.target.provider, error.kind());
            state.events.emit(&Event::CredentialRests { provider, credential: &account.name, kind });
        }
        self.refused.push(credential);
        accounts.next(now, &self.refused, false)
    }

    /// Goes over to the list for a failure. Whether there was one.
    fn detour(&mut self, error: &Error, state: &State, at_the_end: bool) -> bool {
        if self.detoured || error.retry_advice() == Retry::Never {
            return false;
        }
        let class = Detours::class(error.kind());
        let list = if at_the_end { self.plan.detours.of(class) } else { self.plan.detours.own(class) };
        let Some(list) = list.filter(|list| !list.is_empty()) else { return false };
        self.detoured = true;
        let now = state.clock.now();
        let is_in = |endpoint: &&Arc<Endpoint>| endpoint.admit(now, &state.breakers).out_until().is_none();
        let mut endpoints: Vec<&Arc<Endpoint>> = list.iter().filter(is_in).collect();
        if endpoints.is_empty() {
            // A likely failure is better than a sure one.
            endpoints.extend(list);
        }
        let tried = |endpoint: &Arc<Endpoint>| {
            self.plan.endpoints.iter().any(|planned| planned.target == endpoint.target)
        };
        let next = |endpoint| Next { endpoint, place: 0, role: Role::Fallback, credential: None };
        self.open = endpoints.into_iter().filter(|endpoint| !tried(endpoint)).map(next).rev().collect();
        !self.open.is_empty()
    }
}

/// The credential that an endpoint is shown next, where there are several.
pub(super) fn shown(endpoint: &Endpoint, state: &State) -> Option<usize> {
    endpoint.site.accounts.as_ref().and_then(|accounts| accounts.next(state.clock.now(), &[], true))
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

/// Notes a success of an endpoint, with the credential at this place.
pub(crate) fn healthy(state: &State, endpoint: &Endpoint, credential: Option<usize>) {
    if let Some(accounts) = &endpoint.site.accounts
        && let Some(account) = credential.and_then(|at| accounts.all().get(at))
    {
        account.accepted();
    }
    if endpoint.succeeded(state.clock.now(), &state.breakers) {
        changed(state, endpoint, false);
    }
}

/// Notes a failure of an endpoint, as far as it speaks against it.
pub(crate) fn hurt(state: &State, endpoint: &Endpoint, error: &Error) {
    let now = state.clock.now();
    if error.kind() == Kind::UpstreamRateLimited {
        if let Some(wait) = error.wait() {
            endpoint.breaker.limit(now.plus(wait.min(LONGEST_LIMIT)), now);
        }
    } else if error.kind().counts_against_health() && endpoint.failed(error.kind(), now, &state.breakers) {
        changed(state, endpoint, true);
    }
}

fn changed(state: &State, endpoint: &Endpoint, open: bool) {
    let (provider, model) = (&endpoint.target.provider, &endpoint.target.model);
    state.events.emit(&Event::BreakerChanged { provider, model, open });
}
