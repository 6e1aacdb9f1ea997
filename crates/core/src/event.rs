//! The closed list of signals. A log line, a metric and a trace of the same thing come from the same event.

use crate::error::{Error, Kind};
use crate::money::Money;
use crate::record::Record;

/// Something that operators may want to see.
#[derive(Debug)]
pub enum Event<'a> {
    /// A request on the data plane came in.
    RequestStarted,
    /// A request was turned away before it was known whose it was: no record is kept of these.
    RequestRefused(&'a Error),
    /// A request ended.
    RequestFinished(&'a Record),
    /// Records could not be queued, as the queue was full; they are lost.
    RecordsDropped(u64),
    /// Records were written to the store.
    RecordsWritten {
        /// How many.
        count: u64,
        /// How long it took, in microseconds.
        took_us: u64,
    },
    /// The store refused records; they are kept and tried again.
    StoreFailed {
        /// What the store said.
        detail: &'a str,
    },
    /// An endpoint leaves or returns to rotation.
    BreakerChanged {
        /// The provider's name.
        provider: &'a str,
        /// The model's name.
        model: &'a str,
        /// Whether it is now out of rotation.
        open: bool,
    },
    /// One of several credentials for a provider was refused, and is not shown for a while.
    CredentialRests {
        /// The provider's name.
        provider: &'a str,
        /// The credential's name in records.
        credential: &'a str,
        /// Why.
        kind: Kind,
    },
    /// The ledger's store did not answer. Requests go on with what they have leased; see each budget's `on_outage`.
    LedgerFailed {
        /// What the store said.
        detail: &'a str,
    },
    /// The ledger's store answers again.
    LedgerRecovered,
    /// How an account stands that counts for a whole budget.
    BudgetSpent {
        /// The budget's name.
        budget: &'a str,
        /// What was spent in its window, what is uncertain included.
        spent: Money,
        /// Its limit.
        limit: Money,
    },
    /// The spending of an account reached a threshold of its budget: once a window.
    BudgetCrossed {
        /// The budget's name.
        budget: &'a str,
        /// The value of the dimension that the account is for, if it is for one.
        value: &'a str,
        /// The threshold in per cent of the limit; 0: the soft limit.
        percent: u16,
        /// What was spent then.
        spent: Money,
        /// The limit then.
        limit: Money,
    },
    /// A target was not called for want of money: the request went elsewhere, or was refused.
    BudgetRefused {
        /// The budget's name.
        budget: &'a str,
    },
    /// A request was refused by a rate limit.
    LimitRefused {
        /// The limit's name.
        limit: &'a str,
    },
    /// An attempt cost more than the most that it could cost by the gateway's reckoning. It is booked in full.
    HoldExceeded {
        /// The provider's name.
        provider: &'a str,
        /// The model's name.
        model: &'a str,
        /// What was held.
        held: Money,
        /// What it cost.
        charged: Money,
    },
    /// A node of the ledger gave no sign of life: what it had leased is uncertain.
    NodeGivenUp {
        /// The number of its life.
        epoch: i64,
    },
    /// A condition of a rule or a policy could not be evaluated; the request fell to the branch declared for that, or the policy
    /// applied.
    RoutingIncident {
        /// The rule's or the policy's name.
        at: &'a str,
        /// Why.
        why: &'a str,
    },
    /// A channel took a message with alerts.
    AlertSent {
        /// The channel's name.
        channel: &'a str,
    },
    /// A channel did not take a message with alerts.
    AlertFailed {
        /// The channel's name.
        channel: &'a str,
        /// What went wrong.
        detail: &'a str,
        /// Whether it is not tried again.
        lost: bool,
    },
    /// A new config is in force.
    ConfigReloaded {
        /// The version of the snapshot.
        version: u64,
    },
    /// A new config was refused; the old one stays in force.
    ConfigRejected {
        /// The mistakes, one a line.
        detail: &'a str,
    },
    /// A new TLS certificate is in force.
    CertificateReloaded,
    /// A TLS certificate was refused; the old one stays in force.
    CertificateRejected {
        /// Why.
        detail: &'a str,
    },
    /// A panic was caught at the door. The request was answered with an error.
    PanicCaught {
        /// Its message.
        detail: &'a str,
    },
    /// A client's connection opened.
    ConnectionOpened,
    /// A client's connection closed.
    ConnectionClosed,
    /// The process serves.
    Started {
        /// Where.
        address: &'a str,
        /// The version of the first snapshot.
        version: u64,
    },
    /// The process takes no new requests and waits for those under way.
    Draining {
        /// How many.
        in_flight: usize,
    },
    /// The process is done.
    Stopped {
        /// Requests that had to be cut off at the drain limit.
        cut_off: usize,
    },
}
