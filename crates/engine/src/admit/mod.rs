//! Who comes in, on whose behalf, and what they may use.

pub mod attribute;
pub mod identify;
pub mod limits;
pub(crate) mod rate;
