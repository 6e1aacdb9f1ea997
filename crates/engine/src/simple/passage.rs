//! An answer that passes as it comes: sound, events of other operations, whatever a provider sends.

use std::sync::Arc;
use std::task::{Context, Poll};

use bytes::Bytes;
use http_body::SizeHint;
use lockgate_core::port::Inflow;
use lockgate_core::{Error, Outcome};
use lockgate_dialect::operation::Listener;
use lockgate_route::Endpoint;

use crate::dispatch::hurt;
use crate::engine::State;
use crate::record::Ticket;

/// An answer whose first piece has come.
pub(super) struct Begun {
    pub(super) first: Bytes,
    pub(super) inflow: Inflow,
    pub(super) listener: Listener,
    /// Whose health a failure speaks against; `None` where it says nothing about a model.
    pub(super) endpoint: Option<Arc<Endpoint>>,
}

/// The body of an answer that passes as it comes. The client's connection pulls it.
pub struct Passage {
    state: Arc<State>,
    first: Option<Bytes>,
    /// `None` when the answer has ended, or was given up.
    inflow: Option<Inflow>,
    listener: Listener,
    endpoint: Option<Arc<Endpoint>>,
    /// `None` when the record was handed over.
    ticket: Option<Ticket>,
}

// === impl Passage ===

impl Passage {
    pub(super) fn new(begun: Begun, state: Arc<State>, ticket: Ticket) -> Self {
        let Begun { first, inflow, mut listener, endpoint } = begun;
        listener.hear(&first);
        Self { state, first: Some(first), inflow: Some(inflow), listener, endpoint, ticket: Some(ticket) }
    }

    /// The next piece for the client.
    pub(crate) fn poll_next(&mut self, cx: &mut Context<'_>) -> Poll<Option<Result<Bytes, Error>>> {
        if let Some(first) = self.first.take() {
            self.settle();
            return Poll::Ready(Some(Ok(first)));
        }
        loop {
            let Some(inflow) = &mut self.inflow else { return Poll::Ready(None) };
            let Poll::Ready(next) = inflow.as_mut().poll_frame(cx) else { return Poll::Pending };
            match next {
                Some(Ok(frame)) => {
                    // Trailers say nothing that the client needs.
                    let Ok(piece) = frame.into_data() else { continue };
                    self.listener.hear(&piece);
                    self.settle();
                    return Poll::Ready(Some(Ok(piece)));
                }
                Some(Err(error)) => {
                    self.close(Some(&error));
                    return Poll::Ready(Some(Err(error)));
                }
                None => {
                    self.close(None);
                    return Poll::Ready(None);
                }
            }
        }
    }

    /// Whether nothing more will come.
    pub(crate) const fn is_over(&self) -> bool {
        self.inflow.is_none() && self.first.is_none()
    }

    /// How much is still to come, as far as that is known.
    pub(crate) fn left(&self) -> SizeHint {
        let first = self.first.as_ref().map_or(0, Bytes::len) as u64;
        let Some(inflow) = &self.inflow else { return SizeHint::with_exact(first) };
        let behind = inflow.size_hint();
        let mut left = SizeHint::new();
        left.set_lower(behind.lower().saturating_add(first));
        if let Some(upper) = behind.upper() {
            left.set_upper(upper.saturating_add(first).max(left.lower()));
        }
        left
    }

    /// Closes an answer whose end is known with its last piece: a connection that has sent all asks for no more.
    fn settle(&mut self) {
        if self.inflow.as_ref().is_some_and(|inflow| inflow.is_end_stream()) {
            self.close(None);
        }
    }

    /// Ends the answer towards both sides, and books it.
    fn close(&mut self, error: Option<&Error>) {
        self.inflow = None;
        let Some(mut ticket) = self.ticket.take() else { return };
        ticket.counted(self.listener.usage(), &self.listener.counts());
        match error {
            None => ticket.finish(Outcome::Ok, None),
            Some(error) => {
                if let Some(endpoint) = &self.endpoint {
                    hurt(&self.state, endpoint, error);
                }
                ticket.finish(Outcome::Broken, Some(error));
            }
        }
    }
}

impl Drop for Passage {
    fn drop(&mut self) {
        // The client left: what was asked for is paid for, and dropping the ticket says why it ended.
        if let Some(ticket) = &mut self.ticket {
            ticket.counted(self.listener.usage(), &self.listener.counts());
        }
    }
}
