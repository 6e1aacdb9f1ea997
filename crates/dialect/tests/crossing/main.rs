//! Dialects in each other's words, over recorded traffic.

#[cfg(test)]
mod answers;
#[cfg(test)]
mod said;
#[cfg(test)]
mod translate;
