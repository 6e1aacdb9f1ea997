//! The blocks of messages, which requests and answers share.

pub(super) mod read;
pub(super) mod write;

/// The kind of a state that is bound to the block before it begins with this: the dialect itself has no place for the
/// state of a call or a text, so it travels as a block of its own.
const BOUND: &str = "bound/";
