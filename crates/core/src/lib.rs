//! The words and contracts of Lockgate. Nothing here runs on its own: no I/O, no clock, no floating-point money.
//!
//! Invariant: imports nothing of ours; every other crate may import it.

pub mod alert;
pub mod attribution;
pub mod clock;
mod codes;
pub mod decision;
pub mod error;
pub mod event;
pub mod id;
pub mod key;
pub mod money;
pub mod payload;
pub mod port;
pub mod principal;
pub mod record;
pub mod secret;
pub mod segments;
pub mod upstream;
pub mod usage;

pub use alert::{Alert, Digest, Gravity, Topic};
pub use attribution::{Aspect, Attribution};
pub use clock::{Clock, Tick};
pub use decision::{Candidate, Decision, Exclusion, Matched, Standing};
pub use error::{Error, Fault, Kind, Origin, Retry, Verbatim};
pub use event::Event;
pub use id::RequestId;
pub use key::{Key, KeyHash, KeyId};
pub use money::Money;
pub use payload::Payload;
pub use principal::Principal;
pub use record::{Attempt, Outcome, Record, Role};
pub use secret::Secret;
pub use segments::Segments;
pub use upstream::{Credential, Prefill, Quirks, Speech, StreamUsage, Upstream};
pub use usage::Usage;
