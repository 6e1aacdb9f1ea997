//! `serve`: build the gateway and become it.

use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::Command;

use clap::Args;

use crate::run::{self, Failure, Outcome, cargo};

#[derive(Args)]
#[command(after_help = "Example: cargo xtask serve --config lockgate.yaml --listen 127.0.0.1:4100")]
pub(crate) struct ServeArgs {
    /// Arguments of `lockgate serve`.
    #[arg(trailing_var_arg = true, allow_hyphen_values = true)]
    args: Vec<String>,
}

/// The cargo profile that is quick to build and near to the release's speed.
const PROFILE: &str = "serve";

/// Builds, then takes the gateway's place (so that signals and the exit code are its own); returns only if that fails.
/// Paths in the arguments are as seen from `asked_from`.
pub(crate) fn run(args: &ServeArgs, asked_from: &Path) -> Outcome {
    run::status(&mut cargo(["build", "--package", "lockgate", "--profile", PROFILE]))?;
    let binary = run::binary(&run::metadata()?, PROFILE, "lockgate");
    let mut gateway = Command::new(&binary);
    gateway.arg("serve").args(&args.args).current_dir(asked_from);
    // What cargo sets for this program is none of the gateway's business.
    for (name, _) in std::env::vars_os() {
        if name.to_string_lossy().starts_with("CARGO_") {
            gateway.env_remove(&name);
        }
    }
    let error = gateway.exec();
    Err(Failure::new(format!("{} could not be started: {error}", binary.display())))
}
