//! What went wrong on the way to a provider.

use std::error::Error as _;
use std::fmt::Display;
use std::io;

use lockgate_core::upstream::Address;
use lockgate_core::{Error, Kind};

use super::http1::Broken;

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

/// The head of an answer took too long.
pub(super) fn head_timeout(address: &Address) -> Error {
    Error::upstream(Kind::UpstreamTimeout, "The provider did not answer in time.")
        .detail(format!("{}: no head of an answer in time", address.authority))
}

/// The provider did not send the head of an answer over HTTP/1.1.
pub(super) fn sending1(broken: &Broken, address: &Address) -> Error {
    match broken {
        Broken::Invalid(why) => invalid(why),
        Broken::Io { error, .. } => closed(error, address),
    }
}

/// The provider did not send the head of an answer over HTTP/2.
pub(super) fn sending2(error: &hyper::Error, address: &Address) -> Error {
    if error.is_parse() { invalid(&told(error)) } else { closed(&told(error), address) }
}

/// The body of an answer over HTTP/1.1 broke off.
pub(super) fn reading1(broken: &Broken) -> Error {
    match broken {
        Broken::Invalid(why) => invalid(why),
        Broken::Io { error, .. } => broke_off(error),
    }
}

/// The body of an answer over HTTP/2 broke off.
pub(super) fn reading2(error: &hyper::Error) -> Error {
    broke_off(&told(error))
}

fn invalid(why: &str) -> Error {
    Error::upstream(Kind::UpstreamBadAnswer, "The provider's answer is not valid HTTP.").detail(why)
}

fn closed(error: &dyn Display, address: &Address) -> Error {
    Error::upstream(Kind::UpstreamBroken, "The provider closed the connection before it answered.")
        .detail(format!("{}: {error}", address.authority))
}

fn broke_off(error: &dyn Display) -> Error {
    Error::upstream(Kind::UpstreamBroken, "The provider's answer broke off.").detail(error.to_string())
}

fn told(error: &hyper::Error) -> String {
    match error.source() {
        Some(source) => format!("{error}: {source}"),
        None => error.to_string(),
    }
}
