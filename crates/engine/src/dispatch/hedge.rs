//! A second attempt beside one that is slow to speak. Whoever says something first is kept, the other is given up and
//! accounted. Both are futures of this request: no task is spawned.

use std::time::Duration;

use lockgate_core::Error;
use lockgate_route::Hedge;
use tokio::time::{Instant, sleep};

use super::attempt::attempt;
use super::{Ask, Failed, Landed, Tries, Try};
use crate::engine::Engine;
use crate::record::Ticket;
use crate::relay::{input_estimate, usage_estimate};

/// An attempt that ended: which, its place in the record, and how.
type Ended<'a> = (Try<'a>, usize, Result<Landed, Failed>);

/// How long an attempt is awaited before a second one begins; `None`: there is no second one.
pub(super) fn delay(tried: &Try<'_>, ask: &Ask<'_>) -> Option<Duration> {
    let hedge = tried.settings.hedge.filter(|hedge| *hedge != Hedge::Off && ask.turn.stream)?;
    tried.endpoint.tempo.hedges.earn();
    // A first answer teaches what is usual; until enough is known the delay is none.
    Some(tried.endpoint.tempo.delay(hedge).unwrap_or(Duration::MAX))
}

/// Runs an attempt, and beside it another target's once the delay is over.
///
/// # Errors
/// That of the first of two attempts that no other target could mend.
pub(super) async fn race<'a>(
    engine: &Engine,
    ask: &Ask<'_>,
    tries: &mut Tries<'a>,
    (first, at): (Try<'a>, usize),
    delay: Duration,
    ticket: &mut Ticket,
) -> Result<Ended<'a>, Error> {
    let budget = tries.budget;
    let begun = Instant::now();
    let tempo = &first.endpoint.tempo;
    let mut one = std::pin::pin!(attempt(engine, ask, &first, &budget));
    let waited = delay.min(budget.left());
    let single = tokio::select! {
        biased;
        ended = &mut one => Some(ended),
        () = sleep(waited) => None,
    };
    if let Some(ended) = single {
        if ended.is_ok() {
            tempo.took(begun.elapsed());
        }
        return Ok((first, at, ended));
    }
    let second = if tempo.hedges.spend() { tries.beside(&engine.state) } else { None };
    let Some(second) = second else {
        let ended = one.await;
        tempo.took(begun.elapsed());
        return Ok((first, at, ended));
    };
    let beside = ticket.attempt(second.endpoint, second.credential, second.role);
    let second = match ticket.hold(beside, second.endpoint, ask).await {
        Ok(limit) => Try { limit, ..second },
        Err(error) => {
            ticket.attempted(beside, None, Some(&error));
            let ended = one.await;
            tempo.took(begun.elapsed());
            return Ok((first, at, ended));
        }
    };
    let mut two = std::pin::pin!(attempt(engine, ask, &second, &budget));
    let (ended, is_first) = tokio::select! {
        biased;
        ended = &mut one => (ended, true),
        ended = &mut two => (ended, false),
    };
    // Whether it spoke or is given up: it took at least so long.
    tempo.took(begun.elapsed());
    let (ours, other) =
        if is_first { ((first, at), (second, beside)) } else { ((second, beside), (first, at)) };
    if ended.is_ok() {
        ticket.given_up(other.1);
        // It was sent, so its prompt may be charged.
        ticket.spent(other.1, other.0.endpoint, usage_estimate(input_estimate(&ask.turn), 0));
        return Ok((ours.0, ours.1, ended));
    }
    if let Err(failed) = ended {
        tries.failed(&engine.state, ticket, ours.1, &ours.0, failed)?;
    }
    let ended = if is_first { two.await } else { one.await };
    Ok((other.0, other.1, ended))
}
