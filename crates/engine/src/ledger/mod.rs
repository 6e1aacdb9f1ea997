//! Money before it is spent: what an attempt may cost is held on every account that counts it; what it did cost is settled.

mod bound;
mod hold;
mod keeper;
mod purse;

pub(crate) use bound::Bound;
pub(crate) use hold::{Claim, Held, Short, reserve, token};
pub use keeper::{Clerk, Keeper, Pace};
pub use purse::Purse;
