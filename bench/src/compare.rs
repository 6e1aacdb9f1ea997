//! A gateway against the floors, alternating in one run, so that a noisy machine is noisy to all of them alike.
//!
//! Each repetition starts each subject anew, alone on its core: once for start-up, idle memory and the loads, once
//! more for the open streams (whose memory would otherwise count in the loads' peaks, and theirs in the streams').

mod conditions;
mod figures;
mod subject;
mod table;

use std::io;
use std::net::TcpStream;
use std::path::PathBuf;
use std::process::{Command, Stdio};
use std::thread::sleep;
use std::time::Duration;

use clap::Args;

use crate::case::{self, Target};
use crate::load::Report;
use crate::startup::Running;
use crate::streams::{self, StreamsArgs};
use crate::sys;
use conditions::Conditions;
use figures::Figures;
use subject::{FLOORS, GATEWAY, Ports, Subject};

#[derive(Args, Clone, Debug)]
#[command(after_help = "Example: gateway-bench compare --gateway-bin target/release/lockgate --json\n\
    Without a gateway: gateway-bench compare --gateway-cmd '{self} floor --mode value --listen 127.0.0.1:9300' --key-cmd ''")]
pub(crate) struct CompareArgs {
    /// The gateway's binary: what {bin} stands for in the commands.
    #[arg(long, default_value = "lockgate")]
    gateway_bin: String,
    /// How the gateway is started. Also: {config} its configuration, {dir} a fresh folder, {self} this program.
    #[arg(long, default_value = "{bin} serve --config {config}")]
    gateway_cmd: String,
    /// What makes a virtual key before each start, printing JSON with a member `key`; empty for none.
    #[arg(long, default_value = "{bin} keys create --name bench --json --config {config}")]
    key_cmd: String,
    /// Repetitions, of which the medians are taken.
    #[arg(long, default_value_t = 3)]
    reps: usize,
    /// Measured seconds of each load.
    #[arg(long, default_value_t = 3.0)]
    seconds: f64,
    /// Seconds of each load before those.
    #[arg(long, default_value_t = 0.7)]
    warmup: f64,
    /// Streams of the case `streams_open`.
    #[arg(long, default_value_t = 5000)]
    streams: usize,
    /// One short repetition: to see that all works, not for figures to be quoted.
    #[arg(long)]
    quick: bool,
    /// Only the cases whose name holds this.
    #[arg(long)]
    only: Option<String>,
    /// Core of the subject under test, and core of mock and load.
    #[arg(long, default_value_t = 0)]
    cpu: usize,
    #[arg(long, default_value_t = 1)]
    load_cpu: usize,
    /// Print JSON instead of Markdown.
    #[arg(long)]
    json: bool,
    /// Also write the Markdown table to this file.
    #[arg(long)]
    table: Option<PathBuf>,
    #[command(flatten)]
    ports: Ports,
}

/// How long a subject may take to its first 200.
const START_LIMIT: Duration = Duration::from_secs(30);

/// How long a subject idles before its memory is read.
const IDLE: Duration = Duration::from_secs(2);

/// Share of failed requests above which a case's figures mean nothing.
const TOLERATED_ERRORS: f64 = 0.01;

pub(crate) fn run(args: &CompareArgs) -> io::Result<()> {
    let mut args = args.clone();
    if args.quick {
        (args.reps, args.seconds, args.warmup) = (1, args.seconds.min(1.0), args.warmup.min(0.3));
        args.streams = args.streams.min(1000);
    }
    sys::pin(Some(args.load_cpu))?;
    sys::raise_open_files(sys::OPEN_FILES)?;
    let real_time = sys::round_robin().is_ok();
    let conditions = Conditions::read(&args, real_time);
    args.ports.check_free()?;
    let mut mock = start_mock(&args, real_time)?;
    mock.until(START_LIMIT, || TcpStream::connect(args.ports.mock_authority()).is_ok())?;
    let mut figures = Figures::default();
    if args.wants(streams::CASE) {
        check_mock(&args)?;
    }
    let mut subjects: Vec<Subject> = FLOORS.iter().map(|f| Subject::floor(f, &args)).collect();
    subjects.push(Subject::gateway(&args));
    for rep in 0..args.reps {
        for subject in &subjects {
            measure(subject, &args, real_time, rep, &mut figures)
                .map_err(|e| io::Error::other(format!("{}: {e}", subject.name)))?;
        }
        // Who comes first finds the machine as the last one left it: let all take turns at that.
        subjects.rotate_left(1);
    }
    let table = table::markdown(&figures, &conditions);
    if let Some(file) = &args.table {
        std::fs::write(file, &table)?;
    }
    if args.json {
        println!("{}", serde_json::to_string_pretty(&figures.json(&conditions))?);
    } else {
        println!("{table}");
    }
    Ok(())
}

