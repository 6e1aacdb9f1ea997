//! A request as the front door hands it over.

use http::HeaderMap;
use lockgate_core::{RequestId, Tick};
use lockgate_dialect::{Dialect, Named};

/// A request whose path has been understood and whose body has not been read yet.
pub struct Inbound {
    /// Its id.
    pub id: RequestId,
    /// When it arrived.
    pub arrived: Tick,
    /// The dialect of its path.
    pub dialect: &'static dyn Dialect,
    /// What the path says of the request: the model and whether to stream, in dialects that put them there.
    pub named: Option<(String, bool)>,
    /// The client's headers.
    pub headers: HeaderMap,
}

impl Inbound {
    pub(crate) fn named(&self) -> Option<Named<'_>> {
        self.named.as_ref().map(|(model, stream)| Named { model, stream: *stream })
    }
}
