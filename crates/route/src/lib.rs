//! How a model name becomes an ordered plan of targets: routes, conditions, strategies, hard constraints, and when an
//! endpoint is healthy enough to be chosen.
//!
//! [`Table`] knows what names stand for; [`Plan::make`] decides for one [`Ask`]. What is known of models comes in as
//! [`Knowledge`], time and chance as arguments, so that a decision can be made again from its record.
//!
//! Invariant: pure. Time comes in as a [`Tick`](lockgate_core::Tick), nothing goes out.

mod account;
pub mod affinity;
mod allowance;
mod ask;
mod breaker;
mod calls;
mod class;
pub mod condition;
mod draw;
mod endpoint;
mod estimate;
mod gate;
pub mod health;
mod plan;
pub mod policy;
pub mod preferences;
mod rank;
mod read;
mod route;
pub mod strategy;
mod table;
mod tempo;
#[cfg(test)]
mod testing;
mod tree;
pub mod view;

pub use account::{Account, Accounts, is_of_credential};
pub use affinity::Sessions;
pub use allowance::Allowance;
pub use ask::{Ask, BudgetState, Told};
pub use breaker::{Breaker, Seen, Settings, State};
pub use condition::Condition;
pub use endpoint::{Endpoint, Registry, Site};
pub use gate::Moment;
pub use health::Health;
pub use plan::{Detours, Plan, Refused};
pub use policy::{Applying, Judgement, Policy};
pub use preferences::{MaxPrice, Preferences, Sort};
pub use route::{Branch, Hedge, OnBreak, Pick, Require, Route, RouteSettings, Rule};
pub use strategy::Strategy;
pub use table::{Patience, Resolution, Table};
pub use tempo::Tempo;
pub use tree::{Tree, fits};
pub use view::{Abilities, Ability, Facts, Knowledge, Nothing};
