//! `fmt` and `lint`.

use clap::Args;

use crate::run::{self, Outcome, cargo};

#[derive(Args)]
#[command(after_help = "Example: cargo xtask fmt --check")]
pub(crate) struct FmtArgs {
    /// Change nothing; fail if something is not formatted.
    #[arg(long)]
    pub(crate) check: bool,
}

pub(crate) fn fmt(args: &FmtArgs) -> Outcome {
    let check = if args.check { &["--check"][..] } else { &[] };
    run::status(cargo(["fmt", "--all"]).args(check))
}

pub(crate) fn clippy() -> Outcome {
    run::status(&mut cargo(["clippy", "--workspace", "--all-targets", "--", "--deny", "warnings"]))
}
