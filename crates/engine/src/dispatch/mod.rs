//! Calls targets until one has said something. Until then nothing has gone to the client, so a target that fails is
//! passed over without a trace but in the record.

mod attempt;
mod budget;
pub(crate) mod collect;
mod handover;
mod hedge;
mod onward;
mod outbound;
mod tries;
mod underway;

use bytes::Bytes;
use http::{HeaderMap, StatusCode};
use lockgate_core::{Error, Usage};
use lockgate_dialect::Losses;
use lockgate_route::{OnBreak, Plan};

pub(crate) use attempt::{Failed, bad, native, refusal, timely};
pub(crate) use budget::Budget;
pub(crate) use onward::{Onward, Seam};
pub(crate) use outbound::{Ask, filled, strict, within};
pub(crate) use tries::{Tries, Try, healthy, hurt};
pub(crate) use underway::Underway;

use crate::engine::Engine;
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
    let state = &engine.state;
    let mut tries = Tries::new(plan, budget);
    loop {
        let tried = tries.next(state).await?;
        let at = ticket.attempt(tried.endpoint, tried.credential, tried.role);
        // Reserve: nothing is sent that an account cannot pay for.
        let tried = match ticket.hold(at, tried.endpoint, ask).await {
            Ok(limit) => Try { limit, ..tried },
            Err(error) => {
                tries.failed(state, ticket, at, &tried, Failed { status: None, error })?;
                continue;
            }
        };
        let (tried, at, outcome) = match hedge::delay(&tried, ask) {
            None => (tried, at, attempt::attempt(engine, ask, &tried, &budget).await),
            // Rare, and as large as two attempts: in a box, the usual call stays small.
            Some(delay) => Box::pin(hedge::race(engine, ask, &mut tries, (tried, at), delay, ticket)).await?,
        };
        match outcome {
            Ok(mut landed) => {
                ticket.attempted(at, Some(landed.status.as_u16()), None);
                ticket.answers(at, tried.endpoint);
                healthy(state, tried.endpoint, tried.credential);
                if let Landing::Stream(begun) = &mut landed.landing {
                    begun.at = at;
                    if tried.settings.on_break == Some(OnBreak::Continue) {
                        begun.seam = Some(Box::new(Seam::new(engine, ask, &tries, &tried)));
                    }
                }
                return Ok(landed);
            }
            Err(failed) => tries.failed(state, ticket, at, &tried, failed)?,
        }
    }
}
