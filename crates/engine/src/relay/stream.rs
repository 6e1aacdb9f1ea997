//! A stream under way. The client's connection pulls it: no task and no channel stand between, so the client's own
//! pace is the provider's, and a client that leaves takes the provider's stream with it.

use std::collections::VecDeque;
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use bytes::Bytes;
use lockgate_core::port::Inflow;
use lockgate_core::{Error, Outcome, RequestId, Usage};
use lockgate_dialect::Dialect;
use lockgate_route::health::{Ended, Sample};
use tokio::time::Instant;

use super::estimate::usage_estimate;
use super::quiet::Quiet;
use super::{Course, Flow, Transcript};
use crate::dispatch::{Onward, Seam, Underway, hurt};
use crate::engine::State;
use crate::record::Ticket;

/// A stream whose first content has come.
pub(crate) struct Begun {
    pub(crate) state: Arc<State>,
    pub(crate) dialect: &'static dyn Dialect,
    pub(crate) endpoint: Underway,
    pub(crate) inflow: Inflow,
    pub(crate) course: Course,
    /// What came before and with the first content.
    pub(crate) held: Flow,
    /// Input tokens, should the provider not say.
    pub(crate) input_estimate: u64,
    /// How long the answer may pause, if its route says.
    pub(crate) between: Option<Duration>,
    /// The attempt's place in the record.
    pub(crate) at: usize,
    /// How it goes on should it break; `None`: it does not.
    pub(crate) seam: Option<Box<Seam>>,
}

/// What a provider has made of an answer beyond what was read when it breaks off, in bytes: some sixteen tokens, a tenth of a
/// second of most models.
const ON_THE_WAY: u64 = 64;

/// The body of a streamed answer.
pub struct Relay {
    state: Arc<State>,
    dialect: &'static dyn Dialect,
    endpoint: Underway,
    /// `None` when the stream has ended, or was given up.
    inflow: Option<Inflow>,
    course: Course,
    ready: VecDeque<Bytes>,
    flow: Flow,
    /// `None` when the record was handed over, or is on its way with `onward`.
    ticket: Option<Ticket>,
    id: RequestId,
    input_estimate: u64,
    at: usize,
    /// When the first content came.
    since: Instant,
    quiet: Option<Box<Quiet>>,
    seam: Option<Box<Seam>>,
    /// The stream broke and is being gone on with.
    onward: Option<Pin<Box<dyn Future<Output = Mended> + Send>>>,
}

/// What comes of going on.
struct Mended {
    seam: Box<Seam>,
    ticket: Ticket,
    result: Result<Onward, Error>,
}

// === impl Relay ===

impl Relay {
    pub(crate) fn new(mut begun: Begun, ticket: Ticket, id: RequestId) -> Self {
        if let (Some(seam), Course::Tee(_)) = (&mut begun.seam, &begun.course) {
            seam.keep(&begun.held);
        }
        Self {
            state: begun.state,
            dialect: begun.dialect,
            endpoint: begun.endpoint,
            inflow: Some(begun.inflow),
            course: begun.course,
            ready: begun.held.into(),
            flow: Flow::new(),
            ticket: Some(ticket),
            id,
            input_estimate: begun.input_estimate,
            at: begun.at,
            since: Instant::now(),
            quiet: begun.between.map(|limit| Box::new(Quiet::new(limit))),
            seam: begun.seam,
            onward: None,
        }
    }

    /// The next piece for the client.
    pub(crate) fn poll_next(&mut self, cx: &mut Context<'_>) -> Poll<Option<Bytes>> {
        loop {
            if let Some(piece) = self.ready.pop_front() {
                return Poll::Ready(Some(piece));
            }
            if let Some(onward) = &mut self.onward {
                let Poll::Ready(mended) = onward.as_mut().poll(cx) else { return Poll::Pending };
                self.onward = None;
                self.mended(mended);
                continue;
            }
            let Some(inflow) = &mut self.inflow else { return Poll::Ready(None) };
            let Poll::Ready(next) = inflow.as_mut().poll_frame(cx) else {
                let said = self.course.content_bytes();
                match self.quiet.as_mut().and_then(|quiet| quiet.poll_over(said, cx)) {
                    Some(error) => self.broke(error),
                    None => return Poll::Pending,
                }
                continue;
            };
            let result = match next {
                Some(Ok(frame)) => match frame.into_data() {
                    Ok(chunk) => self.course.feed(&chunk, &mut self.flow),
                    // Trailers say nothing that the client needs.
                    Err(_) => Ok(()),
                },
                Some(Err(error)) => Err(error),
                None => {
                    let end = self.course.end(&mut self.flow);
                    self.pass_on();
                    match end {
                        Ok(()) => self.close(None),
                        Err(error) => self.broke(error),
                    }
                    continue;
                }
            };
            self.pass_on();
            if let Err(error) = result {
                let error = self.course.take_failure().unwrap_or(error);
                self.broke(error);
            }
        }
    }

    /// Whether nothing more will come.
    pub(crate) fn is_over(&self) -> bool {
        self.inflow.is_none() && self.ready.is_empty() && self.onward.is_none()
    }

