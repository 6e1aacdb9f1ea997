//! Rate limits: how many requests and tokens may pass in a time, and how many requests may be under way at once.
//!
//! A [`Limit`] is a rule. The [`Limiter`] has those in force, and for each a [`Cell`](cell::Cell) for every value of the limit's
//! `per`. A request that is let in holds a [`Grant`] until it ends: on all limits that count it, or on none.

mod cell;
mod cells;
pub mod draft;
mod grant;
mod limit;
mod limiter;
mod rules;
pub mod shelf;
mod standing;
#[cfg(test)]
mod tests;

pub use draft::LimitDraft;
pub use grant::{Grant, Used};
pub use limit::{Count, Every, Limit, MOST, Measure};
pub use limiter::Limiter;
pub use standing::{Refused, Standing, Standings, span};
