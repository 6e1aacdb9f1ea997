//! Drills: what clients see while providers fail under load, and what a second attempt saves them.

mod plot;
mod provider;

use std::cell::{Cell, RefCell};
use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::rc::Rc;
use std::time::Duration;

use clap::{Args, Subcommand};
use serde::Serialize;
use tokio::task::LocalSet;
use tokio::time::{Instant, interval, sleep, sleep_until};

use crate::load::exchange::{Connection, exchange};
use crate::startup::Running;
use plot::Plot;
use provider::{Mood, Provider};

#[derive(Args, Clone, Debug)]
pub(crate) struct DrillArgs {
    /// The program of the gateway.
    #[arg(long, default_value = "target/release/lockgate")]
    gateway_bin: PathBuf,
    /// Where the gateway listens.
    #[arg(long, default_value_t = 9300)]
    port: u16,
    /// Requests in a second.
    #[arg(long, default_value_t = 200)]
    rate: u64,
    /// Length of the whole drill, in seconds.
    #[arg(long, default_value_t = 120)]
    seconds: u64,
    #[command(subcommand)]
    drill: Drill,
}

#[derive(Subcommand, Clone, Debug)]
enum Drill {
    /// Of three providers one is killed, one limited and one slow at the same time; then all are healed.
    Outage {
        /// Write the plot here.
        #[arg(long)]
        plot: Option<PathBuf>,
    },
    /// One call in twenty is slow; with and without a second attempt beside it.
    Hedge,
}

/// A request's life.
#[derive(Clone, Copy)]
struct Sample {
    /// When it began, since the start of the load.
    at: Duration,
    /// To its first token; `None`: it failed.
    first: Option<Duration>,
}

#[derive(Serialize)]
struct OutageReport {
    requests: usize,
    failed: usize,
    healthy_p99_ms: f64,
    /// From two seconds after the start of the outage on: by then the breakers have seen it.
    outage_p99_ms: f64,
    ratio: f64,
    healed_p99_ms: f64,
    /// Shares of the calls that each provider answered: before, during and in the last fifth.
    shares: [[f64; 3]; 3],
    /// Seconds from the healing until the killed provider answered again.
    returned_after_s: Option<f64>,
}

#[derive(Serialize)]
struct HedgeReport {
    requests: usize,
    failed: usize,
    plain_p99_ms: f64,
    hedged_p99_ms: f64,
    /// Calls at the providers beyond one a request.
    extra_calls: u64,
    extra_percent: f64,
    /// Attempts in the gateway's records of the hedged half; must be its calls.
    recorded_attempts: u64,
    calls: u64,
}

const ADMIN: &str = "drill-admin-token";

/// Runs a drill and prints its report as JSON.
pub(crate) fn run(args: &DrillArgs) -> io::Result<()> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let local = LocalSet::new();
    local.block_on(&runtime, async {
        match &args.drill {
            Drill::Outage { plot } => print(&outage(args, plot.as_deref()).await?),
            Drill::Hedge => print(&hedge(args).await?),
        }
    })
}

fn print(report: &impl Serialize) -> io::Result<()> {
    println!("{}", serde_json::to_string_pretty(report)?);
    Ok(())
}

// === the outage ===

async fn outage(args: &DrillArgs, plot: Option<&Path>) -> io::Result<OutageReport> {
    let providers = [Provider::start().await?, Provider::start().await?, Provider::start().await?];
    let routes = "  bot:\n    use: [a/m, b/m, c/m]\n    stream: { on_break: continue }\n";
    let gateway = Gateway::start(args, &providers, routes).await?;
    let start = Instant::now();
    // A sixth healthy, five twelfths of outage, the rest to heal.
    let (sick, healed) = (args.seconds / 6, args.seconds * 7 / 12);
    let answered: Rc<RefCell<Vec<[u64; 3]>>> = Rc::default();
    let load = gateway.load("bot", args.rate, Duration::from_secs(args.seconds));
    let hand = async {
        for second in 0..args.seconds {
            if second == sick {
                providers[0].is(Mood::Killed);
                providers[1].is(Mood::Limited(args.rate / 4));
                providers[2].is(Mood::Slow(1.25));
            }
            if second == healed {
                providers.iter().for_each(|provider| provider.is(Mood::Healthy));
            }
            sleep_until(start + Duration::from_secs(second + 1)).await;
            answered.borrow_mut().push([0, 1, 2].map(|at: usize| providers[at].counts()[1]));
        }
    };
    let (samples, ()) = tokio::join!(load, hand);
    let totals = answered.borrow().clone();
    let in_second = |second: usize, at: usize| {
        let before = second.checked_sub(1).and_then(|before| totals.get(before)).map_or(0, |it| it[at]);
        (totals.get(second).map_or(before, |it| it[at]) - before) as f64
    };
    let shares = |from: u64, to: u64| {
        let sums: Vec<f64> = (0..3).map(|at| (from..to).map(|s| in_second(s as usize, at)).sum()).collect();
        let all: f64 = sums.iter().sum::<f64>().max(1.0);
        [sums[0] / all, sums[1] / all, sums[2] / all]
    };
    let p99 = |from: u64, to: u64| percentile(&samples, from..to, 0.99);
    let healthy = p99(1, sick);
    let outage = p99(sick + 2, healed);
    if let Some(path) = plot {
        let p99_ms: Vec<f64> = (0..args.seconds).map(|s| percentile(&samples, s..s + 1, 0.99)).collect();
        let per = |at: usize| (0..args.seconds as usize).map(|s| in_second(s, at)).collect::<Vec<_>>();
        let plot = Plot {
            title: "Outage drill: a is killed, b limited to a quarter of the load, c slower by a quarter",
            p99_ms: &p99_ms,
            answered: &[("a", per(0)), ("b", per(1)), ("c", per(2))],
            spans: &[
                (0, sick as usize, "healthy"),
                (sick as usize, healed as usize, "outage"),
                (healed as usize, args.seconds as usize, "healed"),
            ],
        };
        fs::write(path, plot.svg())?;
    }
    Ok(OutageReport {
        requests: samples.len(),
        failed: samples.iter().filter(|sample| sample.first.is_none()).count(),
        healthy_p99_ms: healthy,
        outage_p99_ms: outage,
        ratio: outage / healthy,
        healed_p99_ms: p99(healed + 2, args.seconds),
        shares: [shares(0, sick), shares(sick + 2, healed), shares(args.seconds * 4 / 5, args.seconds)],
        returned_after_s: (healed..args.seconds)
            .find(|second| in_second(*second as usize, 0) > 0.0)
            .map(|second| (second - healed + 1) as f64),
    })
}

