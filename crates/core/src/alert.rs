//! What people are told without having asked: the words of an alert, and the port to those who carry it.

use std::sync::Arc;

use serde::Serialize;
use serde_json::{Map, Value};

use crate::codes::codes;
use crate::error::Error;
use crate::port::Ready;

codes! {
    /// What an alert is about.
    pub enum Topic {
        /// A budget's threshold or soft limit was reached.
        Budget = "budget",
        /// A budget's limit will be reached before its window ends.
        Forecast = "forecast",
        /// Far more is spent in this hour than usual.
        Anomaly = "anomaly",
        /// No endpoint of a provider is in rotation, or one is again.
        Outage = "outage",
        /// A model was used whose price is not known.
        UnknownPrice = "unknown_price",
        /// Records are lost, or a store fails for longer than a minute, or works again.
        Sink = "sink",
        /// A node of the ledger gave no sign of life: what it had leased is uncertain.
        Node = "node",
        /// Somebody tries whether alerts arrive.
        Test = "test",
    }
}

codes! {
    /// How much an alert matters.
    pub enum Gravity {
        /// Good to know.
        Info = "info",
        /// Somebody should look at it in the next hours.
        Warning = "warning",
        /// Somebody should look at it now.
        Critical = "critical",
    }
}

/// Something that people should know.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Alert {
    /// What it is about.
    pub topic: Topic,
    /// How much it matters.
    pub gravity: Gravity,
    /// Whom or what it is about: a budget, a provider, a model.
    pub subject: Arc<str>,
    /// What has happened, in a sentence or two for people.
    pub text: String,
    /// The same for programs. Amounts are dollars as text.
    pub facts: Map<String, Value>,
    /// Alerts of the same key are one and the same event, whichever node says so.
    pub key: String,
    /// When, in Unix milliseconds.
    pub at_ms: u64,
}

/// What goes out at once.
#[derive(Clone, Debug, PartialEq)]
pub struct Digest {
    /// Its id; the same in every try, so that a receiver knows a message that it has already.
    pub id: Arc<str>,
    /// Which gateway says so: the node's name.
    pub node: Arc<str>,
    /// When it was put together, in Unix milliseconds.
    pub at_ms: u64,
    /// The alerts in the order in which they came; at least one.
    pub alerts: Vec<Alert>,
    /// Alerts that came in the same span and are not in it, as there were too many.
    pub left_out: u32,
}

/// Carries messages to people: a webhook, a chat, a mail server.
pub trait Channel: Send + Sync {
    /// Its name in the config.
    fn name(&self) -> &str;

    /// Whether it is there for such alerts.
    fn wants(&self, alert: &Alert) -> bool;

    /// Sends a message, and returns what the other side said to it: a status, a line of a mail server. Gives up by itself after
    /// some seconds.
    ///
    /// # Errors
    /// When the other side did not take it. The detail says why, and holds no secret.
    fn send<'a>(&'a self, digest: &'a Digest) -> Ready<'a, Result<String, Error>>;
}

impl Digest {
    /// The gravest of its alerts.
    pub fn gravity(&self) -> Gravity {
        self.alerts.iter().map(|alert| alert.gravity).max().unwrap_or(Gravity::Info)
    }

    /// What it says in a line: the only alert's text, or how many there are and the gravest of them.
    pub fn headline(&self) -> String {
        let gravest = self.gravity();
        let Some(first) = self.alerts.iter().find(|alert| alert.gravity == gravest) else {
            return String::new();
        };
        match self.alerts.len().saturating_sub(1).saturating_add(self.left_out as usize) {
            0 => first.text.clone(),
            more => format!("{} (and {more} more)", first.text),
        }
    }
}
