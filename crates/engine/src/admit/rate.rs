//! Whether the limits let a request pass, and what an answer says of them.

use http::header::{HeaderMap, HeaderName, HeaderValue};
use lockgate_core::{Error, Event};
use lockgate_ledger::rate::{Measure, Standing, Standings, span};

use crate::engine::State;
use crate::record::Ticket;

/// A kind of limits in headers, as OpenAI has them.
struct Family {
    limit: HeaderName,
    remaining: HeaderName,
    reset: HeaderName,
}

const REQUESTS: Family = Family {
    limit: HeaderName::from_static("x-ratelimit-limit-requests"),
    remaining: HeaderName::from_static("x-ratelimit-remaining-requests"),
    reset: HeaderName::from_static("x-ratelimit-reset-requests"),
};
const TOKENS: Family = Family {
    limit: HeaderName::from_static("x-ratelimit-limit-tokens"),
    remaining: HeaderName::from_static("x-ratelimit-remaining-tokens"),
    reset: HeaderName::from_static("x-ratelimit-reset-tokens"),
};
/// Where providers speak of their own limits, which are not the client's.
const THEIRS: &str = "x-ratelimit-";

/// Lets a request pass, which takes of all limits that count it until its ticket ends. `measure` is what it is likely to use, if
/// its answer has as many tokens as it is given.
///
/// # Errors
/// `RateLimited` that names the limit and says when to come back.
pub(crate) fn admit(
    state: &State,
    ticket: &mut Ticket,
    measure: impl FnOnce(u64) -> Measure,
) -> Result<(), Error> {
    let limits = &state.limits;
    if limits.is_empty() {
        return Ok(());
    }
    let admitted = match ticket.subject() {
        Some((subject, asked)) => {
            let measure = || measure(limits.expectations().of(asked, ""));
            limits.admit(&subject, measure, state.clock.now())
        }
        None => Ok(None),
    };
    match admitted {
        Ok(grant) => {
            ticket.granted(grant);
            Ok(())
        }
        Err(refused) => {
            state.events.emit(&Event::LimitRefused { limit: refused.name() });
            ticket.stopped(refused.standings);
            Err(refused.error())
        }
    }
}

/// Says in an answer how the limits stand, in place of what its provider says of its own.
pub(crate) fn tell(standings: &Standings, headers: &mut HeaderMap) {
    if standings.is_empty() {
        return;
    }
    let theirs: Vec<HeaderName> =
        headers.keys().filter(|name| name.as_str().starts_with(THEIRS)).cloned().collect();
    for name in theirs {
        headers.remove(name);
    }
    for (family, standing) in [(REQUESTS, standings.requests), (TOKENS, standings.tokens)] {
        let Some(Standing { limit, remaining, reset }) = standing else { continue };
        headers.insert(family.limit, HeaderValue::from(limit));
        headers.insert(family.remaining, HeaderValue::from(remaining));
        if let Ok(reset) = HeaderValue::try_from(span(reset)) {
            headers.insert(family.reset, reset);
        }
    }
}
