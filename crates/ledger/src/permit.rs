//! The leave to spend: what a request holds, on every account that it counts on. It ends exactly once: settled, released, or
//! dropped.

use std::sync::Arc;

use lockgate_core::{Money, RequestId};

use crate::account::Account;
use crate::book::{Amount, Book, Now, Rule, Seat, Settled};
use crate::refusal::Shortage;
use crate::rows::{minus, plus};

/// What a request holds.
#[derive(Debug)]
pub struct Permit {
    book: Arc<Book>,
    request: RequestId,
    attempt: u32,
    /// In the order of the accounts' numbers.
    accounts: Vec<Arc<Account>>,
    held: Vec<Held>,
    /// What a drop without a word charges: what the provider may bill by then.
    risk: Option<Charge>,
    /// Whether it has a place in the book and is not over.
    open: bool,
}

/// What is spent.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Charge {
    /// How much.
    pub amount: Money,
    /// When, in Unix milliseconds.
    pub at_ms: u64,
    /// The version of the prices.
    pub price: Arc<str>,
    /// Whether it rests on an estimate of the gateway.
    pub estimated: bool,
}

#[derive(Debug)]
struct Held {
    rule: Arc<Rule>,
    amount: Money,
    counted_only: bool,
}

// === impl Permit ===

impl Permit {
    pub(crate) fn new(book: Arc<Book>, request: RequestId, seats: usize) -> Self {
        Self {
            book,
            request,
            attempt: 1,
            accounts: Vec::with_capacity(seats),
            held: Vec::with_capacity(seats),
            risk: None,
            open: false,
        }
    }

    /// The same for this attempt of the request. Of two permits with the same number the journal keeps one charge.
    #[must_use]
    pub const fn numbered(mut self, attempt: u32) -> Self {
        self.attempt = attempt;
        self
    }

    pub(crate) fn seat(&mut self, seat: Seat, amount: Money) {
        self.accounts.push(seat.account);
        self.held.push(Held { rule: seat.rule, amount, counted_only: seat.counted_only });
    }

    pub(crate) fn open(&mut self) {
        self.open = true;
    }

    /// The accounts that it counts on.
    pub fn seats(&self) -> Vec<Seat> {
        let pairs = self.accounts.iter().zip(&self.held);
        pairs
            .map(|(account, held)| Seat {
                rule: Arc::clone(&held.rule),
                account: Arc::clone(account),
                counted_only: held.counted_only,
            })
            .collect()
    }

    /// Whether it counts on no account.
    pub fn is_empty(&self) -> bool {
        self.accounts.is_empty()
    }

    /// The most that is held on any account.
    pub fn held(&self) -> Money {
        self.held.iter().map(|held| held.amount).max().unwrap_or_default()
    }

    /// Which attempt the next charge is for, from 1.
    pub const fn attempt(&self) -> u32 {
        self.attempt
    }

    /// Raises what is held to an amount, on every account or on none. What is held beyond it stays.
    ///
    /// # Errors
    /// The account that cannot pay, and why.
    pub fn grow(&mut self, amount: Amount, now: &Now) -> Result<(), Shortage> {
        let seats = self.seats();
        let mut taken: Vec<Money> = Vec::with_capacity(seats.len());
        for (seat, held) in seats.iter().zip(&self.held) {
            match self.book.take(seat, amount.more_than(held.amount, seat), now) {
                Ok(more) => taken.push(more),
                Err(mut shortage) => {
                    for (account, more) in self.accounts.iter().zip(taken) {
                        account.put_back(more.nanos());
                    }
                    shortage.needed = amount.on(seat);
                    let held = seats.iter().zip(&self.held);
                    self.book.want(
                        &shortage,
                        held.map(|(seat, held)| (seat, amount.more_than(held.amount, seat))),
                    );
                    return Err(shortage);
                }
            }
        }
        for (held, more) in self.held.iter_mut().zip(taken) {
            held.amount = plus(held.amount, more);
        }
        Ok(())
    }

