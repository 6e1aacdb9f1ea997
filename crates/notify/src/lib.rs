//! Takes alerts to people: by signed webhooks, Slack, e-mail.
//!
//! Invariant: knows how people are reached, and decides nothing about when or what for. HTTP goes through the transport port; only
//! SMTP is spoken here. Addresses and passwords are in no error and no `Debug`.

mod email;
mod post;
mod slack;
mod webhook;

use std::sync::Arc;

use lockgate_config::{AlertChannel, AlertSeverity, AlertTopic, ChannelKind};
use lockgate_core::alert::{Alert, Channel, Gravity, Topic};
use lockgate_core::port::Transport;
use lockgate_core::{Clock, Error, Kind};

use crate::email::Email;
use crate::slack::Slack;
use crate::webhook::Webhook;

/// What every channel has: its name, and what it is there for.
#[derive(Clone, Debug)]
struct Door {
    name: String,
    topics: Vec<Topic>,
    least: Gravity,
}

/// The channel that a config describes. Messages that are posted go over `transport`.
///
/// # Errors
/// When it cannot be used: an address that is none, a file of certificates that cannot be read.
pub fn channel(
    config: &AlertChannel,
    transport: &Arc<dyn Transport>,
    clock: &Arc<dyn Clock>,
) -> Result<Arc<dyn Channel>, Error> {
    let door = Door::of(config);
    Ok(match config.kind {
        ChannelKind::Webhook => {
            Arc::new(Webhook::new(door, config, Arc::clone(transport), Arc::clone(clock))?)
        }
        ChannelKind::Slack => Arc::new(Slack::new(door, config, Arc::clone(transport))?),
        ChannelKind::Email => Arc::new(Email::new(door, config)?),
    })
}

// === impl Door ===

impl Door {
    fn of(config: &AlertChannel) -> Self {
        let topics = config.topics.iter().map(|topic| match topic {
            AlertTopic::Budget => Topic::Budget,
            AlertTopic::Forecast => Topic::Forecast,
            AlertTopic::Anomaly => Topic::Anomaly,
            AlertTopic::Outage => Topic::Outage,
            AlertTopic::UnknownPrice => Topic::UnknownPrice,
            AlertTopic::Sink => Topic::Sink,
            AlertTopic::Node => Topic::Node,
        });
        let least = match config.severity {
            AlertSeverity::Info => Gravity::Info,
            AlertSeverity::Warning => Gravity::Warning,
            AlertSeverity::Critical => Gravity::Critical,
        };
        Self { name: config.name.clone(), topics: topics.collect(), least }
    }

    fn wants(&self, alert: &Alert) -> bool {
        self.topics.contains(&alert.topic) && alert.gravity >= self.least
    }
}

/// Something in the config of a channel cannot be used.
fn unusable(door: &Door, what: &str, why: &dyn std::fmt::Display) -> Error {
    let message = format!("alerts.channels.{}.{what}: {why}", door.name);
    Error::gateway(Kind::Internal, message)
}