// === the hedge ===

async fn hedge(args: &DrillArgs) -> io::Result<HedgeReport> {
    let providers = [Provider::start().await?, Provider::start().await?, Provider::start().await?];
    providers.iter().for_each(|provider| provider.is(Mood::Tail(20, Duration::from_secs(1))));
    let routes = "  plain: [a/m, b/m]\n  hedged:\n    use: [a/m, b/m]\n    hedge: { enabled: true }\n";
    let gateway = Gateway::start(args, &providers, routes).await?;
    let half = Duration::from_secs(args.seconds / 2);
    let plain = gateway.load("plain", args.rate, half).await;
    // What is usual has to be known before anything is hedged.
    gateway.load("hedged", args.rate, Duration::from_secs(2)).await;
    let calls = || providers.iter().map(|provider| provider.counts()[0]).sum::<u64>();
    let (before, recorded) = (calls(), gateway.attempts().await?);
    let hedged = gateway.load("hedged", args.rate, half).await;
    let made = calls() - before;
    // Records are written a moment later.
    sleep(Duration::from_secs(2)).await;
    let whole = |samples: &[Sample]| percentile(samples, 0..u64::MAX, 0.99);
    let extra = made.saturating_sub(hedged.len() as u64);
    Ok(HedgeReport {
        requests: plain.len() + hedged.len(),
        failed: plain.iter().chain(&hedged).filter(|sample| sample.first.is_none()).count(),
        plain_p99_ms: whole(&plain),
        hedged_p99_ms: whole(&hedged),
        extra_calls: extra,
        extra_percent: extra as f64 * 100.0 / hedged.len().max(1) as f64,
        recorded_attempts: gateway.attempts().await? - recorded,
        calls: made,
    })
}

// === the gateway under load ===

struct Gateway {
    authority: String,
    key: String,
    _running: Running,
    _dir: tempfile::TempDir,
}

impl Gateway {
    async fn start(args: &DrillArgs, providers: &[Provider; 3], routes: &str) -> io::Result<Self> {
        let dir = tempfile::Builder::new().prefix("gateway-drill-").tempdir()?;
        let port = args.port;
        let authority = format!("127.0.0.1:{port}");
        let mut config = format!(
            "server:\n  listen: {authority}\n  admin_token: {ADMIN}\nstore: \"sqlite:{}/drill.db\"\nproviders:\n",
            dir.path().display()
        );
        for (name, provider) in ["a", "b", "c"].iter().zip(providers) {
            config += &format!(
                "  {name}:\n    type: openai-compatible\n    base_url: http://{}/v1\n    api_key: k\n    timeouts: {{ connect: 1s }}\n",
                provider.address
            );
        }
        config += &format!("routes:\n{routes}");
        let file = dir.path().join("drill.yaml");
        fs::write(&file, config)?;
        let command = |words: &[&str]| {
            let mut command = Command::new(&args.gateway_bin);
            command.args(words).arg("--config").arg(&file).env_clear().stdin(Stdio::null());
            command
        };
        let made = command(&["keys", "create", "--name", "drill", "--json"]).output()?;
        let key = serde_json::from_slice::<serde_json::Value>(&made.stdout).ok();
        let key = key.and_then(|made| made["key"].as_str().map(str::to_owned)).ok_or_else(|| {
            io::Error::other(format!("no key was made: {}", String::from_utf8_lossy(&made.stderr)))
        })?;
        let mut serve = command(&["serve"]);
        serve.stdout(Stdio::null()).stderr(Stdio::inherit());
        let running = Running::start(&mut serve, None, false)?;
        let gateway = Self { authority, key, _running: running, _dir: dir };
        let limit = Instant::now() + Duration::from_secs(20);
        while gateway.get("/health/ready").await.is_err() {
            if Instant::now() > limit {
                return Err(io::Error::other("the gateway does not answer"));
            }
            sleep(Duration::from_millis(20)).await;
        }
        Ok(gateway)
    }

