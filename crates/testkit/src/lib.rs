//! What tests share: a player of recorded exchanges, a hand-wound clock, builders.
