//! Connections that are kept between calls. The last that was used is used next, so that the others grow old and go.

use std::collections::{HashMap, VecDeque};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};
use std::time::Duration;

use http::{Request, Response};
use hyper::client::conn::{http1, http2};
use lockgate_core::Error;
use lockgate_core::upstream::{Address, Http2};
use tokio::time::Instant;

use super::body::{Incoming, Outgoing};
use super::connect::{Connection, connect};

/// Idle connections that are kept to one place.
const MOST_IDLE: usize = 512;
/// How long a connection is kept idle; below the idle limit of common servers and balancers (60 s).
const LONGEST_IDLE: Duration = Duration::from_secs(45);

/// The connections of one worker.
#[derive(Default)]
pub(super) struct Pool {
    places: Mutex<HashMap<Place, Kept>>,
}

/// Where connections go, and what was agreed for them.
#[derive(Clone, PartialEq, Eq, Hash)]
struct Place {
    https: bool,
    authority: http::uri::Authority,
    http2: u8,
    insecure: bool,
    ca: Option<Arc<[u8]>>,
}

#[derive(Default)]
struct Kept {
    idle: VecDeque<(http1::SendRequest<Outgoing>, Instant)>,
    shared: Option<http2::SendRequest<Outgoing>>,
}

/// A connection for one call.
pub(super) struct Lease {
    sender: Sender,
    kept: bool,
    home: Weak<Pool>,
    place: Place,
}

enum Sender {
    One(http1::SendRequest<Outgoing>),
    Many(http2::SendRequest<Outgoing>),
}

// === impl Pool ===

impl Pool {
    /// A connection to an address: one that was kept, or a new one.
    pub(super) async fn lease(self: &Arc<Self>, address: &Address, limit: Duration) -> Result<Lease, Error> {
        let place = Place::of(address);
        let lease = |sender, kept, place| Lease { sender, kept, home: Arc::downgrade(self), place };
        if let Some(sender) = self.take(&place) {
            return Ok(lease(sender, true, place));
        }
        match connect(address, limit).await? {
            Connection::Http1(sender) => Ok(lease(Sender::One(sender), false, place)),
            Connection::Http2(sender) => {
                self.lock().entry(place.clone()).or_default().shared = Some(sender.clone());
                Ok(lease(Sender::Many(sender), false, place))
            }
        }
    }

    fn take(&self, place: &Place) -> Option<Sender> {
        let mut places = self.lock();
        let kept = places.get_mut(place)?;
        if let Some(shared) = &kept.shared {
            if !shared.is_closed() {
                return Some(Sender::Many(shared.clone()));
            }
            kept.shared = None;
        }
        // A connection whose last answer is still being wound up is left for later.
        let mut busy = Vec::new();
        let mut found = None;
        while let Some((sender, since)) = kept.idle.pop_back() {
            if sender.is_ready() {
                found = Some(Sender::One(sender));
                break;
            }
            if !sender.is_closed() {
                busy.push((sender, since));
                if busy.len() == 4 {
                    break;
                }
            }
        }
        kept.idle.extend(busy.into_iter().rev());
        found
    }

    fn give(&self, place: &Place, sender: http1::SendRequest<Outgoing>) {
        if sender.is_closed() {
            return;
        }
        let now = Instant::now();
        let mut places = self.lock();
        if !places.contains_key(place) {
            places.insert(place.clone(), Kept::default());
        }
        let Some(kept) = places.get_mut(place) else { return };
        while kept
            .idle
            .front()
            .is_some_and(|(oldest, since)| oldest.is_closed() || now - *since > LONGEST_IDLE)
        {
            kept.idle.pop_front();
        }
        if kept.idle.len() < MOST_IDLE {
            kept.idle.push_back((sender, now));
        }
    }

    #[cfg(test)]
    pub(super) fn idle(&self) -> usize {
        self.lock().values().map(|kept| kept.idle.len()).sum()
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<Place, Kept>> {
        self.places.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

// === impl Place ===

impl Place {
    fn of(address: &Address) -> Self {
        Self {
            https: address.scheme == http::uri::Scheme::HTTPS,
            authority: address.authority.clone(),
            http2: match address.http2 {
                Http2::Auto => 0,
                Http2::Never => 1,
                Http2::Always => 2,
            },
            insecure: address.insecure,
            ca: address.ca.clone(),
        }
    }
}

// === impl Lease ===

impl Lease {
    pub(super) const fn is_http2(&self) -> bool {
        matches!(self.sender, Sender::Many(_))
    }

    /// Whether the connection was used before.
    pub(super) const fn was_kept(&self) -> bool {
        self.kept
    }

    pub(super) async fn send(
        &mut self,
        request: Request<Outgoing>,
    ) -> Result<Response<Incoming>, hyper::Error> {
        match &mut self.sender {
            Sender::One(sender) => sender.send_request(request).await,
            Sender::Many(sender) => {
                sender.ready().await?;
                sender.send_request(request).await
            }
        }
    }

    /// The answer was read to its end, so the connection can be used again.
    pub(super) fn give_back(self) {
        if let (Sender::One(sender), Some(home)) = (self.sender, self.home.upgrade()) {
            home.give(&self.place, sender);
        }
    }
}
