//! Money that cannot leak: budgets, their windows and accounts, holds over many accounts at once, and the leases by which
//! nodes spend from memory.
//!
//! Invariant: pure. No I/O, no async, no clock; a lock is held for a few instructions and never across a call of others.
//! Money is integers, and neither made nor lost: what is leased is free, held, or spent and not yet journaled.
//!
//! The way of the money: the durable row of an account ([`rows`]) leases a part to a node; the node's [`Book`] holds parts
//! of that for requests ([`Permit`]) and settles them; its [`Teller`] takes what was settled back to the store, in one
//! [`Exchange`](rows::Exchange) that also returns what is idle and asks for more.

pub mod account;
pub mod book;
pub mod budget;
pub mod draft;
pub mod expect;
pub mod forecast;
pub mod lease;
pub mod permit;
pub mod port;
pub mod quote;
pub mod rate;
pub mod refusal;
pub mod report;
pub mod rows;
#[doc(hidden)]
pub mod sample;
pub mod subject;
pub mod teller;
pub mod vault;
pub mod window;
pub mod words;

pub use account::Account;
pub use book::{Book, Seat, Settings};
pub use budget::{AtLimit, Budget, Increase, Mode, OnOutage, Selector};
pub use expect::Expectations;
pub use lease::Fences;
pub use permit::{Charge, Permit};
pub use port::LedgerStore;
pub use quote::Quote;
pub use rate::Limiter;
pub use refusal::{Shortage, Why};
pub use rows::{AccountKey, Entry, Epoch};
pub use subject::{Dimension, Subject};
pub use teller::Teller;
pub use vault::Vault;
pub use window::Window;
