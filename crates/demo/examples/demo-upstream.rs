//! The demo upstream as a program: `cargo run -p lockgate-demo --example demo-upstream -- --listen 127.0.0.1:4200`.

use std::io::{self, Write};
use std::process::ExitCode;

use lockgate_demo::{Fault, Injection, Options, Pace, serve};

const USAGE: &str = "demo-upstream [--listen ADDR] [--fault NAME[;after=K;...]] [--instant]";

struct Arguments {
    listen: String,
    options: Options,
}

fn main() -> ExitCode {
    let mut out = io::stdout().lock();
    let result = match read(std::env::args().skip(1)) {
        Ok(Some(arguments)) => run(arguments, &mut out).map_err(|error| error.to_string()),
        Ok(None) => help(&mut out).map_err(|error| error.to_string()),
        Err(mistake) => Err(format!("{mistake}\n{USAGE}")),
    };
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(message) => {
            // Nobody is left to tell when even this fails.
            let _ = writeln!(io::stderr(), "{message}");
            ExitCode::FAILURE
        }
    }
}

/// Reads the arguments; `None` asks for help.
fn read(mut arguments: impl Iterator<Item = String>) -> Result<Option<Arguments>, String> {
    let mut read = Arguments { listen: "127.0.0.1:4200".to_owned(), options: Options::default() };
    while let Some(name) = arguments.next() {
        let mut value = || arguments.next().ok_or(format!("{name} needs a value"));
        match name.as_str() {
            "--listen" => read.listen = value()?,
            "--fault" => read.options.fault = Injection::parse(&value()?)?,
            "--instant" => read.options.pace = Pace::INSTANT,
            "--help" | "-h" => return Ok(None),
            _ => return Err(format!("{name} is not known")),
        }
    }
    Ok(Some(read))
}

fn help(out: &mut impl Write) -> io::Result<()> {
    writeln!(out, "{USAGE}\n\nFaults:")?;
    Fault::ALL.iter().try_for_each(|fault| writeln!(out, "  {:24}{}", fault.name(), fault.about()))
}

fn run(arguments: Arguments, out: &mut impl Write) -> io::Result<()> {
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build()?;
    runtime.block_on(async {
        let listener = tokio::net::TcpListener::bind(&arguments.listen).await?;
        writeln!(out, "http://{}/v1", listener.local_addr()?)?;
        out.flush()?;
        serve(listener, arguments.options).await
    })
}
