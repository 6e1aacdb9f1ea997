//! A request as the front door hands it over.

use http::HeaderMap;
use lockgate_core::{RequestId, Tick};
use lockgate_dialect::Dialect;

/// A request whose path has been understood and whose body has not been read yet.
pub struct Inbound {
    /// Its id.
    pub id: RequestId,
    /// When it arrived.
    pub arrived: Tick,
    /// The dialect of its path.
    pub dialect: &'static dyn Dialect,
    /// The client's headers.
    pub headers: HeaderMap,
}
