//! What went wrong on the way to a provider.

use std::error::Error as _;
use std::io;

use lockgate_core::upstream::Address;
use lockgate_core::{Error, Kind};

/// No connection came about.
pub(super) fn connecting(error: &io::Error, address: &Address) -> Error {
    let tls = error.get_ref().and_then(|inner| inner.downcast_ref::<rustls::Error>()).is_some();
    let public = if tls {
        "No secure connection to the provider could be made."
    } else {
        "The provider could not be reached."
    };
    Error::upstream(Kind::UpstreamUnreachable, public).detail(format!("{}: {error}", address.authority))
}

/// A connection took too long.
pub(super) fn connect_timeout(address: &Address) -> Error {
    Error::upstream(Kind::UpstreamTimeout, "The provider could not be reached in time.")
        .detail(format!("{}: no connection in time", address.authority))
}

/// The provider did not send the head of an answer.
pub(super) fn sending(error: &hyper::Error, address: &Address) -> Error {
    let kind = if error.is_parse() { Kind::UpstreamBadAnswer } else { Kind::UpstreamBroken };
    let public = if error.is_parse() {
        "The provider's answer is not valid HTTP."
    } else {
        "The provider closed the connection before it answered."
    };
    Error::upstream(kind, public).detail(chain(error, address))
}

/// The body of an answer broke off.
pub(super) fn reading(error: &hyper::Error) -> Error {
    let mut text = error.to_string();
    if let Some(source) = error.source() {
        text = format!("{text}: {source}");
    }
    Error::upstream(Kind::UpstreamBroken, "The provider's answer broke off.").detail(text)
}

/// Whether the connection was gone before a byte of an answer came.
pub(super) fn never_answered(error: &hyper::Error) -> bool {
    error.is_canceled() || error.is_closed() || error.is_incomplete_message() || io_closed(error)
}

fn io_closed(error: &hyper::Error) -> bool {
    error.source().and_then(|source| source.downcast_ref::<io::Error>()).is_some_and(|error| {
        matches!(
            error.kind(),
            io::ErrorKind::ConnectionReset | io::ErrorKind::BrokenPipe | io::ErrorKind::ConnectionAborted
        )
    })
}

fn chain(error: &hyper::Error, address: &Address) -> String {
    match error.source() {
        Some(source) => format!("{}: {error}: {source}", address.authority),
        None => format!("{}: {error}", address.authority),
    }
}