    fn pass_on(&mut self) {
        if let (Some(seam), Course::Tee(_)) = (&mut self.seam, &self.course) {
            seam.keep(&self.flow);
        }
        self.ready.extend(self.flow.drain(..));
    }

    /// The stream broke: it is gone on with, or it ends.
    fn broke(&mut self, error: Error) {
        let error = match self.seam.take() {
            None => error,
            Some(seam) => match self.mend(seam, error) {
                Ok(()) => return,
                Err(error) => error,
            },
        };
        self.close(Some(&error));
    }

    /// Begins to go on.
    ///
    /// # Errors
    /// The error itself, where that cannot be.
    fn mend(&mut self, mut seam: Box<Seam>, error: Error) -> Result<(), Error> {
        let provider = &self.endpoint.target.provider;
        if self.course.told() || seam.read_again(&mut self.course, provider).is_none() {
            return Err(error);
        }
        let Course::Transcode(transcode) = &mut self.course else { return Err(error) };
        // All was said, and only the end is missing.
        if transcode.settle(&mut self.flow) {
            self.ready.extend(self.flow.drain(..));
            self.close(None);
            return Ok(());
        }
        let Some(said) = transcode.said().filter(|said| seam.may_go_on(said, &error)).cloned() else {
            return Err(error);
        };
        let Some(mut ticket) = self.ticket.take() else { return Err(error) };
        self.inflow = None;
        ticket.broke(self.at, &error);
        ticket.spent(self.at, &self.endpoint, self.usage());
        hurt(&self.state, &self.endpoint, &error);
        self.input_estimate = seam.input_estimate(&said);
        self.onward = Some(Box::pin(going_on(seam, said, error, ticket)));
        Ok(())
    }

    /// What going on has come to.
    fn mended(&mut self, mended: Mended) {
        let Mended { seam, mut ticket, result } = mended;
        let onward = match result {
            Ok(onward) => onward,
            Err(error) => {
                self.ready.push_back(self.dialect.error_event(&error, self.id, self.course.events()));
                if let Some(losses) = self.course.losses() {
                    ticket.lost(losses);
                }
                ticket.finish(Outcome::Broken, Some(&error));
                return;
            }
        };
        let Onward { endpoint, at, inflow, inlet, joint, first, losses } = onward;
        ticket.lost(&losses);
        self.endpoint = endpoint;
        self.at = at;
        self.since = Instant::now();
        self.ticket = Some(ticket);
        self.seam = Some(seam);
        let Course::Transcode(transcode) = &mut self.course else { return };
        let joined = transcode.splice(inlet, joint, first, &mut self.flow);
        let ended = transcode.complete();
        self.ready.extend(self.flow.drain(..));
        match joined {
            Ok(()) if ended => self.close(None),
            Ok(()) => self.inflow = Some(inflow),
            Err(error) => self.broke(error),
        }
    }

    /// Ends the stream towards both sides, and books it.
    fn close(&mut self, error: Option<&Error>) {
        self.inflow = None;
        let Some(mut ticket) = self.ticket.take() else { return };
        self.book(&mut ticket);
        match error {
            None => {
                self.measured();
                ticket.finish(Outcome::Ok, None);
            }
            Some(error) => {
                if !self.course.told() {
                    self.ready.push_back(self.dialect.error_event(error, self.id, self.course.events()));
                }
                hurt(&self.state, &self.endpoint, error);
                ticket.broke(self.at, error);
                ticket.finish(Outcome::Broken, Some(error));
            }
        }
    }

    /// Tells how fast the endpoint spoke.
    fn measured(&self) {
        let tokens = self.usage().output_total();
        let streamed = Some((tokens, self.since.elapsed()));
        let sample =
            Sample { ended: Ended::Unsaid, input_tokens: self.input_estimate, first: None, streamed };
        self.endpoint.health.saw(self.state.clock.now(), &sample);
    }

    fn book(&self, ticket: &mut Ticket) {
        // What was lost behind the first content is in no header any more.
        if let Some(losses) = self.course.losses() {
            ticket.lost(losses);
        }
        ticket.used(Some(self.usage()));
    }

    /// What the stream under way consumed, reported or estimated.
    fn usage(&self) -> Usage {
        // What the provider has made and nobody has read yet is billed as well.
        let on_the_way = if self.course.complete() { 0 } else { ON_THE_WAY };
        let estimate = || usage_estimate(self.input_estimate, self.course.content_bytes() + on_the_way);
        self.course.usage().unwrap_or_else(estimate)
    }
}

async fn going_on(mut seam: Box<Seam>, said: Transcript, error: Error, mut ticket: Ticket) -> Mended {
    let result = seam.go_on(&said, error, &mut ticket).await;
    Mended { seam, ticket, result }
}

impl Drop for Relay {
    fn drop(&mut self) {
        // The client left: what came so far is booked, and dropping the ticket says why it ended.
        if let Some(mut ticket) = self.ticket.take() {
            self.book(&mut ticket);
            // Many clients leave at the end mark, before the provider has closed: they have had the whole answer.
            if self.ready.is_empty() && self.course.complete() {
                ticket.finish(Outcome::Ok, None);
            }
        }
    }
}
