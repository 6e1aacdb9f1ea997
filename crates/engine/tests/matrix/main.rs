//! Every fault of a provider × before and after the first content × streamed or not × every dialect of a client, in a route
//! with one healthy alternative that goes on with what breaks. Time is wound by the runtime, so nothing waits.

#[cfg(test)]
mod clients;
#[cfg(test)]
mod house;
#[cfg(test)]
mod table;
