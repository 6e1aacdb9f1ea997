//! The doors: data plane, admin endpoints, start page, TLS, drain. No policy.
