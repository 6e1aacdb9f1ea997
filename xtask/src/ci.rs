//! `ci`: every check, in the order in which a mistake shows soonest.

use std::time::{Duration, Instant};

use crate::lint::FmtArgs;
use crate::run::{Failure, Outcome};
use crate::test::TestArgs;
use crate::{deny, floors, generate, lint, test, tidy};

type Step = (&'static str, fn() -> Outcome);

const STEPS: [Step; 7] = [
    ("fmt --check", || lint::fmt(&FmtArgs { check: true })),
    ("lint", lint::clippy),
    ("floors", floors::run),
    ("tidy", tidy::rules),
    ("generate --check", generate::check),
    ("deny", deny::run),
    ("test --require-all", || test::run(&TestArgs { require_all: true, filter: None })),
];

pub(crate) fn run() -> Outcome {
    let mut times: Vec<(&str, Duration)> = Vec::new();
    for (name, step) in STEPS {
        println!("\n== {name}");
        let start = Instant::now();
        let outcome = step();
        times.push((name, start.elapsed()));
        if let Err(failure) = outcome {
            print_times(&times);
            return Err(Failure::new(format!("ci stopped at `{name}`: {failure}")));
        }
        // The tests' own last line stays the last: other programs read it.
        if name != STEPS[STEPS.len() - 1].0 {
            println!("== {name}: fine, {:.1} s", start.elapsed().as_secs_f64());
        }
    }
    print_times(&times);
    Ok(())
}

fn print_times(times: &[(&str, Duration)]) {
    for (name, time) in times {
        eprintln!("{:>8.1} s  {name}", time.as_secs_f64());
    }
}
