//! What the demo upstream saw, and which fault it shows next.

use std::collections::{BTreeMap, VecDeque};
use std::sync::{Mutex, MutexGuard, PoisonError};

use bytes::Bytes;
use http::{HeaderMap, Method, Request};
use tokio::time::Instant;

use crate::fault::Injection;

/// Most cancellations that are kept one by one.
const MAX_CANCELLED: usize = 10_000;

/// What a demo upstream saw. Control calls are not counted.
#[derive(Debug, Clone, Default)]
pub struct Stats {
    /// Connections accepted.
    pub connections: u64,
    /// Requests read to their end.
    pub requests: u64,
    /// The same by path (without the query).
    pub by_path: BTreeMap<String, u64>,
    /// Requests that are being answered now.
    pub in_flight: u64,
    /// Clients that went away before the end of an answer, oldest first; at most the first 10,000.
    pub cancelled: Vec<Cancelled>,
    /// Number of requests struck by each fault.
    pub faults: BTreeMap<&'static str, u64>,
    /// The last requests, oldest first (`Options::keep` of them).
    pub recent: VecDeque<Recorded>,
}

/// A client that went away.
#[derive(Debug, Clone)]
pub struct Cancelled {
    /// When the server noticed.
    pub at: Instant,
    /// Path of the request.
    pub path: String,
    /// Pieces of the body that were sent before; an event each, unless a fault cut them differently.
    pub pieces: u64,
    /// Whether the head of the answer was sent.
    pub head_sent: bool,
}

/// A request as it arrived.
#[derive(Debug, Clone)]
pub struct Recorded {
    /// Method.
    pub method: Method,
    /// Path and query.
    pub target: String,
    /// Headers in the order in which they came.
    pub headers: HeaderMap,
    /// Body, without chunk framing.
    pub body: Bytes,
}

/// The shared state of a server.
#[derive(Debug)]
pub(crate) struct Book {
    keep: usize,
    inner: Mutex<Inner>,
}

#[derive(Debug)]
struct Inner {
    stats: Stats,
    order: Option<Order>,
}

/// The standing fault.
#[derive(Debug)]
struct Order {
    injection: Injection,
    /// Requests seen since it stands.
    seen: u64,
    /// Requests struck.
    struck: u64,
}

impl Book {
    pub(crate) fn new(keep: usize, injection: Option<Injection>) -> Self {
        let book = Self { keep, inner: Mutex::new(Inner { stats: Stats::default(), order: None }) };
        book.set_fault(injection);
        book
    }

    fn lock(&self) -> MutexGuard<'_, Inner> {
        // Nothing panics while it holds the lock, and numbers are worth keeping even if something did.
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(crate) fn stats(&self) -> Stats {
        self.lock().stats.clone()
    }

    pub(crate) fn set_fault(&self, injection: Option<Injection>) {
        self.lock().order = injection.map(|injection| Order { injection, seen: 0, struck: 0 });
    }

    /// The standing fault, if it strikes this request.
    pub(crate) fn draw(&self) -> Option<Injection> {
        let mut inner = self.lock();
        let order = inner.order.as_mut()?;
        let rate = order.injection.rate.unwrap_or(1.0);
        order.seen += 1;
        let due = |seen: u64| (seen as f64 * rate + 1e-9).floor();
        if due(order.seen) <= due(order.seen - 1) {
            return None;
        }
        order.struck += 1;
        let injection = order.injection.clone();
        if injection.count.is_some_and(|count| order.struck > count) {
            inner.order = None;
            return None;
        }
        Some(injection)
    }

    pub(crate) fn connected(&self) {
        self.lock().stats.connections += 1;
    }

    /// Books a request as being answered until the guard is dropped.
    pub(crate) fn begin(&self, request: &Request<Bytes>) -> InFlight<'_> {
        let mut inner = self.lock();
        let stats = &mut inner.stats;
        stats.requests += 1;
        stats.in_flight += 1;
        match stats.by_path.get_mut(request.uri().path()) {
            Some(count) => *count += 1,
            None => {
                stats.by_path.insert(request.uri().path().to_owned(), 1);
            }
        }
        if self.keep > 0 {
            while stats.recent.len() >= self.keep {
                stats.recent.pop_front();
            }
            stats.recent.push_back(Recorded {
                method: request.method().clone(),
                target: request.uri().path_and_query().map_or_else(String::new, ToString::to_string),
                headers: request.headers().clone(),
                body: request.body().clone(),
            });
        }
        InFlight(self)
    }

    pub(crate) fn struck(&self, fault: &'static str) {
        *self.lock().stats.faults.entry(fault).or_default() += 1;
    }

    pub(crate) fn cancelled(&self, cancelled: Cancelled) {
        let mut inner = self.lock();
        if inner.stats.cancelled.len() < MAX_CANCELLED {
            inner.stats.cancelled.push(cancelled);
        }
    }
}

/// A request that is being answered.
pub(crate) struct InFlight<'a>(&'a Book);

impl Drop for InFlight<'_> {
    fn drop(&mut self) {
        self.0.lock().stats.in_flight -= 1;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fault::Fault;

    fn strikes(book: &Book, requests: usize) -> Vec<bool> {
        (0..requests).map(|_| book.draw().is_some()).collect()
    }

    #[test]
    fn rates_are_spread_evenly() {
        let book = Book::new(0, Some(Injection::from(Fault::Stall).rate(0.25)));
        assert_eq!(strikes(&book, 8), [false, false, false, true, false, false, false, true]);
        let book = Book::new(0, Some(Injection::from(Fault::Stall).rate(0.2)));
        assert_eq!(strikes(&book, 1000).iter().filter(|strikes| **strikes).count(), 200);
        let book = Book::new(0, Some(Injection::from(Fault::Stall).rate(0.0)));
        assert!(!strikes(&book, 100).contains(&true));
    }

    #[test]
    fn a_counted_fault_heals() {
        let book = Book::new(0, Some(Injection::from(Fault::Stall).count(2)));
        assert_eq!(strikes(&book, 4), [true, true, false, false]);
        book.set_fault(Some(Fault::Stall.into()));
        assert_eq!(strikes(&book, 2), [true, true]);
        book.set_fault(None);
        assert_eq!(strikes(&book, 1), [false]);
    }

    #[test]
    fn the_last_requests_are_kept() {
        let book = Book::new(2, None);
        for path in ["/a", "/b?x=1", "/c"] {
            let mut request = Request::new(Bytes::from(path));
            *request.uri_mut() = path.parse().unwrap();
            let guard = book.begin(&request);
            assert_eq!(book.stats().in_flight, 1);
            drop(guard);
        }
        let stats = book.stats();
        assert_eq!((stats.requests, stats.in_flight, stats.by_path["/b"]), (3, 0, 1));
        assert_eq!(stats.recent.iter().map(|r| r.target.as_str()).collect::<Vec<_>>(), ["/b?x=1", "/c"]);
    }
}
