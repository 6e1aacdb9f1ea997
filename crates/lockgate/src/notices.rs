//! The channels of a config, ready to carry alerts.

use std::sync::Arc;

use lockgate_config::Config;
use lockgate_core::alert::Channel;
use lockgate_core::port::Transport;
use lockgate_core::{Clock, Error, Money};
use lockgate_demo::Demo;
use lockgate_provider::HttpTransport;

/// Every channel of the config, in its order. They share connections of their own, which belong to the thread that sends.
///
/// # Errors
/// When a channel cannot be used; the public text says which, and why.
pub(crate) fn channels(config: &Config, clock: &Arc<dyn Clock>) -> Result<Vec<Arc<dyn Channel>>, Error> {
    let transport: Arc<dyn Transport> = Arc::new(HttpTransport::new(Demo::default(), Arc::clone(clock)));
    config
        .alerts
        .channels
        .iter()
        .map(|channel| lockgate_notify::channel(channel, &transport, clock))
        .collect()
}

/// An hour that costs less is never unusual.
pub(crate) fn floor(config: &Config) -> Money {
    Money::from_nanos(i64::try_from(config.alerts.anomaly_floor.0).unwrap_or(i64::MAX))
}
