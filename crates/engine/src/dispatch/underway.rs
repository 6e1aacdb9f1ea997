//! A call that is under way at an endpoint, counted until it is over.

use std::ops::Deref;
use std::sync::Arc;

use lockgate_route::Endpoint;

/// An endpoint for as long as a call at it is under way.
pub(crate) struct Underway(Arc<Endpoint>);

impl Underway {
    pub(crate) fn at(endpoint: &Arc<Endpoint>) -> Self {
        endpoint.health.began();
        Self(Arc::clone(endpoint))
    }
}

impl Deref for Underway {
    type Target = Arc<Endpoint>;

    fn deref(&self) -> &Arc<Endpoint> {
        &self.0
    }
}

impl Drop for Underway {
    fn drop(&mut self) {
        self.0.health.over();
    }
}
