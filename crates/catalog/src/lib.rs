//! Facts about models, their prices, and what a request costs.
//!
//! The data is `data/models.jsonl`: made by a script from public packages, compared with a second source, and embedded.
//! Money is integers all the way, and what is not known is *unknown*, with the reason as a type, never zero.
//!
//! Invariant: pure. No file, no clock, no network, no floating-point money; the time of a request is handed in.

pub mod benchmark;
mod built_in;
mod catalog;
pub mod cost;
pub mod diff;
mod find;
mod load;
pub mod model;
pub mod overlay;
pub mod price;
pub mod tokens;

pub use benchmark::Benchmarks;
pub use built_in::index;
pub use catalog::Catalog;
pub use cost::{Circumstances, Cost, Unknown, cost};
pub use find::{By, Found};
pub use load::LoadError;
pub use model::{Mode, Model};
pub use overlay::ModelOverride;
pub use price::{Bucket, Prices, Tier};