    /// Moves to other accounts and another amount, as another target brings them: raised where that is more, lowered where
    /// less, on all accounts or not at all.
    ///
    /// # Errors
    /// The account that cannot pay, and why; then all is as it was.
    pub fn move_to(&mut self, seats: Vec<Seat>, amount: Amount, now: &Now) -> Result<(), Shortage> {
        let place = |account: &Arc<Account>| self.accounts.iter().position(|mine| Arc::ptr_eq(mine, account));
        let mut taken: Vec<Money> = Vec::with_capacity(seats.len());
        for seat in &seats {
            let held = place(&seat.account).map_or(Money::ZERO, |at| self.held[at].amount);
            match self.book.take(seat, amount.more_than(held, seat), now) {
                Ok(more) => taken.push(more),
                Err(shortage) => {
                    for (seat, more) in seats.iter().zip(taken) {
                        seat.account.put_back(more.nanos());
                    }
                    let more = |seat: &Seat| {
                        let held = place(&seat.account).map_or(Money::ZERO, |at| self.held[at].amount);
                        amount.more_than(held, seat)
                    };
                    self.book.want(&shortage, seats.iter().map(|seat| (seat, more(seat))));
                    return Err(shortage);
                }
            }
        }
        // All of it is there: now what is too much goes back.
        let (accounts, held) = (std::mem::take(&mut self.accounts), std::mem::take(&mut self.held));
        for (seat, more) in seats.into_iter().zip(taken) {
            let before = accounts.iter().position(|mine| Arc::ptr_eq(mine, &seat.account));
            let before = before.map_or(Money::ZERO, |at| held[at].amount);
            let wanted = amount.on(&seat);
            let has = plus(before, more);
            let excess = minus(has, wanted).nanos().max(0);
            seat.account.put_back(excess);
            self.seat(seat, minus(has, Money::from_nanos(excess)));
        }
        for (account, held) in accounts.iter().zip(&held) {
            if !self.accounts.iter().any(|mine| Arc::ptr_eq(mine, account)) {
                account.put_back(held.amount.nanos());
            }
        }
        Ok(())
    }

    /// What a drop from now on charges; `None`: nothing, as nothing has been sent.
    pub fn risk(&mut self, charge: Option<Charge>) {
        self.risk = charge;
    }

    /// Charges an attempt that the provider bills, while the request goes on. It is paid out of what is held, which is less
    /// by that; see [`Permit::grow`].
    pub fn charge(&mut self, charge: Charge) {
        for (account, held) in self.accounts.iter().zip(&mut self.held) {
            let part = held.amount.min(charge.amount).max(Money::ZERO);
            account.spend(part.nanos(), charge.amount.nanos());
            held.amount = minus(held.amount, part);
        }
        if charge.amount != Money::ZERO && !self.accounts.is_empty() {
            self.book.one_more_place();
            self.hand_in(charge, self.accounts.clone());
        }
        self.attempt += 1;
        self.risk = None;
    }

    /// Charges the last attempt and gives back the rest of what is held.
    pub fn settle(mut self, charge: Charge) {
        self.close(Some(charge));
    }

    /// Gives everything back: nothing is billed.
    pub fn release(mut self) {
        self.close(None);
    }

    fn close(&mut self, charge: Option<Charge>) {
        let amount = charge.as_ref().map_or(0, |charge| charge.amount.nanos());
        for (account, held) in self.accounts.iter().zip(&mut self.held) {
            account.spend(held.amount.nanos(), amount);
            held.amount = Money::ZERO;
        }
        let accounts = std::mem::take(&mut self.accounts);
        let was_open = std::mem::replace(&mut self.open, false);
        match charge.filter(|charge| charge.amount != Money::ZERO && !accounts.is_empty()) {
            // The charge keeps the place.
            Some(charge) => self.hand_in(charge, accounts),
            None if was_open => self.book.leave_places(1),
            None => {}
        }
    }

    fn hand_in(&self, charge: Charge, accounts: Vec<Arc<Account>>) {
        let Charge { amount, at_ms, price, estimated } = charge;
        let (request, attempt) = (self.request, self.attempt);
        self.book.hand_in(Settled { request, attempt, amount, at_ms, accounts, price, estimated });
    }
}

impl Drop for Permit {
    fn drop(&mut self) {
        if self.open || !self.accounts.is_empty() {
            let charge = self.risk.take();
            self.close(charge);
        }
    }
}
