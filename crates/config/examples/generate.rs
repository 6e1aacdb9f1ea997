//! Prints what is generated from the declarations of the settings: `schema` (for `schema/config.json`) or
//! `reference` (a Markdown table).

use std::io::{self, Write};

fn main() -> io::Result<()> {
    let text = match std::env::args().nth(1).as_deref() {
        Some("schema") => format!("{:#}\n", lockgate_config::schema()),
        Some("reference") => lockgate_config::reference(),
        _ => return Err(io::Error::other("say what to generate: schema or reference")),
    };
    io::stdout().lock().write_all(text.as_bytes())
}
