//! How long a gateway takes to its first 200, and its memory when idle.

use std::io;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use clap::Args;
use serde_json::json;

use crate::load;
use crate::median::median;
use crate::post::post;
use crate::{procstat, sys};

#[derive(Args, Clone, Debug)]
pub(crate) struct StartupArgs {
    #[arg(long)]
    url: String,
    #[arg(long = "header", short = 'H')]
    headers: Vec<String>,
    #[arg(long, default_value = "gpt-4o-mini")]
    model: String,
    #[arg(long, default_value_t = 3)]
    reps: usize,
    /// How long to wait for the first 200.
    #[arg(long, default_value_t = 120)]
    limit: u64,
    /// The gateway's command line, behind `--`.
    #[arg(last = true, required = true)]
    command: Vec<String>,
}

/// A program that was started to be measured. It ends, with all that it started, when this is dropped.
pub(crate) struct Running(Child);

impl Running {
    /// Starts the program, pinned and real-time if asked for.
    pub(crate) fn start(command: &mut Command, cpu: Option<usize>, real_time: bool) -> io::Result<Self> {
        sys::spawn(command, cpu, real_time).map(Self)
    }

    pub(crate) fn pid(&self) -> u32 {
        self.0.id()
    }

    /// Memory of it and of what it started, in MiB.
    pub(crate) fn rss_mib(&self) -> f64 {
        procstat::sample(&procstat::tree(self.pid())).rss_kib as f64 / 1024.0
    }

    /// Asks `probe` again and again until it says yes.
    ///
    /// # Errors
    /// If the program ends first, or `limit` is over.
    pub(crate) fn until(&mut self, limit: Duration, probe: impl Fn() -> bool) -> io::Result<()> {
        let start = Instant::now();
        while !probe() {
            if let Some(status) = self.0.try_wait()? {
                return Err(io::Error::other(format!("it ended with {status} before it answered")));
            }
            if start.elapsed() > limit {
                return Err(io::Error::other(format!("no 200 came within {} s", limit.as_secs())));
            }
            std::thread::sleep(Duration::from_millis(1));
        }
        Ok(())
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        for pid in procstat::tree(self.0.id()).iter().rev() {
            sys::kill(*pid);
        }
        let _ = self.0.wait();
    }
}

/// Starts the gateway, waits for the first 200, lets it idle, reads its memory, ends it.
pub(crate) fn run(args: &StartupArgs) -> io::Result<()> {
    let (authority, path) = load::split_url(&args.url)?;
    let body = load::made_up_body(&args.model, 100, false);
    let (mut times, mut memory) = (Vec::new(), Vec::new());
    for _ in 0..args.reps {
        let start = Instant::now();
        let mut command = Command::new(&args.command[0]);
        command.args(&args.command[1..]).stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
        let mut gateway = Running::start(&mut command, None, false)?;
        gateway.until(Duration::from_secs(args.limit), || {
            post(&authority, &path, &args.headers, &body).ok() == Some(200)
        })?;
        times.push(start.elapsed().as_secs_f64() * 1000.0);
        std::thread::sleep(Duration::from_secs(3));
        memory.push(gateway.rss_mib());
        drop(gateway);
        std::thread::sleep(Duration::from_millis(500));
    }
    println!(
        "{}",
        json!({
            "startup_ms": median(&times), "idle_rss_mib": median(&memory), "all_ms": times, "all_mib": memory
        })
    );
    Ok(())
}
