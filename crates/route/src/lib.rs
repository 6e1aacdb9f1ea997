//! How a model name becomes an ordered plan of targets, and when an endpoint is healthy enough to be in it.
