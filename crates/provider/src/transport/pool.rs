//! Connections that are kept between calls. The last that was used is used next, so that the others grow old and go.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use http::uri::{Authority, Scheme};
use hyper::client::conn::http2;
use lockgate_core::upstream::{Address, Http2};
use tokio::time::Instant;

use super::body::Outgoing;
use super::http1::Link;

/// Idle connections that are kept to one place.
const MOST_IDLE: usize = 512;
/// How long a connection is kept idle; below the idle limit of common servers and balancers (60 s).
const LONGEST_IDLE: Duration = Duration::from_secs(45);

/// The connections of one worker.
#[derive(Default)]
pub(super) struct Pool {
    /// A handful, so a search is faster than a hash.
    places: Mutex<Vec<(Place, Kept)>>,
}

/// Where connections go, and what was agreed for them.
#[derive(Clone, PartialEq, Eq)]
pub(super) struct Place {
    https: bool,
    authority: Authority,
    http2: Http2,
    insecure: bool,
    ca: Option<Arc<[u8]>>,
}

/// A connection that was kept.
pub(super) enum Found {
    /// For this call alone.
    One(Link),
    /// Shared by many calls.
    Many(http2::SendRequest<Outgoing>),
}

#[derive(Default)]
struct Kept {
    idle: VecDeque<(Link, Instant)>,
    shared: Option<http2::SendRequest<Outgoing>>,
}

// === impl Pool ===

impl Pool {
    /// A connection to a place that can be used at once.
    pub(super) fn take(&self, place: &Place) -> Option<Found> {
        let mut places = self.lock();
        let (_, kept) = places.iter_mut().find(|(other, _)| other == place)?;
        if let Some(shared) = &kept.shared {
            if !shared.is_closed() {
                return Some(Found::Many(shared.clone()));
            }
            kept.shared = None;
        }
        while let Some((mut link, _)) = kept.idle.pop_back() {
            if link.is_quiet() {
                return Some(Found::One(link));
            }
        }
        None
    }

    /// Keeps a connection whose answer was read to its end.
    pub(super) fn give(&self, place: &Place, link: Link, now: Instant) {
        let mut places = self.lock();
        let kept = kept(&mut places, place);
        while kept.idle.front().is_some_and(|(_, since)| now - *since > LONGEST_IDLE) {
            kept.idle.pop_front();
        }
        if kept.idle.len() < MOST_IDLE {
            kept.idle.push_back((link, now));
        }
    }

    /// Lets further calls share a connection.
    pub(super) fn share(&self, place: &Place, sender: http2::SendRequest<Outgoing>) {
        kept(&mut self.lock(), place).shared = Some(sender);
    }

    #[cfg(test)]
    pub(super) fn idle(&self) -> usize {
        self.lock().iter().map(|(_, kept)| kept.idle.len()).sum()
    }

    fn lock(&self) -> MutexGuard<'_, Vec<(Place, Kept)>> {
        self.places.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn kept<'a>(places: &'a mut Vec<(Place, Kept)>, place: &Place) -> &'a mut Kept {
    let at = places.iter().position(|(other, _)| other == place).unwrap_or_else(|| {
        places.push((place.clone(), Kept::default()));
        places.len() - 1
    });
    &mut places[at].1
}

// === impl Place ===

impl Place {
    pub(super) fn of(address: &Address) -> Self {
        Self {
            https: address.scheme == Scheme::HTTPS,
            authority: address.authority.clone(),
            http2: address.http2,
            insecure: address.insecure,
            ca: address.ca.clone(),
        }
    }
}
