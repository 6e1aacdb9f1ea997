//! The walk of a request: identify, peek, attribute, admit, route, dispatch, relay, finish.
