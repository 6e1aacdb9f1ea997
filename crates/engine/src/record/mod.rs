//! What is remembered: the ticket that a request carries, and the queue behind which the store writes.

mod charges;
mod price;
mod queue;
mod ticket;

pub use queue::{Queue, Writer};
pub use ticket::Ticket;
pub(crate) use ticket::Worth;
