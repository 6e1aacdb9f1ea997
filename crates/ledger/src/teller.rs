//! The teller takes what a node's book has settled to the store, gives back what lies idle, and leases ahead of need. It
//! decides and takes note; whoever runs it makes the calls, one at a time.
//!
//! An exchange whose answer was lost is sent again as it was, until there is an answer. So nothing is journaled twice and no
//! grant is lost.

use std::collections::HashMap;
use std::fmt;
use std::sync::Arc;

use lockgate_core::{Money, Tick};

use crate::account::Account;
use crate::book::Book;
use crate::lease::Fences;
use crate::rows::{AccountKey, Answer, Ask, Entry, Epoch, Exchange};

/// The state of one life of one node.
pub struct Teller {
    book: Arc<Book>,
    epoch: Epoch,
    fences: Fences,
    /// The number of the last exchange that was answered.
    number: u64,
    pending: Option<Pending>,
    /// Accounts on which something is leased or going on.
    watched: Vec<Arc<Account>>,
}

#[derive(Debug)]
struct Pending {
    exchange: Exchange,
    accounts: Vec<Part>,
    places: usize,
}

/// An account in an exchange under way.
#[derive(Debug)]
struct Part {
    account: Arc<Account>,
    booked: i64,
    back: i64,
}

/// Entries of one exchange at most.
const PORTION: usize = 2_000;
/// So many times the demand is leased ahead.
const AHEAD: i64 = 2;
/// More than so many times the demand goes back.
const PLENTY: i64 = 4;
/// A lease that was not used for so many exchanges goes back whole.
const QUIET: u64 = 50;

// === impl Teller ===

impl Teller {
    /// The teller of a life of a node that begins.
    pub fn new(book: Arc<Book>, epoch: Epoch, fences: Fences, opened: Tick) -> Self {
        book.fence_at(opened.plus(fences.own));
        Self { book, epoch, fences, number: 0, pending: None, watched: Vec::new() }
    }

    /// Its epoch.
    pub const fn epoch(&self) -> Epoch {
        self.epoch
    }

    /// The exchange that is to be made now: the one whose answer is outstanding, else a new one. `closing` gives everything
    /// back that is free.
    pub fn exchange(&mut self, wall_ms: u64, closing: bool) -> &Exchange {
        let pending = match self.pending.take() {
            Some(pending) => pending,
            None => self.prepare(wall_ms, closing),
        };
        &self.pending.insert(pending).exchange
    }

    fn prepare(&mut self, wall_ms: u64, closing: bool) -> Pending {
        self.watched.extend(self.book.take_touched());
        let settled = self.book.take_settled(PORTION);
        let places = settled.len();
        let mut booked: HashMap<u64, i64> = HashMap::new();
        let mut entries = Vec::with_capacity(settled.len());
        for charge in settled {
            for account in &charge.accounts {
                let sum = booked.entry(account.number).or_default();
                *sum = sum.saturating_add(charge.amount.nanos());
            }
            entries.push(Entry {
                request: charge.request,
                attempt: charge.attempt,
                line: 0,
                amount: charge.amount,
                at_ms: charge.at_ms,
                accounts: charge.accounts.iter().map(|account| account.key.clone()).collect(),
                price: charge.price,
                estimated: charge.estimated,
                reason: None,
            });
        }
        let mut parts: Vec<(Ask, Part)> = Vec::new();
        for account in &self.watched {
            let booked = booked.get(&account.number).copied().unwrap_or(0);
            let wanted = account.take_wanted();
            let demand = account.measure(booked, wanted);
            // What somebody waits for is not given back.
            let back =
                if wanted > 0 && !closing { 0 } else { account.withdraw(surplus(account, demand, closing)) };
            let free = account.free();
            let wish = if closing || back > 0 {
                0
            } else {
                demand.saturating_mul(AHEAD).saturating_sub(free.max(0)).max(0)
            };
            // Small wishes wait: an exchange of an account costs three statements.
            let wish = if wish >= demand / 2 || free <= 0 { wish } else { 0 };
            let fresh = account.answered() == 0;
            if booked == 0 && back == 0 && wanted == 0 && wish == 0 && !fresh {
                continue;
            }
            let ask = Ask {
                key: account.key.clone(),
                end_ms: account.end_ms,
                give_back: Money::from_nanos(back),
                at_least: Money::from_nanos(wanted),
                wish: Money::from_nanos(wish.max(wanted)),
            };
            parts.push((ask, Part { account: Arc::clone(account), booked, back }));
        }
        parts.sort_by(|a, b| a.0.key.cmp(&b.0.key));
        let (accounts, parts) = parts.into_iter().unzip();
        let exchange =
            Exchange { epoch: self.epoch, number: self.number + 1, now_ms: wall_ms, entries, accounts };
        Pending { exchange, accounts: parts, places }
    }

    /// Does not make the exchange after all, if it is empty: what comes later goes with the next one. Whether it was.
    pub fn put_off(&mut self) -> bool {
        let empty = self.pending.as_ref().is_some_and(|pending| pending.exchange.is_empty());
        if empty {
            self.pending = None;
        }
        empty
    }

    /// The exchange was answered. `began` is when the call that brought the answer began: until then the store had heard of
    /// this node.
    pub fn answered(&mut self, answer: &Answer, began: Tick, now: Tick) {
        let Some(Pending { exchange, accounts, places }) = self.pending.take() else { return };
        self.number = exchange.number;
        for (part, standing) in accounts.iter().zip(&answer.accounts) {
            let Part { account, booked, back } = part;
            account.answer(standing, *booked, *back, exchange.number, now);
        }
        self.book.leave_places(places);
        self.book.fence_at(began.plus(self.fences.own));
        self.watched.retain(|account| {
            if !account.is_idle() {
                return true;
            }
            account.untouch();
            // A request may have come just before: then it left this to us.
            !account.is_idle() && account.touch()
        });
    }

    /// Whether nothing is left to journal or to give back.
    pub fn is_done(&self) -> bool {
        self.pending.is_none() && !self.book.has_settled() && self.watched.is_empty()
    }

    /// Whether nothing is left but what requests under way hold.
    pub fn is_waiting(&self) -> bool {
        let held = |account: &Arc<Account>| account.view().held > Money::ZERO;
        self.pending.is_none() && !self.book.has_settled() && self.watched.iter().all(held)
    }

    /// What of an account is on its way back to the store.
    pub fn going_back(&self, key: &AccountKey) -> Money {
        let asks = self.pending.iter().flat_map(|pending| &pending.exchange.accounts);
        asks.filter(|ask| ask.key == *key).map(|ask| ask.give_back).next().unwrap_or_default()
    }
}

/// What of an account's free money is more than the node will need.
fn surplus(account: &Account, demand: i64, closing: bool) -> i64 {
    let free = account.free();
    if closing || account.quiet() >= QUIET {
        free
    } else if demand > 0 && free > demand.saturating_mul(PLENTY) {
        free - demand.saturating_mul(AHEAD)
    } else {
        0
    }
}

/// Without the book, which others share.
impl fmt::Debug for Teller {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let watched: Vec<&AccountKey> = self.watched.iter().map(|account| &account.key).collect();
        f.debug_struct("Teller")
            .field("epoch", &self.epoch)
            .field("number", &self.number)
            .field("pending", &self.pending.as_ref().map(|pending| &pending.exchange))
            .field("watched", &watched)
            .finish_non_exhaustive()
    }
}