    /// So many requests a second for so long, whether or not those before are answered.
    async fn load(&self, model: &str, rate: u64, time: Duration) -> Vec<Sample> {
        let body = format!(
            r#"{{"model":"{model}","stream":true,"messages":[{{"role":"user","content":"Hello"}}]}}"#
        );
        let request = Rc::new(format!(
            "POST /v1/chat/completions HTTP/1.1\r\nhost: {}\r\nauthorization: Bearer {}\r\ncontent-type: application/json\r\n\
             content-length: {}\r\n\r\n{body}",
            self.authority,
            self.key,
            body.len()
        ));
        let kept: Rc<RefCell<Vec<Connection>>> = Rc::default();
        let samples: Rc<RefCell<Vec<Sample>>> = Rc::default();
        let under_way = Rc::new(Cell::new(0_usize));
        let start = Instant::now();
        let mut beat = interval(Duration::from_nanos(1_000_000_000 / rate.max(1)));
        while start.elapsed() < time {
            beat.tick().await;
            let (request, kept, samples, under_way) =
                (Rc::clone(&request), Rc::clone(&kept), Rc::clone(&samples), Rc::clone(&under_way));
            let authority = self.authority.clone();
            under_way.set(under_way.get() + 1);
            tokio::task::spawn_local(async move {
                let begun = std::time::Instant::now();
                let at = start.elapsed();
                let mut conn = kept.borrow_mut().pop();
                let answer = exchange(&authority, request.as_bytes(), true, &mut conn).await;
                kept.borrow_mut().extend(conn);
                let good = answer.ok().filter(|answer| !answer.unfinished);
                let first = good.and_then(|answer| answer.first_event).map(|first| first - begun);
                samples.borrow_mut().push(Sample { at, first });
                under_way.set(under_way.get() - 1);
            });
        }
        while under_way.get() > 0 {
            sleep(Duration::from_millis(10)).await;
        }
        samples.take()
    }

    /// Attempts in all records so far.
    async fn attempts(&self) -> io::Result<u64> {
        let text = self.get("/metrics").await?;
        let lines = text.lines().filter(|line| line.starts_with("lockgate_attempts_total{"));
        Ok(lines.filter_map(|line| line.rsplit(' ').next()?.parse::<f64>().ok()).sum::<f64>() as u64)
    }

    async fn get(&self, path: &str) -> io::Result<String> {
        use tokio::io::{AsyncReadExt, AsyncWriteExt};
        let mut stream = tokio::net::TcpStream::connect(&self.authority).await?;
        let request = format!(
            "GET {path} HTTP/1.1\r\nhost: {}\r\nauthorization: Bearer {ADMIN}\r\nconnection: close\r\n\r\n",
            self.authority
        );
        stream.write_all(request.as_bytes()).await?;
        let mut text = String::new();
        stream.read_to_string(&mut text).await?;
        if text.starts_with("HTTP/1.1 200") { Ok(text) } else { Err(io::Error::other(text)) }
    }
}

/// A percentile of the time to the first token of the requests that began in these seconds, in milliseconds.
fn percentile(samples: &[Sample], seconds: std::ops::Range<u64>, share: f64) -> f64 {
    let within = samples.iter().filter(|sample| seconds.contains(&sample.at.as_secs()));
    let mut times: Vec<f64> = within.filter_map(|sample| Some(sample.first?.as_secs_f64() * 1e3)).collect();
    times.sort_by(f64::total_cmp);
    let place = (times.len() as f64 * share).ceil() as usize;
    times.get(place.saturating_sub(1)).copied().unwrap_or(0.0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_percentile_is_of_its_seconds_alone() {
        let sample = |at, ms| Sample { at: Duration::from_secs(at), first: Some(Duration::from_millis(ms)) };
        let mut samples: Vec<Sample> = (1..=100).map(|ms| sample(0, ms)).collect();
        samples.push(sample(1, 9_000));
        samples.push(Sample { at: Duration::ZERO, first: None });
        assert_eq!(percentile(&samples, 0..1, 0.99), 99.0);
        assert_eq!(percentile(&samples, 0..2, 1.0), 9_000.0);
        assert_eq!(percentile(&samples, 5..6, 0.5), 0.0);
    }
}
