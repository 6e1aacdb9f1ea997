//! One file a command: its arguments, its help, what it does.

pub(crate) mod alerts;
pub(crate) mod budgets;
pub(crate) mod catalog;
pub(crate) mod check;
pub(crate) mod demo_upstream;
pub(crate) mod doctor;
pub(crate) mod evals;
pub(crate) mod explain;
mod kept;
pub(crate) mod keys;
pub(crate) mod limits;
pub(crate) mod logs;
pub(crate) mod routes;
pub(crate) mod serve;

use std::path::PathBuf;

/// What every command is given.
pub(crate) struct Context {
    /// The config file that was named.
    pub(crate) config: Option<PathBuf>,
    /// Whether programs read the output.
    pub(crate) json: bool,
}