impl CompareArgs {
    fn wants(&self, case: &str) -> bool {
        self.only.as_ref().is_none_or(|o| case.contains(o.as_str()))
    }

    fn target(&self, url: String, headers: Vec<String>, pid: Option<u32>) -> Target {
        Target {
            url,
            direct: self.ports.mock_url(),
            headers,
            model: "gpt-4o-mini".to_owned(),
            pid,
            seconds: self.seconds,
            warmup: self.warmup,
        }
    }
}

fn start_mock(args: &CompareArgs, real_time: bool) -> io::Result<Running> {
    let mut command = Command::new(std::env::current_exe()?);
    command
        .args(["mock", "--listen", &args.ports.mock_authority()])
        .stdin(Stdio::null())
        .stderr(Stdio::null());
    Running::start(&mut command, Some(args.load_cpu), real_time)
}

/// What the mock cannot hold open, no gateway can.
fn check_mock(args: &CompareArgs) -> io::Result<()> {
    let target = args.target(args.ports.mock_url(), Vec::new(), None);
    let report = streams::run(&StreamsArgs::on(&target, args.streams, None))?;
    eprintln!("direct 0 {:<18} {report}", streams::CASE);
    if report.alive == args.streams {
        return Ok(());
    }
    let (alive, wanted) = (report.alive, args.streams);
    Err(io::Error::other(format!("the mock itself holds only {alive} of {wanted} streams")))
}

/// One repetition of one subject.
fn measure(
    subject: &Subject,
    args: &CompareArgs,
    real_time: bool,
    rep: usize,
    figures: &mut Figures,
) -> io::Result<()> {
    let cases: Vec<_> = case::compared().into_iter().filter(|c| args.wants(c.name)).collect();
    if !cases.is_empty() || args.wants("startup") || args.wants("idle") {
        let started = subject.start(args, real_time)?;
        figures.add(subject.name, "startup_ms", started.startup_ms);
        sleep(IDLE);
        figures.add(subject.name, "idle_rss_mib", started.running.rss_mib());
        let target = args.target(started.url.clone(), started.headers.clone(), Some(started.running.pid()));
        let mut direct_p50 = None;
        for case in &cases {
            let report = case.run(&target)?;
            eprintln!("{} {rep} {:<18} {report}", subject.name, case.name);
            check(case.name, &report).map_err(|e| started.explain(&e))?;
            if case.direct {
                direct_p50 = Some(report.latency_us.p50);
            } else if let (Some(_), Some(direct)) = (report.rate, direct_p50) {
                figures.add(subject.name, "low.direct_p50_us", direct);
                figures.add(subject.name, "low.added_p50_us", report.latency_us.p50 - direct);
                figures.add(subject.name, "low.p99_us", report.latency_us.p99);
            } else {
                figures.add_report(subject.name, case.name, &report);
            }
            sleep(Duration::from_millis(200));
        }
    }
    if args.wants(streams::CASE) {
        let started = subject.start(args, real_time)?;
        figures.add(subject.name, "startup_ms", started.startup_ms);
        sleep(IDLE);
        let idle = started.running.rss_mib();
        let target = args.target(started.url.clone(), started.headers.clone(), Some(started.running.pid()));
        let report = streams::run(&StreamsArgs::on(&target, args.streams, Some(idle)))?;
        eprintln!("{} {rep} {:<18} {report}", subject.name, streams::CASE);
        if report.alive == 0 {
            let error = report.first_error.unwrap_or_default();
            return Err(started.explain(&io::Error::other(format!("no stream lives: {error}"))));
        }
        figures.add(subject.name, "streams_open.alive", report.alive as f64);
        if let Some(kib) = report.kib_per_stream {
            figures.add(subject.name, "streams_open.kib", kib);
        }
    }
    if subject.name == GATEWAY {
        figures.streams_asked = args.streams;
    }
    Ok(())
}

/// Refuses a report that measured failures, or nothing.
fn check(case: &str, report: &Report) -> io::Result<()> {
    let error = report.first_error.as_deref().unwrap_or("no request was finished");
    if report.requests == 0 || report.errors as f64 > report.requests as f64 * TOLERATED_ERRORS {
        let (errors, requests) = (report.errors, report.requests);
        return Err(io::Error::other(format!("{case}: {errors} errors, {requests} answers: {error}")));
    }
    Ok(())
}
