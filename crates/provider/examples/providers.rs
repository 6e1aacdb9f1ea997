//! Prints what is generated from the profiles: the table of built-in providers (for `docs/providers.md`).

use std::io::{self, Write};

fn main() -> io::Result<()> {
    io::stdout().lock().write_all(lockgate_provider::reference().as_bytes())
}
