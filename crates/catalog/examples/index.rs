//! Prints `data/index.txt`: where in the embedded list each provider's models stand.

#![expect(clippy::print_stdout, reason = "printing is what it is for")]

fn main() {
    print!("{}", lockgate_catalog::index());
}
