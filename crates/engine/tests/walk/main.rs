//! The walk as a whole, over a scripted transport and a hand-wound clock.

#[cfg(test)]
mod admission;
#[cfg(test)]
mod budgets;
#[cfg(test)]
mod costs;
#[cfg(test)]
mod cuts;
#[cfg(test)]
mod errands;
#[cfg(test)]
mod exchanges;
#[cfg(test)]
mod failover;
#[cfg(test)]
mod kept;
#[cfg(test)]
mod leaving;
#[cfg(test)]
mod limits;
#[cfg(test)]
mod losses;
#[cfg(test)]
mod operations;
#[cfg(test)]
mod policies;
#[cfg(test)]
mod privacy;
#[cfg(test)]
mod queue;
#[cfg(test)]
mod reading;
#[cfg(test)]
mod recorded_operations;
#[cfg(test)]
mod recordings;
#[cfg(test)]
mod reloads;
#[cfg(test)]
mod requests;
#[cfg(test)]
mod resilience;
#[cfg(test)]
mod signed;
#[cfg(test)]
mod stage;
#[cfg(test)]
mod tongues;
