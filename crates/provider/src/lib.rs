//! Upstreams: profiles as data, authentication, and the transport that reaches them.
